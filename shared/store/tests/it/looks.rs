//! Looking at several things at once.

use acm2_store::{StoreError, webhook_secret};

use crate::fixture::{Fixture, now};

#[tokio::test(flavor = "multi_thread")]
async fn a_look_sees_one_moment_and_writes_nothing() {
    // On SQLite nobody writes while another looks.
    let Some(fixture) = Fixture::postgres("a look sees one moment").await else { return };
    let tenant = fixture.store.tenant(fixture.new_tenant().await);
    let look = tenant.look().await.unwrap();
    assert_eq!(webhook_secret::find(&look).await.unwrap(), None);
    let tx = tenant.begin().await.unwrap();
    webhook_secret::find_or_insert(&tx, b"sealed".to_vec(), now()).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(webhook_secret::find(&look).await.unwrap(), None);
    look.commit().await.unwrap();
    let look = tenant.look().await.unwrap();
    assert!(webhook_secret::find(&look).await.unwrap().is_some());
    let refused = webhook_secret::find_or_insert(&look, b"another".to_vec(), now()).await;
    // As of a server that has become a replica.
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    drop(look);
    fixture.remove().await;
}
