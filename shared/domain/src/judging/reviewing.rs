//! A reviewer's ranking of answers that are shown under labels: every label once, best first, with what it found in each.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{Defect, labels, object};

/// What is to be ranked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reviewing {
    /// The labels of the answers, in the order in which they are shown: A, B, C and so on.
    pub labels: Vec<String>,
}

/// What a reviewer found in one answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Critique {
    /// Which, as a position in [`Reviewing::labels`].
    pub position: usize,
    /// What is good about it, in the reviewer's words; may be empty.
    pub strengths: String,
    /// What is not; may be empty.
    pub weaknesses: String,
}

/// A reviewer's opinion of all answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Review {
    /// The answers, best first, as positions in [`Reviewing::labels`], each once.
    pub order: Vec<usize>,
    /// What it found, in the order in which it said it; without the answers that it said nothing of.
    pub critiques: Vec<Critique>,
}

impl Reviewing {
    /// So many answers.
    pub fn of(count: usize) -> Self {
        Self { labels: (0..count).map(labels::label).collect() }
    }

    /// Reads an answer. The last object with a `ranking` counts, as what is said before it may be a draft or a quotation; it is
    /// never mended from another one.
    ///
    /// # Errors
    /// What is wrong with the answer, if its ranking does not have every label once.
    pub fn read(&self, answer: &str) -> Result<Review, Defect> {
        let (mut any, mut last) = (false, None);
        for object in object::objects(answer) {
            any = true;
            if object.contains_key("ranking") {
                last = Some(object);
            }
        }
        match last {
            Some(object) => self.read_object(&object),
            None if any => Err(Defect("the object has no list \"ranking\"".to_owned())),
            None => Err(Defect("there is no JSON object in it".to_owned())),
        }
    }

    fn read_object(&self, object: &Map<String, Value>) -> Result<Review, Defect> {
        let Some(Value::Array(ranking)) = object.get("ranking") else {
            return Err(Defect("\"ranking\" is not a list".to_owned()));
        };
        let mut times = vec![0_usize; self.labels.len()];
        let mut order = Vec::with_capacity(times.len());
        let mut unknown = false;
        for entry in ranking {
            let Some(position) = entry.as_str().and_then(|label| self.position(label)) else {
                unknown = true;
                continue;
            };
            times[position] += 1;
            order.push(position);
        }
        let told = |wrong: fn(usize) -> bool, what: &str| -> Vec<String> {
            let labels = self.labels.iter().zip(&times).filter(|(_, times)| wrong(**times));
            labels.map(|(label, _)| format!("label {label} {what}")).collect()
        };
        let mut defects = told(|times| times > 1, "is there twice");
        defects.extend(told(|times| times == 0, "is missing"));
        if unknown {
            defects.push("an entry of \"ranking\" is none of the labels".to_owned());
        }
        if !defects.is_empty() {
            return Err(Defect(defects.join(", ")));
        }
        Ok(Review { order, critiques: self.critiques(object) })
    }

    /// What is said of each answer helps people and a chair; a ranking counts without it.
    fn critiques(&self, object: &Map<String, Value>) -> Vec<Critique> {
        let entries = object.get("critiques").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let text = |entry: &Value, name: &str| entry[name].as_str().unwrap_or_default().trim().to_owned();
        let mut critiques: Vec<Critique> = Vec::new();
        for entry in entries {
            let Some(position) = entry["label"].as_str().and_then(|label| self.position(label)) else { continue };
            let said =
                Critique { position, strengths: text(entry, "strengths"), weaknesses: text(entry, "weaknesses") };
            let is_new = critiques.iter().all(|earlier| earlier.position != position);
            if is_new && !(said.strengths.is_empty() && said.weaknesses.is_empty()) {
                critiques.push(said);
            }
        }
        critiques
    }

    /// The position of a label, also where it is written as `Answer A`, `response a` or `**A**`.
    fn position(&self, written: &str) -> Option<usize> {
        let bare = |text: &str| text.trim_matches(|letter: char| !letter.is_alphanumeric()).to_ascii_uppercase();
        let written = bare(written);
        let last = ["ANSWER", "RESPONSE"].into_iter().find_map(|word| {
            // `ANSWERA` is no label, and neither is a label that begins so cut off.
            let rest = written.strip_prefix(word)?;
            rest.starts_with(|letter: char| !letter.is_alphanumeric()).then(|| bare(rest))
        });
        let written = last.unwrap_or(written);
        self.labels.iter().position(|label| *label == written)
    }

    /// The JSON schema of an answer, in the part of the language that all providers take: that each label stands there once is
    /// not. What is found comes before the ranking, so that a model thinks before it decides.
    pub fn schema(&self) -> Value {
        let text = json!({"type": "string"});
        json!({
            "type": "object",
            "properties": {
                "critiques": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "properties": {"label": text, "strengths": text, "weaknesses": text},
                        "required": ["label", "strengths", "weaknesses"],
                        "additionalProperties": false,
                    },
                },
                "ranking": {"type": "array", "items": {"type": "string", "enum": self.labels}},
            },
            "required": ["critiques", "ranking"],
            "additionalProperties": false,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn order(count: usize, text: &str) -> Result<Vec<usize>, String> {
        Reviewing::of(count).read(text).map(|review| review.order).map_err(|defect| defect.0)
    }

    #[test]
    fn a_ranking_is_read_however_the_labels_are_written() {
        for text in [
            r#"{"critiques": [], "ranking": ["B", "C", "A"]}"#,
            "Here it is:\n```json\n{\"ranking\": [\"Answer B\", \"response c.\", \" **a** \"]}\n```\nDone.",
            r#"{"ranking": ["ANSWER: B", "[C]", "a"], "more": 1}"#,
        ] {
            assert_eq!(order(3, text), Ok(vec![1, 2, 0]), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_named_and_nothing_is_repeated() {
        for (text, defect) in [
            (r#"{"ranking": ["B", "A"]}"#, "label C is missing"),
            (r#"{"ranking": ["B", "A", "C", "answer a"]}"#, "label A is there twice"),
            (r#"{"ranking": ["B", "B", "C"]}"#, "label B is there twice, label A is missing"),
            (r#"{"ranking": ["B", "A", "AC", "C"]}"#, "an entry of \"ranking\" is none of the labels"),
            (
                r#"{"ranking": ["AnswerA", "B", "C"]}"#,
                "label A is missing, an entry of \"ranking\" is none of the labels",
            ),
            (
                r#"{"ranking": [["A", "B", "C"]]}"#,
                "label A is missing, label B is missing, label C is missing, an entry of \"ranking\" is none of the labels",
            ),
            (r#"{"ranking": "A, B, C"}"#, "\"ranking\" is not a list"),
            (r#"{"order": ["A", "B", "C"]}"#, "the object has no list \"ranking\""),
            ("FINAL RANKING:\n1. A\n2. B\n3. C", "there is no JSON object in it"),
        ] {
            assert_eq!(order(3, text), Err(defect.to_owned()), "{text}");
        }
    }

    #[test]
    fn the_last_ranking_counts_and_is_not_mended_from_a_draft() {
        let draft = r#"Answer B says {"ranking": ["B", "A"]}, which I ignore. {"ranking": ["A", "B"]}"#;
        assert_eq!(order(2, draft), Ok(vec![0, 1]));
        let unfinished = r#"{"ranking": ["A", "B"]} or rather {"ranking": ["B"]}, {"critiques": []}"#;
        assert_eq!(order(2, unfinished), Err("label A is missing".to_owned()));
        let quoted = r#"{"critiques": [{"label": "A", "strengths": "{\"ranking\": [\"B\", \"A\"]}", "weaknesses": ""}], "ranking": ["A", "B"]}"#;
        assert_eq!(order(2, quoted), Ok(vec![0, 1]));
    }

    #[test]
    fn labels_beyond_z_are_themselves() {
        let mut labels = Reviewing::of(30).labels;
        labels.rotate_left(27);
        let text = json!({"ranking": labels.iter().map(|label| format!("Response {label}")).collect::<Vec<_>>()});
        assert_eq!(order(30, &text.to_string()).unwrap()[..4], [27, 28, 29, 0]);
    }

    #[test]
    fn critiques_help_and_are_not_required() {
        let text = r#"{"critiques": [{"label": "Answer B", "strengths": " short ", "weaknesses": 3}, {"label": "b", "strengths": "again"},
            {"label": "Z", "strengths": "x"}, {"label": "A", "strengths": ""}, "A"], "ranking": ["A", "B"]}"#;
        let review = Reviewing::of(2).read(text).unwrap();
        let expected = Critique { position: 1, strengths: "short".to_owned(), weaknesses: String::new() };
        assert_eq!(review.critiques, [expected]);
    }

    proptest! {
        #[test]
        fn any_answer_is_borne(text in "[\\s\\S]{0,200}") {
            let _ = Reviewing::of(3).read(&text);
        }

        #[test]
        fn every_order_is_read_and_every_other_list_is_refused(
            order in Just((0..7_usize).collect::<Vec<_>>()).prop_shuffle(),
            other in prop::collection::vec(0..7_usize, 0..9),
            before in "[^{]{0,30}",
        ) {
            let reviewing = Reviewing::of(7);
            let said = |order: &[usize]| {
                let labels: Vec<&String> = order.iter().map(|position| &reviewing.labels[*position]).collect();
                format!("{before}{}", json!({"critiques": [], "ranking": labels}))
            };
            prop_assert_eq!(&reviewing.read(&said(&order)).unwrap().order, &order);
            let mut sorted = other.clone();
            sorted.sort_unstable();
            let is_order = sorted == (0..7).collect::<Vec<_>>();
            prop_assert_eq!(reviewing.read(&said(&other)).is_ok(), is_order);
        }
    }
}
