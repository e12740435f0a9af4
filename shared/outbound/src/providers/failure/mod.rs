//! From a failed HTTP answer to an error class, a message and a delay, for every wire: the providers' error bodies differ less
//! by wire than by proxy, so one tolerant reading serves all. Called by `providers::decode` and the wire files. Pure.

mod body;
mod class;
mod delay;

use acm2_domain::call::{CallError, ErrorClass};
use http::{HeaderMap, StatusCode};
use serde_json::Value;

use super::{headers, json};
use body::ErrorBody;
pub(crate) use delay::from_headers as delay_from_headers;
pub(super) use delay::parse as parse_delay;

/// The error of an answer whose status is not a success.
pub(super) fn from_answer(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> CallError {
    if status.is_redirection() {
        let message = format!("the provider answered with a redirect ({status}); redirects are not followed");
        return CallError {
            http_status: Some(status.as_u16()),
            provider_request_id: headers::request_id(headers),
            sent: true,
            ..CallError::unsent(ErrorClass::ProviderRequest, message)
        };
    }
    let read = json::read(body).map_or_else(|| ErrorBody::of_text(body), |value| ErrorBody::of_json(&value));
    build(status, headers, read)
}

/// The error that a successful answer holds (OpenRouter, OpenAI's failed responses, proxies).
pub(super) fn inside_success(status: StatusCode, headers: &HeaderMap, answer: &Value) -> CallError {
    build(status, headers, ErrorBody::of_json(answer))
}

fn build(status: StatusCode, headers: &HeaderMap, body: ErrorBody) -> CallError {
    let class = class::classify(status.as_u16(), &body);
    let told = match headers::text(headers, "x-should-retry").map(str::to_ascii_lowercase).as_deref() {
        Some("true") => Some(true),
        Some("false") => Some(false),
        _ => None,
    };
    // A key without credit and a refused key stay what they are, whatever a gateway says about trying again.
    let never = matches!(class, ErrorClass::ProviderQuota | ErrorClass::ProviderAuth);
    CallError {
        class,
        retry_after: from_either(headers, &body),
        message: body.message.unwrap_or_else(|| format!("the provider answered {} without a message", status.as_u16())),
        http_status: Some(status.as_u16()),
        provider_code: body.code,
        provider_request_id: headers::request_id(headers).or(body.request_id),
        should_retry: told.filter(|again| !(*again && never)),
        sent: true,
        rates: None,
    }
}

fn from_either(headers: &HeaderMap, body: &ErrorBody) -> Option<std::time::Duration> {
    delay::from_headers(headers)
        .or_else(|| body.retry_delay.as_deref().and_then(delay::parse))
        .or_else(|| body.message.as_deref().and_then(delay::from_message))
}
