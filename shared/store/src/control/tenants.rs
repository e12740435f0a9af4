//! Accounts: made, found, listed, deleted; their wrapped data keys and what an operator allows them.
//! Called by the command line and by `api`; the data key is opened elsewhere.

use acm2_domain::ids::TenantId;
use chrono::{DateTime, Utc};
use sea_orm::sea_query::Expr;
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect};

use super::tenant_entity::{ActiveModel, Column, Entity, Model};
use super::{api_key_entity, job_entity};
use crate::column::{from_json, to_json};
use crate::error::StoreError;
use crate::store::Store;

const ACTIVE: &str = "active";
const DELETING: &str = "deleting";

/// A tenant's data key, wrapped by a master key.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredDataKey {
    /// Which master key opens it.
    pub master_key_id: String,
    /// The ciphertext.
    pub bytes: Vec<u8>,
}

impl std::fmt::Debug for StoredDataKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoredDataKey").field("master_key_id", &self.master_key_id).finish_non_exhaustive()
    }
}

/// An account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantRow {
    /// Its id.
    pub id: TenantId,
    /// Its name, for people.
    pub name: String,
    /// The key that seals its secrets.
    pub data_key: StoredDataKey,
    /// Hosts with private addresses that an operator allows its webhooks and base URLs to reach.
    pub private_hosts: Vec<String>,
    /// How much its turn in the queue counts beside those of the others, 1 to 100.
    pub weight: u8,
    /// When it was made.
    pub created_at: DateTime<Utc>,
}

impl TenantRow {
    fn read(row: Model) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.id.into(),
            name: row.name,
            data_key: StoredDataKey { master_key_id: row.data_key_master, bytes: row.data_key },
            private_hosts: from_json("tenants.private_hosts", &row.private_hosts)?,
            weight: weight_of(row.weight),
            created_at: row.created_at,
        })
    }
}

/// Accounts.
#[derive(Debug, Clone, Copy)]
pub struct Tenants<'a>(&'a Store);

impl<'a> Tenants<'a> {
    pub(crate) const fn new(store: &'a Store) -> Self {
        Self(store)
    }

    /// Makes an account with an empty store. The caller makes the id, because the data key is bound to it.
    ///
    /// # Errors
    /// `Conflict` if the id is taken.
    pub async fn create(
        &self,
        id: TenantId,
        name: &str,
        data_key: StoredDataKey,
        now: DateTime<Utc>,
    ) -> Result<TenantRow, StoreError> {
        // The store comes before the row: a row thus means that there is a store, and nothing makes one by looking.
        self.0.tenant_stores().create(id).await?;
        let row = Model {
            id: id.uuid(),
            name: name.to_owned(),
            data_key: data_key.bytes,
            data_key_master: data_key.master_key_id,
            status: ACTIVE.to_owned(),
            private_hosts: "[]".to_owned(),
            min_binary: None,
            weight: 1,
            created_at: now,
        };
        let values = ActiveModel {
            id: Set(row.id),
            name: Set(row.name.clone()),
            data_key: Set(row.data_key.clone()),
            data_key_master: Set(row.data_key_master.clone()),
            status: Set(row.status.clone()),
            private_hosts: Set(row.private_hosts.clone()),
            min_binary: Set(None),
            weight: Set(row.weight),
            created_at: Set(row.created_at),
        };
        Entity::insert(values).exec_without_returning(self.0.control()).await?;
        TenantRow::read(row)
    }

    /// The account; `None` also while it is being deleted.
    pub async fn find(&self, id: TenantId) -> Result<Option<TenantRow>, StoreError> {
        let row = Entity::find_by_id(id.uuid()).filter(Column::Status.eq(ACTIVE)).one(self.0.control()).await?;
        row.map(TenantRow::read).transpose()
    }

    /// The account.
    ///
    /// # Errors
    /// `NotFound`, also while it is being deleted.
    pub async fn get(&self, id: TenantId) -> Result<TenantRow, StoreError> {
        self.find(id).await?.ok_or(StoreError::NotFound("tenant"))
    }

    /// Accounts by id, which is by age, after `after`.
    pub async fn list(&self, after: Option<TenantId>, limit: u64) -> Result<Vec<TenantRow>, StoreError> {
        let mut query = Entity::find().filter(Column::Status.eq(ACTIVE)).order_by_asc(Column::Id).limit(limit);
        if let Some(after) = after {
            query = query.filter(Column::Id.gt(after.uuid()));
        }
        query.all(self.0.control()).await?.into_iter().map(TenantRow::read).collect()
    }

    /// How many there are.
    pub async fn count(&self) -> Result<u64, StoreError> {
        Ok(Entity::find().filter(Column::Status.eq(ACTIVE)).count(self.0.control()).await?)
    }

    /// Sets the hosts with private addresses that the tenant may reach.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn set_private_hosts(&self, id: TenantId, hosts: &[String]) -> Result<(), StoreError> {
        let update = Entity::update_many()
            .col_expr(Column::PrivateHosts, Expr::value(to_json(hosts)))
            .filter(Column::Id.eq(id.uuid()))
            .filter(Column::Status.eq(ACTIVE));
        match update.exec(self.0.control()).await?.rows_affected {
            0 => Err(StoreError::NotFound("tenant")),
            _ => Ok(()),
        }
    }

    /// Sets how much the tenant's turn in the queue counts; a job that is pushed from now on carries it.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn set_weight(&self, id: TenantId, weight: u8) -> Result<(), StoreError> {
        let update = Entity::update_many()
            .col_expr(Column::Weight, Expr::value(i16::from(weight)))
            .filter(Column::Id.eq(id.uuid()))
            .filter(Column::Status.eq(ACTIVE));
        match update.exec(self.0.control()).await?.rows_affected {
            0 => Err(StoreError::NotFound("tenant")),
            _ => Ok(()),
        }
    }

    /// Puts a re-wrapped data key in the place of the one that was read. `false` if another stands there by now.
    pub async fn replace_data_key(
        &self,
        id: TenantId,
        old: &StoredDataKey,
        new: &StoredDataKey,
    ) -> Result<bool, StoreError> {
        let update = Entity::update_many()
            .col_expr(Column::DataKey, Expr::value(new.bytes.clone()))
            .col_expr(Column::DataKeyMaster, Expr::value(new.master_key_id.clone()))
            .filter(Column::Id.eq(id.uuid()))
            .filter(Column::Status.eq(ACTIVE))
            .filter(Column::DataKey.eq(old.bytes.clone()));
        Ok(update.exec(self.0.control()).await?.rows_affected == 1)
    }

    /// Deletes an account: first its data key, so that nothing sealed opens any more, its API keys and jobs; then its store; then
    /// its row. If it is cut off, doing it again goes on.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn delete(&self, id: TenantId) -> Result<(), StoreError> {
        let tx = self.0.begin_control().await?;
        let marked = Entity::update_many()
            .col_expr(Column::Status, Expr::value(DELETING))
            .col_expr(Column::DataKey, Expr::value(Vec::<u8>::new()))
            .filter(Column::Id.eq(id.uuid()))
            .exec(&tx)
            .await?;
        if marked.rows_affected == 0 {
            return Err(StoreError::NotFound("tenant"));
        }
        api_key_entity::Entity::delete_many().filter(api_key_entity::Column::TenantId.eq(id.uuid())).exec(&tx).await?;
        job_entity::Entity::delete_many().filter(job_entity::Column::TenantId.eq(id.uuid())).exec(&tx).await?;
        tx.commit().await?;
        self.0.forget_ready(id).await;
        self.0.tenant_stores().destroy(id).await?;
        Entity::delete_by_id(id.uuid()).exec(self.0.control()).await?;
        self.0.tenant_stores().after_delete(self.0.control().pool()).await
    }
}

/// As the column holds it; its CHECK keeps it from 1 to 100.
pub(super) fn weight_of(column: i16) -> u8 {
    u8::try_from(column).unwrap_or(1).max(1)
}

/// The version that a tenant's store asks of this program.
///
/// # Errors
/// `NotFound` for a tenant that does not exist or is being deleted.
pub(crate) async fn min_binary(store: &Store, id: TenantId) -> Result<Option<String>, StoreError> {
    let found: Option<Option<String>> = Entity::find_by_id(id.uuid())
        .filter(Column::Status.eq(ACTIVE))
        .select_only()
        .column(Column::MinBinary)
        .into_tuple()
        .one(store.control())
        .await?;
    found.ok_or(StoreError::NotFound("tenant"))
}
