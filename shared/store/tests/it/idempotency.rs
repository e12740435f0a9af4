//! Idempotency keys.

use acm2_domain::ids::TenantId;
use acm2_store::idempotency::{Begun, SavedAnswer, begin, finish, purge};
use acm2_store::{Store, TenantTx};
use chrono::TimeDelta;
use sea_orm::ConnectionTrait;
use uuid::Uuid;

use crate::fixture::{Fixture, now, on_both};

on_both!(
    a_second_request_gets_the_first_ones_answer,
    another_body_is_a_mismatch,
    a_key_without_an_answer_is_in_progress,
    of_requests_at_the_same_time_one_is_new_and_the_others_wait_for_its_answer,
    after_a_rollback_the_next_one_who_waits_is_new,
    an_expired_key_is_new_again,
    expired_keys_are_removed_a_few_at_a_time,
);

fn answer() -> SavedAnswer {
    SavedAnswer { body: Some("{\"id\":\"run_1\"}".into()), subject: Uuid::from_u128(1) }
}

async fn begin_tx(store: &Store, tenant: TenantId) -> TenantTx {
    store.tenant(tenant).begin().await.unwrap()
}

async fn take(tx: &TenantTx, fingerprint: &str) -> Begun {
    begin(tx, "key", fingerprint, now(), now() + TimeDelta::hours(24)).await.unwrap()
}

async fn a_second_request_gets_the_first_ones_answer(fixture: &Fixture) {
    let (tenant, other) = (fixture.new_tenant().await, fixture.new_tenant().await);
    let answer = answer();
    let tx = begin_tx(&fixture.store, tenant).await;
    assert_eq!(take(&tx, "body").await, Begun::New);
    finish(&tx, "key", &answer).await.unwrap();
    tx.commit().await.unwrap();
    let tx = begin_tx(&fixture.store, tenant).await;
    assert_eq!(take(&tx, "body").await, Begun::Replay(answer));
    drop(tx);
    let tx = begin_tx(&fixture.store, other).await;
    assert_eq!(take(&tx, "body").await, Begun::New);
}

async fn another_body_is_a_mismatch(fixture: &Fixture) {
    let tx = begin_tx(&fixture.store, fixture.new_tenant().await).await;
    assert_eq!(take(&tx, "body").await, Begun::New);
    assert_eq!(take(&tx, "another").await, Begun::Mismatch);
}

async fn a_key_without_an_answer_is_in_progress(fixture: &Fixture) {
    let tx = begin_tx(&fixture.store, fixture.new_tenant().await).await;
    assert_eq!(take(&tx, "body").await, Begun::New);
    assert_eq!(take(&tx, "body").await, Begun::InProgress);
    // An answer that held a secret has no body, and is one all the same.
    let answer = SavedAnswer { body: None, ..answer() };
    finish(&tx, "key", &answer).await.unwrap();
    assert_eq!(take(&tx, "body").await, Begun::Replay(answer));
}

async fn of_requests_at_the_same_time_one_is_new_and_the_others_wait_for_its_answer(fixture: &Fixture) {
    let tenant = fixture.new_tenant().await;
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..6 {
        let store = fixture.store.clone();
        tasks.spawn(async move {
            let tx = begin_tx(&store, tenant).await;
            let begun = take(&tx, "body").await;
            if begun == Begun::New {
                // Long enough for the others to arrive while this is open.
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                finish(&tx, "key", &answer()).await.unwrap();
            }
            tx.commit().await.unwrap();
            begun
        });
    }
    let begun = tasks.join_all().await;
    assert_eq!(begun.iter().filter(|begun| **begun == Begun::New).count(), 1);
    let replay = Begun::Replay(answer());
    assert_eq!(begun.iter().filter(|begun| **begun == replay).count(), 5);
}

async fn after_a_rollback_the_next_one_who_waits_is_new(fixture: &Fixture) {
    let tenant = fixture.new_tenant().await;
    let first = begin_tx(&fixture.store, tenant).await;
    assert_eq!(take(&first, "body").await, Begun::New);
    let store = fixture.store.clone();
    let second = tokio::spawn(async move {
        let tx = begin_tx(&store, tenant).await;
        take(&tx, "body").await
    });
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    assert!(!second.is_finished(), "it waits");
    drop(first);
    assert_eq!(second.await.unwrap(), Begun::New);
}

async fn an_expired_key_is_new_again(fixture: &Fixture) {
    let tenant = fixture.new_tenant().await;
    let tx = begin_tx(&fixture.store, tenant).await;
    let (start, day) = (now(), TimeDelta::hours(24));
    assert_eq!(begin(&tx, "key", "body", start, start + day).await.unwrap(), Begun::New);
    assert_eq!(begin(&tx, "other", "body", start, start + day * 2).await.unwrap(), Begun::New);
    let late = start + day;
    assert_eq!(begin(&tx, "key", "another", late, late + day).await.unwrap(), Begun::New);
}

async fn expired_keys_are_removed_a_few_at_a_time(fixture: &Fixture) {
    let tenant = fixture.new_tenant().await;
    let (start, day) = (now(), TimeDelta::hours(24));
    let tx = begin_tx(&fixture.store, tenant).await;
    for number in 0..5 {
        begin(&tx, &format!("old {number}"), "body", start, start + day).await.unwrap();
    }
    begin(&tx, "young", "body", start, start + day * 2).await.unwrap();
    tx.commit().await.unwrap();
    let tx = begin_tx(&fixture.store, tenant).await;
    assert_eq!(purge(&tx, start, 3).await.unwrap(), 0);
    for removed in [3, 2, 0] {
        assert_eq!(purge(&tx, start + day, 3).await.unwrap(), removed);
    }
    assert_eq!(take_of(&tx, "young", start + day).await, Begun::InProgress);
    assert_eq!(take_of(&tx, "old 0", start).await, Begun::New, "it is gone, not only expired");
}

async fn take_of(tx: &TenantTx, key: &str, at: chrono::DateTime<chrono::Utc>) -> Begun {
    begin(tx, key, "body", at, at + TimeDelta::hours(24)).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waited_too_long_is_told_that_it_is_in_progress() {
    let Some(fixture) = Fixture::postgres("who_waited_too_long_is_told_that_it_is_in_progress").await else { return };
    let tenant = fixture.new_tenant().await;
    let first = begin_tx(&fixture.store, tenant).await;
    assert_eq!(take(&first, "body").await, Begun::New);
    let second = begin_tx(&fixture.store, tenant).await;
    second.execute_unprepared("SET LOCAL lock_timeout = '50ms'").await.unwrap();
    assert_eq!(take(&second, "body").await, Begun::InProgress);
    drop((first, second));
    fixture.remove().await;
}
