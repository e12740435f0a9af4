//! The export: everything of a run in one ZIP. [`Export`] knows what goes into it and makes one piece at a time;
//! [`ZipStream`] packs the pieces and hands out the bytes as they come, so that the whole archive is never in memory.

mod export;
mod list;
mod names;
mod zip_stream;

pub use export::{Content, Entry, EventFile, Export, TaskFile, Whole};
pub(crate) use names::{ImageFile, answer_name, images};
pub use zip_stream::ZipStream;
