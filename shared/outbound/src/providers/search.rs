//! What the wires of the web's search have in common: the query that a call holds, and the answer that results become. Pure.

use std::time::Duration;

use acm2_domain::call::{Answer, Call, FinishReason, Usage};
use acm2_domain::web::{SearchResult, SearchResults};
use rust_decimal::Decimal;
use serde_json::Value;

use super::json;

/// The query of a call: its last message.
pub(super) fn query(call: &Call) -> &str {
    call.messages.last().map_or("", |message| message.content.as_str())
}

/// The names of the fields of a result.
pub(super) struct Names {
    pub(super) title: &'static str,
    pub(super) url: &'static str,
    pub(super) snippet: &'static str,
}

/// The answer that a list of results is. Results without a usable URL are left out.
pub(super) fn answer(
    list: &[Value],
    names: &Names,
    reported_cost: Option<Decimal>,
    request_id: Option<String>,
) -> Answer {
    let text = |value: &Value| match value {
        // Exa's highlights.
        Value::Array(parts) => parts.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" … "),
        value => json::owned(value).unwrap_or_default(),
    };
    let results = list.iter().filter_map(|result| {
        let [title, url, snippet] = [names.title, names.url, names.snippet].map(|name| text(&result[name]));
        SearchResult::new(&title, &url, &snippet)
    });
    Answer {
        text: SearchResults::of(results).to_text(),
        artifacts: Vec::new(),
        finish_reason: FinishReason::Stop,
        // No tokens: what a search costs, it costs by the request.
        usage: Some(Usage::default()),
        reported_cost,
        provider_model: None,
        provider_request_id: request_id,
        latency: Duration::ZERO,
        rates: None,
    }
}
