//! Machines whose clocks differ: deadlines, leases and theft go by the database's.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;

use crate::aftermath::{all_completed, check, submit_many};
use crate::harness::World;
use crate::house::{House, ended, submit};

/// An hour ahead of all others.
const AHEAD: &[(&str, &str)] = &[("ACM2_TIMING__CLOCK_OFFSET_SECONDS", "3600")];

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_whose_clock_is_an_hour_ahead_ends_nothing_early_and_steals_nothing() {
    let Some(world) = World::servers("a_worker_whose_clock_is_an_hour_ahead").await else { return };
    let house = House::of(world).await;
    let (api, right) = (house.world.start("api"), house.world.start("worker"));
    let ahead = house.world.start_with("worker", AHEAD);
    let (tenant, client) = house.tenant_and_client(&api, "a").await;
    // Both work, for longer than a heartbeat may be old.
    let body = json!({"prompt": "hi", "models": ["sandbox/slow-2s"], "iterations": 3, "concurrency": 1, "deadline_seconds": 600});
    let runs = submit_many(&client, 40, &body).await;
    all_completed(&client, &runs).await;
    let figures = check(&house, &tenant, [api, right, ahead]).await;
    assert_eq!((figures.calls, figures.claims, figures.in_doubt), (120, 1, 0), "{figures}");
    house.world.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_is_the_same_for_an_api_and_a_worker_whose_clocks_are_an_hour_apart() {
    let Some(world) = World::servers("a_deadline_is_the_same").await else { return };
    let house = House::of(world).await;
    for (of_api, of_worker) in [(AHEAD, &[][..]), (&[][..], AHEAD)] {
        let (api, worker) = (house.world.start_with("api", of_api), house.world.start_with("worker", of_worker));
        let client = house.tenant(&api, "a").await;
        let body = |seconds: u32, model: &str| json!({"prompt": "hi", "models": [model], "deadline_seconds": seconds});
        let (late, in_time) =
            (submit(&client, &body(3, "sandbox/hang")).await, submit(&client, &body(600, "sandbox/slow-4s")).await);
        let late = ended(&client, &late, Duration::from_secs(40)).await;
        assert_eq!(late["problem"]["code"], "deadline_exceeded", "{late}");
        let at = |name: &str| late[name].as_str().unwrap().parse::<DateTime<Utc>>().unwrap();
        assert!(at("finished_at") - at("created_at") > TimeDelta::seconds(2), "{late}");
        assert_eq!(ended(&client, &in_time, Duration::from_secs(40)).await["status"], "completed");
        drop([api, worker]);
    }
    house.world.remove().await;
}
