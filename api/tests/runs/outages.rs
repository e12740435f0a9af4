//! Parts that die and come back while many runs are under way: every run completes within half a minute of their return (a
//! minute on a slow machine), and nothing that was answered is asked again.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::json;

use crate::aftermath::{A_MINUTE, SOON, check, recovered, submit_many};
use crate::database::{Of, bytes, execute};
use crate::harness::{Client, World};
use crate::house::{House, submit};
use crate::own_postgres::OwnPostgres;
use crate::own_redis::OwnRedis;

#[tokio::test(flavor = "multi_thread")]
async fn when_all_workers_die_others_finish_their_runs() {
    let Some(mut world) = World::servers("when_all_workers_die").await else { return };
    // The real durations.
    world.set("ACM2_TIMING__FASTER", "1");
    world.set("ACM2_QUEUE__TENANT_SHARE_PERCENT", "100");
    let house = House::of(world).await;
    let [api, first, second] = ["api", "worker", "worker"].map(|role| house.world.start(role));
    let (tenant, client) = house.tenant_and_client(&api, "a").await;
    let body = json!({"prompt": "hi", "models": ["sandbox/slow-2s"], "iterations": 2, "concurrency": 1});
    let runs = submit_many(&client, 60, &body).await;
    house.wait_for_calls(90).await;
    first.kill();
    second.kill();
    let others = ["worker", "worker"].map(|role| house.world.start(role));
    recovered(&client, &runs, "the start of other workers, in real timing").await;
    let figures = check(&house, &tenant, others.into_iter().chain([api])).await;
    eprintln!("{figures}");
    assert_eq!((figures.runs, figures.tasks), (60, 120));
    assert!(figures.in_doubt > 0, "{figures}");
    house.world.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_emptied_redis_aborts_none_of_a_hundred_calls_and_loses_nothing_that_waits() {
    let name = "an_emptied_redis_aborts_none_of_a_hundred_calls";
    let (Some(mut world), Some(redis)) = (World::servers(name).await, OwnRedis::start(name)) else { return };
    world.set("ACM2_BROKER__URL", &redis.url());
    world.set("ACM2_WORKER__RUNS", "50");
    world.set("ACM2_QUEUE__TENANT_SHARE_PERCENT", "100");
    let house = House::of(world).await;
    let [api, first, second] = ["api", "worker", "worker"].map(|role| house.world.start(role));
    let (tenant, client) = house.tenant_and_client(&api, "a").await;
    let body = json!({"prompt": "hi", "models": ["sandbox/slow-8s"]});
    let mut runs = submit_many(&client, 100, &body).await;
    house.wait_for_calls(100).await;
    runs.extend(submit_many(&client, 30, &json!({"prompt": "hi", "models": ["sandbox/echo"]})).await);
    // As those that have waited for long: the sweeper would come back to them much later.
    execute(&house.world, Of::Control, "UPDATE jobs SET due_at = due_at + interval '1 hour'").await;
    redis.empty();
    recovered(&client, &runs, "the emptying of Redis").await;
    assert_eq!(house.left_calls(), 0, "a call was aborted");
    let figures = check(&house, &tenant, [api, first, second]).await;
    eprintln!("{figures}");
    assert_eq!((figures.tasks, figures.attempts, figures.calls), (130, 130, 130), "{figures}");
    assert_eq!((figures.claims, figures.in_doubt, figures.late), (1, 0, 0), "{figures}");
    house.world.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_go_on_while_redis_is_away_for_a_minute_and_new_ones_wait_for_it() {
    let name = "calls_go_on_while_redis_is_away_for_a_minute";
    let (Some(mut world), Some(mut redis)) = (World::servers(name).await, OwnRedis::start(name)) else { return };
    world.set("ACM2_BROKER__URL", &redis.url());
    let house = House::of(world).await;
    let [api, first, second] = ["api", "worker", "worker"].map(|role| house.world.start(role));
    let (tenant, client) = house.tenant_and_client(&api, "a").await;
    let body = json!({"prompt": "hi", "models": ["sandbox/slow-1s"], "iterations": 8, "concurrency": 1});
    let mut runs = submit_many(&client, 40, &body).await;
    house.wait_for_calls(80).await;
    redis.kill();
    let before = house.calls().len();
    runs.extend(submit_many(&client, 5, &json!({"prompt": "hi", "models": ["sandbox/echo"]})).await);
    tokio::time::sleep(A_MINUTE).await;
    // One call of each run was under way or about to be.
    let meanwhile = house.calls().len() - before;
    assert!(meanwhile <= 40 && house.left_calls() == 0, "{meanwhile} calls began without their lanes");
    redis.give_back();
    recovered(&client, &runs, "the return of Redis").await;
    let figures = check(&house, &tenant, [api, first, second]).await;
    eprintln!("{figures}");
    assert_eq!((figures.tasks, figures.calls, figures.in_doubt, figures.late), (325, 325, 0, 0), "{figures}");
    house.world.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_come_while_postgresql_is_away_are_kept_and_no_call_starts() {
    let name = "answers_that_come_while_postgresql_is_away";
    let (Some(mut world), Some(postgres)) = (World::servers(name).await, OwnPostgres::start(name)) else { return };
    world.set("ACM2_DATABASE__URL", &postgres.url());
    let house = House::of(world).await;
    let [api, first, second] = ["api", "worker", "worker"].map(|role| house.world.start(role));
    let (tenant, client) = house.tenant_and_client(&api, "a").await;
    let body = json!({"prompt": "hi", "models": ["sandbox/slow-1s"], "iterations": 10, "concurrency": 1});
    let mut runs = submit_many(&client, 30, &body).await;
    house.wait_for_calls(60).await;

    // A restart.
    postgres.kill();
    postgres.give_back();
    let seen = house.calls().len();
    house.wait_for_calls(seen + 40).await;

    // A minute.
    postgres.kill();
    let killed = house.calls().len();
    // What was about to begin has begun, and what was under way is answered, once no call has come for a while.
    let (mut calls, mut since) = (killed, Instant::now());
    while since.elapsed() < Duration::from_secs(3) {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let now = house.calls().len();
        if now > calls {
            (calls, since) = (now, Instant::now());
        }
    }
    // Of each run one call at most had been written down, and not been made.
    assert!(calls <= killed + runs.len(), "{} calls began without the database", calls - killed);
    let refused = client.post("/api/v1/runs", &body).await;
    assert_eq!(refused.status, 503, "{}", refused.text);
    tokio::time::sleep(A_MINUTE).await;
    assert_eq!(house.calls().len(), calls, "a call began that nobody could have written down");
    postgres.give_back();
    runs.push(submit_once_back(&client, &body).await);
    recovered(&client, &runs, "the return of PostgreSQL").await;
    let figures = check(&house, &tenant, [api, first, second]).await;
    eprintln!("{figures}");
    let tasks = figures.runs * 10;
    assert_eq!((figures.tasks, figures.attempts, figures.calls), (tasks, tasks, tasks), "{figures}");
    assert_eq!((figures.in_doubt, figures.late), (0, 0), "{figures}");
    house.world.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_accepted_has_its_job_after_a_crash_of_postgresql() {
    let name = "what_was_accepted_has_its_job_after_a_crash";
    let (Some(mut world), Some(postgres)) = (World::servers(name).await, OwnPostgres::start(name)) else { return };
    world.set("ACM2_DATABASE__URL", &postgres.url());
    let house = House::of(world).await;
    let api = house.world.start("api");
    let (tenant, client) = house.tenant_and_client(&api, "a").await;
    let body = json!({"prompt": "hi", "models": ["sandbox/echo"]});
    let count = async |of: Of<'_>, table: &str| {
        let query = format!("SELECT convert_to(count(*)::text, 'UTF8') FROM {table}");
        String::from_utf8(bytes(&house.world, of, &query).await).unwrap().parse::<usize>().unwrap()
    };
    let mut runs = Vec::new();
    for _ in 0..4 {
        runs.extend(submit_many(&client, 16, &body).await);
        // Sooner than the server writes its log by itself.
        postgres.kill();
        postgres.give_back();
        runs.push(submit_once_back(&client, &body).await);
        let counted = (count(Of::Tenant(&tenant), "runs").await, count(Of::Control, "jobs").await);
        assert_eq!(counted, (runs.len(), runs.len()));
    }
    let worker = house.world.start("worker");
    recovered(&client, &runs, "the start of a worker").await;
    check(&house, &tenant, [api, worker]).await;
    house.world.remove().await;
}

/// Asks until the api takes runs again.
async fn submit_once_back(client: &Client, body: &serde_json::Value) -> String {
    let until = Instant::now() + SOON;
    while client.request(Method::GET, "/api/v1/runs?limit=1").send().await.unwrap().status() != 200 {
        assert!(Instant::now() < until, "the api does not come back");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    submit(client, body).await
}
