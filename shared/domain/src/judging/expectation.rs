//! What a call expects of its answer.

use serde_json::Value;

use super::{Defect, Preference, Reviewing, Scoring};
use crate::call::{Call, CallSize, Message, Role};
use crate::research::{Queries, Sources};

/// Of an answer that cannot be used the model is shown so many bytes at most: enough to see what it was.
const SHOWN: usize = 4_000;
/// The most bytes of the words that tell a defect, without the names of criteria and labels among them.
const MOST_DEFECT_BYTES: usize = 120;

/// What an answer must be, to count as one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expectation {
    /// Scores for criteria.
    Scores(Scoring),
    /// One of two answers.
    Preference,
    /// An order of all answers that are shown.
    Ranking(Reviewing),
    /// Queries for a search of the web.
    Queries,
    /// A report that cites at least one of the sources of these numbers.
    Report(Vec<u32>),
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
            Self::Ranking(reviewing) => reviewing.read(answer).map(|_| ()),
            Self::Queries => Queries::read(answer).map(|_| ()),
            Self::Report(numbers) => Sources::check(answer, numbers),
        }
    }

    /// The name of the schema, for providers that want one.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Scores(_) => "scores",
            Self::Preference => "preference",
            Self::Ranking(_) => "ranking",
            Self::Queries => "queries",
            Self::Report(_) => "report",
        }
    }

    /// Whether the answer is JSON, which a provider can be told the schema of.
    pub const fn is_json(&self) -> bool {
        !matches!(self, Self::Report(_))
    }

    /// The JSON schema of an answer; null where it is no JSON.
    pub fn schema(&self) -> Value {
        match self {
            Self::Scores(scoring) => scoring.schema(),
            Self::Preference => Preference::schema(),
            Self::Ranking(reviewing) => reviewing.schema(),
            Self::Queries => Queries::schema(),
            Self::Report(_) => Value::Null,
        }
    }

    /// The call that asks again, after an answer that was not what was expected; `None` where that is no longer known.
    pub fn repair(&self, call: &Call, answer: Option<&str>, defect: &Defect) -> Call {
        let shown = answer.map_or("(This answer was not kept.)", |answer| {
            let end = (0..=SHOWN.min(answer.len())).rev().find(|end| answer.is_char_boundary(*end)).unwrap_or(0);
            // Providers refuse an empty turn.
            if answer[..end].trim().is_empty() { "(nothing)" } else { &answer[..end] }
        });
        let mut messages = call.messages.clone();
        messages.push(Message { role: Role::Assistant, content: shown.to_owned() });
        messages.push(Message { role: Role::User, content: self.defect_told(defect) });
        Call { messages, ..call.clone() }
    }

    /// What asking again adds to a call at most.
    pub fn repair_size(&self) -> CallSize {
        let named = match self {
            // Each may be missing.
            Self::Scores(scoring) => scoring.criteria.iter().map(|name| name.len() + "\"\", ".len()).sum(),
            Self::Ranking(reviewing) => {
                reviewing.labels.iter().map(|label| label.len() + "label  is there twice, ".len()).sum()
            }
            Self::Preference | Self::Queries | Self::Report(_) => 0,
        };
        let told = self.defect_told(&Defect(String::new())).len();
        CallSize { bytes: (SHOWN + told + MOST_DEFECT_BYTES + named) as u64, messages: 2 }
    }

    fn defect_told(&self, defect: &Defect) -> String {
        if !self.is_json() {
            return format!("Your answer cannot be used: {defect}. Write it again, and mend that.");
        }
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
        let ranking = Expectation::Ranking(Reviewing::of(3));
        let defect = ranking.check(r#"{"ranking": ["Answer B", "A", "b"]}"#).unwrap_err();
        let repair = ranking.defect_told(&defect);
        assert!(repair.contains("label B is there twice, label C is missing"), "{repair}");
        assert_eq!(Expectation::Preference.check(r#"{"winner": "B"}"#), Ok(()));
    }

    /// How much more is said where this was answered, and how much that may be.
    fn added(expectation: &Expectation, answer: &str) -> (CallSize, CallSize) {
        let body = serde_json::json!({"prompt": "hi", "models": ["sandbox/echo"]});
        let run: crate::run::NewRun = serde_json::from_value(body).unwrap();
        let spec = run.compile(&crate::prices::Prices::built_in()).unwrap();
        let call = Call { expects: Some(expectation.clone()), ..spec.call(&spec.models[0], None) };
        let defect = expectation.check(answer).unwrap_err();
        let (before, after) = (call.size(), expectation.repair(&call, Some(answer), &defect).size());
        let added = CallSize { bytes: after.bytes - before.bytes, messages: after.messages - before.messages };
        (added, expectation.repair_size())
    }

    #[test]
    fn what_a_repair_adds_is_bounded_beforehand() {
        let score = |name: &str, score: u8| serde_json::json!({"criterion": name, "score": score, "reason": ""});
        let (long, filler) = ("\"é\\".repeat(25), " ".repeat(SHOWN));
        let scores = |given: &[Value]| serde_json::json!({"evaluations": given}).to_string();
        let contradicting = [2, 3].map(|given| scores(&[score(&long, given)])).concat();
        let one = Expectation::Scores(Scoring { criteria: vec![long.clone()] });
        let many = Expectation::Scores(Scoring { criteria: (0..50).map(|n| format!("{long}{n}")).collect() });
        let ranking = Expectation::Ranking(Reviewing::of(500));
        let labels = Reviewing::of(500).labels;
        let twice = [&*labels, &*labels, &["?".to_owned()]].concat();
        let twice = serde_json::json!({ "ranking": twice }).to_string();
        for (expectation, answer) in [
            (&one, contradicting),
            (&one, scores(&[score(&long, 6)])),
            (&one, scores(&[score(&long, 1), score(&long, 1)])),
            (&one, scores(&[Value::Null])),
            (&one, "{}".to_owned()),
            (&many, scores(&[])),
            (&ranking, twice),
            (&ranking, r#"{"ranking": ["?"]}"#.to_owned()),
            (&ranking, r#"{"ranking": 1}"#.to_owned()),
            (&Expectation::Preference, r#"{"winner": "A"} {"winner": "B"}"#.to_owned()),
            (&Expectation::Preference, "A".to_owned()),
            (&Expectation::Queries, r#"{"queries": []}"#.to_owned()),
            (&Expectation::Report(vec![1]), "nothing is cited".to_owned()),
        ] {
            let (added, most) = added(expectation, &format!("{answer}{filler}"));
            assert!(added.bytes <= most.bytes && added.messages == most.messages, "{answer}: {added:?} {most:?}");
            // It is not much more than it may be.
            assert!(expectation != &many || added.bytes + 200 > most.bytes, "{added:?} {most:?}");
        }
    }
}
