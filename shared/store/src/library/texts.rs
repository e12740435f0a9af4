//! Texts, each stored once under its hash. One stays while a document or a run names it; whoever takes the last name away drops
//! it in the same transaction. Locks keep a text from going while a transaction is about to name it.

use std::collections::BTreeSet;

use acm2_domain::content_hash::ContentHash;
use sea_orm::sea_query::{Expr, ExprTrait, LockType, OnConflict, Query};
use sea_orm::{ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use super::text_entity::{ActiveModel, Column, Entity};
use crate::column::from_hash;
use crate::{StoreError, TenantTx};

/// Stores the text unless it is there, and holds it until the transaction ends; its hash. A text must hold no U+0000.
pub async fn keep(tx: &TenantTx, text: &str) -> Result<ContentHash, StoreError> {
    let hash = ContentHash::of(text);
    let row = ActiveModel { hash: Set(hash.to_string()), text: Set(text.to_owned()) };
    // An update that changes nothing waits for whoever is dropping the same text, and keeps others from it. It must not be of the
    // key: then PostgreSQL takes the strongest lock of a row, which waits for all who hold the text, and two who hold it and keep
    // it would wait for each other.
    let same = Expr::col((Entity, Column::Text));
    let again = OnConflict::column(Column::Hash).value(Column::Text, same).to_owned();
    Entity::insert(row).on_conflict(again).exec_without_returning(tx).await?;
    Ok(hash)
}

/// Holds texts until the transaction ends; those that are there.
pub async fn hold(tx: &TenantTx, hashes: &BTreeSet<ContentHash>) -> Result<BTreeSet<ContentHash>, StoreError> {
    // It conflicts with deleting only: neither those who hold nor those who keep wait for whoever holds.
    locked(tx, hashes, LockType::KeyShare).await
}

/// A text.
///
/// # Errors
/// `NotFound`.
pub async fn get(tx: &TenantTx, hash: ContentHash) -> Result<String, StoreError> {
    let row = Entity::find_by_id(hash.to_string()).one(tx).await?;
    Ok(row.ok_or(StoreError::NotFound("text"))?.text)
}

/// Drops those of the texts that nothing names any more.
pub(crate) async fn drop_unnamed(tx: &TenantTx, hashes: &BTreeSet<ContentHash>) -> Result<(), StoreError> {
    if hashes.is_empty() {
        return Ok(());
    }
    // The lock comes first: whoever holds a text has named it by the time that the next statement looks.
    let there = locked(tx, hashes, LockType::Update).await?;
    let mut delete = Query::delete();
    delete.from_table(Entity).and_where(Column::Hash.is_in(there.iter().map(ToString::to_string)));
    for table in ["documents", "run_documents"] {
        let named = Query::select()
            .expr(Expr::val(1))
            .from(table)
            .and_where(Expr::col((table, "text_hash")).equals((Entity, Column::Hash)))
            .to_owned();
        delete.and_where(Expr::exists(named).not());
    }
    tx.execute(&delete).await?;
    Ok(())
}

async fn locked(
    tx: &TenantTx,
    hashes: &BTreeSet<ContentHash>,
    lock: LockType,
) -> Result<BTreeSet<ContentHash>, StoreError> {
    if hashes.is_empty() {
        return Ok(BTreeSet::new());
    }
    let found: Vec<String> = Entity::find()
        .select_only()
        .column(Column::Hash)
        .filter(Column::Hash.is_in(hashes.iter().map(ToString::to_string)))
        .order_by_asc(Column::Hash)
        .lock(lock)
        .into_tuple()
        .all(tx)
        .await?;
    found.iter().map(|hash| from_hash("texts.hash", hash)).collect()
}
