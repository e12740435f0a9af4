//! The payload of a webhook: its bytes are made once, in the transaction that makes the event, and never again. Where its
//! delivery stands.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use url::Url;

use crate::error::FieldError;
use crate::run::{EventType, Run};

/// How much of the run a webhook carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Enum), oai(rename_all = "snake_case"))]
pub enum PayloadStyle {
    /// The run without its results, what is missing and the totals; fetch these.
    #[default]
    Thin,
    /// The whole run as `GET /runs/{id}` shows it.
    Full,
}

impl PayloadStyle {
    /// The word that stands in databases and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Thin => "thin",
            Self::Full => "full",
        }
    }
}

/// Where a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Enum), oai(rename_all = "snake_case"))]
pub enum DeliveryStatus {
    /// To be made, or to be tried again.
    Pending,
    /// The receiver took it.
    Delivered,
    /// Given up.
    Failed,
}

/// What is posted to a webhook endpoint.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object))]
pub struct WebhookPayload {
    /// What happened.
    #[serde(rename = "type")]
    #[cfg_attr(feature = "openapi", oai(rename = "type"))]
    pub event_type: EventType,
    /// When it happened.
    pub timestamp: DateTime<Utc>,
    /// The run; without results, missing and totals in the thin style.
    pub data: Run,
}

impl WebhookPayload {
    /// The payload of an event of a run.
    pub fn new(event_type: EventType, timestamp: DateTime<Utc>, style: PayloadStyle, mut run: Run) -> Self {
        if style == PayloadStyle::Thin {
            run.results = None;
            run.missing = None;
            run.totals = None;
        }
        Self { event_type, timestamp, data: run }
    }
}

/// Checks what can be told without a look-up; the guard in `outbound` decides about the address when it connects. `http` passes
/// here, but is only sent to hosts that an operator has allowed the tenant (`acm2 tenants allow-host`), which nothing here
/// knows: to any other host each attempt fails, because whoever sits on the way could read the payload and answer in the
/// receiver's name.
pub fn check_webhook_url(errors: &mut Vec<FieldError>, pointer: &str, text: &str) {
    let mut wrong = |detail: &str| errors.push(FieldError::new(pointer, detail));
    if text.len() > 2_000 {
        return wrong("must have at most 2000 characters");
    }
    let Ok(url) = Url::parse(text) else {
        return wrong("must be an absolute URL such as https://example.org/hooks");
    };
    if !matches!(url.scheme(), "https" | "http") || url.host_str().is_none() {
        return wrong("must begin with https://, or http:// where the operator has allowed the host");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return wrong("must not carry a user name or password");
    }
    if url.fragment().is_some() {
        wrong("must not have a part after #");
    }
}
