//! Runs whose answers are judged: what is asked, what it costs, what is missing, and that dying in the middle changes nothing.

use std::collections::{BTreeMap, BTreeSet};

use acm2_domain::call::ErrorClass;
use acm2_domain::estimate::estimate;
use acm2_domain::ids::{JobId, RunId};
use acm2_domain::journal::TaskKey;
use acm2_domain::judged::{Detail, Judging};
use acm2_domain::money::Usd;
use acm2_domain::run::machine::{Command, Refusal};
use acm2_domain::run::{EventType, RunStatus, TaskStatus};
use acm2_domain::stages;
use acm2_sandbox::Event;
use acm2_store::runs::{self, Commanded, TaskOutcome};
use serde_json::{Value, json};

use crate::account::Account;
use crate::house::{House, eventually, on_both};
use crate::outcomes::events_have_no_gap;

on_both!(
    answers_are_scored_and_compared_and_everything_is_paid_for,
    a_judge_whose_answer_cannot_be_used_is_asked_once_more,
    what_a_malformed_judge_and_a_failing_model_leave_out_is_listed,
    a_run_that_dies_twice_ends_with_the_same_judgements,
    a_retry_compares_the_best_anew,
    a_retry_asks_no_judge_about_its_own_family,
    what_is_about_a_skipped_answer_is_missing,
);

/// Two documents, three models twice each, two judges, three criteria, all pairs in both orders, the best two merged, and what came
/// of it compared with these.
pub(crate) fn whole() -> Value {
    json!({
        "prompt": "Say it in other words.",
        "documents": [{"name": "one", "text": "A first text."}, {"name": "two", "text": "Another text, {criteria}"}],
        "models": ["sandbox/echo", "sandbox/size-1k", "sandbox/size-2k"], "iterations": 2,
        "stages": {
            "evaluate": {"judges": ["sandbox/judge", "sandbox/judge-2"], "criteria": ["clarity", "depth", "wit"]},
            "pairwise": {},
            "combine": {"models": ["sandbox/echo"]},
            "final_pairwise": {},
        },
    })
}

/// All figures of a run's judges, and its winners, as callers see them.
async fn judged(account: &Account<'_>, run: RunId) -> Vec<Judging> {
    let (spec, settled) = (account.row(run).await.spec, settled(account, run).await);
    let find = |key: &TaskKey, _| settled.get(key.as_str()).filter(|told| !told.starts_with('!')).cloned();
    let heard = stages::judgements(&spec, &find);
    heard.iter().map(|judgements| Judging::of(judgements, Detail::ALL).unwrap()).collect()
}

/// All that was settled, by key: texts of answers, classes of failures.
pub(crate) async fn settled(account: &Account<'_>, run: RunId) -> BTreeMap<String, String> {
    let tasks = runs::list_tasks(&account.begin().await, run).await.unwrap();
    let told = |outcome: TaskOutcome| match outcome {
        TaskOutcome::Answered(answer) => answer.text,
        TaskOutcome::Failed(error) => format!("!{:?}", error.class),
    };
    tasks.into_iter().map(|(key, row)| (key, told(row.outcome))).collect()
}

/// What the sandbox says that its answers cost, those left out that came to attempts in doubt.
pub(crate) async fn charged(house: &House, account: &Account<'_>, run: RunId) -> Usd {
    let attempts = account.attempts(run).await;
    let counts = |id: &str| attempts.iter().any(|attempt| attempt.id.to_string() == id && attempt.status != "in_doubt");
    let answered = house.records(Event::Answered).into_iter();
    let micro: u64 = answered
        .filter(|record| record.attempt_id.as_deref().is_some_and(counts))
        .filter_map(|record| record.cost_micro_usd)
        .sum();
    Usd::from_pico(i64::try_from(micro).unwrap() * 1_000_000)
}

async fn answers_are_scored_and_compared_and_everything_is_paid_for(house: &House) {
    let _worker = house.worker();
    let account = house.account_with_key().await;
    let run = account.submit(whole()).await;
    let view = account.ended(run).await;
    assert_eq!((view.status, view.missing.as_deref()), (RunStatus::Completed, Some(&[][..])), "{:?}", view.missing);
    // Of each document 6 answers, 6 x 2 judgements, 15 pairs x 2 orders x 2 judges, a merged text, 3 pairs x 2 orders x 2 judges.
    let expected = 2 * (6 + 12 + 60 + 1 + 12);
    assert_eq!((view.progress.tasks_completed, house.calls()), (expected, expected as usize));
    let results = view.results.as_ref().unwrap();
    assert_eq!(results.len(), 14, "results are the answers and what was made of them");
    assert!(results.iter().all(|task| task.status == TaskStatus::Completed));
    assert_eq!(results.iter().filter(|task| task.stage == "generate").count(), 12);
    let foretold = estimate(&account.row(run).await.spec, &house.prices);
    assert_eq!(foretold.calls, expected, "the estimate is what happens");
    let judged = judged(&account, run).await;
    assert!(judged.iter().all(|subject| subject.winner.is_some() && subject.notes.is_empty()), "{judged:?}");
    assert_eq!(view.cost_usd, Some(charged(house, &account, run).await));
    let by_model = &view.totals.as_ref().unwrap().by_model;
    assert!(by_model.iter().any(|row| row.name == "sandbox/judge-2" && row.tasks_completed == 84), "{by_model:?}");
    events_have_no_gap(&account, run).await;
    account.no_jobs(run).await;
}

async fn a_judge_whose_answer_cannot_be_used_is_asked_once_more(house: &House) {
    let _worker = house.worker();
    let account = house.account_with_key().await;
    let evaluate = json!({"judges": ["sandbox/judge-malformed-then-ok"]});
    let run = account
        .submit(json!({"prompt": "hi", "models": ["sandbox/echo"], "max_retries": 0, "stages": {"evaluate": evaluate}}))
        .await;
    let view = account.ended(run).await;
    assert_eq!((view.status, house.calls()), (RunStatus::Completed, 3));
    let attempts = account.attempts(run).await;
    let judged: Vec<_> = attempts.iter().filter(|attempt| attempt.task_key.starts_with("evaluate")).collect();
    let told: Vec<_> = judged.iter().map(|attempt| (&*attempt.status, attempt.error_class)).collect();
    assert_eq!(told, [("failed", Some(ErrorClass::UnusableAnswer)), ("answered", None)]);
    assert!(judged.iter().all(|attempt| attempt.cost > Some(Usd::ZERO)), "both are paid for: {judged:?}");
    assert_eq!(view.cost_usd, Some(charged(house, &account, run).await));
    let failed = account.events(run).await.into_iter().find(|event| event.event_type == EventType::AttemptFailed);
    assert_eq!(failed.unwrap().data["class"], "unusable_answer");
}

async fn what_a_malformed_judge_and_a_failing_model_leave_out_is_listed(house: &House) {
    let _worker = house.worker();
    let account = house.account_with_key().await;
    let stages = json!({
        "evaluate": {"judges": ["sandbox/judge", "sandbox/judge-malformed"], "criteria": ["clarity", "depth"]},
        "pairwise": {"judges": ["sandbox/judge"]},
    });
    let models = ["sandbox/echo", "sandbox/fail-400", "sandbox/size-1k"];
    let run = account.submit(json!({"prompt": "hi", "models": models, "stages": stages})).await;
    let view = account.ended(run).await;
    assert_eq!(view.status, RunStatus::CompletedWithErrors);
    let missing: BTreeSet<(String, Option<ErrorClass>)> =
        view.missing.unwrap().into_iter().map(|missing| (missing.key, missing.class)).collect();
    let of =
        |class: ErrorClass, keys: &[&str]| keys.iter().map(|key| ((*key).to_owned(), Some(class))).collect::<Vec<_>>();
    let mut expected = of(ErrorClass::ProviderRequest, &["generate/prompt/m1/1"]);
    expected.extend(of(ErrorClass::UnusableAnswer, &["evaluate/prompt/m0.1/j1/1", "evaluate/prompt/m2.1/j1/1"]));
    expected.extend(of(
        ErrorClass::InputMissing,
        &[
            "evaluate/prompt/m1.1/j0/1",
            "evaluate/prompt/m1.1/j1/1",
            "pairwise/prompt/p0-1/ab/j0/1",
            "pairwise/prompt/p0-1/ba/j0/1",
            "pairwise/prompt/p1-2/ab/j0/1",
            "pairwise/prompt/p1-2/ba/j0/1",
        ],
    ));
    assert_eq!(missing, expected.into_iter().collect());
    // What the others said is enough to rank the rest by, and it is told that it is not all.
    let judged = judged(&account, run).await;
    assert!(judged[0].winner.is_some(), "{judged:?}");
    assert!(judged[0].notes.iter().any(|note| note.contains("computed from 4 of 12 scores")), "{:?}", judged[0].notes);
    // The judge that never says what it must is asked twice each time, and paid.
    assert_eq!(house.calls_of("judge-malformed").len(), 4);
    assert_eq!(view.cost_usd, Some(charged(house, &account, run).await));
    events_have_no_gap(&account, run).await;
    account.no_jobs(run).await;
}

async fn a_run_that_dies_twice_ends_with_the_same_judgements(house: &House) {
    let quiet = house.account_with_key().await;
    let steady = house.worker();
    let undisturbed = quiet.submit(whole()).await;
    assert_eq!(quiet.ended(undisturbed).await.status, RunStatus::Completed);
    steady.stop().await;

    let account = house.account_with_key().await;
    let run = account.submit(whole()).await;
    for settled in [20, 90] {
        let worker = house.worker();
        eventually("it is in the middle", async || account.row(run).await.tasks_completed >= settled).await;
        worker.kill();
    }
    let _last = house.worker();
    let view = account.ended(run).await;
    assert_eq!(view.status, RunStatus::Completed);
    assert_eq!(account.row(run).await.claim, 3, "it was taken over twice");
    assert_eq!(self::settled(&account, run).await, self::settled(&quiet, undisturbed).await);
    assert_eq!(judged(&account, run).await, judged(&quiet, undisturbed).await);
    assert_eq!(view.cost_usd, Some(charged(house, &account, run).await));
    // Nothing that was answered was asked again: of each task one attempt is no doubt.
    let attempts = account.attempts(run).await;
    let sure: Vec<&str> =
        attempts.iter().filter(|attempt| attempt.status != "in_doubt").map(|attempt| &*attempt.task_key).collect();
    assert_eq!(sure.len(), sure.iter().collect::<BTreeSet<_>>().len());
    events_have_no_gap(&account, run).await;
    account.no_jobs(run).await;
}

async fn a_retry_compares_the_best_anew(house: &House) {
    let _worker = house.worker();
    let account = house.account_with_key().await;
    let before = ["sandbox/echo", "sandbox/size-1k", "sandbox/fail-400-then-ok"];
    // Where its answer is one of the best, the pair is another one; where it is not, the votes stand.
    for (models, votes) in [(before, 0), (["sandbox/fail-400-then-ok+slow-1ms", "sandbox/echo", "sandbox/size-1k"], 1)]
    {
        let stages = json!({
            "evaluate": {"judges": ["sandbox/judge-high"], "criteria": ["clarity"]},
            "pairwise": {"top_n": 2, "both_orders": false},
        });
        let run = account.submit(json!({"prompt": "hi", "models": models, "stages": stages})).await;
        let view = account.ended(run).await;
        assert_eq!(view.status, RunStatus::CompletedWithErrors);
        assert_eq!((view.progress.tasks_completed, view.missing.unwrap().len()), (2 + 2 + 1, 2));
        let before = house.calls();
        account.command(run, Command::Retry).await;
        let view = account.ended(run).await;
        assert_eq!((view.status, view.progress.tasks_completed), (RunStatus::Completed, 7), "{models:?}");
        assert_eq!(view.missing.as_deref(), Some(&[][..]));
        // The missing answer and its score in any case.
        assert_eq!(house.calls() - before, 2 + votes, "{models:?}");
        assert_eq!(view.cost_usd, Some(charged(house, &account, run).await));
        events_have_no_gap(&account, run).await;
    }
}

/// All scores are equal, so that the best two are the first two that are there; the sandbox's judge may be asked about them unless
/// one is the sandbox's own.
async fn a_retry_asks_no_judge_about_its_own_family(house: &House) {
    let _worker = house.worker();
    let account = house.account_with_key().await;
    account.add_key_of("openrouter", "sk-of-the-tests-0123456789").await;
    let votes = || house.calls_of("judge").len();
    // How often it is asked before the retry and by it, and how many of its votes count in the end.
    for (models, before, by_the_retry, counted) in [
        (["sandbox/echo", "openrouter/size-1k", "openrouter/fail-400-then-ok"], 0, 0, 0),
        (["openrouter/fail-400-then-ok+slow-1ms", "openrouter/size-1k", "sandbox/echo"], 0, 1, 1),
        (["sandbox/fail-400-then-ok+slow-2ms", "openrouter/echo", "openrouter/size-1k"], 1, 0, 0),
    ] {
        let stages = json!({
            "evaluate": {"judges": ["sandbox/judge-high"], "criteria": ["clarity"]},
            "pairwise": {
                "judges": ["sandbox/judge"], "top_n": 2, "both_orders": false, "exclude_own_family": true,
            },
        });
        let asked = votes();
        let run = account.submit(json!({"prompt": "hi", "models": models, "stages": stages})).await;
        let view = account.ended(run).await;
        assert_eq!((view.status, view.missing.unwrap().len()), (RunStatus::CompletedWithErrors, 2), "{models:?}");
        assert_eq!(votes() - asked, before, "{models:?}");
        let asked = votes();
        account.command(run, Command::Retry).await;
        let view = account.ended(run).await;
        assert_eq!((view.status, view.progress.tasks_completed), (RunStatus::Completed, 7), "{models:?}");
        assert_eq!(votes() - asked, by_the_retry, "{models:?}");
        let coverage = judged(&account, run).await.remove(0).pairwise.unwrap().coverage;
        assert_eq!((coverage.given, coverage.missing), (counted, 0), "{models:?}");
        let paid: Usd = account.attempts(run).await.iter().filter_map(|attempt| attempt.cost).sum();
        assert_eq!(view.cost_usd, Some(paid), "what a vote cost that counts no more stays counted");
        events_have_no_gap(&account, run).await;
    }
}

async fn what_is_about_a_skipped_answer_is_missing(house: &House) {
    let account = house.account_with_key().await;
    let body = json!({
        "prompt": "hi", "models": ["sandbox/echo", "sandbox/size-1k"],
        "stages": {"evaluate": {"judges": ["sandbox/judge"]}},
    });
    let (run, job) = account.record(body).await;
    let skipped = ["generate/prompt/m0/1".to_owned(), "evaluate/prompt/m1.1/j0/1".to_owned()];
    let tx = account.begin().await;
    runs::skip(&tx, run, &skipped, crate::house::now()).await.unwrap();
    tx.commit().await.unwrap();
    let _worker = house.worker();
    account.push(job).await;
    let view = account.ended(run).await;
    let missing: Vec<_> =
        view.missing.unwrap().into_iter().map(|missing| (missing.key, missing.class.unwrap())).collect();
    let expected = [
        (skipped[0].clone(), ErrorClass::Skipped),
        ("evaluate/prompt/m0.1/j0/1".to_owned(), ErrorClass::InputMissing),
        (skipped[1].clone(), ErrorClass::Skipped),
    ];
    assert_eq!((missing, house.calls()), (expected.to_vec(), 1));
    assert_eq!(stages::plan(&account.row(run).await.spec).len(), 4);
    events_have_no_gap(&account, run).await;
    // What lacks a skipped answer lacks it after a retry, too.
    let retried =
        runs::command(&account.begin().await, run, Command::Retry, JobId::generate(), crate::house::now()).await;
    assert_eq!(retried.unwrap(), Commanded::Refused(Refusal::NothingMissing));
}
