//! What was answered to requests that carried an Idempotency-Key (PROTOCOL rule 13). Called by `api` in the transaction that
//! creates the thing, so that key and thing appear together or not at all.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter};
use uuid::Uuid;

use crate::column::{from_json, to_json};
use crate::entities::idempotency_key::{ActiveModel, Column, Entity, Model};
use crate::error::{StoreError, is_lock_timeout};
use crate::tenant_tx::TenantTx;

/// An answer that is kept to be given again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavedAnswer {
    /// Its HTTP status.
    pub status_code: u16,
    /// Its headers that are worth keeping, such as `Location`.
    pub headers: BTreeMap<String, String>,
    /// Its body; `None` where it held a secret that is shown once.
    pub body: Option<String>,
    /// The thing that was created.
    pub subject: Option<Uuid>,
}

/// What a key stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begun {
    /// Nobody used it: go on, then `finish` in the same transaction.
    New,
    /// The same request was answered before: answer like this.
    Replay(SavedAnswer),
    /// The same request has no answer yet: it is still being worked on, or its process died. The transaction may be unusable now.
    InProgress {
        /// The thing that was created, if it is known.
        subject: Option<Uuid>,
    },
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
        status_code: Set(None),
        headers: Set("{}".to_owned()),
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
        Err(error) if is_lock_timeout(&error) => return Ok(Begun::InProgress { subject: None }),
        Err(error) => return Err(error.into()),
    }
    let row = Entity::find_by_id(key_hash).one(tx).await?.ok_or_else(|| {
        // Deleted between the two statements by whoever removes expired rows.
        StoreError::Unavailable("the idempotency key expired at this moment".to_owned())
    })?;
    if row.fingerprint != fingerprint {
        return Ok(Begun::Mismatch);
    }
    Ok(match saved(&row)? {
        Some(answer) => Begun::Replay(answer),
        None => Begun::InProgress { subject: row.subject_id },
    })
}

/// Notes which thing a key's request is about before there is an answer.
pub async fn set_subject(tx: &TenantTx, key_hash: &str, subject: Uuid) -> Result<(), StoreError> {
    Entity::update_many()
        .col_expr(Column::SubjectId, Expr::value(subject))
        .filter(Column::KeyHash.eq(key_hash))
        .exec(tx)
        .await?;
    Ok(())
}

/// Keeps the answer to a key's request.
pub async fn finish(tx: &TenantTx, key_hash: &str, answer: &SavedAnswer) -> Result<(), StoreError> {
    Entity::update_many()
        .col_expr(Column::StatusCode, Expr::value(i16::try_from(answer.status_code).unwrap_or(i16::MAX)))
        .col_expr(Column::Headers, Expr::value(to_json(&answer.headers)))
        .col_expr(Column::Body, Expr::value(answer.body.clone()))
        .col_expr(Column::SubjectId, Expr::value(answer.subject))
        .filter(Column::KeyHash.eq(key_hash))
        .exec(tx)
        .await?;
    Ok(())
}

/// Removes rows that have expired. Tells how many.
pub async fn purge(tx: &TenantTx, now: DateTime<Utc>) -> Result<u64, StoreError> {
    Ok(Entity::delete_many().filter(Column::ExpiresAt.lte(now)).exec(tx).await?.rows_affected)
}

fn saved(row: &Model) -> Result<Option<SavedAnswer>, StoreError> {
    let Some(status_code) = row.status_code else { return Ok(None) };
    Ok(Some(SavedAnswer {
        status_code: u16::try_from(status_code).unwrap_or(500),
        headers: from_json("idempotency_keys.headers", &row.headers)?,
        body: row.body.clone(),
        subject: row.subject_id,
    }))
}
