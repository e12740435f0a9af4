//! The index of unfinished work.

use std::time::Duration;

use acm2_domain::ids::{DeliveryId, JobId, RunId, TenantId};
use acm2_domain::job::{Job, Work};
use acm2_store::Store;
use chrono::TimeDelta;
use futures_util::FutureExt;
use futures_util::future::join_all;

use crate::fixture::{Fixture, eventually, now, on_both};

on_both!(
    a_job_is_written_once_and_reads_back_whole,
    a_job_is_due_after_its_time_and_then_less_and_less_often,
    a_passed_deadline_is_reported_once,
    pages_hold_the_oldest_first_and_no_job_twice,
    sweepers_that_race_take_no_job_twice,
    an_orphan_is_deleted_only_when_it_is_old,
    a_rescheduled_job_waits_anew,
    a_job_carries_the_weight_of_its_tenant_wherever_it_comes_from,
    rows_that_come_at_once_are_each_written_and_deleted_once,
);

/// Long beside what two statements take on a busy machine.
const FIRST: Duration = Duration::from_secs(4);
const LONGEST: Duration = Duration::from_hours(1);
const LATER: Duration = Duration::from_hours(1);

fn new_job() -> Job {
    Job {
        id: JobId::generate(),
        tenant: TenantId::generate(),
        work: Work::RunV1(RunId::generate()),
        priority: -3,
        weight: None,
    }
}

async fn due(store: &Store) -> Vec<(JobId, u32)> {
    let due = store.jobs().take_due(100, FIRST, LONGEST).await.unwrap();
    due.into_iter().map(|due| (due.job.id, due.tries)).collect()
}

async fn a_job_is_written_once_and_reads_back_whole(fixture: &Fixture) {
    let jobs = fixture.store.jobs();
    let job = Job { work: Work::DeliverV1(DeliveryId::generate()), ..new_job() };
    assert_eq!(jobs.insert(&job, LATER, Some(now())).await.unwrap(), Some(job));
    assert_eq!(jobs.insert(&Job { priority: 9, ..job }, LATER, None).await.unwrap(), None);
    assert_eq!(jobs.list(None, 10).await.unwrap(), [job]);
    assert!(jobs.delete(job.id).await.unwrap());
    assert!(!jobs.delete(job.id).await.unwrap());
    assert!(jobs.list(None, 10).await.unwrap().is_empty());
}

async fn a_job_is_due_after_its_time_and_then_less_and_less_often(fixture: &Fixture) {
    let store = &fixture.store;
    let (soon, late) = (new_job(), new_job());
    store.jobs().insert(&late, LATER, None).await.unwrap();
    store.jobs().insert(&soon, Duration::ZERO, None).await.unwrap();
    assert_eq!(due(store).await, [(soon.id, 1)]);
    assert!(due(store).await.is_empty(), "the same statement moved it on");
    tokio::time::sleep(FIRST).await;
    eventually("it is due again", async || due(store).await == [(soon.id, 2)]).await;
    // The second step is twice the first: it is not due again after one.
    tokio::time::sleep(FIRST).await;
    assert!(due(store).await.is_empty());
    eventually("it is due a third time", async || due(store).await == [(soon.id, 3)]).await;
}

async fn a_passed_deadline_is_reported_once(fixture: &Fixture) {
    let store = &fixture.store;
    let job = new_job();
    store.jobs().insert(&job, LATER, Some(now() - TimeDelta::seconds(1))).await.unwrap();
    store.jobs().insert(&new_job(), LATER, Some(now() + TimeDelta::hours(1))).await.unwrap();
    let taken = store.jobs().take_due(10, FIRST, LONGEST).await.unwrap();
    // Its priority tells the sweeper to move it to the front.
    assert_eq!(
        taken.iter().map(|due| (due.job.id, due.tries, due.job.priority)).collect::<Vec<_>>(),
        [(job.id, 1, i16::MIN)]
    );
    assert!(due(store).await.is_empty());
    eventually("from then on it is due by back-off", async || due(store).await == [(job.id, 2)]).await;
}

async fn pages_hold_the_oldest_first_and_no_job_twice(fixture: &Fixture) {
    let store = &fixture.store;
    let made: Vec<_> = (0..5).map(|_| new_job()).collect();
    for job in &made {
        store.jobs().insert(job, Duration::ZERO, None).await.unwrap();
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    let mut taken = Vec::new();
    for expected in [2, 2, 1, 0] {
        let page = store.jobs().take_due(2, LATER, LATER).await.unwrap();
        assert_eq!(page.len(), expected);
        taken.extend(page.into_iter().map(|due| due.job));
    }
    assert_eq!(taken, made);
    let first = store.jobs().list(None, 3).await.unwrap();
    assert_eq!(first, made[..3]);
    assert_eq!(store.jobs().list(Some(first[2].id), 3).await.unwrap(), made[3..]);
}

async fn sweepers_that_race_take_no_job_twice(fixture: &Fixture) {
    for _ in 0..40 {
        fixture.store.jobs().insert(&new_job(), Duration::ZERO, None).await.unwrap();
    }
    let other = fixture.another_process().await;
    let mut tasks = tokio::task::JoinSet::new();
    for index in 0..8 {
        let store = if index % 2 == 0 { fixture.store.clone() } else { other.clone() };
        tasks.spawn(async move { store.jobs().take_due(10, LATER, LATER).await.unwrap() });
    }
    let mut taken = Vec::new();
    while let Some(page) = tasks.join_next().await {
        taken.extend(page.unwrap().into_iter().map(|due| due.job.id));
    }
    while let page @ [_, ..] = &fixture.store.jobs().take_due(10, LATER, LATER).await.unwrap()[..] {
        taken.extend(page.iter().map(|due| due.job.id));
    }
    let all = taken.len();
    taken.sort();
    taken.dedup();
    assert_eq!((all, taken.len()), (40, 40));
    other.close().await;
}

async fn an_orphan_is_deleted_only_when_it_is_old(fixture: &Fixture) {
    let jobs = fixture.store.jobs();
    let job = new_job();
    jobs.insert(&job, LATER, None).await.unwrap();
    assert!(!jobs.delete_orphan(job.id, LATER).await.unwrap());
    tokio::time::sleep(Duration::from_millis(10)).await;
    assert!(jobs.delete_orphan(job.id, Duration::from_millis(5)).await.unwrap());
    assert!(!jobs.delete_orphan(job.id, Duration::ZERO).await.unwrap());
}

async fn a_rescheduled_job_waits_anew(fixture: &Fixture) {
    let store = &fixture.store;
    let job = new_job();
    store.jobs().insert(&job, Duration::ZERO, None).await.unwrap();
    assert!(store.jobs().reschedule(job.id, LATER).await.unwrap());
    assert!(due(store).await.is_empty());
    assert!(store.jobs().reschedule(job.id, Duration::ZERO).await.unwrap());
    assert_eq!(due(store).await, [(job.id, 1)]);
    assert!(!store.jobs().reschedule(JobId::generate(), LATER).await.unwrap());
}

async fn a_job_carries_the_weight_of_its_tenant_wherever_it_comes_from(fixture: &Fixture) {
    let store = &fixture.store;
    let tenant = fixture.new_tenant().await;
    let weights = async || {
        let job = Job { tenant, ..new_job() };
        let inserted = store.jobs().insert(&job, Duration::ZERO, None).await.unwrap().unwrap();
        let listed = store.jobs().list(None, 10).await.unwrap();
        let swept = store.jobs().take_due(100, FIRST, LONGEST).await.unwrap();
        store.jobs().delete(job.id).await.unwrap();
        (inserted.weight, listed[0].weight, swept[0].job.weight)
    };
    assert_eq!(weights().await, (Some(1), Some(1), Some(1)));
    store.tenants().set_weight(tenant, 3).await.unwrap();
    assert_eq!(store.tenants().get(tenant).await.unwrap().weight, 3);
    assert_eq!(weights().await, (Some(3), Some(3), Some(3)));
    assert!(store.tenants().set_weight(tenant, 101).await.is_err(), "the database keeps it from 1 to 100");
    assert!(store.tenants().set_weight(TenantId::generate(), 2).await.is_err());
}

async fn rows_that_come_at_once_are_each_written_and_deleted_once(fixture: &Fixture) {
    let jobs = fixture.store.jobs();
    let (known, left) = (new_job(), new_job());
    jobs.insert(&known, LATER, None).await.unwrap();
    let mut made: Vec<Job> = (0..100).map(|_| new_job()).collect();
    made.sort_by_key(|job| job.id);
    // Whoever leaves in the middle takes nobody along, and loses nothing: the row is there.
    let mut leaving = Box::pin(jobs.insert(&left, LATER, None));
    assert!((&mut leaving).now_or_never().is_none());
    drop(leaving);
    let wanted = made.iter().chain([&known, &made[7]]);
    let inserted = join_all(wanted.map(|job| jobs.insert(job, LATER, None))).await;
    let inserted: Vec<Option<Job>> = inserted.into_iter().map(Result::unwrap).collect();
    let (of_made, of_others) = inserted.split_at(made.len());
    assert!(of_made.iter().zip(&made).all(|(inserted, job)| *inserted == Some(*job)));
    assert_eq!(of_others, [None, None]);
    let mut listed = jobs.list(None, 200).await.unwrap();
    listed.retain(|job| made.contains(job));
    assert_eq!(listed, made);

    let unwanted = made[1..].iter().map(|job| job.id).chain([left.id, JobId::generate(), made[9].id]);
    let deleted = join_all(unwanted.map(|id| jobs.delete(id))).await;
    let deleted: Vec<bool> = deleted.into_iter().map(Result::unwrap).collect();
    assert!(deleted[..=99].iter().all(|was_there| *was_there), "{deleted:?}");
    assert_eq!(deleted[100..], [false, false]);
    assert_eq!(jobs.list(None, 200).await.unwrap().len(), 2);
}
