//! What only files have: the cache of open ones, and the lock on the folder.

use acm2_domain::ids::TenantId;
use acm2_store::{Database, Options, Store, StoreError, provider_keys};

use crate::fixture::{Fixture, now};
use crate::provider_keys::new_key;

#[tokio::test(flavor = "multi_thread")]
async fn few_open_files_serve_many_tenants_at_once() {
    let fixture = Fixture::sqlite().await;
    let mut tenants = Vec::new();
    for _ in 0..12 {
        tenants.push(fixture.new_tenant().await);
    }
    let store = Store::open(Options { max_open_files: 3, ..fixture.options.clone() }).await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for round in 0..10 {
        for (index, tenant) in tenants.iter().copied().enumerate() {
            let store = store.clone();
            tasks.spawn(async move {
                let tx = store.tenant(tenant).begin().await.unwrap();
                provider_keys::insert(&tx, new_key(&format!("p{round}"), false), now()).await.unwrap();
                tokio::task::yield_now().await;
                if (round + index) % 3 == 0 { drop(tx) } else { tx.commit().await.unwrap() }
            });
        }
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    for (index, tenant) in tenants.iter().enumerate() {
        let tx = store.tenant(*tenant).begin().await.unwrap();
        let kept = (0..10).filter(|round| (round + index) % 3 != 0).count();
        assert_eq!(provider_keys::list(&tx).await.unwrap().len(), kept);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_in_use_is_not_closed_and_the_next_tenant_waits_for_it() {
    let fixture = Fixture::sqlite().await;
    let (a, b) = (fixture.new_tenant().await, fixture.new_tenant().await);
    let acquire_timeout = std::time::Duration::from_secs(6);
    let store = Store::open(Options { max_open_files: 1, acquire_timeout, ..fixture.options.clone() }).await.unwrap();
    let held = store.tenant(a).begin().await.unwrap();
    assert!(store.tenant(b).begin().await.unwrap_err().is_unavailable());
    provider_keys::insert(&held, new_key("openai", false), now()).await.unwrap();
    let (committed, waited) = tokio::join!(held.commit(), async { store.tenant(b).begin().await });
    committed.unwrap();
    drop(waited.unwrap());
    let tx = store.tenant(a).begin().await.unwrap();
    assert_eq!(provider_keys::list(&tx).await.unwrap().len(), 1);
}

#[tokio::test]
async fn one_process_at_a_time_serves_from_a_folder() {
    let fixture = Fixture::sqlite().await;
    let held = fixture.store.lock_data_dir().unwrap();
    assert!(held.is_some());
    let other = fixture.another_process().await;
    let error = other.lock_data_dir().unwrap_err();
    assert!(error.to_string().contains("another process serves from"), "{error}");
    drop(held);
    other.lock_data_dir().unwrap();
}

#[tokio::test]
async fn a_folder_that_cannot_be_made_is_one_clear_error() {
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let error = Store::open(Options::new(Database::Sqlite { dir: file })).await.unwrap_err();
    assert!(matches!(error, StoreError::Setup(_)), "{error}");
}

#[tokio::test]
async fn a_destroyed_data_key_is_in_no_file() {
    let fixture = Fixture::sqlite().await;
    let Database::Sqlite { dir } = &fixture.options.database else { panic!("files") };
    let id = TenantId::generate();
    let needle = b"THE-DATA-KEY-OF-A-DELETED-TENANT".to_vec();
    let key = acm2_store::control::StoredDataKey { master_key_id: "a".into(), bytes: needle.clone() };
    fixture.store.tenants().create(id, "somebody", key, now()).await.unwrap();
    let holds_it = || {
        std::fs::read_dir(dir)
            .unwrap()
            .map(Result::unwrap)
            .filter(|entry| entry.path().is_file())
            .any(|entry| std::fs::read(entry.path()).unwrap().windows(needle.len()).any(|window| window == needle))
    };
    assert!(holds_it());
    fixture.store.tenants().delete(id).await.unwrap();
    assert!(!holds_it());
    assert_eq!(std::fs::read_dir(dir.join("tenants")).unwrap().count(), 0);
}
