//! The tenant's secrets for LLM providers: sealed bytes and what may be shown of them. Called by `api` (settings) and `worker`
//! (the key of a call). Sealing and opening are `vault`'s part.
//!
//! At most one key of a provider is its default (a unique index sees to it); a default is active.

use std::fmt;

use acm2_domain::ids::ProviderKeyId;
use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::sea_query::Expr;
use sea_orm::{
    ActiveValue::Set, ColumnTrait, Condition, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect,
};
use serde::{Deserialize, Serialize};

use crate::column::{from_word, to_word};
use crate::entities::provider_key::{ActiveModel, Column, Entity, Model};
use crate::error::StoreError;
use crate::tenant_tx::TenantTx;

/// What the last test or use of a key showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyStatus {
    /// It was never tried.
    Untested,
    /// The provider accepts it.
    Valid,
    /// The provider refuses it.
    Invalid,
    /// The provider accepts it, but its account has no credit or quota left.
    Quota,
}

/// A key as it is stored.
#[derive(Clone, PartialEq, Eq)]
pub struct ProviderKeyRow {
    /// Its id.
    pub id: ProviderKeyId,
    /// The provider's slug.
    pub provider: String,
    /// Its name, for people.
    pub label: String,
    /// The ciphertext.
    pub sealed: Vec<u8>,
    /// The key's beginning, for lists.
    pub prefix: String,
    /// The key's end, for lists.
    pub last4: String,
    /// Where its calls go, if not to the provider's own place; the ciphertext is bound to it.
    pub base_url: Option<String>,
    /// Whether runs that name no key use it.
    pub is_default: bool,
    /// Whether it may be used.
    pub is_active: bool,
    /// What the last test or use showed.
    pub status: KeyStatus,
    /// More about that, for people.
    pub status_detail: Option<String>,
    /// When that was.
    pub tested_at: Option<DateTime<Utc>>,
    /// When it was used last, roughly.
    pub last_used_at: Option<DateTime<Utc>>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was changed last.
    pub updated_at: DateTime<Utc>,
}

impl fmt::Debug for ProviderKeyRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProviderKeyRow").field("id", &self.id).field("provider", &self.provider).finish_non_exhaustive()
    }
}

/// A new key.
#[derive(Clone)]
pub struct NewProviderKey {
    /// Its id, made by the caller because the ciphertext is bound to it.
    pub id: ProviderKeyId,
    /// The provider's slug.
    pub provider: String,
    /// Its name, for people.
    pub label: String,
    /// The secret.
    pub secret: SealedKey,
    /// Whether it becomes the provider's default. The provider's first key does in any case.
    pub make_default: bool,
}

/// The secret of a key, with what may be shown of it and what it is bound to.
#[derive(Clone)]
pub struct SealedKey {
    /// The ciphertext.
    pub sealed: Vec<u8>,
    /// The key's beginning.
    pub prefix: String,
    /// The key's end.
    pub last4: String,
    /// The base URL that the ciphertext is bound to.
    pub base_url: Option<String>,
}

/// What may be changed of a key without its secret; `None` leaves it.
#[derive(Debug, Clone, Default)]
pub struct ProviderKeyChange {
    /// Another name.
    pub label: Option<String>,
    /// Whether it may be used. A default that is switched off is no default any more.
    pub is_active: Option<bool>,
    /// Whether it is the provider's default; a new default takes the place of the old one and is active.
    pub is_default: Option<bool>,
}

impl ProviderKeyRow {
    fn read(row: Model) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.id.into(),
            provider: row.provider,
            label: row.label,
            sealed: row.sealed,
            prefix: row.prefix,
            last4: row.last4,
            base_url: row.base_url,
            is_default: row.is_default,
            is_active: row.is_active,
            status: from_word("provider_keys.status", &row.status)?,
            status_detail: row.status_detail,
            tested_at: row.tested_at,
            last_used_at: row.last_used_at,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

/// Writes a new key.
///
/// # Errors
/// `Conflict` if two requests make a default of the same provider at the same moment.
pub async fn insert(tx: &TenantTx, key: NewProviderKey, now: DateTime<Utc>) -> Result<ProviderKeyRow, StoreError> {
    let has_default =
        Entity::find().filter(Column::Provider.eq(&key.provider)).filter(Column::IsDefault.eq(true)).count(tx).await?
            > 0;
    if key.make_default && has_default {
        drop_default(tx, &key.provider, now).await?;
    }
    let values = ActiveModel {
        id: Set(key.id.uuid()),
        provider: Set(key.provider),
        label: Set(key.label),
        sealed: Set(key.secret.sealed),
        prefix: Set(key.secret.prefix),
        last4: Set(key.secret.last4),
        base_url: Set(key.secret.base_url),
        is_default: Set(key.make_default || !has_default),
        is_active: Set(true),
        status: Set(to_word(KeyStatus::Untested)),
        status_detail: Set(None),
        tested_at: Set(None),
        last_used_at: Set(None),
        created_at: Set(now),
        updated_at: Set(now),
    };
    Entity::insert(values).exec_without_returning(tx).await?;
    get(tx, key.id).await
}

/// How many there are.
pub async fn count(tx: &TenantTx) -> Result<u64, StoreError> {
    Ok(Entity::find().count(tx).await?)
}

/// All keys, by provider, oldest first.
pub async fn list(tx: &TenantTx) -> Result<Vec<ProviderKeyRow>, StoreError> {
    let rows = Entity::find().order_by_asc(Column::Provider).order_by_asc(Column::Id).all(tx).await?;
    rows.into_iter().map(ProviderKeyRow::read).collect()
}

/// One key.
///
/// # Errors
/// `NotFound`.
pub async fn get(tx: &TenantTx, id: ProviderKeyId) -> Result<ProviderKeyRow, StoreError> {
    let row = Entity::find_by_id(id.uuid()).one(tx).await?;
    ProviderKeyRow::read(row.ok_or(StoreError::NotFound("provider key"))?)
}

/// The key for a call: the named one, else the provider's default. `None` if there is none, it is switched off, or it is
/// another provider's.
pub async fn find_for_call(
    tx: &TenantTx,
    provider: &str,
    named: Option<ProviderKeyId>,
) -> Result<Option<ProviderKeyRow>, StoreError> {
    let query = Entity::find().filter(Column::Provider.eq(provider)).filter(Column::IsActive.eq(true));
    let query = match named {
        Some(id) => query.filter(Column::Id.eq(id.uuid())),
        None => query.filter(Column::IsDefault.eq(true)),
    };
    query.one(tx).await?.map(ProviderKeyRow::read).transpose()
}

/// Changes a key.
///
/// # Errors
/// `NotFound`; `Conflict` if two requests make a default of the same provider at the same moment.
pub async fn update(
    tx: &TenantTx,
    id: ProviderKeyId,
    change: ProviderKeyChange,
    now: DateTime<Utc>,
) -> Result<ProviderKeyRow, StoreError> {
    if change.is_default == Some(true) {
        lock_all(tx, &get(tx, id).await?.provider).await?;
    }
    let key = locked(tx, id).await?;
    let is_active = change.is_default == Some(true) || change.is_active.unwrap_or(key.is_active);
    let is_default = is_active && change.is_default.unwrap_or(key.is_default);
    if is_default && !key.is_default {
        drop_default(tx, &key.provider, now).await?;
    }
    Entity::update_many()
        .col_expr(Column::Label, Expr::value(change.label.unwrap_or(key.label)))
        .col_expr(Column::IsActive, Expr::value(is_active))
        .col_expr(Column::IsDefault, Expr::value(is_default))
        .col_expr(Column::UpdatedAt, Expr::value(now))
        .filter(Column::Id.eq(id.uuid()))
        .exec(tx)
        .await?;
    get(tx, id).await
}

/// Puts another secret in the place of a key's; it counts as untested.
///
/// # Errors
/// `NotFound`.
pub async fn replace_secret(
    tx: &TenantTx,
    id: ProviderKeyId,
    secret: SealedKey,
    now: DateTime<Utc>,
) -> Result<ProviderKeyRow, StoreError> {
    Entity::update_many()
        .col_expr(Column::Sealed, Expr::value(secret.sealed))
        .col_expr(Column::Prefix, Expr::value(secret.prefix))
        .col_expr(Column::Last4, Expr::value(secret.last4))
        .col_expr(Column::BaseUrl, Expr::value(secret.base_url))
        .col_expr(Column::Status, Expr::value(to_word(KeyStatus::Untested)))
        .col_expr(Column::StatusDetail, Expr::value(None::<String>))
        .col_expr(Column::TestedAt, Expr::value(None::<DateTime<Utc>>))
        .col_expr(Column::UpdatedAt, Expr::value(now))
        .filter(Column::Id.eq(id.uuid()))
        .exec(tx)
        .await?;
    get(tx, id).await
}

/// Deletes a key. No other becomes the default by it.
///
/// # Errors
/// `NotFound`.
pub async fn delete(tx: &TenantTx, id: ProviderKeyId) -> Result<(), StoreError> {
    match Entity::delete_by_id(id.uuid()).exec(tx).await?.rows_affected {
        0 => Err(StoreError::NotFound("provider key")),
        _ => Ok(()),
    }
}

/// Notes what a test or a use showed. Nothing happens if the key is gone or holds another secret than the one that was tried.
/// A key that is accepted again counts as changed, so that nobody goes by what was known of it before.
pub async fn mark_status(
    tx: &TenantTx,
    tried: &ProviderKeyRow,
    status: KeyStatus,
    detail: Option<&str>,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    if status == KeyStatus::Valid {
        Entity::update_many()
            .col_expr(Column::UpdatedAt, Expr::value(now))
            .filter(Column::Id.eq(tried.id.uuid()))
            .filter(Column::Sealed.eq(tried.sealed.clone()))
            .filter(Column::Status.is_in([to_word(KeyStatus::Invalid), to_word(KeyStatus::Quota)]))
            .exec(tx)
            .await?;
    }
    Entity::update_many()
        .col_expr(Column::Status, Expr::value(to_word(status)))
        .col_expr(Column::StatusDetail, Expr::value(detail))
        .col_expr(Column::TestedAt, Expr::value(now))
        .filter(Column::Id.eq(tried.id.uuid()))
        .filter(Column::Sealed.eq(tried.sealed.clone()))
        .exec(tx)
        .await?;
    Ok(())
}

/// Notes that a key was used, at most once in `every`. Tells whether it wrote.
pub async fn touch_last_used(
    tx: &TenantTx,
    id: ProviderKeyId,
    now: DateTime<Utc>,
    every: TimeDelta,
) -> Result<bool, StoreError> {
    let update = Entity::update_many()
        .col_expr(Column::LastUsedAt, Expr::value(now))
        .filter(Column::Id.eq(id.uuid()))
        .filter(Condition::any().add(Column::LastUsedAt.is_null()).add(Column::LastUsedAt.lte(now - every)));
    Ok(update.exec(tx).await?.rows_affected == 1)
}

async fn drop_default(tx: &TenantTx, provider: &str, now: DateTime<Utc>) -> Result<(), StoreError> {
    Entity::update_many()
        .col_expr(Column::IsDefault, Expr::value(false))
        .col_expr(Column::UpdatedAt, Expr::value(now))
        .filter(Column::Provider.eq(provider))
        .filter(Column::IsDefault.eq(true))
        .exec(tx)
        .await?;
    Ok(())
}

/// Locks all keys of a provider, in the order of their ids as everywhere, for the default is about to go from one to another.
async fn lock_all(tx: &TenantTx, provider: &str) -> Result<(), StoreError> {
    let keys = Entity::find().select_only().column(Column::Id).filter(Column::Provider.eq(provider));
    let _: Vec<uuid::Uuid> = keys.order_by_asc(Column::Id).lock_exclusive().into_tuple().all(tx).await?;
    Ok(())
}

/// The key, so that nobody else changes it before this transaction ends.
async fn locked(tx: &TenantTx, id: ProviderKeyId) -> Result<ProviderKeyRow, StoreError> {
    let row = Entity::find_by_id(id.uuid()).lock_exclusive().one(tx).await?;
    ProviderKeyRow::read(row.ok_or(StoreError::NotFound("provider key"))?)
}
