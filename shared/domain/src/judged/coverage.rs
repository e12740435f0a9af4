//! How much of what was asked for came.

use serde::{Deserialize, Serialize};

/// How many judgements were asked for, and how many came. What is missing is left out of every figure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object))]
pub struct Coverage {
    /// How many were asked for.
    pub expected: usize,
    /// How many came.
    pub given: usize,
    /// How many did not.
    pub missing: usize,
    /// The same in words, such as `computed from 5 of 6 scores`; null where nothing is missing.
    #[cfg_attr(feature = "openapi", oai(skip_serializing_if_is_none))]
    pub note: Option<String>,
}

impl Coverage {
    /// Of so many that came and that did not. `what` names several of them: `scores`.
    pub(super) fn of(given: usize, missing: usize, what: &str) -> Self {
        let expected = given + missing;
        let note = match (given, missing) {
            (_, 0) => None,
            (0, 1) => Some(format!("the only {} did not come", what.trim_end_matches('s'))),
            (0, _) => Some(format!("none of {expected} {what} came")),
            _ => Some(format!("computed from {given} of {expected} {what}")),
        };
        Self { expected, given, missing, note }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_said_in_words() {
        assert_eq!(Coverage::of(5, 1, "scores").note.as_deref(), Some("computed from 5 of 6 scores"));
        assert_eq!(Coverage::of(0, 2, "votes").note.as_deref(), Some("none of 2 votes came"));
        let one = Coverage::of(0, 1, "rankings").note;
        assert_eq!(one.as_deref(), Some("the only ranking did not come"));
        assert_eq!(Coverage::of(6, 0, "scores").note, None);
        assert_eq!(Coverage::of(0, 0, "scores").note, None);
    }
}
