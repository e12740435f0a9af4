//! The swap matrix: a ciphertext that someone who can write to the database moves to another tenant, row, provider, base URL or
//! column does not open there. It is said clearly, nothing is called or sent, and everyone else works on.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::database::{Of, bytes, bytes_literal, change_one, id_literal};
use crate::harness::{Client, Process, Tenant};
use crate::house::{House, PROVIDERS, on_both, run};
use crate::receiver::{Received, Receiver};

on_both!(
    a_provider_key_that_was_moved_does_not_open,
    a_signing_secret_that_was_moved_signs_nothing,
    a_data_key_that_was_moved_opens_nothing_and_stops_nobody_else,
);

const PROVIDER_KEYS: &str = "/api/v1/settings/provider-keys";
const ENDPOINTS: &str = "/api/v1/webhook-endpoints";

/// Lets a tenant send webhooks to a receiver.
pub(crate) fn allow(house: &House, tenant: &Tenant, receiver: &Receiver) {
    house.world.cli(&["tenants", "allow-host", &tenant.id, &format!("127.0.0.1:{}", receiver.port())]);
}

/// Makes an endpoint for ended runs; its id and its secret.
pub(crate) async fn endpoint(client: &Client, url: &str) -> (String, Value) {
    let made = client.post(ENDPOINTS, &json!({"url": url, "events": ["run.completed"]})).await.expect(201);
    (made["webhook_endpoint"]["id"].as_str().unwrap().to_owned(), made["secret"].clone())
}

/// The delivery at a path once it is no longer to be made.
async fn settled(client: &Client, path: &str) -> Value {
    let until = Instant::now() + Duration::from_secs(40);
    loop {
        let detail = client.get(path).await.expect(200);
        if detail["delivery"]["status"] != "pending" {
            return detail;
        }
        assert!(Instant::now() < until, "the delivery is not settled: {detail}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Sends a test event and waits for what comes of it.
async fn test_event(client: &Client, endpoint: &str) -> Value {
    let sent = client.act(&format!("{ENDPOINTS}/{endpoint}/test")).await;
    let path = sent.header("location");
    sent.expect(202);
    settled(client, &path).await
}

/// A test event could not be signed, and the receiver was left alone.
fn assert_unsigned(detail: &Value) {
    let attempts = detail["attempts"].as_array().unwrap();
    assert_eq!((&detail["delivery"]["status"], attempts.len()), (&json!("failed"), 1), "{detail}");
    let why = attempts[0]["error"].as_str().unwrap();
    assert!(why.contains("cannot be opened"), "{detail}");
}

/// A run with the tenant's default keys is answered by every provider.
async fn assert_well(house: &House, client: &Client) {
    let models: Vec<String> = PROVIDERS.iter().map(|provider| format!("{provider}/echo")).collect();
    let called = house.calls().len();
    let run = run(client, &json!({"prompt": "hi", "models": models})).await;
    assert_eq!(run["status"], "completed", "{run}");
    assert_eq!(house.calls().len(), called + PROVIDERS.len());
}

fn stop(processes: Vec<Process>) {
    for process in processes {
        assert_eq!(process.stop(), Some(0));
    }
}

/// Copies a column from one row to another one, or within a row.
async fn copy(house: &House, (from, to): (Of<'_>, Of<'_>), source: &str, target: (&str, &str)) {
    let moved = bytes(&house.world, from, source).await;
    let (table, set) = target;
    let moved = bytes_literal(&house.world, &moved);
    change_one(&house.world, to, &format!("UPDATE {table} SET {}", set.replace("$moved", &moved))).await;
}

async fn a_provider_key_that_was_moved_does_not_open(house: &House) {
    let world = &house.world;
    let processes = house.open();
    let (victim, client) = house.tenant_and_client(&processes[0], "victim").await;
    let (donor, donors_client) = house.tenant_and_client(&processes[0], "donor").await;
    let openai = world.settings["ACM2_PROVIDERS__OPENAI__BASE_URL"].clone();
    let (elsewhere, host) = (openai.replace("/openai/v1", "/v1"), openai.split('/').nth(2).unwrap().to_owned());
    world.cli(&["tenants", "allow-host", &victim.id, &host]);
    let store = async |client: &Client, provider: &str, base_url: Option<&str>| {
        let body = json!({"provider": provider, "key": "sk-one-more-0123456789", "base_url": base_url});
        client.post(PROVIDER_KEYS, &body).await.expect(201)["id"].as_str().unwrap().to_owned()
    };
    // Each stands for one thing that a ciphertext is bound to, and for the model that would use it.
    let untouched = store(&client, "openai", None).await;
    let source = store(&client, "openai", None).await;
    let of_donor = store(&donors_client, "openai", None).await;
    let tenant = store(&client, "openai", None).await;
    let row = store(&client, "openai", None).await;
    let provider = store(&client, "google", None).await;
    let base_url = store(&client, "openai-compatible", Some(&openai)).await;
    let added_url = store(&client, "openai", None).await;
    let column = store(&client, "openai", None).await;
    let (hook, _) = endpoint(&client, "https://hooks.invalid/").await;
    stop(processes);

    let (own, other) = (Of::Tenant(&victim), Of::Tenant(&donor));
    let id = |id: &str| id_literal(world, id);
    let sealed = |of: &str| format!("SELECT sealed FROM provider_keys WHERE id = {}", id(of));
    let into = |of: &str, set: &str| format!("{set} WHERE id = {}", id(of));
    // The whole row of another tenant, its id too.
    let whole = into(&tenant, &format!("sealed = $moved, id = {}", id(&of_donor)));
    copy(house, (other, own), &sealed(&of_donor), ("provider_keys", &whole)).await;
    copy(house, (own, own), &sealed(&source), ("provider_keys", &into(&row, "sealed = $moved"))).await;
    let change = |of: &str, set: &str| format!("UPDATE provider_keys SET {}", into(of, set));
    change_one(world, own, &change(&provider, "provider = 'sandbox', is_default = false")).await;
    change_one(world, own, &change(&base_url, &format!("base_url = '{elsewhere}'"))).await;
    change_one(world, own, &change(&added_url, &format!("base_url = '{elsewhere}'"))).await;
    let hooks_secret = format!("SELECT secret FROM webhook_endpoints WHERE id = {}", id(&hook));
    let as_hook = into(&column, &format!("sealed = $moved, id = {}", id(&hook)));
    copy(house, (own, own), &hooks_secret, ("provider_keys", &as_hook)).await;
    let renamed = |prefix: &str, id: &str| format!("{prefix}_{}", id.split_once('_').unwrap().1);
    let swapped = [
        ("openai", of_donor.clone()),
        ("openai", row),
        ("sandbox", provider),
        ("openai-compatible", base_url),
        ("openai", added_url),
        ("openai", renamed("pkey", &hook)),
    ];

    let processes = house.open();
    let client = world.client(&processes[0], &victim.key);
    let listed = client.get(&format!("{PROVIDER_KEYS}?limit=100")).await.expect(200);
    let listed = listed["items"].as_array().unwrap();
    assert_eq!(listed.len(), PROVIDERS.len() + 2 + swapped.len());
    for key in listed {
        let is_swapped = swapped.iter().any(|(_, id)| key["id"] == id.as_str());
        assert_eq!(key["decryptable"], !is_swapped, "{key}");
    }
    for (provider, id) in &swapped {
        let models = json!([{"model": format!("{provider}/echo"), "provider_key_id": id}]);
        let run = run(&client, &json!({"prompt": "hi", "models": models})).await;
        assert_eq!(run["status"], "failed", "{provider} {id}: {run}");
        assert_eq!(run["missing"][0]["class"], "provider_key_undecryptable", "{provider} {id}: {run}");
        let tasks = client.get(&format!("/api/v1/runs/{}/tasks", run["id"].as_str().unwrap())).await.expect(200);
        assert!(tasks["items"][0]["error"]["message"].as_str().unwrap().contains("store it again"), "{tasks}");
        client.act(&format!("{PROVIDER_KEYS}/{id}/test")).await.problem(409, "provider_key_undecryptable");
    }
    assert!(house.calls().is_empty(), "{:?}", house.calls());
    // Everything else works on, for this tenant and the one whose ciphertext it was.
    assert_well(house, &client).await;
    assert_well(house, &world.client(&processes[0], &donor.key)).await;
    for (client, id) in [(&client, &untouched), (&world.client(&processes[0], &donor.key), &of_donor)] {
        let models = json!([{"model": "openai/echo", "provider_key_id": id}]);
        let run = run(client, &json!({"prompt": "hi", "models": models})).await;
        assert_eq!(run["status"], "completed", "{run}");
    }
    // Storing the key again mends its row.
    for (provider, id) in &swapped[..4] {
        let mended = client.patch(&format!("{PROVIDER_KEYS}/{id}"), &json!({"key": "sk-again-0123456789"})).await;
        assert_eq!(mended.expect(200)["decryptable"], true);
        let models = json!([{"model": format!("{provider}/echo"), "provider_key_id": id}]);
        let run = run(&client, &json!({"prompt": "hi", "models": models})).await;
        assert_eq!(run["status"], "completed", "{provider} {id}: {run}");
    }
}

async fn a_signing_secret_that_was_moved_signs_nothing(house: &House) {
    let world = &house.world;
    let receiver = Receiver::start().await;
    let processes = house.open();
    let mut tenants = Vec::new();
    // The last two are for the tenant's own secret, which there is only one of.
    for name in ["victim", "donor", "moved", "previous"] {
        let (tenant, client) = house.tenant_and_client(&processes[0], name).await;
        allow(house, &tenant, &receiver);
        tenants.push((tenant, client));
    }
    let [(victim, client), (donor, donors_client), (moved, _), (previous, _)] = &tenants[..] else { unreachable!() };
    let url = |name: &str| receiver.url(&format!("/{name}"));
    let (good, good_secret) = endpoint(client, &url("good")).await;
    let (of_donor, donors_secret) = endpoint(donors_client, &url("donor")).await;
    let (tenant, _) = endpoint(client, &url("tenant")).await;
    let (row, _) = endpoint(client, &url("row")).await;
    let (column, _) = endpoint(client, &url("column")).await;
    let (table, _) = endpoint(client, &url("table")).await;
    let (overlap, overlap_old) = endpoint(client, &url("overlap")).await;
    let mut overlap_new = Value::Null;
    for id in [&column, &overlap] {
        overlap_new = client.act(&format!("{ENDPOINTS}/{id}/rotate-secret")).await.expect(200)["secret"].clone();
    }
    let secret = "/api/v1/webhook-secret";
    let mut own_secrets = Vec::new();
    for (_, client) in &tenants {
        let old = client.get(secret).await.expect(200)["secret"].clone();
        own_secrets.push((old, client.act(&format!("{secret}/rotate")).await.expect(200)["secret"].clone()));
    }
    let (previous_old, previous_new) = own_secrets[3].clone();
    stop(processes);

    let own = Of::Tenant(victim);
    let id = |id: &str| id_literal(world, id);
    let column_of = |column: &str, of: &str| format!("SELECT {column} FROM webhook_endpoints WHERE id = {}", id(of));
    let into = |of: &str, set: &str| format!("{set} WHERE id = {}", id(of));
    let hooks = "webhook_endpoints";
    let both = (own, own);
    let whole = into(&tenant, &format!("secret = $moved, id = {}", id(&of_donor)));
    copy(house, (Of::Tenant(donor), own), &column_of("secret", &of_donor), (hooks, &whole)).await;
    copy(house, both, &column_of("secret", &good), (hooks, &into(&row, "secret = $moved"))).await;
    copy(house, both, &column_of("previous_secret", &column), (hooks, &into(&column, "secret = $moved"))).await;
    let any_key = "SELECT sealed FROM provider_keys LIMIT 1";
    copy(house, both, any_key, (hooks, &into(&table, "secret = $moved"))).await;
    let set = into(&overlap, "previous_secret = $moved");
    copy(house, both, &column_of("previous_secret", &column), (hooks, &set)).await;
    let names = ("signing_secrets", "sealed = $moved");
    copy(house, both, "SELECT previous_sealed FROM signing_secrets", names).await;
    copy(house, (Of::Tenant(donor), Of::Tenant(moved)), "SELECT sealed FROM signing_secrets", names).await;
    let names = ("signing_secrets", "previous_sealed = $moved");
    let previous_of = Of::Tenant(previous);
    copy(house, (previous_of, previous_of), "SELECT sealed FROM signing_secrets", names).await;

    let processes = house.open();
    let client = world.client(&processes[0], &victim.key);
    let moved_id = format!("whe_{}", of_donor.split_once('_').unwrap().1);
    for id in [&moved_id, &row, &column, &table] {
        assert_unsigned(&test_event(&client, id).await);
    }
    assert_eq!(receiver.connections(), 0);
    let received = async |client: &Client, id: &str, path: &str| {
        assert_eq!(test_event(client, id).await["delivery"]["status"], "delivered");
        last(&receiver, path)
    };
    assert!(received(&client, &good, "/good").await.is_signed_with(&good_secret));
    let with_overlap = received(&client, &overlap, "/overlap").await;
    assert!(with_overlap.is_signed_with(&overlap_new) && !with_overlap.is_signed_with(&overlap_old));
    let donors_client = world.client(&processes[0], &donor.key);
    assert!(received(&donors_client, &of_donor, "/donor").await.is_signed_with(&donors_secret));

    // The tenant's own secret, which signs what goes to the URL of a run.
    let body = |name: &str| json!({"prompt": "hi", "models": ["sandbox/echo"], "webhook_url": url(name)});
    for tenant in [victim, moved] {
        let client = world.client(&processes[0], &tenant.key);
        client.get(secret).await.problem(409, "secret_undecryptable");
        let ended = run(&client, &body("unsigned")).await;
        assert_eq!(ended["status"], "completed");
        assert_unsigned(&settled(&client, &own_delivery(&client, &ended).await).await);
        assert!(receiver.received().iter().all(|received| received.path != "/unsigned"));
    }
    for (tenant, name, (old, new), overlaps) in
        [(donor, "of-donor", &own_secrets[1], true), (previous, "of-previous", &(previous_old, previous_new), false)]
    {
        let client = world.client(&processes[0], &tenant.key);
        let ended = run(&client, &body(name)).await;
        let detail = settled(&client, &own_delivery(&client, &ended).await).await;
        assert_eq!(detail["delivery"]["status"], "delivered", "{detail}");
        let received = last(&receiver, &format!("/{name}"));
        assert!(received.is_signed_with(new), "{name}");
        assert_eq!(received.is_signed_with(old), overlaps, "{name}");
    }

    // A rotation mends it; nothing of the old secret signs.
    let mended = client.act(&format!("{ENDPOINTS}/{row}/rotate-secret")).await.expect(200);
    assert_eq!(mended["previous_secret_until"], Value::Null);
    assert!(received(&client, &row, "/row").await.is_signed_with(&mended["secret"]));
    let mended = client.act(&format!("{secret}/rotate")).await.expect(200);
    assert_eq!(mended["previous_secret_until"], Value::Null);
    let ended = run(&client, &body("mended")).await;
    settled(&client, &own_delivery(&client, &ended).await).await;
    assert!(last(&receiver, "/mended").is_signed_with(&mended["secret"]));
}

/// What came last to a path.
fn last(receiver: &Receiver, path: &str) -> Received {
    let received = receiver.received();
    received
        .into_iter()
        .rev()
        .find(|received| received.path == path)
        .unwrap_or_else(|| panic!("nothing came to {path}"))
}

/// The path of the delivery to a run's own URL.
async fn own_delivery(client: &Client, run: &Value) -> String {
    let listed = client.get("/api/v1/deliveries?limit=100").await.expect(200);
    let mut of_run = listed["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|delivery| delivery["run_id"] == run["id"] && delivery["webhook_endpoint_id"].is_null());
    format!("/api/v1/deliveries/{}", of_run.next().unwrap()["id"].as_str().unwrap())
}

async fn a_data_key_that_was_moved_opens_nothing_and_stops_nobody_else(house: &House) {
    let world = &house.world;
    let receiver = Receiver::start().await;
    let processes = house.open();
    let (victim, client) = house.tenant_and_client(&processes[0], "victim").await;
    let (donor, _) = house.tenant_and_client(&processes[0], "donor").await;
    allow(house, &victim, &receiver);
    let (hook, _) = endpoint(&client, &receiver.url("/")).await;
    stop(processes);
    let of_donor = format!("SELECT data_key FROM tenants WHERE id = {}", id_literal(world, &donor.id));
    let set = format!("data_key = $moved WHERE id = {}", id_literal(world, &victim.id));
    copy(house, (Of::Control, Of::Control), &of_donor, ("tenants", &set)).await;

    // Nobody else is kept from starting by it, but it is told.
    let processes = house.open();
    assert!(processes[0].log().contains("does not open") && processes[0].log().contains(&victim.id));
    let client = world.client(&processes[0], &victim.key);
    let listed = client.get(PROVIDER_KEYS).await.expect(200);
    assert!(listed["items"].as_array().unwrap().iter().all(|key| key["decryptable"] == false), "{listed}");
    let models: Vec<String> = PROVIDERS.iter().map(|provider| format!("{provider}/echo")).collect();
    let run = run(&client, &json!({"prompt": "hi", "models": models})).await;
    let missing = run["missing"].as_array().unwrap();
    assert_eq!(missing.len(), PROVIDERS.len(), "{run}");
    assert!(missing.iter().all(|task| task["class"] == "provider_key_undecryptable"), "{run}");
    assert!(house.calls().is_empty(), "{:?}", house.calls());
    assert_unsigned(&test_event(&client, &hook).await);
    assert_eq!(receiver.connections(), 0);
    for refused in [
        client.put(&format!("{PROVIDER_KEYS}/openai"), &json!({"key": "sk-new-0123456789"})).await,
        client.get("/api/v1/webhook-secret").await,
        client.act(&format!("{ENDPOINTS}/{hook}/rotate-secret")).await,
    ] {
        refused.problem(503, "data_key_unavailable");
    }
    assert_well(house, &world.client(&processes[0], &donor.key)).await;
    // A rotation loses nothing and says which one it could not take along.
    let new = world.cli(&["keys", "generate", "--id", "new"]);
    let both = format!("{new},{}", world.settings["ACM2_MASTER_KEYS"]);
    stop(processes);
    let rotated = world.command(&["keys", "rotate"]).env("ACM2_MASTER_KEYS", &both).output().unwrap();
    let said = String::from_utf8(rotated.stderr).unwrap();
    assert!(!rotated.status.success(), "{said}");
    assert!(
        said.contains("1 data keys are now under master key `new`, 0 were before, 1 could not be opened"),
        "{said}"
    );
    let processes = house.open_with(&[("ACM2_MASTER_KEYS", &both)]);
    assert_well(house, &world.client(&processes[0], &donor.key)).await;
}
