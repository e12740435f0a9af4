//! `conversations`: turns of a person and a model, in order, under a title. An API key sees those that it made; one that may do
//! everything sees all of the tenant.

use acm2_domain::ids::ConversationId;
use acm2_store::conversations::{self as store, ConversationRow, messages};
use poem_openapi::OpenApi;
use poem_openapi::param::{Header, Path, Query};
use uuid::Uuid;

use super::Tag;
use super::conversation_bodies::{
    Conversation, ConversationList, ConversationMessage, ConversationMessageList, ConversationPatch, NewConversation,
    NewMessages,
};
use super::limits;
use super::page::Page;
use crate::auth::{Allowed, ConversationsRead, ConversationsWrite};
use crate::body::Body;
use crate::idempotency::Idempotency;
use crate::problem::Failure;
use crate::reply::{Created, NoContent, Reply};

/// How much text a page of messages may have.
const PAGE_BYTES: u64 = 4 * 1024 * 1024;

/// `conversations`.
pub(super) struct Conversations;

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Conversations")]
impl Conversations {
    /// Begin a conversation.
    ///
    /// Needs the scope `conversations:write`. Only the API key that made it sees it, and keys with the scope `*`.
    #[oai(path = "/conversations", method = "post", operation_id = "conversations.create")]
    async fn create(
        &self,
        caller: Allowed<ConversationsWrite>,
        /// Your own name for this request, 1 to 255 characters.
        #[oai(name = "Idempotency-Key")]
        idempotency_key: Header<Option<String>>,
        body: Body<NewConversation>,
    ) -> Result<Created<Conversation>, Failure> {
        let name = idempotency_key.0;
        // A name is one API key's, as the conversation is.
        let operation = format!("conversations.create {}", caller.api_key);
        let idempotency = Idempotency::of(&caller, &operation, name.as_deref(), &body.digest).await?;
        let NewConversation { title, messages: said } = body.value;
        let now = caller.app.clock.now();
        let tx = caller.store().begin().await?;
        if let Some(earlier) = idempotency.begin(&tx, now).await? {
            return Ok(Created::again(earlier.text).location(&path_of(ConversationId::from(earlier.subject))));
        }
        limits::refuse_beyond(store::count(&tx).await?, limits::CONVERSATIONS, "conversations")?;
        let new = store::NewConversation { id: ConversationId::generate(), api_key: caller.api_key, title };
        let row = store::insert(&tx, new, now).await?;
        let last_message = messages::append(&tx, &row, said, now).await?.len() as u32;
        let conversation = Conversation::from(ConversationRow { last_message, ..row });
        idempotency.finish(&tx, conversation.id.uuid(), Some(&conversation)).await?;
        tx.commit().await?;
        let location = path_of(conversation.id);
        Ok(Created::new(conversation).location(&location))
    }

    /// List conversations.
    ///
    /// Needs the scope `conversations:read`. Newest first, without their messages; those of other API keys only with the scope `*`.
    #[oai(path = "/conversations", method = "get", operation_id = "conversations.list")]
    async fn list(
        &self,
        caller: Allowed<ConversationsRead>,
        /// `next_cursor` of the page before.
        cursor: Query<Option<String>>,
        /// How many conversations a page has, 1 to 100; 20 where absent.
        limit: Query<Option<u32>>,
    ) -> Result<Reply<ConversationList>, Failure> {
        let page = Page::new(cursor.0.as_deref(), limit.0)?;
        let tx = caller.store().begin().await?;
        let mut rows =
            store::list(&tx, caller.conversations_of(), page.after.map(ConversationId::from), page.fetch()).await?;
        tx.commit().await?;
        let next_cursor = page.cut(&mut rows, |row| row.id.uuid());
        Ok(Reply::new(ConversationList { items: rows.into_iter().map(Conversation::from).collect(), next_cursor }))
    }

    /// Get a conversation.
    ///
    /// Needs the scope `conversations:read`. Without its messages.
    #[oai(path = "/conversations/:conversation_id", method = "get", operation_id = "conversations.get")]
    async fn get(
        &self,
        caller: Allowed<ConversationsRead>,
        conversation_id: Path<ConversationId>,
    ) -> Result<Reply<Conversation>, Failure> {
        let tx = caller.store().begin().await?;
        let row = store::get(&tx, caller.conversations_of(), conversation_id.0).await?;
        tx.commit().await?;
        Ok(Reply::new(row.into()))
    }

    /// Rename a conversation.
    ///
    /// Needs the scope `conversations:write`.
    #[oai(path = "/conversations/:conversation_id", method = "patch", operation_id = "conversations.update")]
    async fn update(
        &self,
        caller: Allowed<ConversationsWrite>,
        conversation_id: Path<ConversationId>,
        body: Body<ConversationPatch>,
    ) -> Result<Reply<Conversation>, Failure> {
        let tx = caller.store().begin().await?;
        let row =
            store::rename(&tx, caller.conversations_of(), conversation_id.0, &body.value.title, caller.app.clock.now())
                .await?;
        tx.commit().await?;
        Ok(Reply::new(row.into()))
    }

    /// Delete a conversation.
    ///
    /// Needs the scope `conversations:write`. With all its messages.
    #[oai(path = "/conversations/:conversation_id", method = "delete", operation_id = "conversations.delete")]
    async fn delete(
        &self,
        caller: Allowed<ConversationsWrite>,
        conversation_id: Path<ConversationId>,
    ) -> Result<NoContent, Failure> {
        let tx = caller.store().begin().await?;
        store::delete(&tx, caller.conversations_of(), conversation_id.0).await?;
        tx.commit().await?;
        Ok(NoContent)
    }

    /// Add messages to a conversation.
    ///
    /// Needs the scope `conversations:write`. They come after all that is there, whoever adds at the same time; messages are never
    /// changed.
    #[oai(path = "/conversations/:conversation_id/messages", method = "post", operation_id = "conversations.append")]
    async fn append(
        &self,
        caller: Allowed<ConversationsWrite>,
        conversation_id: Path<ConversationId>,
        /// Your own name for this request, 1 to 255 characters.
        #[oai(name = "Idempotency-Key")]
        idempotency_key: Header<Option<String>>,
        body: Body<NewMessages>,
    ) -> Result<Created<ConversationMessageList>, Failure> {
        let id = conversation_id.0;
        let location = format!("{}/messages", path_of(id));
        // A name is for one conversation: the same body for another one is another request. And it is one API key's: another one
        // is not answered with what it may not see.
        let operation = format!("conversations.append {id} {}", caller.api_key);
        let idempotency = Idempotency::of(&caller, &operation, idempotency_key.0.as_deref(), &body.digest).await?;
        let now = caller.app.clock.now();
        let tx = caller.store().begin().await?;
        if let Some(earlier) = idempotency.begin(&tx, now).await? {
            return Ok(Created::again(earlier.text).location(&location));
        }
        let row = store::lock(&tx, caller.conversations_of(), id).await?;
        let said = body.value.messages;
        let after = u64::from(row.last_message) + said.len() as u64;
        limits::refuse_longer(after, limits::MESSAGES, "messages in a conversation; begin another")?;
        let added = messages::append(&tx, &row, said, now).await?;
        let items = added.into_iter().map(ConversationMessage::from).collect();
        let list = ConversationMessageList { items, next_cursor: None };
        idempotency.finish(&tx, id.uuid(), Some(&list)).await?;
        tx.commit().await?;
        Ok(Created::new(list).location(&location))
    }

    /// List the messages of a conversation.
    ///
    /// Needs the scope `conversations:read`. In their order, oldest first. A page ends early where its messages come to 4 MiB.
    #[oai(path = "/conversations/:conversation_id/messages", method = "get", operation_id = "conversations.messages")]
    async fn messages(
        &self,
        caller: Allowed<ConversationsRead>,
        conversation_id: Path<ConversationId>,
        /// `next_cursor` of the page before.
        cursor: Query<Option<String>>,
        /// How many messages a page has, 1 to 100; 20 where absent.
        limit: Query<Option<u32>>,
    ) -> Result<Reply<ConversationMessageList>, Failure> {
        let page = Page::new(cursor.0.as_deref(), limit.0)?;
        let tx = caller.store().begin().await?;
        let row = store::get(&tx, caller.conversations_of(), conversation_id.0).await?;
        // A message's place in the list is its number.
        let after = page.after.map_or(0, |after| u32::try_from(after.as_u128()).unwrap_or(u32::MAX));
        let (rows, more) = messages::list(&tx, row.id, after, page.limit, PAGE_BYTES).await?;
        tx.commit().await?;
        let last = rows.last().filter(|_| more);
        let next_cursor = last.map(|row| Page::cursor_after(Uuid::from_u128(u128::from(row.number))));
        let items = rows.into_iter().map(ConversationMessage::from).collect();
        Ok(Reply::new(ConversationMessageList { items, next_cursor }))
    }
}

fn path_of(conversation: ConversationId) -> String {
    format!("/api/v1/conversations/{conversation}")
}
