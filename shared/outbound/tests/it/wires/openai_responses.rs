//! OpenAI's responses.

use super::*;

#[test]
fn a_call_becomes_a_response_that_openai_does_not_store() {
    let call = full_call("openai", "gpt-5.5");
    assert_eq!(request("openai", &call).url.as_str(), "https://llm.example/v1/responses");
    assert_eq!(
        body("openai", &call),
        json!({
            "model": "gpt-5.5",
            "input": [
                {"role": "user", "content": "hello"},
                {"role": "assistant", "content": "hi"},
                {"role": "user", "content": "what is 2 + 2?"},
            ],
            "instructions": "be brief", "store": false,
            "max_output_tokens": 300, "temperature": 0.5, "top_p": 0.25,
        })
    );
}

#[test]
fn an_expected_answer_is_asked_for_by_its_strict_schema() {
    let format = json!({"type": "json_schema", "name": "scores", "strict": true, "schema": scores_schema()});
    assert_eq!(added_for_judging("openai"), json!({"text": {"format": format}}));
}

#[test]
fn a_plain_answer_is_read() {
    let answer = answer("openai", "openai_responses/success.json");
    assert_eq!((answer.text.as_str(), answer.finish_reason), ("Four.", FinishReason::Stop));
    assert_eq!(answer.usage, Some(usage(36, 0, 0, 87, 64)));
    assert_eq!(answer.provider_request_id.as_deref(), Some("resp_68af40"));
}

#[test]
fn cached_and_written_tokens_are_parts_of_the_input() {
    assert_eq!(answer("openai", "openai_responses/cached.json").usage, Some(usage(2000, 1792, 100, 10, 0)));
}

#[test]
fn every_finish_is_told() {
    for (file, expected, text) in [
        ("incomplete_length", FinishReason::Length, ""),
        ("incomplete_filter", FinishReason::ContentFilter, "Four."),
        ("refusal", FinishReason::Refusal, "I can't help with that."),
        ("unknown_values", FinishReason::Other, "hm"),
    ] {
        let answer = answer("openai", &format!("openai_responses/{file}.json"));
        assert_eq!((answer.finish_reason, answer.text.as_str()), (expected, text), "{file}");
    }
}

#[test]
fn a_failed_response_is_an_error_though_its_status_is_200() {
    let failed = error("openai", 200, "openai_responses/failed_in_200.json");
    assert_eq!((failed.class, failed.provider_code.as_deref()), (ErrorClass::ProviderOverloaded, Some("server_error")));
    assert_eq!(failed.message, "The model failed to generate a response.");
    let limited = error("openai", 200, "openai_responses/failed_rate_in_200.json");
    assert_eq!((limited.class, limited.retry_after), (ErrorClass::ProviderRateLimited, Some(Duration::from_secs(3))));
}

#[test]
fn a_response_that_is_not_finished_is_no_answer() {
    let error = decoded("openai", 200, &[], br#"{"status": "in_progress", "output": []}"#).unwrap_err();
    assert_eq!(error.class, ErrorClass::ProviderDecode);
}

#[test]
fn every_error_class_is_told() {
    for (status, file, class) in [
        (429, "error_quota_429", ErrorClass::ProviderQuota),
        (429, "error_rate_429", ErrorClass::ProviderRateLimited),
        (401, "error_key_401", ErrorClass::ProviderAuth),
        (404, "error_model_404", ErrorClass::ProviderModelNotFound),
    ] {
        assert_eq!(error("openai", status, &format!("openai_chat/{file}.json")).class, class, "{file}");
    }
}
