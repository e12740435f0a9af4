//! A judge's choice between two answers, shown to it as A and B.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{Defect, object};

/// One of two answers, by the place in which it was shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Enum))]
pub enum Side {
    /// The first one.
    A,
    /// The second one.
    B,
}

/// Which of two answers a judge prefers. There is no tie: two orders that disagree are one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preference {
    /// The better one.
    pub winner: Side,
    /// Why, in the judge's words; empty where it gave none.
    pub reason: String,
}

impl Preference {
    /// Reads an answer.
    ///
    /// # Errors
    /// What is wrong with it, if it names no winner.
    pub fn read(answer: &str) -> Result<Self, Defect> {
        object::find(answer, Self::read_object, |one, other| one.winner == other.winner)
            .unwrap_or_else(|| Err(Defect("there is no JSON object in it".to_owned())))
    }

    fn read_object(object: &Map<String, Value>) -> Result<Self, Defect> {
        let winner = match object.get("winner").and_then(Value::as_str).map(str::trim) {
            Some("A" | "a") => Side::A,
            Some("B" | "b") => Side::B,
            _ => return Err(Defect("\"winner\" is neither \"A\" nor \"B\"".to_owned())),
        };
        let reason = object.get("reason").and_then(Value::as_str).unwrap_or_default().to_owned();
        Ok(Self { winner, reason })
    }

    /// The JSON schema of an answer.
    pub fn schema() -> Value {
        json!({
            "type": "object",
            "properties": {"winner": {"type": "string", "enum": ["A", "B"]}, "reason": {"type": "string"}},
            "required": ["winner", "reason"],
            "additionalProperties": false,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_winner_is_read_and_nothing_else_is() {
        let read = |text: &str| Preference::read(text).map(|preference| preference.winner);
        assert_eq!(read(r#"{"winner": "A", "reason": "shorter"}"#), Ok(Side::A));
        assert_eq!(read("I choose ```{\"winner\": \" b \"}```"), Ok(Side::B));
        for text in [r#"{"winner": "tie"}"#, r#"{"winner": 1}"#, r#"{"reason": "A"}"#, r#"{"winner": "A or B"}"#] {
            assert_eq!(read(text).unwrap_err().0, "\"winner\" is neither \"A\" nor \"B\"");
        }
        assert_eq!(read("A").unwrap_err().0, "there is no JSON object in it");
    }

    proptest! {
        #[test]
        fn any_answer_is_borne(text in "[\\s\\S]{0,200}") {
            let _ = Preference::read(&text);
        }
    }
}
