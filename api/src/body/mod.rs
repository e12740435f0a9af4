//! Request bodies: strict JSON (`json`), read into a type with every wrong place at once (`collect`), as an argument of a
//! handler (`payload`).

mod collect;
mod json;
mod nearest;
mod payload;

pub use payload::{Body, Check};
