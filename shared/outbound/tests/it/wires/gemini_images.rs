//! Google's generateContent, asked for an image.

use super::*;

fn answer(file: &str) -> Answer {
    decoded_image("google", 200, &fixture(&format!("gemini_images/{file}"))).unwrap()
}

#[test]
fn a_call_becomes_a_generate_content_request_for_an_image() {
    let image = ImageSpec { size: ImageSize::Portrait, ..ImageSpec::default() };
    let call = image_call("google", "gemini-2.5-flash-image", image);
    let url = "https://llm.example/v1/models/gemini-2.5-flash-image:generateContent";
    assert_eq!(request("google", &call).url.as_str(), url);
    assert_eq!(
        body("google", &call),
        json!({
            "contents": [{"role": "user", "parts": [{"text": "a fox in snow"}]}],
            "generationConfig": {
                "maxOutputTokens": 2048, "responseModalities": ["IMAGE"], "imageConfig": {"aspectRatio": "2:3"},
            },
        })
    );
}

#[test]
fn an_image_is_read_with_what_it_took() {
    let answer = answer("success.json");
    assert_eq!((answer.text.as_str(), answer.finish_reason), ("Here it is.", FinishReason::Stop));
    let [artifact] = &answer.artifacts[..] else { panic!("one image") };
    assert_eq!((artifact.content_type(), artifact.data().len()), (ArtifactType::Png, 70));
    assert_eq!(answer.usage, Some(Usage { image_tokens: 1_290, ..usage(7, 0, 0, 1_295, 0) }));
}

#[test]
fn drafts_are_not_the_answer_and_what_was_thought_is_not_the_image() {
    let answer = answer("thoughts.json");
    assert_eq!((answer.artifacts.len(), answer.text.as_str()), (1, ""));
    assert_eq!(answer.artifacts[0].content_type(), ArtifactType::Jpeg, "the draft is a PNG");
    // The answer does not tell what took how many of the others, so the image took all.
    assert_eq!(answer.usage, Some(Usage { image_tokens: 1_120, ..usage(7, 0, 0, 1_420, 300) }));
}

#[test]
fn an_image_that_the_filter_took_is_an_answer_without_one() {
    for file in ["image_safety.json", "../gemini_generate_content/prompt_blocked.json"] {
        let answer = answer(file);
        assert_eq!((answer.artifacts.len(), answer.finish_reason), (0, FinishReason::ContentFilter), "{file}");
    }
}

#[test]
fn words_instead_of_an_image_are_no_answer() {
    let error = decoded_image("google", 200, &fixture("gemini_generate_content/success.json")).unwrap_err();
    assert_eq!((error.class, error.should_retry), (ErrorClass::ProviderDecode, None));
    assert!(error.message.contains("holds no image"), "{}", error.message);
}
