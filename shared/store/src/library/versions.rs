//! Versions of an item that keeps them. Whoever makes or changes such an item adds the version in the same transaction; they go
//! with the item. Called by the api.

use chrono::{DateTime, Utc};
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::items::ItemRow;
use super::version_entity::{ActiveModel, Column, Entity, Model};
use crate::column::{from_json, to_json};
use crate::{StoreError, TenantTx};

/// What an item was in one of its versions; in lists without what was in it, `()`.
#[derive(Debug, Clone, PartialEq)]
pub struct VersionRow<T> {
    /// Its number, from 1.
    pub version: u32,
    /// What the item was called.
    pub name: String,
    /// What the item was for.
    pub description: String,
    /// What was in it.
    pub body: T,
    /// When it was written.
    pub created_at: DateTime<Utc>,
}

impl<T: DeserializeOwned> TryFrom<Model> for VersionRow<T> {
    type Error = StoreError;

    fn try_from(row: Model) -> Result<Self, StoreError> {
        Ok(Self {
            version: u32::try_from(row.version).unwrap_or(0),
            name: row.name,
            description: row.description,
            body: from_json("library_versions.body", &row.body)?,
            created_at: row.created_at,
        })
    }
}

/// Keeps the item as it is, and of its older versions only so many that it has at most `most`.
pub async fn add<T: Serialize>(tx: &TenantTx, item: &ItemRow<T>, most: u32) -> Result<(), StoreError> {
    let values = ActiveModel {
        item_id: Set(item.id),
        version: Set(item.version as i32),
        name: Set(item.name.clone()),
        description: Set(item.description.clone()),
        body: Set(to_json(&item.body)),
        created_at: Set(item.updated_at),
    };
    Entity::insert(values).exec_without_returning(tx).await?;
    let too_old = Column::Version.lte(item.version.saturating_sub(most) as i32);
    Entity::delete_many().filter(Column::ItemId.eq(item.id)).filter(too_old).exec(tx).await?;
    Ok(())
}

/// A version of an item, if it has it.
pub async fn find<T: DeserializeOwned>(
    tx: &TenantTx,
    item: Uuid,
    version: u32,
) -> Result<Option<VersionRow<T>>, StoreError> {
    let Ok(version) = i32::try_from(version) else { return Ok(None) };
    Entity::find_by_id((item, version)).one(tx).await?.map(VersionRow::try_from).transpose()
}

/// Versions of an item, newest first, older than `before`; what was in them is not read.
pub async fn list(
    tx: &TenantTx,
    item: Uuid,
    before: Option<u32>,
    limit: u64,
) -> Result<Vec<VersionRow<()>>, StoreError> {
    let mut query = Entity::find()
        .select_only()
        .columns([Column::Version, Column::Name, Column::Description, Column::CreatedAt])
        .filter(Column::ItemId.eq(item))
        .order_by_desc(Column::Version)
        .limit(limit);
    if let Some(before) = before {
        query = query.filter(Column::Version.lt(i32::try_from(before).unwrap_or(i32::MAX)));
    }
    let rows: Vec<(i32, String, String, DateTime<Utc>)> = query.into_tuple().all(tx).await?;
    let listed = rows.into_iter().map(|(version, name, description, created_at)| VersionRow {
        version: u32::try_from(version).unwrap_or(0),
        name,
        description,
        body: (),
        created_at,
    });
    Ok(listed.collect())
}
