//! Conversations: titled, with messages in order. They belong to the tenant; which API key made one is noted. Called by the api.

mod conversation_entity;
mod message_entity;
pub mod messages;
mod row;

pub use row::{ConversationRow, NewConversation, count, delete, get, insert, list, lock, rename};
