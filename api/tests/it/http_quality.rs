//! Whatever is sent, the answer is a 4xx problem that names the place and shows no value; never a 5xx.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, Client, World, on_both};

const CANARY: &str = "canary-6f1c";
const RUNS: &str = "/api/v1/runs";

on_both! {
    a_malformed_body_is_a_problem_that_shows_nothing,
    every_wrong_place_of_a_body_is_named,
    a_body_too_large_is_refused_also_after_decompression,
    a_gzip_body_is_read_and_other_encodings_are_not,
    wrong_paths_methods_ids_and_parameters_are_named,
    answers_carry_security_headers_and_our_request_id,
    pages_of_allowed_origins_may_call_and_others_may_not,
    large_json_is_compressed_for_those_who_take_it,
    nothing_that_is_sent_leads_to_a_server_error,
    what_tells_of_the_process_needs_no_key,
}

async fn send(client: &Client, content_type: &str, body: Vec<u8>) -> Answer {
    Answer::of(client.request(Method::POST, RUNS).header("content-type", content_type).body(body)).await
}

async fn a_malformed_body_is_a_problem_that_shows_nothing(world: &World) {
    let (_process, _tenant, client) = world.ready();
    let deep = "[".repeat(10_000);
    for body in ["", "{", "canary-6f1c", "{\"canary-6f1c\": canary-6f1c}", "[1,]", "{} canary-6f1c", &deep] {
        let answer = send(&client, "application/json", body.into()).await;
        assert_eq!(answer.problem(400, "malformed_json").len(), 1, "{}", answer.text);
        assert!(!answer.text.contains(CANARY), "{}", answer.text);
    }
    send(&client, "application/json", b"{\"prompt\": \"\xff\"}".to_vec()).await.problem(400, "malformed_json");
    for content_type in ["text/plain", "application/x-www-form-urlencoded", "application/xml"] {
        send(&client, content_type, b"{}".to_vec()).await.problem(415, "unsupported_media_type");
    }
    let twice = br#"{"prompt": "canary-6f1c", "models": ["sandbox/echo"], "prompt": "canary-6f1c"}"#;
    let answer = send(&client, "application/json", twice.to_vec()).await;
    assert_eq!(answer.problem(422, "validation_failed"), ["/prompt"]);
    assert!(!answer.text.contains(CANARY), "{}", answer.text);
}

async fn every_wrong_place_of_a_body_is_named(world: &World) {
    let (_process, _tenant, client) = world.ready();
    let body = json!({
        "promt": CANARY, "models": [CANARY, 5, {"model": CANARY, "temprature": CANARY}], "iterations": CANARY,
        "concurrency": -1, "metadata": [CANARY], "max_cost_usd": CANARY, "tags": [CANARY, ""], "webhook_url": CANARY,
    });
    let answer = client.post(RUNS, &body).await;
    let places = answer.problem(422, "validation_failed");
    for place in [
        "/promt",
        "/models/1",
        "/models/2/temprature",
        "/iterations",
        "/concurrency",
        "/metadata",
        "/max_cost_usd",
        "/tags/1",
        "/webhook_url",
    ] {
        assert!(places.iter().any(|found| found == place), "{place} is not among {places:?}");
    }
    assert!(answer.text.contains("did you mean prompt?"), "{}", answer.text);
    assert!(!answer.text.contains(CANARY), "{}", answer.text);
    // The seed's example: names that are nobody's get suggestions.
    let answer = client.post(RUNS, &json!({"prompt": "hi", "models": ["gpt-4", "claude-3"]})).await;
    assert_eq!(answer.problem(422, "validation_failed"), ["/models/0", "/models/1"]);
    assert!(answer.text.contains("openai/gpt-4.1") && answer.text.contains("anthropic/claude-"), "{}", answer.text);
}

async fn a_body_too_large_is_refused_also_after_decompression(world: &World) {
    let (_process, _tenant, client) = world.ready();
    let huge = json!({"prompt": "x".repeat(2 << 20), "models": ["sandbox/echo"]}).to_string();
    send(&client, "application/json", huge.clone().into_bytes()).await.problem(413, "body_too_large");
    // Without an announced length.
    let pieces: Vec<Result<Vec<u8>, std::io::Error>> =
        huge.as_bytes().chunks(65_536).map(|piece| Ok(piece.to_vec())).collect();
    let stream = reqwest::Body::wrap_stream(futures_util::stream::iter(pieces));
    let request = client.request(Method::POST, RUNS).header("content-type", "application/json").body(stream);
    // The server may cut the connection before all is sent.
    if let Ok(response) = request.send().await {
        assert_eq!(response.status().as_u16(), 413);
    }
    let bomb = packed(&vec![b' '; 50 << 20]);
    assert!(bomb.len() < 100_000);
    let request = client.request(Method::POST, RUNS).header("content-type", "application/json");
    Answer::of(request.header("content-encoding", "gzip").body(bomb)).await.problem(413, "body_too_large");
}

fn packed(plain: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

async fn a_gzip_body_is_read_and_other_encodings_are_not(world: &World) {
    let (_process, _tenant, client) = world.ready();
    let body = json!({"prompt": "hi", "models": ["openai/gpt-4o"]}).to_string();
    let request = |encoding: &str, body: Vec<u8>| {
        let request = client.request(Method::POST, "/api/v1/runs/estimate").header("content-type", "application/json");
        Answer::of(request.header("content-encoding", encoding).body(body))
    };
    assert_eq!(request("gzip", packed(body.as_bytes())).await.expect(200)["calls"], 1);
    request("gzip", body.clone().into_bytes()).await.problem(400, "malformed_body");
    request("br", body.clone().into_bytes()).await.problem(415, "unsupported_media_type");
    request("gzip, gzip", packed(&packed(body.as_bytes()))).await.problem(415, "unsupported_media_type");
}

async fn wrong_paths_methods_ids_and_parameters_are_named(world: &World) {
    let (_process, _tenant, client) = world.ready();
    client.get("/api/v1/nowhere").await.problem(404, "not_found");
    client.get("/api/v1/runs/run_01jd3v1m5zt0q8k6c2e4g6h8ja").await.problem(404, "not_found");
    for id in [CANARY, "run_", "ten_01jd3v1m5zt0q8k6c2e4g6h8ja", "RUN_01jd3v1m5zt0q8k6c2e4g6h8ja", "%00", "..%2f"] {
        let answer = client.get(&format!("/api/v1/runs/{id}")).await;
        assert_eq!(answer.problem(404, "not_found"), ["#path/run_id"], "{id}");
        assert!(!answer.text.contains(CANARY), "{}", answer.text);
    }
    let answer = client.delete(RUNS).await;
    answer.problem(405, "method_not_allowed");
    assert_eq!(answer.header("allow"), "GET, POST, HEAD");
    Answer::of(client.request(Method::TRACE, RUNS)).await.problem(405, "method_not_allowed");
    for (query, place) in [
        ("limit=canary-6f1c", "#query/limit"),
        ("limit=0", "#query/limit"),
        ("limit=-1", "#query/limit"),
        ("limit=99999999999999999999", "#query/limit"),
        ("status=canary-6f1c", "#query/status"),
        ("cursor=canary-6f1c", "#query/cursor"),
        ("created_from=canary-6f1c", "#query/created_from"),
        ("lmit=5", "#query/lmit"),
        ("limit=5&limit=6", "#query/limit"),
        ("tag=", "#query/tag"),
    ] {
        let answer = client.get(&format!("{RUNS}?{query}")).await;
        assert_eq!(answer.problem(400, "bad_parameter"), [place], "{query}");
        assert!(!answer.text.contains(CANARY), "{}", answer.text);
    }
    let request = client.request(Method::POST, RUNS).header("Idempotency-Key", "x".repeat(300));
    let answer = Answer::of(request.json(&json!({"prompt": "hi", "models": ["openai/gpt-4o"]}))).await;
    assert_eq!(answer.problem(400, "bad_parameter"), ["#header/Idempotency-Key"]);
}

async fn answers_carry_security_headers_and_our_request_id(world: &World) {
    let (_process, _tenant, client) = world.ready();
    for path in [RUNS, "/docs", "/nowhere", "/healthz", "/openapi.json"] {
        let answer = Answer::of(client.request(Method::GET, path).header("X-Request-Id", CANARY)).await;
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(answer.header("x-frame-options"), "DENY", "{path}");
        assert_eq!(answer.header("referrer-policy"), "no-referrer", "{path}");
        assert!(answer.header("content-security-policy").contains("default-src 'none'"), "{path}");
        assert!(answer.header("x-request-id").starts_with("req_"), "{path}");
        assert_eq!(answer.header("access-control-allow-origin"), "", "{path}");
    }
    assert_eq!(client.get(RUNS).await.header("cache-control"), "no-store");
}

async fn pages_of_allowed_origins_may_call_and_others_may_not(world: &World) {
    let process = world.start_with("serve", &[("ACM2_HTTP__CORS_ORIGINS", "https://app.example.com")]);
    let client = world.client(&process, "acm2_none");
    let preflight = |origin: &'static str| {
        let request = client.bare(Method::OPTIONS, RUNS).header("origin", origin);
        Answer::of(request.header("access-control-request-method", "POST"))
    };
    let answer = preflight("https://app.example.com").await;
    assert_eq!(
        (answer.status, answer.header("access-control-allow-origin").as_str()),
        (204, "https://app.example.com")
    );
    assert!(answer.header("access-control-allow-headers").contains("x-acm2-api-key"));
    let answer = preflight("https://evil.example.com").await;
    assert_eq!(answer.header("access-control-allow-origin"), "");
    // A refusal too can be read by the page.
    let answer = Answer::of(client.request(Method::GET, RUNS).header("origin", "https://app.example.com")).await;
    answer.problem(401, "api_key_invalid");
    assert_eq!(answer.header("access-control-allow-origin"), "https://app.example.com");
}

async fn large_json_is_compressed_for_those_who_take_it(world: &World) {
    let (_process, _tenant, client) = world.ready();
    let client = &client;
    let fetch = |path: &'static str, encoding: &'static str| async move {
        let response = client.request(Method::GET, path).header("accept-encoding", encoding).send().await.unwrap();
        let encoding = response.headers().get("content-encoding").map(|value| value.to_str().unwrap().to_owned());
        (encoding, response.bytes().await.unwrap().len())
    };
    let (plain, large) = fetch("/api/v1/models", "identity").await;
    assert_eq!(plain, None);
    let (packed, small) = fetch("/api/v1/models", "gzip").await;
    assert_eq!(packed.as_deref(), Some("gzip"));
    assert!(small * 2 < large, "{small} {large}");
    assert_eq!(fetch(RUNS, "gzip").await.0, None, "a few bytes stay as they are");
}

async fn nothing_that_is_sent_leads_to_a_server_error(world: &World) {
    let (_process, _tenant, client) = world.ready();
    let document = client.get("/openapi.json").await.expect(200);
    let bodies = [
        json!(null),
        json!([]),
        json!({}),
        json!("canary-6f1c"),
        json!(1),
        json!({"\u{0}": "\u{0}"}),
        json!({"a": {"b": [1]}}),
    ];
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let method = Method::from_bytes(method.to_ascii_uppercase().as_bytes()).unwrap();
            for id in ["x", "run_01jd3v1m5zt0q8k6c2e4g6h8ja", "%00", "%F0%9F%92%A9"] {
                let path: String = path
                    .split('/')
                    .map(|part| if part.starts_with('{') { id } else { part })
                    .collect::<Vec<_>>()
                    .join("/");
                let requests: Vec<_> = if operation["requestBody"] == Value::Null {
                    vec![client.request(method.clone(), &path)]
                } else {
                    bodies.iter().map(|body| client.request(method.clone(), &path).json(body)).collect()
                };
                for request in requests {
                    let answer = Answer::of(request).await;
                    assert!(answer.status < 500, "{method} {path}: {} {}", answer.status, answer.text);
                    assert!(!answer.text.contains(CANARY), "{method} {path}: {}", answer.text);
                }
            }
        }
    }
}

async fn what_tells_of_the_process_needs_no_key(world: &World) {
    let (_process, tenant, client) = world.ready();
    client.get(RUNS).await.expect(200);
    let open = |path: &'static str| Answer::of(client.bare(Method::GET, path));
    assert_eq!(open("/healthz").await.expect(200)["status"], "ok");
    assert_eq!(open("/readyz").await.expect(200)["status"], "ok");
    let metrics = open("/metrics").await;
    assert_eq!(metrics.status, 200);
    assert!(
        metrics.text.contains(r#"acm2_http_requests_total{method="GET",route="/api/v1/runs",status="200"} 1"#),
        "{}",
        metrics.text
    );
    assert!(!metrics.text.contains(&tenant.id));
    let providers = open("/api/v1/providers").await.expect(200);
    assert!(providers["items"].as_array().unwrap().iter().any(|provider| provider["slug"] == "anthropic"));
    let docs = open("/docs").await;
    assert!(docs.text.contains("runs.create") && docs.header("content-security-policy").contains("'sha256-"));
    assert_eq!(open("/openapi.json").await.expect(200)["openapi"], "3.0.3");
}
