//! Claims that wait: woken by what happens, not by polling. The wait is so long that only a wake explains an answer.

use std::time::Duration;

use acm2_broker::dispatch::{Claimant, Lease, Used};
use acm2_domain::ids::TenantId;
use acm2_domain::job::{Job, Queue};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use crate::home::{HOUR, Home, NOW, claimant, job, jobs, of, on_both};

const LONG: Duration = Duration::from_secs(30);
/// Until a claim that was started surely waits.
const SETTLED: Duration = Duration::from_millis(200);

on_both! {
    a_waiting_claim_gets_a_job_that_is_pushed,
    a_waiting_claim_gets_a_job_that_becomes_due,
    a_waiting_claim_gets_a_job_that_is_given_back_for_a_while,
    a_waiting_claim_gets_a_job_whose_lease_ends,
    a_waiting_claim_gets_a_job_of_a_tenant_that_came_under_its_cap,
    every_waiting_claim_gets_its_job,
    a_claim_after_one_that_left_nothing_is_woken_all_the_same,
    a_wait_without_work_ends_with_nothing,
}

/// A claim in the background, which must not be answered by the end of its wait.
fn waiting_claim(home: &Home, claimant: Claimant) -> JoinHandle<Vec<Lease>> {
    let broker = home.broker.clone();
    tokio::spawn(async move {
        let start = Instant::now();
        let leases = broker.dispatch.claim(Queue::Runs, claimant, 1, LONG).await.unwrap();
        assert!(start.elapsed() < LONG / 2, "not woken: answered after {:?}", start.elapsed());
        leases
    })
}

async fn gets(claim: JoinHandle<Vec<Lease>>, expected: Job) {
    assert_eq!(of(&claim.await.unwrap()), [expected]);
}

async fn a_waiting_claim_gets_a_job_that_is_pushed(home: Home) {
    let claim = waiting_claim(&home, claimant(4));
    sleep(SETTLED).await;
    let pushed = job(TenantId::generate());
    home.push(&[pushed]).await;
    gets(claim, pushed).await;
}

async fn a_waiting_claim_gets_a_job_that_becomes_due(home: Home) {
    let claim = waiting_claim(&home, claimant(4));
    sleep(SETTLED).await;
    let pushed = job(TenantId::generate());
    home.queue().push(&[pushed], SETTLED).await.unwrap();
    gets(claim, pushed).await;
}

async fn a_waiting_claim_gets_a_job_that_is_given_back_for_a_while(home: Home) {
    let worker = claimant(4);
    let pushed = job(TenantId::generate());
    home.push(&[pushed]).await;
    let held = home.claim(worker, 1).await;
    let claim = waiting_claim(&home, worker);
    sleep(SETTLED).await;
    home.queue().give_back(&held[0], SETTLED, Used::default()).await.unwrap();
    gets(claim, pushed).await;
}

async fn a_waiting_claim_gets_a_job_whose_lease_ends(home: Home) {
    let worker = claimant(4);
    let pushed = job(TenantId::generate());
    home.push(&[pushed]).await;
    // The lease of another process, which dies.
    let claimed = home.other_process().dispatch.claim(Queue::Runs, worker, 1, NOW).await.unwrap();
    assert_eq!(claimed.len(), 1);
    home.pass(home.options.lease.saturating_sub(SETTLED)).await;
    gets(waiting_claim(&home, worker), pushed).await;
}

async fn a_waiting_claim_gets_a_job_of_a_tenant_that_came_under_its_cap(home: Home) {
    let worker = claimant(4);
    let pushed = jobs(TenantId::generate(), 4);
    home.push(&pushed).await;
    let held = home.claim(worker, 4).await;
    assert_eq!(held.len(), 3);
    let claim = waiting_claim(&home, worker);
    sleep(SETTLED).await;
    home.queue().ack(&held[0], Used::default()).await.unwrap();
    gets(claim, pushed[3]).await;
}

async fn every_waiting_claim_gets_its_job(home: Home) {
    let worker = claimant(100);
    let claims: Vec<_> = (0..12).map(|_| waiting_claim(&home, worker)).collect();
    sleep(SETTLED).await;
    home.push(&jobs(TenantId::generate(), 12)).await;
    for claim in claims {
        assert_eq!(claim.await.unwrap().len(), 1);
    }
}

async fn a_claim_after_one_that_left_nothing_is_woken_all_the_same(home: Home) {
    let worker = claimant(8);
    let [first, due, pushed, last] = [(); 4].map(|()| job(TenantId::generate()));
    home.push(&[first]).await;
    home.queue().push(&[due], 2 * SETTLED).await.unwrap();
    assert_eq!(of(&home.claim(worker, 4).await), [first]);
    gets(waiting_claim(&home, worker), due).await;
    let claim = waiting_claim(&home, worker);
    sleep(SETTLED).await;
    home.push(&[pushed]).await;
    gets(claim, pushed).await;
    // What came before the next claim waits for it.
    home.push(&[last]).await;
    gets(waiting_claim(&home, worker), last).await;
}

async fn a_wait_without_work_ends_with_nothing(home: Home) {
    home.queue().push(&[job(TenantId::generate())], HOUR).await.unwrap();
    let start = Instant::now();
    assert_eq!(home.queue().claim(Queue::Runs, claimant(4), 4, SETTLED).await.unwrap(), []);
    assert!(start.elapsed() >= SETTLED);
    assert_eq!(home.queue().claim(Queue::Runs, claimant(4), 4, NOW).await.unwrap(), []);
}
