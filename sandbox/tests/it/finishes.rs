//! How an answer ends, in each wire's own manner.

use serde_json::{Value, json};

use crate::client::{Call, start};

/// The answers to a model on the four wires.
async fn answers(model: &str) -> [Value; 4] {
    let sandbox = start().await;
    [
        Call::chat(model, "one two three").to(&sandbox).await.json(),
        Call::responses(model, "one two three").to(&sandbox).await.json(),
        Call::anthropic(model, "one two three").to(&sandbox).await.json(),
        Call::gemini(model, "one two three").to(&sandbox).await.json(),
    ]
}

#[tokio::test]
async fn length_stops_in_the_middle() {
    let [chat, responses, anthropic, gemini] = answers("length").await;
    assert_eq!(chat["choices"][0]["finish_reason"], "length");
    assert_eq!(chat["choices"][0]["message"]["content"], "Echo: one");
    assert_eq!(chat["usage"]["completion_tokens"], 2);
    assert_eq!(responses["status"], "incomplete");
    assert_eq!(responses["incomplete_details"]["reason"], "max_output_tokens");
    assert_eq!(anthropic["stop_reason"], "max_tokens");
    assert_eq!(gemini["candidates"][0]["finishReason"], "MAX_TOKENS");
}

#[tokio::test]
async fn filter_gives_no_text() {
    let [chat, responses, anthropic, gemini] = answers("filter").await;
    assert_eq!(chat["choices"][0]["finish_reason"], "content_filter");
    assert_eq!(chat["choices"][0]["message"]["content"], "");
    assert_eq!(responses["incomplete_details"]["reason"], "content_filter");
    assert_eq!(anthropic["stop_reason"], "refusal");
    assert_eq!(anthropic["content"], json!([]));
    assert_eq!(gemini["promptFeedback"]["blockReason"], "PROHIBITED_CONTENT");
    assert!(gemini.get("candidates").is_none());
}

#[tokio::test]
async fn a_refusal_is_told_apart_from_an_answer() {
    let [chat, responses, anthropic, gemini] = answers("refusal").await;
    assert_eq!(chat["choices"][0]["message"]["refusal"], "I cannot help with that.");
    assert!(chat["choices"][0]["message"]["content"].is_null());
    assert_eq!(responses["output"][0]["content"][0]["type"], "refusal");
    assert_eq!(anthropic["stop_reason"], "refusal");
    assert_eq!(gemini["candidates"][0]["finishReason"], "SAFETY");
}

#[tokio::test]
async fn an_empty_answer_is_a_whole_answer_without_content() {
    let [chat, responses, anthropic, gemini] = answers("empty").await;
    assert_eq!(chat["choices"][0]["message"]["content"], "");
    assert_eq!(chat["usage"]["completion_tokens"], 0);
    assert_eq!(responses["output"], json!([]));
    assert_eq!(anthropic["content"], json!([]));
    assert!(gemini["candidates"][0].get("content").is_none());
}

#[tokio::test]
async fn an_unknown_finish_is_in_no_documentation() {
    let [chat, responses, anthropic, gemini] = answers("unknown-finish").await;
    assert_eq!(chat["choices"][0]["finish_reason"], "sandbox_unheard_of");
    assert_eq!(responses["incomplete_details"]["reason"], "sandbox_unheard_of");
    assert_eq!(anthropic["stop_reason"], "sandbox_unheard_of");
    assert_eq!(gemini["candidates"][0]["finishReason"], "SANDBOX_UNHEARD_OF");
}
