//! From an uploaded file to the text that models are shown. What a file is follows from what its uploader says, then from its
//! name; what is in it is hostile.

use acm2_domain::error::{Error, FieldError, Kind};
use acm2_domain::run::storable;
use acm2_extract::FileType as Packed;

use crate::app::App;
use crate::auth::Caller;
use crate::extraction;

/// What can be made a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileType {
    /// Text that stands for itself.
    Text,
    /// Markdown, which stands for itself too.
    Markdown,
    /// What a text has to be taken out of.
    Packed(Packed),
}

const DOCX: &str = "application/vnd.openxmlformats-officedocument.wordprocessingml.document";

const TYPES: [(FileType, &str, &[&str]); 5] = [
    (FileType::Text, "text/plain", &["txt", "text"]),
    (FileType::Markdown, "text/markdown", &["md", "markdown"]),
    (FileType::Packed(Packed::Html), "text/html", &["html", "htm"]),
    (FileType::Packed(Packed::Pdf), "application/pdf", &["pdf"]),
    (FileType::Packed(Packed::Docx), DOCX, &["docx"]),
];

impl FileType {
    /// From what the uploader says of a file: its content type, or where that says little, its name.
    pub(crate) fn of(content_type: Option<&str>, file_name: Option<&str>) -> Option<Self> {
        let essence =
            content_type.and_then(|text| text.split(';').next()).unwrap_or_default().trim().to_ascii_lowercase();
        let extension = file_name.and_then(|name| name.rsplit_once('.')).map(|(_, last)| last.to_ascii_lowercase());
        let by_extension =
            || TYPES.iter().find(|(.., known)| known.contains(&extension.as_deref().unwrap_or_default()));
        let row = match &*essence {
            // Programs call by these names whatever they do not know; curl says the second of a .md file.
            "" | "application/octet-stream" => by_extension(),
            "text/plain" => by_extension().filter(|(found, ..)| *found == Self::Markdown).or(TYPES.first()),
            essence => TYPES.iter().find(|(_, known, _)| *known == essence),
        };
        row.map(|(found, ..)| *found)
    }

    /// The content type.
    pub(crate) fn content_type(self) -> &'static str {
        TYPES.iter().find(|(found, ..)| *found == self).map_or("text/plain", |(_, content_type, _)| content_type)
    }
}

/// The refusal of a file of another type.
pub(crate) fn unsupported() -> Error {
    let known: Vec<&str> = TYPES.iter().map(|(_, content_type, _)| *content_type).collect();
    let detail = format!("the file is none of {}; say what it is by its Content-Type or its name", known.join(", "));
    Error::new(Kind::Invalid, "document_type_unsupported", detail)
}

/// The text of a file.
pub(crate) async fn read(caller: &Caller, file_type: FileType, bytes: Vec<u8>) -> Result<String, Error> {
    let text = match file_type {
        FileType::Text | FileType::Markdown => {
            String::from_utf8(bytes).map_err(|_| unreadable("it is not text in UTF-8"))?
        }
        FileType::Packed(packed) => {
            // Mostly it waits: for its turn, and for another process.
            caller.in_flight.release();
            let read = extraction::extract(caller.tenant, packed, bytes, caller.app.config.library.text_limit).await;
            caller.in_flight.take_again().await;
            read?
        }
    };
    finish(&caller.app, text, "/file")
}

/// The last step for every text: what cannot be stored is replaced, what is too long or empty refused. `pointer` is where it stood.
pub(crate) fn finish(app: &App, text: String, pointer: &'static str) -> Result<String, Error> {
    let text = match text.strip_prefix('\u{feff}') {
        Some(rest) => rest.to_owned(),
        None => text,
    };
    if text.trim().is_empty() {
        return Err(unreadable("there is no text in it"));
    }
    let text = storable(&text).into_owned();
    let most = app.config.library.text_limit;
    if text.len() > most {
        return Err(Error::invalid(vec![FieldError::new(pointer, too_long(most))]));
    }
    Ok(text)
}

/// What is wrong with a text of more than `most` bytes as it is stored, where a U+0000 has three.
pub(crate) fn too_long(most: usize) -> String {
    format!("has more than {most} bytes of text; make several documents of it")
}

/// The refusal of a file that cannot be read.
pub(crate) fn unreadable(why: &str) -> Error {
    Error::new(Kind::Invalid, "document_unreadable", format!("the file cannot be made a document: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_file_is_follows_from_its_type_then_from_its_name() {
        for (content_type, name, expected) in [
            (Some("text/plain; charset=utf-8"), None, Some(FileType::Text)),
            (Some("TEXT/Markdown"), Some("a.txt"), Some(FileType::Markdown)),
            (Some("application/octet-stream"), Some("a.b.MD"), Some(FileType::Markdown)),
            (Some("text/plain"), Some("a.md"), Some(FileType::Markdown)),
            (None, Some("notes.txt"), Some(FileType::Text)),
            (None, Some("notes"), None),
            (None, None, None),
            (Some("image/png"), Some("a.txt"), None),
            (Some("application/pdf"), None, Some(FileType::Packed(Packed::Pdf))),
            (Some("application/octet-stream"), Some("a.docx"), Some(FileType::Packed(Packed::Docx))),
            (Some("text/html; charset=utf-8"), Some("a"), Some(FileType::Packed(Packed::Html))),
        ] {
            assert_eq!(FileType::of(content_type, name), expected, "{content_type:?} {name:?}");
        }
    }
}
