//! Anthropic's messages.

use acm2_outbound::providers::{ANTHROPIC_DEFAULT_MAX_TOKENS, encode_key_test};

use super::*;

#[test]
fn a_call_becomes_a_message_of_the_current_version() {
    let call = full_call("anthropic", "claude-opus-4-8");
    let request = request("anthropic", &call);
    assert_eq!(request.url.as_str(), "https://llm.example/v1/messages");
    assert_eq!(request.headers["anthropic-version"], "2026-10-21");
    assert_eq!(
        body("anthropic", &call),
        json!({
            "model": "claude-opus-4-8", "max_tokens": 300, "system": "be brief",
            "messages": [
                {"role": "user", "content": "hello"},
                {"role": "assistant", "content": "hi"},
                {"role": "user", "content": "what is 2 + 2?"},
            ],
            "temperature": 0.5, "top_p": 0.25,
        })
    );
}

#[test]
fn the_limit_that_the_wire_requires_has_a_default() {
    assert_eq!(body("anthropic", &call("anthropic", "m"))["max_tokens"], ANTHROPIC_DEFAULT_MAX_TOKENS);
}

#[test]
fn an_expected_answer_is_asked_for_by_its_schema_and_without_a_beta_header() {
    let format = json!({"type": "json_schema", "schema": scores_schema()});
    assert_eq!(added_for_judging("anthropic"), json!({"output_config": {"format": format}}));
    assert!(!request("anthropic", &judging_call("anthropic")).headers.contains_key("anthropic-beta"));
}

#[test]
fn the_key_test_carries_the_version_too() {
    let request = encode_key_test(provider("anthropic"), &Url::parse("https://llm.example/v1").unwrap());
    assert_eq!((request.method.as_str(), request.url.as_str()), ("GET", "https://llm.example/v1/models"));
    assert_eq!(request.headers["anthropic-version"], "2026-10-21");
}

#[test]
fn a_plain_answer_is_read() {
    let answer = answer("anthropic", "anthropic_messages/success.json");
    assert_eq!((answer.text.as_str(), answer.finish_reason), ("Four.", FinishReason::Stop));
    assert_eq!(answer.usage, Some(usage(12, 0, 0, 6, 0)));
    assert_eq!(answer.provider_request_id.as_deref(), Some("msg_01XFD"));
}

#[test]
fn the_parts_of_the_cache_are_added_to_the_input() {
    let answer = answer("anthropic", "anthropic_messages/cached_and_thinking.json");
    assert_eq!(answer.usage, Some(usage(2098, 1800, 248, 503, 450)));
    assert_eq!(answer.text, "2 + 2 = 4.");
}

#[test]
fn every_finish_is_told() {
    for (file, expected, text) in [
        ("max_tokens", FinishReason::Length, "Four."),
        ("context_window", FinishReason::Length, "Four."),
        ("refusal", FinishReason::Refusal, ""),
        ("unknown_values", FinishReason::Other, "hm"),
    ] {
        let answer = answer("anthropic", &format!("anthropic_messages/{file}.json"));
        assert_eq!((answer.finish_reason, answer.text.as_str()), (expected, text), "{file}");
    }
}

#[test]
fn every_error_class_is_told() {
    for (status, file, class, code) in [
        (200, "error_in_200", ErrorClass::ProviderOverloaded, "overloaded_error"),
        (401, "error_key_401", ErrorClass::ProviderAuth, "authentication_error"),
        (403, "error_permission_403", ErrorClass::ProviderAuth, "permission_error"),
        (402, "error_billing_402", ErrorClass::ProviderQuota, "billing_error"),
        (400, "error_credit_400", ErrorClass::ProviderQuota, "invalid_request_error"),
        (429, "error_spend_limit_429", ErrorClass::ProviderQuota, "enforced_spend_limit_reached"),
        (429, "error_contract_limit_429", ErrorClass::ProviderQuota, "contract_spend_limit_reached"),
        (429, "error_rate_429", ErrorClass::ProviderRateLimited, "rate_limit_error"),
        (529, "error_overloaded_529", ErrorClass::ProviderOverloaded, "overloaded_error"),
        (404, "error_model_404", ErrorClass::ProviderModelNotFound, "not_found_error"),
        (400, "error_sampling_400", ErrorClass::ProviderRequest, "invalid_request_error"),
        (413, "error_size_413", ErrorClass::ProviderRequest, "request_too_large"),
    ] {
        let error = error("anthropic", status, &format!("anthropic_messages/{file}.json"));
        assert_eq!((error.class, error.provider_code.as_deref()), (class, Some(code)), "{file}");
        assert_eq!(error.provider_request_id.as_deref(), Some("req_011CSHo"), "{file}");
    }
}
