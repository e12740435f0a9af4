//! What the call log holds, in memory, over HTTP and in the file.

use std::net::Ipv4Addr;

use acm2_sandbox::{CallRecord, Event, Options, Sandbox, Usage, Wire};

use crate::client::{Call, KEY, log_when, start};

#[tokio::test]
async fn a_call_is_logged_when_it_comes_and_when_it_is_answered() {
    let sandbox = start().await;
    Call::chat("sandbox/echo", "one two three").header("x-acm2-attempt-id", "attempt-1").to(&sandbox).await;
    let [received, answered] = sandbox.calls().try_into().unwrap();
    assert_eq!((received.seq, received.call, received.event), (1, 1, Event::Received));
    assert_eq!((received.status, received.usage), (None, None));
    assert_eq!((answered.seq, answered.call, answered.event), (2, 1, Event::Answered));
    assert_eq!(answered.status, Some(200));
    assert_eq!(answered.usage, Some(Usage { input: 6, cached: 0, output: 4, reasoning: 0 }));
    for record in [received, answered] {
        assert_eq!((record.wire, &*record.path), (Wire::OpenaiChat, "/v1/chat/completions"));
        assert_eq!(record.model.as_deref(), Some("sandbox/echo"));
        assert_eq!(record.attempt_id.as_deref(), Some("attempt-1"));
        // printf %s sk-test-0123456789 | sha256sum
        assert_eq!(record.key_fingerprint.as_deref(), Some("0d3b560722915d2f"));
        // printf %s 'one two three' | sha256sum
        assert_eq!(record.prompt_fingerprint.as_deref(), Some("6899ee404683a14e"));
    }
}

#[tokio::test]
async fn the_attempt_id_is_read_from_three_headers_in_order() {
    let sandbox = start().await;
    let (own, client, idempotency) =
        (("x-acm2-attempt-id", "own"), ("x-client-request-id", "client"), ("Idempotency-Key", "idem"));
    let send = async |call: Call, headers: &[(&str, &str)]| {
        let call = headers.iter().fold(call, |call, (name, value)| call.header(name, value));
        call.to(&sandbox).await;
        sandbox.calls().pop().unwrap().attempt_id
    };
    assert_eq!(send(Call::chat("echo", "a"), &[idempotency, client, own]).await.as_deref(), Some("own"));
    assert_eq!(send(Call::chat("echo", "a"), &[idempotency, client]).await.as_deref(), Some("client"));
    assert_eq!(send(Call::responses("echo", "a"), &[idempotency]).await.as_deref(), Some("idem"));
    assert_eq!(send(Call::anthropic("echo", "a"), &[idempotency]).await, None);
    assert_eq!(send(Call::gemini("echo", "a"), &[]).await, None);
}

#[tokio::test]
async fn no_key_and_no_prompt_stands_in_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("calls.jsonl");
    let options = Options { bind: (Ipv4Addr::LOCALHOST, 0).into(), log_file: Some(file.clone()) };
    let sandbox = Sandbox::start(options).await.unwrap();
    for model in ["echo", "echo-key-in-error", "fail-401", "unknown-model"] {
        for (_, mut call) in Call::everywhere(model, "a private prompt") {
            call.path.push_str("?key=");
            call.path.push_str(KEY);
            call.to(&sandbox).await;
        }
    }
    let over_http = String::from_utf8(Call::get("/sandbox/calls").to(&sandbox).await.body).unwrap();
    let in_file = std::fs::read_to_string(&file).unwrap();
    for log in [format!("{:?}", sandbox.calls()), over_http, in_file] {
        assert!(log.contains("received") || log.contains("Received"));
        assert!(!log.contains(KEY) && !log.contains("private"), "{log}");
    }
}

#[tokio::test]
async fn the_file_has_each_record_as_soon_as_memory_has_it_and_is_appended_to() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options { bind: (Ipv4Addr::LOCALHOST, 0).into(), log_file: Some(folder.path().join("calls.jsonl")) };
    let read = || -> Vec<CallRecord> {
        let text = std::fs::read_to_string(folder.path().join("calls.jsonl")).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let sandbox = Sandbox::start(options.clone()).await.unwrap();
    Call::chat("echo", "hello").to(&sandbox).await;
    // Still open: its first record must not wait for its last.
    let open = Call::chat("hang", "hello").key(KEY).open(sandbox.address()).await.unwrap();
    log_when(&sandbox, |calls| calls.len() == 3).await;
    assert_eq!(read(), sandbox.calls());
    sandbox.stop().await;
    drop(open);
    let sandbox = Sandbox::start(options).await.unwrap();
    Call::chat("echo", "hello").to(&sandbox).await;
    assert_eq!(read().len(), 5);
}

#[tokio::test]
async fn the_log_is_read_from_a_place_on() {
    let sandbox = start().await;
    for _ in 0..3 {
        Call::anthropic("echo", "hello").to(&sandbox).await;
    }
    let page = Call::get("/sandbox/calls?since=4").to(&sandbox).await.json();
    let seqs: Vec<_> = page.as_array().unwrap().iter().map(|record| record["seq"].as_u64().unwrap()).collect();
    assert_eq!(seqs, [5, 6]);
    assert_eq!(page[1]["event"], "answered");
    assert_eq!(page[1]["wire"], "anthropic_messages");
    assert_eq!(Call::get("/sandbox/calls?since=6").to(&sandbox).await.json(), serde_json::json!([]));
    assert_eq!(Call::get("/sandbox/calls?since=x").to(&sandbox).await.status, 400);
}

#[tokio::test]
async fn errors_and_key_tests_are_logged_too() {
    let sandbox = start().await;
    Call::chat("echo", "hello").key("sk-bad").send(sandbox.address()).await.unwrap();
    Call::get("/v1/models").to(&sandbox).await;
    let calls = sandbox.calls();
    assert_eq!((calls[1].event, calls[1].status), (Event::Answered, Some(401)));
    assert_eq!((calls[3].wire, calls[3].status), (Wire::KeyTest, Some(200)));
    assert_ne!(calls[1].key_fingerprint, calls[3].key_fingerprint);
}

#[tokio::test]
async fn ids_are_the_same_within_a_call_and_different_between_calls() {
    let sandbox = start().await;
    let first = Call::chat("echo", "hello").to(&sandbox).await;
    let second = Call::chat("echo", "hello").to(&sandbox).await;
    assert_ne!(first.json()["id"], second.json()["id"]);
    let id = first.json()["id"].as_str().unwrap().replace("chatcmpl-", "req_");
    assert_eq!(first.header("x-request-id"), Some(&*id));
}
