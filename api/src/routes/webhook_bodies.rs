//! The bodies and answers of `webhook_endpoints`, `webhook_secret` and `deliveries`.

use acm2_domain::error::FieldError;
use acm2_domain::ids::{DeliveryId, RunId, WebhookEndpointId};
use acm2_domain::run::EventType;
use acm2_domain::webhook::{DeliveryStatus, PayloadStyle, check_webhook_url};
use chrono::{DateTime, Utc};
use poem_openapi::Object;
use serde::{Deserialize, Serialize};

use super::listing::list_of;
use crate::app::App;
use crate::body::Check;

/// A place that webhooks shall go to.
#[derive(Debug, Deserialize, Object)]
#[serde(deny_unknown_fields)]
pub(super) struct NewWebhookEndpoint {
    /// Where to: `https://…`.
    pub url: String,
    /// For people, at most 200 characters.
    #[oai(skip_serializing_if_is_none)]
    pub description: Option<String>,
    /// Which events; all where absent.
    #[oai(skip_serializing_if_is_none)]
    pub events: Option<Vec<EventType>>,
    /// How much of the run each carries; `thin` where absent.
    #[oai(skip_serializing_if_is_none)]
    pub payload_style: Option<PayloadStyle>,
}

/// A change of a webhook endpoint; what is left out stays.
#[derive(Debug, Deserialize, Object)]
#[serde(deny_unknown_fields)]
pub(super) struct WebhookEndpointPatch {
    /// Where to.
    #[oai(skip_serializing_if_is_none)]
    pub url: Option<String>,
    /// For people, at most 200 characters.
    #[oai(skip_serializing_if_is_none)]
    pub description: Option<String>,
    /// Which events.
    #[oai(skip_serializing_if_is_none)]
    pub events: Option<Vec<EventType>>,
    /// How much of the run each carries.
    #[oai(skip_serializing_if_is_none)]
    pub payload_style: Option<PayloadStyle>,
    /// Whether anything is sent; `true` also forgets earlier failures.
    #[oai(skip_serializing_if_is_none)]
    pub is_enabled: Option<bool>,
}

impl Check for NewWebhookEndpoint {
    fn check(&self, _app: &App) -> Vec<FieldError> {
        let mut errors = Vec::new();
        check_webhook_url(&mut errors, "/url", &self.url);
        check_common(&mut errors, self.description.as_deref(), self.events.as_deref());
        errors
    }
}

impl Check for WebhookEndpointPatch {
    fn check(&self, _app: &App) -> Vec<FieldError> {
        let mut errors = Vec::new();
        if let Some(url) = &self.url {
            check_webhook_url(&mut errors, "/url", url);
        }
        check_common(&mut errors, self.description.as_deref(), self.events.as_deref());
        errors
    }
}

fn check_common(errors: &mut Vec<FieldError>, description: Option<&str>, events: Option<&[EventType]>) {
    if description.is_some_and(|text| text.chars().count() > 200 || text.chars().any(char::is_control)) {
        let detail = "must have at most 200 characters, none of them control characters";
        errors.push(FieldError::new("/description", detail));
    }
    if events.is_some_and(<[EventType]>::is_empty) {
        errors.push(FieldError::new("/events", "must name at least one event; leave it out for all"));
    }
    if events.is_some_and(|events| events.len() > EventType::ALL.len()) {
        errors.push(FieldError::new("/events", "must name each event once"));
    }
    for (index, event) in events.unwrap_or_default().iter().enumerate().take(EventType::ALL.len()) {
        if !event.is_webhook() {
            let known: Vec<&str> =
                EventType::ALL.iter().filter(|event| event.is_webhook()).map(|event| event.as_str()).collect();
            errors.push(FieldError::new(format!("/events/{index}"), format!("must be one of {}", known.join(", "))));
        }
    }
}

/// A place that webhooks go to.
#[derive(Debug, Serialize, Object)]
pub(super) struct WebhookEndpoint {
    /// Its id.
    pub id: WebhookEndpointId,
    /// Where to.
    pub url: String,
    /// For people.
    pub description: String,
    /// Which events.
    pub events: Vec<EventType>,
    /// How much of the run each carries.
    pub payload_style: PayloadStyle,
    /// Whether anything is sent.
    pub is_enabled: bool,
    /// Why nothing is sent.
    #[oai(skip_serializing_if_is_none)]
    pub disabled_reason: Option<String>,
    /// Until when the secret before the present one signs too.
    #[oai(skip_serializing_if_is_none)]
    pub previous_secret_until: Option<DateTime<Utc>>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was changed.
    pub updated_at: DateTime<Utc>,
}

list_of! {
    /// A page of webhook endpoints, newest first.
    WebhookEndpointList of WebhookEndpoint
}

/// A webhook endpoint with its signing secret, which is shown only now.
#[derive(Debug, Serialize, Object)]
pub(super) struct WebhookEndpointWithSecret {
    /// The endpoint.
    pub webhook_endpoint: WebhookEndpoint,
    /// `whsec_…`, for a Standard Webhooks library.
    pub secret: String,
}

/// A signing secret.
#[derive(Debug, Serialize, Object)]
pub(super) struct SigningSecret {
    /// `whsec_…`, for a Standard Webhooks library.
    pub secret: String,
    /// Until when the secret before it signs too.
    #[oai(skip_serializing_if_is_none)]
    pub previous_secret_until: Option<DateTime<Utc>>,
}

/// One event to one place.
#[derive(Debug, Serialize, Object)]
pub(super) struct Delivery {
    /// Its id: the `webhook-id` that the receiver sees, the same at every try.
    pub id: DeliveryId,
    /// The webhook endpoint; null for a run's own URL.
    #[oai(skip_serializing_if_is_none)]
    pub webhook_endpoint_id: Option<WebhookEndpointId>,
    /// The run that it is about; null for a test event.
    #[oai(skip_serializing_if_is_none)]
    pub run_id: Option<RunId>,
    /// What happened.
    pub event_type: String,
    /// Where it goes.
    pub url: String,
    /// Where it stands.
    pub status: DeliveryStatus,
    /// Failed tries since it was made or redelivered.
    pub attempts: u32,
    /// When the next try is due; null where none is.
    #[oai(skip_serializing_if_is_none)]
    pub next_attempt_at: Option<DateTime<Utc>>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was delivered or given up.
    #[oai(skip_serializing_if_is_none)]
    pub finished_at: Option<DateTime<Utc>>,
}

list_of! {
    /// A page of deliveries, newest first.
    DeliveryList of Delivery
}

/// One try of a delivery.
#[derive(Debug, Serialize, Object)]
pub(super) struct DeliveryAttempt {
    /// Counted from 1.
    pub number: u32,
    /// When.
    pub at: DateTime<Utc>,
    /// What the receiver answered; null where it did not.
    #[oai(skip_serializing_if_is_none)]
    pub status_code: Option<u16>,
    /// How long it took.
    pub duration_ms: u64,
    /// The beginning of the receiver's answer.
    #[oai(skip_serializing_if_is_none)]
    pub excerpt: Option<String>,
    /// Why there was no answer.
    #[oai(skip_serializing_if_is_none)]
    pub error: Option<String>,
}

/// A delivery with what is sent and every try.
#[derive(Debug, Serialize, Object)]
pub(super) struct DeliveryDetail {
    /// The delivery.
    pub delivery: Delivery,
    /// The exact text that is sent. Absent for a key without the scope `runs:read`, and once it is forgotten with its run.
    #[oai(skip_serializing_if_is_none)]
    pub payload: Option<String>,
    /// Every try, oldest first.
    pub attempts: Vec<DeliveryAttempt>,
}
