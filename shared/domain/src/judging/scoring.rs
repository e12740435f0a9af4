//! A judge's scores of one answer: for each criterion a whole number from 1 to 5, with a reason.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{Defect, object};

/// What a judge gave for one criterion.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object))]
pub struct Scored {
    /// The criterion's name.
    pub criterion: String,
    /// 1 (worst) to 5 (best).
    pub score: u8,
    /// Why, in the judge's words; empty where it gave none.
    pub reason: String,
}

/// What is to be scored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scoring {
    /// The names of the criteria; no two are the same but for upper and lower case.
    pub criteria: Vec<String>,
}

impl Scoring {
    /// The scores, in the order of the criteria.
    ///
    /// # Errors
    /// What is wrong with the answer, if a criterion has no score that counts, or two.
    pub fn read(&self, answer: &str) -> Result<Vec<Scored>, Defect> {
        let read = object::find(answer, |object| self.read_object(object), |one, other| is_same_judgement(one, other));
        read.unwrap_or_else(|| Err(Defect("there is no JSON object in it".to_owned())))
    }

    fn read_object(&self, object: &Map<String, Value>) -> Result<Vec<Scored>, Defect> {
        let Some(Value::Array(given)) = object.get("evaluations") else {
            return Err(Defect("the object has no list \"evaluations\"".to_owned()));
        };
        let mut found: Vec<Option<Scored>> = vec![None; self.criteria.len()];
        for entry in given {
            let Some(name) = entry.get("criterion").and_then(Value::as_str) else {
                return Err(Defect("an entry of \"evaluations\" has no \"criterion\"".to_owned()));
            };
            // What was not asked for is not an answer to anything.
            let Some(index) = self.criteria.iter().position(|criterion| is_same(criterion, name)) else { continue };
            let criterion = &self.criteria[index];
            let Some(score) = entry.get("score").and_then(whole) else {
                return Err(Defect(format!("the score for \"{criterion}\" is not a whole number from 1 to 5")));
            };
            let reason = entry.get("reason").and_then(Value::as_str).unwrap_or_default().to_owned();
            if found[index].replace(Scored { criterion: criterion.clone(), score, reason }).is_some() {
                return Err(Defect(format!("the criterion \"{criterion}\" is there twice")));
            }
        }
        let missing: Vec<String> = self
            .criteria
            .iter()
            .zip(&found)
            .filter(|(_, found)| found.is_none())
            .map(|(criterion, _)| format!("\"{criterion}\""))
            .collect();
        if !missing.is_empty() {
            return Err(Defect(format!("there is no score for {}", missing.join(", "))));
        }
        Ok(found.into_iter().flatten().collect())
    }

    /// The JSON schema of an answer, in the part of the language that all providers take.
    pub fn schema(&self) -> Value {
        json!({
            "type": "object",
            "properties": {
                "evaluations": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "properties": {
                            "criterion": {"type": "string", "enum": self.criteria},
                            "score": {"type": "integer", "enum": [1, 2, 3, 4, 5]},
                            "reason": {"type": "string"},
                        },
                        "required": ["criterion", "score", "reason"],
                        "additionalProperties": false,
                    },
                },
            },
            "required": ["evaluations"],
            "additionalProperties": false,
        })
    }
}

/// Whether the scores are the same, whatever their reasons.
fn is_same_judgement(one: &[Scored], other: &[Scored]) -> bool {
    one.iter().map(|scored| scored.score).eq(other.iter().map(|scored| scored.score))
}

fn is_same(criterion: &str, name: &str) -> bool {
    criterion == name || criterion.trim().to_lowercase() == name.trim().to_lowercase()
}

/// A whole number from 1 to 5, also where it is written as `4.0` or as a text.
fn whole(value: &Value) -> Option<u8> {
    let number = match value {
        Value::Number(number) => number.as_f64()?,
        Value::String(text) => text.trim().parse().ok()?,
        _ => return None,
    };
    [1_u8, 2, 3, 4, 5].into_iter().find(|score| f64::from(*score).total_cmp(&number).is_eq())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn scoring() -> Scoring {
        Scoring { criteria: vec!["Clarity".to_owned(), "Depth".to_owned()] }
    }

    fn answer(scores: &[(&str, Value)]) -> String {
        let given: Vec<Value> =
            scores.iter().map(|(name, score)| json!({"criterion": name, "score": score, "reason": "so"})).collect();
        json!({"evaluations": given}).to_string()
    }

    #[test]
    fn scores_come_in_the_order_of_the_criteria_whatever_stands_around() {
        let text = format!("Sure!\n```json\n{}\n```", answer(&[(" depth", json!("2")), ("Clarity", json!(4.0))]));
        let scores = scoring().read(&text).unwrap();
        let seen: Vec<_> = scores.iter().map(|scored| (scored.criterion.as_str(), scored.score)).collect();
        assert_eq!(seen, [("Clarity", 4), ("Depth", 2)]);
        assert_eq!(scores[0].reason, "so");
    }

    #[test]
    fn what_is_no_score_is_named() {
        let defect = |scores: &[(&str, Value)]| scoring().read(&answer(scores)).unwrap_err().0;
        for wrong in [json!(0), json!(6), json!(3.5), json!("good"), json!(null), json!([4]), json!(true), json!("NaN")]
        {
            let defect = defect(&[("Clarity", wrong), ("Depth", json!(1))]);
            assert_eq!(defect, "the score for \"Clarity\" is not a whole number from 1 to 5");
        }
        assert_eq!(defect(&[("Depth", json!(1))]), "there is no score for \"Clarity\"");
        let twice = [("Depth", json!(1)), ("depth", json!(2)), ("Clarity", json!(1))];
        assert_eq!(defect(&twice), "the criterion \"Depth\" is there twice");
        assert_eq!(scoring().read("4 out of 5").unwrap_err().0, "there is no JSON object in it");
        assert_eq!(scoring().read("{}").unwrap_err().0, "the object has no list \"evaluations\"");
    }

    #[test]
    fn criteria_that_nobody_asked_for_are_left_aside() {
        let scores = [("Depth", json!(1)), ("Wit", json!("very")), ("Clarity", json!(5))];
        assert_eq!(scoring().read(&answer(&scores)).unwrap().len(), 2);
    }

    proptest! {
        #[test]
        fn any_answer_is_borne(text in "[\\s\\S]{0,200}") {
            let _ = scoring().read(&text);
        }

        #[test]
        fn what_is_asked_for_is_read(first in 1_u8..=5, second in 1_u8..=5, reason in "\\PC{0,40}") {
            let text = json!({"evaluations": [
                {"criterion": "Clarity", "score": first, "reason": reason},
                {"criterion": "Depth", "score": second, "reason": ""},
            ]}).to_string();
            let scores = scoring().read(&text).unwrap();
            prop_assert_eq!((scores[0].score, scores[1].score, &scores[0].reason), (first, second, &reason));
        }
    }
}
