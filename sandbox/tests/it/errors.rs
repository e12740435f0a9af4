//! Every brand's own style of error: keys, models, requests, statuses.

use serde_json::{Value, json};

use crate::client::{Answer, Call, KEY, start};

/// What an error says of its kind, in whatever place its brand puts that.
fn kind(answer: &Answer) -> String {
    let error = &answer.json()["error"];
    let of = |value: &Value| value.as_str().map(str::to_owned);
    of(&error["code"])
        .or_else(|| of(&error["status"]))
        .or_else(|| of(&error["type"]))
        .unwrap_or_else(|| error["code"].to_string())
}

/// Status and kind of the answers of all brands to a key and a model.
async fn outcomes(key: &str, model: &str) -> Vec<(u16, String)> {
    let sandbox = start().await;
    let mut outcomes = Vec::new();
    for (_, call) in Call::everywhere(model, "hello") {
        let answer = call.key(key).send(sandbox.address()).await.unwrap();
        outcomes.push((answer.status, kind(&answer)));
    }
    outcomes
}

fn pairs(expected: [(u16, &str); 5]) -> Vec<(u16, String)> {
    expected.map(|(status, kind)| (status, kind.to_owned())).to_vec()
}

#[tokio::test]
async fn a_bad_key_is_refused_in_each_providers_style() {
    assert_eq!(
        outcomes("sk-bad-0123456789", "echo").await,
        pairs([
            (401, "invalid_api_key"),
            (401, "invalid_api_key"),
            (401, "401"),
            (401, "authentication_error"),
            (400, "INVALID_ARGUMENT"),
        ])
    );
    let sandbox = start().await;
    let answer = Call::gemini("echo", "hello").key("AIza-bad").send(sandbox.address()).await.unwrap();
    assert_eq!(answer.json()["error"]["details"][0]["reason"], "API_KEY_INVALID");
}

#[tokio::test]
async fn a_revoked_key_is_refused_in_each_providers_style() {
    let statuses: Vec<_> = outcomes("sk-revoked", "echo").await.into_iter().map(|(status, _)| status).collect();
    assert_eq!(statuses, [401, 401, 401, 401, 403]);
}

#[tokio::test]
async fn a_key_without_money_gets_each_providers_billing_error() {
    let expected = pairs([
        (429, "insufficient_quota"),
        (429, "insufficient_quota"),
        (402, "402"),
        (402, "billing_error"),
        (429, "RESOURCE_EXHAUSTED"),
    ]);
    assert_eq!(outcomes("sk-quota", "echo").await, expected);
    let sandbox = start().await;
    let list = Call::get("/v1/models").key("sk-quota").send(sandbox.address()).await.unwrap();
    assert_eq!(list.status, 200);
}

#[tokio::test]
async fn a_missing_key_is_refused() {
    let sandbox = start().await;
    for (name, call) in Call::everywhere("echo", "hello") {
        let status = call.send(sandbox.address()).await.unwrap().status;
        assert_eq!(status, if name == "gemini" { 403 } else { 401 }, "{name}");
    }
    for path in ["/v1/models", "/gemini/v1beta/models", "/anthropic/v1/models", "/openrouter/api/v1/key"] {
        let status = Call::get(path).send(sandbox.address()).await.unwrap().status;
        assert!((401..=403).contains(&status), "{path}");
    }
}

#[tokio::test]
async fn an_unknown_model_is_each_providers_own_404() {
    let expected = pairs([
        (404, "model_not_found"),
        (404, "model_not_found"),
        (404, "404"),
        (404, "not_found_error"),
        (404, "NOT_FOUND"),
    ]);
    assert_eq!(outcomes(KEY, "gpt-4").await, expected);
    assert_eq!(outcomes(KEY, "fail-404").await, expected);
}

#[tokio::test]
async fn every_status_that_is_asked_for_is_answered_everywhere() {
    for status in [400, 401, 402, 403, 408, 409, 422, 429, 500, 502, 503, 504, 529, 599] {
        let outcomes = outcomes(KEY, &format!("fail-{status}")).await;
        assert!(outcomes.iter().all(|(answered, _)| *answered == status), "{status}: {outcomes:?}");
    }
}

#[tokio::test]
async fn a_rate_limit_tells_the_delay_where_each_provider_does() {
    let sandbox = start().await;
    for (name, call) in Call::everywhere("fail-429", "hello") {
        let answer = call.to(&sandbox).await;
        if name == "gemini" {
            assert_eq!(answer.header("retry-after"), None);
            let details = answer.json()["error"]["details"].clone();
            assert!(details.as_array().unwrap().iter().any(|detail| detail["retryDelay"] == "1s"), "{details}");
            assert!(details.to_string().contains("PerMinute"));
        } else {
            assert_eq!(answer.header("retry-after"), Some("1"), "{name}");
        }
    }
}

#[tokio::test]
async fn a_spent_quota_differs_from_a_rate_limit() {
    let sandbox = start().await;
    for (name, call) in Call::everywhere("fail-429-quota", "hello") {
        let answer = call.to(&sandbox).await;
        assert_eq!((answer.status, answer.header("retry-after")), (429, None), "{name}");
        let sign = match name {
            "anthropic" => "enforced_spend_limit_reached",
            "gemini" => "PerDay",
            _ => "insufficient_quota",
        };
        assert!(answer.json().to_string().contains(sign), "{name}");
    }
}

#[tokio::test]
async fn then_ok_fails_once_per_key_model_and_prompt() {
    let sandbox = start().await;
    let status = async |model: &str, prompt: &str, key: &str| {
        Call::chat(model, prompt).key(key).send(sandbox.address()).await.unwrap().status
    };
    assert_eq!(status("fail-429-then-ok", "a", "k1").await, 429);
    assert_eq!(status("fail-429-then-ok", "a", "k1").await, 200);
    assert_eq!(status("fail-429-then-ok", "a", "k1").await, 200);
    assert_eq!(status("fail-429-then-ok", "b", "k1").await, 429);
    assert_eq!(status("fail-429-then-ok", "a", "k2").await, 429);
    assert_eq!(status("fail-500-then-ok", "a", "k1").await, 500);
    for expected in [503, 503, 200] {
        assert_eq!(status("fail-503-times-2", "a", "k1").await, expected);
    }
}

#[tokio::test]
async fn openrouters_passing_402_can_be_retried() {
    let sandbox = start().await;
    let answer = Call::openrouter("fail-402-then-ok", "hello").to(&sandbox).await;
    assert_eq!((answer.status, answer.header("retry-after")), (402, Some("1")));
    assert_eq!(answer.json()["error"]["metadata"]["error_type"], "in_flight_budget_exhausted");
    assert_eq!(Call::openrouter("fail-402-then-ok", "hello").to(&sandbox).await.status, 200);
}

#[tokio::test]
async fn the_key_can_be_repeated_in_an_error() {
    let sandbox = start().await;
    for (name, call) in Call::everywhere("echo-key-in-error", "hello") {
        let answer = call.to(&sandbox).await;
        assert_eq!(answer.status, 400, "{name}");
        assert!(answer.json()["error"]["message"].as_str().unwrap().contains(KEY), "{name}");
    }
}

#[tokio::test]
async fn an_error_can_stand_in_a_200() {
    let sandbox = start().await;
    for (name, call) in Call::everywhere("error-in-200", "hello") {
        let answer = call.to(&sandbox).await;
        assert_eq!(answer.status, 200, "{name}");
        let body = answer.json();
        assert!(body["error"]["message"].is_string(), "{name}: {body}");
        if name == "openai responses" {
            assert_eq!(body["status"], "failed");
        }
    }
}

#[tokio::test]
async fn streaming_is_refused() {
    let sandbox = start().await;
    for (name, mut call) in Call::everywhere("echo", "hello") {
        if name == "gemini" {
            call.path = call.path.replace(":generateContent", ":streamGenerateContent");
            call.path.push_str("?alt=sse");
        } else {
            call.body = call.body.replacen('{', "{\"stream\":true,", 1);
        }
        let answer = call.to(&sandbox).await;
        assert_eq!(answer.status, 400, "{name}");
        assert!(answer.json().to_string().contains("not supported"), "{name}");
    }
}

#[tokio::test]
async fn a_wrong_body_is_a_400_and_a_huge_one_a_413() {
    let sandbox = start().await;
    for (name, mut call) in Call::everywhere("echo", "hello") {
        call.body = "{\"model\":\"echo\",".to_owned();
        assert_eq!(call.to(&sandbox).await.status, 400, "{name}");
    }
    for body in [json!({}), json!({"model": "echo"}), json!({"model": "echo", "messages": []}), json!([1]), json!("x")]
    {
        let call = Call::post("/v1/chat/completions", &body);
        assert_eq!(call.to(&sandbox).await.status, 400, "{body}");
    }
    let mut call = Call::chat("echo", "hello");
    call.body = " ".repeat(33 * 1024 * 1024);
    // The refusal may come while the body is still being written, which then fails.
    if let Ok(answer) = call.key(KEY).send(sandbox.address()).await {
        assert_eq!(answer.status, 413);
    }
}

#[tokio::test]
async fn anthropic_wants_a_version_and_a_limit_and_no_sampling() {
    let sandbox = start().await;
    let send = async |version: Option<&str>, extra: Value| {
        let mut body = json!({"model": "echo", "max_tokens": 9, "messages": [{"role": "user", "content": "hello"}]});
        body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        let mut call = Call::post("/anthropic/v1/messages", &body);
        if let Some(version) = version {
            call = call.header("anthropic-version", version);
        }
        call.to(&sandbox).await.status
    };
    assert_eq!(send(Some("2026-10-21"), json!({})).await, 200);
    assert_eq!(send(None, json!({})).await, 400);
    assert_eq!(send(Some("1999-01-01"), json!({})).await, 400);
    assert_eq!(send(Some("2026-10-21"), json!({"max_tokens": null})).await, 400);
    assert_eq!(send(Some("2026-10-21"), json!({"temperature": 1.0})).await, 400);
    assert_eq!(send(Some("2023-06-01"), json!({"temperature": 1.0})).await, 200);
}
