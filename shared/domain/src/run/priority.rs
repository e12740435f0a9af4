//! How urgent a run is among the runs of its own tenant.

use serde::{Deserialize, Serialize};

/// How urgent a run is among your own queued runs. It never passes a run of another tenant: whose turn it is among tenants
/// depends on what they use, not on what they ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Enum), oai(rename_all = "snake_case"))]
pub enum Priority {
    /// After all others.
    Low,
    /// As usual.
    #[default]
    Normal,
    /// Before all others.
    High,
}

impl Priority {
    /// That of the run's job.
    pub const fn of_job(self) -> i16 {
        match self {
            Self::Low => 100,
            Self::Normal => 0,
            Self::High => -100,
        }
    }
}
