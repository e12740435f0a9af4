//! OpenAI's images.

use super::*;

fn answer(file: &str) -> Answer {
    decoded_image("openai", 200, &fixture(&format!("openai_images/{file}"))).unwrap()
}

#[test]
fn a_call_becomes_an_images_request() {
    let image = ImageSpec { size: ImageSize::Landscape, quality: ImageQuality::High };
    let call = image_call("openai", "gpt-image-2", image);
    assert_eq!(request("openai", &call).url.as_str(), "https://llm.example/v1/images/generations");
    assert_eq!(
        body("openai", &call),
        json!({"model": "gpt-image-2", "prompt": "a fox in snow", "n": 1, "size": "1536x1024", "quality": "high"})
    );
}

#[test]
fn an_image_is_read_with_what_it_took() {
    let answer = answer("success.json");
    assert_eq!((answer.text.as_str(), answer.finish_reason), ("", FinishReason::Stop));
    let [artifact] = &answer.artifacts[..] else { panic!("one image") };
    assert_eq!((artifact.content_type(), artifact.data().len()), (ArtifactType::Png, 70));
    assert_eq!(answer.usage, Some(Usage { image_tokens: 1_756, ..usage(11, 0, 0, 1_756, 0) }));
    assert_eq!(answer.reported_cost, None);
}

#[test]
fn tokens_of_text_are_told_from_those_of_the_image() {
    let answer = answer("text_tokens_and_revised_prompt.json");
    assert_eq!(answer.text, "A red fox standing in fresh snow");
    assert_eq!(answer.artifacts[0].content_type(), ArtifactType::Jpeg);
    assert_eq!(answer.usage, Some(Usage { image_tokens: 1_056, ..usage(11, 4, 0, 1_152, 0) }));
}

#[test]
fn a_prompt_that_is_blocked_is_a_refused_request() {
    let error = decoded_image("openai", 400, &fixture("openai_images/error_moderation_400.json")).unwrap_err();
    assert_eq!(error.class, ErrorClass::ProviderRequest);
    assert_eq!(error.provider_code.as_deref(), Some("moderation_blocked"));
}

#[test]
fn an_answer_without_an_image_is_none() {
    for body in [json!({"data": []}), json!({"data": [{"url": "https://evil.example/x.png"}]})] {
        let error = decoded_image("openai", 200, body.to_string().as_bytes()).unwrap_err();
        assert_eq!(error.class, ErrorClass::ProviderDecode);
        assert!(error.message.contains("holds no image"), "{}", error.message);
    }
}

#[test]
fn a_cost_is_believed_only_of_those_who_report_one() {
    let mut body: Value = serde_json::from_slice(&fixture("openai_images/success.json")).unwrap();
    body["usage"]["cost"] = json!(0.5);
    let cost = |slug| decoded_image(slug, 200, body.to_string().as_bytes()).unwrap().reported_cost;
    assert_eq!((cost("openai"), cost("sandbox").unwrap().to_string()), (None, "0.5".to_owned()));
}
