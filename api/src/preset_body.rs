//! What is kept of a preset beside its name. Written by the resource, read by it and by `material`.

use acm2_domain::run::NewRun;
use serde::{Deserialize, Serialize};

/// What is kept of a preset.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct PresetBody {
    /// What it is for.
    #[serde(default)]
    pub(crate) description: String,
    /// The request that a run starts from.
    pub(crate) spec: NewRun,
}
