//! What a run has to write at a moment is written together, and apart where a part of it does not stand any more.

use std::collections::BTreeSet;
use std::time::Duration;

use acm2_domain::call::ErrorClass;
use acm2_domain::money::Usd;
use acm2_domain::run::machine::Command;
use acm2_domain::run::{EventType, RunStatus, TaskStatus};
use acm2_domain::timing::Timing;
use acm2_store::runs::{self, Skipped};
use sea_orm::{ConnectionTrait, DbBackend};
use serde_json::json;

use crate::account::Account;
use crate::house::{House, eventually, now, on_both};
use crate::outcomes::events_have_no_gap;
use crate::process::{Start, Worker};

on_both!(
    runs_that_are_claimed_together_go_on_without_those_that_have_ended,
    answers_that_come_together_are_written_together,
    a_task_left_out_while_its_answer_waits_keeps_only_the_money,
    an_answer_that_the_store_refuses_does_not_end_its_run,
);

const SLOW: &str = "sandbox/slow-3s";

async fn runs_that_are_claimed_together_go_on_without_those_that_have_ended(house: &House) {
    let account = house.account_with_key().await;
    let mut runs = Vec::new();
    for _ in 0..12 {
        runs.push(account.submit(json!({"prompt": "hi", "models": ["sandbox/echo"]})).await);
    }
    let (cancelled, others) = runs.split_at(4);
    for run in cancelled {
        account.command(*run, Command::Cancel).await;
    }
    // Claimed by one that does not live: its heartbeat is missing.
    let stolen = account.steal(others[0]).await;
    let _worker = house.worker();
    for run in others {
        assert_eq!(account.ended(*run).await.status, RunStatus::Completed);
        events_have_no_gap(&account, *run).await;
        account.no_jobs(*run).await;
    }
    assert!(account.row(others[0]).await.claim > stolen.fence.claim);
    assert!(account.row(others[1]).await.claim == 1);
    for run in cancelled {
        assert_eq!(account.row(*run).await.status, RunStatus::Cancelled);
        account.no_jobs(*run).await;
    }
    assert_eq!(house.calls(), others.len());
}

async fn answers_that_come_together_are_written_together(house: &House) {
    let _worker = house.worker();
    let account = house.account_with_key().await;
    let body = json!({"prompt": "hi", "models": ["sandbox/slow-5s"], "iterations": 8, "concurrency": 8});
    let run = account.submit(body).await;
    eventually("every model is asked", async || house.calls_of("slow-5s").len() == 8).await;
    // Nothing of the run can be written while somebody else has its row.
    let tx = account.begin().await;
    assert_eq!(runs::skip(&tx, run, &[], now()).await.unwrap(), Skipped::Done(0));
    tokio::time::sleep(Duration::from_secs(6)).await;
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
    let run = account.submit(json!({"prompt": "hi", "models": [SLOW, "sandbox/slow-3s+cached"]})).await;
    house.called("slow-3s").await;
    house.called("slow-3s+cached").await;
    let tx = account.begin().await;
    let skipped = runs::skip(&tx, run, &["generate/prompt/m0/1".to_owned()], now()).await.unwrap();
    assert_eq!(skipped, Skipped::Done(1));
    tokio::time::sleep(Duration::from_secs(4)).await;
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

/// Lets the store refuse the task of the second model, for good.
const REFUSE: [&str; 2] = [
    "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS \
     $$ BEGIN RAISE EXCEPTION 'refused' USING ERRCODE = '22003'; END $$; \
     CREATE TRIGGER refuse BEFORE INSERT ON tasks FOR EACH ROW WHEN (NEW.key LIKE '%/m1/%') EXECUTE FUNCTION refuse()",
    "CREATE TRIGGER refuse BEFORE INSERT ON tasks WHEN NEW.key LIKE '%/m1/%' BEGIN SELECT RAISE(ABORT, 'refused'); END",
];
const ALLOW: [&str; 2] = ["DROP TRIGGER refuse ON tasks", "DROP TRIGGER refuse"];

async fn execute(account: &Account<'_>, [postgres, sqlite]: [&str; 2]) {
    let tx = account.begin().await;
    let sql = if tx.get_database_backend() == DbBackend::Postgres { postgres } else { sqlite };
    tx.execute_unprepared(sql).await.unwrap();
    tx.commit().await.unwrap();
}

async fn an_answer_that_the_store_refuses_does_not_end_its_run(house: &House) {
    let _worker = house.worker();
    let account = house.account_with_key().await;
    execute(&account, REFUSE).await;
    let run = account.submit(json!({"prompt": "hi", "models": ["sandbox/echo", "sandbox/fast"]})).await;
    house.called("fast").await;
    // What is not refused is written all the same.
    eventually("the other answer is there", async || account.row(run).await.tasks_completed == 1).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(account.row(run).await.status, RunStatus::Running);
    execute(&account, ALLOW).await;
    let view = account.ended(run).await;
    assert_eq!(view.status, RunStatus::Completed);
    let attempts = account.attempts_of(run, 1).await;
    assert_eq!(attempts.last().map(String::as_str), Some("answered"));
    assert!(attempts.iter().rev().skip(1).all(|status| status == "in_doubt") && attempts.len() > 1, "{attempts:?}");
    assert_eq!((account.attempts_of(run, 0).await, house.calls_of("echo").len()), (vec!["answered".to_owned()], 1));
    assert_eq!(account.row(run).await.reserved, Usd::ZERO);
    events_have_no_gap(&account, run).await;
    account.no_jobs(run).await;
}
