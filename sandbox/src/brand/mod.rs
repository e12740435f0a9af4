//! The brands: where each expects its key, and how it words errors, headers and its list of models.
//! Used by `generate` and `own_pages`. A brand must not know behaviours; OpenAI and OpenRouter share wires.

pub(crate) mod anthropic;
mod gemini;
mod openai;
mod openrouter;

use poem::http::HeaderMap;
use serde_json::Value;

use crate::{behaviour::BEHAVIOURS, fault::Fault, key::Key, log::now, rate::Counted, wire::Wire};

/// Who the sandbox plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Brand {
    OpenAi,
    OpenRouter,
    Anthropic,
    Gemini,
}

/// An error as it is sent.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Value,
}

impl Refusal {
    fn new(status: u16, body: Value) -> Self {
        Self { status, headers: Vec::new(), body }
    }

    fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

/// The call that an error is about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct About<'a> {
    pub(crate) wire: Wire,
    pub(crate) request_id: &'a str,
    pub(crate) model: &'a str,
}

impl Brand {
    /// The key, from where this brand expects it.
    pub(crate) fn key(self, headers: &HeaderMap) -> Option<Key> {
        match self {
            Self::OpenAi | Self::OpenRouter => Key::bearer(headers),
            // Its SDK sends either, by how it was configured.
            Self::Anthropic => Key::header(headers, "x-api-key").or_else(|| Key::bearer(headers)),
            Self::Gemini => Key::header(headers, "x-goog-api-key"),
        }
    }

    /// The words for a fault, with the headers of every answer.
    pub(crate) fn refusal(self, fault: &Fault, about: About<'_>) -> Refusal {
        let mut refusal = match self {
            Self::OpenAi => openai::refusal(fault, about),
            Self::OpenRouter => openrouter::refusal(fault, about),
            Self::Anthropic => anthropic::refusal(fault, about),
            Self::Gemini => gemini::refusal(fault, about),
        };
        refusal.headers.extend(self.id_header(about.request_id));
        refusal
    }

    /// Headers of a successful answer.
    pub(crate) fn headers(self, request_id: &str, rates: Option<Counted>) -> Vec<(&'static str, String)> {
        let usual = match self {
            Self::OpenAi => openai::rate_headers(),
            Self::Anthropic => anthropic::rate_headers(),
            Self::OpenRouter | Self::Gemini => Vec::new(),
        };
        let counted = rates.map_or_else(Vec::new, |counted| self.counted_headers(counted));
        let replaced = |name: &str| counted.iter().any(|(other, _)| *other == name);
        let kept: Vec<_> = usual.into_iter().filter(|(name, _)| !replaced(name)).collect();
        kept.into_iter().chain(counted).chain(self.id_header(request_id)).collect()
    }

    /// A 429 that tells how the limit stands.
    pub(crate) fn one_too_many(self, mut refusal: Refusal, counted: Counted) -> Refusal {
        refusal.headers.retain(|(name, _)| *name != "retry-after");
        refusal.headers.extend(self.counted_headers(counted));
        if let Some(wait) = counted.retry_after.filter(|_| self != Self::Gemini) {
            let millis = wait.as_millis() + 1;
            refusal.headers.push(("retry-after", millis.div_ceil(1_000).to_string()));
            refusal.headers.push(("retry-after-ms", millis.to_string()));
        }
        refusal
    }

    fn counted_headers(self, counted: Counted) -> Vec<(&'static str, String)> {
        let (limit, remaining) = (counted.limit.to_string(), counted.remaining.to_string());
        match self {
            Self::OpenAi | Self::OpenRouter => vec![
                ("x-ratelimit-limit-requests", limit),
                ("x-ratelimit-remaining-requests", remaining),
                ("x-ratelimit-reset-requests", format!("{}ms", counted.reset.as_millis() + 1)),
            ],
            Self::Anthropic => vec![
                ("anthropic-ratelimit-requests-limit", limit),
                ("anthropic-ratelimit-requests-remaining", remaining),
                ("anthropic-ratelimit-requests-reset", (now() + counted.reset).to_rfc3339()),
            ],
            Self::Gemini => Vec::new(),
        }
    }

    fn id_header(self, request_id: &str) -> Option<(&'static str, String)> {
        match self {
            Self::OpenAi => Some(("x-request-id", format!("req_{request_id}"))),
            Self::Anthropic => Some(("request-id", format!("req_{request_id}"))),
            Self::OpenRouter | Self::Gemini => None,
        }
    }

    /// The list of models; `query` holds the page that is asked for.
    pub(crate) fn models(self, query: &[(String, String)]) -> Value {
        match self {
            Self::OpenAi => openai::models(),
            Self::OpenRouter => openrouter::models(),
            Self::Anthropic => anthropic::models(query),
            Self::Gemini => gemini::models(query),
        }
    }
}

pub(crate) use openrouter::key_status;

/// The models that lists show: every example of the registry.
fn model_names() -> Vec<&'static str> {
    BEHAVIOURS.iter().flat_map(|behaviour| behaviour.examples).copied().collect()
}

fn parameter<'a>(query: &'a [(String, String)], name: &str) -> Option<&'a str> {
    query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}
