//! Items of the library: made, listed, changed, deleted. What is in one is JSON here. Called by the api.

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Expr, LockType};
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect};
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::item_entity::{ActiveModel, Column, Entity, Model};
use crate::column::{from_json, to_json};
use crate::{StoreError, TenantTx};

/// What sort of item it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ItemKind {
    /// Instructions with variables.
    Template,
    /// What a judge scores.
    CriteriaSet,
    /// A saved run specification.
    Preset,
}

impl ItemKind {
    /// The word that stands in the database.
    const fn as_str(self) -> &'static str {
        match self {
            Self::Template => "template",
            Self::CriteriaSet => "criteria_set",
            Self::Preset => "preset",
        }
    }

    /// As people call it.
    pub(super) const fn what(self) -> &'static str {
        match self {
            Self::Template => "template",
            Self::CriteriaSet => "criteria set",
            Self::Preset => "preset",
        }
    }
}

/// A new item.
#[derive(Debug, Clone)]
pub struct NewItem<'a, T> {
    /// What sort it is.
    pub kind: ItemKind,
    /// Its id.
    pub id: Uuid,
    /// Its name.
    pub name: &'a str,
    /// What it is for.
    pub description: &'a str,
    /// What is in it.
    pub body: &'a T,
}

/// An item as it is stored; in lists without what is in it, `()`, which may be long.
#[derive(Debug, Clone, PartialEq)]
pub struct ItemRow<T> {
    /// Its id.
    pub id: Uuid,
    /// Its name, the only one of its kind.
    pub name: String,
    /// Counts up from 1 at every change.
    pub version: u32,
    /// What it is for.
    pub description: String,
    /// What is in it.
    pub body: T,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was changed last.
    pub updated_at: DateTime<Utc>,
}

impl<T> ItemRow<T> {
    /// What is in it, and the rest.
    pub fn split(self) -> (T, ItemRow<()>) {
        let Self { id, name, version, description, body, created_at, updated_at } = self;
        (body, ItemRow { id, name, version, description, body: (), created_at, updated_at })
    }
}

impl<T: DeserializeOwned> TryFrom<Model> for ItemRow<T> {
    type Error = StoreError;

    fn try_from(row: Model) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.id,
            name: row.name,
            version: u32::try_from(row.version).unwrap_or(0),
            description: row.description,
            body: from_json("library_items.body", &row.body)?,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

/// Writes a new item, as version 1.
///
/// # Errors
/// `Conflict` where one of its kind has this name.
pub async fn insert<T: Serialize + DeserializeOwned>(
    tx: &TenantTx,
    new: NewItem<'_, T>,
    now: DateTime<Utc>,
) -> Result<ItemRow<T>, StoreError> {
    let NewItem { kind, id, name, description, body } = new;
    let values = ActiveModel {
        id: Set(id),
        kind: Set(kind.as_str().to_owned()),
        name: Set(name.to_owned()),
        version: Set(1),
        description: Set(description.to_owned()),
        body: Set(to_json(body)),
        created_at: Set(now),
        updated_at: Set(now),
    };
    Entity::insert(values).exec_without_returning(tx).await?;
    get(tx, kind, id).await
}

/// How many items of the kind there are.
pub async fn count(tx: &TenantTx, kind: ItemKind) -> Result<u64, StoreError> {
    Ok(Entity::find().filter(Column::Kind.eq(kind.as_str())).count(tx).await?)
}

/// An item, if it is there.
pub async fn find<T: DeserializeOwned>(
    tx: &TenantTx,
    kind: ItemKind,
    id: Uuid,
) -> Result<Option<ItemRow<T>>, StoreError> {
    let row = Entity::find_by_id(id).filter(Column::Kind.eq(kind.as_str())).one(tx).await?;
    row.map(ItemRow::try_from).transpose()
}

/// An item.
///
/// # Errors
/// `NotFound`.
pub async fn get<T: DeserializeOwned>(tx: &TenantTx, kind: ItemKind, id: Uuid) -> Result<ItemRow<T>, StoreError> {
    find(tx, kind, id).await?.ok_or(StoreError::NotFound(kind.what()))
}

/// An item, locked until the transaction ends.
///
/// # Errors
/// `NotFound`.
pub async fn lock<T: DeserializeOwned>(tx: &TenantTx, kind: ItemKind, id: Uuid) -> Result<ItemRow<T>, StoreError> {
    let row = Entity::find_by_id(id).filter(Column::Kind.eq(kind.as_str())).lock(LockType::Update).one(tx).await?;
    row.ok_or(StoreError::NotFound(kind.what()))?.try_into()
}

/// The columns of a list: id, name, version, description, when it was made and changed.
type Listed = (Uuid, String, i32, String, DateTime<Utc>, DateTime<Utc>);

/// Items of the kind, newest first, made before `before`; what is in them is not read.
pub async fn list(
    tx: &TenantTx,
    kind: ItemKind,
    before: Option<Uuid>,
    limit: u64,
) -> Result<Vec<ItemRow<()>>, StoreError> {
    let mut query = Entity::find()
        .select_only()
        .columns([Column::Id, Column::Name, Column::Version, Column::Description, Column::CreatedAt, Column::UpdatedAt])
        .filter(Column::Kind.eq(kind.as_str()))
        .order_by_desc(Column::Id)
        .limit(limit);
    if let Some(before) = before {
        query = query.filter(Column::Id.lt(before));
    }
    let rows: Vec<Listed> = query.into_tuple().all(tx).await?;
    let listed = rows.into_iter().map(|(id, name, version, description, created_at, updated_at)| {
        let version = u32::try_from(version).unwrap_or(0);
        ItemRow { id, name, version, description, body: (), created_at, updated_at }
    });
    Ok(listed.collect())
}

/// Writes the next version of an item that this transaction has locked, as it is in `changed`.
///
/// # Errors
/// `Conflict` where another one of its kind has the name.
pub async fn update<T: Serialize>(
    tx: &TenantTx,
    mut changed: ItemRow<T>,
    now: DateTime<Utc>,
) -> Result<ItemRow<T>, StoreError> {
    changed.version += 1;
    changed.updated_at = now;
    Entity::update_many()
        .col_expr(Column::Name, Expr::value(&*changed.name))
        .col_expr(Column::Version, Expr::value(changed.version as i32))
        .col_expr(Column::Description, Expr::value(&*changed.description))
        .col_expr(Column::Body, Expr::value(to_json(&changed.body)))
        .col_expr(Column::UpdatedAt, Expr::value(now))
        .filter(Column::Id.eq(changed.id))
        .exec(tx)
        .await?;
    Ok(changed)
}

/// Deletes an item, with its versions.
///
/// # Errors
/// `NotFound`.
pub async fn delete(tx: &TenantTx, kind: ItemKind, id: Uuid) -> Result<(), StoreError> {
    let deleted =
        Entity::delete_many().filter(Column::Id.eq(id)).filter(Column::Kind.eq(kind.as_str())).exec(tx).await?;
    if deleted.rows_affected == 0 { Err(StoreError::NotFound(kind.what())) } else { Ok(()) }
}
