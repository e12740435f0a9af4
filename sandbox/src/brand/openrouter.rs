//! OpenRouter's words (openrouter.ai/docs/api/reference/errors-and-debugging), its model list and its key status.

use serde_json::{Value, json};

use super::{About, Brand, Refusal, model_names, openai};
use crate::{
    fault::Fault,
    key::{Key, Standing},
    reply::{INPUT_PRICE, OUTPUT_PRICE},
};

pub(super) fn refusal(fault: &Fault, about: About<'_>) -> Refusal {
    match fault {
        Fault::KeyMissing => error(401, "No auth credentials found", None),
        Fault::KeyWrong(_) => error(401, "User not found.", None),
        Fault::KeyRevoked => error(401, "This API key has been disabled.", None),
        Fault::NoCredit => no_credit(),
        Fault::QuotaSpent => {
            // It passes on what the provider behind it said, as text.
            let behind = openai::refusal(fault, about).body.to_string();
            error(429, "Provider returned error", Some(json!({"raw": behind, "provider_name": "Sandbox"})))
        }
        Fault::KeyRepeated(key) => error(400, &format!("Invalid request made with API key {}.", key.exposed()), None),
        Fault::ModelUnknown => unknown_model(about.model),
        Fault::Invalid(message, _) => error(400, message, None),
        Fault::TooLarge => error(413, "The request body is too large.", None),
        Fault::Status { status, passes } => failed(*status, *passes, about),
    }
}

fn failed(status: u16, passes: bool, about: About<'_>) -> Refusal {
    match status {
        401 => error(401, "User not found.", None),
        402 if passes => error(
            402,
            "Your requests in flight already fill your spending budget. Please retry later.",
            Some(json!({"error_type": "in_flight_budget_exhausted", "limit_source": "openrouter_in_flight_budget"})),
        )
        .header("retry-after", "1"),
        402 => no_credit(),
        403 => error(
            403,
            "Your chosen model requires moderation and your input was flagged",
            Some(json!({
                "reasons": ["violence"],
                "flagged_input": "sandbox",
                "provider_name": "Sandbox",
                "model_slug": about.model,
            })),
        ),
        404 => unknown_model(about.model),
        429 => error(429, "Rate limit exceeded", None).header("retry-after", "1"),
        502 => {
            error(502, "Provider returned error", Some(json!({"raw": "upstream error", "provider_name": "Sandbox"})))
        }
        503 => error(503, "No available model provider that meets your routing requirements", None),
        500..=599 => error(status, "Internal Server Error", None),
        _ => error(status, &format!("The sandbox was asked to answer with status {status}."), None),
    }
}

fn no_credit() -> Refusal {
    error(
        402,
        "Insufficient credits. Add more using https://openrouter.ai/settings/credits",
        Some(json!({"error_type": "payment_required", "limit_source": "openrouter_credits"})),
    )
}

fn unknown_model(model: &str) -> Refusal {
    error(404, &format!("No endpoints found for {model}."), None)
}

fn error(status: u16, message: &str, metadata: Option<Value>) -> Refusal {
    let mut error = json!({"message": message, "code": status});
    if let Some(metadata) = metadata {
        error["metadata"] = metadata;
    }
    Refusal::new(status, json!({"error": error}))
}

pub(super) fn models() -> Value {
    let price = |dollars_per_million: u64| format!("0.{dollars_per_million:06}");
    let models: Vec<_> = model_names()
        .into_iter()
        .map(|name| {
            json!({
                "id": name,
                "canonical_slug": name,
                "name": format!("Sandbox: {name}"),
                "created": 1_767_225_600,
                "description": "A behaviour of the sandbox.",
                "context_length": 1_000_000,
                "architecture": {
                    "modality": "text->text",
                    "input_modalities": ["text"],
                    "output_modalities": ["text"],
                    "tokenizer": "Other",
                    "instruct_type": null,
                },
                "pricing": {"prompt": price(INPUT_PRICE), "completion": price(OUTPUT_PRICE), "request": "0", "image": "0"},
                "top_provider": {"context_length": 1_000_000, "max_completion_tokens": null, "is_moderated": false},
                "per_request_limits": null,
                "supported_parameters": ["max_tokens", "temperature"],
            })
        })
        .collect();
    json!({"data": models})
}

/// The answer of `GET /api/v1/key`: limits and use, in US dollars.
pub(crate) fn key_status(key: &Key) -> Value {
    let spent = key.standing() == Standing::NoCredit;
    json!({
        "data": {
            "label": key.masked(),
            "limit": 100,
            "limit_reset": null,
            "limit_remaining": if spent { 0 } else { 100 },
            "usage": if spent { 100 } else { 0 },
            "is_free_tier": false,
            "is_provisioning_key": false,
            "rate_limit": {"requests": -1, "interval": "10s", "note": "This field is deprecated and safe to ignore."},
        },
    })
}

impl Brand {
    /// OpenRouter's list of models is public.
    pub(crate) fn lists_models_without_a_key(self) -> bool {
        self == Self::OpenRouter
    }
}
