//! Runs over which workers die: one that kills them is given up, one that was only there is not (PROTOCOL rule 5).

use std::time::Duration;

use acm2_domain::ids::{RunId, WorkerId};
use acm2_domain::run::RunStatus;
use acm2_domain::timing::Timing;
use acm2_store::control::NewWorker;
use acm2_store::runs;
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::account::Account;
use crate::back_ends::BackEnds;
use crate::house::{House, eventually, now, on_both};
use crate::outcomes::events_have_no_gap;
use crate::process::{Start, Worker};

on_both!(
    a_run_over_which_five_workers_died_is_given_up,
    a_run_over_which_four_workers_died_is_still_done,
    a_holder_that_took_its_leave_is_no_death,
    a_suspect_past_its_deadline_is_not_kept_waiting,
);

/// A worker claims the run and dies.
async fn die_over(account: &Account<'_>, run: RunId) -> WorkerId {
    let workers = account.house.store.workers();
    let id = WorkerId::generate();
    let process = NewWorker {
        id,
        role: "worker".to_owned(),
        host: "here".to_owned(),
        pid: 1,
        version: "0.0.0".to_owned(),
        master_key_ids: vec![],
    };
    workers.register(&process).await.unwrap();
    let tx = account.begin().await;
    let seen = runs::find(&tx, run).await.unwrap().unwrap();
    let theft = seen.status == RunStatus::Running;
    runs::claim(&tx, &seen, id, theft, now()).await.unwrap().unwrap();
    tx.commit().await.unwrap();
    id
}

async fn a_run_over_which_five_workers_died_is_given_up(house: &House) {
    let account = house.account_with_key().await;
    let run = account.submit(json!({"prompt": "hi", "models": ["sandbox/echo"]})).await;
    // The first claims, four steal; the worker's own theft is the fifth.
    for _ in 0..5 {
        die_over(&account, run).await;
    }
    let _worker = house.worker();
    let view = account.ended(run).await;
    assert_eq!((view.status, view.problem.unwrap().code.as_str()), (RunStatus::Failed, "poisoned"));
    assert_eq!(house.calls(), 0);
    events_have_no_gap(&account, run).await;
    account.no_jobs(run).await;
}

async fn a_run_over_which_four_workers_died_is_still_done(house: &House) {
    let account = house.account_with_key().await;
    let run = account.submit(json!({"prompt": "hi", "models": ["sandbox/echo"]})).await;
    for _ in 0..4 {
        die_over(&account, run).await;
    }
    let _worker = house.worker();
    assert_eq!(account.ended(run).await.status, RunStatus::Completed);
    assert_eq!((account.row(run).await.poison, house.calls()), (0, 1));
}

async fn a_holder_that_took_its_leave_is_no_death(house: &House) {
    let account = house.account_with_key().await;
    let run = account.submit(json!({"prompt": "hi", "models": ["sandbox/echo"]})).await;
    let mut last = WorkerId::generate();
    for _ in 0..5 {
        last = die_over(&account, run).await;
    }
    // The hard end of a process: it dropped the run, but it said so.
    house.store.workers().remove(last).await.unwrap();
    let _worker = house.worker();
    assert_eq!(account.ended(run).await.status, RunStatus::Completed);
}

async fn a_suspect_past_its_deadline_is_not_kept_waiting(house: &House) {
    let account = house.account_with_key().await;
    let body = json!({"prompt": "hi", "models": ["sandbox/echo"], "deadline_seconds": 1});
    let run = account.submit(body).await;
    for _ in 0..5 {
        die_over(&account, run).await;
    }
    let hold = house.timing.poison_hold * 100;
    let timing = Timing { poison_hold: hold, ..house.timing.clone() };
    let _worker = Worker::start(house, Start { timing, ..Start::of(house) });
    assert_eq!(account.ended(run).await.status, RunStatus::Failed);
}

/// The lives of the one process of a folder: each is started at once after the last one died.
fn life(house: &House, poison_hold: Duration) -> Worker {
    let timing = Timing { poison_hold, ..house.timing.clone() };
    Worker::start(house, Start { alone: true, new_broker: true, timing, ..Start::of(house) })
}

#[tokio::test(flavor = "multi_thread")]
async fn deaths_that_come_close_together_end_no_run() {
    let house = House::of(BackEnds::files()).await;
    let account = house.account_with_key().await;
    let (run, _) = account.record(json!({"prompt": "hi", "models": ["sandbox/slow-2500ms"]})).await;
    for _ in 0..8 {
        let claim = account.row(run).await.claim;
        // Long beside the lives, on a slow machine too.
        let process = life(&house, house.timing.poison_hold * 10);
        let patience = Instant::now() + Duration::from_millis(300);
        while account.row(run).await.claim == claim && Instant::now() < patience {
            sleep(Duration::from_millis(20)).await;
        }
        process.kill();
    }
    let _stays = life(&house, house.timing.poison_hold);
    assert_eq!(account.ended(run).await.status, RunStatus::Completed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_kills_its_workers_within_moments_is_given_up() {
    let house = House::of(BackEnds::files()).await;
    let account = house.account_with_key().await;
    let (run, _) = account.record(json!({"prompt": "hi", "models": ["sandbox/slow-4s"]})).await;
    let mut deaths = 0;
    loop {
        let claim = account.row(run).await.claim;
        let process = life(&house, house.timing.poison_hold);
        eventually("it is claimed again", async || account.row(run).await.claim > claim).await;
        if account.row(run).await.poison >= 5 {
            assert_eq!(account.ended(run).await.problem.unwrap().code, "poisoned");
            process.stop().await;
            break;
        }
        deaths += 1;
        process.kill();
    }
    assert_eq!(deaths, 5);
    events_have_no_gap(&account, run).await;
}
