//! Google's generateContent (ai.google.dev/api/generate-content). The key goes into a header, never into the URL. Pure.

use std::time::Duration;

use acm2_domain::call::{Answer, Call, CallError, FinishReason, Role, Usage};
use acm2_domain::providers::Provider;
use http::{HeaderMap, HeaderName, StatusCode};
use secrecy::SecretString;
use serde_json::{Value, json};
use url::Url;

use super::http_request::HttpRequest;
use super::{Format, UnusableKey, enforced, failure, headers, json, usage};

pub(super) const FORMAT: Format = Format { encode, decode, authorize, fixed_headers: &[] };

fn authorize(headers: &mut HeaderMap, key: &SecretString) -> Result<(), UnusableKey> {
    headers::insert_key(headers, HeaderName::from_static("x-goog-api-key"), "", key)
}

fn encode(provider: &Provider, call: &Call, base_url: &Url) -> HttpRequest {
    request(provider, call, base_url, |_| {})
}

/// The request of a call, to whose body the caller may add.
pub(super) fn request(provider: &Provider, call: &Call, base_url: &Url, add: impl FnOnce(&mut Value)) -> HttpRequest {
    let turns = call.messages.iter();
    let contents: Vec<Value> = turns
        .map(|message| {
            let role = match message.role {
                Role::User => "user",
                Role::Assistant => "model",
            };
            json!({"role": role, "parts": [{"text": message.content}]})
        })
        .collect();
    let mut body = json!({"contents": contents});
    if let Some(system) = &call.system {
        body["systemInstruction"] = json!({"parts": [{"text": system}]});
    }
    if let Some(limit) = call.max_output_tokens {
        body["generationConfig"]["maxOutputTokens"] = json!(limit);
    }
    if let Some(temperature) = call.sampling.temperature {
        body["generationConfig"]["temperature"] = json!(temperature);
    }
    if let Some(top_p) = call.sampling.top_p {
        body["generationConfig"]["topP"] = json!(top_p);
    }
    if let Some(expected) = enforced(provider, call) {
        // `responseSchema` is no JSON Schema: it refuses `additionalProperties` and numbers in an `enum`. This one is to give way to
        // `responseFormat`, whose documented MIME type servers are reported to refuse; Google's own client (google-genai 3.6) still
        // sends these two to this API.
        body["generationConfig"]["responseMimeType"] = json!("application/json");
        body["generationConfig"]["responseJsonSchema"] = expected.schema();
    }
    add(&mut body);
    // Google's listings write `models/gemini-…`.
    let model = call.model.strip_prefix("models/").unwrap_or(&call.model);
    HttpRequest::post(base_url, ["models", &format!("{model}:generateContent")], &body)
}

fn decode(_: &Provider, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Result<Answer, CallError> {
    understand(status, headers, &json::answer(status, body)?)
}

/// What an answer says.
pub(super) fn understand(status: StatusCode, headers: &HeaderMap, answer: &Value) -> Result<Answer, CallError> {
    if !answer["error"].is_null() {
        return Err(failure::inside_success(status, headers, answer));
    }
    let candidate = &answer["candidates"][0];
    let finish_reason = match candidate["finishReason"].as_str() {
        _ if candidate.is_null() && json::text(&answer["promptFeedback"]["blockReason"]).is_some() => {
            FinishReason::ContentFilter
        }
        _ if candidate.is_null() => return Err(json::not_understood(status, "holds no candidate")),
        Some("STOP") => FinishReason::Stop,
        Some("MAX_TOKENS") => FinishReason::Length,
        Some(
            "SAFETY"
            | "RECITATION"
            | "LANGUAGE"
            | "BLOCKLIST"
            | "PROHIBITED_CONTENT"
            | "SPII"
            | "IMAGE_SAFETY"
            | "IMAGE_PROHIBITED_CONTENT"
            | "IMAGE_RECITATION",
        ) => FinishReason::ContentFilter,
        _ => FinishReason::Other,
    };
    let parts = candidate["content"]["parts"].as_array().map(Vec::as_slice).unwrap_or_default();
    Ok(Answer {
        // Parts marked `thought` are summaries of the reasoning, not the answer.
        text: parts.iter().filter(|part| part["thought"] != true).filter_map(|part| part["text"].as_str()).collect(),
        artifacts: Vec::new(),
        finish_reason,
        usage: tokens(&answer["usageMetadata"]),
        reported_cost: None,
        provider_model: json::owned(&answer["modelVersion"]),
        provider_request_id: headers::request_id(headers).or_else(|| json::owned(&answer["responseId"])),
        latency: Duration::ZERO,
        rates: None,
    })
}

/// Gemini counts what the model thought and what tools added to the prompt beside the totals; ours contain them.
fn tokens(reported: &Value) -> Option<Usage> {
    let count = |field: &str| json::tokens(&reported[field]).unwrap_or_default();
    json::tokens(&reported["promptTokenCount"])?;
    let thoughts = count("thoughtsTokenCount");
    Some(usage::consistent(Usage {
        input_tokens: count("promptTokenCount") + count("toolUsePromptTokenCount"),
        cached_input_tokens: count("cachedContentTokenCount"),
        cache_write_tokens: 0,
        output_tokens: count("candidatesTokenCount") + thoughts,
        reasoning_tokens: thoughts,
        image_tokens: 0,
    }))
}
