//! Google's generateContent.

use acm2_outbound::providers::encode_key_test;

use super::*;

#[test]
fn a_call_becomes_a_generate_content_request() {
    let call = full_call("google", "gemini-3.6-pro");
    assert_eq!(request("google", &call).url.as_str(), "https://llm.example/v1/models/gemini-3.6-pro:generateContent");
    assert_eq!(
        body("google", &call),
        json!({
            "contents": [
                {"role": "user", "parts": [{"text": "hello"}]},
                {"role": "model", "parts": [{"text": "hi"}]},
                {"role": "user", "parts": [{"text": "what is 2 + 2?"}]},
            ],
            "systemInstruction": {"parts": [{"text": "be brief"}]},
            "generationConfig": {"maxOutputTokens": 300, "temperature": 0.5, "topP": 0.25},
        })
    );
}

#[test]
fn an_expected_answer_is_asked_for_by_its_json_schema() {
    let config = json!({"responseMimeType": "application/json", "responseJsonSchema": scores_schema()});
    assert_eq!(added_for_judging("google"), json!({"generationConfig": config}));
    let with_limit = Call { max_output_tokens: Some(300), ..judging_call("google") };
    assert_eq!(body("google", &with_limit)["generationConfig"]["maxOutputTokens"], 300);
}

#[test]
fn a_models_name_cannot_change_the_path() {
    let url = |model| request("google", &call("google", model)).url.to_string();
    assert_eq!(url("models/gemini-3"), "https://llm.example/v1/models/gemini-3:generateContent");
    assert_eq!(url("../../x?key=1"), "https://llm.example/v1/models/..%2F..%2Fx%3Fkey=1:generateContent");
}

#[test]
fn the_key_test_asks_for_one_model() {
    let request = encode_key_test(provider("google"), &Url::parse("https://llm.example/v1").unwrap());
    assert_eq!(request.url.as_str(), "https://llm.example/v1/models?pageSize=1");
}

#[test]
fn a_plain_answer_is_read() {
    let answer = answer("google", "gemini_generate_content/success.json");
    assert_eq!((answer.text.as_str(), answer.finish_reason), ("Four.", FinishReason::Stop));
    assert_eq!(answer.usage, Some(usage(8, 0, 0, 3, 0)));
    assert_eq!(answer.provider_model.as_deref(), Some("gemini-3.6-pro"));
    assert_eq!(answer.provider_request_id.as_deref(), Some("kx9XaZ"));
}

#[test]
fn thoughts_count_as_output_but_are_not_the_answer() {
    let answer = answer("google", "gemini_generate_content/cached_and_thoughts.json");
    assert_eq!(answer.usage, Some(usage(1030, 900, 0, 200, 180)));
    assert_eq!(answer.text, "2 + 2 = 4.");
}

#[test]
fn every_finish_is_told() {
    for (file, expected) in [
        ("max_tokens", FinishReason::Length),
        ("safety", FinishReason::ContentFilter),
        ("prompt_blocked", FinishReason::ContentFilter),
        ("unknown_values", FinishReason::Other),
    ] {
        assert_eq!(answer("google", &format!("gemini_generate_content/{file}.json")).finish_reason, expected, "{file}");
    }
    assert_eq!(answer("google", "gemini_generate_content/max_tokens.json").usage, Some(usage(8, 0, 0, 50, 50)));
}

#[test]
fn every_error_class_is_told() {
    for (status, file, class, code) in [
        (400, "error_key_400", ErrorClass::ProviderAuth, "API_KEY_INVALID"),
        (401, "error_key_type_401", ErrorClass::ProviderAuth, "ACCESS_TOKEN_TYPE_UNSUPPORTED"),
        (400, "error_request_400", ErrorClass::ProviderRequest, "INVALID_ARGUMENT"),
        (429, "error_rate_429", ErrorClass::ProviderRateLimited, "RESOURCE_EXHAUSTED"),
        (429, "error_per_day_429", ErrorClass::ProviderQuota, "RESOURCE_EXHAUSTED"),
        (503, "error_unavailable_503", ErrorClass::ProviderOverloaded, "UNAVAILABLE"),
        (404, "error_model_404", ErrorClass::ProviderModelNotFound, "NOT_FOUND"),
        (200, "error_in_200", ErrorClass::ProviderOverloaded, "UNAVAILABLE"),
    ] {
        let error = error("google", status, &format!("gemini_generate_content/{file}.json"));
        assert_eq!((error.class, error.provider_code.as_deref()), (class, Some(code)), "{file}");
    }
}

#[test]
fn the_delay_stands_in_the_body() {
    let limited = error("google", 429, "gemini_generate_content/error_rate_429.json");
    assert_eq!(limited.retry_after, Some(Duration::from_nanos(45_837_906_927)));
}
