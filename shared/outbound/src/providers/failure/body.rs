//! What an error body says, whether it is an object, a string, an array or a page. Pure.

use serde_json::Value;

use crate::providers::json;

/// The parts of an error body that anyone uses.
#[derive(Debug, Default, PartialEq)]
pub(super) struct ErrorBody {
    /// The text for a person.
    pub(super) message: Option<String>,
    /// The provider's code: the most telling one where there are several.
    pub(super) code: Option<String>,
    /// Every code, type, status and reason, in lower case.
    pub(super) words: Vec<String>,
    /// An HTTP status that the body names.
    pub(super) status: Option<u16>,
    /// Gemini's `RetryInfo.retryDelay`.
    pub(super) retry_delay: Option<String>,
    /// Gemini's `QuotaFailure` names a quota per day.
    pub(super) per_day_quota: bool,
    /// OpenRouter's moderation refused the input.
    pub(super) moderated: bool,
    /// The id of the request.
    pub(super) request_id: Option<String>,
}

impl ErrorBody {
    /// Reads the whole answer; the error stands in `error`, or is the answer.
    pub(super) fn of_json(answer: &Value) -> Self {
        let error = match &answer["error"] {
            Value::Null => answer,
            error => error,
        };
        let details = details(error);
        let metadata = &error["metadata"];
        // From the most telling to the least.
        let codes: Vec<String> = [
            &error["details"]["error_code"],
            &details.reason,
            &error["code"],
            &error["type"],
            &error["status"],
            &metadata["error_type"],
            &metadata["reason"],
            &answer["code"],
            // Exa.
            &answer["tag"],
            &answer["finish_reason"],
            &answer["status"],
        ]
        .into_iter()
        .filter_map(json::code)
        .collect();
        let numbers = codes.iter().filter_map(|code| code.parse().ok());
        Self {
            message: message(answer, error),
            code: codes.iter().find(|code| code.parse::<f64>().is_err()).or(codes.first()).cloned(),
            status: numbers.into_iter().find(|number| (400..600).contains(number)),
            words: codes.iter().map(|code| code.to_ascii_lowercase()).collect(),
            retry_delay: details.retry_delay,
            per_day_quota: details.per_day_quota,
            moderated: metadata["reasons"].is_array() || !metadata["flagged_input"].is_null(),
            request_id: ["request_id", "id", "requestId"].iter().find_map(|name| json::owned(&answer[*name])),
        }
    }

    /// A body that is not JSON: a proxy's page, or plain text.
    pub(super) fn of_text(body: &[u8]) -> Self {
        let text = String::from_utf8_lossy(body);
        let text = text.trim();
        let message = if text.starts_with('<') {
            Some(page_title(text).map_or_else(
                || "the provider answered with a page instead of JSON".to_owned(),
                |title| format!("the provider answered with a page instead of JSON: {title}"),
            ))
        } else {
            (!text.is_empty()).then(|| text.to_owned())
        };
        Self { message, ..Self::default() }
    }
}

fn page_title(page: &str) -> Option<&str> {
    // ASCII lower case keeps every byte's place.
    let lower = page.to_ascii_lowercase();
    let start = lower.find("<title>")? + "<title>".len();
    let end = start + lower[start..].find("</title>")?;
    Some(page[start..end].trim()).filter(|title| !title.is_empty())
}

fn message(answer: &Value, error: &Value) -> Option<String> {
    let text = [
        &error["message"],
        error,
        &answer["message"],
        &answer["detail"],
        // Tavily.
        &answer["detail"]["error"],
        &error["msg"],
        &answer["errors"][0]["message"],
    ]
    .into_iter()
    .find_map(json::text)
    .map(str::to_owned)
    // FastAPI's validation errors (Mistral, vLLM).
    .or_else(|| {
        let problems = answer["detail"].as_array().or_else(|| answer["message"]["detail"].as_array())?;
        let texts: Vec<&str> = problems.iter().filter_map(|problem| json::text(&problem["msg"])).collect();
        (!texts.is_empty()).then(|| texts.join("; "))
    })
    .or_else(|| json::text(&answer["finish_reason"]).map(|reason| format!("the provider stopped with {reason}")));
    // OpenRouter's own text is "Provider returned error"; what that provider said stands beside it.
    match (text, json::text(&error["metadata"]["raw"])) {
        (Some(text), Some(raw)) => Some(format!("{text}: {raw}")),
        (text, raw) => text.or_else(|| raw.map(str::to_owned)),
    }
}

#[derive(Default)]
struct Details {
    reason: Value,
    retry_delay: Option<String>,
    per_day_quota: bool,
}

/// Google's typed details (google.rpc.ErrorInfo, RetryInfo, QuotaFailure).
fn details(error: &Value) -> Details {
    let mut found = Details::default();
    for detail in error["details"].as_array().into_iter().flatten() {
        let kind = detail["@type"].as_str().unwrap_or_default();
        if kind.ends_with("ErrorInfo") {
            found.reason = detail["reason"].clone();
        } else if kind.ends_with("RetryInfo") {
            found.retry_delay = json::owned(&detail["retryDelay"]);
        } else if kind.ends_with("QuotaFailure") {
            let violations = detail["violations"].as_array().into_iter().flatten();
            found.per_day_quota |= violations
                .flat_map(|violation| [&violation["quotaId"], &violation["quotaMetric"]])
                .filter_map(json::text)
                .any(|name| name.to_ascii_lowercase().replace('_', "").contains("perday"));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn message_of(answer: &Value) -> Option<String> {
        ErrorBody::of_json(answer).message
    }

    #[test]
    fn the_message_is_found_in_every_known_shape() {
        for answer in [
            json!({"error": {"message": "no"}}),
            json!({"error": "no"}),
            json!({"code": "x", "error": "no"}),
            json!({"object": "error", "message": "no", "type": "invalid_request_error", "code": 1500}),
            json!({"detail": "no"}),
            json!({"detail": [{"loc": ["body"], "msg": "no"}]}),
            json!({"errors": [{"message": "no"}]}),
            json!("no"),
        ] {
            assert_eq!(message_of(&answer).as_deref(), Some("no"), "{answer}");
        }
        assert_eq!(message_of(&json!([1, 2])), None);
        assert_eq!(message_of(&Value::Null), None);
    }

    #[test]
    fn what_the_models_provider_said_stands_beside_openrouters_text() {
        let answer =
            json!({"error": {"message": "Provider returned error", "code": 429, "metadata": {"raw": "slow down"}}});
        let body = ErrorBody::of_json(&answer);
        assert_eq!(body.message.as_deref(), Some("Provider returned error: slow down"));
        assert_eq!(body.status, Some(429));
    }

    #[test]
    fn a_page_is_told_by_its_title_only() {
        let body = ErrorBody::of_text(b"<!doctype html><HTML><Title> 502 Bad Gateway </Title><body>x</body>");
        assert_eq!(body.message.as_deref(), Some("the provider answered with a page instead of JSON: 502 Bad Gateway"));
        assert_eq!(ErrorBody::of_text(b"upstream down").message.as_deref(), Some("upstream down"));
        assert_eq!(ErrorBody::of_text(b"\xff\xfe").message.as_deref(), Some("\u{fffd}\u{fffd}"));
        assert_eq!(ErrorBody::of_text(b" ").message, None);
    }

    proptest! {
        #[test]
        fn no_page_makes_it_panic(text in "(<|<tItle>|</title>|É|x|İ){0,12}") {
            ErrorBody::of_text(text.as_bytes());
        }
    }
}
