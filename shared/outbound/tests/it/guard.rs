//! The guard over real HTTP: what a tenant has set reaches loopback only where the operator listed it.

use std::time::Duration;

use acm2_domain::call::{CallError, ErrorClass};
use acm2_domain::ids::AttemptId;
use acm2_outbound::{Outbound, OutboundOptions, Target};
use secrecy::SecretString;
use url::Url;

use crate::server::Server;
use crate::webhooks::{deliver, webhook};
use crate::wires::{call, provider};

const ANSWER: &[u8] = include_bytes!("../fixtures/openai_chat/success.json");

fn spellings(port: u16) -> Vec<String> {
    [
        "127.0.0.1",
        "localhost",
        "LOCALHOST",
        "0x7f.1",
        "0x7f000001",
        "2130706433",
        "0177.0.0.1",
        "127.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "0",
    ]
    .map(|host| format!("{host}:{port}"))
    .to_vec()
}

async fn attempt(base_url: &str, private_hosts: &[&str]) -> Result<String, CallError> {
    let options = OutboundOptions { base_url_hosts: vec!["*".to_owned()], ..OutboundOptions::default() };
    let target = Target {
        provider: provider("openai-compatible"),
        base_url: Some(Url::parse(base_url).unwrap()),
        private_hosts: private_hosts.iter().map(|host| (*host).to_owned()).collect(),
    };
    let call = call("openai-compatible", "m");
    let outbound = Outbound::new(options).unwrap();
    let sent = outbound.call(
        &target,
        SecretString::from("sk-canary-0001"),
        &call,
        AttemptId::generate(),
        Duration::from_mins(1),
    );
    sent.await.map(|answer| answer.text)
}

#[tokio::test]
async fn a_tenants_base_url_does_not_reach_loopback() {
    let server = Server::answering(200, &[], ANSWER).await;
    for host in spellings(server.address.port()) {
        for scheme in ["http", "https"] {
            let error = attempt(&format!("{scheme}://{host}/v1"), &[]).await.unwrap_err();
            assert_eq!(
                (error.class, error.sent),
                (ErrorClass::ProviderRequest, false),
                "{scheme} {host}: {}",
                error.message
            );
        }
    }
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn a_listed_base_url_reaches_loopback_at_its_port_only() {
    let server = Server::answering(200, &[], ANSWER).await;
    let port = server.address.port();
    let base = format!("http://localhost:{port}/v1");
    assert_eq!(attempt(&base, &["localhost"]).await.unwrap(), "Four.");
    assert_eq!(attempt(&base, &[&format!("localhost:{port}")]).await.unwrap(), "Four.");
    assert_eq!(
        attempt(&base, &[&format!("localhost:{}", port ^ 1)]).await.unwrap_err().class,
        ErrorClass::ProviderRequest
    );
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn a_webhook_does_not_reach_loopback() {
    let server = Server::answering(200, &[], b"").await;
    for host in spellings(server.address.port()) {
        let outcome = deliver(webhook(&format!("https://{host}/hook"))).await;
        let error = outcome.error.unwrap();
        assert!(error.contains("no public address"), "{host}: {error}");
        assert_eq!(outcome.status, None);
    }
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn a_webhook_goes_by_plain_http_to_listed_hosts_only() {
    for url in ["http://hooks.example/hook", "http://localhost:9/hook", "http://8.8.8.8/hook"] {
        let listed = ["base-url:hooks.example", "base-url:localhost", "8.8.8.8:443"].map(str::to_owned);
        let outcome = deliver(acm2_outbound::WebhookRequest { private_hosts: &listed, ..webhook(url) }).await;
        let error = outcome.error.unwrap();
        assert!(error.contains("https://") && error.contains("operator"), "{url}: {error}");
        assert_eq!((outcome.status, outcome.gone), (None, false));
    }
    let server = Server::answering(200, &[], b"").await;
    let listed = [format!("webhook:{}", server.address)];
    let url = server.url("/hook");
    assert!(deliver(acm2_outbound::WebhookRequest { private_hosts: &listed, ..webhook(&url) }).await.is_success());
}

#[tokio::test]
async fn a_host_that_is_listed_for_webhooks_cannot_be_read_through_a_base_url() {
    let server = Server::answering(200, &[], ANSWER).await;
    let base = server.url("/v1");
    let error = attempt(&base, &[&format!("webhook:{}", server.address)]).await.unwrap_err();
    assert_eq!((error.class, error.sent), (ErrorClass::ProviderRequest, false));
    assert_eq!(server.connections(), 0);
    assert_eq!(attempt(&base, &[&format!("base-url:{}", server.address)]).await.unwrap(), "Four.");
}

#[tokio::test]
async fn what_a_private_base_url_says_in_an_error_is_shown_only_where_it_is_json() {
    for body in ["the secrets of the inside", "<html><title>the secrets of the inside</title></html>"] {
        for status in [200, 404, 500] {
            let server = Server::answering(status, &[], body.as_bytes()).await;
            let error = attempt(&server.url("/v1"), &["127.0.0.1"]).await.unwrap_err();
            assert_eq!(error.http_status, Some(status));
            assert!(!format!("{error:?}").contains("secrets"), "{error:?}");
        }
    }
    let server = Server::answering(404, &[], br#"{"error": {"message": "no such model"}}"#).await;
    assert_eq!(attempt(&server.url("/v1"), &["127.0.0.1"]).await.unwrap_err().message, "no such model");
}

#[tokio::test]
async fn a_tenants_host_does_not_decide_how_much_memory_is_used() {
    let large = format!("{{\"choices\": [{}0]}}", "0,".repeat(200_000));
    let server = Server::answering(200, &[], large.as_bytes()).await;
    let error = attempt(&server.url("/v1"), &["127.0.0.1"]).await.unwrap_err();
    assert!(error.message.contains("more than 100000 values"), "{}", error.message);
    let long = Server::answering(200, &[], &vec![b' '; (4 << 20) + 1]).await;
    let error = attempt(&long.url("/v1"), &["127.0.0.1"]).await.unwrap_err();
    assert!(error.message.contains("larger than 4194304 bytes"), "{}", error.message);
}

#[tokio::test]
async fn a_connection_to_a_listed_host_never_serves_who_may_not_go_there() {
    let keep_alive = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok".to_vec();
    let server =
        Server::start(move |_| vec![crate::server::Step::Send(keep_alive.clone()), crate::server::Step::Hang]).await;
    let url = format!("http://localhost:{}/hook", server.address.port());
    let outbound = Outbound::new(OutboundOptions::default()).unwrap();
    let listed = ["localhost".to_owned()];
    let allowed =
        outbound.send_webhook(acm2_outbound::WebhookRequest { private_hosts: &listed, ..webhook(&url) }).await;
    assert!(allowed.is_success());
    let refused = outbound.send_webhook(webhook(&url)).await;
    assert!(refused.error.is_some());
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn the_check_of_a_base_url_tells_the_way_out_without_echoing() {
    let outbound = Outbound::new(OutboundOptions::default()).unwrap();
    let reason = outbound.check_tenant_base_url("http://sk-canary-0001.internal/v1", &[]).unwrap_err();
    assert!(reason.contains("operator") && !reason.contains("canary"), "{reason}");
    let listed = ["llm.internal".to_owned()];
    assert!(outbound.check_tenant_base_url("http://llm.internal:8080/v1", &listed).is_ok());
}
