//! One attempt over real HTTP: what is sent, what is bounded, and what never gets out.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use acm2_domain::call::{Answer, CallError, ErrorClass};
use acm2_domain::ids::AttemptId;
use acm2_outbound::{Outbound, OutboundOptions, Target};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use secrecy::SecretString;
use url::Url;

use crate::server::{Server, Step, answer};
use crate::wires::{call, provider};

/// Has characters that every encoding changes.
const KEY: &str = "sk-canary/+0123456789?&=<>%";
const ANSWER: &[u8] = include_bytes!("../fixtures/openai_chat/success.json");
const LONG: Duration = Duration::from_mins(1);

pub(crate) fn target(slug: &str) -> Target {
    Target { provider: provider(slug), base_url: None, private_hosts: Vec::new() }
}

/// The operator has put these providers onto the server.
pub(crate) fn outbound(server: &Server, options: OutboundOptions) -> Outbound {
    outbound_to(server.address, options)
}

fn outbound_to(address: SocketAddr, options: OutboundOptions) -> Outbound {
    let base = Url::parse(&format!("http://{address}/v1")).unwrap();
    let slugs = ["openai", "anthropic", "google", "openrouter", "sandbox", "exa", "tavily", "serper"];
    let base_urls = slugs.iter().map(|slug| ((*slug).to_owned(), base.clone())).collect();
    Outbound::new(OutboundOptions { base_urls, ..options }).unwrap()
}

async fn through(outbound: &Outbound, slug: &str, deadline: Duration) -> Result<Answer, CallError> {
    let key = SecretString::from(KEY);
    outbound.call(&target(slug), key, &call(slug, "m"), AttemptId::generate(), deadline).await
}

async fn attempt(
    server: &Server,
    slug: &str,
    options: OutboundOptions,
    deadline: Duration,
) -> Result<Answer, CallError> {
    through(&outbound(server, options), slug, deadline).await
}

async fn failed(server: &Server, options: OutboundOptions, deadline: Duration) -> CallError {
    attempt(server, "sandbox", options, deadline).await.unwrap_err()
}

#[tokio::test]
async fn a_call_reaches_its_server_with_key_and_attempt_id() {
    let server = Server::answering(200, &[], ANSWER).await;
    let outbound = outbound(&server, OutboundOptions::default());
    let id = AttemptId::generate();
    let answer =
        outbound.call(&target("sandbox"), SecretString::from(KEY), &call("sandbox", "m"), id, LONG).await.unwrap();
    assert_eq!(answer.text, "Four.");
    assert!(answer.latency > Duration::ZERO);
    let seen = server.seen();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].line(), "POST /v1/chat/completions HTTP/1.1");
    assert_eq!(seen[0].header("authorization"), Some(format!("Bearer {KEY}").as_str()));
    assert_eq!(seen[0].header("x-acm2-attempt-id"), Some(id.to_string().as_str()));
    assert_eq!(seen[0].header("content-length"), Some(seen[0].body.len().to_string().as_str()));
    assert_eq!(seen[0].header("transfer-encoding"), None);
    assert_eq!(seen[0].header("referer"), None);
}

#[tokio::test]
async fn every_wire_reaches_its_path() {
    for (slug, line, file) in [
        ("openai", "POST /v1/responses HTTP/1.1", "openai_responses"),
        ("anthropic", "POST /v1/messages HTTP/1.1", "anthropic_messages"),
        ("google", "POST /v1/models/m:generateContent HTTP/1.1", "gemini_generate_content"),
        ("openrouter", "POST /v1/chat/completions HTTP/1.1", "openai_chat"),
    ] {
        let body = std::fs::read(format!("{}/tests/fixtures/{file}/success.json", env!("CARGO_MANIFEST_DIR"))).unwrap();
        let server = Server::answering(200, &[], &body).await;
        assert_eq!(attempt(&server, slug, OutboundOptions::default(), LONG).await.unwrap().text, "Four.", "{slug}");
        assert_eq!(server.seen()[0].line(), line);
    }
}

#[tokio::test]
async fn proxy_variables_are_ignored() {
    let proxy = Server::answering(200, &[], ANSWER).await;
    let url = proxy.url("");
    let test = "calls::a_call_reaches_its_server_with_key_and_attempt_id";
    let mut child = tokio::process::Command::new(std::env::current_exe().unwrap());
    child.args([test, "--exact"]);
    for name in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
        child.env(name, &url);
    }
    let output = child.env_remove("NO_PROXY").env_remove("no_proxy").output().await.unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
    assert_eq!(proxy.connections(), 0);
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_takes_no_key_along() {
    let elsewhere = Server::answering(200, &[], ANSWER).await;
    for status in [301, 302, 303, 307, 308] {
        let server = Server::answering(status, &[("location", &elsewhere.url("/v1"))], b"").await;
        for slug in ["sandbox", "openai", "anthropic", "google"] {
            let error = attempt(&server, slug, OutboundOptions::default(), LONG).await.unwrap_err();
            assert_eq!(error.class, ErrorClass::ProviderRequest);
            assert!(error.message.contains("redirects are not followed"), "{}", error.message);
        }
    }
    assert_eq!(elsewhere.connections(), 0);
}

#[tokio::test]
async fn an_answer_above_the_cap_is_cut_off_and_not_tried_again() {
    let head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n".to_vec();
    let server = Server::start(move |_| vec![Step::Send(head.clone()), Step::Repeat(vec![b' '; 65_536])]).await;
    let options = OutboundOptions { max_response_bytes: 1 << 20, ..OutboundOptions::default() };
    let error = failed(&server, options, LONG).await;
    assert_eq!((error.class, error.should_retry), (ErrorClass::ProviderDecode, Some(false)));
    assert!(error.message.contains("larger than 1048576 bytes"), "{}", error.message);
    server.client_closed().await;
}

#[tokio::test]
async fn a_compressed_answer_is_read_and_capped_by_what_it_becomes() {
    let gzip = [("content-encoding", "gzip")];
    let small = Server::answering(200, &gzip, include_bytes!("../fixtures/gzip_answer.json.gz")).await;
    assert_eq!(attempt(&small, "sandbox", OutboundOptions::default(), LONG).await.unwrap().text, "Four.");

    let bomb = Server::answering(200, &gzip, include_bytes!("../fixtures/gzip_of_4_mib.gz")).await;
    let options = OutboundOptions { max_response_bytes: 1 << 20, ..OutboundOptions::default() };
    let error = failed(&bomb, options, LONG).await;
    assert!(error.message.contains("larger than 1048576 bytes"), "{}", error.message);
}

#[tokio::test]
async fn the_deadline_holds_over_the_wait_and_over_the_read() {
    let silent = Server::start(|_| vec![Step::Hang]).await;
    let head = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
    let dripping = Server::start(move |_| {
        let drip = [Step::Send(b" ".to_vec()), Step::Pause(Duration::from_millis(20))];
        let drips = std::iter::repeat_n(drip, 1_000).flatten();
        std::iter::once(Step::Send(head.clone())).chain(drips).collect()
    })
    .await;
    for server in [&silent, &dripping] {
        let error = failed(server, OutboundOptions::default(), Duration::from_secs(3)).await;
        assert_eq!((error.class, error.sent), (ErrorClass::ProviderTimeout, true));
    }
    silent.client_closed().await;
}

#[tokio::test]
async fn the_calls_own_timeout_holds_where_the_deadline_is_longer() {
    let server = Server::start(|_| vec![Step::Hang]).await;
    let mut call = call("sandbox", "m");
    call.timeout = Duration::from_millis(200);
    let outbound = outbound(&server, OutboundOptions::default());
    let target = target("sandbox");
    let sent = outbound.call(&target, SecretString::from(KEY), &call, AttemptId::generate(), LONG);
    assert_eq!(sent.await.unwrap_err().class, ErrorClass::ProviderTimeout);
}

#[tokio::test]
async fn silence_counts_only_once_the_answer_has_begun() {
    let options = || OutboundOptions { idle_read_timeout: Duration::from_millis(200), ..OutboundOptions::default() };
    let thinking = [vec![Step::Pause(Duration::from_millis(600))], answer(200, &[], ANSWER)].concat();
    let slow = Server::start(move |_| thinking.clone()).await;
    assert_eq!(attempt(&slow, "sandbox", options(), LONG).await.unwrap().text, "Four.");

    let stuck =
        Server::start(|_| vec![Step::Send(b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{".to_vec()), Step::Hang])
            .await;
    let error = failed(&stuck, options(), LONG).await;
    assert_eq!((error.class, error.sent), (ErrorClass::ProviderTimeout, true));
    assert!(error.message.contains("fell silent"), "{}", error.message);
}

#[tokio::test]
async fn a_cut_connection_is_told_and_not_tried_again_here() {
    for steps in [
        vec![],
        vec![Step::Send(b"HTTP/1.1 200 OK\r\n".to_vec())],
        vec![Step::Send(b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{\"choices\":".to_vec())],
    ] {
        let server = Server::start(move |_| steps.clone()).await;
        let error = failed(&server, OutboundOptions::default(), LONG).await;
        assert_eq!((error.class, error.sent), (ErrorClass::ProviderNetwork, true), "{}", error.message);
        assert_eq!(server.connections(), 1);
    }
}

#[tokio::test]
async fn an_error_whose_body_is_cut_keeps_the_class_of_its_status() {
    let cut = b"HTTP/1.1 401 X\r\ncontent-length: 99\r\n\r\n{\"error\":".to_vec();
    let server = Server::start(move |_| vec![Step::Send(cut.clone())]).await;
    let error = failed(&server, OutboundOptions::default(), LONG).await;
    assert_eq!((error.class, error.http_status), (ErrorClass::ProviderAuth, Some(401)));
}

#[tokio::test]
async fn nothing_counts_as_sent_where_no_connection_came_about() {
    // Bound and let go again: nobody listens there.
    let address = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let outbound = outbound_to(address, OutboundOptions::default());
    let error = through(&outbound, "sandbox", LONG).await.unwrap_err();
    assert_eq!((error.class, error.sent), (ErrorClass::ProviderNetwork, false));
    assert!(!error.message.contains("http://"), "{}", error.message);
}

#[tokio::test]
async fn a_server_that_speaks_no_tls_gets_no_byte_of_a_call() {
    let server = Server::start(|_| vec![]).await;
    let base = Url::parse(&format!("https://{}/v1", server.address)).unwrap();
    let base_urls = [("sandbox".to_owned(), base)].into();
    let outbound = Outbound::new(OutboundOptions { base_urls, ..OutboundOptions::default() }).unwrap();
    assert!(!through(&outbound, "sandbox", Duration::from_secs(1)).await.unwrap_err().sent);
}

#[tokio::test]
async fn a_failed_attempt_is_one_request() {
    for status in [408, 429, 500, 503] {
        let server = Server::answering(status, &[("retry-after", "0")], b"{}").await;
        failed(&server, OutboundOptions::default(), LONG).await;
        assert_eq!(server.connections(), 1, "{status}");
    }
}

#[tokio::test]
async fn a_dropped_attempt_closes_its_connection() {
    let server = Server::start(|_| vec![Step::Hang]).await;
    let outbound = outbound(&server, OutboundOptions::default());
    let (target, call) = (target("sandbox"), call("sandbox", "m"));
    {
        let sending = outbound.call(&target, SecretString::from(KEY), &call, AttemptId::generate(), LONG);
        tokio::pin!(sending);
        while server.seen().is_empty() {
            tokio::select! {
                _ = &mut sending => panic!("the server never answers"),
                () = tokio::time::sleep(Duration::from_millis(5)) => {}
            }
        }
    }
    tokio::time::timeout(Duration::from_secs(10), server.client_closed()).await.unwrap();
}

/// The key as a provider may echo it.
fn echoes() -> Vec<String> {
    let percent: String = url::form_urlencoded::byte_serialize(KEY.as_bytes()).collect();
    let lower = percent.split('%').enumerate().map(|(index, part)| match index {
        0 => part.to_owned(),
        _ => format!("%{}{}", part[..2].to_ascii_lowercase(), &part[2..]),
    });
    vec![
        KEY.to_owned(),
        format!("Bearer {KEY}"),
        STANDARD.encode(KEY),
        STANDARD.encode(format!("Bearer {KEY}")),
        URL_SAFE_NO_PAD.encode(format!("x:{KEY}")),
        lower.collect(),
        percent,
    ]
}

/// What must not be left of an echo: the key, and what is the same in all of its base64 forms.
fn shows_key(text: &str) -> bool {
    let inner = |prefix: &str| STANDARD.encode(format!("{prefix}{KEY}"))[12..36].to_owned();
    let traces =
        [KEY.to_owned(), "canary".to_owned(), "0123456789".to_owned(), inner(""), inner("Bearer "), inner("x:")];
    traces.iter().any(|trace| text.contains(trace))
}

/// What a hostile provider answers: the echo in every place of an answer.
fn echoing_answers(echo: &str) -> Vec<Vec<Step>> {
    let error = serde_json::json!({"message": format!("bad key {echo}!"), "code": echo, "type": echo});
    let bodies = [
        serde_json::json!({"error": error, "request_id": echo}).to_string(),
        serde_json::json!({"error": echo}).to_string(),
        serde_json::json!({"status": "failed", "type": "error", "error": {"message": echo}}).to_string(),
        format!("plain {echo}"),
        format!("<html><title>{echo}</title></html>"),
        format!("{}{echo}", "x".repeat(1_990)),
    ];
    let location = format!("/{echo}");
    let headers = [("x-request-id", echo), ("location", location.as_str())];
    let statuses = [400, 401, 429, 500, 200, 302];
    bodies.iter().flat_map(|body| statuses.map(|status| answer(status, &headers, body.as_bytes()))).collect()
}

#[tokio::test]
async fn a_key_that_a_provider_echoes_stands_in_no_error() {
    let next = Arc::new(Mutex::new(Vec::new()));
    let script = Arc::clone(&next);
    let server = Server::start(move |_| script.lock().unwrap().clone()).await;
    let outbound = outbound(&server, OutboundOptions::default());
    for steps in echoes().iter().flat_map(|echo| echoing_answers(echo)) {
        next.lock().unwrap().clone_from(&steps);
        for slug in ["sandbox", "openai", "anthropic", "google"] {
            let error = through(&outbound, slug, LONG).await.unwrap_err();
            assert!(!shows_key(&format!("{error:?}")), "{slug} {steps:?}: {error:?}");
            assert!(error.message.len() <= 2_000);
        }
        let tested = outbound.test_key(&target("openai"), SecretString::from(KEY)).await;
        assert!(!shows_key(&format!("{tested:?}")), "{steps:?}: {tested:?}");
    }
    assert_eq!(server.seen().len(), echoes().len() * 36 * 5);
}

#[tokio::test]
async fn a_key_that_a_model_echoes_stands_not_in_the_answer() {
    let body = serde_json::json!({"choices": [{"message": {"content": format!("your key is {KEY}")}, "finish_reason": "stop"}], "model": KEY});
    let server = Server::answering(200, &[("x-request-id", KEY)], body.to_string().as_bytes()).await;
    let answer = attempt(&server, "sandbox", OutboundOptions::default(), LONG).await.unwrap();
    assert_eq!(answer.text, "your key is [key]");
    assert!(!shows_key(&format!("{answer:?}")));
}

#[tokio::test]
async fn the_door_shows_no_secret_when_it_is_printed() {
    let server = Server::answering(200, &[], ANSWER).await;
    let outbound = outbound(&server, OutboundOptions::default());
    outbound
        .call(&target("sandbox"), SecretString::from(KEY), &call("sandbox", "m"), AttemptId::generate(), LONG)
        .await
        .unwrap();
    assert!(!shows_key(&format!("{outbound:?}")));
}
