//! Anthropic's words (platform.claude.com/docs/en/api/errors), versions and model list.

use std::time::Duration;

use chrono::SecondsFormat;
use poem::http::HeaderMap;
use serde_json::{Value, json};

use super::{About, Refusal, model_names, parameter};
use crate::{fault::Fault, log::now};

/// The version that refuses sampling parameters.
pub(crate) const CURRENT_VERSION: &str = "2026-10-21";
const VERSIONS: [&str; 3] = [CURRENT_VERSION, "2023-06-01", "2023-01-01"];

/// The `anthropic-version` of a request.
pub(crate) fn version(headers: &HeaderMap) -> Result<&'static str, Fault> {
    let Some(sent) = headers.get("anthropic-version") else {
        return Err(Fault::invalid("anthropic-version: header is required", "anthropic-version"));
    };
    let known = VERSIONS.iter().find(|version| sent.as_bytes() == version.as_bytes());
    known.copied().ok_or_else(|| {
        let sent = String::from_utf8_lossy(sent.as_bytes());
        Fault::invalid(format!("anthropic-version: \"{sent}\" is not a valid version"), "anthropic-version")
    })
}

pub(super) fn refusal(fault: &Fault, about: About<'_>) -> Refusal {
    let id = about.request_id;
    match fault {
        Fault::KeyMissing => error(401, "x-api-key header is required", None, id),
        Fault::KeyWrong(_) => error(401, "invalid x-api-key", None, id),
        Fault::KeyRevoked => error(401, "This API key has been revoked.", None, id),
        Fault::NoCredit => no_credit(id),
        Fault::QuotaSpent => error(
            429,
            "You have reached your specified API usage limits.",
            Some(json!({"error_code": "enforced_spend_limit_reached"})),
            id,
        )
        .header("x-should-retry", "false"),
        Fault::KeyRepeated(key) => {
            error(400, &format!("Invalid request made with API key {}.", key.exposed()), None, id)
        }
        Fault::ModelUnknown => error(404, &format!("model: {}", about.model), None, id),
        Fault::Invalid(message, _) => error(400, message, None, id),
        Fault::TooLarge => error(413, "Request exceeds the maximum size", None, id),
        Fault::Status { status, .. } => failed(*status, about),
    }
}

fn failed(status: u16, about: About<'_>) -> Refusal {
    let id = about.request_id;
    match status {
        401 => error(401, "invalid x-api-key", None, id),
        402 => no_credit(id),
        403 => error(403, "Your API key does not have permission to use the specified resource.", None, id),
        404 => error(404, &format!("model: {}", about.model), None, id),
        429 => error(429, "This request would exceed your account's rate limit. Please try again later.", None, id)
            .header("retry-after", "1")
            .header("x-should-retry", "true"),
        529 => error(529, "Overloaded", None, id).header("x-should-retry", "true"),
        500..=599 => error(status, "Internal server error", None, id).header("x-should-retry", "true"),
        _ => error(status, &format!("The sandbox was asked to answer with status {status}."), None, id),
    }
}

fn no_credit(id: &str) -> Refusal {
    let message = "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing to upgrade or purchase credits.";
    error(402, message, None, id).header("x-should-retry", "false")
}

fn error(status: u16, message: &str, details: Option<Value>, request_id: &str) -> Refusal {
    let kind = match status {
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        504 => "timeout_error",
        529 => "overloaded_error",
        400..=499 => "invalid_request_error",
        _ => "api_error",
    };
    let mut error = json!({"type": kind, "message": message});
    if let Some(details) = details {
        error["details"] = details;
    }
    Refusal::new(status, json!({"type": "error", "error": error, "request_id": format!("req_{request_id}")}))
}

pub(super) fn rate_headers() -> Vec<(&'static str, String)> {
    let reset = (now() + Duration::from_mins(1)).to_rfc3339_opts(SecondsFormat::Secs, true);
    [
        ("anthropic-ratelimit-requests-limit", "4000"),
        ("anthropic-ratelimit-requests-remaining", "3999"),
        ("anthropic-ratelimit-requests-reset", &reset),
        ("anthropic-ratelimit-input-tokens-limit", "2000000"),
        ("anthropic-ratelimit-input-tokens-remaining", "1999000"),
        ("anthropic-ratelimit-input-tokens-reset", &reset),
        ("anthropic-ratelimit-output-tokens-limit", "400000"),
        ("anthropic-ratelimit-output-tokens-remaining", "399000"),
        ("anthropic-ratelimit-output-tokens-reset", &reset),
    ]
    .map(|(name, value)| (name, value.to_owned()))
    .into()
}

/// A page of the list: `limit` (20, at most 1000) models after the one named by `after_id`.
pub(super) fn models(query: &[(String, String)]) -> Value {
    let names = model_names();
    let limit = parameter(query, "limit").and_then(|limit| limit.parse().ok()).unwrap_or(20_usize).clamp(1, 1000);
    let after = parameter(query, "after_id").and_then(|id| names.iter().position(|name| *name == id));
    let rest = &names[after.map_or(0, |position| position + 1)..];
    let page = &rest[..limit.min(rest.len())];
    let models: Vec<_> = page
        .iter()
        .map(|name| {
            json!({
                "type": "model",
                "id": name,
                "display_name": format!("Sandbox {name}"),
                "created_at": "2026-01-01T00:00:00Z",
            })
        })
        .collect();
    json!({"data": models, "has_more": rest.len() > page.len(), "first_id": page.first(), "last_id": page.last()})
}
