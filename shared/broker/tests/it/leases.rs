//! What becomes of jobs that were claimed, pushed again, given back, restored and removed.

use acm2_broker::dispatch::{Depth, Lease, Renewal, Used};
use acm2_domain::ids::TenantId;
use acm2_domain::job::{Job, Queue};

use crate::home::{HOUR, Home, NOW, claimant, job, jobs, of, on_both};

on_both! {
    an_acked_job_is_gone,
    a_lease_ends_and_the_job_comes_back,
    a_renewed_lease_does_not_end,
    a_lease_that_ended_unnoticed_can_still_be_renewed,
    a_late_ack_with_an_old_token_does_nothing,
    a_late_give_back_with_an_old_token_does_nothing,
    a_job_given_back_waits_for_its_delay,
    a_delayed_job_waits_for_its_time,
    pushing_a_known_job_changes_nothing,
    renewals_are_answered_in_order,
    an_emptied_broker_takes_the_lease_back,
    a_mark_is_seen_by_all_and_goes_when_everything_goes,
    a_lease_that_another_took_can_be_taken_back,
    a_lease_that_became_ready_can_be_taken_back,
    a_lease_that_became_delayed_can_be_taken_back,
    only_a_waiting_job_of_the_tenant_is_removed,
    a_thousand_ended_leases_come_back_in_pages,
}

async fn depth(home: &Home) -> (u64, u64, u64) {
    let Depth { ready, delayed, leased } = home.queue().depth(Queue::Runs).await.unwrap();
    (ready, delayed, leased)
}

/// Pushes one job and claims it.
async fn one(home: &Home) -> Lease {
    let pushed = job(TenantId::generate());
    home.push(&[pushed]).await;
    let mut leases = home.claim(claimant(10), 10).await;
    assert_eq!(of(&leases), [pushed]);
    leases.remove(0)
}

async fn an_acked_job_is_gone(home: Home) {
    let lease = one(&home).await;
    assert_eq!(depth(&home).await, (0, 0, 1));
    home.queue().ack(&lease, Used::default()).await.unwrap();
    assert_eq!(depth(&home).await, (0, 0, 0));
    assert_eq!(home.queue().renew(&[lease]).await.unwrap(), [Renewal::Unknown]);
    home.pass(HOUR).await;
    assert_eq!(home.claim(claimant(10), 10).await, []);
}

async fn a_lease_ends_and_the_job_comes_back(home: Home) {
    let lease = one(&home).await;
    assert_eq!(home.claim(claimant(10), 10).await, []);
    home.pass(home.options.lease).await;
    let again = home.claim(claimant(10), 10).await;
    assert_eq!(of(&again), [lease.job]);
    assert_ne!(again[0].token, lease.token);
    assert_eq!(home.queue().renew(&[lease]).await.unwrap(), [Renewal::Taken]);
}

async fn a_renewed_lease_does_not_end(home: Home) {
    let lease = one(&home).await;
    for _ in 0..5 {
        home.pass(home.options.lease / 2).await;
        assert_eq!(home.queue().renew(std::slice::from_ref(&lease)).await.unwrap(), [Renewal::Kept]);
        assert_eq!(home.claim(claimant(10), 10).await, []);
    }
}

async fn a_lease_that_ended_unnoticed_can_still_be_renewed(home: Home) {
    let lease = one(&home).await;
    home.pass(home.options.lease * 2).await;
    assert_eq!(home.queue().renew(&[lease]).await.unwrap(), [Renewal::Kept]);
    assert_eq!(home.claim(claimant(10), 10).await, []);
}

async fn a_late_ack_with_an_old_token_does_nothing(home: Home) {
    let old = one(&home).await;
    home.pass(home.options.lease).await;
    let new = home.claim(claimant(10), 10).await.remove(0);
    home.queue().ack(&old, Used::default()).await.unwrap();
    assert_eq!(depth(&home).await, (0, 0, 1));
    assert_eq!(home.queue().renew(&[new]).await.unwrap(), [Renewal::Kept]);
}

async fn a_late_give_back_with_an_old_token_does_nothing(home: Home) {
    let old = one(&home).await;
    home.queue().give_back(&old, NOW, Used::default()).await.unwrap();
    home.queue().give_back(&old, HOUR, Used::default()).await.unwrap();
    home.queue().ack(&old, Used::default()).await.unwrap();
    assert_eq!(depth(&home).await, (1, 0, 0));
    let new = home.claim(claimant(10), 10).await.remove(0);
    home.queue().give_back(&old, NOW, Used::default()).await.unwrap();
    assert_eq!(depth(&home).await, (0, 0, 1));
    assert_eq!(home.queue().renew(&[new]).await.unwrap(), [Renewal::Kept]);
}

async fn a_job_given_back_waits_for_its_delay(home: Home) {
    let lease = one(&home).await;
    home.queue().give_back(&lease, HOUR, Used::default()).await.unwrap();
    assert_eq!(depth(&home).await, (0, 1, 0));
    assert_eq!(home.queue().load(Queue::Runs, lease.job.tenant).await.unwrap().waiting, 1);
    home.pass(HOUR / 2).await;
    assert_eq!(home.claim(claimant(10), 10).await, []);
    home.pass(HOUR / 2).await;
    assert_eq!(of(&home.claim(claimant(10), 10).await), [lease.job]);
}

async fn a_delayed_job_waits_for_its_time(home: Home) {
    let delayed = job(TenantId::generate());
    home.queue().push(&[delayed], HOUR).await.unwrap();
    assert_eq!(home.queue().load(Queue::Runs, delayed.tenant).await.unwrap().waiting, 1);
    assert_eq!(home.claim(claimant(10), 10).await, []);
    home.pass(HOUR).await;
    assert_eq!(of(&home.claim(claimant(10), 10).await), [delayed]);
    assert_eq!(home.queue().load(Queue::Runs, delayed.tenant).await.unwrap().waiting, 0);
}

async fn pushing_a_known_job_changes_nothing(home: Home) {
    let tenant = TenantId::generate();
    let [ready, delayed, leased] = [job(tenant), job(tenant), Job { priority: -1, ..job(tenant) }];
    home.push(&[ready, leased]).await;
    home.queue().push(&[delayed], HOUR).await.unwrap();
    assert_eq!(of(&home.claim(claimant(10), 1).await), [leased]);
    for delay in [NOW, HOUR] {
        home.queue().push(&[ready, delayed, leased], delay).await.unwrap();
        assert_eq!(depth(&home).await, (1, 1, 1));
    }
    assert_eq!(of(&home.claim(claimant(10), 10).await), [ready]);
}

async fn renewals_are_answered_in_order(home: Home) {
    let tenants = [TenantId::generate(), TenantId::generate()];
    home.push(&[jobs(tenants[0], 3), jobs(tenants[1], 3)].concat()).await;
    let leases = home.claim(claimant(100), 6).await;
    home.queue().ack(&leases[1], Used::default()).await.unwrap();
    home.queue().give_back(&leases[4], NOW, Used::default()).await.unwrap();
    let (kept, taken, unknown) = (Renewal::Kept, Renewal::Taken, Renewal::Unknown);
    assert_eq!(home.queue().renew(&leases).await.unwrap(), [kept, unknown, kept, kept, taken, kept]);
    assert_eq!(home.queue().renew(&[]).await.unwrap(), []);
}

async fn an_emptied_broker_takes_the_lease_back(mut home: Home) {
    let lease = one(&home).await;
    home.lose_everything().await;
    assert_eq!(home.queue().renew(std::slice::from_ref(&lease)).await.unwrap(), [Renewal::Unknown]);
    home.queue().restore(&lease).await.unwrap();
    assert_eq!(depth(&home).await, (0, 0, 1));
    assert_eq!(home.queue().renew(std::slice::from_ref(&lease)).await.unwrap(), [Renewal::Kept]);
    // The sweeper pushes it too: it is known already.
    home.push(&[lease.job]).await;
    assert_eq!(depth(&home).await, (0, 0, 1));
    home.queue().ack(&lease, Used::default()).await.unwrap();
    assert_eq!(depth(&home).await, (0, 0, 0));
}

async fn a_mark_is_seen_by_all_and_goes_when_everything_goes(mut home: Home) {
    assert!(!home.queue().has_mark().await.unwrap());
    home.queue().set_mark().await.unwrap();
    assert!(home.other_process().dispatch.has_mark().await.unwrap());
    home.lose_everything().await;
    assert!(!home.queue().has_mark().await.unwrap());
}

async fn a_lease_that_another_took_can_be_taken_back(home: Home) {
    let mine = one(&home).await;
    home.pass(home.options.lease).await;
    let theirs = home.claim(claimant(10), 10).await.remove(0);
    home.queue().restore(&mine).await.unwrap();
    assert_eq!(depth(&home).await, (0, 0, 1));
    let both = home.queue().renew(&[mine.clone(), theirs.clone()]).await.unwrap();
    assert_eq!(both, [Renewal::Kept, Renewal::Taken]);
    home.queue().ack(&theirs, Used::default()).await.unwrap();
    assert_eq!(depth(&home).await, (0, 0, 1));
    home.queue().ack(&mine, Used::default()).await.unwrap();
    assert_eq!(depth(&home).await, (0, 0, 0));
}

async fn a_lease_that_became_ready_can_be_taken_back(home: Home) {
    let mine = one(&home).await;
    let other = job(mine.job.tenant);
    home.push(&[other]).await;
    home.queue().give_back(&mine, NOW, Used::default()).await.unwrap();
    assert_eq!(depth(&home).await, (2, 0, 0));
    home.queue().restore(&mine).await.unwrap();
    assert_eq!(depth(&home).await, (1, 0, 1));
    assert_eq!(of(&home.claim(claimant(10), 10).await), [other]);
    home.queue().ack(&mine, Used::default()).await.unwrap();
    assert_eq!(depth(&home).await, (0, 0, 1));
}

async fn a_lease_that_became_delayed_can_be_taken_back(home: Home) {
    let mine = one(&home).await;
    home.queue().give_back(&mine, HOUR, Used::default()).await.unwrap();
    home.queue().restore(&mine).await.unwrap();
    assert_eq!(depth(&home).await, (0, 0, 1));
    assert_eq!(home.queue().load(Queue::Runs, mine.job.tenant).await.unwrap().waiting, 0);
    home.queue().ack(&mine, Used::default()).await.unwrap();
    home.pass(HOUR * 2).await;
    assert_eq!(home.claim(claimant(10), 10).await, []);
}

async fn only_a_waiting_job_of_the_tenant_is_removed(home: Home) {
    let tenant = TenantId::generate();
    let [first, ready, delayed] = [job(tenant), job(tenant), job(tenant)];
    home.push(&[first, ready]).await;
    home.queue().push(&[delayed], HOUR).await.unwrap();
    let held = home.claim(claimant(10), 1).await;
    assert_eq!(of(&held), [first]);
    for job in [first, ready, delayed] {
        home.queue().remove(Queue::Runs, TenantId::generate(), job.id).await.unwrap();
    }
    assert_eq!(depth(&home).await, (1, 1, 1), "another tenant removed something");
    for job in [first, ready, delayed] {
        home.queue().remove(Queue::Runs, tenant, job.id).await.unwrap();
    }
    assert_eq!(depth(&home).await, (0, 0, 1));
    assert_eq!(home.queue().renew(&held).await.unwrap(), [Renewal::Kept]);
    home.pass(HOUR * 2).await;
    assert_eq!(of(&home.claim(claimant(10), 10).await), [first]);
}

async fn a_thousand_ended_leases_come_back_in_pages(home: Home) {
    let tenant = TenantId::generate();
    home.push(&jobs(tenant, 1_000)).await;
    let worker = claimant(10_000);
    let mut held = 0;
    while held < 1_000 {
        let leases = home.claim(worker, 1_000).await;
        assert_ne!(leases, []);
        held += leases.len();
    }
    home.pass(home.options.lease).await;
    assert!(!home.claim(worker, 1).await.is_empty());
    let (ready, _, leased) = depth(&home).await;
    assert_eq!((ready, leased), (99, 901), "one claim makes at most a page ready");
    for _ in 0..9 {
        home.claim(worker, 0).await;
    }
    assert_eq!(depth(&home).await, (999, 0, 1));
}
