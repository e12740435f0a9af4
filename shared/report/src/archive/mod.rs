//! The export: everything of a run in one ZIP. [`Export`] knows what goes into it and makes one entry at a time; [`ZipStream`]
//! packs entries and hands out the bytes as they come, so that the whole archive is never in memory.

mod export;
mod names;
mod zip_stream;

pub use export::{Content, Entry, Export};
pub(crate) use names::{ImageFile, answer_name, images};
pub use zip_stream::ZipStream;
