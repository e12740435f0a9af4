//! The kinds of failure that a caller may see, each with a stable code. `api::problem` is the one place that maps a kind to
//! an HTTP status; nothing here knows HTTP.

use serde::{Deserialize, Serialize};

/// What sort of failure it is. Each maps to one HTTP status, in `api::problem`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The request cannot be read at all (malformed JSON, bad header).
    Malformed,
    /// The request was read and says something that is not allowed.
    Invalid,
    /// No credentials, or credentials that do not hold.
    Unauthorized,
    /// The credentials hold, but not for this.
    Forbidden,
    /// There is no such thing, or it is another tenant's.
    NotFound,
    /// The thing is not in a state that allows this.
    Conflict,
    /// Money: a ceiling or budget does not allow this.
    PaymentRequired,
    /// The caller sends too much.
    TooMany,
    /// A part that we depend on is away; trying again later is right.
    Unavailable,
    /// A defect of ours.
    Internal,
}

/// One wrong place of a request body or of its parameters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object))]
pub struct FieldError {
    /// JSON pointer (RFC 6901) to the place in the body, or `#query/name`, `#path/name`, `#header/name`.
    pub pointer: String,
    /// What is wrong and how to mend it; never the value itself.
    pub detail: String,
}

impl FieldError {
    /// A wrong place and what is wrong there.
    pub fn new(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), detail: detail.into() }
    }
}

/// A failure that a caller may see.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct Error {
    /// What sort of failure it is.
    pub kind: Kind,
    /// Stable, documented, snake_case.
    pub code: &'static str,
    /// One or two sentences for a person: what is wrong and the way out. Never a secret, never an echoed value.
    pub detail: String,
    /// The wrong places, all of them.
    pub fields: Vec<FieldError>,
    /// Seconds after which trying again makes sense.
    pub retry_after: Option<u64>,
}

impl Error {
    /// A failure without named places.
    pub fn new(kind: Kind, code: &'static str, detail: impl Into<String>) -> Self {
        Self { kind, code, detail: detail.into(), fields: Vec::new(), retry_after: None }
    }

    /// Bad input, with every wrong place.
    pub fn invalid(fields: Vec<FieldError>) -> Self {
        Self {
            fields,
            ..Self::new(Kind::Invalid, "validation_failed", "the request has values that are not allowed; see errors")
        }
    }

    /// There is no such thing.
    pub fn not_found(what: &str) -> Self {
        Self::new(Kind::NotFound, "not_found", format!("there is no such {what}"))
    }

    /// The same failure, with the time after which trying again makes sense.
    #[must_use]
    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }
}
