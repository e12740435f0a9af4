//! Runs in which nothing goes wrong.

use acm2_domain::call::CostSource;
use acm2_domain::money::Usd;
use acm2_domain::run::EventType::{RunCompleted, RunQueued, RunStarted, StageCompleted, StageStarted, TaskCompleted};
use acm2_domain::run::{RunStatus, Task};
use acm2_sandbox::Event;
use serde_json::json;

use crate::account::Account;
use crate::house::{House, on_both};
use crate::timeline::stages_are_told;

on_both!(two_models_answer_and_the_books_are_those_of_the_provider, many_runs_over_two_workers_are_each_done_once);

/// The numbers of a run's events have no gap, and they tell of its stages as they should.
pub(crate) async fn events_have_no_gap(account: &Account<'_>, run: acm2_domain::ids::RunId) {
    let numbers: Vec<u64> = account.events(run).await.iter().map(|event| event.number).collect();
    assert_eq!(numbers, (1..=account.row(run).await.last_event).collect::<Vec<_>>());
    stages_are_told(account, run).await;
}

async fn two_models_answer_and_the_books_are_those_of_the_provider(house: &House) {
    let worker = house.worker();
    let account = house.account_with_key().await;
    let run = account
        .run(json!({"prompt": "one two three", "system": "be brief", "models": ["sandbox/echo", "sandbox/cached"]}))
        .await;
    assert_eq!(run.status, RunStatus::Completed);
    assert_eq!((run.progress.tasks_completed, run.missing.as_deref()), (2, Some(&[][..])));

    let answered = house.records(Event::Answered);
    assert_eq!(answered.len(), 2);
    for task in run.results.as_ref().unwrap() {
        let model = task.model.strip_prefix("sandbox/").unwrap();
        let call = answered.iter().find(|call| call.model.as_deref() == Some(model)).unwrap();
        assert_eq!(task.text.as_deref(), Some("Echo: one two three"));
        assert_eq!((task.attempts, task.cost_source), (1, Some(CostSource::Reported)));
        let (mine, theirs) = (task.usage.unwrap(), call.usage.unwrap());
        assert_eq!(
            (mine.input_tokens, mine.cached_input_tokens, mine.output_tokens),
            (theirs.input, theirs.cached, theirs.output)
        );
        assert_eq!(task.cost_usd, Some(reported(call.cost_micro_usd)));
    }
    let all = answered.iter().map(|call| reported(call.cost_micro_usd)).sum::<Usd>();
    assert!(all > Usd::ZERO);
    assert_eq!((run.cost_usd, run.in_doubt_usd), (Some(all), Some(Usd::ZERO)));

    // The provider was sent the ids of our attempts.
    let mut sent: Vec<String> = answered.iter().map(|call| call.attempt_id.clone().unwrap()).collect();
    let mut ours: Vec<String> = account.attempts(run.id).await.iter().map(|attempt| attempt.id.to_string()).collect();
    sent.sort();
    ours.sort();
    assert_eq!(sent, ours);

    let both = [TaskCompleted, TaskCompleted];
    let expected = [&[RunQueued, RunStarted, StageStarted][..], &both[..], &[StageCompleted, RunCompleted][..]];
    assert_eq!(account.event_types(run.id).await, expected.concat());
    events_have_no_gap(&account, run.id).await;
    account.no_jobs(run.id).await;
    house.idle().await;
    worker.stop().await;
    assert_eq!(house.calls(), 2);
}

fn reported(micro_usd: Option<u64>) -> Usd {
    Usd::from_pico(i64::try_from(micro_usd.unwrap()).unwrap() * 1_000_000)
}

async fn many_runs_over_two_workers_are_each_done_once(house: &House) {
    let workers = [house.worker(), house.worker()];
    let accounts = [house.account_with_key().await, house.account_with_key().await];
    let mut runs = Vec::new();
    for number in 0..10 {
        for account in &accounts {
            let body = json!({"prompt": format!("run {number}"), "models": ["sandbox/echo"], "iterations": 2});
            runs.push((account, account.submit(body).await));
        }
    }
    for (account, run) in runs {
        let view = account.ended(run).await;
        let settled = |task: &Task| task.attempts == 1 && task.text.is_some();
        assert!(view.results.unwrap().iter().all(settled), "{run}");
        account.no_jobs(run).await;
    }
    house.idle().await;
    for worker in workers {
        worker.stop().await;
    }
    assert_eq!(house.calls(), 40);
}
