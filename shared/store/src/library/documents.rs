//! Documents: made, listed, renamed, deleted. Called by the api.

use std::collections::BTreeSet;

use acm2_domain::content_hash::ContentHash;
use acm2_domain::ids::DocumentId;
use chrono::{DateTime, Utc};
use sea_orm::sea_query::Expr;
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect};

use super::document_entity::{ActiveModel, Column, Entity, Model};
use super::texts;
use crate::column::{from_hash, signed, unsigned};
use crate::{StoreError, TenantTx};

/// A document as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentRow {
    /// Its id.
    pub id: DocumentId,
    /// Its name.
    pub name: String,
    /// The hash of its text.
    pub text_hash: ContentHash,
    /// The bytes of its text.
    pub text_bytes: u64,
    /// What was uploaded: its content type,
    pub content_type: String,
    /// its size in bytes,
    pub bytes: u64,
    /// and its SHA-256.
    pub sha256: ContentHash,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was renamed last.
    pub updated_at: DateTime<Utc>,
}

/// A new document.
#[derive(Debug, Clone)]
pub struct NewDocument {
    /// Its id.
    pub id: DocumentId,
    /// Its name.
    pub name: String,
    /// Its text, without U+0000.
    pub text: String,
    /// What was uploaded: its content type,
    pub content_type: String,
    /// its size in bytes,
    pub bytes: u64,
    /// and its SHA-256.
    pub sha256: ContentHash,
}

impl TryFrom<Model> for DocumentRow {
    type Error = StoreError;

    fn try_from(row: Model) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.id.into(),
            name: row.name,
            text_hash: from_hash("documents.text_hash", &row.text_hash)?,
            text_bytes: unsigned(row.text_bytes),
            content_type: row.content_type,
            bytes: unsigned(row.bytes),
            sha256: from_hash("documents.sha256", &row.sha256)?,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

/// Writes a new document and its text.
pub async fn insert(tx: &TenantTx, document: &NewDocument, now: DateTime<Utc>) -> Result<DocumentRow, StoreError> {
    let hash = texts::keep(tx, &document.text).await?;
    let values = ActiveModel {
        id: Set(document.id.uuid()),
        name: Set(document.name.clone()),
        text_hash: Set(hash.to_string()),
        text_bytes: Set(signed(document.text.len() as u64)),
        content_type: Set(document.content_type.clone()),
        bytes: Set(signed(document.bytes)),
        sha256: Set(document.sha256.to_string()),
        created_at: Set(now),
        updated_at: Set(now),
    };
    Entity::insert(values).exec_without_returning(tx).await?;
    get(tx, document.id).await
}

/// How many documents there are.
pub async fn count(tx: &TenantTx) -> Result<u64, StoreError> {
    Ok(Entity::find().count(tx).await?)
}

/// A document.
///
/// # Errors
/// `NotFound`.
pub async fn get(tx: &TenantTx, id: DocumentId) -> Result<DocumentRow, StoreError> {
    Entity::find_by_id(id.uuid()).one(tx).await?.ok_or(StoreError::NotFound("document"))?.try_into()
}

/// Those of the documents that are there.
pub async fn find_all(tx: &TenantTx, ids: &BTreeSet<DocumentId>) -> Result<Vec<DocumentRow>, StoreError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let rows = Entity::find().filter(Column::Id.is_in(ids.iter().map(|id| id.uuid()))).all(tx).await?;
    rows.into_iter().map(DocumentRow::try_from).collect()
}

/// Documents, newest first, made before `before`.
pub async fn list(tx: &TenantTx, before: Option<DocumentId>, limit: u64) -> Result<Vec<DocumentRow>, StoreError> {
    let mut query = Entity::find().order_by_desc(Column::Id).limit(limit);
    if let Some(before) = before {
        query = query.filter(Column::Id.lt(before.uuid()));
    }
    query.all(tx).await?.into_iter().map(DocumentRow::try_from).collect()
}

/// Gives it another name. Runs keep the one that it had.
///
/// # Errors
/// `NotFound`.
pub async fn rename(tx: &TenantTx, id: DocumentId, name: &str, now: DateTime<Utc>) -> Result<DocumentRow, StoreError> {
    Entity::update_many()
        .col_expr(Column::Name, Expr::value(name))
        .col_expr(Column::UpdatedAt, Expr::value(now))
        .filter(Column::Id.eq(id.uuid()))
        .exec(tx)
        .await?;
    get(tx, id).await
}

/// Deletes it. Its text stays while a run or another document names it.
///
/// # Errors
/// `NotFound`.
pub async fn delete(tx: &TenantTx, id: DocumentId) -> Result<(), StoreError> {
    let row = get(tx, id).await?;
    let deleted = Entity::delete_by_id(id.uuid()).exec(tx).await?;
    if deleted.rows_affected == 0 {
        return Err(StoreError::NotFound("document"));
    }
    texts::drop_unnamed(tx, &BTreeSet::from([row.text_hash])).await
}
