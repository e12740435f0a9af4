//! Keys that authenticate callers: rows only; making and checking a key is `vault`'s part. Called by `api`.

use acm2_domain::ids::{ApiKeyId, TenantId};
use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::sea_query::Expr;
use sea_orm::{
    ActiveValue::Set, ColumnTrait, Condition, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect,
};

use super::api_key_entity::{ActiveModel, Column, Entity, Model};
use crate::column::{from_json, to_json};
use crate::error::StoreError;
use crate::store::Store;

/// A key as it is stored.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKeyRow {
    /// Its id.
    pub id: ApiKeyId,
    /// Whose it is.
    pub tenant: TenantId,
    /// Its name, for people.
    pub name: String,
    /// The part of the token by which it is found.
    pub public_id: String,
    /// The hash of the secret part.
    pub hash: String,
    /// The token's beginning, for lists.
    pub prefix: String,
    /// The token's end, for lists.
    pub last4: String,
    /// What it may do.
    pub scopes: Vec<String>,
    /// From when on it is refused.
    pub expires_at: Option<DateTime<Utc>>,
    /// Since when it is refused for good.
    pub revoked_at: Option<DateTime<Utc>>,
    /// When it was used last, roughly.
    pub last_used_at: Option<DateTime<Utc>>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
}

impl std::fmt::Debug for ApiKeyRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ApiKeyRow").field("id", &self.id).field("tenant", &self.tenant).finish_non_exhaustive()
    }
}

impl ApiKeyRow {
    fn read(row: Model) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.id.into(),
            tenant: row.tenant_id.into(),
            name: row.name,
            public_id: row.public_id,
            hash: row.hash,
            prefix: row.prefix,
            last4: row.last4,
            scopes: from_json("api_keys.scopes", &row.scopes)?,
            expires_at: row.expires_at,
            revoked_at: row.revoked_at,
            last_used_at: row.last_used_at,
            created_at: row.created_at,
        })
    }
}

/// What may be changed of a key; `None` leaves it.
#[derive(Debug, Clone, Default)]
pub struct ApiKeyChange {
    /// Another name.
    pub name: Option<String>,
    /// Other scopes.
    pub scopes: Option<Vec<String>>,
    /// Another expiry; `Some(None)` for none.
    pub expires_at: Option<Option<DateTime<Utc>>>,
}

/// Keys that authenticate callers.
#[derive(Debug, Clone, Copy)]
pub struct ApiKeys<'a>(&'a Store);

impl<'a> ApiKeys<'a> {
    pub(crate) const fn new(store: &'a Store) -> Self {
        Self(store)
    }

    /// Writes a new key.
    ///
    /// # Errors
    /// `Conflict` if the public id is taken.
    pub async fn insert(&self, key: &ApiKeyRow) -> Result<(), StoreError> {
        let values = ActiveModel {
            id: Set(key.id.uuid()),
            tenant_id: Set(key.tenant.uuid()),
            name: Set(key.name.clone()),
            public_id: Set(key.public_id.clone()),
            hash: Set(key.hash.clone()),
            prefix: Set(key.prefix.clone()),
            last4: Set(key.last4.clone()),
            scopes: Set(to_json(&key.scopes)),
            expires_at: Set(key.expires_at),
            revoked_at: Set(key.revoked_at),
            last_used_at: Set(key.last_used_at),
            created_at: Set(key.created_at),
        };
        Entity::insert(values).exec_without_returning(self.0.control()).await?;
        Ok(())
    }

    /// The key of a token. Whether it expired or was revoked is for the caller to see.
    pub async fn find_by_public_id(&self, public_id: &str) -> Result<Option<ApiKeyRow>, StoreError> {
        let row = Entity::find().filter(Column::PublicId.eq(public_id)).one(self.0.control()).await?;
        row.map(ApiKeyRow::read).transpose()
    }

    /// A key of the tenant.
    ///
    /// # Errors
    /// `NotFound`, also for a key of another tenant.
    pub async fn get(&self, tenant: TenantId, id: ApiKeyId) -> Result<ApiKeyRow, StoreError> {
        let row =
            Entity::find_by_id(id.uuid()).filter(Column::TenantId.eq(tenant.uuid())).one(self.0.control()).await?;
        ApiKeyRow::read(row.ok_or(StoreError::NotFound("API key"))?)
    }

    /// The tenant's keys, newest first, revoked ones too, made before `before`.
    pub async fn list(
        &self,
        tenant: TenantId,
        before: Option<ApiKeyId>,
        limit: u64,
    ) -> Result<Vec<ApiKeyRow>, StoreError> {
        let mut query =
            Entity::find().filter(Column::TenantId.eq(tenant.uuid())).order_by_desc(Column::Id).limit(limit);
        if let Some(before) = before {
            query = query.filter(Column::Id.lt(before.uuid()));
        }
        query.all(self.0.control()).await?.into_iter().map(ApiKeyRow::read).collect()
    }

    /// How many keys of the tenant hold: neither revoked nor expired.
    pub async fn count_active(&self, tenant: TenantId, now: DateTime<Utc>) -> Result<u64, StoreError> {
        let lasts = Condition::any().add(Column::ExpiresAt.is_null()).add(Column::ExpiresAt.gt(now));
        let query = Entity::find().filter(Column::TenantId.eq(tenant.uuid())).filter(Column::RevokedAt.is_null());
        Ok(query.filter(lasts).count(self.0.control()).await?)
    }

    /// Changes a key.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn update(&self, tenant: TenantId, id: ApiKeyId, change: ApiKeyChange) -> Result<ApiKeyRow, StoreError> {
        let mut update =
            Entity::update_many().filter(Column::Id.eq(id.uuid())).filter(Column::TenantId.eq(tenant.uuid()));
        let changes_nothing = change.name.is_none() && change.scopes.is_none() && change.expires_at.is_none();
        if let Some(name) = change.name {
            update = update.col_expr(Column::Name, Expr::value(name));
        }
        if let Some(scopes) = change.scopes {
            update = update.col_expr(Column::Scopes, Expr::value(to_json(&scopes)));
        }
        if let Some(expires_at) = change.expires_at {
            update = update.col_expr(Column::ExpiresAt, Expr::value(expires_at));
        }
        if !changes_nothing {
            update.exec(self.0.control()).await?;
        }
        self.get(tenant, id).await
    }

    /// Revokes a key; the time of the first revocation stays.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn revoke(&self, tenant: TenantId, id: ApiKeyId, now: DateTime<Utc>) -> Result<ApiKeyRow, StoreError> {
        Entity::update_many()
            .col_expr(Column::RevokedAt, Expr::value(now))
            .filter(Column::Id.eq(id.uuid()))
            .filter(Column::TenantId.eq(tenant.uuid()))
            .filter(Column::RevokedAt.is_null())
            .exec(self.0.control())
            .await?;
        self.get(tenant, id).await
    }

    /// Notes that a key was used, at most once in `every`. Tells whether it wrote.
    pub async fn touch_last_used(
        &self,
        key: &ApiKeyRow,
        now: DateTime<Utc>,
        every: TimeDelta,
    ) -> Result<bool, StoreError> {
        let due = now - every;
        if key.last_used_at.is_some_and(|at| at > due) {
            return Ok(false);
        }
        let update = Entity::update_many()
            .col_expr(Column::LastUsedAt, Expr::value(now))
            .filter(Column::Id.eq(key.id.uuid()))
            .filter(Condition::any().add(Column::LastUsedAt.is_null()).add(Column::LastUsedAt.lte(due)));
        Ok(update.exec(self.0.control()).await?.rows_affected == 1)
    }
}
