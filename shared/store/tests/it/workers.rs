//! Heartbeats and leases, by the database's clock.

use std::time::Duration;

use acm2_domain::ids::WorkerId;
use acm2_store::control::NewWorker;

use crate::fixture::{Fixture, eventually, on_both};

on_both!(
    a_missing_worker_is_stale,
    a_heartbeat_keeps_a_worker_fresh,
    workers_are_listed_with_the_age_of_their_heartbeat,
    a_beat_without_a_row_asks_to_register,
    one_holder_at_a_time_has_a_lease,
    of_many_who_race_for_a_lease_one_gets_it,
);

fn new_worker() -> NewWorker {
    NewWorker {
        id: WorkerId::generate(),
        role: "worker".into(),
        host: "host".into(),
        pid: u32::MAX,
        version: "0.1.0".into(),
        master_key_ids: vec!["b".into(), "a".into()],
    }
}

const LONG: Duration = Duration::from_mins(1);
const SHORT: Duration = Duration::from_millis(150);

async fn a_missing_worker_is_stale(fixture: &Fixture) {
    let workers = fixture.store.workers();
    let worker = new_worker();
    assert!(workers.is_stale(worker.id, LONG).await.unwrap());
    workers.register(&worker).await.unwrap();
    assert!(!workers.is_stale(worker.id, LONG).await.unwrap());
    workers.remove(worker.id).await.unwrap();
    assert!(workers.is_stale(worker.id, LONG).await.unwrap());
}

async fn a_heartbeat_keeps_a_worker_fresh(fixture: &Fixture) {
    let workers = fixture.store.workers();
    let worker = new_worker();
    workers.register(&worker).await.unwrap();
    eventually("it grows stale", async || workers.is_stale(worker.id, SHORT).await.unwrap()).await;
    assert!(!workers.is_stale(worker.id, LONG).await.unwrap());
    // On a slow machine it may be stale again before that is asked.
    eventually("a heartbeat makes it fresh", async || {
        assert!(workers.beat(worker.id).await.unwrap());
        !workers.is_stale(worker.id, SHORT).await.unwrap()
    })
    .await;
    // Nobody is deleted for being older than he is.
    assert_eq!(workers.delete_older_than(LONG).await.unwrap(), 0);
    tokio::time::sleep(SHORT).await;
    assert_eq!(workers.delete_older_than(SHORT).await.unwrap(), 1);
}

async fn workers_are_listed_with_the_age_of_their_heartbeat(fixture: &Fixture) {
    let workers = fixture.store.workers();
    let (old, young) = (new_worker(), new_worker());
    workers.register(&old).await.unwrap();
    tokio::time::sleep(SHORT).await;
    workers.register(&young).await.unwrap();
    let listed = workers.list().await.unwrap();
    assert_eq!(listed.iter().map(|row| &row.worker).collect::<Vec<_>>(), [&old, &young]);
    assert!(listed[0].age > SHORT / 2, "{:?}", listed[0].age);
    assert!(listed[1].age < listed[0].age && listed[0].age < LONG);
    let rotated = NewWorker { master_key_ids: vec!["c".into()], ..old.clone() };
    workers.register(&rotated).await.unwrap();
    assert_eq!(workers.list().await.unwrap()[0].worker, rotated);
    workers.delete_all().await.unwrap();
    assert!(workers.list().await.unwrap().is_empty());
}

async fn a_beat_without_a_row_asks_to_register(fixture: &Fixture) {
    assert!(!fixture.store.workers().beat(WorkerId::generate()).await.unwrap());
}

async fn one_holder_at_a_time_has_a_lease(fixture: &Fixture) {
    let leases = fixture.store.leases();
    let (me, you) = (WorkerId::generate(), WorkerId::generate());
    assert!(leases.try_acquire("sweep", me, LONG).await.unwrap());
    assert!(leases.try_acquire("sweep", me, LONG).await.unwrap(), "a holder renews");
    assert!(!leases.try_acquire("sweep", you, LONG).await.unwrap());
    assert!(leases.try_acquire("other", you, LONG).await.unwrap());
    assert!(leases.try_acquire("sweep", me, SHORT).await.unwrap(), "a renewal may be shorter");
    eventually("it runs out", async || leases.try_acquire("sweep", you, LONG).await.unwrap()).await;
    assert!(!leases.try_acquire("sweep", me, LONG).await.unwrap());
}

async fn of_many_who_race_for_a_lease_one_gets_it(fixture: &Fixture) {
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let store = fixture.store.clone();
        tasks.spawn(async move { store.leases().try_acquire("sweep", WorkerId::generate(), LONG).await.unwrap() });
    }
    let got = tasks.join_all().await;
    assert_eq!(got.into_iter().filter(|got| *got).count(), 1);
}
