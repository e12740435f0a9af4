//! Webhook endpoints, deliveries and signing secrets, as far as the api goes; sending is the worker's.

use reqwest::Method;
use serde_json::json;

use crate::harness::{Answer, World, on_both};

const ENDPOINTS: &str = "/api/v1/webhook-endpoints";

on_both! {
    an_endpoint_is_made_changed_and_deleted,
    wrong_urls_and_events_are_named,
    a_rotated_secret_overlaps_with_the_old_one,
    a_test_event_becomes_a_delivery_that_can_be_sent_anew,
    the_default_secret_is_made_once_and_rotated,
    a_repeated_request_makes_one_endpoint,
    texts_of_runs_need_the_scope_to_read_them,
    a_tenant_has_a_bounded_number_of_endpoints,
}

async fn an_endpoint_is_made_changed_and_deleted(world: &World) {
    let (_process, _tenant, client) = world.ready();
    let made = client.post(ENDPOINTS, &json!({"url": "https://example.org/hook"})).await.expect(201);
    assert!(made["secret"].as_str().unwrap().starts_with("whsec_"));
    let endpoint = &made["webhook_endpoint"];
    assert_eq!(endpoint["events"].as_array().unwrap().len(), 5, "all events: {endpoint}");
    assert_eq!((&endpoint["payload_style"], &endpoint["is_enabled"]), (&json!("thin"), &json!(true)));
    let path = format!("{ENDPOINTS}/{}", endpoint["id"].as_str().unwrap());
    let change =
        json!({"url": "https://example.org/2", "events": ["run.failed"], "payload_style": "full", "is_enabled": false});
    let changed = client.patch(&path, &change).await.expect(200);
    for (name, value) in change.as_object().unwrap() {
        assert_eq!(&changed[name], value, "{name}");
    }
    let listed = client.get(ENDPOINTS).await;
    assert_eq!(listed.json()["items"], json!([changed]));
    assert!(!listed.text.contains("whsec_"), "{}", listed.text);
    client.delete(&path).await.expect(204);
    client.get(&path).await.problem(404, "not_found");
}

async fn wrong_urls_and_events_are_named(world: &World) {
    let (_process, _tenant, client) = world.ready();
    for url in ["", "example.org", "ftp://example.org", "https://a:b@example.org/", "https://example.org/#x", "canary"]
    {
        let answer = client.post(ENDPOINTS, &json!({"url": url})).await;
        assert_eq!(answer.problem(422, "validation_failed"), ["/url"], "{url}");
        assert!(!answer.text.contains("canary"), "{}", answer.text);
    }
    let body = json!({"url": "https://example.org/", "events": ["run.completed", "task.completed"]});
    assert_eq!(client.post(ENDPOINTS, &body).await.problem(422, "validation_failed"), ["/events/1"]);
    let body = json!({"url": "https://example.org/", "events": ["run.canary"], "payload_style": "canary"});
    let answer = client.post(ENDPOINTS, &body).await;
    let mut places = answer.problem(422, "validation_failed");
    places.sort();
    assert_eq!(places, ["/events/0", "/payload_style"]);
    assert!(!answer.text.contains("canary"), "{}", answer.text);
    let body = json!({"url": "https://example.org/", "events": []});
    assert_eq!(client.post(ENDPOINTS, &body).await.problem(422, "validation_failed"), ["/events"]);
}

async fn a_rotated_secret_overlaps_with_the_old_one(world: &World) {
    let (_process, _tenant, client) = world.ready();
    let made = client.post(ENDPOINTS, &json!({"url": "https://example.org/hook"})).await.expect(201);
    let path = format!("{ENDPOINTS}/{}", made["webhook_endpoint"]["id"].as_str().unwrap());
    let rotated = client.act(&format!("{path}/rotate-secret")).await.expect(200);
    assert_ne!(rotated["secret"], made["secret"]);
    assert!(rotated["previous_secret_until"].is_string());
    assert_eq!(client.get(&path).await.expect(200)["previous_secret_until"], rotated["previous_secret_until"]);
    client.act(&format!("{path}/rotate-secret")).await.expect(200);
}

async fn a_test_event_becomes_a_delivery_that_can_be_sent_anew(world: &World) {
    let (_process, _tenant, client) = world.ready();
    let made = client.post(ENDPOINTS, &json!({"url": "http://127.0.0.1:9/hook"})).await.expect(201);
    let endpoint = made["webhook_endpoint"]["id"].as_str().unwrap();
    let sent = client.act(&format!("{ENDPOINTS}/{endpoint}/test")).await;
    let path = sent.header("location");
    let sent = sent.expect(202);
    assert_eq!((&sent["webhook_endpoint_id"], &sent["event_type"]), (&json!(endpoint), &json!("run.completed")));
    let detail = client.get(&path).await.expect(200);
    let payload: serde_json::Value = serde_json::from_str(detail["payload"].as_str().unwrap()).unwrap();
    assert_eq!((&payload["type"], &payload["data"]["tags"]), (&json!("run.completed"), &json!(["test"])));
    let listed = client.get(&format!("/api/v1/deliveries?webhook_endpoint_id={endpoint}")).await.expect(200);
    assert_eq!(listed["items"][0]["id"], sent["id"]);
    let again = client.act(&format!("{path}/redeliver")).await.expect(202);
    assert_eq!(again["id"], sent["id"]);
    client.act("/api/v1/deliveries/msg_01jd3v1m5zt0q8k6c2e4g6h8ja/redeliver").await.problem(404, "not_found");
    client.act(&format!("{ENDPOINTS}/whe_01jd3v1m5zt0q8k6c2e4g6h8ja/test")).await.problem(404, "not_found");
}

async fn the_default_secret_is_made_once_and_rotated(world: &World) {
    let (_process, _tenant, client) = world.ready();
    let first = client.get("/api/v1/webhook-secret").await.expect(200);
    assert!(first["secret"].as_str().unwrap().starts_with("whsec_"));
    assert_eq!(client.get("/api/v1/webhook-secret").await.expect(200), first);
    let rotated = client.act("/api/v1/webhook-secret/rotate").await.expect(200);
    assert_ne!(rotated["secret"], first["secret"]);
    assert_eq!(client.get("/api/v1/webhook-secret").await.expect(200), rotated);
    let other = client.with_key(&world.tenant("second").key);
    assert_ne!(other.get("/api/v1/webhook-secret").await.expect(200)["secret"], rotated["secret"]);
}

async fn a_repeated_request_makes_one_endpoint(world: &World) {
    let (_process, _tenant, client) = world.ready();
    let post = || {
        let body = json!({"url": "https://example.org/hook"});
        Answer::of(client.request(Method::POST, ENDPOINTS).header("Idempotency-Key", "a name").json(&body))
    };
    post().await.expect(201);
    post().await.problem(409, "secret_not_replayed");
    assert_eq!(client.get(ENDPOINTS).await.expect(200)["items"].as_array().unwrap().len(), 1);
}

async fn texts_of_runs_need_the_scope_to_read_them(world: &World) {
    let (_process, tenant, client) = world.ready();
    let weak = client.with_key(&world.key(&tenant, "webhooks:read,webhooks:write"));
    let full = json!({"url": "https://example.org/hook", "payload_style": "full"});
    weak.post(ENDPOINTS, &full).await.problem(403, "scope_missing");
    let thin = weak.post(ENDPOINTS, &json!({"url": "https://example.org/hook"})).await.expect(201);
    let path = format!("{ENDPOINTS}/{}", thin["webhook_endpoint"]["id"].as_str().unwrap());
    weak.patch(&path, &json!({"payload_style": "full"})).await.problem(403, "scope_missing");
    weak.patch(&path, &json!({"url": "https://example.org/2"})).await.expect(200);
    client.patch(&path, &json!({"payload_style": "full"})).await.expect(200);
    weak.patch(&path, &json!({"url": "https://example.org/mine"})).await.problem(403, "scope_missing");
    assert_eq!(weak.get(&path).await.expect(200)["url"], "https://example.org/2");
    let sent = client.act(&format!("{path}/test")).await.expect(202);
    let delivery = format!("/api/v1/deliveries/{}", sent["id"].as_str().unwrap());
    assert!(client.get(&delivery).await.expect(200)["payload"].is_string());
    let seen = weak.get(&delivery).await.expect(200);
    assert_eq!((&seen["payload"], &seen["delivery"]["id"]), (&json!(null), &sent["id"]));
    weak.patch(&path, &json!({"payload_style": "thin", "url": "https://example.org/3"})).await.expect(200);
}

async fn a_tenant_has_a_bounded_number_of_endpoints(world: &World) {
    let (_process, _tenant, client) = world.ready();
    let new = json!({"url": "https://example.org/hook"});
    for _ in 0..20 {
        client.post(ENDPOINTS, &new).await.expect(201);
    }
    client.post(ENDPOINTS, &new).await.problem(409, "limit_reached");
}
