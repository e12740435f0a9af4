//! The tenant's secrets for LLM providers.

use acm2_domain::ids::ProviderKeyId;
use acm2_store::TenantTx;
use acm2_store::provider_keys::{
    KeyStatus, NewProviderKey, ProviderKeyChange, SealedKey, delete, find_for_call, get, insert, list, mark_status,
    replace_secret, touch_last_used, update,
};
use chrono::TimeDelta;
use sea_orm::ConnectionTrait;

use crate::fixture::{Fixture, is_not_found, now, on_both};

on_both!(
    the_first_key_of_a_provider_is_its_default,
    a_provider_has_one_default_at_most,
    the_database_itself_refuses_a_second_default,
    a_key_that_is_switched_off_is_not_used,
    a_named_key_must_be_the_providers,
    a_new_secret_is_untested,
    a_test_of_an_old_secret_says_nothing_about_the_new_one,
    a_key_that_is_accepted_again_counts_as_changed,
    use_is_noted_at_most_once_in_a_while,
    a_deleted_key_is_gone,
);

pub(crate) fn new_key(provider: &str, make_default: bool) -> NewProviderKey {
    NewProviderKey {
        id: ProviderKeyId::generate(),
        provider: provider.to_owned(),
        label: "team".into(),
        secret: secret(1),
        make_default,
    }
}

fn secret(byte: u8) -> SealedKey {
    SealedKey { sealed: vec![byte; 80], prefix: "sk-proj".into(), last4: "abcd".into(), base_url: None }
}

async fn begin(fixture: &Fixture) -> TenantTx {
    fixture.store.tenant(fixture.new_tenant().await).begin().await.unwrap()
}

async fn defaults(tx: &TenantTx, provider: &str) -> Vec<ProviderKeyId> {
    let keys = list(tx).await.unwrap();
    keys.into_iter().filter(|key| key.provider == provider && key.is_default).map(|key| key.id).collect()
}

async fn the_first_key_of_a_provider_is_its_default(fixture: &Fixture) {
    let tx = begin(fixture).await;
    let first = insert(&tx, new_key("openai", false), now()).await.unwrap();
    assert!(first.is_default && first.is_active);
    assert_eq!(first.status, KeyStatus::Untested);
    assert!(!insert(&tx, new_key("openai", false), now()).await.unwrap().is_default);
    assert!(insert(&tx, new_key("anthropic", false), now()).await.unwrap().is_default);
    assert_eq!(find_for_call(&tx, "openai", None).await.unwrap().unwrap(), first);
    assert!(find_for_call(&tx, "mistral", None).await.unwrap().is_none());
}

async fn a_provider_has_one_default_at_most(fixture: &Fixture) {
    let tx = begin(fixture).await;
    let first = insert(&tx, new_key("openai", true), now()).await.unwrap();
    let other = insert(&tx, new_key("anthropic", true), now()).await.unwrap();
    let second = insert(&tx, new_key("openai", true), now()).await.unwrap();
    assert_eq!(defaults(&tx, "openai").await, [second.id]);
    let change = ProviderKeyChange { is_default: Some(true), ..ProviderKeyChange::default() };
    assert!(update(&tx, first.id, change, now()).await.unwrap().is_default);
    assert_eq!(defaults(&tx, "openai").await, [first.id]);
    assert_eq!(defaults(&tx, "anthropic").await, [other.id]);
}

async fn the_database_itself_refuses_a_second_default(fixture: &Fixture) {
    let tx = begin(fixture).await;
    insert(&tx, new_key("openai", false), now()).await.unwrap();
    insert(&tx, new_key("openai", false), now()).await.unwrap();
    let error = tx.execute_unprepared("UPDATE provider_keys SET is_default = TRUE").await.unwrap_err();
    assert!(acm2_store::StoreError::from(error).is_conflict());
}

async fn a_key_that_is_switched_off_is_not_used(fixture: &Fixture) {
    let tx = begin(fixture).await;
    let key = insert(&tx, new_key("openai", true), now()).await.unwrap();
    let off = ProviderKeyChange { is_active: Some(false), ..ProviderKeyChange::default() };
    let switched_off = update(&tx, key.id, off, now()).await.unwrap();
    assert!(!switched_off.is_active && !switched_off.is_default);
    assert!(find_for_call(&tx, "openai", None).await.unwrap().is_none());
    assert!(find_for_call(&tx, "openai", Some(key.id)).await.unwrap().is_none());
    let default =
        ProviderKeyChange { is_default: Some(true), label: Some("on".into()), ..ProviderKeyChange::default() };
    let on = update(&tx, key.id, default, now()).await.unwrap();
    assert!(on.is_active && on.is_default);
    assert_eq!(on.label, "on");
    assert_eq!(find_for_call(&tx, "openai", None).await.unwrap(), Some(on));
}

async fn a_named_key_must_be_the_providers(fixture: &Fixture) {
    let tx = begin(fixture).await;
    insert(&tx, new_key("openai", true), now()).await.unwrap();
    let named = insert(&tx, new_key("openai", false), now()).await.unwrap();
    assert_eq!(find_for_call(&tx, "openai", Some(named.id)).await.unwrap(), Some(named.clone()));
    assert!(find_for_call(&tx, "anthropic", Some(named.id)).await.unwrap().is_none());
    assert!(find_for_call(&tx, "openai", Some(ProviderKeyId::generate())).await.unwrap().is_none());
}

async fn a_new_secret_is_untested(fixture: &Fixture) {
    let tx = begin(fixture).await;
    let key = insert(&tx, new_key("openai", true), now()).await.unwrap();
    mark_status(&tx, &key, KeyStatus::Quota, Some("no credit left"), now()).await.unwrap();
    let tested = get(&tx, key.id).await.unwrap();
    assert_eq!((tested.status, tested.status_detail.as_deref()), (KeyStatus::Quota, Some("no credit left")));
    assert!(tested.tested_at.is_some());
    let base_url = Some("https://llm.example.org/v1".to_owned());
    let replaced =
        replace_secret(&tx, key.id, SealedKey { base_url: base_url.clone(), ..secret(2) }, now()).await.unwrap();
    assert_eq!((replaced.status, replaced.status_detail, replaced.tested_at), (KeyStatus::Untested, None, None));
    assert_eq!((replaced.sealed, replaced.base_url), (vec![2; 80], base_url));
    assert!(is_not_found(&replace_secret(&tx, ProviderKeyId::generate(), secret(2), now()).await));
}

async fn a_test_of_an_old_secret_says_nothing_about_the_new_one(fixture: &Fixture) {
    let tx = begin(fixture).await;
    let old = insert(&tx, new_key("openai", true), now()).await.unwrap();
    replace_secret(&tx, old.id, secret(2), now()).await.unwrap();
    mark_status(&tx, &old, KeyStatus::Invalid, None, now()).await.unwrap();
    assert_eq!(get(&tx, old.id).await.unwrap().status, KeyStatus::Untested);
}

async fn a_key_that_is_accepted_again_counts_as_changed(fixture: &Fixture) {
    let tx = begin(fixture).await;
    let key = insert(&tx, new_key("openai", true), now()).await.unwrap();
    mark_status(&tx, &key, KeyStatus::Valid, None, now()).await.unwrap();
    assert_eq!(get(&tx, key.id).await.unwrap().updated_at, key.updated_at);
    mark_status(&tx, &key, KeyStatus::Quota, None, now()).await.unwrap();
    assert_eq!(get(&tx, key.id).await.unwrap().updated_at, key.updated_at);
    mark_status(&tx, &key, KeyStatus::Valid, None, now()).await.unwrap();
    assert!(get(&tx, key.id).await.unwrap().updated_at > key.updated_at);
}

async fn use_is_noted_at_most_once_in_a_while(fixture: &Fixture) {
    let tx = begin(fixture).await;
    let key = insert(&tx, new_key("openai", true), now()).await.unwrap();
    let (start, minute) = (now(), TimeDelta::minutes(1));
    assert!(touch_last_used(&tx, key.id, start, minute).await.unwrap());
    assert!(!touch_last_used(&tx, key.id, start + TimeDelta::seconds(59), minute).await.unwrap());
    assert_eq!(get(&tx, key.id).await.unwrap().last_used_at, Some(start));
    assert!(touch_last_used(&tx, key.id, start + minute, minute).await.unwrap());
}

async fn a_deleted_key_is_gone(fixture: &Fixture) {
    let tx = begin(fixture).await;
    let key = insert(&tx, new_key("openai", true), now()).await.unwrap();
    delete(&tx, key.id).await.unwrap();
    assert!(is_not_found(&get(&tx, key.id).await));
    assert!(is_not_found(&delete(&tx, key.id).await));
    assert!(is_not_found(&update(&tx, key.id, ProviderKeyChange::default(), now()).await));
}
