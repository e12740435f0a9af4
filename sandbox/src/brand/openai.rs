//! OpenAI's words (platform.openai.com/docs/guides/error-codes); also for the brands that copy them.

use serde_json::{Value, json};

use super::{About, Refusal, model_names};
use crate::fault::Fault;

const SERVER_ERROR: &str = "The server had an error while processing your request. Sorry about that!";

pub(super) fn refusal(fault: &Fault, about: About<'_>) -> Refusal {
    match fault {
        Fault::KeyMissing => error(
            401,
            "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer auth (i.e. Authorization: Bearer YOUR_KEY).",
            "invalid_request_error",
            None,
            None,
        ),
        Fault::KeyWrong(key) => error(
            401,
            &format!(
                "Incorrect API key provided: {}. You can find your API key at https://platform.openai.com/account/api-keys.",
                key.masked()
            ),
            "invalid_request_error",
            None,
            Some("invalid_api_key"),
        ),
        Fault::KeyRevoked => {
            error(401, "This API key has been revoked.", "invalid_request_error", None, Some("invalid_api_key"))
        }
        Fault::NoCredit | Fault::QuotaSpent => error(
            429,
            "You exceeded your current quota, please check your plan and billing details. For more information on this error, read the docs: https://platform.openai.com/docs/guides/error-codes/api-errors.",
            "insufficient_quota",
            None,
            Some("insufficient_quota"),
        ),
        Fault::KeyRepeated(key) => error(
            400,
            &format!("Invalid request made with API key {}.", key.exposed()),
            "invalid_request_error",
            None,
            None,
        ),
        Fault::ModelUnknown => unknown_model(about.model),
        Fault::Invalid(message, param) => error(400, message, "invalid_request_error", *param, None),
        Fault::TooLarge => error(413, "The request body is too large.", "invalid_request_error", None, None),
        Fault::Status { status, .. } => failed(*status, about),
    }
}

fn failed(status: u16, about: About<'_>) -> Refusal {
    match status {
        401 => error(
            401,
            "Incorrect API key provided. You can find your API key at https://platform.openai.com/account/api-keys.",
            "invalid_request_error",
            None,
            Some("invalid_api_key"),
        ),
        // OpenAI itself never sends a 402; this is what DeepSeek says on the same wire.
        402 => error(402, "Insufficient Balance", "unknown_error", None, Some("invalid_request_error")),
        403 => error(
            403,
            "Country, region, or territory not supported",
            "request_forbidden",
            None,
            Some("unsupported_country_region_territory"),
        ),
        404 => unknown_model(about.model),
        429 => error(
            429,
            &format!(
                "Rate limit reached for {} in organization org-sandbox on requests per min (RPM): Limit 3, Used 3, Requested 1. Please try again in 1s.",
                about.model
            ),
            "requests",
            None,
            Some("rate_limit_exceeded"),
        )
        .header("retry-after", "1"),
        503 => error(
            503,
            "The engine is currently overloaded, please try again later",
            "service_unavailable_error",
            None,
            None,
        ),
        500..=599 => error(status, SERVER_ERROR, "server_error", None, None),
        _ => error(
            status,
            &format!("The sandbox was asked to answer with status {status}."),
            "invalid_request_error",
            None,
            None,
        ),
    }
}

fn unknown_model(model: &str) -> Refusal {
    error(
        404,
        &format!("The model `{model}` does not exist or you do not have access to it."),
        "invalid_request_error",
        None,
        Some("model_not_found"),
    )
}

fn error(status: u16, message: &str, kind: &str, param: Option<&str>, code: Option<&str>) -> Refusal {
    Refusal::new(status, json!({"error": {"message": message, "type": kind, "param": param, "code": code}}))
}

pub(super) fn rate_headers() -> Vec<(&'static str, String)> {
    [
        ("openai-version", "2020-10-01"),
        ("openai-processing-ms", "1"),
        ("x-ratelimit-limit-requests", "10000"),
        ("x-ratelimit-remaining-requests", "9999"),
        ("x-ratelimit-reset-requests", "6ms"),
        ("x-ratelimit-limit-tokens", "2000000"),
        ("x-ratelimit-remaining-tokens", "1999000"),
        ("x-ratelimit-reset-tokens", "30ms"),
    ]
    .map(|(name, value)| (name, value.to_owned()))
    .into()
}

pub(super) fn models() -> Value {
    let models: Vec<_> = model_names()
        .into_iter()
        .map(|name| json!({"id": name, "object": "model", "created": 1_767_225_600, "owned_by": "sandbox"}))
        .collect();
    json!({"object": "list", "data": models})
}
