//! What callers send and see of templates.

use std::collections::BTreeMap;

use acm2_domain::error::FieldError;
use acm2_domain::ids::TemplateId;
use acm2_domain::run::{DocumentChoice, name_defect};
use acm2_domain::template::{MAX_TEXT_BYTES, MAX_VARIABLES, RenderError, Template as Parsed, check_variables};
use acm2_store::library::items::ItemRow;
use chrono::{DateTime, Utc};
use poem_openapi::Object;
use serde::{Deserialize, Serialize};

use super::library_texts::{check_description, no_text};
use super::listing::list_of;
use crate::app::App;
use crate::body::Check;
use crate::template_body::TemplateBody;

/// A template that shall be made.
#[derive(Debug, Deserialize, Object)]
#[serde(deny_unknown_fields)]
pub(super) struct NewTemplate {
    /// Its name, 1 to 200 characters on one line, the only one of its kind.
    pub name: String,
    /// The text, at most 262144 bytes. `{{name}}` stands for a variable, `{{document}}` for the run's document, `\{{` for `{{`.
    pub text: String,
    /// What it is for, at most 2000 characters.
    #[serde(default)]
    #[oai(default)]
    pub description: String,
    /// Values of variables that are kept with it, at most 100 of at most 262144 bytes. Values are filled in once and never
    /// looked at again: `{{x}}` in one is text.
    #[serde(default)]
    #[oai(default)]
    pub variables: BTreeMap<String, String>,
}

/// A change of a template; what is absent stays.
#[derive(Debug, Deserialize, Object)]
#[serde(deny_unknown_fields)]
pub(super) struct TemplatePatch {
    /// Its new name.
    #[oai(skip_serializing_if_is_none)]
    pub name: Option<String>,
    /// Its new text.
    #[oai(skip_serializing_if_is_none)]
    pub text: Option<String>,
    /// What it is for.
    #[oai(skip_serializing_if_is_none)]
    pub description: Option<String>,
    /// All values that are kept with it.
    #[oai(skip_serializing_if_is_none)]
    pub variables: Option<BTreeMap<String, String>>,
}

/// What a template shall be filled in with.
#[derive(Debug, Deserialize, Object)]
#[serde(deny_unknown_fields)]
pub(super) struct NewPreview {
    /// Values of variables; they go before those that are kept with the template.
    #[serde(default)]
    #[oai(default)]
    pub variables: BTreeMap<String, String>,
    /// A document: an id, or a name and a text.
    #[serde(default)]
    #[oai(skip_serializing_if_is_none)]
    pub document: Option<DocumentChoice>,
}

/// A template filled in.
#[derive(Debug, Serialize, Object)]
pub(super) struct Preview {
    /// What a model would be asked.
    pub text: String,
}

/// A template.
#[derive(Debug, Serialize, Object)]
pub(super) struct Template {
    /// Its id.
    pub id: TemplateId,
    /// Its name.
    pub name: String,
    /// The text with its variables; null in lists.
    #[oai(skip_serializing_if_is_none)]
    pub text: Option<String>,
    /// What it is for.
    pub description: String,
    /// Values of variables that are kept with it; null in lists.
    #[oai(skip_serializing_if_is_none)]
    pub variables: Option<BTreeMap<String, String>>,
    /// The variables that a run has to give values for; null in lists.
    #[oai(skip_serializing_if_is_none)]
    pub missing_variables: Option<Vec<String>>,
    /// Whether it says where the run's document belongs; then a run must have documents. Null in lists.
    #[oai(skip_serializing_if_is_none)]
    pub has_document: Option<bool>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was changed last.
    pub updated_at: DateTime<Utc>,
}

impl Template {
    /// As lists show it.
    pub(super) fn in_list(row: ItemRow<()>) -> Self {
        Self {
            id: row.id.into(),
            name: row.name,
            text: None,
            description: row.description,
            variables: None,
            missing_variables: None,
            has_document: None,
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}

impl From<ItemRow<TemplateBody>> for Template {
    fn from(row: ItemRow<TemplateBody>) -> Self {
        let (TemplateBody { text, variables }, row) = row.split();
        let parsed = Parsed::parse(&text);
        let missing = parsed.names().into_iter().filter(|name| !variables.contains_key(*name));
        Self {
            missing_variables: Some(missing.map(str::to_owned).collect()),
            has_document: Some(parsed.names_document()),
            text: Some(text),
            variables: Some(variables),
            ..Self::in_list(row)
        }
    }
}

list_of! {
    /// A page of templates, newest first.
    TemplateList of Template
}

impl Check for NewTemplate {
    fn check(&self, _app: &App) -> Vec<FieldError> {
        check(Some(&self.name), Some(&self.text), Some(&self.description), Some(&self.variables))
    }
}

impl Check for TemplatePatch {
    fn check(&self, _app: &App) -> Vec<FieldError> {
        let (name, text) = (self.name.as_deref(), self.text.as_deref());
        check(name, text, self.description.as_deref(), self.variables.as_ref())
    }
}

impl Check for NewPreview {
    fn check(&self, _app: &App) -> Vec<FieldError> {
        let mut errors = Vec::new();
        check_variables(&mut errors, "/variables", &self.variables);
        errors
    }
}

impl TemplatePatch {
    /// Changes what is kept.
    pub(super) fn apply(self, row: &mut ItemRow<TemplateBody>) {
        if let Some(name) = self.name {
            row.name = name;
        }
        if let Some(text) = self.text {
            row.body.text = text;
        }
        if let Some(description) = self.description {
            row.description = description;
        }
        if let Some(variables) = self.variables {
            row.body.variables = variables;
        }
    }
}

fn check(
    name: Option<&str>,
    text: Option<&str>,
    description: Option<&str>,
    variables: Option<&BTreeMap<String, String>>,
) -> Vec<FieldError> {
    let mut errors = Vec::new();
    if let Some(defect) = name.and_then(name_defect) {
        errors.push(FieldError::new("/name", defect));
    }
    if let Some(text) = text {
        check_text(&mut errors, text);
    }
    check_description(&mut errors, "/description", description.unwrap_or_default());
    if let Some(variables) = variables {
        check_variables(&mut errors, "/variables", variables);
    }
    errors
}

fn check_text(errors: &mut Vec<FieldError>, text: &str) {
    if let Some(defect) = no_text(text, MAX_TEXT_BYTES) {
        errors.push(FieldError::new("/text", defect));
        return;
    }
    let parsed = Parsed::parse(text);
    if parsed.names().len() > MAX_VARIABLES {
        errors.push(FieldError::new("/text", format!("must name at most {MAX_VARIABLES} variables")));
    }
    // With empty values nothing is missing and nothing too long.
    if parsed.render(|_| Some("")) == Err(RenderError::DocumentTwice) {
        errors.push(FieldError::new("/text", "must name the document once at most"));
    }
}
