//! What callers send and see of documents.

use acm2_domain::content_hash::ContentHash;
use acm2_domain::error::FieldError;
use acm2_domain::ids::DocumentId;
use acm2_domain::run::{MAX_NAME, name_defect};
use acm2_store::library::documents::{DocumentRow, NewDocument as NewRow};
use chrono::{DateTime, Utc};
use poem_openapi::{Enum, Object};
use serde::{Deserialize, Serialize};

use super::listing::list_of;
use crate::app::App;
use crate::auth::Caller;
use crate::body::{Check, File};
use crate::problem::Failure;
use crate::reading::{self, FileType};

/// What a text that is sent as JSON is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Enum)]
pub(super) enum TextType {
    /// Text that stands for itself.
    #[default]
    #[serde(rename = "text/plain")]
    #[oai(rename = "text/plain")]
    Plain,
    /// Markdown.
    #[serde(rename = "text/markdown")]
    #[oai(rename = "text/markdown")]
    Markdown,
}

impl TextType {
    const fn file_type(self) -> FileType {
        match self {
            Self::Plain => FileType::Text,
            Self::Markdown => FileType::Markdown,
        }
    }
}

/// A document that shall be made.
#[derive(Debug, Deserialize, Object)]
#[serde(deny_unknown_fields)]
pub(super) struct NewDocument {
    /// Its name, 1 to 200 characters on one line.
    pub name: String,
    /// What is in it. The character U+0000 becomes U+FFFD.
    pub text: String,
    /// What the text is; `text/plain` where absent.
    #[serde(default)]
    #[oai(default)]
    pub content_type: TextType,
}

/// A change of a document.
#[derive(Debug, Deserialize, Object)]
#[serde(deny_unknown_fields)]
pub(super) struct DocumentPatch {
    /// Its new name, 1 to 200 characters on one line.
    pub name: String,
}

impl Check for NewDocument {
    fn check(&self, _app: &App) -> Vec<FieldError> {
        check_name(&self.name)
    }
}

impl Check for DocumentPatch {
    fn check(&self, _app: &App) -> Vec<FieldError> {
        check_name(&self.name)
    }
}

fn check_name(name: &str) -> Vec<FieldError> {
    name_defect(name).map(|defect| FieldError::new("/name", defect)).into_iter().collect()
}

/// A document, without its text.
#[derive(Debug, Serialize, Object)]
pub(super) struct Document {
    /// Its id.
    pub id: DocumentId,
    /// Its name.
    pub name: String,
    /// What was uploaded.
    pub content_type: String,
    /// How many bytes that had.
    pub bytes: u64,
    /// SHA-256 of these bytes.
    pub sha256: ContentHash,
    /// How many bytes the text has that models are shown.
    pub text_bytes: u64,
    /// SHA-256 of that text.
    pub text_sha256: ContentHash,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was renamed last.
    pub updated_at: DateTime<Utc>,
}

impl From<DocumentRow> for Document {
    fn from(row: DocumentRow) -> Self {
        Self {
            id: row.id,
            name: row.name,
            content_type: row.content_type,
            bytes: row.bytes,
            sha256: row.sha256,
            text_bytes: row.text_bytes,
            text_sha256: row.text_hash,
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}

list_of! {
    /// A page of documents, newest first.
    DocumentList of Document
}

/// A text that was sent as JSON, as a new row.
pub(super) fn of_json(app: &App, document: NewDocument) -> Result<NewRow, Failure> {
    Ok(NewRow {
        id: DocumentId::generate(),
        name: document.name,
        content_type: document.content_type.file_type().content_type().to_owned(),
        bytes: document.text.len() as u64,
        sha256: ContentHash::of(&document.text),
        text: reading::finish(app, document.text, "/text")?,
    })
}

/// A file that was uploaded, as a new row.
pub(super) async fn of_file(caller: &Caller, file: File) -> Result<NewRow, Failure> {
    let name = match file.name {
        Some(name) => name,
        None => name_of(file.file_name.as_deref()),
    };
    let wrong = check_name(&name);
    if !wrong.is_empty() {
        return Err(acm2_domain::Error::invalid(wrong).into());
    }
    let found = FileType::of(file.content_type.as_deref(), file.file_name.as_deref());
    let file_type = found.ok_or_else(reading::unsupported)?;
    Ok(NewRow {
        id: DocumentId::generate(),
        name,
        content_type: file_type.content_type().to_owned(),
        bytes: file.bytes.len() as u64,
        sha256: ContentHash::of(&file.bytes),
        text: reading::read(caller, file_type, file.bytes).await?,
    })
}

/// A document's name from that of a file, of which only the last part is taken and nothing that a name may not hold.
fn name_of(file_name: Option<&str>) -> String {
    let last = file_name.unwrap_or_default().rsplit(['/', '\\']).next().unwrap_or_default();
    let fine: String = last
        .chars()
        .map(|letter| if name_defect(&format!("x{letter}")).is_some() { '_' } else { letter })
        .take(MAX_NAME)
        .collect();
    if fine.trim().is_empty() { "document".to_owned() } else { fine }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_files_name_leads_nowhere() {
        for (file_name, expected) in [
            (Some("../../etc/passwd"), "passwd"),
            (Some(r"C:\temp\report.docx"), "report.docx"),
            (Some("cod\u{202e}txt.exe\n"), "cod_txt.exe_"),
            (Some("  "), "document"),
            (Some("a/"), "document"),
            (None, "document"),
        ] {
            assert_eq!(name_of(file_name), expected);
            assert_eq!(name_defect(&name_of(file_name)), None);
        }
        assert_eq!(name_of(Some(&"x".repeat(1_000))).len(), MAX_NAME);
    }
}
