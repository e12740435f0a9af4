//! Keys that are not there, switched off, or do not open: nothing is called with them, and nothing else suffers.

use acm2_domain::call::ErrorClass::{ProviderKeyMissing, ProviderKeyUndecryptable};
use acm2_domain::ids::{ProviderKeyId, TenantId};
use acm2_domain::run::{Run, RunStatus};
use acm2_store::provider_keys::{self, ProviderKeyChange};
use serde_json::json;

use crate::house::{House, now, on_both};

on_both!(
    without_a_key_nothing_is_called,
    a_key_that_is_switched_off_is_not_used,
    a_key_that_was_sealed_for_another_place_does_not_open_and_harms_no_other,
);

fn class_of(run: &Run, index: usize) -> Option<acm2_domain::call::ErrorClass> {
    run.results.as_ref().unwrap()[index].error.as_ref().map(|error| error.class)
}

async fn without_a_key_nothing_is_called(house: &House) {
    let _worker = house.worker();
    house.account_with_key().await;
    let account = house.account().await;
    let run = account.run(json!({"prompt": "hi", "models": ["sandbox/echo"]})).await;
    assert_eq!((run.status, class_of(&run, 0)), (RunStatus::Failed, Some(ProviderKeyMissing)));
    assert_eq!((run.results.unwrap()[0].attempts, house.calls()), (0, 0));
    assert!(account.attempts(run.id).await.is_empty());
}

async fn a_key_that_is_switched_off_is_not_used(house: &House) {
    let _worker = house.worker();
    let account = house.account_with_key().await;
    let named = account.add_key("sk-another-0123456789").await;
    let tx = account.begin().await;
    let off = ProviderKeyChange { is_active: Some(false), ..ProviderKeyChange::default() };
    provider_keys::update(&tx, named, off, now()).await.unwrap();
    tx.commit().await.unwrap();
    let models = json!([{"model": "sandbox/echo", "provider_key_id": named.to_string()}, "sandbox/fast"]);
    let run = account.run(json!({"prompt": "hi", "models": models})).await;
    assert_eq!((run.status, class_of(&run, 0)), (RunStatus::CompletedWithErrors, Some(ProviderKeyMissing)));
    assert_eq!((house.calls_of("echo").len(), house.calls_of("fast").len()), (0, 1));
}

async fn a_key_that_was_sealed_for_another_place_does_not_open_and_harms_no_other(house: &House) {
    let _worker = house.worker();
    let account = house.account_with_key().await;
    let elsewhere = account.add_key_sealed_as("sk-1-0123456789", |id| (TenantId::generate(), id)).await;
    let other_row = account.add_key_sealed_as("sk-2-0123456789", |_| (account.id, ProviderKeyId::generate())).await;
    let models = json!([
        {"model": "sandbox/echo", "provider_key_id": elsewhere.to_string()},
        {"model": "sandbox/echo", "provider_key_id": other_row.to_string()},
        "sandbox/fast",
    ]);
    let run = account.run(json!({"prompt": "hi", "models": models})).await;
    assert_eq!(run.status, RunStatus::CompletedWithErrors);
    assert_eq!(class_of(&run, 0), Some(ProviderKeyUndecryptable));
    assert_eq!(class_of(&run, 1), Some(ProviderKeyUndecryptable));
    assert_eq!((house.calls_of("echo").len(), house.calls_of("fast").len()), (0, 1));
}
