//! Documents of a run: as callers name them, by id or with their text, as the specification keeps them, and as results name
//! them. A specification holds no text, only its hash: the text is stored beside the run, once.

use std::borrow::Cow;

use serde::de::value::MapAccessDeserializer;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

use crate::content_hash::ContentHash;
use crate::error::FieldError;
use crate::ids::DocumentId;

/// The longest name of a document, in characters.
pub const MAX_NAME: usize = 200;

/// One document of a run, as callers name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DocumentChoice {
    /// One of the tenant's documents.
    Stored(DocumentId),
    /// A text that belongs to this run alone.
    Inline(InlineDocument),
}

/// A document that is given with its text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object), oai(deny_unknown_fields))]
pub struct InlineDocument {
    /// What results call it, 1 to 200 characters.
    pub name: String,
    /// The text. The character U+0000 becomes U+FFFD.
    pub text: String,
}

/// A document as a run's specification keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DocumentSpec {
    /// Its id; that of a document that was given with its text follows from what it says and is good for this run alone.
    pub id: DocumentId,
    /// Its name when the run was submitted.
    pub name: String,
    /// The hash of its text when the run was submitted: what the models are shown, whatever becomes of the document.
    pub hash: ContentHash,
    /// The bytes of its text.
    pub bytes: u64,
}

/// The document that a result is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object))]
pub struct DocumentRef {
    /// Its id.
    pub id: DocumentId,
    /// Its name when the run was submitted.
    pub name: String,
}

impl From<&DocumentSpec> for DocumentRef {
    fn from(document: &DocumentSpec) -> Self {
        Self { id: document.id, name: document.name.clone() }
    }
}

impl InlineDocument {
    /// As the specification keeps it, at this index of the run's documents.
    pub(super) fn compile(&self, index: usize) -> DocumentSpec {
        let text = storable(&self.text);
        let hash = ContentHash::of(&*text);
        let whole = ContentHash::of(format!("inline document {index} {hash} {}", self.name));
        let mut id = [0; 16];
        id.copy_from_slice(&whole.bytes()[..16]);
        DocumentSpec { id: Uuid::from_bytes(id).into(), name: self.name.clone(), hash, bytes: text.len() as u64 }
    }
}

/// A text as it can be stored: PostgreSQL takes no U+0000.
pub fn storable(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { Cow::Owned(text.replace('\0', "\u{fffd}")) } else { Cow::Borrowed(text) }
}

/// What is wrong with the name of a thing in the library, if anything. Such a name is shown and stands in prompts: it has one
/// line, and nothing in it changes the direction of what stands around it.
pub fn name_defect(name: &str) -> Option<String> {
    let length = name.chars().count();
    let wrong = name.trim().is_empty() || length > MAX_NAME || name.chars().any(leaves_line);
    wrong.then(|| {
        format!("must have 1 to {MAX_NAME} characters on one line, none of which changes the direction of text")
    })
}

/// Whether a letter ends a line, controls something or changes the direction of text: no name and no title has such.
pub fn leaves_line(letter: char) -> bool {
    letter.is_control() || matches!(letter, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}')
}

pub(super) fn check_inline(errors: &mut Vec<FieldError>, pointer: &str, document: &InlineDocument) {
    if let Some(defect) = name_defect(&document.name) {
        errors.push(FieldError::new(format!("{pointer}/name"), defect));
    }
    if document.text.trim().is_empty() {
        errors.push(FieldError::new(format!("{pointer}/text"), "must not be empty"));
    }
}

impl Serialize for DocumentChoice {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Stored(id) => id.serialize(serializer),
            Self::Inline(document) => document.serialize(serializer),
        }
    }
}

impl Default for DocumentChoice {
    fn default() -> Self {
        Self::Inline(InlineDocument { name: String::new(), text: String::new() })
    }
}

impl<'de> Deserialize<'de> for DocumentChoice {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct IdOrObject;

        impl<'de> Visitor<'de> for IdOrObject {
            type Value = DocumentChoice;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("the id of a document, or an object with a name and a text")
            }

            fn visit_str<E: de::Error>(self, id: &str) -> Result<DocumentChoice, E> {
                id.parse().map(DocumentChoice::Stored).map_err(E::custom)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<DocumentChoice, A::Error> {
                InlineDocument::deserialize(MapAccessDeserializer::new(map)).map(DocumentChoice::Inline)
            }
        }

        deserializer.deserialize_any(IdOrObject)
    }
}

#[cfg(feature = "openapi")]
const _: () = {
    use poem_openapi::registry::MetaSchema;

    crate::openapi::json_schema!(
        DocumentChoice,
        MetaSchema {
            description: Some("One document of a run: the id of one of your documents, or a name and a text."),
            one_of: vec![DocumentId::schema_ref(), InlineDocument::schema_ref()],
            ..MetaSchema::ANY
        },
        InlineDocument::register
    );
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_an_id_or_a_name_and_a_text() {
        let id = DocumentId::generate();
        let both: Vec<DocumentChoice> =
            serde_json::from_value(serde_json::json!([id, {"name": "a", "text": "b"}])).unwrap();
        assert_eq!(both[0], DocumentChoice::Stored(id));
        assert_eq!(serde_json::to_value(&both).unwrap(), serde_json::json!([id, {"name": "a", "text": "b"}]));
        for wrong in [
            r#""run_01jd3v1m5zt0q8k6c2e4g6h8ja""#,
            r#"{"name": "a"}"#,
            r#"{"name": "a", "text": "b", "path": "/etc/passwd"}"#,
            "1",
        ] {
            assert!(serde_json::from_str::<DocumentChoice>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_id_of_an_inline_document_follows_from_what_it_says_and_where_it_stands() {
        let document = |name: &str, text: &str| InlineDocument { name: name.to_owned(), text: text.to_owned() };
        let one = document("a", "b").compile(0);
        assert_eq!(one, document("a", "b").compile(0));
        for other in [document("a", "b").compile(1), document("b", "b").compile(0), document("a", "c").compile(0)] {
            assert_ne!(one.id, other.id);
        }
        assert_eq!(document("a", "x\0y").compile(0).hash, ContentHash::of("x\u{fffd}y"));
    }

    #[test]
    fn a_name_has_one_line_and_turns_nothing_around() {
        for fine in ["report.md", "تقرير", "a \"quoted\" <b>name</b>", "=cmd()", &"x".repeat(MAX_NAME)] {
            assert_eq!(name_defect(fine), None, "{fine}");
        }
        for wrong in ["", " ", "a\nb", "a\0b", "cod\u{202e}txt.exe", "\u{2066}a", &"x".repeat(MAX_NAME + 1)] {
            assert!(name_defect(wrong).is_some(), "{wrong:?}");
        }
    }
}
