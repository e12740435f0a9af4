//! What callers send and see of presets.

use acm2_domain::error::FieldError;
use acm2_domain::ids::PresetId;
use acm2_domain::run::{NewRun, name_defect};
use acm2_store::library::items::ItemRow;
use acm2_store::library::versions::VersionRow;
use chrono::{DateTime, Utc};
use poem_openapi::Object;
use serde::{Deserialize, Serialize};

use super::library_texts::check_description;
use super::listing::list_of;
use crate::app::App;
use crate::body::Check;
use crate::preset_body::{KeptSpec, PresetBody};

/// The most bytes that a specification may take as JSON: every change keeps another one.
const MAX_SPEC_BYTES: usize = 256 * 1024;

/// A preset that shall be made.
#[derive(Debug, Deserialize, Object)]
#[serde(deny_unknown_fields)]
pub(super) struct NewPreset {
    /// Its name, 1 to 200 characters on one line, the only one of its kind.
    pub name: String,
    /// What it is for, at most 2000 characters.
    #[serde(default)]
    #[oai(default)]
    pub description: String,
    /// What a run starts from: the body of a submission, of which anything may be absent or not exist yet; at most 262144 bytes,
    /// and no list longer than that of a run.
    pub spec: NewRun,
}

/// A change of a preset; what is absent stays.
#[derive(Debug, Deserialize, Object)]
#[serde(deny_unknown_fields)]
pub(super) struct PresetPatch {
    /// Its new name.
    #[oai(skip_serializing_if_is_none)]
    pub name: Option<String>,
    /// What it is for.
    #[oai(skip_serializing_if_is_none)]
    pub description: Option<String>,
    /// All that a run starts from.
    #[oai(skip_serializing_if_is_none)]
    pub spec: Option<NewRun>,
}

/// A preset.
#[derive(Debug, Serialize, Object)]
pub(super) struct Preset {
    /// Its id.
    pub id: PresetId,
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// Counts up from 1 at every change.
    pub version: u32,
    /// What a run starts from, as it was stored; null in lists.
    #[oai(skip_serializing_if_is_none)]
    pub spec: Option<KeptSpec>,
    /// Whether a run from it with nothing added could do at this moment all that it asks for; null in lists.
    #[oai(skip_serializing_if_is_none)]
    pub runnable: Option<bool>,
    /// What stands in the way, with its place in `spec`, 20 at most; null in lists.
    #[oai(skip_serializing_if_is_none)]
    pub missing: Option<Vec<FieldError>>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When this version was made.
    pub updated_at: DateTime<Utc>,
}

impl Preset {
    /// As lists show it.
    pub(super) fn in_list(row: ItemRow<()>) -> Self {
        Self {
            id: row.id.into(),
            name: row.name,
            description: row.description,
            version: row.version,
            spec: None,
            runnable: None,
            missing: None,
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }

    /// The whole of it.
    pub(super) fn whole(row: ItemRow<PresetBody>, missing: Vec<FieldError>) -> Self {
        let (PresetBody { spec }, row) = row.split();
        Self { spec: Some(spec), runnable: Some(missing.is_empty()), missing: Some(missing), ..Self::in_list(row) }
    }
}

list_of! {
    /// A page of presets, newest first.
    PresetList of Preset
}

/// One version of a preset.
#[derive(Debug, Serialize, Object)]
pub(super) struct PresetVersion {
    /// Its number, from 1.
    pub version: u32,
    /// What the preset was called.
    pub name: String,
    /// What it was for.
    pub description: String,
    /// When it was made.
    pub created_at: DateTime<Utc>,
}

impl From<VersionRow<()>> for PresetVersion {
    fn from(row: VersionRow<()>) -> Self {
        Self { version: row.version, name: row.name, description: row.description, created_at: row.created_at }
    }
}

list_of! {
    /// A page of versions, newest first.
    PresetVersionList of PresetVersion
}

impl Check for NewPreset {
    fn check(&self, _app: &App) -> Vec<FieldError> {
        check(Some(&self.name), &self.description, Some(&self.spec))
    }
}

impl Check for PresetPatch {
    fn check(&self, _app: &App) -> Vec<FieldError> {
        check(self.name.as_deref(), self.description.as_deref().unwrap_or_default(), self.spec.as_ref())
    }
}

fn check(name: Option<&str>, description: &str, spec: Option<&NewRun>) -> Vec<FieldError> {
    let mut errors = Vec::new();
    if let Some(defect) = name.and_then(name_defect) {
        errors.push(FieldError::new("/name", defect));
    }
    check_description(&mut errors, "/description", description);
    if let Some(spec) = spec {
        let too_long = spec.check_lengths("/spec");
        if too_long.is_empty() && KeptSpec::from(spec).bytes() > MAX_SPEC_BYTES {
            errors.push(FieldError::new("/spec", format!("must have at most {MAX_SPEC_BYTES} bytes as JSON")));
        }
        errors.extend(too_long);
        for (pointer, there) in
            [("/spec/preset_id", spec.preset_id.is_some()), ("/spec/preset_version", spec.preset_version.is_some())]
        {
            if there {
                errors.push(FieldError::new(pointer, "a preset starts from no other preset"));
            }
        }
        if spec.conversation_id.is_some() {
            let detail = "a preset goes on no conversation; name it when a run is submitted";
            errors.push(FieldError::new("/spec/conversation_id", detail));
        }
    }
    errors
}
