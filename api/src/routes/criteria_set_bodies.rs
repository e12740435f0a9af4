//! What callers send and see of criteria sets; the YAML form is the same without what ACM2 adds.

use acm2_domain::criteria::{Criterion, check_criteria};
use acm2_domain::error::FieldError;
use acm2_domain::ids::CriteriaSetId;
use acm2_domain::run::name_defect;
use acm2_store::library::items::ItemRow;
use chrono::{DateTime, Utc};
use poem_openapi::Object;
use serde::{Deserialize, Serialize};

use super::library_texts::check_description;
use super::listing::list_of;
use crate::app::App;
use crate::body::Check;
use crate::criteria_set_body::CriteriaSetBody;

/// A criteria set that shall be made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Object)]
#[serde(deny_unknown_fields)]
pub(super) struct NewCriteriaSet {
    /// Its name, 1 to 200 characters on one line, the only one of its kind.
    pub name: String,
    /// What it is for, at most 2000 characters.
    #[serde(default)]
    #[oai(default)]
    pub description: String,
    /// 1 to 50 criteria: names, or names with descriptions and weights.
    pub criteria: Vec<Criterion>,
}

/// A change of a criteria set; what is absent stays.
#[derive(Debug, Deserialize, Object)]
#[serde(deny_unknown_fields)]
pub(super) struct CriteriaSetPatch {
    /// Its new name.
    #[oai(skip_serializing_if_is_none)]
    pub name: Option<String>,
    /// What it is for.
    #[oai(skip_serializing_if_is_none)]
    pub description: Option<String>,
    /// All its criteria.
    #[oai(skip_serializing_if_is_none)]
    pub criteria: Option<Vec<Criterion>>,
}

/// A criteria set.
#[derive(Debug, Serialize, Object)]
pub(super) struct CriteriaSet {
    /// Its id.
    pub id: CriteriaSetId,
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// Its criteria, in their order; null in lists.
    #[oai(skip_serializing_if_is_none)]
    pub criteria: Option<Vec<Criterion>>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was changed last.
    pub updated_at: DateTime<Utc>,
}

impl CriteriaSet {
    /// As lists show it.
    pub(super) fn in_list(row: ItemRow<()>) -> Self {
        Self {
            id: row.id.into(),
            name: row.name,
            description: row.description,
            criteria: None,
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}

impl From<ItemRow<CriteriaSetBody>> for CriteriaSet {
    fn from(row: ItemRow<CriteriaSetBody>) -> Self {
        let (CriteriaSetBody { criteria }, row) = row.split();
        Self { criteria: Some(criteria), ..Self::in_list(row) }
    }
}

list_of! {
    /// A page of criteria sets, newest first.
    CriteriaSetList of CriteriaSet
}

impl Check for NewCriteriaSet {
    fn check(&self, _app: &App) -> Vec<FieldError> {
        check(Some(&self.name), &self.description, Some(&self.criteria))
    }
}

impl Check for CriteriaSetPatch {
    fn check(&self, _app: &App) -> Vec<FieldError> {
        check(self.name.as_deref(), self.description.as_deref().unwrap_or_default(), self.criteria.as_deref())
    }
}

fn check(name: Option<&str>, description: &str, criteria: Option<&[Criterion]>) -> Vec<FieldError> {
    let mut errors = Vec::new();
    if let Some(defect) = name.and_then(name_defect) {
        errors.push(FieldError::new("/name", defect));
    }
    check_description(&mut errors, "/description", description);
    if let Some(criteria) = criteria {
        check_criteria(&mut errors, "/criteria", criteria);
    }
    errors
}
