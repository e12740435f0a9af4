//! Whose turn it is: fairness among tenants, the cap, priorities.

use acm2_broker::dispatch::{Claimant, Used};
use acm2_domain::ids::TenantId;
use acm2_domain::job::{Job, Queue, Work};

use crate::home::{Home, NOW, claimant, job, jobs, of, on_both};

on_both! {
    a_late_tenant_does_not_wait_behind_ten_thousand_jobs_of_another,
    tenants_take_turns,
    being_away_earns_no_credit,
    one_job_at_a_time_gains_nothing_over_a_backlog,
    a_tenant_never_holds_more_than_its_share,
    two_claimants_share_one_cap,
    a_single_permit_is_enough_for_any_tenant,
    a_capped_tenant_goes_on_when_a_worker_joins,
    a_capped_tenant_goes_on_when_it_gives_back,
    permits_of_a_worker_that_is_gone_do_not_count,
    permits_of_a_full_worker_that_only_renews_count,
    lower_priorities_go_first_and_equals_in_the_order_of_time,
    runs_and_deliveries_do_not_meet,
}

async fn a_late_tenant_does_not_wait_behind_ten_thousand_jobs_of_another(home: Home) {
    let (large, small) = (TenantId::generate(), TenantId::generate());
    let worker = claimant(1_000);
    home.push(&jobs(large, 10_000)).await;
    home.claim(worker, 20).await;
    home.push(&jobs(small, 5)).await;
    let mut starts = Vec::new();
    for _ in 0..12 {
        starts.extend(of(&home.claim(worker, 1).await));
    }
    assert_eq!(starts.len(), 12);
    assert_eq!(starts.iter().filter(|job| job.tenant == small).count(), 5, "{starts:?}");
}

async fn tenants_take_turns(home: Home) {
    let tenants: Vec<TenantId> = (0..3).map(|_| TenantId::generate()).collect();
    for tenant in &tenants {
        home.push(&jobs(*tenant, 10)).await;
    }
    let started = of(&home.claim(claimant(100), 12).await);
    for round in started.chunks(3) {
        let mut turns: Vec<TenantId> = round.iter().map(|job| job.tenant).collect();
        turns.sort_unstable();
        assert_eq!(turns, tenants);
    }
}

async fn being_away_earns_no_credit(home: Home) {
    let (busy, away) = (TenantId::generate(), TenantId::generate());
    let worker = claimant(1_000);
    home.push(&jobs(busy, 100)).await;
    home.claim(worker, 50).await;
    home.push(&jobs(away, 50)).await;
    let started = of(&home.claim(worker, 20).await);
    let of_away = started.iter().filter(|job| job.tenant == away).count();
    assert!((9..=11).contains(&of_away), "{of_away} of 20");
}

async fn one_job_at_a_time_gains_nothing_over_a_backlog(home: Home) {
    // The id that sorts first would win every tie.
    let (first, second) = (TenantId::generate(), TenantId::generate());
    let worker = claimant(1_000);
    home.push(&jobs(second, 20)).await;
    let mut turns = Vec::new();
    for _ in 0..20 {
        home.push(&[job(first)]).await;
        turns.extend(of(&home.claim(worker, 1).await));
    }
    let of_first = turns.iter().filter(|job| job.tenant == first).count();
    assert!((9..=11).contains(&of_first), "{of_first} of 20");
}

async fn a_tenant_never_holds_more_than_its_share(home: Home) {
    let (greedy, other) = (TenantId::generate(), TenantId::generate());
    let worker = claimant(8);
    home.push(&jobs(greedy, 50)).await;
    assert_eq!(home.claim(worker, 8).await.len(), 6, "75 % of 8");
    assert_eq!(home.claim(worker, 2).await, []);
    home.push(&jobs(other, 3)).await;
    let started = of(&home.claim(worker, 2).await);
    assert!(started.len() == 2 && started.iter().all(|job| job.tenant == other), "{started:?}");
}

async fn two_claimants_share_one_cap(home: Home) {
    let (greedy, other) = (TenantId::generate(), TenantId::generate());
    let (one, two) = (claimant(4), claimant(4));
    home.push(&jobs(greedy, 50)).await;
    home.claim(one, 0).await;
    home.claim(two, 0).await;
    let mut held = home.claim(one, 4).await;
    held.extend(home.claim(two, 4).await);
    assert_eq!(held.len(), 6, "75 % of 8");
    home.push(&jobs(other, 5)).await;
    for (worker, lease) in [one, two, one].into_iter().zip(&held) {
        home.queue().ack(lease, Used::default()).await.unwrap();
        let next = of(&home.claim(worker, 1).await);
        assert_eq!(next.len(), 1);
    }
    let depth = home.queue().depth(Queue::Runs).await.unwrap();
    assert_eq!(depth.leased, 6);
    // Whatever the turns were, the greedy one is still at or under its share.
    let greedy_waits = home.queue().load(Queue::Runs, greedy).await.unwrap().waiting;
    assert!(50 - 3 - greedy_waits <= 6, "{greedy_waits}");
    let rest = home.claim(one, 8).await;
    let greedy_waits = home.queue().load(Queue::Runs, greedy).await.unwrap().waiting;
    assert_eq!(50 - 3 - greedy_waits, 6, "{rest:?}");
    assert_eq!(home.queue().load(Queue::Runs, other).await.unwrap().waiting, 0);
}

async fn a_single_permit_is_enough_for_any_tenant(home: Home) {
    let tenant = TenantId::generate();
    home.push(&jobs(tenant, 2)).await;
    assert_eq!(home.claim(claimant(1), 1).await.len(), 1);
}

async fn a_capped_tenant_goes_on_when_a_worker_joins(home: Home) {
    let tenant = TenantId::generate();
    home.push(&jobs(tenant, 20)).await;
    let first = claimant(4);
    assert_eq!(home.claim(first, 4).await.len(), 3);
    assert_eq!(home.claim(first, 1).await, []);
    assert_eq!(home.claim(claimant(4), 4).await.len(), 3, "75 % of 8 less the 3 that are held");
}

async fn a_capped_tenant_goes_on_when_it_gives_back(home: Home) {
    let tenant = TenantId::generate();
    home.push(&jobs(tenant, 20)).await;
    let worker = claimant(4);
    let held = home.claim(worker, 4).await;
    assert_eq!(held.len(), 3);
    home.queue().give_back(&held[0], crate::home::HOUR, Used::default()).await.unwrap();
    assert_eq!(home.claim(worker, 4).await.len(), 1);
    home.queue().ack(&held[1], Used::default()).await.unwrap();
    assert_eq!(home.claim(worker, 4).await.len(), 1);
}

async fn permits_of_a_worker_that_is_gone_do_not_count(home: Home) {
    let tenant = TenantId::generate();
    let (stays, goes) = (claimant(4), claimant(100));
    home.claim(goes, 0).await;
    home.pass(home.options.lease + home.options.lease / 2).await;
    home.claim(stays, 0).await;
    home.push(&jobs(tenant, 200)).await;
    home.pass(home.options.lease).await;
    assert_eq!(home.claim(stays, 100).await.len(), 3, "75 % of 4");
}

async fn permits_of_a_full_worker_that_only_renews_count(home: Home) {
    let (tenant, other) = (TenantId::generate(), TenantId::generate());
    let full = claimant(4);
    home.push(&jobs(tenant, 20)).await;
    home.push(&jobs(other, 1)).await;
    let held = home.claim(full, 4).await;
    assert_eq!(held.len(), 4);
    for _ in 0..10 {
        home.pass(home.options.lease / 2).await;
        home.queue().renew(&held).await.unwrap();
    }
    // In another process, since it is there that the renewals must be known of.
    let elsewhere = home.other_process();
    let more = elsewhere.dispatch.claim(Queue::Runs, claimant(4), 4, NOW).await.unwrap();
    assert_eq!(more.len(), 3, "75 % of 8 less the 3 that are held");
}

async fn lower_priorities_go_first_and_equals_in_the_order_of_time(home: Home) {
    let tenant = TenantId::generate();
    let priorities = [0, 5, -3, i16::MAX, 0, i16::MIN, -3, 5, 1];
    let pushed: Vec<Job> = priorities.iter().map(|priority| Job { priority: *priority, ..job(tenant) }).collect();
    home.push(&pushed).await;
    let mut expected = pushed.clone();
    expected.sort_by_key(|job| job.priority);
    assert_eq!(of(&home.claim(claimant(100), 100).await), expected);
}

async fn runs_and_deliveries_do_not_meet(home: Home) {
    let tenant = TenantId::generate();
    let run = job(tenant);
    let delivery = Job { work: Work::DeliverV1(acm2_domain::ids::DeliveryId::generate()), ..job(tenant) };
    home.push(&[run, delivery]).await;
    let worker: Claimant = claimant(10);
    for (queue, only) in [(Queue::Runs, run), (Queue::Deliveries, delivery)] {
        assert_eq!(home.queue().load(queue, tenant).await.unwrap().waiting, 1);
        let leases = home.queue().claim(queue, worker, 10, NOW).await.unwrap();
        assert_eq!(of(&leases), [only]);
        assert_eq!(home.queue().renew(&leases).await.unwrap(), [acm2_broker::dispatch::Renewal::Kept]);
        home.queue().ack(&leases[0], Used::default()).await.unwrap();
        assert_eq!(home.queue().depth(queue).await.unwrap(), acm2_broker::dispatch::Depth::default());
    }
}
