//! One attempt to deliver a webhook: signed, by `https` to a public address unless the operator listed the host, no redirect,
//! bounded in time and size. Knows no store and no schedule.

use std::time::{Duration, Instant};

use acm2_domain::ids::DeliveryId;
use acm2_domain::webhook::check_webhook_url;
use chrono::{DateTime, Utc};
use http::header::CONTENT_TYPE;
use http::{StatusCode, header};
use reqwest::Response;
use secrecy::SecretString;
use tokio::time::timeout_at;
use url::Url;

use super::sign;
use crate::clients::Clients;
use crate::exchange::{refused_by_guard, root_cause};
use crate::guard::{HostUse, Refused, lists_host, refuse_private_literal};
use crate::providers::failure::delay_from_headers;

/// How much of a receiver's answer is kept.
const EXCERPT_BYTES: usize = 1024;

/// A delivery that is to be attempted.
#[derive(Debug)]
pub struct WebhookRequest<'a> {
    /// The endpoint's URL, as the tenant wrote it.
    pub url: &'a str,
    /// The delivery; the `webhook-id` that the receiver sees, the same at every attempt.
    pub delivery: DeliveryId,
    /// The time of this attempt, which is signed.
    pub timestamp: DateTime<Utc>,
    /// The `whsec_` secrets that sign: one, or two during a rotation, the current one first.
    pub secrets: Vec<SecretString>,
    /// The JSON, byte for byte as it was stored.
    pub payload: String,
    /// The hosts with private addresses that the operator allows this tenant, see [`lists_host`]; `http` is only sent to them.
    pub private_hosts: &'a [String],
    /// How long the attempt may take, connection and answer together.
    pub timeout: Duration,
    /// Whether the beginning of the receiver's answer is wanted. Of a host in `private_hosts` it is never kept: its answer
    /// would let a tenant read from the inside.
    pub keep_body: bool,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookOutcome {
    /// The receiver's HTTP status, where it answered.
    pub status: Option<u16>,
    /// How long it took.
    pub duration: Duration,
    /// At most the first KiB of the receiver's answer, without control characters.
    pub excerpt: Option<String>,
    /// Why the attempt failed; `None` exactly where it succeeded (a 2xx).
    pub error: Option<String>,
    /// The delay that the receiver asks for.
    pub retry_after: Option<Duration>,
    /// The receiver answered 410: the endpoint is to be disabled.
    pub gone: bool,
}

impl WebhookOutcome {
    /// Whether the receiver took the delivery.
    pub const fn is_success(&self) -> bool {
        self.error.is_none()
    }
}

struct Answered {
    status: StatusCode,
    excerpt: Option<String>,
    retry_after: Option<Duration>,
}

pub(crate) async fn send(clients: &Clients, request: WebhookRequest<'_>) -> WebhookOutcome {
    let started = Instant::now();
    let answered = attempt(clients, request).await;
    let duration = started.elapsed();
    match answered {
        Ok(Answered { status, excerpt, retry_after }) => WebhookOutcome {
            status: Some(status.as_u16()),
            duration,
            excerpt,
            error: failure(status),
            retry_after,
            gone: status == StatusCode::GONE,
        },
        Err(error) => {
            WebhookOutcome { status: None, duration, excerpt: None, error: Some(error), retry_after: None, gone: false }
        }
    }
}

fn failure(status: StatusCode) -> Option<String> {
    if status.is_success() {
        None
    } else if status.is_redirection() {
        Some(format!("the receiver answered with a redirect ({}); redirects are not followed", status.as_u16()))
    } else {
        Some(format!("the receiver answered {}", status.as_u16()))
    }
}

async fn attempt(clients: &Clients, request: WebhookRequest<'_>) -> Result<Answered, String> {
    let until = tokio::time::Instant::now() + request.timeout;
    let url = check(request.url)?;
    let listed = lists_host(request.private_hosts, &url, HostUse::Webhook);
    let client = if listed {
        &clients.exempt
    } else {
        refuse_private_literal(&url).map_err(|refused| refused.to_string())?;
        if url.scheme() != "https" {
            // Whoever sits on the way could read the payload, and answer 2xx or 410 in the receiver's name.
            return Err(
                "the URL must begin with https://; http is only sent to hosts that the operator has allowed".to_owned()
            );
        }
        &clients.guarded
    };
    let (id, timestamp) = (request.delivery.to_string(), request.timestamp.timestamp());
    let signatures =
        sign::signatures(&request.secrets, &id, timestamp, &request.payload).map_err(|error| error.to_string())?;
    let sending = client
        .post(url)
        .header(header::USER_AGENT, concat!("acm2-webhooks/", env!("CARGO_PKG_VERSION")))
        .header(CONTENT_TYPE, "application/json")
        .header("webhook-id", id)
        .header("webhook-timestamp", timestamp)
        .header("webhook-signature", signatures)
        .body(request.payload)
        .send();
    let response = match timeout_at(until, sending).await {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => return Err(not_answered(error)),
        Err(_) => return Err("the receiver did not answer within the time allowed".to_owned()),
    };
    let (status, retry_after) = (response.status(), delay_from_headers(response.headers()));
    let excerpt = if request.keep_body && !listed { Some(read_excerpt(response, until).await) } else { None };
    Ok(Answered { status, excerpt, retry_after })
}

fn check(text: &str) -> Result<Url, String> {
    let mut errors = Vec::new();
    check_webhook_url(&mut errors, "", text);
    match (errors.pop(), Url::parse(text)) {
        (None, Ok(url)) => Ok(url),
        (Some(error), _) => Err(format!("the URL {}", error.detail)),
        (None, Err(_)) => Err("the URL is malformed".to_owned()),
    }
}

fn not_answered(error: reqwest::Error) -> String {
    let error = error.without_url();
    if refused_by_guard(&error) {
        Refused.to_string()
    } else if error.is_connect() && error.is_timeout() {
        "no connection to the receiver came about in time".to_owned()
    } else if error.is_connect() {
        format!("no connection to the receiver: {}", root_cause(&error))
    } else {
        format!("the connection was cut before an answer came: {}", root_cause(&error))
    }
}

/// The status has decided by now: an answer that is cut, slow or endless only makes the excerpt shorter.
async fn read_excerpt(mut response: Response, until: tokio::time::Instant) -> String {
    let mut body = Vec::new();
    while body.len() < EXCERPT_BYTES {
        match timeout_at(until, response.chunk()).await {
            Ok(Ok(Some(chunk))) => body.extend_from_slice(&chunk[..chunk.len().min(EXCERPT_BYTES - body.len())]),
            _ => break,
        }
    }
    printable(&body)
}

fn printable(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let letters = text.chars().map(|letter| if letter.is_whitespace() { ' ' } else { letter });
    letters.filter(|letter| !letter.is_control()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_excerpt_is_the_first_kib() {
        let until = tokio::time::Instant::now() + Duration::from_mins(1);
        let excerpt = async |body: String| read_excerpt(Response::from(http::Response::new(body)), until).await;
        assert_eq!(excerpt("thanks".to_owned()).await, "thanks");
        assert_eq!(excerpt("x".repeat(5_000)).await, "x".repeat(EXCERPT_BYTES));
    }

    #[test]
    fn an_excerpt_has_no_control_characters() {
        assert_eq!(printable(b"a\x1b[31m\x00b\r\nc\xff\xc2\x85"), "a[31mb  c\u{fffd} ");
    }
}
