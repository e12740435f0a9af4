//! What callers send and see of conversations.

use acm2_domain::call::{Message, Role};
use acm2_domain::error::FieldError;
use acm2_domain::ids::{ApiKeyId, ConversationId};
use acm2_domain::run::name_defect;
use acm2_store::conversations::messages::MessageRow;
use acm2_store::conversations::{ConversationRow, UNTITLED};
use chrono::{DateTime, Utc};
use poem_openapi::Object;
use serde::{Deserialize, Serialize};

use super::library_texts::no_text;
use super::listing::list_of;
use crate::app::App;
use crate::body::Check;

/// The most messages of one request.
const MAX_AT_ONCE: usize = 200;
/// The longest message, in bytes.
const MAX_MESSAGE_BYTES: usize = 256 * 1024;

/// A conversation that shall be made.
#[derive(Debug, Deserialize, Object)]
#[serde(deny_unknown_fields)]
pub(super) struct NewConversation {
    /// Its title, 1 to 200 characters on one line; `untitled` where absent.
    #[serde(default = "untitled")]
    #[oai(default = "untitled")]
    pub title: String,
    /// What has been said already, at most 200 messages of at most 262144 bytes.
    #[serde(default)]
    #[oai(default)]
    pub messages: Vec<Message>,
}

fn untitled() -> String {
    UNTITLED.to_owned()
}

/// A change of a conversation.
#[derive(Debug, Deserialize, Object)]
#[serde(deny_unknown_fields)]
pub(super) struct ConversationPatch {
    /// Its new title, 1 to 200 characters on one line.
    pub title: String,
}

/// Messages that shall be added.
#[derive(Debug, Deserialize, Object)]
#[serde(deny_unknown_fields)]
pub(super) struct NewMessages {
    /// 1 to 200 messages of at most 262144 bytes, in their order.
    pub messages: Vec<Message>,
}

impl Check for NewConversation {
    fn check(&self, _app: &App) -> Vec<FieldError> {
        let mut errors = check_title(&self.title);
        check_messages(&mut errors, &self.messages);
        errors
    }
}

impl Check for ConversationPatch {
    fn check(&self, _app: &App) -> Vec<FieldError> {
        check_title(&self.title)
    }
}

impl Check for NewMessages {
    fn check(&self, _app: &App) -> Vec<FieldError> {
        let mut errors = Vec::new();
        if self.messages.is_empty() {
            errors.push(FieldError::new("/messages", format!("must have 1 to {MAX_AT_ONCE} messages")));
        }
        check_messages(&mut errors, &self.messages);
        errors
    }
}

fn check_title(title: &str) -> Vec<FieldError> {
    name_defect(title).map(|defect| FieldError::new("/title", defect)).into_iter().collect()
}

fn check_messages(errors: &mut Vec<FieldError>, messages: &[Message]) {
    if messages.len() > MAX_AT_ONCE {
        errors.push(FieldError::new("/messages", format!("must have at most {MAX_AT_ONCE} messages")));
    }
    for (index, message) in messages.iter().enumerate().take(MAX_AT_ONCE) {
        if let Some(defect) = no_text(&message.content, MAX_MESSAGE_BYTES) {
            errors.push(FieldError::new(format!("/messages/{index}/content"), defect));
        }
    }
}

/// A conversation, without its messages.
#[derive(Debug, Serialize, Object)]
pub(super) struct Conversation {
    /// Its id.
    pub id: ConversationId,
    /// Its title.
    pub title: String,
    /// The API key that made it.
    #[oai(skip_serializing_if_is_none)]
    pub api_key_id: Option<ApiKeyId>,
    /// The number of its last message; 0 before the first.
    pub last_message: u32,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was renamed or went on last.
    pub updated_at: DateTime<Utc>,
}

impl From<ConversationRow> for Conversation {
    fn from(row: ConversationRow) -> Self {
        Self {
            id: row.id,
            title: row.title,
            api_key_id: row.api_key,
            last_message: row.last_message,
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}

list_of! {
    /// A page of conversations, newest first.
    ConversationList of Conversation
}

/// A message of a conversation.
#[derive(Debug, Serialize, Object)]
pub(super) struct ConversationMessage {
    /// Its number in the conversation, from 1 without gaps.
    pub number: u32,
    /// Who speaks.
    pub role: Role,
    /// What is said.
    pub content: String,
    /// When it was added.
    pub created_at: DateTime<Utc>,
}

impl From<MessageRow> for ConversationMessage {
    fn from(row: MessageRow) -> Self {
        Self { number: row.number, role: row.role, content: row.content, created_at: row.created_at }
    }
}

list_of! {
    /// A page of messages, in their order.
    ConversationMessageList of ConversationMessage
}
