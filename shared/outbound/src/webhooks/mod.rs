//! Webhook deliveries: signing (Standard Webhooks) and one guarded attempt to send. The worker's deliver job calls it by
//! `Outbound::send_webhook`; when to try again and when to disable an endpoint is not known here.

mod send;
mod sign;

pub(crate) use send::send;
pub use send::{WebhookOutcome, WebhookRequest};
