//! OpenAI's chat completions and those who copied them.

use rust_decimal::Decimal;

use super::*;

#[test]
fn a_call_becomes_a_chat_completion() {
    let request = request("openrouter", &full_call("openrouter", "openai/gpt-5.5"));
    assert_eq!((request.method.as_str(), request.url.as_str()), ("POST", "https://llm.example/v1/chat/completions"));
    assert_eq!(request.headers["content-type"], "application/json");
    assert_eq!(
        body("openrouter", &full_call("openrouter", "openai/gpt-5.5")),
        json!({
            "model": "openai/gpt-5.5",
            "messages": [
                {"role": "system", "content": "be brief"},
                {"role": "user", "content": "hello"},
                {"role": "assistant", "content": "hi"},
                {"role": "user", "content": "what is 2 + 2?"},
            ],
            "max_tokens": 300, "temperature": 0.5, "top_p": 0.25,
        })
    );
}

#[test]
fn the_limit_has_the_name_that_the_provider_gives_it() {
    let sent = body("groq", &full_call("groq", "m"));
    assert_eq!(sent["max_completion_tokens"], 300);
    assert_eq!(sent["max_tokens"], Value::Null);
}

#[test]
fn an_expected_answer_is_asked_for_by_its_strict_schema() {
    let format = json!({
        "type": "json_schema",
        "json_schema": {"name": "scores", "strict": true, "schema": scores_schema()},
    });
    for slug in ["mistral", "xai", "sandbox"] {
        assert_eq!(added_for_judging(slug), json!({"response_format": format}), "{slug}");
    }
}

#[test]
fn a_plain_answer_is_read() {
    let answer = answer("mistral", "openai_chat/success.json");
    assert_eq!((answer.text.as_str(), answer.finish_reason), ("Four.", FinishReason::Stop));
    assert_eq!(answer.usage, Some(usage(19, 0, 0, 10, 0)));
    assert_eq!(answer.provider_model.as_deref(), Some("gpt-5.5-2026-08-01"));
    assert_eq!(answer.provider_request_id.as_deref(), Some("chatcmpl-CVx1"));
    assert_eq!(answer.reported_cost, None);
}

#[test]
fn cached_written_and_reasoning_tokens_are_parts_of_the_totals() {
    assert_eq!(answer("groq", "openai_chat/cached_and_reasoning.json").usage, Some(usage(2006, 1920, 64, 300, 192)));
    assert_eq!(answer("deepseek", "openai_chat/deepseek.json").usage, Some(usage(100, 64, 0, 20, 5)));
}

#[test]
fn reasoning_on_top_is_told_by_the_total() {
    assert_eq!(answer("xai", "openai_chat/xai_reasoning_on_top.json").usage, Some(usage(37, 2, 0, 208, 200)));
    assert_eq!(answer("xai", "openai_chat/xai_reasoning_inside.json").usage, Some(usage(37, 0, 0, 208, 200)));
}

#[test]
fn every_finish_is_told() {
    for (file, expected) in [
        ("length", FinishReason::Length),
        ("content_filter", FinishReason::ContentFilter),
        ("refusal", FinishReason::Refusal),
        ("mistral_chunks", FinishReason::Length),
        ("unknown_values", FinishReason::Other),
    ] {
        assert_eq!(answer("mistral", &format!("openai_chat/{file}.json")).finish_reason, expected, "{file}");
    }
    assert_eq!(answer("mistral", "openai_chat/content_filter.json").text, "");
    assert_eq!(answer("mistral", "openai_chat/refusal.json").text, "I'm sorry, I can't help with that.");
}

#[test]
fn of_mistrals_chunks_only_the_text_is_the_answer() {
    assert_eq!(answer("mistral", "openai_chat/mistral_chunks.json").text, "2 + 2 is 4.");
}

#[test]
fn a_reported_cost_is_taken_only_from_who_reports_one() {
    let cost = |slug| answer(slug, "openai_chat/openrouter.json").reported_cost;
    assert_eq!(cost("openrouter"), Some(Decimal::new(266, 6)));
    assert_eq!(cost("openai-compatible"), None, "any server could claim that it was free");
}

#[test]
fn keep_alive_lines_before_the_answer_are_skipped() {
    let body = [b"\n\n: keep-alive\n\n".as_slice(), &fixture("openai_chat/deepseek.json")].concat();
    assert_eq!(decoded("deepseek", 200, &[], &body).unwrap().text, "Four.");
}

#[test]
fn an_error_inside_a_success_is_an_error() {
    let failed = error("openrouter", 200, "openai_chat/openrouter_error_in_200.json");
    assert_eq!((failed.class, failed.provider_code.as_deref()), (ErrorClass::ProviderOverloaded, Some("502")));
    assert_eq!(failed.message, "Provider returned error: upstream overloaded");

    let limited = error("openrouter", 200, "openai_chat/openrouter_error_in_choice.json");
    assert_eq!(limited.class, ErrorClass::ProviderRateLimited);
    assert_eq!(limited.retry_after, Some(Duration::from_secs(2)));

    let cut = error("deepseek", 200, "openai_chat/deepseek_no_resource.json");
    assert_eq!(cut.class, ErrorClass::ProviderOverloaded);
    assert_eq!(cut.message, "the provider stopped with insufficient_system_resource");
}

#[test]
fn every_error_class_is_told() {
    for (slug, status, file, class, code) in [
        ("openai-compatible", 429, "error_quota_429", ErrorClass::ProviderQuota, Some("insufficient_quota")),
        ("openai-compatible", 429, "error_rate_429", ErrorClass::ProviderRateLimited, Some("rate_limit_exceeded")),
        ("openai-compatible", 401, "error_key_401", ErrorClass::ProviderAuth, Some("invalid_api_key")),
        ("openai-compatible", 404, "error_model_404", ErrorClass::ProviderModelNotFound, Some("model_not_found")),
        ("xai", 400, "error_xai_key_400", ErrorClass::ProviderAuth, Some("Client specified an invalid argument")),
        ("deepseek", 402, "error_deepseek_402", ErrorClass::ProviderQuota, Some("invalid_request_error")),
        ("mistral", 422, "error_mistral_422", ErrorClass::ProviderRequest, Some("invalid_request_error")),
        ("openrouter", 402, "error_openrouter_402", ErrorClass::ProviderQuota, Some("payment_required")),
        (
            "openrouter",
            402,
            "error_openrouter_402_in_flight",
            ErrorClass::ProviderRateLimited,
            Some("in_flight_budget_exhausted"),
        ),
        ("openrouter", 403, "error_openrouter_403_moderation", ErrorClass::ProviderRequest, Some("403")),
    ] {
        let error = error(slug, status, &format!("openai_chat/{file}.json"));
        assert_eq!((error.class, error.provider_code.as_deref()), (class, code), "{file}");
    }
}

#[test]
fn the_delay_is_read_from_the_header_or_the_message() {
    let body = fixture("openai_chat/error_rate_429.json");
    let told = |headers: &[_]| decoded("groq", 429, headers, &body).unwrap_err().retry_after;
    assert_eq!(told(&[]), Some(Duration::from_millis(1_500)));
    assert_eq!(told(&[("retry-after", "12")]), Some(Duration::from_secs(12)));
}

#[test]
fn the_message_of_an_error_that_is_a_text_is_the_text() {
    let error = error("xai", 400, "openai_chat/error_xai_key_400.json");
    assert!(error.message.starts_with("Incorrect API key provided"), "{}", error.message);
    let nested = self::error("mistral", 422, "openai_chat/error_mistral_422.json");
    assert_eq!(nested.message, "Extra inputs are not permitted");
}
