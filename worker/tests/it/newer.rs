//! A rolling upgrade in which the api is newer than a worker: a run that says what the worker does not know is left for a newer one.

use acm2_domain::ids::RunId;
use acm2_domain::run::{EventType, RunStatus};
use sea_orm::ConnectionTrait as _;
use serde_json::json;
use tokio::time::sleep;

use crate::account::Account;
use crate::house::{House, on_both};

on_both!(a_run_is_left_for_a_worker_that_knows_all_that_it_says, a_run_that_nobody_knows_ends_at_its_deadline,);

const OF_A_NEWER_VERSION: &str = r#""of_a_newer_version":{"judges":1},"#;

/// As a newer version would have stored the run with this prompt.
async fn store_newer(account: &Account<'_>, prompt: &str) {
    change(account, &format!("spec = '{{{OF_A_NEWER_VERSION}' || substr(spec, 2) WHERE spec LIKE '%{prompt}%'")).await;
}

async fn change(account: &Account<'_>, change: &str) {
    let tx = account.begin().await;
    let changed = tx.execute_unprepared(&format!("UPDATE runs SET {change}")).await.unwrap();
    assert_eq!(changed.rows_affected(), 1, "{change}");
    tx.commit().await.unwrap();
}

async fn waits(account: &Account<'_>, run: RunId) {
    let row = account.row(run).await;
    assert_eq!((row.status, row.claim, row.started_at), (RunStatus::Queued, 0, None));
    assert_eq!(account.event_types(run).await, [EventType::RunQueued]);
}

async fn a_run_is_left_for_a_worker_that_knows_all_that_it_says(house: &House) {
    let account = house.account_with_key().await;
    let mut known = Vec::new();
    for _ in 0..3 {
        known.push(account.submit(json!({"prompt": "known", "models": ["sandbox/echo"]})).await);
    }
    let newer = account.submit(json!({"prompt": "strange", "models": ["sandbox/echo"]})).await;
    store_newer(&account, "strange").await;
    let _worker = house.worker();
    for run in known {
        assert_eq!(account.ended(run).await.status, RunStatus::Completed);
    }
    // It was offered more than once by now.
    sleep(house.timing.claim_retry * 3).await;
    waits(&account, newer).await;
    assert_eq!(house.calls(), 3);
    change(&account, &format!("spec = replace(spec, '{OF_A_NEWER_VERSION}', '') WHERE spec LIKE '%strange%'")).await;
    assert_eq!(account.ended(newer).await.status, RunStatus::Completed);
    account.no_jobs(newer).await;
}

async fn a_run_that_nobody_knows_ends_at_its_deadline(house: &House) {
    let account = house.account_with_key().await;
    let body = json!({"prompt": "strange", "models": ["sandbox/echo"], "deadline_seconds": 2});
    let run = account.submit(body).await;
    store_newer(&account, "strange").await;
    let _worker = house.worker();
    let view = account.ended(run).await;
    assert_eq!((view.status, view.problem.unwrap().code.as_str()), (RunStatus::Failed, "deadline_exceeded"));
    assert_eq!(house.calls(), 0);
}
