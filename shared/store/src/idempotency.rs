//! What was answered to requests that carried an Idempotency-Key (PROTOCOL rule 13). Called by `api` in the transaction that
//! creates the thing, so that key and thing appear together or not at all.

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Expr, ExprTrait, LockBehavior, LockType, OnConflict, Query};
use sea_orm::{ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter};
use uuid::Uuid;

use crate::entities::idempotency_key::{ActiveModel, Column, Entity, Model};
use crate::error::{StoreError, is_lock_timeout};
use crate::tenant_tx::TenantTx;

/// An answer that is kept to be given again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavedAnswer {
    /// Its body; `None` where it held a secret that is shown once.
    pub body: Option<String>,
    /// The thing that was created.
    pub subject: Uuid,
}

/// What a key stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begun {
    /// Nobody used it: go on, then `finish` in the same transaction.
    New,
    /// The same request was answered before: answer like this.
    Replay(SavedAnswer),
    /// The same request has no answer yet: it is still being worked on. The transaction may be unusable now.
    InProgress,
    /// Another request used it.
    Mismatch,
}

/// Takes a key, or tells what it stands for. While another transaction that took it is open, this waits for its end; after the
/// database's lock time-out it is `InProgress`.
pub async fn begin(
    tx: &TenantTx,
    key_hash: &str,
    fingerprint: &str,
    now: DateTime<Utc>,
    expires_at: DateTime<Utc>,
) -> Result<Begun, StoreError> {
    Entity::delete_many().filter(Column::KeyHash.eq(key_hash)).filter(Column::ExpiresAt.lte(now)).exec(tx).await?;
    let values = ActiveModel {
        key_hash: Set(key_hash.to_owned()),
        fingerprint: Set(fingerprint.to_owned()),
        body: Set(None),
        subject_id: Set(None),
        created_at: Set(now),
        expires_at: Set(expires_at),
    };
    let inserted = Entity::insert(values)
        .on_conflict(OnConflict::column(Column::KeyHash).do_nothing().to_owned())
        .exec_without_returning(tx)
        .await;
    match inserted {
        Ok(1) => return Ok(Begun::New),
        Ok(_) => {}
        Err(error) if is_lock_timeout(&error) => return Ok(Begun::InProgress),
        Err(error) => return Err(error.into()),
    }
    let row = Entity::find_by_id(key_hash).one(tx).await?.ok_or_else(|| {
        // Deleted between the two statements by whoever removes expired rows.
        StoreError::Unavailable("the idempotency key expired at this moment".to_owned())
    })?;
    Ok(taken(row, fingerprint))
}

/// What a key stands for, without taking it and without waiting: `New` also where another transaction has just taken it.
pub async fn look_up(
    tx: &TenantTx,
    key_hash: &str,
    fingerprint: &str,
    now: DateTime<Utc>,
) -> Result<Begun, StoreError> {
    let row = Entity::find_by_id(key_hash).filter(Column::ExpiresAt.gt(now)).one(tx).await?;
    Ok(row.map_or(Begun::New, |row| taken(row, fingerprint)))
}

fn taken(row: Model, fingerprint: &str) -> Begun {
    if row.fingerprint != fingerprint {
        return Begun::Mismatch;
    }
    saved(row).map_or(Begun::InProgress, Begun::Replay)
}

/// Keeps the answer to a key's request.
pub async fn finish(tx: &TenantTx, key_hash: &str, answer: &SavedAnswer) -> Result<(), StoreError> {
    Entity::update_many()
        .col_expr(Column::Body, Expr::value(answer.body.clone()))
        .col_expr(Column::SubjectId, Expr::value(answer.subject))
        .filter(Column::KeyHash.eq(key_hash))
        .exec(tx)
        .await?;
    Ok(())
}

/// Removes up to `limit` rows that have expired, the oldest first, and waits for nobody: rows that another transaction holds
/// are left to it. Tells how many.
pub async fn purge(tx: &TenantTx, now: DateTime<Utc>, limit: u64) -> Result<u64, StoreError> {
    let expired = Query::select()
        .column(Column::KeyHash)
        .from(Entity)
        .and_where(Expr::col(Column::ExpiresAt).lte(now))
        .order_by(Column::ExpiresAt, sea_orm::Order::Asc)
        .limit(limit)
        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
        .to_owned();
    let delete =
        Query::delete().from_table(Entity).and_where(Expr::col(Column::KeyHash).in_subquery(expired)).to_owned();
    Ok(tx.execute(&delete).await?.rows_affected())
}

/// The answer of a row that has one: it names what was made.
fn saved(row: Model) -> Option<SavedAnswer> {
    row.subject_id.map(|subject| SavedAnswer { body: row.body, subject })
}
