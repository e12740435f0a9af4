//! Anthropic's messages (platform.claude.com/docs/en/api/messages), version 2026-10-21. Pure.

use std::time::Duration;

use acm2_domain::call::{Answer, Call, CallError, FinishReason, Usage};
use acm2_domain::providers::Provider;
use http::{HeaderMap, HeaderName, StatusCode};
use secrecy::SecretString;
use serde_json::{Value, json};
use url::Url;

use super::http_request::HttpRequest;
use super::openai_chat::role;
use super::{Format, UnusableKey, enforced, failure, headers, json, usage};

/// The wire requires a limit; this is sent where a call names none. Every current model allows it, and a judge's or an
/// author's answer seldom exceeds it.
pub const DEFAULT_MAX_TOKENS: u32 = 8_192;

pub(super) const FORMAT: Format =
    Format { encode, decode, authorize, fixed_headers: &[("anthropic-version", "2026-10-21")] };

fn authorize(headers: &mut HeaderMap, key: &SecretString) -> Result<(), UnusableKey> {
    headers::insert_key(headers, HeaderName::from_static("x-api-key"), "", key)
}

fn encode(provider: &Provider, call: &Call, base_url: &Url) -> HttpRequest {
    let turns = call.messages.iter();
    let messages: Vec<Value> =
        turns.map(|message| json!({"role": role(message.role), "content": message.content})).collect();
    let limit = call.max_output_tokens.unwrap_or(DEFAULT_MAX_TOKENS);
    let mut body = json!({"model": call.model, "max_tokens": limit, "messages": messages});
    if let Some(system) = &call.system {
        body["system"] = json!(system);
    }
    // The version refuses these even at their defaults: only what the caller asked for is sent, and the refusal is theirs to see.
    if let Some(temperature) = call.sampling.temperature {
        body["temperature"] = json!(temperature);
    }
    if let Some(top_p) = call.sampling.top_p {
        body["top_p"] = json!(top_p);
    }
    // Generally available since Claude 4.5: no beta header (platform.claude.com/docs/en/build-with-claude/structured-outputs).
    if let Some(expected) = enforced(provider, call) {
        body["output_config"]["format"] = json!({"type": "json_schema", "schema": expected.schema()});
    }
    HttpRequest::post(base_url, ["messages"], &body)
}

fn decode(_: &Provider, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Result<Answer, CallError> {
    let answer = json::answer(status, body)?;
    if answer["type"] == "error" || !answer["error"].is_null() {
        return Err(failure::inside_success(status, headers, &answer));
    }
    let Some(content) = answer["content"].as_array() else {
        return Err(json::not_understood(status, "holds no content"));
    };
    let finish_reason = match answer["stop_reason"].as_str() {
        Some("end_turn" | "stop_sequence") => FinishReason::Stop,
        Some("max_tokens" | "model_context_window_exceeded") => FinishReason::Length,
        Some("refusal") => FinishReason::Refusal,
        _ => FinishReason::Other,
    };
    Ok(Answer {
        text: content
            .iter()
            .filter(|block| block["type"] == "text")
            .filter_map(|block| block["text"].as_str())
            .collect(),
        artifacts: Vec::new(),
        finish_reason,
        usage: tokens(&answer["usage"]),
        reported_cost: None,
        provider_model: json::owned(&answer["model"]),
        provider_request_id: headers::request_id(headers).or_else(|| json::owned(&answer["id"])),
        latency: Duration::ZERO,
        rates: None,
    })
}

/// Anthropic's `input_tokens` exclude what was read from and written to the cache; ours are all.
fn tokens(reported: &Value) -> Option<Usage> {
    let fresh = json::tokens(&reported["input_tokens"])?;
    let cached = json::tokens(&reported["cache_read_input_tokens"]).unwrap_or_default();
    let written = json::tokens(&reported["cache_creation_input_tokens"]).unwrap_or_default();
    Some(usage::consistent(Usage {
        input_tokens: fresh + cached + written,
        cached_input_tokens: cached,
        cache_write_tokens: written,
        output_tokens: json::tokens(&reported["output_tokens"]).unwrap_or_default(),
        reasoning_tokens: json::tokens(&reported["output_tokens_details"]["thinking_tokens"]).unwrap_or_default(),
        image_tokens: 0,
    }))
}
