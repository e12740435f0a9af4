//! Images on both wires: a real PNG of the size that was asked for, what it takes, and what is refused.

use acm2_sandbox::{Usage, Wire};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::client::{Call, start};

/// Width and height as the image's own header says them.
fn size(encoded: &Value) -> (u32, u32) {
    let png = STANDARD.decode(encoded.as_str().unwrap()).unwrap();
    assert!(png.starts_with(b"\x89PNG\r\n\x1a\n"));
    let number = |at: usize| u32::from_be_bytes(png[at..at + 4].try_into().unwrap());
    (number(16), number(20))
}

fn openai(body: &Value) -> Call {
    Call::post("/v1/images/generations", body)
}

fn gemini(model: &str, config: &Value) -> Call {
    let body = json!({"contents": [{"role": "user", "parts": [{"text": "one two"}]}], "generationConfig": config});
    Call::post(&format!("/gemini/v1beta/models/{model}:generateContent"), &body)
}

#[tokio::test]
async fn openai_answers_with_a_png_of_the_size_and_the_published_tokens() {
    let sandbox = start().await;
    for (size_name, quality, pixels, tokens) in [
        ("1024x1024", "low", (1_024, 1_024), 272),
        ("1024x1536", "medium", (1_024, 1_536), 1_584),
        ("1536x1024", "high", (1_536, 1_024), 6_208),
    ] {
        let body = json!({"model": "image", "prompt": "one two", "n": 1, "size": size_name, "quality": quality});
        let answer = openai(&body).to(&sandbox).await.json();
        assert_eq!(size(&answer["data"][0]["b64_json"]), pixels);
        assert_eq!(
            answer["usage"],
            json!({
                "input_tokens": 5, "input_tokens_details": {"image_tokens": 0, "text_tokens": 5, "cached_tokens": 0},
                "output_tokens": tokens, "output_tokens_details": {"image_tokens": tokens, "text_tokens": 0},
                "total_tokens": tokens + 5,
            })
        );
        let record = sandbox.calls().pop().unwrap();
        assert_eq!(record.wire, Wire::OpenaiImages);
        assert_eq!(record.usage, Some(Usage { input: 5, cached: 0, output: tokens, reasoning: 0 }));
    }
}

#[tokio::test]
async fn openrouters_route_reports_the_cost_of_an_image() {
    let sandbox = start().await;
    let body = json!({"model": "image", "prompt": "one two", "size": "1024x1024", "quality": "low"});
    let answer = Call::post("/openrouter/api/v1/images/generations", &body).to(&sandbox).await.json();
    // 5 input tokens at 1 and 272 output tokens at 2 millionths of a dollar.
    assert_eq!(answer["usage"]["cost"].as_f64(), Some(0.000_549));
    assert_eq!(sandbox.calls().pop().unwrap().cost_micro_usd, Some(549));
}

#[tokio::test]
async fn gemini_answers_with_a_png_among_its_parts() {
    let sandbox = start().await;
    let config = json!({"responseModalities": ["IMAGE"], "imageConfig": {"aspectRatio": "3:2"}});
    let answer = gemini("image+reasoning", &config).to(&sandbox).await.json();
    let part = &answer["candidates"][0]["content"]["parts"][0]["inlineData"];
    assert_eq!((&part["mimeType"], size(&part["data"])), (&json!("image/png"), (1_248, 832)));
    let usage = &answer["usageMetadata"];
    assert_eq!((&usage["candidatesTokenCount"], &usage["thoughtsTokenCount"]), (&json!(1_290), &json!(16)));
    assert_eq!(usage["candidatesTokensDetails"], json!([{"modality": "IMAGE", "tokenCount": 1_290}]));
    let blocked = gemini("filter", &config).to(&sandbox).await.json();
    assert_eq!(blocked["promptFeedback"]["blockReason"], "PROHIBITED_CONTENT");
}

#[tokio::test]
async fn behaviours_go_for_images_too() {
    let sandbox = start().await;
    let ask = async |model: &str| {
        let body = json!({"model": model, "prompt": "one two", "size": "1024x1024", "quality": "low"});
        openai(&body).to(&sandbox).await
    };
    let data = async |model: &str| {
        let encoded = ask(model).await.json()["data"][0]["b64_json"].clone();
        STANDARD.decode(encoded.as_str().unwrap()).unwrap()
    };
    assert_eq!(data("size-1024k").await.len(), 1_048_576);
    assert!(data("image-html").await.starts_with(b"<!DOCTYPE html>"));
    assert_eq!(ask("empty").await.json()["data"], json!([]));
    assert_eq!(ask("image+fail-429-then-ok").await.status, 429);
    assert_eq!(ask("image+fail-429-then-ok").await.status, 200);
}

#[tokio::test]
async fn what_openai_refuses_is_refused() {
    let sandbox = start().await;
    for (body, field) in [
        (json!({"model": "image"}), "prompt"),
        (json!({"model": "image", "prompt": "x", "size": "1x1"}), "size"),
        (json!({"model": "image", "prompt": "x", "quality": "hd"}), "quality"),
        (json!({"model": "image", "prompt": "x", "response_format": "b64_json"}), "response_format"),
    ] {
        let answer = openai(&body).to(&sandbox).await;
        assert_eq!((answer.status, &answer.json()["error"]["param"]), (400, &json!(field)));
    }
    let config = json!({"responseModalities": ["IMAGE"], "imageConfig": {"aspectRatio": "7:1"}});
    assert_eq!(gemini("image", &config).to(&sandbox).await.status, 400);
}
