//! What is left of runs when processes die, drain or come late: every run ends, and the ledger agrees with the provider's log.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};

use crate::aftermath::{all_completed, check, submit_many};
use crate::database::locked;
use crate::harness::{Client, World};
use crate::house::{House, ended, on_both, submit};
use crate::own_redis::OwnRedis;

on_both!(
    processes_killed_amid_quick_writes_and_submissions_lose_nothing,
    a_process_that_is_asked_to_end_finishes_its_calls,
);

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_killed_among_200_runs_loses_none_and_pays_no_answer_twice() {
    let Some(mut world) = World::servers("a_worker_killed_among_200_runs").await else { return };
    // The real durations, and room for all runs in the two workers.
    world.set("ACM2_TIMING__FASTER", "1");
    world.set("ACM2_WORKER__RUNS", "100");
    world.set("ACM2_QUEUE__TENANT_SHARE_PERCENT", "100");
    let house = House::of(world).await;
    let [api, killed, stays] = ["api", "worker", "worker"].map(|role| house.world.start(role));
    let (tenant, client) = house.tenant_and_client(&api, "a").await;
    let body = json!({"prompt": "hi", "models": ["sandbox/slow-5s"], "iterations": 2, "concurrency": 1});
    let runs = submit_many(&client, 200, &body).await;
    // All have begun, and half of them hold a committed answer.
    house.wait_for_calls(300).await;

    killed.kill();
    let began = Instant::now();
    all_completed(&client, &runs).await;
    let took = began.elapsed();

    let figures = check(&house, &tenant, [api, stays]).await;
    eprintln!("all ended {took:.1?} after the kill, real timing: {figures}");
    assert_eq!((figures.runs, figures.tasks), (200, 400));
    assert_eq!(figures.orphans, 0, "{figures}");
    assert!(figures.in_doubt > 0, "the worker was killed while it did nothing: {figures}");
    house.world.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_embedded_process_killed_twenty_times_ends_every_run_once() {
    let mut world = World::files();
    // Ten at a time, so that there is work left for every life of the process.
    world.set("ACM2_WORKER__RUNS", "10");
    world.set("ACM2_QUEUE__TENANT_SHARE_PERCENT", "100");
    let house = House::of(world).await;
    let mut process = house.world.serve();
    let (tenant, mut client) = house.tenant_and_client(&process, "a").await;
    let models = json!(["sandbox/slow-250ms", "sandbox/slow-1s"]);
    let body = json!({"prompt": "hi", "models": models, "iterations": 5, "concurrency": 1});
    let mut runs = submit_many(&client, 30, &body).await;
    for kill in 0..20_u64 {
        let before = house.calls().len();
        runs.push(submit(&client, &body).await);
        // Counted from the first call of this life, so that a slow start does not make a run look poisoned.
        house.wait_for_calls(before + 1).await;
        tokio::time::sleep(Duration::from_millis(1_400 + kill * 37 % 400)).await;
        process.kill();
        process = house.world.serve();
        client = house.world.client(&process, &tenant.key);
    }
    let left = house.calls().len();
    all_completed(&client, &runs).await;

    let figures = check(&house, &tenant, [process]).await;
    eprintln!("killed 20 times within the first {left} calls: {figures}");
    assert_eq!((figures.runs, figures.tasks), (50, 500));
    assert!(left < figures.calls, "all work was done before the last kill");
    assert!(figures.in_doubt > 0, "the process was killed while it did nothing: {figures}");
}

/// The kills meet commits and requests rather than calls, for the calls take no time.
async fn processes_killed_amid_quick_writes_and_submissions_lose_nothing(house: &House) {
    let mut processes = house.open();
    let (tenant, mut client) = house.tenant_and_client(&processes[0], "a").await;
    let body = json!({"prompt": "hi", "models": ["sandbox/echo"], "iterations": 4, "concurrency": 2});
    let mut runs = Vec::new();
    for kill in 0..12_u64 {
        let before = house.calls().len();
        let submitting = tokio::spawn(submit_while_it_answers(client.clone(), body.clone()));
        house.wait_for_calls(before + 20).await;
        tokio::time::sleep(Duration::from_millis(kill * 7 % 30)).await;
        // In turns the one that is asked and the one that works, where they are two.
        if house.world.is_shared() && kill % 2 == 0 {
            processes.pop().unwrap().kill();
            processes.push(house.world.start("worker"));
        } else {
            processes.remove(0).kill();
            let role = if house.world.is_shared() { "api" } else { "serve" };
            processes.insert(0, house.world.start(role));
            client = house.world.client(&processes[0], &tenant.key);
        }
        runs.extend(submitting.await.unwrap());
        // These lives are too short for every run to get an answer: a few more of them would make a run look poisoned.
        if kill % 3 == 2 {
            all_completed(&client, &runs).await;
        }
    }

    let figures = check(house, &tenant, processes).await;
    eprintln!("{} submissions were answered: {figures}", runs.len());
    assert!(figures.runs >= runs.len(), "{figures}");
    assert_eq!(figures.tasks, figures.runs * 4, "{figures}");
}

/// Submits a few runs, one after the other, while the process is there; those that were accepted.
async fn submit_while_it_answers(client: Client, body: Value) -> Vec<String> {
    let mut accepted = Vec::new();
    for _ in 0..30 {
        let Ok(response) = client.request(Method::POST, "/api/v1/runs").json(&body).send().await else { break };
        assert_eq!(response.status(), 202);
        let Ok(run) = response.json::<Value>().await else { break };
        accepted.push(run["id"].as_str().unwrap().to_owned());
    }
    accepted
}

async fn a_process_that_is_asked_to_end_finishes_its_calls(house: &House) {
    let mut processes = house.open();
    let (tenant, mut client) = house.tenant_and_client(&processes[0], "a").await;
    if house.world.is_shared() {
        processes.push(house.world.start("worker"));
    }
    let body = json!({"prompt": "hi", "models": ["sandbox/slow-1s"], "iterations": 4, "concurrency": 2});
    let runs = submit_many(&client, 40, &body).await;
    // In the middle of the second calls of some.
    house.wait_for_calls(100).await;

    let asked = processes.pop().unwrap();
    let began = Instant::now();
    let code = tokio::task::spawn_blocking(move || asked.stop()).await.unwrap();
    eprintln!("it ended {:.1?} after SIGTERM", began.elapsed());
    assert_eq!(code, Some(0));
    if processes.is_empty() {
        processes.push(house.world.serve());
        client = house.world.client(&processes[0], &tenant.key);
    }
    all_completed(&client, &runs).await;

    let figures = check(house, &tenant, processes).await;
    eprintln!("{figures}");
    assert_eq!((figures.in_doubt, figures.late), (0, 0), "{figures}");
    assert_eq!((figures.tasks, figures.attempts, figures.calls), (160, 160, 160), "{figures}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_submitted_while_redis_is_away_completes_when_it_is_back() {
    let Some(mut world) = World::servers("a_run_submitted_while_redis_is_away").await else { return };
    let Some(mut redis) = OwnRedis::start("a_run_submitted_while_redis_is_away") else { return };
    world.set("ACM2_BROKER__URL", &redis.url());
    let house = House::of(world).await;
    let processes = house.open();
    let (tenant, client) = house.tenant_and_client(&processes[0], "a").await;

    redis.kill();
    let began = Instant::now();
    let runs = submit_many(&client, 5, &json!({"prompt": "hi", "models": ["sandbox/echo"]})).await;
    eprintln!("five runs were taken in {:.1?} without Redis", began.elapsed());
    assert!(house.calls().is_empty(), "called although no worker could hear of the runs");
    redis.give_back();
    let began = Instant::now();
    all_completed(&client, &runs).await;
    eprintln!("they ended {:.1?} after it came back", began.elapsed());

    let figures = check(&house, &tenant, processes).await;
    assert_eq!((figures.runs, figures.calls), (5, 5), "{figures}");
    house.world.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_deadline_passes_while_no_worker_runs_fails_without_a_call() {
    let Some(world) = World::servers("a_run_whose_deadline_passes").await else { return };
    let house = House::of(world).await;
    let api = house.world.start("api");
    let (tenant, client) = house.tenant_and_client(&api, "a").await;
    let late = json!({"prompt": "hi", "models": ["sandbox/echo"], "deadline_seconds": 1});
    let in_time = json!({"prompt": "hi", "models": ["sandbox/echo"]});
    let (late, in_time) = (submit(&client, &late).await, submit(&client, &in_time).await);
    tokio::time::sleep(Duration::from_millis(1_500)).await;

    let worker = house.world.start("worker");
    let late = ended(&client, &late, Duration::from_secs(30)).await;
    assert_eq!((&late["status"], &late["problem"]["code"]), (&json!("failed"), &json!("deadline_exceeded")), "{late}");
    assert_eq!(late["missing"][0]["class"], "deadline_exceeded", "{late}");
    assert_eq!(ended(&client, &in_time, Duration::from_secs(30)).await["status"], "completed");
    let figures = check(&house, &tenant, [api, worker]).await;
    assert_eq!((figures.runs, figures.attempts, figures.calls), (2, 1, 1), "{figures}");
    house.world.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_run_is_committed_before_its_jobs_row() {
    let Some(world) = World::servers("no_run_is_committed_before_its_jobs_row").await else { return };
    let house = House::of(world).await;
    let api = house.world.start("api");
    let (_, client) = house.tenant_and_client(&api, "a").await;
    let body = json!({"prompt": "hi", "models": ["sandbox/echo"]});
    submit(&client, &body).await;
    let runs = async || client.get("/api/v1/runs").await.expect(200)["items"].as_array().unwrap().len();
    assert_eq!(runs().await, 1);

    // Nobody can write a jobs row, and all else is free.
    let lock = locked(&house.world, "jobs").await;
    let submitted = tokio::spawn({
        let (client, body) = (client.clone(), body.clone());
        async move { submit(&client, &body).await }
    });
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(!submitted.is_finished());
    assert_eq!(runs().await, 1);
    sqlx::Connection::close(lock).await.unwrap();
    submitted.await.unwrap();
    assert_eq!(runs().await, 2);
    api.kill();
    house.world.remove().await;
}
