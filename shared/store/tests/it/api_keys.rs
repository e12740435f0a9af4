//! Keys that authenticate callers.

use acm2_domain::ids::{ApiKeyId, TenantId};
use acm2_store::control::{ApiKeyChange, ApiKeyRow};
use chrono::TimeDelta;

use crate::fixture::{Fixture, is_not_found, now, on_both};

on_both!(
    a_key_is_found_by_its_public_id_and_reads_back_whole,
    another_tenants_key_is_not_found,
    a_change_touches_only_what_it_names,
    a_revoked_key_says_since_when,
    use_is_noted_at_most_once_in_a_while,
    keys_are_listed_newest_first_in_pages,
);

pub(crate) fn new_key(tenant: TenantId) -> ApiKeyRow {
    let id = ApiKeyId::generate();
    ApiKeyRow {
        id,
        tenant,
        name: "ci".into(),
        public_id: id.to_string(),
        hash: "$argon2id$…".into(),
        prefix: "acm2_abcd".into(),
        last4: "wxyz".into(),
        scopes: vec!["runs:read".into(), "runs:write".into()],
        expires_at: Some(now() + TimeDelta::days(30)),
        revoked_at: None,
        last_used_at: None,
        created_at: now(),
    }
}

async fn a_key_is_found_by_its_public_id_and_reads_back_whole(fixture: &Fixture) {
    let keys = fixture.store.api_keys();
    let key = new_key(fixture.new_tenant().await);
    keys.insert(&key).await.unwrap();
    assert_eq!(keys.find_by_public_id(&key.public_id).await.unwrap(), Some(key.clone()));
    assert_eq!(keys.find_by_public_id("nobody").await.unwrap(), None);
    let twin = ApiKeyRow { id: ApiKeyId::generate(), ..key };
    assert!(keys.insert(&twin).await.unwrap_err().is_conflict());
}

async fn another_tenants_key_is_not_found(fixture: &Fixture) {
    let keys = fixture.store.api_keys();
    let (mine, theirs) = (fixture.new_tenant().await, fixture.new_tenant().await);
    let key = new_key(theirs);
    keys.insert(&key).await.unwrap();
    assert!(is_not_found(&keys.get(mine, key.id).await));
    assert!(is_not_found(&keys.revoke(mine, key.id, now()).await));
    let change = ApiKeyChange { name: Some("stolen".into()), ..ApiKeyChange::default() };
    assert!(is_not_found(&keys.update(mine, key.id, change).await));
    assert!(keys.list(mine, None, 10).await.unwrap().is_empty());
    assert_eq!(keys.get(theirs, key.id).await.unwrap(), key);
}

async fn a_change_touches_only_what_it_names(fixture: &Fixture) {
    let keys = fixture.store.api_keys();
    let key = new_key(fixture.new_tenant().await);
    keys.insert(&key).await.unwrap();
    assert_eq!(keys.update(key.tenant, key.id, ApiKeyChange::default()).await.unwrap(), key);
    let change = ApiKeyChange { expires_at: Some(None), ..ApiKeyChange::default() };
    let changed = keys.update(key.tenant, key.id, change).await.unwrap();
    assert_eq!(changed, ApiKeyRow { expires_at: None, ..key.clone() });
    let change = ApiKeyChange { scopes: Some(vec![]), name: Some("x".into()), expires_at: None };
    let changed = keys.update(key.tenant, key.id, change).await.unwrap();
    assert_eq!(changed, ApiKeyRow { expires_at: None, scopes: vec![], name: "x".into(), ..key });
}

async fn a_revoked_key_says_since_when(fixture: &Fixture) {
    let keys = fixture.store.api_keys();
    let key = new_key(fixture.new_tenant().await);
    keys.insert(&key).await.unwrap();
    let first = now();
    assert_eq!(keys.revoke(key.tenant, key.id, first).await.unwrap().revoked_at, Some(first));
    let again = keys.revoke(key.tenant, key.id, first + TimeDelta::days(1)).await.unwrap();
    assert_eq!(again.revoked_at, Some(first));
    assert_eq!(keys.find_by_public_id(&key.public_id).await.unwrap().unwrap().revoked_at, Some(first));
}

async fn use_is_noted_at_most_once_in_a_while(fixture: &Fixture) {
    let keys = fixture.store.api_keys();
    let key = new_key(fixture.new_tenant().await);
    keys.insert(&key).await.unwrap();
    let (start, minute) = (now(), TimeDelta::minutes(1));
    assert!(keys.touch_last_used(&key, start, minute).await.unwrap());
    // The row that a caller holds may be old: the database decides.
    assert!(!keys.touch_last_used(&key, start + TimeDelta::seconds(59), minute).await.unwrap());
    let read = keys.get(key.tenant, key.id).await.unwrap();
    assert_eq!(read.last_used_at, Some(start));
    assert!(keys.touch_last_used(&read, start + minute, minute).await.unwrap());
}

async fn keys_are_listed_newest_first_in_pages(fixture: &Fixture) {
    let keys = fixture.store.api_keys();
    let tenant = fixture.new_tenant().await;
    let made: Vec<_> = (0..3).map(|_| new_key(tenant)).collect();
    for key in &made {
        keys.insert(key).await.unwrap();
    }
    let first = keys.list(tenant, None, 2).await.unwrap();
    assert_eq!(first, [made[2].clone(), made[1].clone()]);
    assert_eq!(keys.list(tenant, Some(first[1].id), 2).await.unwrap(), [made[0].clone()]);
}
