//! The queries that a model plans: `{"queries": ["…"]}`.

use serde_json::{Map, Value, json};

use crate::judging::{Defect, find_object};
use crate::web::one_line;

/// The most bytes of a query: what every search takes.
pub const MOST_QUERY_BYTES: usize = 400;

/// Queries, each on one line, none of them twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queries(pub Vec<String>);

impl Queries {
    /// What a model said.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(answer: &str) -> Result<Self, Defect> {
        find_object(answer, of_object, |_, _| true).unwrap_or_else(|| Err(Defect("it holds no JSON object".to_owned())))
    }

    /// The JSON schema of the answer.
    pub fn schema() -> Value {
        json!({
            "type": "object",
            "properties": {"queries": {"type": "array", "items": {"type": "string"}}},
            "required": ["queries"],
            "additionalProperties": false,
        })
    }
}

fn of_object(object: &Map<String, Value>) -> Result<Queries, Defect> {
    let Some(list) = object.get("queries").and_then(Value::as_array) else {
        return Err(Defect("there is no list \"queries\"".to_owned()));
    };
    let mut queries: Vec<String> = Vec::new();
    for query in list.iter().filter_map(Value::as_str).map(|text| one_line(text, MOST_QUERY_BYTES)) {
        let is_new = |earlier: &String| earlier.to_lowercase() != query.to_lowercase();
        if !query.is_empty() && queries.iter().all(is_new) {
            queries.push(query);
        }
    }
    if queries.is_empty() { Err(Defect("there is no query in the list".to_owned())) } else { Ok(Queries(queries)) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(answer: &str) -> Result<Vec<String>, String> {
        Queries::read(answer).map(|queries| queries.0).map_err(|defect| defect.0)
    }

    #[test]
    fn queries_are_found_wherever_they_stand_and_each_once() {
        let answer = "Sure:\n```json\n{\"queries\": [\"why  cats\\npurr\", \"\", 7, \"WHY cats purr\", \"dogs\"]}\n```";
        assert_eq!(read(answer), Ok(vec!["why cats purr".to_owned(), "dogs".to_owned()]));
        assert!(read("{\"queries\": []}").unwrap_err().contains("no query"));
        assert!(read("{\"query\": \"x\"}").unwrap_err().contains("no list"));
        assert!(read("cats").unwrap_err().contains("no JSON object"));
        assert_eq!(read(&json!({"queries": ["é".repeat(500)]}).to_string()).unwrap()[0].len(), MOST_QUERY_BYTES);
    }

    proptest! {
        #[test]
        fn any_answer_is_read(answer in "[\\s\\S]{0,200}") {
            let _ = Queries::read(&answer);
        }
    }
}
