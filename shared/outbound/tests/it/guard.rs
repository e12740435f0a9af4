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
        let outcome = deliver(webhook(&format!("http://{host}/hook"))).await;
        let error = outcome.error.unwrap();
        assert!(error.contains("no public address"), "{host}: {error}");
        assert_eq!(outcome.status, None);
    }
    assert_eq!(server.connections(), 0);
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
    assert!(refused.error.unwrap().contains("no public address"));
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
