//! Cuts of the network between one process and one server: closed connections, and connections that swallow what is sent without
//! telling either end.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::aftermath::{A_MINUTE, SOON, all_completed, check, recovered, submit_many};
use crate::harness::{Tenant, World};
use crate::house::House;
use crate::ledger::Ledger;
use crate::proxy::{Proxy, Way};

/// The setting that leads a process to one of its servers by another way.
async fn by_proxy(house: &House, setting: &'static str) -> (Proxy, (&'static str, String)) {
    let proxy = Proxy::to(&house.world.settings[setting]).await;
    let url = proxy.url.clone();
    (proxy, (setting, url))
}

fn body(iterations: u32) -> Value {
    json!({"prompt": "hi", "models": ["sandbox/slow-2s"], "iterations": iterations, "concurrency": 1})
}

async fn a_worker_loses_redis(way: Way) {
    let Some(world) = World::servers("a_worker_loses_redis").await else { return };
    let house = House::of(world).await;
    let (proxy, setting) = by_proxy(&house, "ACM2_BROKER__URL").await;
    let cut = house.world.start_with("worker", &[(setting.0, &setting.1)]);
    let [api, other] = ["api", "worker"].map(|role| house.world.start(role));
    let (tenant, client) = house.tenant_and_client(&api, "a").await;
    let runs = submit_many(&client, 40, &body(6)).await;
    house.wait_for_calls(40).await;
    proxy.set(way);
    tokio::time::sleep(A_MINUTE).await;
    proxy.set(Way::Open);
    recovered(&client, &runs, &format!("the end of a cut ({way:?})")).await;
    let figures = check(&house, &tenant, [cut, api, other]).await;
    eprintln!("{figures}");
    // Its leases ended, but it lives: nobody takes its runs, and it goes on with them.
    assert_eq!((figures.tasks, figures.calls, figures.claims), (240, 240, 1), "{figures}");
    house.world.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_cut_off_from_redis_keeps_its_runs() {
    a_worker_loses_redis(Way::Cut).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_whose_packets_to_redis_are_swallowed_keeps_its_runs() {
    a_worker_loses_redis(Way::Swallow).await;
}

/// The other worker takes over; what the first one's calls answer is used or kept, and never written twice.
async fn a_worker_loses_the_database(way: Way) {
    let Some(world) = World::servers("a_worker_loses_the_database").await else { return };
    let house = House::of(world).await;
    let (proxy, setting) = by_proxy(&house, "ACM2_DATABASE__URL").await;
    let cut = house.world.start_with("worker", &[(setting.0, &setting.1)]);
    let api = house.world.start("api");
    let (tenant, client) = house.tenant_and_client(&api, "a").await;
    let runs = submit_many(&client, 30, &body(4)).await;
    house.wait_for_calls(30).await;
    let other = house.world.start("worker");
    proxy.set(way);
    tokio::time::sleep(A_MINUTE).await;
    // A slow machine keeps the other one's own heartbeats, and while they are late it takes nothing.
    let patience = Instant::now() + SOON;
    while Ledger::read(&house.world, &tenant).await.claims() < 2 {
        assert!(Instant::now() < patience, "nobody has taken over");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    proxy.set(Way::Open);
    recovered(&client, &runs, &format!("the end of a cut ({way:?})")).await;
    // The late answers are written down by the worker that was cut off.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let patience = Instant::now() + SOON;
    while !late_answers_are_written(&house, &tenant).await {
        assert!(Instant::now() < patience, "what came late has not been written down");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let figures = check(&house, &tenant, [cut, api, other]).await;
    eprintln!("{way:?}: {figures}");
    assert_eq!((figures.runs, figures.tasks), (30, 120));
    assert!(figures.late > 0, "{figures}");
    house.world.remove().await;
}

/// Whether every call that was answered is settled as such.
async fn late_answers_are_written(house: &House, tenant: &Tenant) -> bool {
    let ledger = Ledger::read(&house.world, tenant).await;
    let settled = ledger.attempts.iter().filter(|attempt| ["answered", "late"].contains(&attempt.status.as_str()));
    let answered = house.log().iter().filter(|call| call.status == Some(200)).count();
    settled.count() >= answered
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_cut_off_from_the_database_writes_nothing_twice() {
    a_worker_loses_the_database(Way::Cut).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_whose_packets_to_the_database_are_swallowed_writes_nothing_twice() {
    a_worker_loses_the_database(Way::Swallow).await;
}

/// Nobody else is there to take over: the answers are kept and written once the way is open.
async fn the_only_worker_loses_the_database(way: Way) {
    let Some(world) = World::servers("the_only_worker_loses_the_database").await else { return };
    let house = House::of(world).await;
    let (proxy, setting) = by_proxy(&house, "ACM2_DATABASE__URL").await;
    let cut = house.world.start_with("worker", &[(setting.0, &setting.1)]);
    let api = house.world.start("api");
    let (tenant, client) = house.tenant_and_client(&api, "a").await;
    let runs = submit_many(&client, 30, &body(4)).await;
    house.wait_for_calls(30).await;
    proxy.set(way);
    tokio::time::sleep(A_MINUTE).await;
    proxy.set(Way::Open);
    recovered(&client, &runs, &format!("the end of a cut ({way:?})")).await;
    let figures = check(&house, &tenant, [cut, api]).await;
    eprintln!("{way:?}: {figures}");
    assert_eq!((figures.tasks, figures.calls, figures.in_doubt, figures.late), (120, 120, 0, 0), "{figures}");
    house.world.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_only_worker_is_cut_off_from_the_database_and_keeps_its_answers() {
    the_only_worker_loses_the_database(Way::Cut).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_only_workers_packets_to_the_database_are_swallowed_and_it_keeps_its_answers() {
    the_only_worker_loses_the_database(Way::Swallow).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_only_workers_database_is_slow_for_a_minute_and_it_keeps_its_answers() {
    the_only_worker_loses_the_database(Way::Stall).await;
}

/// Submissions are refused without the database and taken without Redis; soon after the cut all is as before.
#[tokio::test(flavor = "multi_thread")]
async fn an_api_that_is_cut_off_serves_again_soon_after() {
    let Some(world) = World::servers("an_api_that_is_cut_off").await else { return };
    let house = House::of(world).await;
    let (redis, to_redis) = by_proxy(&house, "ACM2_BROKER__URL").await;
    let (database, to_database) = by_proxy(&house, "ACM2_DATABASE__URL").await;
    let settings = [(to_redis.0, to_redis.1.as_str()), (to_database.0, to_database.1.as_str())];
    let (api, worker) = (house.world.start_with("api", &settings), house.world.start("worker"));
    let (tenant, client) = house.tenant_and_client(&api, "a").await;
    let body = json!({"prompt": "hi", "models": ["sandbox/echo"]});
    let mut runs = submit_many(&client, 10, &body).await;
    for way in [Way::Cut, Way::Swallow] {
        redis.set(way);
        runs.extend(submit_many(&client, 3, &body).await);
        redis.set(Way::Open);

        database.set(way);
        let refused = client.post("/api/v1/runs", &body).await;
        assert_eq!(refused.status, 503, "{}", refused.text);
        tokio::time::sleep(A_MINUTE / 2).await;
        database.set(Way::Open);
        let began = Instant::now();
        loop {
            let answer = client.post("/api/v1/runs", &body).await;
            if answer.status == 202 {
                runs.push(answer.json()["id"].as_str().unwrap().to_owned());
                break;
            }
            assert_eq!(answer.status, 503, "{}", answer.text);
            assert!(began.elapsed() < SOON, "it does not take runs again");
        }
        eprintln!("{way:?}: runs were taken again {:.1?} after the end of the cut", began.elapsed());
    }
    recovered(&client, &runs, "the last cut").await;
    let figures = check(&house, &tenant, [api, worker]).await;
    assert_eq!(figures.calls, figures.runs, "{figures}");
    assert!(figures.runs >= runs.len(), "{figures}");
    house.world.remove().await;
}

/// Commits whose outcome the worker does not learn: it must find out whether they were applied.
#[tokio::test(flavor = "multi_thread")]
async fn connections_that_break_amid_quick_commits_apply_nothing_twice() {
    let Some(world) = World::servers("connections_that_break_amid_quick_commits").await else { return };
    let house = House::of(world).await;
    let (proxy, setting) = by_proxy(&house, "ACM2_DATABASE__URL").await;
    let cut = house.world.start_with("worker", &[(setting.0, &setting.1)]);
    let api = house.world.start("api");
    let (tenant, client) = house.tenant_and_client(&api, "a").await;
    let body = json!({"prompt": "hi", "models": ["sandbox/echo"], "iterations": 10, "concurrency": 2});
    let runs = submit_many(&client, 60, &body).await;
    for number in 0..25_u64 {
        proxy.set(Way::Cut);
        tokio::time::sleep(Duration::from_millis(5)).await;
        proxy.set(Way::Open);
        tokio::time::sleep(Duration::from_millis(150 + number * 37 % 100)).await;
    }
    all_completed(&client, &runs).await;
    let figures = check(&house, &tenant, [cut, api]).await;
    eprintln!("{figures}");
    assert_eq!((figures.tasks, figures.attempts, figures.calls), (600, 600, 600), "{figures}");
    house.world.remove().await;
}
