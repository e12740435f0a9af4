//! `Idempotency-Key` under stress: over two processes, one of which may die in the middle, one key makes one run.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use acm2_domain::ids::TenantId;
use futures_util::future::join_all;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Executor as _};

use crate::harness::{Answer, Client, World};
use crate::house::{House, ended, on_both};

on_both!(the_same_key_of_another_tenant_is_another_key, a_repeated_request_that_waits_waits_afresh,);

const RUNS: &str = "/api/v1/runs";

fn echo() -> Value {
    json!({"prompt": "hi", "models": ["sandbox/echo"]})
}

fn keyed(client: &Client, key: &str, body: &Value) -> RequestBuilder {
    client.request(Method::POST, RUNS).header("idempotency-key", key).json(body)
}

fn id_of(run: &Value) -> String {
    run["id"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_requests_with_one_key_over_two_processes_make_one_run_and_get_one_answer() {
    let Some(world) = World::servers("fifty_requests_with_one_key").await else { return };
    let house = House::of(world).await;
    let [one, two, _worker] = ["api", "api", "worker"].map(|role| house.world.start(role));
    let (tenant, client) = house.tenant_and_client(&one, "a").await;
    let other = house.world.client(&two, &tenant.key);
    for round in 0..5 {
        let key = format!("round-{round}");
        let requests = (0..50).map(|number| Answer::of(keyed([&client, &other][number % 2], &key, &echo())));
        let answers = join_all(requests).await;
        let runs: Vec<Value> = answers.iter().map(|answer| answer.expect(202)).collect();
        assert!(runs.iter().all(|run| *run == runs[0]), "one answer for all");
        let replayed = answers.iter().filter(|answer| answer.header("idempotent-replayed") == "true").count();
        assert_eq!(replayed, 49);
        assert!(answers.iter().all(|answer| answer.header("location").ends_with(&id_of(&runs[0]))));
        ended(&client, &id_of(&runs[0]), Duration::from_secs(20)).await;
    }
    assert_eq!(client.get(RUNS).await.expect(200)["items"].as_array().unwrap().len(), 5);
    assert_eq!(house.calls().len(), 5);
    house.world.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_killed_in_the_middle_of_a_request_leaves_one_run_to_its_repetition() {
    let Some(world) = World::servers("a_process_killed_in_the_middle_of_a_request").await else { return };
    let house = House::of(world).await;
    let [stays, _worker] = ["api", "worker"].map(|role| house.world.start(role));
    let (tenant, client) = house.tenant_and_client(&stays, "a").await;
    let (mut unanswered, mut made_before) = (0, 0);
    for round in 0..8 {
        let killed = house.world.start("api");
        let doomed = house.world.client(&killed, &tenant.key);
        // Its connections stand and its caches are warm, so that the kill meets the writes.
        doomed.get(RUNS).await.expect(200);
        let tag = format!("round-{round}");
        let body = json!({"prompt": "hi", "models": ["sandbox/echo"], "tags": [tag]});
        let answered = Arc::new(AtomicUsize::new(0));
        let sending: Vec<_> = (0..10)
            .map(|number| {
                let request = keyed(&doomed, &format!("{tag}-{number}"), &body);
                let counted = Arc::clone(&answered);
                tokio::spawn(async move {
                    let run = request.send().await.ok()?.json::<Value>().await.ok()?;
                    counted.fetch_add(1, Ordering::SeqCst);
                    Some(run["id"].clone())
                })
            })
            .collect();
        // After some answers, so that the others are in the middle.
        while answered.load(Ordering::SeqCst) < round {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        killed.kill();
        for (number, sent) in sending.into_iter().enumerate() {
            let before = sent.await.unwrap();
            let again = Answer::of(keyed(&client, &format!("{tag}-{number}"), &body)).await;
            let run = again.expect(202);
            made_before += usize::from(again.header("idempotent-replayed") == "true");
            match before {
                Some(id) => assert_eq!(run["id"], id, "an answered run is the one that is found again"),
                None => unanswered += 1,
            }
            ended(&client, &id_of(&run), Duration::from_secs(30)).await;
        }
        let runs = client.get(&format!("{RUNS}?tag={tag}&limit=100")).await.expect(200);
        assert_eq!(runs["items"].as_array().unwrap().len(), 10, "round {round}");
    }
    eprintln!("of 80 requests {unanswered} had no answer; {made_before} runs were there before the repetition");
    assert!(unanswered > 0, "every request was answered before each kill");
    assert!(made_before > 0, "no request was answered before a kill");
    assert_eq!(house.calls().len(), 80);
    house.world.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_forgotten_when_its_time_is_over() {
    let Some(world) = World::servers("a_key_is_forgotten_when_its_time_is_over").await else { return };
    let house = House::of(world).await;
    let processes = house.open();
    let (tenant, client) = house.tenant_and_client(&processes[0], "a").await;
    let send = async || id_of(&Answer::of(keyed(&client, "yesterday", &echo())).await.expect(202));
    let (first, second) = (send().await, send().await);
    assert_eq!(first, second);
    let options: PgConnectOptions = house.world.settings["ACM2_DATABASE__URL"].parse().unwrap();
    let schema = format!("t_{}", tenant.id.parse::<TenantId>().unwrap().uuid().simple());
    let age = format!("UPDATE \"{schema}\".idempotency_keys SET expires_at = now() - interval '1 second'");
    let mut connection = options.connect().await.unwrap();
    assert_eq!(connection.execute(AssertSqlSafe(age)).await.unwrap().rows_affected(), 1);
    let third = Answer::of(keyed(&client, "yesterday", &json!({"prompt": "new", "models": ["sandbox/echo"]}))).await;
    assert_eq!(third.header("idempotent-replayed"), "");
    let third = id_of(&third.expect(202));
    assert_ne!(third, first);
    Answer::of(keyed(&client, "yesterday", &echo())).await.problem(422, "idempotency_key_reused");
    house.world.remove().await;
}

async fn the_same_key_of_another_tenant_is_another_key(house: &House) {
    let processes = house.open();
    let (a, b) = (house.tenant(&processes[0], "a").await, house.tenant(&processes[0], "b").await);
    let (first, second) = (Answer::of(keyed(&a, "order-1", &echo())), Answer::of(keyed(&b, "order-1", &echo())));
    let (first, second) = tokio::join!(first, second);
    assert_eq!(
        (first.header("idempotent-replayed"), second.header("idempotent-replayed")),
        (String::new(), String::new())
    );
    let (first, second) = (id_of(&first.expect(202)), id_of(&second.expect(202)));
    assert_ne!(first, second);
    // Another body under b's key is b's mistake and tells nothing of a's.
    Answer::of(keyed(&b, "order-1", &json!({"prompt": "x", "models": ["sandbox/echo"]})))
        .await
        .problem(422, "idempotency_key_reused");
    assert_eq!(id_of(&Answer::of(keyed(&a, "order-1", &echo())).await.expect(202)), first);
}

async fn a_repeated_request_that_waits_waits_afresh(house: &House) {
    let processes = house.open();
    let client = house.tenant(&processes[0], "a").await;
    let body = json!({"prompt": "hi", "models": ["sandbox/slow-2s"]});
    let id = id_of(&Answer::of(keyed(&client, "order-1", &body)).await.expect(202));
    let again = Answer::of(keyed(&client, "order-1", &body).header("prefer", "wait=40")).await;
    let headers = ["idempotent-replayed", "preference-applied"].map(|name| again.header(name));
    assert_eq!(headers, ["true", "wait=40"]);
    let run = again.expect(200);
    assert_eq!((&run["status"], &run["id"]), (&json!("completed"), &json!(id)));
    // What was answered at first is what is answered without a wait, whatever became of the run.
    let old = Answer::of(keyed(&client, "order-1", &body)).await;
    assert_eq!((old.header("retry-after"), old.expect(202)["status"].clone()), ("1".to_owned(), json!("queued")));
    assert_eq!(house.calls().len(), 1);
}
