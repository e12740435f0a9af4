//! What belongs to one tenant stays with it: its provider keys under load, everything that has an id, lists, idempotency keys.
//! And an API key that was revoked is refused at once, everywhere.

use std::collections::BTreeSet;
use std::time::Duration;

use acm2_sandbox::{CallRecord, Event};
use reqwest::Method;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use crate::canaries::hex;
use crate::harness::{Answer, Client, Process};
use crate::house::{House, ended, key_of, on_both, run, submit};
use crate::owned::{MARK, Owned, routes_with_an_id};

const PROVIDER_KEYS: &str = "/api/v1/settings/provider-keys";

on_both!(
    a_thousand_calls_at_once_carry_each_its_own_tenants_key,
    the_operators_own_keys_are_never_used_for_a_tenant,
    another_tenants_things_are_not_found_on_any_route,
    lists_filters_and_bodies_show_and_take_nothing_of_another_tenant,
    idempotency_keys_of_two_tenants_do_not_meet,
    a_revoked_api_key_is_refused_by_the_next_request_on_every_process,
);

/// As the sandbox's log has it.
fn fingerprint(text: &str) -> String {
    hex(&Sha256::digest(text)[..8])
}

fn prompt_of(tenant: &str) -> String {
    format!("a question of tenant {tenant}")
}

/// Ten runs of fifty calls each, all at once.
async fn five_hundred(client: &Client, tenant: &str, model: &str) -> Vec<String> {
    let mut runs = Vec::new();
    for _ in 0..10 {
        let models = vec![format!("sandbox/{model}"); 5];
        let body = json!({"prompt": prompt_of(tenant), "models": models, "iterations": 10, "concurrency": 50});
        runs.push(submit(client, &body).await);
    }
    runs
}

/// Every call carried the key of the tenant that its prompt names; how many each had.
fn check_keys(calls: &[CallRecord], tenants: [&str; 2]) -> [usize; 2] {
    tenants.map(|tenant| {
        let (prompt, key) = (fingerprint(&prompt_of(tenant)), fingerprint(&key_of(tenant, "sandbox")));
        let of_tenant = |call: &&CallRecord| call.prompt_fingerprint.as_deref() == Some(&prompt);
        for call in calls.iter().filter(of_tenant) {
            assert_eq!(call.key_fingerprint.as_deref(), Some(&*key), "{tenant}: {call:?}");
        }
        calls.iter().filter(of_tenant).count()
    })
}

/// The most calls that were under way at the same moment.
fn peak(log: &[CallRecord]) -> usize {
    let (mut open, mut most) = (0_usize, 0);
    for record in log {
        match record.event {
            Event::Received => open += 1,
            Event::Answered | Event::ClientGone => open = open.saturating_sub(1),
        }
        most = most.max(open);
    }
    most
}

async fn a_thousand_calls_at_once_carry_each_its_own_tenants_key(house: &House) {
    // A thousand connections end in this very process.
    acm2_runtime::file_limit::raise().unwrap();
    let processes = house.open_with(&[("ACM2_WORKER__CALLS", "1200")]);
    let names = ["one", "two"];
    let one = house.tenant(&processes[0], names[0]).await;
    let two = house.tenant(&processes[0], names[1]).await;
    // Nobody answers, so that all of them are under way at the same moment, whatever the machine.
    let (of_one, of_two) = tokio::join!(five_hundred(&one, names[0], "hang"), five_hundred(&two, names[1], "hang"));
    let until = Instant::now() + Duration::from_mins(2);
    while house.calls().len() < 1_000 {
        assert!(Instant::now() < until, "only {} of 1000 calls came", house.calls().len());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!((peak(&house.log()), house.left_calls()), (1_000, 0));
    assert_eq!(check_keys(&house.calls(), names), [500, 500]);
    for (client, runs) in [(&one, &of_one), (&two, &of_two)] {
        for run in runs {
            client.act(&format!("/api/v1/runs/{run}/cancel")).await.expect(202);
        }
        for run in runs {
            assert_eq!(ended(client, run, Duration::from_mins(1)).await["status"], "cancelled");
        }
    }
    // The same with answers: each goes to the tenant that asked.
    let (of_one, of_two) =
        tokio::join!(five_hundred(&one, names[0], "slow-250ms"), five_hundred(&two, names[1], "slow-250ms"));
    for (client, name, runs) in [(&one, names[0], of_one), (&two, names[1], of_two)] {
        for run in runs {
            let view = ended(client, &run, Duration::from_mins(2)).await;
            assert_eq!(view["status"], "completed", "{view}");
            let results = view["results"].as_array().unwrap();
            assert_eq!(results.len(), 50);
            let expected = format!("Echo: {}", prompt_of(name));
            assert!(results.iter().all(|result| result["text"] == expected.as_str()), "{name}: {view}");
        }
    }
    let calls = house.calls();
    assert_eq!((calls.len(), check_keys(&calls, names)), (2_000, [1_000, 1_000]));
    let attempts: BTreeSet<_> = calls.iter().map(|call| call.attempt_id.clone().unwrap()).collect();
    assert_eq!(attempts.len(), 2_000, "an attempt was sent twice");
}

async fn the_operators_own_keys_are_never_used_for_a_tenant(house: &House) {
    let variables = [
        "OPENAI_API_KEY",
        "ANTHROPIC_API_KEY",
        "GEMINI_API_KEY",
        "GOOGLE_API_KEY",
        "OPENROUTER_API_KEY",
        "MISTRAL_API_KEY",
        "SANDBOX_API_KEY",
    ];
    let mut environment = variables.map(|name| (name, "operators-own-key-0123456789")).to_vec();
    let models = json!(["openai/echo", "anthropic/echo", "google/echo", "sandbox/echo"]);
    let processes = house.open_with(&environment);
    let client = house.world.client(&processes[0], &house.world.tenant("keyless").key);
    let fail = async |client: &Client| {
        let run = run(client, &json!({"prompt": "hi", "models": models})).await;
        assert_eq!(run["status"], "failed", "{run}");
        let missing = run["missing"].as_array().unwrap();
        assert_eq!(missing.len(), 4, "{run}");
        assert!(missing.iter().all(|task| task["class"] == "provider_key_missing"), "{run}");
        assert_eq!(client.get(PROVIDER_KEYS).await.expect(200)["items"], json!([]));
    };
    fail(&client).await;
    assert!(house.calls().is_empty());
    // Nor does another tenant's key serve one that has none.
    let other = house.tenant(&processes[0], "other").await;
    fail(&client).await;
    assert!(house.calls().is_empty());
    assert_eq!(run(&other, &json!({"prompt": "hi", "models": models})).await["status"], "completed");
    let operators = Some(fingerprint("operators-own-key-0123456789"));
    assert!(house.calls().iter().all(|call| call.key_fingerprint != operators), "{:?}", house.calls());
    if !house.world.is_shared() {
        // On a person's own machine they are imported for the local tenant, and for it alone.
        for process in processes {
            assert_eq!(process.stop(), Some(0));
        }
        environment.push(("ACM2_MODE", "local"));
        let processes = house.open_with(&environment);
        let called = house.calls().len();
        fail(&house.world.client(&processes[0], &house.world.tenant("keyless too").key)).await;
        assert_eq!(house.calls().len(), called);
    }
}

async fn call(client: &Client, method: &Method, path: &str, body: Option<&Value>) -> Answer {
    let request = client.request(method.clone(), path);
    Answer::of(if let Some(body) = body { request.json(body) } else { request }).await
}

async fn another_tenants_things_are_not_found_on_any_route(house: &House) {
    let processes = house.open();
    let owned = Owned::of(house, &processes[0]).await;
    let stranger = house.tenant(&processes[0], "stranger").await;
    let specification = stranger.get("/openapi.json").await.expect(200);
    let routes = routes_with_an_id(&specification, &owned);
    assert!(routes.len() >= 10, "only {} routes have an id", routes.len());
    let called = house.calls().len();
    for route in &routes {
        for method in [Method::GET, Method::HEAD, Method::PUT, Method::POST, Method::PATCH, Method::DELETE] {
            let asked = if method == Method::HEAD { &Method::GET } else { &method };
            let known = route.operations.iter().find(|(known, _, _)| known == asked);
            let answer = call(&stranger, &method, &route.path, known.and_then(|(_, body, _)| body.as_ref())).await;
            let expected = if known.is_some() { (404, "not_found") } else { (405, "method_not_allowed") };
            assert_eq!(answer.status, expected.0, "{method} {}: {}", route.path, answer.text);
            if method != Method::HEAD {
                answer.problem(expected.0, expected.1);
            }
        }
    }
    assert_eq!(house.calls().len(), called, "a stranger's request called a provider");
    // All of it is still there, unchanged, and every one of these requests works for its owner: nothing was 404 for want of it.
    for prefix in ["run", "key", "whe", "pkey", "doc", "tpl", "crs", "pre", "con"] {
        let of_thing = routes.iter().find(|route| route.path.ends_with(owned.id(prefix))).unwrap();
        let seen = owned.client.get(&of_thing.path).await;
        assert!(seen.text.contains(MARK), "{}", seen.text);
    }
    let mut operations: Vec<_> = routes
        .iter()
        .flat_map(|route| route.operations.iter().map(move |operation| (route, operation)))
        .filter(|(_, (_, _, takes_id))| *takes_id)
        .collect();
    operations.sort_by_key(|(_, (method, _, _))| *method == Method::DELETE);
    for (route, (method, body, _)) in operations {
        let answer = call(&owned.client, method, &route.path, body.as_ref()).await;
        assert!(answer.status != 404 && answer.status < 500, "{method} {}: {}", route.path, answer.text);
    }
}

async fn lists_filters_and_bodies_show_and_take_nothing_of_another_tenant(house: &House) {
    let processes = house.open();
    let owned = Owned::of(house, &processes[0]).await;
    let stranger = house.tenant(&processes[0], "stranger").await;
    let specification = stranger.get("/openapi.json").await.expect(200);
    let mut lists: Vec<String> = specification["paths"]
        .as_object()
        .unwrap()
        .iter()
        .filter(|(path, item)| path.starts_with("/api/") && !path.contains('{') && item["get"].is_object())
        .map(|(path, _)| path.clone())
        .collect();
    let marked = lists.len();
    let endpoint = owned.id("whe");
    lists.extend([
        format!("/api/v1/runs?tag={MARK}"),
        format!("/api/v1/deliveries?webhook_endpoint_id={endpoint}"),
        "/metrics".to_owned(),
    ]);
    let mut shown = 0;
    for path in &lists {
        let seen = stranger.get(path).await;
        assert_eq!(seen.status, 200, "{path}: {}", seen.text);
        let of_owner = owned.ids.iter().map(|(_, id)| id.as_str()).chain([MARK]);
        of_owner.for_each(|text| assert!(!seen.text.contains(text), "{path} shows {text}: {}", seen.text));
        shown += usize::from(owned.client.get(path).await.text.contains(MARK));
        // A place in the owner's list is no way into it.
        let first = owned.client.get(&format!("{}?limit=1", path.split('?').next().unwrap())).await;
        if first.status == 200
            && let Some(cursor) = first.json()["next_cursor"].as_str()
        {
            let seen = stranger.get(&format!("{}?cursor={cursor}", path.split('?').next().unwrap())).await;
            assert!(!seen.text.contains(MARK), "{path}: {}", seen.text);
        }
    }
    // Ten kinds of things and the two filters.
    assert_eq!(shown, 12, "the owner sees its own in {shown} of {marked} lists and 2 filters");
    let secret = "/api/v1/webhook-secret";
    assert_ne!(owned.client.get(secret).await.expect(200)["secret"], stranger.get(secret).await.expect(200)["secret"]);

    let called = house.calls().len();
    let run_id = owned.id("run");
    let deleted = stranger.post("/api/v1/runs/bulk-delete", &json!({"ids": [run_id]})).await.expect(200);
    assert_eq!((&deleted["deleted"], &deleted["refused"][0]["code"]), (&json!([]), &json!("not_found")));
    owned.client.get(&format!("/api/v1/runs/{run_id}")).await.expect(200);
    // A run that names the owner's key is told the same as one that names a key that nobody has.
    let mut told = Vec::new();
    for id in [owned.id("pkey"), "pkey_01jd3v1m5zt0q8k6c2e4g6h8ja"] {
        let models = json!([{"model": "openai/echo", "provider_key_id": id}]);
        let refused = stranger.post("/api/v1/runs", &json!({"prompt": "hi", "models": models})).await;
        assert_eq!(refused.problem(422, "validation_failed"), ["/models/0/provider_key_id"]);
        told.push(refused.json()["errors"].clone());
    }
    assert_eq!(told[0], told[1]);
    // And so is one that names something of the owner's library.
    for (name, ids) in [
        ("documents", [json!([owned.id("doc")]), json!(["doc_01jd3v1m5zt0q8k6c2e4g6h8ja"])]),
        ("template_id", [json!(owned.id("tpl")), json!("tpl_01jd3v1m5zt0q8k6c2e4g6h8ja")]),
        ("preset_id", [json!(owned.id("pre")), json!("pre_01jd3v1m5zt0q8k6c2e4g6h8ja")]),
    ] {
        let mut told = Vec::new();
        for id in ids {
            let mut body = json!({"models": ["sandbox/echo"], name: id});
            if name == "documents" {
                body["prompt"] = json!("hi");
            }
            let refused = stranger.post("/api/v1/runs", &body).await;
            refused.problem(422, "validation_failed");
            told.push(refused.json()["errors"].clone());
        }
        assert_eq!(told[0], told[1]);
    }
    assert_eq!(house.calls().len(), called);
}

async fn idempotency_keys_of_two_tenants_do_not_meet(house: &House) {
    let processes = house.open();
    let one = house.tenant(&processes[0], "one").await;
    let two = house.tenant(&processes[0], "two").await;
    let posts = [
        ("/api/v1/runs", json!({"prompt": "same", "models": ["sandbox/echo"]})),
        (PROVIDER_KEYS, json!({"provider": "groq", "key": "gsk_0123456789abcdef"})),
        ("/api/v1/api-keys", json!({"name": "same", "scopes": ["runs:read"]})),
        ("/api/v1/webhook-endpoints", json!({"url": "https://same.invalid/"})),
        ("/api/v1/documents", json!({"name": "same", "text": "same"})),
        ("/api/v1/templates", json!({"name": "same", "text": "same"})),
        ("/api/v1/criteria-sets", json!({"name": "same", "criteria": ["same"]})),
        ("/api/v1/presets", json!({"name": "same", "spec": {}})),
        ("/api/v1/conversations", json!({"title": "same"})),
    ];
    for (path, body) in posts {
        let post = |client: &Client| {
            Answer::of(client.request(Method::POST, path).header("Idempotency-Key", "the same").json(&body))
        };
        let (first, second) = tokio::join!(post(&one), post(&two));
        for (client, answer) in [(&one, &first), (&two, &second)] {
            assert!([201, 202].contains(&answer.status), "{path}: {}", answer.text);
            assert_eq!(answer.header("idempotent-replayed"), "", "{path}");
            client.get(&answer.header("location")).await.expect(200);
        }
        assert_ne!(first.header("location"), second.header("location"));
        one.get(&second.header("location")).await.problem(404, "not_found");
        // Each one's second request meets its own first.
        let again = post(&two).await;
        if again.status == 409 {
            again.problem(409, "secret_not_replayed");
        } else {
            assert_eq!(again.header("location"), second.header("location"), "{path}: {}", again.text);
        }
        // Another body under the name is refused to its owner only.
        let mut other = body.clone();
        other.as_object_mut().unwrap().insert("unknown".to_owned(), Value::Null);
        assert_eq!(call(&two, &Method::POST, path, Some(&other)).await.status, 422);
    }
}

async fn a_revoked_api_key_is_refused_by_the_next_request_on_every_process(house: &House) {
    let roles = if house.world.is_shared() { vec!["api", "api"] } else { vec!["serve"] };
    let processes: Vec<Process> = roles.into_iter().map(|role| house.world.start(role)).collect();
    let tenant = house.world.tenant("first");
    for revoker in &processes {
        let admin = house.world.client(revoker, &tenant.key);
        let made = admin.post("/api/v1/api-keys", &json!({"name": "soon gone", "scopes": ["*"]})).await.expect(201);
        let key = made["key"].as_str().unwrap();
        let clients: Vec<Client> = processes.iter().map(|process| house.world.client(process, key)).collect();
        for client in clients.iter().chain(&clients) {
            // Known and remembered by every process.
            client.get("/api/v1/runs").await.expect(200);
        }
        admin.delete(&format!("/api/v1/api-keys/{}", made["api_key"]["id"].as_str().unwrap())).await.expect(204);
        for client in &clients {
            client.get("/api/v1/runs").await.problem(401, "api_key_invalid");
            let refused = client.post("/api/v1/runs", &json!({"prompt": "hi", "models": ["sandbox/echo"]})).await;
            refused.problem(401, "api_key_invalid");
        }
        admin.get("/api/v1/runs").await.expect(200);
    }
}
