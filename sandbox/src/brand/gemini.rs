//! Gemini's words (ai.google.dev/gemini-api/docs/troubleshooting, google.rpc error details) and model list.

use serde_json::{Value, json};

use super::{About, Refusal, model_names, parameter};
use crate::{fault::Fault, wire::Wire};

const SERVICE: &str = "generativelanguage.googleapis.com";
const OVER_QUOTA: &str = "You exceeded your current quota, please check your plan and billing details. For more information on this error, head to: https://ai.google.dev/gemini-api/docs/rate-limits.";

pub(super) fn refusal(fault: &Fault, about: About<'_>) -> Refusal {
    match fault {
        Fault::KeyMissing => error(
            403,
            "Method doesn't allow unregistered callers (callers without established identity). Please use API Key or other form of API consumer identity to call this API.",
            vec![],
        ),
        Fault::KeyWrong(_) => error(
            400,
            "API key not valid. Please pass a valid API key.",
            vec![
                error_info("API_KEY_INVALID"),
                json!({
                    "@type": "type.googleapis.com/google.rpc.LocalizedMessage",
                    "locale": "en-US",
                    "message": "API key not valid. Please pass a valid API key.",
                }),
            ],
        ),
        Fault::KeyRevoked => error(403, "Your API key was reported as leaked. Please use another API key.", vec![]),
        Fault::NoCredit | Fault::QuotaSpent => error(
            429,
            OVER_QUOTA,
            vec![quota_failure("GenerateRequestsPerDayPerProjectPerModel-FreeTier", about.model), help()],
        ),
        Fault::KeyRepeated(key) => error(400, &format!("Invalid request made with API key {}.", key.exposed()), vec![]),
        Fault::ModelUnknown => unknown_model(about),
        Fault::Invalid(message, _) => error(400, message, vec![]),
        Fault::TooLarge => error(413, "Request payload size exceeds the limit.", vec![]),
        Fault::Status { status, .. } => failed(*status, about),
    }
}

fn failed(status: u16, about: About<'_>) -> Refusal {
    match status {
        401 => error(
            401,
            "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid authentication credential.",
            vec![error_info("ACCESS_TOKEN_TYPE_UNSUPPORTED")],
        ),
        402 => error(402, "Your prepayment credits are depleted. Please add credits to continue.", vec![]),
        403 => error(403, "The caller does not have permission", vec![]),
        404 => unknown_model(about),
        // No Retry-After here: the delay stands in the body.
        429 => error(
            429,
            &format!("{OVER_QUOTA}\nPlease retry in 1s."),
            vec![
                quota_failure("GenerateRequestsPerMinutePerProjectPerModel", about.model),
                help(),
                json!({"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "1s"}),
            ],
        ),
        500 => error(
            500,
            "An internal error has occurred. Please retry or report in https://developers.generativeai.google/guide/troubleshooting",
            vec![],
        ),
        503 => error(503, "The model is overloaded. Please try again later.", vec![]),
        _ => error(status, &format!("The sandbox was asked to answer with status {status}."), vec![]),
    }
}

fn unknown_model(about: About<'_>) -> Refusal {
    let purpose = if about.wire == Wire::KeyTest { "this method" } else { "generateContent" };
    let message = format!(
        "models/{} is not found for API version v1beta, or is not supported for {purpose}. Call ListModels to see the list of available models and their supported methods.",
        about.model
    );
    error(404, &message, vec![])
}

fn error_info(reason: &str) -> Value {
    json!({
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": reason,
        "domain": "googleapis.com",
        "metadata": {"service": SERVICE},
    })
}

fn quota_failure(quota: &str, model: &str) -> Value {
    json!({
        "@type": "type.googleapis.com/google.rpc.QuotaFailure",
        "violations": [{
            "quotaMetric": format!("{SERVICE}/generate_content_requests"),
            "quotaId": quota,
            "quotaDimensions": {"location": "global", "model": model},
        }],
    })
}

fn help() -> Value {
    json!({
        "@type": "type.googleapis.com/google.rpc.Help",
        "links": [{
            "description": "Learn more about Gemini API quotas",
            "url": "https://ai.google.dev/gemini-api/docs/rate-limits",
        }],
    })
}

fn error(status: u16, message: &str, details: Vec<Value>) -> Refusal {
    let name = match status {
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        409 => "ABORTED",
        402 | 429 => "RESOURCE_EXHAUSTED",
        400..=498 => "INVALID_ARGUMENT",
        499 => "CANCELLED",
        500 => "INTERNAL",
        501 => "UNIMPLEMENTED",
        503 => "UNAVAILABLE",
        504 => "DEADLINE_EXCEEDED",
        _ => "UNKNOWN",
    };
    let mut error = json!({"code": status, "message": message, "status": name});
    if !details.is_empty() {
        error["details"] = Value::Array(details);
    }
    Refusal::new(status, json!({"error": error}))
}

/// A page of the list: `pageSize` (50, at most 1000) models from the place that `pageToken` names.
pub(super) fn models(query: &[(String, String)]) -> Value {
    let names = model_names();
    let number = |name| parameter(query, name).and_then(|value| value.parse::<usize>().ok());
    let size = number("pageSize").filter(|size| *size > 0).unwrap_or(50).min(1000);
    let start = number("pageToken").unwrap_or_default().min(names.len());
    let end = (start + size).min(names.len());
    let models: Vec<_> = names[start..end]
        .iter()
        .map(|name| {
            json!({
                "name": format!("models/{name}"),
                "version": "001",
                "displayName": format!("Sandbox {name}"),
                "description": "A behaviour of the sandbox.",
                "inputTokenLimit": 1_000_000,
                "outputTokenLimit": 1_000_000,
                "supportedGenerationMethods": ["generateContent"],
            })
        })
        .collect();
    let mut list = json!({"models": models});
    if end < names.len() {
        list["nextPageToken"] = json!(end.to_string());
    }
    list
}
