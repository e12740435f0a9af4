//! A tenant's own provider keys: stored sealed, shown masked, tested by a real call, bound to their place.

use std::fs;

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, World, on_both};

const KEYS: &str = "/api/v1/settings/provider-keys";
const SECRET: &str = "sk-proj-canary-0123456789abcdefghijklmnop";

on_both! {
    a_key_is_listed_masked_and_its_text_is_nowhere,
    the_first_key_is_the_default_and_another_can_become_it,
    put_replaces_the_default_key_of_a_provider,
    a_base_url_is_only_for_those_who_need_one_and_changing_it_needs_the_key,
    a_test_asks_the_provider_and_keeps_the_verdict,
    a_repeated_request_stores_one_key,
    wrong_keys_are_refused_without_showing_them,
    without_its_master_key_a_process_does_not_start_and_a_rotation_loses_nothing,
    a_rotation_waits_until_every_process_holds_the_new_key,
}

async fn a_key_is_listed_masked_and_its_text_is_nowhere(world: &World) {
    let (process, _tenant, client) = world.ready();
    let stored = client.post(KEYS, &json!({"provider": "openai", "key": SECRET, "label": "team"})).await;
    assert!(!stored.text.contains("canary"), "{}", stored.text);
    let stored = stored.expect(201);
    assert_eq!((&stored["prefix"], &stored["last4"]), (&json!("sk-proj"), &json!("mnop")));
    assert_eq!((&stored["status"], &stored["decryptable"]), (&json!("untested"), &json!(true)));
    let listed = client.get(KEYS).await;
    assert_eq!(listed.json()["items"][0], stored);
    assert!(!listed.text.contains("canary"), "{}", listed.text);
    assert!(!process.log().contains("canary"), "{}", process.log());
    process.stop();
    if world.data_dir().exists() {
        for file in files(&world.data_dir()) {
            let bytes = fs::read(&file).unwrap_or_default();
            assert!(!bytes.windows(6).any(|window| window == b"canary"), "{}", file.display());
        }
    }
}

fn files(dir: &std::path::Path) -> Vec<std::path::PathBuf> {
    fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] })
        .collect()
}

async fn the_first_key_is_the_default_and_another_can_become_it(world: &World) {
    let (_process, _tenant, client) = world.ready();
    let add = |key: &'static str, is_default: Option<bool>| {
        let client = client.clone();
        async move {
            let mut body = json!({"provider": "openai", "key": key});
            if let Some(is_default) = is_default {
                body["is_default"] = json!(is_default);
            }
            client.post(KEYS, &body).await.expect(201)
        }
    };
    let first = add("sk-first-000000", None).await;
    let second = add("sk-second-000000", Some(false)).await;
    assert_eq!((&first["is_default"], &second["is_default"]), (&json!(true), &json!(false)));
    let path = |key: &Value| format!("{KEYS}/{}", key["id"].as_str().unwrap());
    let both = client.patch(&path(&second), &json!({"is_default": true, "is_active": false})).await;
    assert_eq!(both.problem(422, "validation_failed"), ["/is_active"]);
    let changed = client.patch(&path(&second), &json!({"is_default": true, "label": "main"})).await.expect(200);
    assert_eq!((&changed["is_default"], &changed["label"]), (&json!(true), &json!("main")));
    assert_eq!(client.get(&path(&first)).await.expect(200)["is_default"], false);
    let off = client.patch(&path(&second), &json!({"is_active": false})).await.expect(200);
    assert_eq!((&off["is_active"], &off["is_default"]), (&json!(false), &json!(false)));
    assert_eq!(
        client.patch(&path(&second), &json!({"is_default": false})).await.problem(422, "validation_failed"),
        ["/is_default"]
    );
    client.delete(&path(&first)).await.expect(204);
    client.get(&path(&first)).await.problem(404, "not_found");
    client.delete(&path(&first)).await.problem(404, "not_found");
}

async fn put_replaces_the_default_key_of_a_provider(world: &World) {
    let (_process, _tenant, client) = world.ready();
    let path = format!("{KEYS}/anthropic");
    let first = client.put(&path, &json!({"key": "sk-ant-first-0123456789"})).await.expect(200);
    let second = client.put(&path, &json!({"key": "sk-ant-second-9876543210", "label": "new"})).await.expect(200);
    assert_eq!(first["id"], second["id"]);
    assert_eq!(
        (&second["last4"], &second["label"], &second["is_default"]),
        (&json!("3210"), &json!("new"), &json!(true))
    );
    assert_eq!(client.get(KEYS).await.expect(200)["items"].as_array().unwrap().len(), 1);
    assert_eq!(
        client.put(&format!("{KEYS}/nobody"), &json!({"key": "x"})).await.problem(404, "not_found"),
        ["#path/id"]
    );
    let elsewhere = json!({"key": "x", "base_url": "https://llm.example.org/v1"});
    assert_eq!(client.put(&path, &elsewhere).await.problem(422, "validation_failed"), ["/base_url"]);
}

async fn a_base_url_is_only_for_those_who_need_one_and_changing_it_needs_the_key(world: &World) {
    let process = world.start_with("serve", &[("ACM2_OUTBOUND__ALLOWED_HOSTS", "llm.example.org,other.example.org")]);
    let tenant = world.tenant("first");
    let client = world.client(&process, &tenant.key);
    let key = |base_url: Option<&str>| json!({"provider": "openai-compatible", "key": "any", "base_url": base_url});
    assert_eq!(client.post(KEYS, &key(None)).await.problem(422, "validation_failed"), ["/base_url"]);
    for refused in ["https://evil.example.com/v1", "http://127.0.0.1:6379/", "https://a:b@llm.example.org/", "nonsense"]
    {
        let answer = client.post(KEYS, &key(Some(refused))).await;
        assert_eq!(answer.problem(422, "validation_failed"), ["/base_url"], "{refused}");
    }
    let stored = client.post(KEYS, &key(Some("https://llm.example.org/v1"))).await.expect(201);
    let path = format!("{KEYS}/{}", stored["id"].as_str().unwrap());
    let moved = json!({"base_url": "https://other.example.org/v1"});
    assert_eq!(client.patch(&path, &moved).await.problem(422, "validation_failed"), ["/key"]);
    let moved = json!({"base_url": "https://other.example.org/v1", "key": "again"});
    let changed = client.patch(&path, &moved).await.expect(200);
    assert_eq!((&changed["base_url"], &changed["decryptable"]), (&moved["base_url"], &json!(true)));
    // An operator may allow a tenant a host of its own network, also for webhooks alone.
    world.cli(&["tenants", "allow-host", &tenant.id, "webhook:localhost:11434"]);
    client.post(KEYS, &key(Some("http://localhost:11434/v1"))).await.problem(422, "validation_failed");
    world.cli(&["tenants", "allow-host", &tenant.id, "localhost:11434"]);
    client.post(KEYS, &key(Some("http://localhost:11434/v1"))).await.expect(201);
    let other = client.with_key(&world.tenant("second").key);
    other.post(KEYS, &key(Some("http://localhost:11434/v1"))).await.problem(422, "validation_failed");
}

async fn a_test_asks_the_provider_and_keeps_the_verdict(world: &World) {
    let mut helper = World::files();
    let sandbox = helper.sandbox();
    let base_url = format!("{}/v1", sandbox.url);
    let process = world.start_with("serve", &[("ACM2_PROVIDERS__OPENAI__BASE_URL", &base_url)]);
    let client = world.client(&process, &world.tenant("first").key);
    for (key, status) in [("good-key-0000", "valid"), ("bad-key-0000", "invalid"), ("sk-quota-0000", "valid")] {
        let stored = client.put(&format!("{KEYS}/openai"), &json!({"key": key})).await.expect(200);
        let path = format!("{KEYS}/{}", stored["id"].as_str().unwrap());
        let test = client.act(&format!("{path}/test")).await;
        assert!(!test.text.contains(key), "{}", test.text);
        assert_eq!(test.expect(200)["status"], status, "{}", test.text);
        let stored = client.get(&path).await.expect(200);
        assert_eq!(stored["status"], status);
        assert!(stored["tested_at"].is_string() && stored["status_detail"].is_string(), "{stored}");
    }
    sandbox.kill();
    let stored = client.put(&format!("{KEYS}/openai"), &json!({"key": "good-key-0000"})).await.expect(200);
    let path = format!("{KEYS}/{}", stored["id"].as_str().unwrap());
    // Nobody answers: that says nothing of the key.
    assert_eq!(client.act(&format!("{path}/test")).await.expect(200)["status"], "untested");
    assert_eq!(client.get(&path).await.expect(200)["status"], "untested");
}

async fn a_repeated_request_stores_one_key(world: &World) {
    let (_process, _tenant, client) = world.ready();
    let post = |key: &str| {
        let body = json!({"provider": "groq", "key": key});
        Answer::of(client.request(Method::POST, KEYS).header("Idempotency-Key", "one").json(&body))
    };
    let first = post("gsk_0123456789").await;
    let again = post("gsk_0123456789").await;
    assert_eq!(first.expect(201), again.expect(201));
    assert_eq!(
        (first.header("idempotent-replayed").as_str(), again.header("idempotent-replayed").as_str()),
        ("", "true")
    );
    assert_eq!(first.header("location"), again.header("location"));
    post("gsk_another").await.problem(422, "idempotency_key_reused");
    assert_eq!(client.get(KEYS).await.expect(200)["items"].as_array().unwrap().len(), 1);
}

async fn wrong_keys_are_refused_without_showing_them(world: &World) {
    let (_process, _tenant, client) = world.ready();
    for key in [
        json!(""),
        json!("sk canary"),
        json!("sk-canary\n"),
        json!("ключ-canary"),
        json!({"canary": 1}),
        json!(5),
        json!("canary".repeat(1_000)),
    ] {
        let answer = client.post(KEYS, &json!({"provider": "openai", "key": key})).await;
        assert_eq!(answer.problem(422, "validation_failed"), ["/key"]);
        assert!(!answer.text.contains("canary"), "{}", answer.text);
    }
    let answer = client.post(KEYS, &json!({"provider": "canary", "key": "x", "label": "\u{7}canary"})).await;
    assert_eq!(answer.problem(422, "validation_failed"), ["/label", "/provider"]);
    assert!(!answer.text.contains("canary"), "{}", answer.text);
    client.post(KEYS, &json!({"provider": "sandbox", "key": "x"})).await.problem(422, "provider_not_offered");
}

async fn a_rotation_waits_until_every_process_holds_the_new_key(world: &World) {
    if !world.is_shared() {
        return;
    }
    let (process, _tenant, client) = world.ready();
    client.post(KEYS, &json!({"provider": "openai", "key": SECRET})).await.expect(201);
    let api = world.start("api");
    let both = format!("{},{}", world.cli(&["keys", "generate", "--id", "other"]), world.settings["ACM2_MASTER_KEYS"]);
    let rotate = || world.command(&["keys", "rotate"]).env("ACM2_MASTER_KEYS", &both).output().unwrap();
    let refused = rotate();
    let errors = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(1), "{errors}");
    assert!(errors.contains("serve wrk_") && errors.contains("api wrk_"), "{errors}");
    assert_eq!((process.stop(), api.stop()), (Some(0), Some(0)));
    let rotated = rotate();
    assert!(rotated.status.success(), "{}", String::from_utf8_lossy(&rotated.stderr));
}

async fn without_its_master_key_a_process_does_not_start_and_a_rotation_loses_nothing(world: &World) {
    let (process, tenant, client) = world.ready();
    client.post(KEYS, &json!({"provider": "openai", "key": SECRET})).await.expect(201);
    process.stop();
    let output = world.command(&["keys", "generate", "--id", "other"]).output().unwrap();
    let other = String::from_utf8(output.stdout).unwrap();
    // A process that lacks the key does not even start, and says what is missing.
    let refused = world.command(&["serve"]).env("ACM2_MASTER_KEYS", other.trim()).output().unwrap();
    assert_eq!(refused.status.code(), Some(2));
    let errors = String::from_utf8(refused.stderr).unwrap();
    assert!(errors.contains("sealed under master key `test`") && !errors.contains("panicked"), "{errors}");
    // With the new one in front nothing is lost, and a rotation moves the data key.
    let both = format!("{},{}", other.trim(), world.settings["ACM2_MASTER_KEYS"]);
    let process = world.start_with("serve", &[("ACM2_MASTER_KEYS", &both)]);
    let client = world.client(&process, &tenant.key);
    assert_eq!(client.get(KEYS).await.expect(200)["items"][0]["decryptable"], true);
    let rotate = || world.command(&["keys", "rotate"]).env("ACM2_MASTER_KEYS", &both).output().unwrap();
    let told = String::from_utf8(rotate().stdout).unwrap();
    assert!(told.contains("1 data keys are now under master key `other`, 0 were before"), "{told}");
    assert!(
        String::from_utf8(rotate().stdout).unwrap().contains("0 data keys are now"),
        "a second one changes nothing"
    );
    assert_eq!(client.get(KEYS).await.expect(200)["items"][0]["decryptable"], true);
    process.stop();
    let process = world.start_with("serve", &[("ACM2_MASTER_KEYS", other.trim())]);
    let client = world.client(&process, &tenant.key);
    assert_eq!(client.get(KEYS).await.expect(200)["items"][0]["decryptable"], true);
}
