//! A tenant with a long queue: others are served at once, the queue has its bound, and what waits can be taken away again.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::harness::{Answer, Client, World};
use crate::house::{House, ended, on_both, submit};

const RUNS: &str = "/api/v1/runs";

on_both!(a_full_queue_is_said_and_others_are_not_in_it,);

async fn a_full_queue_is_said_and_others_are_not_in_it(house: &House) {
    let processes = house.open_with(&[("ACM2_WORKER__RUNS", "1"), ("ACM2_QUEUE__TENANT_QUOTA", "3")]);
    let (client, other) = (house.tenant(&processes[0], "a").await, house.tenant(&processes[0], "b").await);
    let body = json!({"prompt": "hi", "models": ["sandbox/hang"]});
    let running = submit(&client, &body).await;
    house.wait_for_calls(1).await;
    let named = || Answer::of(client.request(Method::POST, RUNS).header("idempotency-key", "n").json(&body));
    let mut waiting = vec![named().await.expect(202)["id"].as_str().unwrap().to_owned()];
    for _ in 0..2 {
        waiting.push(submit(&client, &body).await);
    }
    let refused = client.post(RUNS, &body).await;
    refused.problem(429, "queue_full");
    assert!(refused.header("retry-after").parse::<u64>().unwrap() > 0);
    // What was accepted before is told again: the caller may have lost the first answer.
    let again = named().await;
    assert_eq!((again.header("idempotent-replayed"), &again.expect(202)["id"]), ("true".into(), &json!(waiting[0])));
    submit(&other, &body).await;
    // Room again as soon as one is taken away.
    client.act(&format!("{RUNS}/{}/cancel", waiting[1])).await.expect(202);
    waiting.push(submit(&client, &body).await);
    client.post(RUNS, &body).await.problem(429, "queue_full");
    assert_eq!(house.calls().len(), 1);
    client.act(&format!("{RUNS}/{running}/cancel")).await.expect(202);
    ended(&client, &running, Duration::from_secs(20)).await;
}

const BACKLOG: usize = 10_000;
const CONNECTIONS: usize = 64;

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_queued_runs_keep_nobody_else_waiting() {
    let Some(world) = World::servers("ten_thousand_queued_runs_keep_nobody_else_waiting").await else { return };
    let house = House::of(world).await;
    // 8 places, of which one tenant gets 6.
    let processes = house.open_with(&[("ACM2_WORKER__RUNS", "8")]);
    let (crowd, other) = (house.tenant(&processes[0], "a").await, house.tenant(&processes[0], "b").await);
    // Opens the api's connections to the database: one that is opened in the middle of a flood takes seconds, because sqlx
    // steps aside some 800 times while it works out the password's proof.
    let looks = (0..CONNECTIONS).map(|_| crowd.get(RUNS));
    futures_util::future::join_all(looks).await;
    let calm = [one_run(&other).await, one_run(&other).await, one_run(&other).await];

    let mut redis =
        redis::Client::open(house.world.settings["ACM2_BROKER__URL"].as_str()).unwrap().get_connection().unwrap();
    let (bytes_before, used_before) = (bytes(&mut redis), used_memory(&mut redis));
    let began = Instant::now();
    let runs = submit_many(&crowd).await;
    let took = began.elapsed();
    let (bytes_after, used_after) = (bytes(&mut redis), used_memory(&mut redis));
    let per_second = BACKLOG as f64 / took.as_secs_f64();
    eprintln!("{BACKLOG} runs submitted in {took:.1?} over {CONNECTIONS} connections: {per_second:.0} a second");
    eprintln!(
        "bytes in Redis per queued run: {} (keys of this database; used_memory of the whole server grew by {} per run)",
        (bytes_after - bytes_before) / BACKLOG as i64,
        (used_after - used_before) / BACKLOG as i64,
    );

    assert_eq!(running(&crowd).await, 6, "three quarters of the places, no more");
    let mut crowded = Vec::new();
    for _ in 0..10 {
        crowded.push(one_run(&other).await);
    }
    eprintln!(
        "a run of the other tenant, submit to result: {calm:.0?} on a calm system, {crowded:.0?} behind the backlog"
    );
    assert_eq!(running(&crowd).await, 6);
    let ready = queued(&crowd).await;
    let begun = house.calls().len() - crowded.len() - calm.len();
    assert!(ready + begun >= BACKLOG, "{ready} wait and {begun} have begun");
    assert!(ready >= BACKLOG - 500, "the backlog stood all the while: {ready}");

    // A hundred of them are taken away while the rest goes on waiting. What the sweeper was pushing at that moment stands in the
    // queue again until a worker finds out, so that a few hundreds are tried.
    let mut hundreds = runs.rchunks(100).take(5);
    loop {
        let before = queued(&crowd).await;
        take_away(&crowd, hundreds.next().unwrap()).await;
        let after = queued(&crowd).await;
        eprintln!("{before} waited, {after} after a hundred were taken away");
        if after <= before - 100 {
            break;
        }
    }
    for process in processes {
        assert!(!process.log().contains("panicked"), "{}", process.log());
        process.kill();
    }
    house.world.remove().await;
}

/// Cancels runs that wait, and deletes them.
async fn take_away(client: &Client, runs: &[String]) {
    let mut cancelling = JoinSet::new();
    for run in runs {
        let (client, run) = (client.clone(), run.clone());
        cancelling.spawn(async move { client.act(&format!("{RUNS}/{run}/cancel")).await.expect(202) });
    }
    while let Some(cancelled) = cancelling.join_next().await {
        assert_eq!(cancelled.unwrap()["status"], "cancelled");
    }
    let deleted = client.post(&format!("{RUNS}/bulk-delete"), &json!({"ids": runs})).await.expect(200);
    assert_eq!((deleted["deleted"].as_array().unwrap().len(), &deleted["refused"]), (runs.len(), &json!([])));
}

/// How long one run takes from its submission to its result.
async fn one_run(client: &Client) -> Duration {
    let began = Instant::now();
    let request = client.request(Method::POST, RUNS).header("prefer", "wait=20");
    let run = Answer::of(request.json(&json!({"prompt": "hi", "models": ["sandbox/echo"]}))).await.expect(200);
    assert_eq!(run["status"], "completed", "{run}");
    began.elapsed()
}

async fn submit_many(client: &Client) -> Vec<String> {
    let next = Arc::new(AtomicUsize::new(0));
    let mut submitting = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let (client, next) = (client.clone(), Arc::clone(&next));
        submitting.spawn(async move {
            let body = json!({"prompt": "hi", "models": ["sandbox/slow-5s"]});
            let mut made = Vec::new();
            while next.fetch_add(1, Ordering::Relaxed) < BACKLOG {
                made.push(submit(&client, &body).await);
            }
            made
        });
    }
    let mut runs = submitting.join_all().await.concat();
    assert_eq!(runs.len(), BACKLOG);
    // Ids grow with time.
    runs.sort();
    runs
}

async fn running(client: &Client) -> usize {
    let until = Instant::now() + Duration::from_secs(10);
    loop {
        let page: Value = client.get(&format!("{RUNS}?status=running&limit=100")).await.expect(200);
        let running = page["items"].as_array().unwrap().len();
        // Between two runs a place is empty for a moment.
        if running >= 6 || Instant::now() > until {
            return running;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// How many runs wait, as the metrics say.
async fn queued(client: &Client) -> usize {
    let metrics = Answer::of(client.bare(Method::GET, "/metrics")).await;
    let line = metrics.text.lines().find(|line| line.contains("queue=\"runs\"") && line.contains("state=\"ready\""));
    line.unwrap_or_else(|| panic!("{}", metrics.text)).rsplit(' ').next().unwrap().parse().unwrap()
}

/// What the keys of this database take, each with all its elements.
fn bytes(redis: &mut redis::Connection) -> i64 {
    let keys: Vec<Vec<u8>> = redis::cmd("KEYS").arg("*").query(redis).unwrap();
    let mut sum = 0;
    for some in keys.chunks(1_000) {
        let mut pipe = redis::pipe();
        for key in some {
            pipe.cmd("MEMORY").arg("USAGE").arg(key).arg("SAMPLES").arg(0);
        }
        let sizes: Vec<Option<i64>> = pipe.query(redis).unwrap();
        sum += sizes.into_iter().flatten().sum::<i64>();
    }
    sum
}

fn used_memory(redis: &mut redis::Connection) -> i64 {
    let info: String = redis::cmd("INFO").arg("memory").query(redis).unwrap();
    info.lines().find_map(|line| line.strip_prefix("used_memory:")).unwrap().trim().parse().unwrap()
}
