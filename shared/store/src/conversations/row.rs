//! Conversations as they are stored: made, listed, renamed, deleted.

use acm2_domain::ids::{ApiKeyId, ConversationId};
use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Expr, LockType};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, Condition, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect,
};

use super::conversation_entity::{ActiveModel, Column, Entity, Model};
use crate::{StoreError, TenantTx};

/// What a conversation is called before anyone gives it a title.
pub const UNTITLED: &str = "untitled";

/// A conversation as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConversationRow {
    /// Its id.
    pub id: ConversationId,
    /// The API key that made it.
    pub api_key: Option<ApiKeyId>,
    /// Its title.
    pub title: String,
    /// The number of its last message; 0 before the first.
    pub last_message: u32,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was renamed or went on last.
    pub updated_at: DateTime<Utc>,
}

/// A new conversation.
#[derive(Debug, Clone)]
pub struct NewConversation {
    /// Its id.
    pub id: ConversationId,
    /// The API key that makes it.
    pub api_key: ApiKeyId,
    /// Its title.
    pub title: String,
}

impl From<Model> for ConversationRow {
    fn from(row: Model) -> Self {
        Self {
            id: row.id.into(),
            api_key: row.api_key_id.map(ApiKeyId::from),
            title: row.title,
            last_message: u32::try_from(row.last_message).unwrap_or(0),
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}

/// Whose they are.
fn of(owner: Option<ApiKeyId>) -> Condition {
    Condition::all().add_option(owner.map(|owner| Column::ApiKeyId.eq(owner.uuid())))
}

const NONE: StoreError = StoreError::NotFound("conversation");

/// Writes a new conversation without messages.
pub async fn insert(
    tx: &TenantTx,
    conversation: NewConversation,
    now: DateTime<Utc>,
) -> Result<ConversationRow, StoreError> {
    let values = ActiveModel {
        id: Set(conversation.id.uuid()),
        api_key_id: Set(Some(conversation.api_key.uuid())),
        title: Set(conversation.title),
        last_message: Set(0),
        created_at: Set(now),
        updated_at: Set(now),
    };
    Entity::insert(values).exec_without_returning(tx).await?;
    get(tx, None, conversation.id).await
}

/// How many conversations there are.
pub async fn count(tx: &TenantTx) -> Result<u64, StoreError> {
    Ok(Entity::find().count(tx).await?)
}

/// A conversation.
///
/// # Errors
/// `NotFound`.
pub async fn get(tx: &TenantTx, owner: Option<ApiKeyId>, id: ConversationId) -> Result<ConversationRow, StoreError> {
    Ok(Entity::find_by_id(id.uuid()).filter(of(owner)).one(tx).await?.ok_or(NONE)?.into())
}

/// A conversation, locked until the transaction ends.
///
/// # Errors
/// `NotFound`.
pub async fn lock(tx: &TenantTx, owner: Option<ApiKeyId>, id: ConversationId) -> Result<ConversationRow, StoreError> {
    Ok(Entity::find_by_id(id.uuid()).filter(of(owner)).lock(LockType::Update).one(tx).await?.ok_or(NONE)?.into())
}

/// Conversations, newest first, made before `before`.
pub async fn list(
    tx: &TenantTx,
    owner: Option<ApiKeyId>,
    before: Option<ConversationId>,
    limit: u64,
) -> Result<Vec<ConversationRow>, StoreError> {
    let mut query = Entity::find().filter(of(owner)).order_by_desc(Column::Id).limit(limit);
    if let Some(before) = before {
        query = query.filter(Column::Id.lt(before.uuid()));
    }
    Ok(query.all(tx).await?.into_iter().map(ConversationRow::from).collect())
}

/// Gives it another title.
///
/// # Errors
/// `NotFound`.
pub async fn rename(
    tx: &TenantTx,
    owner: Option<ApiKeyId>,
    id: ConversationId,
    title: &str,
    now: DateTime<Utc>,
) -> Result<ConversationRow, StoreError> {
    Entity::update_many()
        .col_expr(Column::Title, Expr::value(title))
        .col_expr(Column::UpdatedAt, Expr::value(now))
        .filter(Column::Id.eq(id.uuid()))
        .filter(of(owner))
        .exec(tx)
        .await?;
    get(tx, owner, id).await
}

/// Notes the number of its last message.
pub(super) async fn set_last_message(
    tx: &TenantTx,
    id: ConversationId,
    last_message: u32,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    Entity::update_many()
        .col_expr(Column::LastMessage, Expr::value(last_message as i32))
        .col_expr(Column::UpdatedAt, Expr::value(now))
        .filter(Column::Id.eq(id.uuid()))
        .exec(tx)
        .await?;
    Ok(())
}

/// Deletes it with all its messages.
///
/// # Errors
/// `NotFound`.
pub async fn delete(tx: &TenantTx, owner: Option<ApiKeyId>, id: ConversationId) -> Result<(), StoreError> {
    let deleted = Entity::delete_by_id(id.uuid()).filter(of(owner)).exec(tx).await?;
    if deleted.rows_affected == 0 { Err(NONE) } else { Ok(()) }
}
