//! What of the tenant's library a run names, as it was found when the run was submitted. The api fills it from the store.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::call::Message;
use crate::content_hash::ContentHash;
use crate::criteria::Criterion;
use crate::ids::{CriteriaSetId, DocumentId, PresetId};

/// What was found in the library.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Material {
    /// The documents that the run names; one that is not there is not in it.
    pub documents: BTreeMap<DocumentId, StoredDocument>,
    /// The template that the run names; `None` where it is not there.
    pub template: Option<StoredTemplate>,
    /// The criteria sets that the run names; one that is not there is not in it.
    pub criteria_sets: BTreeMap<CriteriaSetId, Vec<Criterion>>,
    /// The newest messages of the conversation that the run goes on, oldest first; `None` where it is not there.
    pub history: Option<Vec<Message>>,
    /// The preset that the run was started from.
    pub preset: Option<PresetRef>,
    /// The bytes of the longest of the answers that the run takes over.
    pub longest_answer: Option<u64>,
}

/// One of the tenant's documents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredDocument {
    /// Its name.
    pub name: String,
    /// The hash of its text.
    pub hash: ContentHash,
    /// The bytes of its text.
    pub bytes: u64,
}

/// One of the tenant's templates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredTemplate {
    /// Its text.
    pub text: String,
    /// What is kept with it.
    pub variables: BTreeMap<String, String>,
}

/// The preset that a run was started from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object))]
pub struct PresetRef {
    /// Its id.
    pub id: PresetId,
    /// Its version.
    pub version: u32,
}
