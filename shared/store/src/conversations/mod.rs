//! Conversations: titled, with messages in order. Functions that look for one take the API key whose it must
//! be; `None` finds those of every key. Called by the api.

mod conversation_entity;
mod message_entity;
pub mod messages;
mod row;

pub use row::{ConversationRow, NewConversation, UNTITLED, count, delete, get, insert, list, lock, rename};
