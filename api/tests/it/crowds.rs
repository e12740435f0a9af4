//! Those who take much and give little: slow bodies, endless waits, small bodies with many errors. The others are served.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::json;

use crate::harness::{Answer, Client, Process, World, on_both};

const RUNS: &str = "/api/v1/runs";

on_both! {
    bodies_that_do_not_come_keep_nobody_out_and_are_given_up,
    uploads_that_do_not_come_keep_no_other_tenant_out,
    those_who_wait_keep_nobody_out_even_after_they_have_left,
    one_tenants_waits_are_bounded,
    a_small_body_does_not_lead_to_a_large_answer,
}

/// Sends what is given on a connection of its own.
fn send(process: &Process, text: &str) -> TcpStream {
    let mut stream = TcpStream::connect(process.url.trim_start_matches("http://")).unwrap();
    stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
    stream.write_all(text.as_bytes()).unwrap();
    stream
}

async fn bodies_that_do_not_come_keep_nobody_out_and_are_given_up(world: &World) {
    let process = world.start_with("serve", &[("ACM2_HTTP__CONCURRENCY", "2")]);
    let client = world.client(&process, &world.tenant("first").key);
    let head =
        "POST /api/v1/runs HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{";
    let mut slow: Vec<_> = (0..6).map(|_| send(&process, head)).collect();
    client.get(RUNS).await.expect(200);
    for stream in &mut slow {
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains("\"body_too_slow\""), "{answer}");
    }
}

async fn uploads_that_do_not_come_keep_no_other_tenant_out(world: &World) {
    let (process, _tenant, client) = world.ready();
    let document = json!({"name": "a", "text": "b"});
    let many = world.tenant("many").key;
    let send_of = |key: &str| {
        let head =
            format!("POST /api/v1/documents HTTP/1.1\r\nHost: x\r\n{key}Content-Type: multipart/form-data; boundary=x");
        send(&process, &format!("{head}\r\nContent-Length: 100\r\n\r\n--x"))
    };
    // Without a key: answered before the body is waited for, which would end as a 408.
    for mut stream in (0..40).map(|_| send_of("")).collect::<Vec<_>>() {
        let mut first = [0; 12];
        stream.read_exact(&mut first).unwrap();
        assert_eq!(&first, b"HTTP/1.1 401");
    }
    // With one: a tenant has a share.
    let slow_one = || send_of(&format!("X-API-Key: {many}\r\n"));
    let mut slow: Vec<_> = (0..40).map(|_| slow_one()).collect();
    let greedy = world.client(&process, &many);
    let until = Instant::now() + Duration::from_secs(30);
    let refused = loop {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let answer = greedy.post("/api/v1/documents", &document).await;
        if answer.status == 503 {
            break answer;
        }
        answer.expect(201);
        assert!(Instant::now() < until, "a tenant has more than a share");
        // A slow machine has not heard of enough of them yet, and gives them up after 3 s: others must come.
        slow.extend((0..10).map(|_| slow_one()));
    };
    refused.problem(503, "overloaded");
    client.post("/api/v1/documents", &document).await.expect(201);
    drop(slow);
}

/// A run that nobody works on.
async fn waiting_run(client: &Client) -> String {
    let body = json!({"prompt": "hi", "models": ["openai/gpt-4o"]});
    client
        .post("/api/v1/settings/provider-keys", &json!({"provider": "openai", "key": "sk-proj-0123456789"}))
        .await
        .expect(201);
    let run = client.post(RUNS, &body).await.expect(202);
    format!("{RUNS}/{}", run["id"].as_str().unwrap())
}

async fn those_who_wait_keep_nobody_out_even_after_they_have_left(world: &World) {
    // Files are served with a worker only, which would do the run.
    if !world.is_shared() {
        return;
    }
    let process = world.start_with("api", &[("ACM2_HTTP__CONCURRENCY", "2")]);
    let tenant = world.tenant("first");
    let client = world.client(&process, &tenant.key);
    let run = waiting_run(&client).await;
    let head = format!("GET {run} HTTP/1.1\r\nHost: x\r\nX-API-Key: {}\r\nPrefer: wait=60\r\n\r\n", tenant.key);
    for _ in 0..2 {
        let waiter = send(&process, &head);
        tokio::time::sleep(Duration::from_millis(300)).await;
        drop(waiter);
    }
    for _ in 0..3 {
        client.get(&run).await.expect(200);
    }
}

async fn one_tenants_waits_are_bounded(world: &World) {
    // Files are served with a worker only, which would do the run.
    if !world.is_shared() {
        return;
    }
    let process = world.start("api");
    let tenant = world.tenant("first");
    let client = world.client(&process, &tenant.key);
    let run = waiting_run(&client).await;
    let wait = |seconds: u32| client.request(Method::GET, &run).header("prefer", format!("wait={seconds}"));
    let mut waits = tokio::task::JoinSet::new();
    for _ in 0..70 {
        waits.spawn(Answer::of(wait(60)));
    }
    // The first to be answered are those that are too many; the others wait on.
    for _ in 0..6 {
        let answer = tokio::time::timeout(Duration::from_secs(30), waits.join_next()).await.unwrap().unwrap().unwrap();
        assert_eq!(answer.expect(200)["status"], "queued");
    }
    assert!(tokio::time::timeout(Duration::from_secs(1), waits.join_next()).await.is_err());
    client.act(&format!("{run}/cancel")).await.expect(202);
    while let Some(answer) = waits.join_next().await {
        assert_eq!(answer.unwrap().expect(200)["status"], "cancelled");
    }
}

async fn a_small_body_does_not_lead_to_a_large_answer(world: &World) {
    let (_process, _tenant, client) = world.ready();
    let body = json!({"prompt": "hi", "models": vec!["x"; 10_000], "tags": vec![""; 10_000]});
    let answer = client.post(RUNS, &body).await;
    assert_eq!(answer.problem(422, "validation_failed").len(), 20);
    let body = json!({"prompt": "hi", "models": ["openai/gpt-4o"], "metadata": {"x".repeat(100_000): ""}});
    assert!(client.post(RUNS, &body).await.text.len() < 2_000);
    let body = json!({"url": "https://example.org", "events": vec!["run.started"; 10_000]});
    client.post("/api/v1/webhook-endpoints", &body).await.problem(422, "validation_failed");
}
