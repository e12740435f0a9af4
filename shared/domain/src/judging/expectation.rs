//! What a call expects of its answer.

use serde_json::Value;

use super::{Defect, Preference, Scoring};
use crate::call::{Call, Message, Role};

/// Of an answer that cannot be used the model is shown so many bytes at most: enough to see what it was.
const SHOWN: usize = 4_000;

/// What an answer must be, to count as one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expectation {
    /// Scores for criteria.
    Scores(Scoring),
    /// One of two answers.
    Preference,
}

impl Expectation {
    /// Whether the answer is what was expected.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&self, answer: &str) -> Result<(), Defect> {
        match self {
            Self::Scores(scoring) => scoring.read(answer).map(|_| ()),
            Self::Preference => Preference::read(answer).map(|_| ()),
        }
    }

    /// The name of the schema, for providers that want one.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Scores(_) => "scores",
            Self::Preference => "preference",
        }
    }

    /// The JSON schema of an answer.
    pub fn schema(&self) -> Value {
        match self {
            Self::Scores(scoring) => scoring.schema(),
            Self::Preference => Preference::schema(),
        }
    }

    /// The call that asks again, after an answer that was not what was expected.
    pub fn repair(&self, call: &Call, answer: &str, defect: &Defect) -> Call {
        let end = (0..=SHOWN.min(answer.len())).rev().find(|end| answer.is_char_boundary(*end)).unwrap_or(0);
        // Providers refuse an empty turn.
        let shown = if answer[..end].trim().is_empty() { "(nothing)" } else { &answer[..end] };
        let mut messages = call.messages.clone();
        messages.push(Message { role: Role::Assistant, content: shown.to_owned() });
        messages.push(Message { role: Role::User, content: self.defect_told(defect) });
        Call { messages, ..call.clone() }
    }

    fn defect_told(&self, defect: &Defect) -> String {
        format!(
            "Your answer cannot be used: {defect}. Answer again with nothing but one JSON object of this schema, without a \
             code fence and without any other word:\n{}",
            self.schema()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repair_names_the_defect_and_the_form() {
        let expectation = Expectation::Scores(Scoring { criteria: vec!["Depth".to_owned()] });
        let defect = expectation.check(r#"{"evaluations": []}"#).unwrap_err();
        let repair = expectation.defect_told(&defect);
        assert!(repair.contains("there is no score for \"Depth\"") && repair.contains("\"evaluations\""), "{repair}");
        assert_eq!(Expectation::Preference.check(r#"{"winner": "B"}"#), Ok(()));
    }
}
