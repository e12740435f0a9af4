//! Webhook deliveries over real HTTP, checked by the official Standard Webhooks crate.

use std::time::Duration;

use acm2_domain::clock::{Clock, SystemClock};
use acm2_domain::ids::DeliveryId;
use acm2_outbound::{Outbound, OutboundOptions, WebhookOutcome, WebhookRequest};
use http::{HeaderMap, HeaderName, HeaderValue};
use secrecy::SecretString;
use standardwebhooks::Webhook;

use crate::server::{Seen, Server, Step, answer};

const OLD: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const NEW: &str = "whsec_plJ3nmyCDGBKInavdOK15jsl7LWPxFnq2tcCa9xvA0Q=";
const OTHER: &str = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
const PAYLOAD: &str = r#"{"type":"run.completed","timestamp":"2026-11-20T10:00:00Z","data":{"é":1}}"#;

pub(crate) fn webhook(url: &str) -> WebhookRequest<'_> {
    WebhookRequest {
        url,
        delivery: DeliveryId::generate(),
        timestamp: SystemClock.now(),
        secrets: vec![SecretString::from(NEW)],
        payload: PAYLOAD.to_owned(),
        private_hosts: &[],
        timeout: Duration::from_secs(30),
        keep_body: true,
    }
}

pub(crate) async fn deliver(request: WebhookRequest<'_>) -> WebhookOutcome {
    Outbound::new(OutboundOptions::default()).unwrap().send_webhook(request).await
}

async fn deliver_to(server: &Server) -> WebhookOutcome {
    let listed = [server.address.to_string()];
    deliver(WebhookRequest { private_hosts: &listed, ..webhook(&server.url("/hook")) }).await
}

fn verify(secret: &str, seen: &Seen) -> bool {
    let headers: HeaderMap = ["webhook-id", "webhook-timestamp", "webhook-signature"]
        .into_iter()
        .map(|name| (HeaderName::from_static(name), HeaderValue::from_str(seen.header(name).unwrap()).unwrap()))
        .collect();
    Webhook::new(secret).unwrap().verify(&seen.body, &headers).is_ok()
}

#[tokio::test]
async fn the_official_verifier_accepts_a_delivery() {
    let server = Server::answering(200, &[], b"thanks").await;
    let url = server.url("/hook?x=1");
    let listed = ["127.0.0.1".to_owned()];
    let request = WebhookRequest { private_hosts: &listed, ..webhook(&url) };
    let id = request.delivery.to_string();
    let outcome = deliver(request).await;
    assert!(outcome.is_success());
    assert_eq!((outcome.status, outcome.gone, outcome.retry_after), (Some(200), false, None));
    let seen = server.seen().remove(0);
    assert_eq!(seen.line(), "POST /hook?x=1 HTTP/1.1");
    assert_eq!(seen.header("webhook-id"), Some(id.as_str()));
    assert_eq!(seen.header("content-type"), Some("application/json"));
    assert_eq!(seen.body, PAYLOAD.as_bytes());
    assert!(verify(NEW, &seen));
    assert!(!verify(OTHER, &seen));
    assert!(!verify(NEW, &Seen { body: b"{}".to_vec(), ..seen }));
}

#[tokio::test]
async fn during_a_rotation_receivers_with_either_secret_accept() {
    let server = Server::answering(204, &[], b"").await;
    let url = server.url("/hook");
    let listed = ["127.0.0.1".to_owned()];
    let secrets = vec![SecretString::from(NEW), SecretString::from(OLD)];
    assert!(deliver(WebhookRequest { secrets, private_hosts: &listed, ..webhook(&url) }).await.is_success());
    let seen = server.seen().remove(0);
    assert!(verify(NEW, &seen) && verify(OLD, &seen));
    assert!(!verify(OTHER, &seen));
}

#[tokio::test]
async fn without_a_sound_secret_nothing_is_sent() {
    let server = Server::answering(200, &[], b"").await;
    let url = server.url("/hook");
    let listed = ["127.0.0.1".to_owned()];
    for secrets in [vec![], vec![SecretString::from("whsec_canary!")]] {
        let outcome = deliver(WebhookRequest { secrets, private_hosts: &listed, ..webhook(&url) }).await;
        assert!(!outcome.is_success() && !format!("{outcome:?}").contains("canary"));
    }
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn only_a_2xx_is_success() {
    for (status, success) in
        [(200, true), (201, true), (202, true), (204, true), (400, false), (404, false), (410, false), (500, false)]
    {
        let server = Server::answering(status, &[], b"").await;
        let outcome = deliver_to(&server).await;
        assert_eq!((outcome.is_success(), outcome.status, outcome.gone), (success, Some(status), status == 410));
    }
}

#[tokio::test]
async fn a_redirect_is_a_failure_and_is_not_followed() {
    let elsewhere = Server::answering(200, &[], b"").await;
    let server = Server::answering(307, &[("location", &elsewhere.url("/"))], b"").await;
    let outcome = deliver_to(&server).await;
    assert!(outcome.error.unwrap().contains("redirects are not followed"));
    assert_eq!(elsewhere.connections(), 0);
}

#[tokio::test]
async fn the_delay_that_a_receiver_asks_for_is_told() {
    let server = Server::answering(503, &[("retry-after", "120")], b"").await;
    assert_eq!(deliver_to(&server).await.retry_after, Some(Duration::from_mins(2)));
}

#[tokio::test]
async fn what_a_private_host_answers_is_not_kept() {
    let server = Server::answering(500, &[], b"the secrets of the inside").await;
    assert_eq!(deliver_to(&server).await.excerpt, None);
}

#[tokio::test]
async fn a_slow_or_missing_receiver_is_a_failure_without_a_url_in_its_text() {
    let silent = Server::start(|_| vec![Step::Hang]).await;
    let cut = Server::start(|_| vec![]).await;
    for (server, word, timeout) in
        [(&silent, "time", Duration::from_millis(500)), (&cut, "cut", Duration::from_secs(30))]
    {
        let url = server.url("/hook/canary-path");
        let listed = ["127.0.0.1".to_owned()];
        let outcome = deliver(WebhookRequest { timeout, private_hosts: &listed, ..webhook(&url) }).await;
        let error = outcome.error.unwrap();
        assert!(error.contains(word) && !error.contains("canary"), "{error}");
        assert_eq!(outcome.status, None);
    }
    silent.client_closed().await;
}

#[tokio::test]
async fn an_endless_answer_does_not_hold_a_delivery() {
    let head = answer(200, &[], b"").remove(0);
    let Step::Send(head) = head else { panic!("an answer is sent") };
    let head = String::from_utf8(head).unwrap().replace("content-length: 0\r\n", "");
    let server =
        Server::start(move |_| vec![Step::Send(head.clone().into_bytes()), Step::Repeat(vec![b'x'; 4_096])]).await;
    assert!(deliver_to(&server).await.is_success());
    server.client_closed().await;
}

#[tokio::test]
async fn a_url_that_is_none_is_refused() {
    for url in ["", "not a url", "ftp://example.org/", "https://user:canary@example.org/", "file:///etc/passwd"] {
        let outcome = deliver(webhook(url)).await;
        let error = outcome.error.unwrap();
        assert!(error.starts_with("the URL ") && !error.contains("canary"), "{error}");
    }
}
