//! Tests of provider keys over real HTTP.

use acm2_outbound::{KeyTest, KeyTestOutcome, Outbound, OutboundOptions, Target};
use secrecy::SecretString;

use crate::calls::{outbound, target};
use crate::server::{Server, Step};
use crate::wires::provider;

async fn tested(slug: &str, status: u16, body: &str) -> (KeyTest, Server) {
    let server = Server::answering(status, &[], body.as_bytes()).await;
    let outbound = outbound(&server, OutboundOptions::default());
    (outbound.test_key(&target(slug), SecretString::from("sk-canary-0001")).await, server)
}

#[tokio::test]
async fn the_test_is_the_cheap_call_of_the_provider() {
    for (slug, line, header, value) in [
        ("openai", "GET /v1/models HTTP/1.1", "authorization", "Bearer sk-canary-0001"),
        ("openrouter", "GET /v1/key HTTP/1.1", "authorization", "Bearer sk-canary-0001"),
        ("anthropic", "GET /v1/models HTTP/1.1", "x-api-key", "sk-canary-0001"),
        ("google", "GET /v1/models?pageSize=1 HTTP/1.1", "x-goog-api-key", "sk-canary-0001"),
        ("exa", "POST /v1/search HTTP/1.1", "x-api-key", "sk-canary-0001"),
        ("tavily", "GET /v1/usage HTTP/1.1", "authorization", "Bearer sk-canary-0001"),
        ("serper", "GET /v1/account HTTP/1.1", "x-api-key", "sk-canary-0001"),
    ] {
        let (test, server) = tested(slug, 200, r#"{"data": []}"#).await;
        assert_eq!(test.outcome, KeyTestOutcome::Valid, "{slug}");
        assert!(test.detail.starts_with("key accepted"), "{}", test.detail);
        let seen = server.seen();
        assert_eq!((seen[0].line(), seen[0].header(header)), (line, Some(value)));
        assert_eq!(seen[0].header("anthropic-version").is_some(), slug == "anthropic");
        assert_eq!(seen[0].body.is_empty(), slug != "exa");
    }
}

#[tokio::test]
async fn every_verdict_is_told() {
    for (slug, status, body, outcome) in [
        ("openai", 401, r#"{"error": {"message": "Incorrect API key provided"}}"#, KeyTestOutcome::Invalid),
        ("openai", 403, "{}", KeyTestOutcome::Invalid),
        (
            "google",
            400,
            r#"{"error": {"details": [{"@type": "x/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}]}}"#,
            KeyTestOutcome::Invalid,
        ),
        ("anthropic", 402, r#"{"error": {"type": "billing_error"}}"#, KeyTestOutcome::Quota),
        ("openai", 429, r#"{"error": {"code": "insufficient_quota"}}"#, KeyTestOutcome::Quota),
        ("openai", 429, "{}", KeyTestOutcome::Unreachable),
        ("openai", 500, "", KeyTestOutcome::Unreachable),
        ("openai", 302, "", KeyTestOutcome::Unreachable),
        ("openrouter", 200, r#"{"error": {"code": 401, "message": "no"}}"#, KeyTestOutcome::Invalid),
        ("openai", 200, "<html>welcome</html>", KeyTestOutcome::Unreachable),
    ] {
        let (test, _) = tested(slug, status, body).await;
        assert_eq!(test.outcome, outcome, "{slug} {status}: {}", test.detail);
        assert!(!test.detail.is_empty());
    }
}

#[tokio::test]
async fn a_list_of_models_without_an_object_around_it_is_an_answer_too() {
    let (test, _) = tested("openai", 200, r#"[{"id": "a"}, {"id": "b"}]"#).await;
    assert_eq!(test.outcome, KeyTestOutcome::Valid);
}

#[tokio::test]
async fn a_silent_provider_gives_no_verdict() {
    let server = Server::start(|_| vec![Step::Hang]).await;
    let options =
        OutboundOptions { key_test_timeout: std::time::Duration::from_millis(200), ..OutboundOptions::default() };
    let test = outbound(&server, options).test_key(&target("openai"), SecretString::from("sk-canary-0001")).await;
    assert_eq!(test.outcome, KeyTestOutcome::Unreachable);
}

#[tokio::test]
async fn a_place_that_is_not_allowed_is_not_asked() {
    let target = Target { provider: provider("openai-compatible"), base_url: None, private_hosts: Vec::new() };
    let outbound = Outbound::new(OutboundOptions::default()).unwrap();
    let test = outbound.test_key(&target, SecretString::from("sk-canary-0001")).await;
    assert_eq!((test.outcome, test.detail.as_str()), (KeyTestOutcome::Unreachable, "the provider key has no base URL"));
}
