//! What is kept of a template beside its name. Written by the resource, read by it and by `material`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What is kept of a template.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct TemplateBody {
    /// The text with its variables.
    pub(crate) text: String,
    /// Values of variables that are kept with it.
    #[serde(default)]
    pub(crate) variables: BTreeMap<String, String>,
}
