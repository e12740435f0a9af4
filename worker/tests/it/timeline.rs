//! What the timeline tells of stages: each begins once, and is through after the last of its tasks, whoever dies in between.

use std::collections::BTreeMap;

use acm2_domain::call::ErrorClass;
use acm2_domain::ids::{JobId, RunId};
use acm2_domain::job::{Job, Work};
use acm2_domain::money::Usd;
use acm2_domain::run::machine::Command;
use acm2_domain::run::{Event, EventType, Material, NewRun, RunStatus, Task};
use acm2_domain::stages;
use acm2_store::runs::{self, NewRunRow, Skipped};
use serde_json::{Value, json};

use crate::account::Account;
use crate::house::{House, eventually, now, on_both};
use crate::outcomes::events_have_no_gap;

on_both!(
    each_stage_begins_once_and_is_through_once,
    a_retry_completes_a_stage_again_and_starts_none,
    a_stage_whose_tasks_were_left_out_is_told_of_by_the_end,
    a_stage_that_is_cut_off_is_not_through,
    answers_that_are_taken_over_are_no_stage,
    a_title_alone_is_no_answer,
    an_answer_that_a_filter_took_is_paid_for_and_missing,
);

fn stage_of(event: &Event) -> Option<String> {
    let key = event.data.get("task_key").and_then(Value::as_str)?;
    key.split('/').next().map(str::to_owned)
}

/// What the timeline of any run must hold of its stages.
pub(crate) async fn stages_are_told(account: &Account<'_>, run: RunId) {
    let (row, events) = (account.row(run).await, account.events(run).await);
    let retries = events.iter().filter(|event| event.event_type == EventType::RunRetryRequested).count();
    let mut started: BTreeMap<String, u64> = BTreeMap::new();
    let mut completed: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for event in &events {
        match event.event_type {
            EventType::StageStarted => {
                let again = started.insert(told(event), event.number);
                assert_eq!(again, None, "begun twice: {events:?}");
            }
            EventType::StageCompleted => {
                assert!(started.contains_key(&told(event)), "through before it begins: {events:?}");
                completed.entry(told(event)).or_default().push(event.number);
            }
            EventType::TaskCompleted | EventType::TaskFailed | EventType::AttemptFailed => {
                let stage = stage_of(event).unwrap();
                assert!(started.contains_key(&stage), "{stage} has not begun: {events:?}");
            }
            _ => {}
        }
    }
    assert!(completed.values().all(|numbers| numbers.len() <= 1 + retries), "{events:?}");
    let is_cut = row.problem.as_ref().is_some_and(|problem| problem.code != "all_tasks_failed");
    if !row.status.is_terminal() || row.status == RunStatus::Cancelled || is_cut {
        return;
    }
    for task in stages::to_do(&row.spec) {
        let last = completed.get(task.stage).and_then(|numbers| numbers.last().copied());
        let settles = |event: &&Event| matches!(event.event_type, EventType::TaskCompleted | EventType::TaskFailed);
        let of_stage = events.iter().filter(settles).filter(|event| stage_of(event).as_deref() == Some(task.stage));
        assert!(last > of_stage.map(|event| event.number).max(), "{} is not through: {events:?}", task.stage);
        assert!(last.is_some() && last < events.last().map(|event| event.number));
    }
}

fn told(event: &Event) -> String {
    event.data["stage"].as_str().unwrap().to_owned()
}

/// The events of stages in their order, as `stage.started generate`.
async fn of_stages(account: &Account<'_>, run: RunId) -> Vec<String> {
    let is_stage = |event: &Event| matches!(event.event_type, EventType::StageStarted | EventType::StageCompleted);
    let events = account.events(run).await.into_iter().filter(is_stage);
    events.map(|event| format!("{} {}", event.event_type.as_str(), told(&event))).collect()
}

async fn each_stage_begins_once_and_is_through_once(house: &House) {
    let _worker = house.worker();
    let account = house.account_with_key().await;
    let run = account.submit(crate::judging::whole()).await;
    assert_eq!(account.ended(run).await.status, RunStatus::Completed);
    let mut events = of_stages(&account, run).await;
    assert_eq!(events[0], "stage.started generate");
    assert_eq!(account.events(run).await[2].event_type, EventType::StageStarted);
    assert_eq!(events.last().unwrap(), "stage.completed final_pairwise");
    events.sort();
    let stages = ["combine", "evaluate", "final_pairwise", "generate", "pairwise"];
    let expected = |event: &str| stages.map(|stage| format!("{event} {stage}"));
    assert_eq!(events, [expected("stage.completed"), expected("stage.started")].concat());
    events_have_no_gap(&account, run).await;
}

async fn a_retry_completes_a_stage_again_and_starts_none(house: &House) {
    let _worker = house.worker();
    let account = house.account_with_key().await;
    let body = json!({
        "prompt": "hi", "models": ["sandbox/fail-400-then-ok"],
        "stages": {"evaluate": {"judges": ["sandbox/judge"]}, "title": {"model": "sandbox/echo"}},
    });
    let run = account.submit(body).await;
    assert_eq!(account.ended(run).await.status, RunStatus::Failed);
    let mut expected = [
        "stage.started generate",
        "stage.completed generate",
        "stage.started evaluate",
        "stage.completed evaluate",
        "stage.started title",
        "stage.completed title",
    ]
    .to_vec();
    assert_eq!(of_stages(&account, run).await, expected);
    account.command(run, Command::Retry).await;
    assert_eq!(account.ended(run).await.status, RunStatus::Completed);
    expected.extend(["stage.completed generate", "stage.completed evaluate"]);
    assert_eq!(of_stages(&account, run).await, expected);
    events_have_no_gap(&account, run).await;
}

async fn a_stage_whose_tasks_were_left_out_is_told_of_by_the_end(house: &House) {
    let _worker = house.worker();
    let account = house.account_with_key().await;
    let body = json!({
        "prompt": "hi", "models": ["sandbox/slow-5s"],
        "stages": {"evaluate": {"judges": ["sandbox/judge"]}, "title": {"model": "sandbox/echo"}},
    });
    let run = account.submit(body).await;
    house.called("slow-5s").await;
    let tx = account.begin().await;
    let skipped = runs::skip(&tx, run, &["evaluate/prompt/m0.1/j0/1".to_owned()], now()).await.unwrap();
    assert_eq!(skipped, Skipped::Done(1));
    tx.commit().await.unwrap();
    assert_eq!(account.ended(run).await.status, RunStatus::CompletedWithErrors);
    events_have_no_gap(&account, run).await;
    let events = of_stages(&account, run).await;
    assert_eq!(events.iter().filter(|event| event.ends_with(" evaluate")).count(), 2, "{events:?}");
}

async fn a_stage_that_is_cut_off_is_not_through(house: &House) {
    let _worker = house.worker();
    let account = house.account_with_key().await;
    let stages = json!({"evaluate": {"judges": ["sandbox/judge"]}});
    let run =
        account.submit(json!({"prompt": "hi", "models": ["sandbox/echo", "sandbox/hang"], "stages": stages})).await;
    eventually("the first is judged", async || account.row(run).await.tasks_completed == 2).await;
    account.command(run, Command::Cancel).await;
    assert_eq!(account.ended(run).await.status, RunStatus::Cancelled);
    assert_eq!(of_stages(&account, run).await, ["stage.started generate", "stage.started evaluate"]);
    events_have_no_gap(&account, run).await;
}

async fn answers_that_are_taken_over_are_no_stage(house: &House) {
    let _worker = house.worker();
    let account = house.account_with_key().await;
    let first = account.submit(json!({"prompt": "hi", "models": ["sandbox/echo"]})).await;
    assert_eq!(account.ended(first).await.status, RunStatus::Completed);
    assert_eq!(of_stages(&account, first).await, ["stage.started generate", "stage.completed generate"]);
    let stages = json!({"evaluate": {"judges": ["sandbox/judge"]}});
    let run = judge_again(&account, first, json!({"answers_of": first, "stages": stages})).await;
    assert_eq!(account.ended(run).await.status, RunStatus::Completed);
    assert_eq!(of_stages(&account, run).await, ["stage.started evaluate", "stage.completed evaluate"]);
    events_have_no_gap(&account, run).await;
}

/// Submits a run that takes over the answers of another, as the api does.
async fn judge_again(account: &Account<'_>, first: RunId, body: Value) -> RunId {
    let source = account.row(first).await.spec;
    let new: NewRun = serde_json::from_value(body).unwrap();
    let spec = new.compile_over(&source, &account.house.prices, &Material::default()).unwrap();
    let row = NewRunRow {
        id: RunId::generate(),
        job: JobId::generate(),
        api_key: None,
        spec,
        metadata: BTreeMap::new(),
        tags: Vec::new(),
        reserved: None,
    };
    let job = Job { id: row.job, tenant: account.id, work: Work::RunV1(row.id), priority: 0, weight: None };
    account.house.store.jobs().insert(&job, account.house.timing.job_due, None).await.unwrap();
    let tx = account.begin().await;
    let written = runs::insert(&tx, &row, now()).await.unwrap();
    runs::take_over(&tx, written, now()).await.unwrap();
    tx.commit().await.unwrap();
    account.push(job).await;
    row.id
}

async fn a_title_alone_is_no_answer(house: &House) {
    let _worker = house.worker();
    let account = house.account_with_key().await;
    let title = json!({"title": {"model": "sandbox/echo"}});
    for (model, deadline, status, code) in [
        ("sandbox/fail-400", 60, RunStatus::Failed, Some("all_tasks_failed")),
        ("sandbox/echo", 60, RunStatus::Completed, None),
    ] {
        let body = json!({"prompt": "hi", "models": [model], "stages": title, "deadline_seconds": deadline});
        let view = account.run(body).await;
        assert_eq!((view.status, view.problem.as_ref().map(|problem| &*problem.code)), (status, code));
        assert_eq!(view.results.unwrap().last().unwrap().stage, "title");
        events_have_no_gap(&account, view.id).await;
    }
    // Under a ceiling the end is written another way.
    let body = json!({"prompt": "hi", "models": ["sandbox/fail-400"], "stages": title, "max_cost_usd": "1"});
    assert_eq!(account.run(body).await.status, RunStatus::Failed);
    let body = json!({"prompt": "hi", "models": ["sandbox/fail-400", "sandbox/echo"], "stages": title});
    assert_eq!(account.run(body).await.status, RunStatus::CompletedWithErrors);
}

/// The tasks as callers see them, with what answers cost that could not be used.
async fn listed(account: &Account<'_>, run: RunId) -> Vec<Task> {
    let row = account.row(run).await;
    let tasks = runs::list_results(&account.begin().await, &row).await.unwrap();
    runs::assemble_tasks(&row, &stages::plan(&row.spec), &tasks)
}

async fn an_answer_that_a_filter_took_is_paid_for_and_missing(house: &House) {
    let _worker = house.worker();
    let account = house.account_with_key().await;
    let body = json!({
        "prompt": "hi", "models": ["sandbox/filter", "sandbox/echo"],
        "stages": {"evaluate": {"judges": ["sandbox/judge"]}},
    });
    let view = account.run(body).await;
    assert_eq!(view.status, RunStatus::CompletedWithErrors);
    let missing: Vec<_> = view.missing.as_ref().unwrap().iter().map(|missing| (&*missing.key, missing.class)).collect();
    let expected = [
        ("generate/prompt/m0/1", Some(ErrorClass::UnusableAnswer)),
        ("evaluate/prompt/m0.1/j0/1", Some(ErrorClass::InputMissing)),
    ];
    assert_eq!(missing, expected);
    // Once: the same question would be answered alike.
    assert_eq!((house.calls_of("filter").len(), house.calls_of("judge").len()), (1, 1));
    let task = &listed(&account, view.id).await[0];
    assert!(task.error.as_ref().unwrap().message.contains("filter"), "{task:?}");
    let attempts = account.attempts(view.id).await;
    let paid: Usd = attempts.iter().filter_map(|attempt| attempt.cost).sum();
    let filtered = attempts.iter().find(|attempt| attempt.task_key == "generate/prompt/m0/1").unwrap();
    assert!(filtered.cost > Some(Usd::ZERO), "{filtered:?}");
    assert_eq!((view.cost_usd, task.cost_usd), (Some(paid), filtered.cost));
    events_have_no_gap(&account, view.id).await;
    // A run that asks for answers alone counts it all the same.
    let view = account.run(json!({"prompt": "hi", "models": ["sandbox/filter"]})).await;
    let task = &listed(&account, view.id).await[0];
    assert_eq!((view.status, task.cost_usd), (RunStatus::Failed, view.cost_usd.filter(|cost| *cost > Usd::ZERO)));
}
