//! The wire formats on bodies of the recorded shape (tests/fixtures, one folder per wire).

mod anthropic_messages;
mod gemini_generate_content;
mod gemini_images;
mod openai_chat;
mod openai_images;
mod openai_responses;
mod search;

use std::time::Duration;

use acm2_domain::artifact::{ArtifactType, MOST_ARTIFACT_BYTES};
use acm2_domain::call::{Answer, Call, CallError, ErrorClass, FinishReason, Message, Role, Sampling, Usage};
use acm2_domain::image::{ImageQuality, ImageSize, ImageSpec};
use acm2_domain::judging::{Expectation, Scoring};
use acm2_domain::providers::{PROVIDERS, Provider, find_provider};
use acm2_outbound::providers::{HttpRequest, authorize, decode, encode, wire_of};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use secrecy::SecretString;
use serde_json::{Value, json};
use url::Url;

pub(crate) fn provider(slug: &str) -> &'static Provider {
    find_provider(slug).unwrap()
}

/// A call of two turns and a question, with nothing optional.
pub(crate) fn call(slug: &str, model: &str) -> Call {
    let turn = |role, content: &str| Message { role, content: content.to_owned() };
    Call {
        provider: slug.to_owned(),
        model: model.to_owned(),
        provider_key: None,
        system: None,
        messages: vec![turn(Role::User, "hello"), turn(Role::Assistant, "hi"), turn(Role::User, "what is 2 + 2?")],
        sampling: Sampling::default(),
        max_output_tokens: None,
        timeout: Duration::from_mins(10),
        max_retries: 2,
        expects: None,
        question: None,
        image: None,
    }
}

/// The same with everything that is optional.
fn full_call(slug: &str, model: &str) -> Call {
    Call {
        system: Some("be brief".to_owned()),
        sampling: Sampling { temperature: Some(0.5), top_p: Some(0.25) },
        max_output_tokens: Some(300),
        ..call(slug, model)
    }
}

/// A call whose answer must be scores.
fn judging_call(slug: &str) -> Call {
    let criteria = vec!["Clarity".to_owned(), "Depth".to_owned()];
    Call { expects: Some(Expectation::Scores(Scoring { criteria })), ..call(slug, "m") }
}

/// The schema of its answer, written out as the providers take it.
fn scores_schema() -> Value {
    json!({
        "type": "object",
        "properties": {"evaluations": {"type": "array", "items": {
            "type": "object",
            "properties": {
                "criterion": {"type": "string", "enum": ["Clarity", "Depth"]},
                "score": {"type": "integer", "enum": [1, 2, 3, 4, 5]},
                "reason": {"type": "string"},
            },
            "required": ["criterion", "score", "reason"],
            "additionalProperties": false,
        }}},
        "required": ["evaluations"],
        "additionalProperties": false,
    })
}

/// The body of a call whose answer must be scores, without what the same call has that expects nothing.
fn added_for_judging(slug: &str) -> Value {
    let plain = body(slug, &call(slug, "m"));
    let mut judging = body(slug, &judging_call(slug));
    judging.as_object_mut().unwrap().retain(|name, value| plain.get(name) != Some(value));
    judging
}

fn request(slug: &str, call: &Call) -> HttpRequest {
    let provider = provider(slug);
    encode(provider, wire_of(provider, call).unwrap(), call, &Url::parse("https://llm.example/v1").unwrap())
}

fn body(slug: &str, call: &Call) -> Value {
    serde_json::from_slice(&request(slug, call).body).unwrap()
}

fn fixture(path: &str) -> Vec<u8> {
    std::fs::read(format!("{}/tests/fixtures/{path}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn decoded(
    slug: &str,
    status: u16,
    headers: &[(&'static str, &'static str)],
    body: &[u8],
) -> Result<Answer, CallError> {
    let headers: HeaderMap =
        headers.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect();
    decode(provider(slug), provider(slug).wire, StatusCode::from_u16(status).unwrap(), &headers, body)
}

/// The same of the wire of images.
fn decoded_image(slug: &str, status: u16, body: &[u8]) -> Result<Answer, CallError> {
    let provider = provider(slug);
    let status = StatusCode::from_u16(status).unwrap();
    decode(provider, provider.image_wire.unwrap(), status, &HeaderMap::new(), body)
}

/// A call that wants an image.
fn image_call(slug: &str, model: &str, image: ImageSpec) -> Call {
    let messages = vec![Message { role: Role::User, content: "a fox in snow".to_owned() }];
    Call { messages, max_output_tokens: Some(2_048), image: Some(image), ..call(slug, model) }
}

fn answer(slug: &str, file: &str) -> Answer {
    decoded(slug, 200, &[], &fixture(file)).unwrap()
}

fn error(slug: &str, status: u16, file: &str) -> CallError {
    let error = decoded(slug, status, &[], &fixture(file)).unwrap_err();
    assert_eq!(error.http_status, Some(status), "{file}");
    assert!(error.sent, "{file}");
    assert!(!error.message.is_empty(), "{file}");
    error
}

fn usage(input: u64, cached: u64, written: u64, output: u64, reasoning: u64) -> Usage {
    Usage {
        input_tokens: input,
        cached_input_tokens: cached,
        cache_write_tokens: written,
        output_tokens: output,
        reasoning_tokens: reasoning,
        image_tokens: 0,
    }
}

const EVERY_WIRE: [&str; 7] = ["openrouter", "openai", "anthropic", "google", "exa", "tavily", "serper"];
const EVERY_IMAGE_WIRE: [&str; 2] = ["openai", "google"];

#[test]
fn the_key_stands_in_one_sensitive_header_and_nowhere_else() {
    for (slug, name, value) in [
        ("openrouter", "authorization", "Bearer sk-canary-0001"),
        ("openai", "authorization", "Bearer sk-canary-0001"),
        ("anthropic", "x-api-key", "sk-canary-0001"),
        ("google", "x-goog-api-key", "sk-canary-0001"),
        ("exa", "x-api-key", "sk-canary-0001"),
        ("tavily", "authorization", "Bearer sk-canary-0001"),
        ("serper", "x-api-key", "sk-canary-0001"),
    ] {
        let mut headers = HeaderMap::new();
        authorize(provider(slug).wire, &mut headers, &SecretString::from("sk-canary-0001")).unwrap();
        assert_eq!(headers.len(), 1, "{slug}");
        assert_eq!(headers[name], value, "{slug}");
        assert!(headers[name].is_sensitive(), "{slug}");
        assert!(!format!("{headers:?}").contains("canary"), "{slug}");
    }
}

#[test]
fn a_key_with_a_line_break_is_refused_without_being_shown() {
    for slug in EVERY_WIRE {
        let key = SecretString::from("sk-canary\r\nx-evil: 1");
        let error = authorize(provider(slug).wire, &mut HeaderMap::new(), &key).unwrap_err();
        assert!(!error.to_string().contains("canary"));
    }
}

#[test]
fn sampling_parameters_and_limits_are_sent_only_where_the_caller_set_them() {
    for slug in EVERY_WIRE {
        let text = body(slug, &call(slug, "m")).to_string();
        for word in ["temperature", "top_p", "topP", "generationConfig", "null"] {
            assert!(!text.contains(word), "{slug}: {word} in {text}");
        }
    }
}

#[test]
fn no_schema_is_sent_to_a_provider_that_does_not_take_one_with_every_model() {
    let plain: Vec<_> = PROVIDERS.iter().filter(|provider| !provider.takes_schema).map(|row| row.slug).collect();
    assert_eq!(plain, ["openrouter", "groq", "deepseek", "together", "exa", "tavily", "serper", "openai-compatible"]);
    for slug in plain {
        assert_eq!(added_for_judging(slug), json!({}), "{slug}");
    }
}

#[test]
fn the_schema_of_a_preference_is_sent_by_its_own_name() {
    let call = Call { expects: Some(Expectation::Preference), ..call("openai", "m") };
    let format = &body("openai", &call)["text"]["format"];
    assert_eq!(format["name"], "preference");
    assert_eq!(format["schema"]["properties"]["winner"], json!({"type": "string", "enum": ["A", "B"]}));
}

#[test]
fn what_is_no_json_object_of_the_wire_is_a_decode_error() {
    let page = fixture("openai_chat/error_page_502.html");
    for slug in EVERY_WIRE {
        for body in
            [b"".as_slice(), b"{", b"null", b"[]", b"{}", b"42", b"\"text\"", b"{\"choices\":[]}", b"\xff\xfe", &page]
        {
            let error = decoded(slug, 200, &[], body).unwrap_err();
            assert_eq!(error.class, ErrorClass::ProviderDecode, "{slug}: {body:?}");
            for slug in EVERY_IMAGE_WIRE {
                assert_eq!(decoded_image(slug, 200, body).unwrap_err().class, ErrorClass::ProviderDecode);
            }
        }
    }
}

#[test]
fn bytes_that_are_no_image_are_refused_whatever_they_are_said_to_be() {
    let openai = |data: &str| json!({"data": [{"b64_json": data}], "output_format": "png"});
    let google = |data: &str| {
        let part = json!({"inlineData": {"mimeType": "image/png", "data": data}});
        json!({"candidates": [{"content": {"parts": [part]}, "finishReason": "STOP"}]})
    };
    let large = [b"\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR".as_slice(), &vec![0; MOST_ARTIFACT_BYTES]].concat();
    for (data, why) in [
        (STANDARD.encode("<html><script>alert(1)</script>"), "neither PNG nor JPEG nor WebP"),
        (STANDARD.encode("<svg xmlns='http://www.w3.org/2000/svg'/>"), "neither PNG nor JPEG nor WebP"),
        (STANDARD.encode(large), "larger than 8388608 bytes"),
        ("not base64!".to_owned(), "not base64"),
    ] {
        for (slug, body) in [("openai", openai(&data)), ("google", google(&data))] {
            let error = decoded_image(slug, 200, body.to_string().as_bytes()).unwrap_err();
            assert_eq!((error.class, error.should_retry), (ErrorClass::ProviderDecode, Some(false)), "{slug}");
            assert!(error.message.contains(why), "{}", error.message);
            assert!(error.in_doubt());
        }
    }
}

#[test]
fn a_proxys_page_is_classed_by_its_status() {
    for slug in EVERY_WIRE {
        let error = error(slug, 502, "openai_chat/error_page_502.html");
        assert_eq!(error.class, ErrorClass::ProviderOverloaded);
        assert_eq!(error.message, "the provider answered with a page instead of JSON: 502 Bad Gateway");
    }
}

#[test]
fn a_redirect_is_an_error_that_says_so() {
    for slug in EVERY_WIRE {
        let error = decoded(slug, 307, &[("location", "https://evil.example")], b"").unwrap_err();
        assert_eq!(error.class, ErrorClass::ProviderRequest);
        assert!(error.message.contains("redirects are not followed"), "{}", error.message);
    }
}

#[test]
fn the_providers_word_on_retries_is_passed_on_but_for_money_and_keys() {
    for slug in EVERY_WIRE {
        let told = |status, word| decoded(slug, status, &[("x-should-retry", word)], b"{}").unwrap_err().should_retry;
        assert_eq!(told(500, "false"), Some(false));
        assert_eq!(told(400, "true"), Some(true));
        assert_eq!(told(401, "true"), None);
        assert_eq!(told(402, "true"), None);
        assert_eq!(told(402, "false"), Some(false));
        assert_eq!(told(500, "perhaps"), None);
    }
}

#[test]
fn the_request_id_comes_from_the_header_before_the_body() {
    for (slug, file) in [
        ("openrouter", "openai_chat/success.json"),
        ("openai", "openai_responses/success.json"),
        ("anthropic", "anthropic_messages/success.json"),
        ("google", "gemini_generate_content/success.json"),
    ] {
        let header = if slug == "anthropic" { "request-id" } else { "x-request-id" };
        let with = decoded(slug, 200, &[(header, "req-7")], &fixture(file)).unwrap();
        assert_eq!(with.provider_request_id.as_deref(), Some("req-7"), "{slug}");
        assert!(answer(slug, file).provider_request_id.is_some(), "{slug}");
    }
}

mod hostile {
    use proptest::prelude::*;

    use super::*;

    fn any_json() -> impl Strategy<Value = Value> {
        let name = prop_oneof![
            "choices|message|content|error|usage|results|organic|title|url|link|highlights|costDollars|total|output|candidates|status|type|code|details|metadata|finish_reason|parts|text|data|b64_json|inlineData",
            "[a-z]{1,4}",
        ];
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            ".{0,6}".prop_map(Value::from),
        ];
        leaf.prop_recursive(5, 40, 5, move |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::hash_map(name.clone(), inner, 0..6).prop_map(|map| json!(map)),
            ]
        })
    }

    proptest! {
        #[test]
        fn no_json_and_no_status_makes_a_wire_panic(value in any_json(), status in 200_u16..600) {
            for slug in EVERY_WIRE {
                let _ = decoded(slug, status, &[], value.to_string().as_bytes());
            }
            for slug in EVERY_IMAGE_WIRE {
                let _ = decoded_image(slug, status, value.to_string().as_bytes());
            }
        }
    }
}
