//! The lanes: what a provider tells of its limits holds for all processes, and what one key suffers is no other's trouble.

use std::time::Duration;

use acm2_domain::call::ErrorClass;
use acm2_domain::run::{Run, RunStatus};
use acm2_domain::timing::Timing;
use acm2_sandbox::Event;
use acm2_store::provider_keys::{self, KeyStatus};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::house::{House, eventually, now, on_both};
use crate::process::{Start, Worker};

on_both!(
    a_known_limit_holds_over_two_processes,
    a_limit_that_nobody_knew_costs_a_handful_of_refusals,
    a_429_parks_its_own_lane_and_no_other,
    a_refused_key_stops_its_siblings_until_it_is_stored_anew,
    a_breaker_lets_one_probe_through_and_closes_on_success,
    the_calls_of_a_key_are_capped_over_all_processes,
    a_run_that_waits_long_for_its_lane_is_given_back,
);

/// One model several times.
fn times(model: &str, count: usize) -> Value {
    json!(vec![format!("sandbox/{model}"); count])
}

/// When the calls of a model arrived.
fn arrivals(house: &House, model: &str) -> Vec<DateTime<Utc>> {
    house.calls_of(model).iter().map(|call| call.time).collect()
}

/// The times of answers of a model with this status.
fn answers(house: &House, model: &str, status: u16) -> Vec<DateTime<Utc>> {
    let of_model = |call: &acm2_sandbox::CallRecord| call.model.as_deref() == Some(model);
    let answered = house.records(Event::Answered).into_iter();
    answered.filter(|call| of_model(call) && call.status == Some(status)).map(|call| call.time).collect()
}

/// The most calls in any second.
fn most_in_a_second(times: &[DateTime<Utc>]) -> usize {
    let second = TimeDelta::seconds(1);
    let from = |first: DateTime<Utc>| times.iter().filter(|time| **time >= first && **time - first < second).count();
    times.iter().map(|first| from(*first)).max().unwrap_or(0)
}

fn classes(run: &Run) -> Vec<Option<ErrorClass>> {
    let results = run.results.as_ref().unwrap();
    results.iter().map(|task| task.error.as_ref().map(|error| error.class)).collect()
}

async fn a_known_limit_holds_over_two_processes(house: &House) {
    // A call may reach its provider late, on a slow machine by more than the usual moment.
    let jitter = Duration::from_secs(3);
    let _workers = [(); 2].map(|()| {
        let timing = Timing { lane_jitter: jitter, ..house.timing.clone() };
        let mut start = Start { timing, ..Start::of(house) };
        // Neither has room for all the runs.
        start.permits.runs = 2;
        Worker::start(house, start)
    });
    let account = house.account_with_key().await;
    let known = account.run(json!({"prompt": "hi", "models": ["sandbox/rate-5-per-1s"]})).await;
    assert_eq!(known.status, RunStatus::Completed);
    let mut runs = Vec::new();
    for _ in 0..4 {
        runs.push(account.submit(json!({"prompt": "hi", "models": times("rate-5-per-1s", 5)})).await);
    }
    for run in runs {
        assert_eq!(account.ended(run).await.status, RunStatus::Completed);
    }
    let times = arrivals(house, "rate-5-per-1s");
    let took = times[times.len() - 1] - times[0];
    eprintln!("21 calls in {took}, at most {} in a second", most_in_a_second(&times));
    assert!(most_in_a_second(&times) <= 5, "{times:?}");
    assert_eq!((times.len(), answers(house, "rate-5-per-1s", 429).len()), (21, 0), "nothing was refused");
    // Five in a second and the jitter, for both together: two that do not share a lane would take half of it.
    let space = (Duration::from_secs(1) + jitter) / 5;
    assert!(took.to_std().unwrap() + jitter >= space * 20, "{took}");
}

async fn a_limit_that_nobody_knew_costs_a_handful_of_refusals(house: &House) {
    // At the pace of the tests all would have started before a slow machine has reported the first.
    let timing = Timing { lane_cold: Duration::from_millis(250), ..house.timing.clone() };
    let _workers = [(); 2].map(|()| Worker::start(house, Start { timing: timing.clone(), ..Start::of(house) }));
    let account = house.account_with_key().await;
    let mut runs = Vec::new();
    for _ in 0..4 {
        runs.push(account.submit(json!({"prompt": "hi", "models": times("rate-5-per-1s", 5)})).await);
    }
    for run in runs {
        assert_eq!(account.ended(run).await.status, RunStatus::Completed);
    }
    let refused = answers(house, "rate-5-per-1s", 429).len();
    eprintln!("{refused} of 20 calls were refused before the limit was known");
    assert!(refused <= 10, "{refused} calls were refused");
}

async fn a_429_parks_its_own_lane_and_no_other(house: &House) {
    const MODEL: &str = "rate-1-per-8s";
    let _worker = house.worker();
    let account = house.account_with_key().await;
    let other_key = account.add_key("sk-another-0123456789").await;
    let other_tenant = house.account_with_key().await;
    // Somebody else uses the key, so that the lane learns by a refusal.
    house.call_beside(MODEL, "sk-of-the-tests-0123456789").await;
    let parked = account.submit(json!({"prompt": "hi", "models": times(MODEL, 2), "max_retries": 5})).await;
    eventually("a call is refused", async || !answers(house, MODEL, 429).is_empty()).await;
    let named = json!([{"model": "sandbox/echo", "provider_key_id": other_key.to_string()}]);
    let beside = account.submit(json!({"prompt": "hi", "models": named})).await;
    let elsewhere = other_tenant.submit(json!({"prompt": "hi", "models": ["sandbox/fast"]})).await;
    assert_eq!(account.ended(beside).await.status, RunStatus::Completed);
    assert_eq!(other_tenant.ended(elsewhere).await.status, RunStatus::Completed);
    assert_eq!(account.ended(parked).await.status, RunStatus::Completed);
    let (times, refused) = (arrivals(house, MODEL), answers(house, MODEL, 429));
    // Of the two tasks one or both were under way; whoever waited was not refused.
    assert!(refused.len() <= 2 && times.len() == 3 + refused.len(), "{times:?} {refused:?}");
    let (used_up, next) = (times[0], times[1 + refused.len()]);
    assert!(next - used_up >= TimeDelta::seconds(8), "{}", next - used_up);
    assert!(arrivals(house, "echo")[0] < next && arrivals(house, "fast")[0] < next, "others did not wait");
}

async fn a_refused_key_stops_its_siblings_until_it_is_stored_anew(house: &House) {
    // So long that the lane does not open by itself meanwhile.
    let timing = Timing { lane_closed: Timing::default().lane_closed, ..house.timing.clone() };
    let _worker = Worker::start(house, Start { timing, ..Start::of(house) });
    let account = house.account().await;
    let key = account.add_key("sk-bad-0123456789").await;
    let run = account.run(json!({"prompt": "hi", "models": times("slow-250ms", 20), "concurrency": 1})).await;
    assert_eq!(run.status, RunStatus::Failed);
    assert_eq!(classes(&run), [Some(ErrorClass::ProviderAuth); 20]);
    assert_eq!(house.calls(), 1, "one call found out");
    let results = run.results.as_ref().unwrap();
    assert!(results[19].error.as_ref().unwrap().message.contains("moments ago"), "{results:?}");
    // Another run with the key does not try it either.
    let next = account.run(json!({"prompt": "hi", "models": times("echo", 2)})).await;
    assert_eq!((classes(&next), house.calls()), (vec![Some(ErrorClass::ProviderAuth); 2], 1));
    assert_eq!(account.key(key).await.status, KeyStatus::Invalid);

    account.replace_key(key, "sk-good-0123456789").await;
    let again = account.run(json!({"prompt": "hi", "models": ["sandbox/echo"]})).await;
    assert_eq!(again.status, RunStatus::Completed, "{again:?}");

    // A test that succeeds opens the lane as well.
    account.replace_key(key, "sk-quota-0123456789").await;
    let spent = account.run(json!({"prompt": "hi", "models": times("echo", 20), "concurrency": 4})).await;
    assert_eq!(classes(&spent), [Some(ErrorClass::ProviderQuota); 20]);
    // Those that were under way when the first was refused, and as many that were just about to start.
    assert!(house.calls() <= 2 + 8, "{} calls", house.calls());
    let before = account.key(key).await;
    assert_eq!(before.status, KeyStatus::Quota);
    let tx = account.begin().await;
    provider_keys::mark_status(&tx, &before, KeyStatus::Valid, None, now()).await.unwrap();
    tx.commit().await.unwrap();
    let calls = house.calls();
    let tried = account.run(json!({"prompt": "hi", "models": ["sandbox/fast"]})).await;
    assert_eq!((classes(&tried), house.calls()), (vec![Some(ErrorClass::ProviderQuota)], calls + 1));
}

async fn a_breaker_lets_one_probe_through_and_closes_on_success(house: &House) {
    let _worker = house.worker();
    let account = house.account_with_key().await;
    let body = json!({"prompt": "hi", "models": times("fail-503-times-6", 3), "concurrency": 1, "max_retries": 10});
    let run = account.run(body).await;
    assert_eq!(run.status, RunStatus::Completed);
    let times = arrivals(house, "fail-503-times-6");
    assert_eq!(times.len(), 9, "six failures, three answers");
    let failed = answers(house, "fail-503-times-6", 503);
    let first = TimeDelta::from_std(house.timing.lane_breaker.0).unwrap();
    // Five failures open it; the probe fails too, and the next comes after twice the delay.
    assert!(times[5] - failed[4] >= first, "{}", times[5] - failed[4]);
    assert!(times[6] - failed[5] >= first * 2, "{}", times[6] - failed[5]);
}

async fn the_calls_of_a_key_are_capped_over_all_processes(house: &House) {
    let mut start = Start::of(house);
    start.permits.calls_per_provider_key = 3;
    let other = Start { id: acm2_domain::ids::WorkerId::generate(), ..start.clone() };
    let _workers = (Worker::start(house, start), Worker::start(house, other));
    let account = house.account_with_key().await;
    let mut runs = Vec::new();
    for _ in 0..4 {
        runs.push(account.submit(json!({"prompt": "hi", "models": times("slow-250ms", 3)})).await);
    }
    for run in runs {
        assert_eq!(account.ended(run).await.status, RunStatus::Completed);
    }
    let (mut under_way, mut most) = (0_usize, 0);
    for record in house.sandbox.calls() {
        match record.event {
            Event::Received => under_way += 1,
            Event::Answered | Event::ClientGone => under_way -= 1,
        }
        most = most.max(under_way);
    }
    assert_eq!((most, house.calls()), (3, 12));
}

async fn a_run_that_waits_long_for_its_lane_is_given_back(house: &House) {
    let _worker = house.worker();
    let account = house.account_with_key().await;
    let first = account.run(json!({"prompt": "hi", "models": ["sandbox/rate-1-per-20s"]})).await;
    assert_eq!(first.status, RunStatus::Completed);
    let run = account.submit(json!({"prompt": "hi", "models": times("rate-1-per-20s", 1)})).await;
    eventually("the run is back in the queue", async || {
        let depth = house.broker.dispatch.depth(acm2_domain::job::Queue::Runs).await.unwrap();
        depth.delayed == 1 && account.row(run).await.status == RunStatus::Queued
    })
    .await;
    assert_eq!(account.ended(run).await.status, RunStatus::Completed);
    let times = arrivals(house, "rate-1-per-20s");
    assert!(times.len() == 2 && times[1] - times[0] >= TimeDelta::seconds(20), "{times:?}");
}
