//! What is written in one statement for several: submissions, first claims, attempts, and the end with the last answers.

use acm2_domain::budget::BudgetPeriod;
use acm2_domain::call::ErrorClass;
use acm2_domain::ids::{ApiKeyId, JobId, RunId, WorkerId};
use acm2_domain::money::Usd;
use acm2_domain::run::machine::Command;
use acm2_domain::run::{EventType, RunStatus, TaskError};
use acm2_store::runs::{self, AttemptOutcome, Change, Fence, NewRunRow, NewTask, Skipped, TaskOutcome};
use chrono::TimeDelta;
use serde_json::json;

use crate::budgets;
use crate::fixture::{Fixture, now, on_both};
use crate::runs::{Bench, new_run, stored, task, two_models};

on_both!(
    runs_are_written_together_without_those_that_a_budget_binds,
    runs_are_claimed_together_without_those_that_another_has,
    attempts_are_settled_together_or_not_at_all,
    a_run_ends_with_its_last_answers_where_all_is_plain,
    a_run_with_something_to_settle_does_not_end_with_its_last_answers,
);

async fn event_types(bench: &Bench<'_>, run: RunId) -> Vec<EventType> {
    let events = runs::list_events(&bench.begin().await, run, 0, 100).await.unwrap();
    assert!(events.iter().map(|event| event.number).eq(1..=events.len() as u64));
    events.iter().map(|event| event.event_type).collect()
}

async fn runs_are_written_together_without_those_that_a_budget_binds(fixture: &Fixture) {
    let bench = Bench::new(fixture).await;
    let bound = ApiKeyId::generate();
    budgets::make(&bench, Some(bound), BudgetPeriod::Day, 1_000).await;
    for count in [1, 2, 3, 7, 8] {
        let mut new: Vec<NewRunRow> = (0..count).map(|_| two_models()).collect();
        new[count / 2].api_key = Some(bound);
        let times: Vec<_> = (0..).map(TimeDelta::seconds).map(|later| now() + later).take(count).collect();
        let tx = bench.begin().await;
        let all: Vec<_> = new.iter().zip(&times).map(|(run, at)| (run, *at)).collect();
        let written = runs::insert_all_unless_bound(&tx, &all).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(written.len(), count);
        for (index, (run, row)) in new.iter().zip(written).enumerate() {
            if index == count / 2 {
                assert!(row.is_none() && runs::find(&bench.begin().await, run.id).await.unwrap().is_none());
                assert!(event_types(&bench, run.id).await.is_empty());
                continue;
            }
            let row = row.unwrap();
            assert_eq!(bench.find(run.id).await, row);
            assert_eq!((row.created_at, row.status), (times[index], RunStatus::Queued));
            assert_eq!(event_types(&bench, run.id).await, [EventType::RunQueued]);
        }
    }
}

async fn runs_are_claimed_together_without_those_that_another_has(fixture: &Fixture) {
    let bench = Bench::new(fixture).await;
    let me = WorkerId::generate();
    let mut free = Vec::new();
    for _ in 0..2 {
        free.push(bench.submit(&two_models()).await.id);
    }
    // A run of which a command has left out a task is claimed by itself: there is something to read.
    let begun = bench.submit(&two_models()).await.id;
    assert_eq!(bench.skip(begun, &[task(1).to_string()]).await, Skipped::Done(1));
    let held = bench.submit(&two_models()).await.id;
    let other = bench.claim(held, false).await.fence;
    let asked = [free[0], held, free[1], RunId::generate(), begun];
    let tx = bench.begin().await;
    let claimed = runs::claim_first(&tx, &asked, me, now()).await.unwrap();
    tx.commit().await.unwrap();
    let mut got: Vec<Fence> = claimed.iter().map(|(claimed, _)| claimed.fence).collect();
    got.sort_by_key(|fence| fence.run);
    assert_eq!(got, free.iter().map(|run| Fence { run: *run, claim: 1 }).collect::<Vec<_>>());
    for (claimed, has_endpoints) in &claimed {
        assert!(claimed.first && !has_endpoints && claimed.run.claimed_by == Some(me));
        assert_eq!(bench.find(claimed.run.id).await, claimed.run);
        let expected = [EventType::RunQueued, EventType::RunStarted, EventType::StageStarted];
        assert_eq!(event_types(&bench, claimed.run.id).await, expected);
    }
    bench.claim(begun, false).await;
    // It says by itself when its first stage begins.
    let expected = [EventType::RunQueued, EventType::TaskSkipped, EventType::RunStarted];
    assert_eq!(event_types(&bench, begun).await, expected);
    assert!(runs::find_orders(&bench.begin().await, other).await.unwrap().is_some());
    // A second time there is none left.
    assert!(runs::claim_first(&bench.begin().await, &asked, me, now()).await.unwrap().is_empty());
}

async fn attempts_are_settled_together_or_not_at_all(fixture: &Fixture) {
    let bench = Bench::new(fixture).await;
    let run = bench.submit(&new_run(json!({"prompt": "hi", "models": ["sandbox/echo"], "iterations": 4}))).await;
    let fence = bench.claim(run.id, false).await.fence;
    let mut attempts = Vec::new();
    for index in 0..4 {
        attempts.push(bench.open(fence, &task(index), 500).await);
    }
    let answered = AttemptOutcome {
        cost: Some(Usd::from_pico(7)),
        provider_request_id: Some("req-7".to_owned()),
        ..AttemptOutcome::default()
    };
    let retry_at = Some(now() + TimeDelta::minutes(1));
    let failed = AttemptOutcome {
        error_class: Some(ErrorClass::ProviderOverloaded),
        error_message: Some("too much".to_owned()),
        http_status: Some(503),
        provider_code: Some("busy".to_owned()),
        retry_at,
        ..AttemptOutcome::default()
    };
    let doubtful = AttemptOutcome { in_doubt: true, ..failed.clone() };
    let three = [(attempts[0], &answered), (attempts[1], &failed), (attempts[2], &doubtful)];
    let tx = bench.begin().await;
    assert!(runs::settle_attempts(&tx, three, now()).await.unwrap());
    tx.commit().await.unwrap();
    let rows = runs::list_attempts(&bench.begin().await, run.id).await.unwrap();
    let statuses: Vec<&str> = rows.iter().map(|row| row.status.as_str()).collect();
    assert_eq!(statuses, ["answered", "failed", "in_doubt", "open"]);
    assert_eq!((rows[0].cost, rows[0].error_class, rows[0].retry_at), (answered.cost, None, None));
    assert_eq!((rows[1].cost, rows[1].error_class, rows[1].retry_at), (None, failed.error_class, retry_at));
    assert!(rows[..3].iter().all(|row| row.finished_at.is_some()) && rows[3].finished_at.is_none());

    // One of them is settled already: whoever is told so commits nothing.
    let tx = bench.begin().await;
    let two = [(attempts[3], &answered), (attempts[0], &answered)];
    assert!(!runs::settle_attempts(&tx, two, now()).await.unwrap());
    assert!(runs::settle_attempts(&tx, [], now()).await.unwrap());
}

/// A running run of two tasks, of which the first is settled.
async fn with_one_task_left(bench: &Bench<'_>, run: NewRunRow) -> Fence {
    bench.submit(&run).await;
    let fence = bench.claim(run.id, false).await.fence;
    let attempt = bench.open(fence, &task(0), 500).await;
    bench.answer(fence, attempt, &task(0), 500, 300).await;
    fence
}

async fn a_run_ends_with_its_last_answers_where_all_is_plain(fixture: &Fixture) {
    let bench = Bench::new(fixture).await;
    for (completed, status, last) in [
        (1, RunStatus::Completed, EventType::RunCompleted),
        (0, RunStatus::CompletedWithErrors, EventType::RunCompletedWithErrors),
    ] {
        let fence = with_one_task_left(&bench, two_models()).await;
        let change = Change { spent: 5, completed, failed: 1 - completed, ..Change::default() };
        let outcome = if completed == 1 {
            TaskOutcome::Answered(stored(5))
        } else {
            let class = ErrorClass::ProviderRequest;
            TaskOutcome::Failed(TaskError { class, message: String::new(), http_status: None, provider_code: None })
        };
        let tx = bench.begin().await;
        let (locked, ended) = runs::lock_and_end(&tx, fence, change, 1, true, now()).await.unwrap().unwrap();
        runs::insert_tasks(&tx, fence.run, [&NewTask { key: task(1), outcome, attempts: 1 }], now()).await.unwrap();
        let (ended, event) = ended.tell(&tx, fence, Some("https://example.com/hook"), now()).await.unwrap();
        runs::write_events(&tx, fence.run, locked.last_event, &[event], now()).await.unwrap();
        tx.commit().await.unwrap();
        let row = bench.find(fence.run).await;
        assert_eq!((row.status, ended.status, ended.deliveries.len()), (status, status, 1));
        assert_eq!((row.spent, row.claimed_by, row.last_event), (Usd::from_pico(305), None, locked.last_event));
        assert!(row.finished_at.is_some());
        assert_eq!(event_types(&bench, fence.run).await.last(), Some(&last));
        // Whoever comes after it has lost the run.
        assert!(runs::lock_and_end(&bench.begin().await, fence, change, 1, true, now()).await.unwrap().is_none());
    }
    // One more answer and one that was taken away, in one write.
    let fence = with_one_task_left(&bench, two_models()).await;
    let tx = bench.begin().await;
    let both = Change { completed: 1, forgotten: 1, ..Change::default() };
    assert_eq!(runs::lock(&tx, fence, both, 0).await.unwrap().tasks.completed, 1);
    assert!(runs::lock_and_end(&tx, fence, both, 1, true, now()).await.unwrap().is_none());
    let both = Change { completed: 2, ..both };
    let (locked, _) = runs::lock_and_end(&tx, fence, both, 1, true, now()).await.unwrap().unwrap();
    assert_eq!(locked.tasks.completed, 2);
}

async fn a_run_with_something_to_settle_does_not_end_with_its_last_answers(fixture: &Fixture) {
    let bench = Bench::new(fixture).await;
    let last = Change { completed: 1, ..Change::default() };
    let refused = async |fence: Fence, change: Change| {
        let before = bench.find(fence.run).await;
        let tx = bench.begin().await;
        assert!(runs::lock_and_end(&tx, fence, change, 1, true, now()).await.unwrap().is_none());
        tx.commit().await.unwrap();
        assert_eq!(bench.find(fence.run).await, before);
    };
    // A task is not settled; another worker has it.
    let fence = with_one_task_left(&bench, two_models()).await;
    refused(fence, Change::default()).await;
    refused(Fence { claim: fence.claim + 1, ..fence }, last).await;
    // A command stands.
    let tx = bench.begin().await;
    runs::command(&tx, fence.run, Command::Pause, JobId::generate(), now()).await.unwrap();
    tx.commit().await.unwrap();
    refused(fence, last).await;
    // A ceiling.
    let ceiling = NewRunRow { reserved: Some(Usd::from_pico(9_000)), ..two_models() };
    refused(with_one_task_left(&bench, ceiling).await, last).await;
    // Something is missing, and not every task is an answer.
    let fence = with_one_task_left(&bench, two_models()).await;
    let tx = bench.begin().await;
    let failed = Change { failed: 1, ..Change::default() };
    assert!(runs::lock_and_end(&tx, fence, failed, 1, false, now()).await.unwrap().is_none());
    assert!(runs::lock_and_end(&tx, fence, last, 1, false, now()).await.unwrap().is_some());
    drop(tx);
    // No task has an answer.
    let run = bench.submit(&two_models()).await.id;
    refused(bench.claim(run, false).await.fence, Change { failed: 2, ..Change::default() }).await;
}
