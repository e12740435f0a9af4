//! A tenant's library: documents with their texts, and items (templates, criteria sets, presets), some of which keep their
//! versions. Called by the api's resources; `runs` keeps texts here too. It knows what an item's body is only as JSON.

mod document_entity;
pub mod documents;
mod item_entity;
pub mod items;
mod text_entity;
pub mod texts;
mod version_entity;
pub mod versions;
