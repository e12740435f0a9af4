//! The room that texts take in a worker: who waits long for it gives its place in the worker back, and so does a run that holds more
//! of it than there is.

use acm2_domain::run::RunStatus;
use acm2_domain::run::machine::Command;
use acm2_sandbox::Event;
use serde_json::json;

use crate::house::{House, eventually, on_both};
use crate::outcomes::events_have_no_gap;
use crate::process::{Start, Worker};

on_both!(
    a_run_that_waits_long_for_room_is_given_back,
    runs_that_hold_too_many_answers_make_room_and_lose_nothing,
    a_run_that_may_become_large_begins_when_there_is_room
);

/// A document of which two copies more are all that its tenant may hold: one call at a time, and no room for another document.
const LARGE: usize = 16 << 20;

async fn a_run_that_waits_long_for_room_is_given_back(house: &House) {
    let _worker = house.worker();
    let account = house.account_with_key().await;
    let about = |name: &str, text: &str| json!([{"name": name, "text": text}]);
    let large = json!({
        "prompt": "hi",
        "models": ["sandbox/size-1k+slow-10s", "sandbox/size-1k+slow-10001ms"],
        "documents": about("large", &"x".repeat(LARGE)),
    });
    let large = account.submit(large).await;
    let called = || house.records(Event::Received);
    eventually("the large one is asked about", async || called().len() == 1).await;
    let small = json!({"prompt": "hi", "models": ["sandbox/size-1k"], "documents": about("small", "a text")});
    let first = account.submit(small.clone()).await;
    eventually("the first small one is claimed", async || account.row(first).await.claim == 1).await;
    // Sure to have waited for longer than the other, also on a slow machine.
    tokio::time::sleep(house.timing.claim_wait * 15).await;
    let small = account.submit(small).await;
    eventually("the other is claimed", async || account.row(small).await.claim == 1).await;
    eventually("it is given back", async || account.row(small).await.status == RunStatus::Queued).await;
    assert_eq!(account.row(large).await.status, RunStatus::Running, "there is no room yet");
    assert_eq!(account.row(first).await.status, RunStatus::Running, "one of the tenant's keeps its turn");
    // Another tenant has room of its own.
    let other = house.account_with_key().await;
    let view =
        other.run(json!({"prompt": "hi", "models": ["sandbox/fast"], "documents": about("other", "a text")})).await;
    assert_eq!(view.status, RunStatus::Completed);

    for run in [large, first, small] {
        assert_eq!(account.ended(run).await.status, RunStatus::Completed);
        events_have_no_gap(&account, run).await;
    }
    assert!(account.row(small).await.claim > 1);
    assert_eq!(account.row(first).await.claim, 1);
    let of_large = |model: Option<&str>| model.is_some_and(|model| model.contains("slow"));
    let lines = house.sandbox.calls().into_iter().filter(|call| of_large(call.model.as_deref()));
    let told: Vec<Event> = lines.map(|call| call.event).collect();
    assert_eq!(told, [Event::Received, Event::Answered, Event::Received, Event::Answered], "one after the other");
}

async fn runs_that_hold_too_many_answers_make_room_and_lose_nothing(house: &House) {
    let mut start = Start::of(house);
    // One tenant's share is half of it: as much as four of the answers.
    start.permits.held_answers = 2 << 20;
    let _worker = Worker::start(house, start);
    let account = house.account_with_key().await;
    let judged = json!({
        "prompt": "hi",
        "models": ["sandbox/size-256k+slow-300ms"],
        "iterations": 6,
        "concurrency": 1,
        "stages": {"evaluate": {"judges": ["sandbox/judge"], "criteria": ["depth"], "iterations": 1}},
    });
    let mut runs = Vec::new();
    for _ in 0..3 {
        runs.push(account.submit(judged.clone()).await);
    }
    let mut claims = 0;
    for run in runs {
        assert_eq!(account.ended(run).await.status, RunStatus::Completed);
        events_have_no_gap(&account, run).await;
        claims = Ord::max(claims, account.row(run).await.claim);
    }
    assert!(claims > 1, "none made room");
    // Six answers and as many judgements each, and none asked for twice.
    assert_eq!(house.calls(), 3 * 12);
}

async fn a_run_that_may_become_large_begins_when_there_is_room(house: &House) {
    let mut start = Start::of(house);
    start.permits.held_answers = 2 << 20;
    let _worker = Worker::start(house, start);
    let account = house.account_with_key().await;
    let judged = |model: &str, iterations: u32, judge: &str| {
        json!({
            "prompt": "hi",
            "models": [model],
            "iterations": iterations,
            "stages": {"evaluate": {"judges": [judge], "criteria": ["depth"], "iterations": 1}},
        })
    };
    let large = account.submit(judged("sandbox/size-256k", 4, "sandbox/hang")).await;
    eventually("it holds its answers", async || account.row(large).await.tasks_completed == 4).await;
    // More than the worker has places.
    let mut others = Vec::new();
    for _ in 0..12 {
        others.push(account.submit(judged("sandbox/echo", 10, "sandbox/judge")).await);
    }
    let mut late = judged("sandbox/echo", 10, "sandbox/judge");
    late["deadline_seconds"] = json!(2);
    let late = account.submit(late).await;
    // Few tasks, or answers that nobody reads, need no such room.
    assert_eq!(account.run(judged("sandbox/echo", 1, "sandbox/judge")).await.status, RunStatus::Completed);
    let plain = json!({"prompt": "hi", "models": ["sandbox/echo"], "iterations": 10});
    assert_eq!(account.run(plain).await.status, RunStatus::Completed);
    // Nor is a run kept from its end.
    let late = account.ended(late).await;
    assert_eq!((late.status, late.problem.unwrap().code.as_str()), (RunStatus::Failed, "deadline_exceeded"));
    for other in &others {
        assert_eq!(account.row(*other).await.claim, 0);
    }
    account.command(large, Command::Cancel).await;
    assert_eq!(account.ended(large).await.status, RunStatus::Cancelled);
    for other in others {
        assert_eq!(account.ended(other).await.status, RunStatus::Completed);
    }
}
