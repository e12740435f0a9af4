//! Messages of a conversation: numbered from 1 without gaps, added at the end and never changed.

use acm2_domain::call::{Message, Role};
use acm2_domain::ids::ConversationId;
use chrono::{DateTime, Utc};
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use super::message_entity::{ActiveModel, Column, Entity};
use super::row::{ConversationRow, set_last_message};
use crate::column::{from_word, to_word};
use crate::{StoreError, TenantTx};

/// A message as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageRow {
    /// Its number in the conversation, from 1.
    pub number: u32,
    /// Who speaks.
    pub role: Role,
    /// What is said.
    pub content: String,
    /// When it was added.
    pub created_at: DateTime<Utc>,
}

/// Adds messages at the end of a conversation that this transaction has locked or made; them, numbered.
pub async fn append(
    tx: &TenantTx,
    conversation: &ConversationRow,
    messages: Vec<Message>,
    now: DateTime<Utc>,
) -> Result<Vec<MessageRow>, StoreError> {
    if messages.is_empty() {
        return Ok(Vec::new());
    }
    let rows: Vec<MessageRow> = (conversation.last_message + 1..)
        .zip(messages)
        .map(|(number, message)| MessageRow { number, role: message.role, content: message.content, created_at: now })
        .collect();
    let values = rows.iter().map(|row| ActiveModel {
        conversation_id: Set(conversation.id.uuid()),
        number: Set(row.number as i32),
        role: Set(to_word(row.role)),
        content: Set(row.content.clone()),
        bytes: Set(i32::try_from(row.content.len()).unwrap_or(i32::MAX)),
        created_at: Set(now),
    });
    Entity::insert_many(values).exec_without_returning(tx).await?;
    set_last_message(tx, conversation.id, conversation.last_message + rows.len() as u32, now).await?;
    Ok(rows)
}

/// Messages of a conversation in their order, those after the number `after`: at most `limit`, and no more after the first than
/// come to `most_bytes` of text; and whether there are more.
pub async fn list(
    tx: &TenantTx,
    conversation: ConversationId,
    after: u32,
    limit: u64,
    most_bytes: u64,
) -> Result<(Vec<MessageRow>, bool), StoreError> {
    let following = Entity::find()
        .filter(Column::ConversationId.eq(conversation.uuid()))
        .filter(Column::Number.gt(i32::try_from(after).unwrap_or(i32::MAX)))
        .order_by_asc(Column::Number);
    // The sizes come first, so that no text is read that is not handed out.
    let sizes: Vec<i32> = following
        .clone()
        .select_only()
        .column(Column::Bytes)
        .limit(limit.saturating_add(1))
        .into_tuple()
        .all(tx)
        .await?;
    let fitting = sizes.iter().scan(0, |sum: &mut u64, bytes| {
        *sum = sum.saturating_add(u64::try_from(*bytes).unwrap_or(0));
        Some(*sum)
    });
    let fitting = fitting.take_while(|sum| *sum <= most_bytes).count().max(1) as u64;
    let count = fitting.min(limit);
    let rows = following.limit(count).all(tx).await?;
    let rows: Result<Vec<MessageRow>, StoreError> = rows
        .into_iter()
        .map(|row| {
            Ok(MessageRow {
                number: u32::try_from(row.number).unwrap_or(0),
                role: from_word("messages.role", &row.role)?,
                content: row.content,
                created_at: row.created_at,
            })
        })
        .collect();
    Ok((rows?, sizes.len() as u64 > count))
}
