//! What happens on the connection itself: cuts, resets, silence, floods.

use std::io::ErrorKind;

use acm2_sandbox::{Event, Wire};
use tokio::io::AsyncReadExt;

use crate::client::{Call, KEY, log_when, start};

#[tokio::test]
async fn cut_closes_in_the_middle_of_the_body() {
    let sandbox = start().await;
    for (name, call) in Call::everywhere("cut", "hello") {
        let answer = call.to(&sandbox).await;
        assert_eq!(answer.status, 200, "{name}");
        assert!(!answer.whole && answer.body.len() > 100, "{name}: {answer:?}");
        assert!(serde_json::from_slice::<serde_json::Value>(&answer.body).is_err(), "{name}");
    }
}

#[tokio::test]
async fn malformed_is_complete_as_http_and_broken_as_json() {
    let sandbox = start().await;
    for (name, call) in Call::everywhere("malformed", "hello") {
        let answer = call.to(&sandbox).await;
        assert!(answer.status == 200 && answer.whole, "{name}");
        assert!(serde_json::from_slice::<serde_json::Value>(&answer.body).is_err(), "{name}");
    }
}

#[tokio::test]
async fn cut_before_closes_without_a_byte_and_reset_resets() {
    let sandbox = start().await;
    for (name, call) in Call::everywhere("cut-before", "hello") {
        let error = call.key(KEY).send(sandbox.address()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnexpectedEof, "{name}");
    }
    for (name, call) in Call::everywhere("reset", "hello") {
        let error = call.key(KEY).send(sandbox.address()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{name}");
    }
    let answered: Vec<_> = sandbox.calls().into_iter().filter(|record| record.event == Event::Answered).collect();
    assert_eq!(answered.len(), 10);
    assert!(answered.iter().all(|record| record.status.is_none()));
    // Other connections are not touched.
    assert_eq!(Call::chat("echo", "hello").to(&sandbox).await.status, 200);
}

#[tokio::test]
async fn html_comes_with_status_200() {
    let sandbox = start().await;
    let answer = Call::anthropic("html", "hello").to(&sandbox).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"));
    assert!(answer.body.starts_with(b"<!DOCTYPE html>"));
}

#[tokio::test]
async fn many_hanging_calls_at_once_are_all_noted_when_their_clients_go() {
    const CALLS: usize = 300;
    let sandbox = start().await;
    let mut open = Vec::new();
    for number in 0..CALLS {
        let call = Call::chat("hang", &format!("call {number}")).key(KEY);
        open.push(call.open(sandbox.address()).await.unwrap());
    }
    let calls = log_when(&sandbox, |calls| calls.len() >= CALLS).await;
    assert!(calls.iter().all(|record| record.event == Event::Received));
    drop(open);
    let calls = log_when(&sandbox, |calls| calls.len() >= 2 * CALLS).await;
    let gone = calls.iter().filter(|record| record.event == Event::ClientGone && record.status.is_none()).count();
    assert_eq!(gone, CALLS);
}

#[tokio::test]
async fn a_client_that_leaves_a_slow_call_is_noted_as_gone() {
    let sandbox = start().await;
    let stream = Call::gemini("slow-30s", "hello").key(KEY).open(sandbox.address()).await.unwrap();
    log_when(&sandbox, |calls| calls.len() == 1).await;
    drop(stream);
    let calls = log_when(&sandbox, |calls| calls.len() == 2).await;
    assert_eq!((calls[1].event, calls[1].call, calls[1].usage), (Event::ClientGone, calls[0].call, None));
}

#[tokio::test]
async fn stopping_ends_open_calls_without_blaming_the_client() {
    let sandbox = start().await;
    let address = sandbox.address();
    let mut stream = Call::chat("hang", "hello").key(KEY).open(address).await.unwrap();
    log_when(&sandbox, |calls| calls.len() == 1).await;
    let calls = Call::get("/sandbox/calls").to(&sandbox).await.json();
    sandbox.stop().await;
    assert_eq!(calls.as_array().unwrap().len(), 1);
    assert_eq!(stream.read(&mut [0; 16]).await.unwrap_or_default(), 0);
    assert!(Call::get("/").send(address).await.is_err());
}

#[tokio::test]
async fn huge_streams_a_valid_answer_of_64_mib() {
    let sandbox = start().await;
    let answer = Call::chat("huge", "hello").to(&sandbox).await;
    let body = answer.json();
    let text = body["choices"][0]["message"]["content"].as_str().unwrap();
    assert_eq!(text.len(), 64 * 1024 * 1024);
    assert_eq!(body["usage"]["completion_tokens"], 8 * 1024 * 1024);
    assert_eq!(text.split_whitespace().count(), 8 * 1024 * 1024);
}

#[tokio::test]
async fn a_client_that_leaves_a_huge_answer_is_noted_as_gone() {
    let sandbox = start().await;
    let mut stream = Call::chat("huge", "hello").key(KEY).open(sandbox.address()).await.unwrap();
    stream.read_exact(&mut [0; 1024]).await.unwrap();
    drop(stream);
    log_when(&sandbox, |calls| calls.last().is_some_and(|record| record.event == Event::ClientGone)).await;
}

#[tokio::test]
async fn a_redirect_points_to_another_host_and_shows_who_follows() {
    let sandbox = start().await;
    let answer = Call::anthropic("redirect", "hello").to(&sandbox).await;
    assert_eq!(answer.status, 307);
    let expected = format!("http://localhost:{}/sandbox/redirect-target", sandbox.address().port());
    assert_eq!(answer.header("location"), Some(&*expected));
    assert!(sandbox.calls().iter().all(|record| record.wire != Wire::RedirectTarget));

    let followed = Call::post("/sandbox/redirect-target", &serde_json::json!({})).header("x-api-key", KEY);
    assert_eq!(followed.send(sandbox.address()).await.unwrap().json()["with_a_key"], true);
    let last = sandbox.calls().pop().unwrap();
    assert!(last.wire == Wire::RedirectTarget && last.key_fingerprint.is_some());
}
