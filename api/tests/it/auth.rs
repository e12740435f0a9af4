//! Who may do what: keys, scopes, revocation, other tenants.

use reqwest::Method;
use serde_json::json;

use crate::harness::{Answer, World, on_both};

const KEYS: &str = "/api/v1/api-keys";

on_both! {
    each_header_takes_the_key_and_two_different_ones_are_refused,
    a_key_that_does_not_hold_gets_the_same_answer_whatever_the_reason,
    a_revoked_key_is_refused_at_the_next_request,
    a_revoked_key_is_refused_on_every_process,
    a_key_does_only_what_its_scopes_say,
    a_key_cannot_make_one_that_may_do_more,
    a_key_expires,
    a_key_touches_none_that_may_do_more,
    a_key_makes_none_that_outlives_it,
    a_tenant_has_a_bounded_number_of_keys,
    another_tenants_things_are_not_found,
    a_repeated_request_makes_one_key_and_does_not_show_it_again,
    a_new_key_is_shown_once_and_listed_masked,
}

async fn each_header_takes_the_key_and_two_different_ones_are_refused(world: &World) {
    let (_process, tenant, client) = world.ready();
    let other = world.tenant("second");
    let bearer = |key: &str| format!("Bearer {key}");
    let get = || client.bare(Method::GET, KEYS);
    for request in [
        get().header("X-ACM2-API-Key", &tenant.key),
        get().header("X-API-Key", &tenant.key),
        get().header("Authorization", bearer(&tenant.key)),
        get().header("Authorization", bearer(&tenant.key)).header("X-API-Key", &tenant.key),
    ] {
        Answer::of(request).await.expect(200);
    }
    let both = get().header("X-API-Key", &other.key).header("Authorization", bearer(&tenant.key));
    Answer::of(both).await.problem(400, "several_credentials");
    Answer::of(get()).await.problem(401, "api_key_missing");
    let in_query = client.bare(Method::GET, &format!("{KEYS}?api_key={}", tenant.key));
    Answer::of(in_query).await.problem(400, "bad_parameter");
}

async fn a_key_that_does_not_hold_gets_the_same_answer_whatever_the_reason(world: &World) {
    let (_process, tenant, client) = world.ready();
    let id = client.post(KEYS, &json!({"name": "short"})).await.expect(201);
    let revoked = id["key"].as_str().unwrap().to_owned();
    client.delete(&format!("{KEYS}/{}", id["api_key"]["id"].as_str().unwrap())).await.expect(204);
    let mut mistyped = tenant.key.clone();
    mistyped.replace_range(20..21, if &mistyped[20..21] == "a" { "b" } else { "a" });
    let mut details = Vec::new();
    for key in [revoked.as_str(), &mistyped, "acm2_", "sk-proj-canary", "ü", &"x".repeat(5_000)] {
        let answer = client.with_key(key).get(KEYS).await;
        answer.problem(401, "api_key_invalid");
        assert!(answer.header("www-authenticate").starts_with("Bearer"));
        assert!(!answer.text.contains("canary"));
        details.push(answer.json()["detail"].clone());
    }
    details.dedup();
    assert_eq!(details.len(), 1, "{details:?}");
}

async fn a_revoked_key_is_refused_at_the_next_request(world: &World) {
    let (_process, _tenant, client) = world.ready();
    let made = client.post(KEYS, &json!({"name": "to go"})).await.expect(201);
    let key = client.with_key(made["key"].as_str().unwrap());
    for _ in 0..3 {
        key.get(KEYS).await.expect(200);
    }
    let path = format!("{KEYS}/{}", made["api_key"]["id"].as_str().unwrap());
    client.delete(&path).await.expect(204);
    key.get(KEYS).await.problem(401, "api_key_invalid");
    // It stays in the list, and stays revoked.
    assert!(client.get(&path).await.expect(200)["revoked_at"].is_string());
    client.patch(&path, &json!({"name": "back"})).await.problem(409, "api_key_revoked");
}

async fn a_revoked_key_is_refused_on_every_process(world: &World) {
    if !world.is_shared() {
        return;
    }
    let (one, tenant, client) = world.ready();
    let other = world.start("api");
    let made = client.post(KEYS, &json!({"name": "to go"})).await.expect(201);
    let there = world.client(&other, made["key"].as_str().unwrap());
    there.get(KEYS).await.expect(200);
    let path = format!("{KEYS}/{}", made["api_key"]["id"].as_str().unwrap());
    world.client(&one, &tenant.key).delete(&path).await.expect(204);
    there.get(KEYS).await.problem(401, "api_key_invalid");
}

async fn a_key_does_only_what_its_scopes_say(world: &World) {
    let (_process, tenant, client) = world.ready();
    let reader = client.with_key(&world.key(&tenant, "runs:read,provider-keys:read"));
    reader.get("/api/v1/runs").await.expect(200);
    reader.get("/api/v1/settings/provider-keys").await.expect(200);
    let refused = reader.post("/api/v1/runs", &json!({"nonsense": 1})).await;
    refused.problem(403, "scope_missing");
    assert!(refused.text.contains("runs:write"), "{}", refused.text);
    reader.get(KEYS).await.problem(403, "scope_missing");
    reader.delete("/api/v1/settings/provider-keys/pkey_01jd3v1m5zt0q8k6c2e4g6h8ja").await.problem(403, "scope_missing");
    reader.get("/api/v1/webhook-secret").await.problem(403, "scope_missing");
}

async fn a_key_cannot_make_one_that_may_do_more(world: &World) {
    let (_process, tenant, client) = world.ready();
    let maker = client.with_key(&world.key(&tenant, "api-keys:write,api-keys:read,runs:read"));
    maker.post(KEYS, &json!({"name": "x", "scopes": ["runs:write"]})).await.problem(403, "scope_missing");
    maker.post(KEYS, &json!({"name": "x", "scopes": ["*"]})).await.problem(403, "scope_missing");
    let made = maker.post(KEYS, &json!({"name": "x"})).await.expect(201);
    assert_eq!(made["api_key"]["scopes"], json!(["runs:read", "api-keys:read", "api-keys:write"]));
    let path = format!("{KEYS}/{}", made["api_key"]["id"].as_str().unwrap());
    maker.patch(&path, &json!({"scopes": ["provider-keys:write"]})).await.problem(403, "scope_missing");
    let less = maker.patch(&path, &json!({"scopes": ["runs:read"]})).await.expect(200);
    assert_eq!(less["scopes"], json!(["runs:read"]));
    client.with_key(made["key"].as_str().unwrap()).get(KEYS).await.problem(403, "scope_missing");
}

async fn a_key_expires(world: &World) {
    let (_process, _tenant, client) = world.ready();
    let answer = client.post(KEYS, &json!({"name": "x", "expires_at": "2020-01-01T00:00:00Z"})).await;
    assert_eq!(answer.problem(422, "validation_failed"), ["/expires_at"]);
    let now = || chrono::DateTime::<chrono::Utc>::from(std::time::SystemTime::now());
    // A slow machine takes a while until it uses the key.
    let soon = now() + chrono::TimeDelta::seconds(10);
    let made = client.post(KEYS, &json!({"name": "x", "expires_at": soon.to_rfc3339()})).await.expect(201);
    let key = client.with_key(made["key"].as_str().unwrap());
    key.get(KEYS).await.expect(200);
    let path = format!("{KEYS}/{}", made["api_key"]["id"].as_str().unwrap());
    loop {
        let asked = now();
        let answer = key.get(KEYS).await;
        if answer.status == 401 {
            answer.problem(401, "api_key_invalid");
            break;
        }
        answer.expect(200);
        assert!(asked < soon + chrono::TimeDelta::seconds(2), "it was used after its time");
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    // What has expired stays so; the rest of it can be changed.
    client.patch(&path, &json!({"expires_at": null})).await.problem(409, "api_key_expired");
    client.patch(&path, &json!({"name": "y"})).await.expect(200);
    key.get(KEYS).await.problem(401, "api_key_invalid");
}

async fn a_key_touches_none_that_may_do_more(world: &World) {
    let (_process, tenant, client) = world.ready();
    let strong = client.post(KEYS, &json!({"name": "strong"})).await.expect(201);
    let strong = format!("{KEYS}/{}", strong["api_key"]["id"].as_str().unwrap());
    let weak = client.with_key(&world.key(&tenant, "api-keys:read,api-keys:write"));
    weak.patch(&strong, &json!({"name": "mine"})).await.problem(403, "scope_missing");
    weak.patch(&strong, &json!({"scopes": ["api-keys:read"]})).await.problem(403, "scope_missing");
    weak.delete(&strong).await.problem(403, "scope_missing");
    assert_eq!(client.get(&strong).await.expect(200)["revoked_at"], json!(null));
    let own = weak.post(KEYS, &json!({"name": "like me"})).await.expect(201);
    let own = format!("{KEYS}/{}", own["api_key"]["id"].as_str().unwrap());
    weak.patch(&own, &json!({"name": "mine"})).await.expect(200);
    weak.delete(&own).await.expect(204);
    client.delete(&strong).await.expect(204);
}

async fn a_key_makes_none_that_outlives_it(world: &World) {
    let (_process, _tenant, client) = world.ready();
    let now = chrono::DateTime::<chrono::Utc>::from(std::time::SystemTime::now());
    let at = |hours: i64| {
        // Databases keep microseconds.
        let at = now + chrono::TimeDelta::hours(hours);
        at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
    };
    let made = client.post(KEYS, &json!({"name": "x", "expires_at": at(2)})).await.expect(201);
    let until = made["api_key"]["expires_at"].clone();
    let short = client.with_key(made["key"].as_str().unwrap());
    let later = short.post(KEYS, &json!({"name": "y", "expires_at": at(3)})).await;
    assert_eq!(later.problem(422, "validation_failed"), ["/expires_at"]);
    let unsaid = short.post(KEYS, &json!({"name": "y"})).await.expect(201);
    assert_eq!(unsaid["api_key"]["expires_at"], until);
    let path = format!("{KEYS}/{}", unsaid["api_key"]["id"].as_str().unwrap());
    for wrong in [json!({"expires_at": null}), json!({"expires_at": at(3)})] {
        assert_eq!(short.patch(&path, &wrong).await.problem(422, "validation_failed"), ["/expires_at"]);
    }
    short.patch(&path, &json!({"expires_at": at(1)})).await.expect(200);
    client.patch(&path, &json!({"expires_at": null})).await.expect(200);
}

async fn a_tenant_has_a_bounded_number_of_keys(world: &World) {
    let (_process, _tenant, client) = world.ready();
    let mut last = String::new();
    // One is there from the beginning.
    for _ in 1..200 {
        let made = client.post(KEYS, &json!({"name": "x"})).await.expect(201);
        made["api_key"]["id"].as_str().unwrap().clone_into(&mut last);
    }
    client.post(KEYS, &json!({"name": "x"})).await.problem(409, "limit_reached");
    client.delete(&format!("{KEYS}/{last}")).await.expect(204);
    client.post(KEYS, &json!({"name": "x"})).await.expect(201);
}

async fn another_tenants_things_are_not_found(world: &World) {
    let (_process, _tenant, client) = world.ready();
    let stranger = client.with_key(&world.tenant("second").key);
    let id = |answer: serde_json::Value, pointer: &str| answer.pointer(pointer).unwrap().as_str().unwrap().to_owned();
    let api_key = id(client.post(KEYS, &json!({"name": "x"})).await.expect(201), "/api_key/id");
    let new = json!({"provider": "openai", "key": "sk-proj-0123456789"});
    let provider_key = id(client.post("/api/v1/settings/provider-keys", &new).await.expect(201), "/id");
    let new = json!({"url": "https://example.org/hook"});
    let endpoint = id(client.post("/api/v1/webhook-endpoints", &new).await.expect(201), "/webhook_endpoint/id");
    for path in [
        format!("{KEYS}/{api_key}"),
        format!("/api/v1/settings/provider-keys/{provider_key}"),
        format!("/api/v1/webhook-endpoints/{endpoint}"),
    ] {
        client.get(&path).await.expect(200);
        stranger.get(&path).await.problem(404, "not_found");
        stranger.patch(&path, &json!({})).await.problem(404, "not_found");
        stranger.delete(&path).await.problem(404, "not_found");
        client.get(&path).await.expect(200);
    }
    stranger.act(&format!("/api/v1/webhook-endpoints/{endpoint}/rotate-secret")).await.problem(404, "not_found");
    stranger.act(&format!("/api/v1/settings/provider-keys/{provider_key}/test")).await.problem(404, "not_found");
    assert_eq!(stranger.get("/api/v1/settings/provider-keys").await.expect(200)["items"], json!([]));
    assert_eq!(stranger.get("/api/v1/webhook-endpoints").await.expect(200)["items"], json!([]));
    assert_eq!(stranger.get(KEYS).await.expect(200)["items"].as_array().unwrap().len(), 1);
}

async fn a_repeated_request_makes_one_key_and_does_not_show_it_again(world: &World) {
    let (_process, _tenant, client) = world.ready();
    let post = |body: serde_json::Value| {
        Answer::of(client.request(Method::POST, KEYS).header("Idempotency-Key", "once").json(&body))
    };
    post(json!({"name": "one"})).await.expect(201);
    post(json!({"name": "one"})).await.problem(409, "secret_not_replayed");
    post(json!({"name": "two"})).await.problem(422, "idempotency_key_reused");
    assert_eq!(client.get(KEYS).await.expect(200)["items"].as_array().unwrap().len(), 2);
}

async fn a_new_key_is_shown_once_and_listed_masked(world: &World) {
    let (_process, _tenant, client) = world.ready();
    let made = client.post(KEYS, &json!({"name": "ci", "scopes": ["runs:read"]})).await;
    assert!(made.header("location").starts_with(&format!("{KEYS}/key_")));
    let made = made.expect(201);
    let key = made["key"].as_str().unwrap();
    let listed = client.get(&format!("{KEYS}?limit=1")).await;
    assert!(!listed.text.contains(key));
    let listed = listed.expect(200);
    assert_eq!(listed["items"][0]["id"], made["api_key"]["id"]);
    assert!(key.starts_with(listed["items"][0]["prefix"].as_str().unwrap()));
    assert!(key.ends_with(listed["items"][0]["last4"].as_str().unwrap()));
    let cursor = listed["next_cursor"].as_str().unwrap();
    let next = client.get(&format!("{KEYS}?limit=1&cursor={cursor}")).await.expect(200);
    assert_ne!(next["items"][0]["id"], listed["items"][0]["id"]);
    assert_eq!(next["next_cursor"], json!(null));
}
