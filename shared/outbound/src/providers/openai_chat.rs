//! OpenAI's chat completions (platform.openai.com/docs/api-reference/chat) and what OpenRouter, Mistral, Groq, DeepSeek, xAI,
//! Together and compatible servers made of it; the differences are the row's quirks or told from the answer. Pure.

use std::time::Duration;

use acm2_domain::call::{Answer, Call, CallError, FinishReason, Role, Usage};
use acm2_domain::providers::Provider;
use http::header::AUTHORIZATION;
use http::{HeaderMap, StatusCode};
use secrecy::SecretString;
use serde_json::{Value, json};
use url::Url;

use super::http_request::HttpRequest;
use super::{Format, UnusableKey, enforced, failure, headers, json, usage};

pub(super) const FORMAT: Format = Format { encode, decode, authorize, fixed_headers: &[] };

pub(super) fn authorize(headers: &mut HeaderMap, key: &SecretString) -> Result<(), UnusableKey> {
    headers::insert_key(headers, AUTHORIZATION, "Bearer ", key)
}

fn encode(provider: &Provider, call: &Call, base_url: &Url) -> HttpRequest {
    let system = call.system.iter().map(|text| json!({"role": "system", "content": text}));
    let turns = call.messages.iter().map(|message| json!({"role": role(message.role), "content": message.content}));
    let mut body = json!({"model": call.model, "messages": system.chain(turns).collect::<Vec<_>>()});
    if let Some(limit) = call.max_output_tokens {
        body[provider.quirks.max_tokens_field] = json!(limit);
    }
    if let Some(temperature) = call.sampling.temperature {
        body["temperature"] = json!(temperature);
    }
    if let Some(top_p) = call.sampling.top_p {
        body["top_p"] = json!(top_p);
    }
    if let Some(expected) = enforced(provider, call) {
        let schema = json!({"name": expected.name(), "strict": true, "schema": expected.schema()});
        body["response_format"] = json!({"type": "json_schema", "json_schema": schema});
    }
    HttpRequest::post(base_url, ["chat", "completions"], &body)
}

/// The name of a role in both of OpenAI's formats and in Anthropic's.
pub(super) const fn role(role: Role) -> &'static str {
    match role {
        Role::User => "user",
        Role::Assistant => "assistant",
    }
}

fn decode(provider: &Provider, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Result<Answer, CallError> {
    let answer = json::answer(status, body)?;
    let choice = &answer["choices"][0];
    // OpenRouter reports a failure of the model's provider inside a 200, in the answer or in the choice.
    let failed = !answer["error"].is_null()
        || !choice["error"].is_null()
        || matches!(choice["finish_reason"].as_str(), Some("error" | "insufficient_system_resource"));
    if failed {
        let part = if answer["error"].is_null() { choice } else { &answer };
        return Err(failure::inside_success(status, headers, part));
    }
    let message = &choice["message"];
    if !message.is_object() {
        return Err(json::not_understood(status, "holds no message"));
    }
    let refusal = json::text(&message["refusal"]);
    let text = content(&message["content"]);
    Ok(Answer {
        artifacts: Vec::new(),
        finish_reason: if refusal.is_some() { FinishReason::Refusal } else { finish(&choice["finish_reason"]) },
        text: if text.is_empty() { refusal.unwrap_or_default().to_owned() } else { text },
        usage: tokens(provider, &answer["usage"]),
        reported_cost: if provider.quirks.reports_cost { usage::reported_cost(&answer["usage"]) } else { None },
        provider_model: json::owned(&answer["model"]),
        provider_request_id: headers::request_id(headers).or_else(|| json::owned(&answer["id"])),
        latency: Duration::ZERO,
        rates: None,
    })
}

/// The text of a message: a string, or Mistral's list of chunks, of which the thinking ones are not the answer.
fn content(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(chunks) => {
            chunks.iter().filter_map(|chunk| chunk.as_str().or_else(|| chunk["text"].as_str())).collect()
        }
        _ => String::new(),
    }
}

fn finish(reason: &Value) -> FinishReason {
    match reason.as_str() {
        // Together says `eos`.
        Some("stop" | "eos") => FinishReason::Stop,
        // Mistral says `model_length` where the context window is full.
        Some("length" | "model_length") => FinishReason::Length,
        Some("content_filter") => FinishReason::ContentFilter,
        Some("refusal") => FinishReason::Refusal,
        _ => FinishReason::Other,
    }
}

fn tokens(provider: &Provider, reported: &Value) -> Option<Usage> {
    let input = json::tokens(&reported["prompt_tokens"]);
    let completion = json::tokens(&reported["completion_tokens"]);
    if input.is_none() && completion.is_none() {
        return None;
    }
    let (input, completion) = (input.unwrap_or_default(), completion.unwrap_or_default());
    let details = &reported["prompt_tokens_details"];
    let reasoning = json::tokens(&reported["completion_tokens_details"]["reasoning_tokens"]).unwrap_or_default();
    let on_top = match json::tokens(&reported["total_tokens"]) {
        // The total decides: servers between us and xAI may have added the reasoning already.
        Some(total) if total == input + completion => false,
        Some(total) if total == input + completion + reasoning => true,
        _ => provider.quirks.reasoning_on_top,
    };
    Some(usage::consistent(Usage {
        input_tokens: input,
        cached_input_tokens: json::tokens(&details["cached_tokens"])
            // DeepSeek's field, beside the totals.
            .or_else(|| json::tokens(&reported["prompt_cache_hit_tokens"]))
            .unwrap_or_default(),
        cache_write_tokens: json::tokens(&details["cache_write_tokens"]).unwrap_or_default(),
        output_tokens: if on_top { completion + reasoning } else { completion },
        reasoning_tokens: reasoning,
        image_tokens: 0,
    }))
}
