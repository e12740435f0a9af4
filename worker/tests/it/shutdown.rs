//! Ends of a process that were asked for.

use std::time::Duration;

use acm2_domain::run::{EventType, RunStatus};
use acm2_domain::timing::Timing;
use acm2_sandbox::Event;
use serde_json::json;

use crate::house::{House, eventually, on_both};
use crate::outcomes::events_have_no_gap;
use crate::process::{Start, Worker};

on_both!(
    a_worker_that_is_told_to_end_finishes_its_call_and_hands_the_run_on,
    a_worker_that_is_told_twice_leaves_its_call,
);

/// A worker that has time to take its row away at its end, on a slow machine too.
fn first_worker(house: &House) -> Worker {
    let timing = Timing { heartbeat_timeout: Duration::from_secs(10), ..house.timing.clone() };
    Worker::start(house, Start { timing, ..Start::of(house) })
}

async fn a_worker_that_is_told_to_end_finishes_its_call_and_hands_the_run_on(house: &House) {
    let first = first_worker(house);
    let account = house.account_with_key().await;
    let models = ["sandbox/slow-1s", "sandbox/slow-1001ms", "sandbox/slow-1002ms"];
    let run = account.submit(json!({"prompt": "hi", "models": models, "concurrency": 1})).await;
    house.called("slow-1s").await;
    first.stop().await;

    let row = account.row(run).await;
    assert_eq!((row.status, row.claimed_by, row.tasks_completed), (RunStatus::Queued, None, 1));
    assert_eq!((house.calls(), house.records(Event::ClientGone).len()), (1, 0));
    let waiting = house.broker.dispatch.load(acm2_domain::job::Queue::Runs, account.id).await.unwrap().waiting;
    assert_eq!(waiting, 1, "it was given back at once");
    assert!(house.store.workers().list().await.unwrap().is_empty());

    let second = house.worker();
    let view = account.ended(run).await;
    assert_eq!(view.status, RunStatus::Completed);
    assert!(view.results.unwrap().iter().all(|task| task.attempts == 1));
    assert_eq!((house.calls(), account.row(run).await.poison), (3, 0));
    let resumed = account.events(run).await.into_iter().find(|event| event.event_type == EventType::RunResumed);
    assert_eq!(resumed.unwrap().data["holder_was_lost"], false);
    events_have_no_gap(&account, run).await;
    second.stop().await;
}

async fn a_worker_that_is_told_twice_leaves_its_call(house: &House) {
    let first = first_worker(house);
    let account = house.account_with_key().await;
    let run = account.submit(json!({"prompt": "hi", "models": ["sandbox/slow-4s"]})).await;
    house.called("slow-4s").await;
    first.stop_hard().await;
    eventually("the client leaves", async || house.records(Event::ClientGone).len() == 1).await;
    // Its row is gone with it: the next one need not wait for staleness, only until it may trust its own view.
    let timing = Timing { heartbeat_stale: Duration::from_hours(1), ..house.timing.clone() };
    let _second = Worker::start(house, Start { timing, ..Start::of(house) });
    assert_eq!(account.ended(run).await.status, RunStatus::Completed);
    assert_eq!(account.attempts_of(run, 0).await, ["in_doubt", "answered"]);
}
