//! Messages of a conversation: numbered from 1 without gaps, added at the end and never changed.

use acm2_domain::call::{Message, Role};
use acm2_domain::ids::{ConversationId, RunId};
use acm2_domain::run::leaves_line;
use chrono::{DateTime, Utc};
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect};

use super::message_entity::{ActiveModel, Column, Entity};
use super::row::{ConversationRow, UNTITLED, lock, rename, set_last_message};
use crate::column::{from_word, to_word};
use crate::{StoreError, TenantTx};

/// The longest title that is given to a conversation at its first question, in characters.
const MOST_TITLE: usize = 60;

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
    insert(tx, conversation, messages, None, now).await
}

/// What a run was asked and what it answered.
#[derive(Debug, Clone, Copy)]
pub struct Exchange<'a> {
    /// The run.
    pub run: RunId,
    /// What it was asked.
    pub question: &'a str,
    /// What it answered.
    pub answer: &'a str,
    /// What a model calls the question, where one was asked.
    pub title: Option<&'a str>,
}

/// Adds it, once, if the conversation is still there. One without messages or a title is given one: that of the exchange, else the
/// first words of the question.
pub async fn append_exchange(
    tx: &TenantTx,
    conversation: ConversationId,
    exchange: Exchange<'_>,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let Exchange { run, question, answer, title } = exchange;
    let row = match lock(tx, None, conversation).await {
        Ok(row) => row,
        Err(StoreError::NotFound(_)) => return Ok(()),
        Err(error) => return Err(error),
    };
    // A run that is retried ends again.
    let of_run =
        Entity::find().filter(Column::ConversationId.eq(conversation.uuid())).filter(Column::RunId.eq(run.uuid()));
    if of_run.count(tx).await? > 0 {
        return Ok(());
    }
    if row.last_message == 0 && row.title == UNTITLED {
        rename(tx, None, conversation, &title_of(title.unwrap_or(question)), now).await?;
    }
    let said = [(Role::User, question), (Role::Assistant, answer)];
    let messages = said.map(|(role, content)| Message { role, content: content.to_owned() });
    insert(tx, &row, messages.into(), Some(run), now).await.map(|_| ())
}

/// The first words of a text, 60 characters at most, on one line.
fn title_of(text: &str) -> String {
    let mut title = String::new();
    for word in text.split(|letter: char| letter.is_whitespace() || leaves_line(letter)) {
        if !word.is_empty() && !title.is_empty() {
            title.push(' ');
        }
        title.push_str(word);
        if title.chars().count() > MOST_TITLE {
            return cut(&title);
        }
    }
    if title.is_empty() { UNTITLED.to_owned() } else { title }
}

/// As many words as there is room for, with a mark that there are more; of a single word as much as there is room for.
fn cut(title: &str) -> String {
    let kept: String = title.chars().take(MOST_TITLE - 1).collect();
    let ends_with_word = title[kept.len()..].starts_with(' ');
    let end = kept.rfind(' ').filter(|_| !ends_with_word).unwrap_or(kept.len());
    format!("{}…", &kept[..end])
}

async fn insert(
    tx: &TenantTx,
    conversation: &ConversationRow,
    messages: Vec<Message>,
    run: Option<RunId>,
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
        run_id: Set(run.map(RunId::uuid)),
        bytes: Set(i32::try_from(row.content.len()).unwrap_or(i32::MAX)),
        created_at: Set(now),
    });
    Entity::insert_many(values).exec_without_returning(tx).await?;
    set_last_message(tx, conversation.id, conversation.last_message + rows.len() as u32, now).await?;
    Ok(rows)
}

/// The newest messages of a conversation, oldest of them first: at most `limit`, and no more than come to `most_bytes` of text.
pub async fn newest(
    tx: &TenantTx,
    conversation: ConversationId,
    limit: u64,
    most_bytes: u64,
) -> Result<Vec<Message>, StoreError> {
    let all = Entity::find()
        .filter(Column::ConversationId.eq(conversation.uuid()))
        .order_by_desc(Column::Number)
        .limit(limit);
    let sizes: Vec<i32> = all.clone().select_only().column(Column::Bytes).into_tuple().all(tx).await?;
    let count = fitting(&sizes, most_bytes);
    if count == 0 {
        return Ok(Vec::new());
    }
    let rows = all.limit(count).all(tx).await?;
    let message = |row: super::message_entity::Model| {
        Ok(Message { role: from_word("messages.role", &row.role)?, content: row.content })
    };
    rows.into_iter().rev().map(message).collect()
}

/// How many of the first come to `most_bytes` at most.
fn fitting(sizes: &[i32], most_bytes: u64) -> u64 {
    let sums = sizes.iter().scan(0, |sum: &mut u64, bytes| {
        *sum = sum.saturating_add(u64::try_from(*bytes).unwrap_or(0));
        Some(*sum)
    });
    sums.take_while(|sum| *sum <= most_bytes).count() as u64
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
    let count = fitting(&sizes, most_bytes).max(1).min(limit);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_is_the_first_words_on_one_line() {
        assert_eq!(title_of("  Why is\n the\u{0}sky blue?\r\n"), "Why is the sky blue?");
        assert_eq!(title_of("\u{202e}der\u{2028}blue"), "der blue");
        let long = title_of(&"seven77 ".repeat(20));
        assert_eq!(long, format!("{}…", ["seven77"; 7].join(" ")));
        assert_eq!(title_of(&"é".repeat(100)), format!("{}…", "é".repeat(59)));
        assert_eq!(title_of("\n"), UNTITLED);
        // Whole words that fill the room, and one more: the mark has its place among the sixty.
        let full = ["four"; 12].join(" ");
        assert_eq!((full.len(), title_of(&full)), (59, full.clone()));
        assert_eq!(title_of(&format!("{full} x")), format!("{full}…"));
        assert_eq!(title_of(&"y".repeat(60)), "y".repeat(60));
        assert_eq!(title_of(&format!("{} x", "y".repeat(60))), format!("{}…", "y".repeat(59)));
    }
}
