//! The happy path of every wire, its usage, its lists of models.

use acm2_sandbox::BEHAVIOURS;
use serde_json::{Value, json};

use crate::client::{Call, KEY, start};

#[tokio::test]
async fn openai_chat_answers_with_words_counted() {
    let sandbox = start().await;
    let body = json!({"model": "sandbox/echo", "messages": [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": [{"type": "text", "text": "one two"}, {"type": "text", "text": "three"}]},
    ]});
    let answer = Call::post("/openai/v1/chat/completions", &body).to(&sandbox).await;
    assert_eq!(answer.status, 200);
    assert!(answer.header("x-request-id").unwrap().starts_with("req_"));
    assert_eq!(answer.header("x-ratelimit-limit-requests"), Some("10000"));
    let body = answer.json();
    assert_eq!(body["object"], "chat.completion");
    assert_eq!(body["model"], "sandbox/echo");
    assert_eq!(body["choices"][0]["message"]["content"], "Echo: one two\nthree");
    assert_eq!(body["choices"][0]["finish_reason"], "stop");
    assert_eq!(body["usage"]["prompt_tokens"], 8);
    assert_eq!(body["usage"]["completion_tokens"], 4);
    assert_eq!(body["usage"]["total_tokens"], 12);
    assert_eq!(body["usage"].get("cost"), None);
}

#[tokio::test]
async fn openai_responses_answers_with_output_items() {
    let sandbox = start().await;
    let body = json!({"model": "cached+reasoning", "instructions": "be brief", "input": [
        {"role": "user", "content": [{"type": "input_text", "text": "one two three"}]},
    ]});
    let body = Call::post("/v1/responses", &body).to(&sandbox).await.json();
    assert_eq!((&body["object"], &body["status"]), (&json!("response"), &json!("completed")));
    assert_eq!(body["output"][0]["type"], "reasoning");
    assert_eq!(
        body["output"][1]["content"][0],
        json!({
            "type": "output_text", "text": "Echo: one two three", "annotations": [], "logprobs": [],
        })
    );
    assert_eq!(
        body["usage"],
        json!({
            "input_tokens": 8, "input_tokens_details": {"cached_tokens": 4},
            "output_tokens": 20, "output_tokens_details": {"reasoning_tokens": 16}, "total_tokens": 28,
        })
    );
}

#[tokio::test]
async fn openrouter_reports_the_cost_of_every_call() {
    let sandbox = start().await;
    let body = Call::openrouter("echo", "one two three").to(&sandbox).await.json();
    assert!(body["id"].as_str().unwrap().starts_with("gen-"));
    assert_eq!(body["choices"][0]["native_finish_reason"], "stop");
    // 6 input tokens at 1 and 4 output tokens at 2 millionths of a dollar.
    assert_eq!(body["usage"]["cost"].as_f64(), Some(0.000_014));
    assert_eq!(sandbox.calls().last().unwrap().cost_micro_usd, Some(14));
    let body = Call::chat("cost", "one two three").to(&sandbox).await.json();
    assert_eq!(body["usage"]["cost"].as_f64(), Some(0.000_014));
}

#[tokio::test]
async fn anthropic_counts_cached_tokens_beside_the_input() {
    let sandbox = start().await;
    let body = json!({"model": "cached+reasoning", "max_tokens": 100, "system": [{"type": "text", "text": "be brief"}],
        "messages": [{"role": "user", "content": "one two three"}]});
    let call = Call::post("/anthropic/v1/messages", &body).header("anthropic-version", "2023-06-01");
    let answer = call.to(&sandbox).await;
    assert!(answer.header("request-id").is_some());
    assert_eq!(answer.header("anthropic-ratelimit-requests-limit"), Some("4000"));
    let body = answer.json();
    assert_eq!((&body["type"], &body["stop_reason"]), (&json!("message"), &json!("end_turn")));
    assert_eq!(body["content"][0]["type"], "thinking");
    assert_eq!(body["content"][1], json!({"type": "text", "text": "Echo: one two three"}));
    let usage = &body["usage"];
    assert_eq!((&usage["input_tokens"], &usage["cache_read_input_tokens"]), (&json!(4), &json!(4)));
    assert_eq!(usage["output_tokens"], 20);
    assert_eq!(usage["output_tokens_details"]["thinking_tokens"], 16);
}

#[tokio::test]
async fn gemini_counts_thoughts_beside_the_output() {
    let sandbox = start().await;
    let body = json!({"systemInstruction": {"parts": [{"text": "be brief"}]},
        "contents": [{"role": "user", "parts": [{"text": "one two three"}]}]});
    for model in ["cached+reasoning", "sandbox%2Fcached%2Breasoning", "sandbox/cached+reasoning"] {
        let path = format!("/gemini/v1beta/models/{model}:generateContent");
        let body = Call::post(&path, &body).to(&sandbox).await.json();
        let candidate = &body["candidates"][0];
        assert_eq!(candidate["content"], json!({"parts": [{"text": "Echo: one two three"}], "role": "model"}));
        assert_eq!(candidate["finishReason"], "STOP");
        assert_eq!(
            body["usageMetadata"],
            json!({
                "promptTokenCount": 8, "candidatesTokenCount": 4, "thoughtsTokenCount": 16, "cachedContentTokenCount": 4,
                "totalTokenCount": 28, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 8}],
            })
        );
    }
}

#[tokio::test]
async fn no_usage_leaves_the_usage_out() {
    let sandbox = start().await;
    for (name, call) in Call::everywhere("no-usage", "hello") {
        let body = call.to(&sandbox).await.json();
        assert!(body.get("usage").is_none_or(Value::is_null), "{name}");
        assert!(body.get("usageMetadata").is_none(), "{name}");
    }
    assert!(sandbox.calls().iter().all(|record| record.usage.is_none()));
}

#[tokio::test]
async fn size_gives_a_text_of_that_size() {
    let sandbox = start().await;
    let body = Call::chat("size-64k", "hello").to(&sandbox).await.json();
    assert_eq!(body["choices"][0]["message"]["content"].as_str().unwrap().len(), 65_536);
    assert_eq!(body["usage"]["completion_tokens"], 8192);
}

#[tokio::test]
async fn the_lists_of_models_are_each_providers_own() {
    let sandbox = start().await;
    let examples = BEHAVIOURS.iter().map(|behaviour| behaviour.examples.len()).sum::<usize>();
    let body = Call::get("/v1/models").to(&sandbox).await.json();
    assert_eq!((&body["object"], body["data"].as_array().unwrap().len()), (&json!("list"), examples));
    assert_eq!(body["data"][0]["id"], "echo");

    let body = Call::get("/openrouter/api/v1/models").send(sandbox.address()).await.unwrap().json();
    assert_eq!(body["data"][0]["pricing"]["completion"], "0.000002");

    let call = Call::get("/anthropic/v1/models").header("anthropic-version", "2026-10-21");
    let first = call.to(&sandbox).await.json();
    assert_eq!((&first["has_more"], first["data"].as_array().unwrap().len()), (&json!(true), 20));
    let after = first["last_id"].as_str().unwrap();
    let call = Call::get(&format!("/anthropic/v1/models?limit=1000&after_id={after}"));
    let rest = call.header("anthropic-version", "2026-10-21").to(&sandbox).await.json();
    assert_eq!((&rest["has_more"], rest["data"].as_array().unwrap().len()), (&json!(false), examples - 20));

    let body = Call::get("/gemini/v1beta/models?pageSize=1").to(&sandbox).await.json();
    assert_eq!((body["models"].as_array().unwrap().len(), &body["nextPageToken"]), (1, &json!("1")));
    assert_eq!(body["models"][0]["name"], "models/echo");
}

#[tokio::test]
async fn openrouter_tells_the_limits_of_a_key() {
    let sandbox = start().await;
    let body = Call::get("/openrouter/api/v1/key").to(&sandbox).await.json();
    assert_eq!(body["data"]["limit_remaining"], 100);
    assert!(!body.to_string().contains(KEY));
    let call = Call::get("/openrouter/api/v1/key").key("sk-or-quota");
    assert_eq!(call.send(sandbox.address()).await.unwrap().json()["data"]["limit_remaining"], 0);
}

#[tokio::test]
async fn its_own_pages_say_what_it_is() {
    let sandbox = start().await;
    let home = Call::get("/").to(&sandbox).await;
    assert!(String::from_utf8(home.body).unwrap().contains("/sandbox/behaviours"));
    let list = Call::get("/sandbox/behaviours").to(&sandbox).await.json();
    assert_eq!(list.as_array().unwrap().len(), BEHAVIOURS.len());
    assert_eq!(list[0]["name"], "echo");
    assert_eq!(Call::get("/nowhere").to(&sandbox).await.status, 404);
}
