//! OpenAI's responses (platform.openai.com/docs/api-reference/responses), not stored at OpenAI and not streamed. Pure.

use std::time::Duration;

use acm2_domain::call::{Answer, Call, CallError, FinishReason, Usage};
use acm2_domain::providers::Provider;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use url::Url;

use super::http_request::HttpRequest;
use super::{Format, enforced, failure, headers, json, openai_chat, usage};

pub(super) const FORMAT: Format = Format { encode, decode, authorize: openai_chat::authorize, fixed_headers: &[] };

fn encode(provider: &Provider, call: &Call, base_url: &Url) -> HttpRequest {
    let turns = call.messages.iter();
    let input: Vec<Value> =
        turns.map(|message| json!({"role": openai_chat::role(message.role), "content": message.content})).collect();
    // OpenAI keeps responses for 30 days unless told not to.
    let mut body = json!({"model": call.model, "input": input, "store": false});
    if let Some(system) = &call.system {
        body["instructions"] = json!(system);
    }
    if let Some(limit) = call.max_output_tokens {
        body["max_output_tokens"] = json!(limit);
    }
    if let Some(temperature) = call.sampling.temperature {
        body["temperature"] = json!(temperature);
    }
    if let Some(top_p) = call.sampling.top_p {
        body["top_p"] = json!(top_p);
    }
    if let Some(expected) = enforced(provider, call) {
        body["text"]["format"] =
            json!({"type": "json_schema", "name": expected.name(), "strict": true, "schema": expected.schema()});
    }
    HttpRequest::post(base_url, ["responses"], &body)
}

fn decode(_: &Provider, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Result<Answer, CallError> {
    let answer = json::answer(status, body)?;
    let state = answer["status"].as_str();
    if !answer["error"].is_null() || matches!(state, Some("failed" | "cancelled")) {
        return Err(failure::inside_success(status, headers, &answer));
    }
    if matches!(state, Some("queued" | "in_progress")) {
        return Err(json::not_understood(status, "came before the response was finished"));
    }
    let Some(output) = answer["output"].as_array() else {
        return Err(json::not_understood(status, "holds no output"));
    };
    let parts = || {
        let messages = output.iter().filter(|item| item["type"] == "message");
        messages.filter_map(|item| item["content"].as_array()).flatten()
    };
    let joined = |kind: &str, field: &str| -> String {
        parts().filter(|part| part["type"] == kind).filter_map(|part| part[field].as_str()).collect()
    };
    let (text, refusal) = (joined("output_text", "text"), joined("refusal", "refusal"));
    let finish_reason = match (state, answer["incomplete_details"]["reason"].as_str()) {
        _ if !refusal.is_empty() => FinishReason::Refusal,
        (Some("completed"), _) => FinishReason::Stop,
        (_, Some("max_output_tokens")) => FinishReason::Length,
        (_, Some("content_filter")) => FinishReason::ContentFilter,
        _ => FinishReason::Other,
    };
    Ok(Answer {
        text: if text.is_empty() { refusal } else { text },
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

fn tokens(reported: &Value) -> Option<Usage> {
    let input = json::tokens(&reported["input_tokens"])?;
    let details = &reported["input_tokens_details"];
    Some(usage::consistent(Usage {
        input_tokens: input,
        cached_input_tokens: json::tokens(&details["cached_tokens"]).unwrap_or_default(),
        cache_write_tokens: json::tokens(&details["cache_write_tokens"]).unwrap_or_default(),
        output_tokens: json::tokens(&reported["output_tokens"]).unwrap_or_default(),
        reasoning_tokens: json::tokens(&reported["output_tokens_details"]["reasoning_tokens"]).unwrap_or_default(),
        image_tokens: 0,
    }))
}
