//! What ends a run before its tasks do: a command, a deadline.

use std::time::Duration;

use acm2_broker::signals::Signal;
use acm2_domain::call::ErrorClass;
use acm2_domain::ids::RunId;
use acm2_domain::money::Usd;
use acm2_domain::run::machine::{Command, Effect};
use acm2_domain::run::{EventType, Requested, RunStatus, TaskStatus};
use acm2_domain::timing::Timing;
use acm2_sandbox::Event;
use serde_json::json;

use crate::account::Account;
use crate::house::{House, eventually, on_both};
use crate::outcomes::events_have_no_gap;
use crate::process::{Start, Worker};

on_both!(
    a_cancelled_run_leaves_its_provider,
    a_cancellation_is_seen_without_a_signal,
    a_run_that_is_cancelled_before_its_worker_comes_is_not_begun,
    a_hanging_provider_ends_with_the_deadline,
    a_deadline_keeps_the_answers_that_came,
    a_run_that_waited_past_its_deadline_is_not_begun,
);

async fn client_gone(house: &House) {
    eventually("the client leaves", async || {
        house.records(Event::ClientGone).iter().any(|call| call.model.as_deref() == Some("hang"))
    })
    .await;
}

async fn is_cancelled(house: &House, account: &Account<'_>, run: RunId) {
    let view = account.ended(run).await;
    assert_eq!((view.status, view.requested), (RunStatus::Cancelled, None));
    client_gone(house).await;
    let results = view.results.as_ref().unwrap();
    assert_eq!((results[0].status, results[1].status), (TaskStatus::Completed, TaskStatus::Cancelled));
    let missing = view.missing.as_ref().unwrap();
    assert_eq!((missing.len(), missing[0].class), (1, Some(ErrorClass::Cancelled)));
    assert_eq!(account.attempts_of(run, 1).await, ["in_doubt"]);
    let attempts = account.attempts(run).await;
    let reserved = attempts.iter().find(|attempt| attempt.status == "in_doubt").unwrap().reserved.unwrap();
    assert!(reserved > Usd::ZERO);
    assert_eq!((view.in_doubt_usd, account.row(run).await.reserved), (Some(reserved), Usd::ZERO));
    assert!(view.cost_usd.unwrap() > Usd::ZERO);
    let types = account.event_types(run).await;
    assert!(types.contains(&EventType::RunCancelRequested) && types.last() == Some(&EventType::RunCancelled));
    events_have_no_gap(account, run).await;
    account.no_jobs(run).await;
    house.idle().await;
    assert_eq!(house.calls(), 2);
}

const WITH_A_HANGING_ONE: [&str; 2] = ["sandbox/echo", "sandbox/hang"];

async fn answered_once(account: &Account<'_>, run: RunId) {
    eventually("the first model answers", async || account.row(run).await.tasks_completed == 1).await;
}

async fn a_cancelled_run_leaves_its_provider(house: &House) {
    // Only the signal can tell it in time; a look that fails is repeated after a twentieth of this.
    let timing = Timing { command_poll: Duration::from_secs(100), ..house.timing.clone() };
    let _worker = Worker::start(house, Start { timing, ..Start::of(house) });
    let account = house.account_with_key().await;
    let run = account.submit(json!({"prompt": "hi", "models": WITH_A_HANGING_ONE})).await;
    house.called("hang").await;
    answered_once(&account, run).await;
    assert_eq!(account.command(run, Command::Cancel).await, Effect::Ask(Requested::Cancel));
    house.broker.signals.publish(Signal::Command { tenant: account.id, run }).await.unwrap();
    is_cancelled(house, &account, run).await;
}

async fn a_cancellation_is_seen_without_a_signal(house: &House) {
    let _worker = house.worker();
    let account = house.account_with_key().await;
    let run = account.submit(json!({"prompt": "hi", "models": WITH_A_HANGING_ONE})).await;
    house.called("hang").await;
    answered_once(&account, run).await;
    assert_eq!(account.command(run, Command::Cancel).await, Effect::Ask(Requested::Cancel));
    is_cancelled(house, &account, run).await;
}

async fn a_run_that_is_cancelled_before_its_worker_comes_is_not_begun(house: &House) {
    let account = house.account_with_key().await;
    let run = account.submit(json!({"prompt": "hi", "models": ["sandbox/echo"]})).await;
    assert_eq!(account.command(run, Command::Cancel).await, Effect::Become(RunStatus::Cancelled));
    let _worker = house.worker();
    // Its job is found to be without purpose.
    account.no_jobs(run).await;
    house.idle().await;
    assert_eq!((account.row(run).await.status, house.calls()), (RunStatus::Cancelled, 0));
}

async fn a_hanging_provider_ends_with_the_deadline(house: &House) {
    let _worker = house.worker();
    let account = house.account_with_key().await;
    let run = account.run(json!({"prompt": "hi", "models": ["sandbox/hang"], "deadline_seconds": 10})).await;
    assert_eq!((run.status, run.problem.unwrap().code.as_str()), (RunStatus::Failed, "deadline_exceeded"));
    assert_eq!(run.missing.unwrap()[0].class, Some(ErrorClass::DeadlineExceeded));
    client_gone(house).await;
    assert_eq!(account.attempts_of(run.id, 0).await, ["in_doubt"]);
    assert!(run.in_doubt_usd > Some(Usd::ZERO));
    assert!(run.finished_at.unwrap() >= run.deadline_at);
    account.no_jobs(run.id).await;
    assert_eq!(house.calls(), 1);
}

async fn a_deadline_keeps_the_answers_that_came(house: &House) {
    let _worker = house.worker();
    let account = house.account_with_key().await;
    let body = json!({"prompt": "hi", "models": WITH_A_HANGING_ONE, "deadline_seconds": 10});
    let run = account.run(body).await;
    let code = run.problem.unwrap().code;
    assert_eq!((run.status, code.as_str()), (RunStatus::CompletedWithErrors, "deadline_exceeded"));
    let missing = run.missing.unwrap();
    assert_eq!((missing.len(), missing[0].class), (1, Some(ErrorClass::DeadlineExceeded)));
    assert_eq!(run.results.unwrap()[0].text.as_deref(), Some("Echo: hi"));
    events_have_no_gap(&account, run.id).await;
}

async fn a_run_that_waited_past_its_deadline_is_not_begun(house: &House) {
    let account = house.account_with_key().await;
    let run = account.submit(json!({"prompt": "hi", "models": ["sandbox/echo"], "deadline_seconds": 1})).await;
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    let _worker = house.worker();
    let view = account.ended(run).await;
    assert_eq!((view.status, view.problem.unwrap().code.as_str()), (RunStatus::Failed, "deadline_exceeded"));
    assert_eq!(house.calls(), 0);
    account.no_jobs(run).await;
}
