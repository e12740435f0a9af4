//! What the `generate` stage of a run makes.

use serde::{Deserialize, Serialize};

/// What a run's models are asked to make.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Enum), oai(rename_all = "snake_case"))]
pub enum Generator {
    /// Texts.
    #[default]
    Text,
    /// Images: one for each task, kept as an artifact.
    Image,
    /// Reports that rest on pages of the web and cite them.
    Research,
}

impl Generator {
    /// Whether it makes texts, as a run does that says nothing. (By reference, as serde asks.)
    pub const fn is_text(&self) -> bool {
        matches!(self, Self::Text)
    }
}
