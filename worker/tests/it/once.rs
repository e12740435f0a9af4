//! However often a job is pushed, or not at all, its run is done once.

use std::time::Duration;

use acm2_domain::ids::{JobId, RunId};
use acm2_domain::job::{Job, Work};
use acm2_domain::run::RunStatus;
use acm2_domain::timing::Timing;
use serde_json::json;

use crate::house::{House, eventually, on_both};
use crate::process::{Start, Worker};

on_both!(
    a_job_that_was_never_pushed_is_swept_up,
    a_job_that_is_pushed_twice_is_done_once,
    two_jobs_of_one_run_do_it_once,
    a_job_without_a_run_is_dropped_once_it_is_old,
);

async fn a_job_that_was_never_pushed_is_swept_up(house: &House) {
    let _workers = [house.worker(), house.worker()];
    let account = house.account_with_key().await;
    let (run, _) = account.record(json!({"prompt": "hi", "models": ["sandbox/echo"]})).await;
    assert_eq!(account.ended(run).await.status, RunStatus::Completed);
    account.no_jobs(run).await;
    house.idle().await;
    assert_eq!(house.calls(), 1);
}

async fn a_job_that_is_pushed_twice_is_done_once(house: &House) {
    let _workers = [house.worker(), house.worker()];
    let account = house.account_with_key().await;
    let (run, job) = account.record(json!({"prompt": "hi", "models": ["sandbox/slow-1s"]})).await;
    account.push(job).await;
    account.push(job).await;
    house.called("slow-1s").await;
    account.push(job).await;
    assert_eq!(account.ended(run).await.status, RunStatus::Completed);
    account.no_jobs(run).await;
    // Once more after its end.
    account.push(job).await;
    house.idle().await;
    assert_eq!((house.calls(), account.row(run).await.claim), (1, 1));
}

async fn two_jobs_of_one_run_do_it_once(house: &House) {
    let _workers = [house.worker(), house.worker()];
    let account = house.account_with_key().await;
    // What a resume leaves whose process dies before it has taken the old job away.
    let old = JobId::generate();
    let (run, job) = account.record(json!({"prompt": "hi", "models": ["sandbox/slow-1s"]})).await;
    let twin = Job { id: old, ..job };
    house.store.jobs().insert(&twin, house.timing.job_due, None).await.unwrap();
    account.push(job).await;
    account.push(twin).await;
    assert_eq!(account.ended(run).await.status, RunStatus::Completed);
    account.no_jobs(run).await;
    house.idle().await;
    assert_eq!((house.calls(), account.row(run).await.claim), (1, 1));
}

async fn a_job_without_a_run_is_dropped_once_it_is_old(house: &House) {
    let account = house.account_with_key().await;
    let job =
        |run| Job { id: JobId::generate(), tenant: account.id, work: Work::RunV1(run), priority: 0, weight: None };
    let orphan = job(RunId::generate());
    house.store.jobs().insert(&orphan, Duration::ZERO, None).await.unwrap();
    account.push(orphan).await;
    let _young = house.worker();
    house.idle().await;
    let listed = || async { house.store.jobs().list(None, 1_000).await.unwrap() };
    let stands = || async { listed().await.iter().any(|job| job.id == orphan.id) };
    assert!(stands().await, "its transaction may be under way");

    let timing = Timing { orphan_job: Duration::ZERO, ..house.timing.clone() };
    let _old = Worker::start(house, Start { timing, ..Start::of(house) });
    eventually("the orphan is dropped", async || {
        account.push(orphan).await;
        !stands().await
    })
    .await;
}
