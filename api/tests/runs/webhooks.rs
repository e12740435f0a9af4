//! Webhooks as a receiver sees them: signed for the official verifier, at least once under one id, only where they may go.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::harness::{Client, Process, Tenant};
use crate::house::{House, ended, key_of, on_both, run, submit};
use crate::receiver::{Received, Receiver, Reply};

const ENDPOINTS: &str = "/api/v1/webhook-endpoints";

on_both!(
    the_official_verifier_accepts_what_an_endpoint_gets,
    a_runs_own_url_is_signed_with_the_default_secret,
    while_a_secret_rotates_the_old_one_verifies_too,
    a_private_address_is_refused_in_every_form_unless_it_is_listed,
    a_redirect_is_not_followed,
    a_failed_try_is_repeated_with_the_same_id_and_bytes,
    a_receiver_that_asks_for_time_gets_it,
    what_waits_for_its_next_try_is_sent_at_once_when_asked_for,
    an_endpoint_that_is_gone_gets_nothing_more,
    an_endpoint_gets_only_the_events_that_it_asked_for,
    deliveries_survive_the_death_of_their_worker,
);

/// A tenant that may send to this machine, with a key for the sandbox.
async fn sender(house: &House, process: &Process) -> (Tenant, Client) {
    let tenant = house.world.tenant("sender");
    let client = house.world.client(process, &tenant.key);
    let key = json!({"key": key_of("sender", "sandbox")});
    client.put("/api/v1/settings/provider-keys/sandbox", &key).await.expect(200);
    (tenant, client)
}

fn allow(house: &House, tenant: &Tenant, receiver: &Receiver) {
    house.world.cli(&["tenants", "allow-host", &tenant.id, &format!("127.0.0.1:{}", receiver.port())]);
}

/// Makes an endpoint; its id and its secret.
async fn endpoint(client: &Client, body: &Value) -> (String, Value) {
    let made = client.post(ENDPOINTS, body).await.expect(201);
    (made["webhook_endpoint"]["id"].as_str().unwrap().to_owned(), made["secret"].clone())
}

/// Sends a test event; the path of its delivery.
async fn test_event(client: &Client, endpoint: &str) -> String {
    let sent = client.act(&format!("{ENDPOINTS}/{endpoint}/test")).await;
    let path = sent.header("location");
    sent.expect(202);
    path
}

/// The delivery once so many tries are recorded.
async fn tried(client: &Client, path: &str, tries: usize) -> Value {
    let until = Instant::now() + Duration::from_secs(40);
    loop {
        let detail = client.get(path).await.expect(200);
        if detail["attempts"].as_array().unwrap().len() >= tries {
            // The delivery was read a moment before its attempts: looked at again, it stands as these left it.
            return client.get(path).await.expect(200);
        }
        assert!(Instant::now() < until, "not tried {tries} times: {detail}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn types(received: &[Received]) -> Vec<String> {
    received.iter().map(|received| received.json()["type"].as_str().unwrap().to_owned()).collect()
}

async fn the_official_verifier_accepts_what_an_endpoint_gets(house: &House) {
    let processes = house.open();
    let (tenant, client) = sender(house, &processes[0]).await;
    let (thin, full) = (Receiver::start().await, Receiver::start().await);
    allow(house, &tenant, &thin);
    allow(house, &tenant, &full);
    let (_, thin_secret) = endpoint(&client, &json!({"url": thin.url("/hooks?a=1")})).await;
    let body = json!({"url": full.url("/"), "payload_style": "full", "events": ["run.completed"]});
    let (_, full_secret) = endpoint(&client, &body).await;
    let run = run(&client, &json!({"prompt": "grüße 🌍", "models": ["sandbox/echo"], "tags": ["käse"]})).await;
    let (thin, full) = (thin.wait_for(2).await, full.wait_for(1).await);
    for (received, secret) in [(&thin[0], &thin_secret), (&thin[1], &thin_secret), (&full[0], &full_secret)] {
        assert!(received.is_signed_with(secret), "{received:?}");
        assert_eq!(received.headers["content-type"], "application/json");
        assert_eq!((&received.json()["data"]["id"], &received.json()["data"]["tags"]), (&run["id"], &run["tags"]));
        let kept = client.get(&format!("/api/v1/deliveries/{}", received.id())).await.expect(200);
        assert_eq!(kept["payload"].as_str().unwrap().as_bytes(), received.body);
        // Neither with another's secret, nor altered, nor under another id.
        let other = if secret == &thin_secret { &full_secret } else { &thin_secret };
        assert!(!received.is_signed_with(other));
        let mut altered = received.clone();
        altered.body.push(b' ');
        assert!(!altered.is_signed_with(secret));
        let mut renamed = received.clone();
        renamed.headers.insert("webhook-id", "msg_01jd3v1m5zt0q8k6c2e4g6h8ja".parse().unwrap());
        assert!(!renamed.is_signed_with(secret));
    }
    let mut seen = types(&thin);
    seen.sort();
    assert_eq!(seen, ["run.completed", "run.started"]);
    assert_eq!(thin[0].path, "/hooks?a=1");
    assert!(thin.iter().all(|received| received.json()["data"].get("results").is_none()));
    assert_eq!(full[0].json()["data"]["results"][0]["text"], "Echo: grüße 🌍");
    assert_eq!(full[0].json()["data"]["cost_usd"], run["cost_usd"]);
}

async fn a_runs_own_url_is_signed_with_the_default_secret(house: &House) {
    let processes = house.open();
    let (tenant, client) = sender(house, &processes[0]).await;
    let receiver = Receiver::start().await;
    allow(house, &tenant, &receiver);
    // Nobody has looked at the secret so far: it must be there all the same.
    let body = json!({"prompt": "hi", "models": ["sandbox/echo"], "webhook_url": receiver.url("/own")});
    let run = run(&client, &body).await;
    let received = receiver.wait_for(1).await;
    let secret = client.get("/api/v1/webhook-secret").await.expect(200)["secret"].clone();
    assert!(received[0].is_signed_with(&secret), "{received:?}");
    assert_eq!((types(&received), &received[0].json()["data"]["id"]), (vec!["run.completed".to_owned()], &run["id"]));
    let listed = client.get("/api/v1/deliveries").await.expect(200);
    assert_eq!(listed["items"].as_array().unwrap().len(), 1, "{listed}");
    assert_eq!((&listed["items"][0]["run_id"], &listed["items"][0]["webhook_endpoint_id"]), (&run["id"], &Value::Null));
}

async fn while_a_secret_rotates_the_old_one_verifies_too(house: &House) {
    let processes = house.open();
    let (tenant, client) = sender(house, &processes[0]).await;
    let receiver = Receiver::start().await;
    allow(house, &tenant, &receiver);
    let (id, oldest) = endpoint(&client, &json!({"url": receiver.url("/")})).await;
    let rotate = async || client.act(&format!("{ENDPOINTS}/{id}/rotate-secret")).await;
    let old = rotate().await.expect(200)["secret"].clone();
    test_event(&client, &id).await;
    let first = receiver.wait_for(1).await.remove(0);
    assert!(first.is_signed_with(&oldest) && first.is_signed_with(&old), "{first:?}");
    let new = rotate().await.expect(200)["secret"].clone();
    test_event(&client, &id).await;
    let second = receiver.wait_for(2).await.remove(1);
    assert!(second.is_signed_with(&old) && second.is_signed_with(&new), "{second:?}");
    assert!(!second.is_signed_with(&oldest), "two rotations ago");
    assert!(!first.is_signed_with(&new));

    let old = client.get("/api/v1/webhook-secret").await.expect(200)["secret"].clone();
    let new = client.act("/api/v1/webhook-secret/rotate").await.expect(200)["secret"].clone();
    let body = json!({"prompt": "hi", "models": ["sandbox/echo"], "webhook_url": receiver.url("/own")});
    client.delete(&format!("{ENDPOINTS}/{id}")).await.expect(204);
    run(&client, &body).await;
    let own = receiver.wait_for(3).await.remove(2);
    assert!(own.is_signed_with(&old) && own.is_signed_with(&new), "{own:?}");
}

async fn a_private_address_is_refused_in_every_form_unless_it_is_listed(house: &House) {
    let processes = house.open();
    let (tenant, client) = sender(house, &processes[0]).await;
    let receiver = Receiver::start().await;
    let port = receiver.port();
    // What another tenant may reach is nothing to this one.
    let other = house.world.tenant("other");
    allow(house, &other, &receiver);
    let hosts = [
        "127.0.0.1",
        "localhost",
        "[::1]",
        "0x7f.1",
        "2130706433",
        "127.1",
        "0177.0.0.1",
        "[::ffff:127.0.0.1]",
        "0.0.0.0",
        "[::]",
        "LOCALHOST",
    ];
    let mut deliveries = Vec::new();
    for host in hosts {
        // By plain http a name would be refused before anyone looks up what it stands for.
        let scheme = if host.eq_ignore_ascii_case("localhost") { "https" } else { "http" };
        let (id, _) = endpoint(&client, &json!({"url": format!("{scheme}://{host}:{port}/")})).await;
        deliveries.push((host, test_event(&client, &id).await));
    }
    for (host, path) in &deliveries {
        let detail = tried(&client, path, 1).await;
        let attempt = &detail["attempts"][0];
        assert_eq!(attempt["status_code"], Value::Null, "{host}: {attempt}");
        let why = attempt["error"].as_str().unwrap();
        assert!(why.contains("no public address"), "{host}: {why}");
        assert_eq!(detail["delivery"]["status"], "pending", "{host}");
    }
    let body = json!({"prompt": "hi", "models": ["sandbox/echo"], "webhook_url": receiver.url("/own")});
    let own = run(&client, &body).await;
    let listed = client.get("/api/v1/deliveries?limit=100").await.expect(200);
    let mut of_run = listed["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|delivery| delivery["run_id"] == own["id"] && delivery["webhook_endpoint_id"].is_null());
    let own = format!("/api/v1/deliveries/{}", of_run.next().unwrap()["id"].as_str().unwrap());
    let detail = tried(&client, &own, 1).await;
    assert!(detail["attempts"][0]["error"].as_str().unwrap().contains("no public address"), "{detail}");
    assert_eq!(receiver.connections(), 0, "somebody knocked");

    allow(house, &tenant, &receiver);
    let (_, listed) = &deliveries[0];
    let before = tried(&client, listed, 1).await["attempts"].as_array().unwrap().len();
    client.act(&format!("{listed}/redeliver")).await.expect(202);
    let detail = tried(&client, listed, before + 1).await;
    let last = detail["attempts"].as_array().unwrap().last().unwrap().clone();
    assert_eq!(last["status_code"], 204, "{detail}");
    assert!(receiver.received().iter().any(|received| received.id() == detail["delivery"]["id"]));
    // The list names an address: a name that stands for it is still refused.
    let (_, unlisted) = &deliveries[1];
    let before = tried(&client, unlisted, 1).await["attempts"].as_array().unwrap().len();
    client.act(&format!("{unlisted}/redeliver")).await.expect(202);
    let detail = tried(&client, unlisted, before + 1).await;
    let last = detail["attempts"].as_array().unwrap().last().unwrap().clone();
    assert!(last["error"].as_str().unwrap().contains("no public address"), "{detail}");
    let hosts: Vec<_> = receiver.received().iter().map(|received| received.headers["host"].clone()).collect();
    assert!(hosts.iter().all(|host| *host == format!("127.0.0.1:{port}")), "{hosts:?}");
}

async fn a_redirect_is_not_followed(house: &House) {
    let processes = house.open();
    let (tenant, client) = sender(house, &processes[0]).await;
    let (receiver, target) = (Receiver::start().await, Receiver::start().await);
    allow(house, &tenant, &receiver);
    allow(house, &tenant, &target);
    for (status, count) in [(301, 1), (302, 2), (303, 3), (307, 4), (308, 5)] {
        receiver.script([Reply::Status(status, "location", target.url("/"))]);
        let (id, _) = endpoint(&client, &json!({"url": receiver.url("/")})).await;
        let detail = tried(&client, &test_event(&client, &id).await, 1).await;
        assert_eq!(detail["attempts"][0]["status_code"], status, "{detail}");
        assert!(detail["attempts"][0]["error"].as_str().unwrap().contains("redirect"), "{detail}");
        assert!(receiver.received().len() >= count);
        client.delete(&format!("{ENDPOINTS}/{id}")).await.expect(204);
    }
    assert_eq!(target.connections(), 0);
}

async fn a_failed_try_is_repeated_with_the_same_id_and_bytes(house: &House) {
    let processes = house.open();
    let (tenant, client) = sender(house, &processes[0]).await;
    let receiver = Receiver::start().await;
    allow(house, &tenant, &receiver);
    receiver.script([Reply::status(500), Reply::status(200)]);
    let (id, secret) = endpoint(&client, &json!({"url": receiver.url("/")})).await;
    let path = test_event(&client, &id).await;
    let detail = tried(&client, &path, 2).await;
    let received = receiver.wait_for(2).await;
    assert_eq!((received[0].id(), &received[0].body), (received[1].id(), &received[1].body));
    assert!(received.iter().all(|received| received.is_signed_with(&secret)));
    assert_eq!(detail["delivery"]["status"], "delivered", "{detail}");
    assert_eq!(detail["delivery"]["next_attempt_at"], Value::Null);
    let attempts = detail["attempts"].as_array().unwrap();
    let statuses: Vec<_> = attempts.iter().map(|attempt| (&attempt["number"], &attempt["status_code"])).collect();
    assert_eq!(statuses, [(&json!(1), &json!(500)), (&json!(2), &json!(200))]);
    for attempt in attempts {
        assert!(attempt["duration_ms"].is_u64() && attempt["at"].is_string(), "{attempt}");
        // What a host of the inside answers is not shown to the tenant.
        assert_eq!(attempt["excerpt"], Value::Null, "{attempt}");
    }
    // Sent anew: the same id, the same bytes, the attempts counted on.
    client.act(&format!("{path}/redeliver")).await.expect(202);
    let detail = tried(&client, &path, 3).await;
    assert_eq!((&detail["attempts"][2]["number"], &detail["delivery"]["status"]), (&json!(3), &json!("delivered")));
    let again = receiver.wait_for(3).await.remove(2);
    assert_eq!((again.id(), &again.body), (received[0].id(), &received[0].body));
    assert!(again.is_signed_with(&secret));
}

async fn a_receiver_that_asks_for_time_gets_it(house: &House) {
    let processes = house.open();
    let (tenant, client) = sender(house, &processes[0]).await;
    let receiver = Receiver::start().await;
    allow(house, &tenant, &receiver);
    receiver.script([Reply::Status(503, "retry-after", "3".to_owned())]);
    let (id, _) = endpoint(&client, &json!({"url": receiver.url("/")})).await;
    let path = test_event(&client, &id).await;
    let received = receiver.wait_for(2).await;
    assert!(received[1].at - received[0].at >= Duration::from_millis(2_900), "it came back too early");
    assert_eq!(tried(&client, &path, 2).await["delivery"]["status"], "delivered");
}

async fn what_waits_for_its_next_try_is_sent_at_once_when_asked_for(house: &House) {
    let processes = house.open();
    let (tenant, client) = sender(house, &processes[0]).await;
    let receiver = Receiver::start().await;
    allow(house, &tenant, &receiver);
    receiver.script([Reply::Status(503, "retry-after", "3600".to_owned())]);
    let (id, _) = endpoint(&client, &json!({"url": receiver.url("/")})).await;
    let path = test_event(&client, &id).await;
    let waiting = tried(&client, &path, 1).await;
    assert_eq!((&waiting["delivery"]["status"], &waiting["delivery"]["attempts"]), (&json!("pending"), &json!(1)));
    // The worker has put it back for an hour by now.
    tokio::time::sleep(Duration::from_millis(500)).await;
    client.act(&format!("{path}/redeliver")).await.expect(202);
    let received = receiver.wait_for(2).await;
    assert_eq!((received[0].id(), &received[0].body), (received[1].id(), &received[1].body));
    assert_eq!(tried(&client, &path, 2).await["delivery"]["status"], "delivered");
}

async fn an_endpoint_that_is_gone_gets_nothing_more(house: &House) {
    let processes = house.open();
    let (tenant, client) = sender(house, &processes[0]).await;
    let receiver = Receiver::start().await;
    allow(house, &tenant, &receiver);
    receiver.script([Reply::status(410)]);
    let (id, _) = endpoint(&client, &json!({"url": receiver.url("/"), "events": ["run.completed"]})).await;
    let path = test_event(&client, &id).await;
    let detail = tried(&client, &path, 1).await;
    assert_eq!((&detail["attempts"][0]["status_code"], &detail["delivery"]["status"]), (&json!(410), &json!("failed")));
    let endpoint = format!("{ENDPOINTS}/{id}");
    let disabled = client.get(&endpoint).await.expect(200);
    assert_eq!(disabled["is_enabled"], false, "{disabled}");
    assert!(disabled["disabled_reason"].as_str().unwrap().contains("410"), "{disabled}");
    let prompt = json!({"prompt": "hi", "models": ["sandbox/echo"]});
    let silent = run(&client, &prompt).await;
    // Switched on again it gets what comes from now on.
    let enabled = client.patch(&endpoint, &json!({"is_enabled": true})).await.expect(200);
    assert_eq!((&enabled["is_enabled"], &enabled["disabled_reason"]), (&json!(true), &Value::Null));
    let told = run(&client, &prompt).await;
    let received = receiver.wait_for(2).await;
    assert_eq!(received[1].json()["data"]["id"], told["id"]);
    let listed = client.get("/api/v1/deliveries").await;
    assert!(!listed.text.contains(silent["id"].as_str().unwrap()), "{}", listed.text);
}

async fn an_endpoint_gets_only_the_events_that_it_asked_for(house: &House) {
    let processes = house.open();
    let (tenant, client) = sender(house, &processes[0]).await;
    let receiver = Receiver::start().await;
    allow(house, &tenant, &receiver);
    let events = ["run.started", "run.completed", "run.completed_with_errors", "run.failed", "run.cancelled"];
    for event in events {
        endpoint(&client, &json!({"url": receiver.url(&format!("/{event}")), "events": [event]})).await;
    }
    let mut expected = Vec::new();
    for (models, event) in [
        (json!(["sandbox/echo"]), "run.completed"),
        (json!(["sandbox/echo", "sandbox/fail-400"]), "run.completed_with_errors"),
        (json!(["sandbox/fail-400"]), "run.failed"),
        (json!(["sandbox/hang"]), "run.cancelled"),
    ] {
        let id = submit(&client, &json!({"prompt": "hi", "models": models})).await;
        if event == "run.cancelled" {
            house.wait_for_calls(5).await;
            client.act(&format!("/api/v1/runs/{id}/cancel")).await.expect(202);
        }
        let run = ended(&client, &id, Duration::from_secs(30)).await;
        assert_eq!(format!("run.{}", run["status"].as_str().unwrap()), event);
        expected.extend([("/run.started".to_owned(), id.clone()), (format!("/{event}"), id)]);
    }
    let received = receiver.wait_for(expected.len()).await;
    let mut seen: Vec<_> = received
        .iter()
        .map(|received| (received.path.clone(), received.json()["data"]["id"].as_str().unwrap().to_owned()))
        .collect();
    assert!(received.iter().all(|received| received.path[1..] == received.json()["type"]), "{received:?}");
    seen.sort();
    expected.sort();
    assert_eq!(seen, expected);
}

async fn deliveries_survive_the_death_of_their_worker(house: &House) {
    // One at a time, and the receiver holds the first: the second waits, not begun, when the worker dies.
    let mut processes = house.open_with(&[("ACM2_WORKER__DELIVERIES", "1")]);
    let (tenant, client) = sender(house, &processes[0]).await;
    let receiver = Receiver::start().await;
    allow(house, &tenant, &receiver);
    receiver.script([Reply::Hold]);
    for path in ["/one", "/two"] {
        endpoint(&client, &json!({"url": receiver.url(path), "events": ["run.completed"]})).await;
    }
    let run = run(&client, &json!({"prompt": "hi", "models": ["sandbox/echo"]})).await;
    let held = receiver.wait_for(1).await.remove(0);
    assert_eq!(receiver.received().len(), 1);
    processes.pop().unwrap().kill();
    let client = if house.world.is_shared() {
        processes.push(house.world.start("worker"));
        client
    } else {
        processes.push(house.world.serve());
        house.world.client(&processes[0], &tenant.key)
    };
    let received = receiver.wait_for(3).await;
    let again = received[1..].iter().find(|received| received.path == held.path).unwrap();
    assert_eq!((again.id(), &again.body), (held.id(), &held.body));
    let mut ids: Vec<_> = received[1..].iter().map(|received| received.id().to_owned()).collect();
    let listed = client.get("/api/v1/deliveries").await.expect(200);
    let mut known: Vec<_> = listed["items"].as_array().unwrap().iter().map(|delivery| delivery["id"].clone()).collect();
    ids.sort();
    known.sort_by_key(ToString::to_string);
    assert_eq!(json!(ids), json!(known));
    assert!(received.iter().all(|received| received.json()["data"]["id"] == run["id"]));
    for id in ids {
        let path = format!("/api/v1/deliveries/{id}");
        assert_eq!(tried(&client, &path, 1).await["delivery"]["status"], "delivered");
    }
}
