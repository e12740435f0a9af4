//! What a run has to write at a moment is written together, and apart where a part of it does not stand any more.

use std::collections::BTreeSet;
use std::time::Duration;

use acm2_domain::call::ErrorClass;
use acm2_domain::money::Usd;
use acm2_domain::run::{EventType, RunStatus, TaskStatus};
use acm2_domain::timing::Timing;
use acm2_store::runs::{self, Skipped};
use serde_json::json;

use crate::house::{House, eventually, now, on_both};
use crate::outcomes::events_have_no_gap;
use crate::process::{Start, Worker};

on_both!(answers_that_come_together_are_written_together, a_task_left_out_while_its_answer_waits_keeps_only_the_money);

const SLOW: &str = "sandbox/slow-1s";

async fn answers_that_come_together_are_written_together(house: &House) {
    let _worker = house.worker();
    let account = house.account_with_key().await;
    let body = json!({"prompt": "hi", "models": ["sandbox/slow-3s"], "iterations": 8, "concurrency": 8});
    let run = account.submit(body).await;
    eventually("every model is asked", async || house.calls_of("slow-3s").len() == 8).await;
    // Nothing of the run can be written while somebody else has its row.
    let tx = account.begin().await;
    assert_eq!(runs::skip(&tx, run, &[], now()).await.unwrap(), Skipped::Done(0));
    tokio::time::sleep(Duration::from_secs(4)).await;
    drop(tx);
    let view = account.ended(run).await;
    assert_eq!(view.status, RunStatus::Completed);
    let tasks = runs::list_tasks(&account.begin().await, run).await.unwrap();
    let times: BTreeSet<_> = tasks.values().map(|task| task.finished_at).collect();
    assert_eq!(tasks.len(), 8);
    // What came first waited alone, or with those that came while it waited for its connection.
    assert!(times.len() <= 2, "{times:?}");
    let finished = account.row(run).await.finished_at;
    let paid: Usd = account.attempts(run).await.iter().filter_map(|attempt| attempt.cost).sum();
    assert_eq!((view.cost_usd, finished.is_some()), (Some(paid), true));
    events_have_no_gap(&account, run).await;
    account.no_jobs(run).await;
    assert_eq!(house.calls(), 8);
}

async fn a_task_left_out_while_its_answer_waits_keeps_only_the_money(house: &House) {
    // The worker hears of it by what it writes.
    let timing = Timing { command_poll: Duration::from_hours(1), ..house.timing.clone() };
    let _worker = Worker::start(house, Start { timing, ..Start::of(house) });
    let account = house.account_with_key().await;
    let run = account.submit(json!({"prompt": "hi", "models": [SLOW, "sandbox/slow-1s+cached"]})).await;
    house.called("slow-1s").await;
    house.called("slow-1s+cached").await;
    let tx = account.begin().await;
    let skipped = runs::skip(&tx, run, &["generate/prompt/m0/1".to_owned()], now()).await.unwrap();
    assert_eq!(skipped, Skipped::Done(1));
    tokio::time::sleep(Duration::from_secs(2)).await;
    tx.commit().await.unwrap();
    let view = account.ended(run).await;
    assert_eq!(view.status, RunStatus::CompletedWithErrors);
    let results = view.results.as_ref().unwrap();
    assert_eq!((results[0].status, results[1].status), (TaskStatus::Skipped, TaskStatus::Completed));
    assert_eq!(view.missing.as_ref().unwrap()[0].class, Some(ErrorClass::Skipped));
    let attempts = account.attempts(run).await;
    let paid: Usd = attempts.iter().filter_map(|attempt| attempt.cost).sum();
    assert!(attempts.iter().all(|attempt| attempt.status == "answered" && attempt.cost.is_some()), "{attempts:?}");
    assert_eq!((view.cost_usd, account.row(run).await.reserved), (Some(paid), Usd::ZERO));
    let types = account.event_types(run).await;
    let count = |wanted: EventType| types.iter().filter(|found| **found == wanted).count();
    assert_eq!((count(EventType::TaskSkipped), count(EventType::TaskCompleted)), (1, 1));
    events_have_no_gap(&account, run).await;
    account.no_jobs(run).await;
    assert_eq!(house.calls(), 2);
}
