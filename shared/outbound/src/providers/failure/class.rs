//! THE table from status and error body to error class. Sources: the providers' API references and SDKs as of November 2026.
//! Pure.

use acm2_domain::call::ErrorClass;

use super::body::ErrorBody;

/// Codes that mean: no credit, or a spending limit was met. Trying again does not help.
const BILLING_WORDS: &[&str] = &[
    "insufficient_quota",                // OpenAI
    "credit_balance_exhausted",          // OpenAI
    "billing_hard_limit_reached",        // OpenAI
    "organization_spend_limit_exceeded", // OpenAI
    "project_spend_limit_exceeded",      // OpenAI
    "organization_usage_limit_exceeded", // OpenAI
    "billing_error",                     // Anthropic
    "enforced_spend_limit_reached",      // Anthropic
    "contract_spend_limit_reached",      // Anthropic
    "payment_required",                  // OpenRouter
    "weight_exceeds_budget",             // OpenRouter
    "no_more_credits",                   // Exa
    "api_key_budget_exceeded",           // Exa
];

/// Texts that mean the same, where the code does not tell: Anthropic's and Serper's 400, OpenRouter's 403.
const BILLING_TEXTS: &[&str] =
    &["credit balance is too low", "key limit exceeded", "insufficient balance", "not enough credits"];

/// Statuses that mean the same: 432 and 433 are Tavily's, for the plan's limit and the one of pay-as-you-go.
const BILLING_STATUSES: &[u16] = &[402, 432, 433];

/// Codes of a refused key.
const KEY_WORDS: &[&str] = &["api_key_invalid", "invalid_api_key", "authentication_error", "unauthenticated"];

/// Texts of a refused key in a 400: xAI, Gemini.
const KEY_TEXTS: &[&str] = &["incorrect api key", "invalid api key", "api key not valid", "api key expired"];

/// A 403 that is about the prompt, not about the key (xAI).
const POLICY_TEXTS: &[&str] = &["usage guidelines", "content policy", "safety check"];

const MODEL_WORDS: &[&str] = &["model_not_found", "invalid_model", "model_not_exist"];

const RATE_WORDS: &[&str] =
    &["rate_limit_exceeded", "rate_limit_error", "resource_exhausted", "rate_limited", "in_flight_budget_exhausted"];

const REQUEST_WORDS: &[&str] =
    &["invalid_request_error", "invalid_argument", "failed_precondition", "request_too_large", "cancelled"];

/// The class of an error. `status` is the HTTP status; where that is a success, the body's own status and words decide.
pub(super) fn classify(status: u16, body: &ErrorBody) -> ErrorClass {
    let has = |words: &[&str]| body.words.iter().any(|word| words.contains(&word.as_str()));
    let message = body.message.as_deref().unwrap_or_default().to_ascii_lowercase();
    let says = |texts: &[&str]| texts.iter().any(|text| message.contains(text));
    let status = if status >= 400 { status } else { body.status.unwrap_or(status) };

    if status == 402 && has(&["in_flight_budget_exhausted"]) {
        return ErrorClass::ProviderRateLimited;
    }
    if BILLING_STATUSES.contains(&status) || has(BILLING_WORDS) || (status < 500 && says(BILLING_TEXTS)) {
        return ErrorClass::ProviderQuota;
    }
    match status {
        // OpenRouter's moderation is about the prompt, not about the key.
        403 if body.moderated || says(POLICY_TEXTS) => ErrorClass::ProviderRequest,
        // OpenAI, of a model that the project may not use.
        403 if has(MODEL_WORDS) => ErrorClass::ProviderModelNotFound,
        401 | 403 => ErrorClass::ProviderAuth,
        400 if has(KEY_WORDS) || says(KEY_TEXTS) => ErrorClass::ProviderAuth,
        400 | 404 | 422 if has(MODEL_WORDS) || names_no_model(&message) => ErrorClass::ProviderModelNotFound,
        // Anthropic and Gemini have one path per model or none: what they do not find is the model.
        404 if has(&["not_found_error", "not_found"]) => ErrorClass::ProviderModelNotFound,
        408 | 504 => ErrorClass::ProviderTimeout,
        429 if body.per_day_quota => ErrorClass::ProviderQuota,
        429 => ErrorClass::ProviderRateLimited,
        // 409: a lock at the provider; 425: too early; 498: Groq's flexible capacity is used up.
        409 | 425 | 498 | 500.. => ErrorClass::ProviderOverloaded,
        400..500 => ErrorClass::ProviderRequest,
        _ => inside_success(&has, &body.words),
    }
}

/// An error inside a success that names no status.
fn inside_success(has: &dyn Fn(&[&str]) -> bool, words: &[String]) -> ErrorClass {
    let about_request =
        |word: &String| ["invalid_", "unsupported_", "image_"].iter().any(|start| word.starts_with(start));
    if has(KEY_WORDS) {
        ErrorClass::ProviderAuth
    } else if has(MODEL_WORDS) {
        ErrorClass::ProviderModelNotFound
    } else if has(RATE_WORDS) {
        ErrorClass::ProviderRateLimited
    } else if has(REQUEST_WORDS) || words.iter().any(about_request) {
        ErrorClass::ProviderRequest
    } else {
        // `server_error`, `overloaded_error`, DeepSeek's `insufficient_system_resource`, and what is added since.
        ErrorClass::ProviderOverloaded
    }
}

fn names_no_model(message: &str) -> bool {
    // OpenRouter, which says so of a model; of a wish that no endpoint fulfils it says "that" or "matching".
    message.starts_with("no endpoints found for ")
        || message.contains("model")
            && ["not found", "not exist", "not a valid model", "invalid model", "no such model", "is not found"]
                .iter()
                .any(|text| message.contains(text))
}

#[cfg(test)]
mod tests {
    use ErrorClass::*;
    use serde_json::{Value, json};

    use super::*;

    fn class(status: u16, body: &Value) -> ErrorClass {
        classify(status, &ErrorBody::of_json(body))
    }

    #[test]
    fn a_status_alone_decides_where_the_body_says_nothing() {
        for (status, expected) in [
            (400, ProviderRequest),
            (401, ProviderAuth),
            (402, ProviderQuota),
            (403, ProviderAuth),
            (404, ProviderRequest),
            (405, ProviderRequest),
            (408, ProviderTimeout),
            (409, ProviderOverloaded),
            (413, ProviderRequest),
            (422, ProviderRequest),
            (425, ProviderOverloaded),
            (429, ProviderRateLimited),
            (432, ProviderQuota),
            (433, ProviderQuota),
            (498, ProviderOverloaded),
            (500, ProviderOverloaded),
            (502, ProviderOverloaded),
            (503, ProviderOverloaded),
            (504, ProviderTimeout),
            (520, ProviderOverloaded),
            (529, ProviderOverloaded),
        ] {
            assert_eq!(class(status, &Value::Null), expected, "{status}");
        }
    }

    #[test]
    fn an_answer_about_money_is_a_quota_whatever_its_status() {
        for word in BILLING_WORDS {
            assert_eq!(class(429, &json!({"error": {"code": word}})), ProviderQuota, "{word}");
            assert_eq!(class(429, &json!({"error": {"type": word}})), ProviderQuota, "{word}");
            assert_eq!(class(200, &json!({"error": {"code": word}})), ProviderQuota, "{word}");
        }
        let anthropic = json!({"type": "error", "error": {"type": "rate_limit_error", "details": {"error_code": "enforced_spend_limit_reached"}}});
        assert_eq!(class(429, &anthropic), ProviderQuota);
        let low = json!({"error": {"type": "invalid_request_error", "message": "Your credit balance is too low to access the API."}});
        assert_eq!(class(400, &low), ProviderQuota);
        assert_eq!(
            class(403, &json!({"error": {"code": 403, "message": "Key limit exceeded (total limit)."}})),
            ProviderQuota
        );
    }

    #[test]
    fn only_openrouters_budget_in_flight_passes_by_itself() {
        let body = |code: &str| json!({"error": {"code": 402, "metadata": {"error_type": code}}});
        assert_eq!(class(402, &body("in_flight_budget_exhausted")), ProviderRateLimited);
        assert_eq!(class(402, &body("weight_exceeds_budget")), ProviderQuota);
        assert_eq!(class(200, &body("in_flight_budget_exhausted")), ProviderRateLimited);
    }

    #[test]
    fn a_moderated_prompt_does_not_condemn_the_key() {
        let body = json!({"error": {"code": 403, "message": "flagged", "metadata": {"reasons": ["violence"], "flagged_input": "…"}}});
        assert_eq!(class(403, &body), ProviderRequest);
        let xai = json!({"code": "forbidden", "error": "Content violates usage guidelines. Failed check: SAFETY_CHECK_TYPE_BIO"});
        assert_eq!(class(403, &xai), ProviderRequest);
        let model = json!({"error": {"code": "model_not_found", "message": "Project does not have access to model x"}});
        assert_eq!(class(403, &model), ProviderModelNotFound);
    }

    #[test]
    fn an_unknown_model_is_told_from_a_wrong_path() {
        for (status, body) in [
            (404, json!({"error": {"code": "model_not_found", "message": "The model `x` does not exist"}})),
            (404, json!({"type": "error", "error": {"type": "not_found_error", "message": "model: x"}})),
            (404, json!({"error": {"code": 404, "status": "NOT_FOUND", "message": "models/x is not found"}})),
            (400, json!({"error": {"code": 400, "message": "x is not a valid model ID"}})),
            (400, json!({"object": "error", "message": "Invalid model: x", "type": "invalid_model", "code": "1500"})),
            (400, json!({"error": {"message": "Model Not Exist", "type": "invalid_request_error"}})),
            (404, json!({"error": "model 'x' not found"})),
            (404, json!({"error": {"code": 404, "message": "No endpoints found for x."}})),
        ] {
            assert_eq!(class(status, &body), ProviderModelNotFound, "{body}");
        }
        assert_eq!(class(404, &json!({"detail": "Not Found"})), ProviderRequest);
        let no_tools = json!({"error": {"code": 404, "message": "No endpoints found that support tool use."}});
        assert_eq!(class(404, &no_tools), ProviderRequest);
    }

    #[test]
    fn an_error_inside_a_success_is_classed_by_its_own_status_or_code() {
        for (error, expected) in [
            (json!({"code": 502}), ProviderOverloaded),
            (json!({"code": 429}), ProviderRateLimited),
            (json!({"code": "408"}), ProviderTimeout),
            (json!({"code": 401}), ProviderAuth),
            (json!({"code": "rate_limit_exceeded"}), ProviderRateLimited),
            (json!({"code": "server_error"}), ProviderOverloaded),
            (json!({"code": "invalid_prompt"}), ProviderRequest),
            (json!({"code": "invalid_api_key"}), ProviderAuth),
            (json!({"type": "overloaded_error"}), ProviderOverloaded),
            (json!({"code": "brand_new"}), ProviderOverloaded),
            (json!("just a text"), ProviderOverloaded),
        ] {
            assert_eq!(class(200, &json!({"error": error})), expected, "{error}");
        }
    }
}
