//! Request bodies: strict JSON (`json`), read into a type with every wrong place at once (`collect`), as an argument of a
//! handler (`payload`); YAML as well (`yaml`), or a file (`upload`).

mod collect;
mod json;
mod nearest;
mod payload;
mod upload;
mod yaml;

pub use payload::{Body, Check};
pub(crate) use upload::is_form;
pub use upload::{File, JsonOrFile};
pub use yaml::JsonOrYaml;
#[cfg(test)]
pub(crate) use yaml::read_yaml;
