//! What a call expects of its answer.

use serde_json::Value;

use super::{Defect, Preference, Scoring};

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

    /// What a model is told whose answer was not what was expected.
    pub fn repair(&self, defect: &Defect) -> String {
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
        let repair = expectation.repair(&defect);
        assert!(repair.contains("there is no score for \"Depth\"") && repair.contains("\"evaluations\""), "{repair}");
        assert_eq!(Expectation::Preference.check(r#"{"winner": "B"}"#), Ok(()));
    }
}
