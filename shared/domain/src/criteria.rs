//! Criteria sets: what judges score, each criterion with a weight. They are written by people, in JSON or YAML, so a criterion may
//! be just its name.

use std::collections::BTreeMap;

use serde::de::value::MapAccessDeserializer;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::error::FieldError;
use crate::ranking::deviation::TOTAL;

/// The most criteria of a set.
pub const MAX_CRITERIA: usize = 50;
/// The highest weight.
pub const MAX_WEIGHT: f64 = 1_000.0;
const MAX_NAME: usize = 100;
const MAX_DESCRIPTION: usize = 2_000;
/// A set full of mistakes leads to no more answers than one needs.
const MAX_SHOWN: usize = 20;

/// What a judge scores, from 1 to 5.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Criterion {
    /// Its name, 1 to 100 characters, the only one in its set, upper and lower case taken as the same.
    pub name: String,
    /// What it means, at most 2000 characters.
    pub description: String,
    /// How much it counts beside the others, more than 0 and at most 1000.
    pub weight: f64,
}

/// What is scored where nobody says what.
pub fn usual() -> Vec<Criterion> {
    let usual = [
        ("clarity", "Easy to read and to follow; no needless words."),
        ("completeness", "Everything that was asked for is there."),
        ("depth", "It goes beyond the obvious where the task calls for it, with reasons and details that help."),
        ("factuality", "What it states is true and, where a source is given, in that source; nothing is invented."),
        ("relevance", "It keeps to what was asked."),
        ("structure", "Its order and form serve the reader."),
    ];
    let criterion = |(name, description): (&str, &str)| Criterion {
        name: name.to_owned(),
        description: description.to_owned(),
        weight: usual_weight(),
    };
    usual.into_iter().map(criterion).collect()
}

const fn usual_weight() -> f64 {
    1.0
}

impl<'de> Deserialize<'de> for Criterion {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        /// The object form; a twin of `Criterion`, because serde's derive would loop.
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Object {
            name: String,
            #[serde(default)]
            description: String,
            #[serde(default = "usual_weight")]
            weight: f64,
        }

        struct NameOrObject;

        impl<'de> Visitor<'de> for NameOrObject {
            type Value = Criterion;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a name, or an object with a name")
            }

            fn visit_str<E: de::Error>(self, name: &str) -> Result<Criterion, E> {
                Ok(Criterion { name: name.to_owned(), description: String::new(), weight: usual_weight() })
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Criterion, A::Error> {
                let Object { name, description, weight } = Object::deserialize(MapAccessDeserializer::new(map))?;
                Ok(Criterion { name, description, weight })
            }
        }

        deserializer.deserialize_any(NameOrObject)
    }
}

#[cfg(feature = "openapi")]
const _: () = {
    use poem_openapi::registry::{MetaSchema, MetaSchemaRef};

    fn described(description: &'static str, schema: MetaSchema) -> MetaSchemaRef {
        MetaSchemaRef::Inline(Box::new(MetaSchema { description: Some(description), ..schema }))
    }

    fn object() -> MetaSchema {
        let weight = MetaSchema {
            minimum: Some(0.0),
            exclusive_minimum: Some(true),
            maximum: Some(MAX_WEIGHT),
            ..MetaSchema::new_with_format("number", "double")
        };
        MetaSchema {
            required: vec!["name"],
            properties: vec![
                ("name", described("1 to 100 characters, the only one in its set", MetaSchema::new("string"))),
                ("description", described("what it means, at most 2000 characters", MetaSchema::new("string"))),
                ("weight", described("how much it counts beside the others; 1 where absent", weight)),
            ],
            ..MetaSchema::new("object")
        }
    }

    crate::openapi::json_schema!(
        Criterion,
        MetaSchema {
            description: Some("What a judge scores, from 1 to 5: a name, or a name with a description and a weight."),
            one_of: vec![String::schema_ref(), MetaSchemaRef::Inline(Box::new(object()))],
            ..MetaSchema::ANY
        },
        |_registry: &mut poem_openapi::registry::Registry| {}
    );
};

/// Checks the criteria of a set; `pointer` is their place.
pub fn check_criteria(errors: &mut Vec<FieldError>, pointer: &str, criteria: &[Criterion]) {
    if criteria.is_empty() || criteria.len() > MAX_CRITERIA {
        errors.push(FieldError::new(pointer, format!("must have 1 to {MAX_CRITERIA} criteria")));
    }
    let before = errors.len();
    let mut names: BTreeMap<String, usize> = BTreeMap::new();
    for (index, criterion) in criteria.iter().enumerate().take(MAX_CRITERIA) {
        let name = criterion.name.trim();
        let length = name.chars().count();
        if length == 0 || length > MAX_NAME || name.chars().any(char::is_control) {
            let detail = format!("must have 1 to {MAX_NAME} characters on one line");
            errors.push(FieldError::new(format!("{pointer}/{index}/name"), detail));
        } else if name.eq_ignore_ascii_case(TOTAL) {
            let detail = "is what tables call their row over all criteria; choose another name";
            errors.push(FieldError::new(format!("{pointer}/{index}/name"), detail));
        } else if let Some(first) = names.insert(name.to_lowercase(), index) {
            let detail = format!("is the name of the criterion at {first} already");
            errors.push(FieldError::new(format!("{pointer}/{index}/name"), detail));
        }
        if criterion.description.chars().count() > MAX_DESCRIPTION || criterion.description.contains('\0') {
            let detail = format!("must have at most {MAX_DESCRIPTION} characters, none of them U+0000");
            errors.push(FieldError::new(format!("{pointer}/{index}/description"), detail));
        }
        if !(criterion.weight > 0.0 && criterion.weight <= MAX_WEIGHT) {
            let detail = format!("must be more than 0 and at most {MAX_WEIGHT}");
            errors.push(FieldError::new(format!("{pointer}/{index}/weight"), detail));
        }
    }
    errors.truncate(before + MAX_SHOWN);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn wrong(criteria: serde_json::Value) -> Vec<String> {
        let criteria: Vec<Criterion> = serde_json::from_value(criteria).unwrap();
        let mut errors = Vec::new();
        check_criteria(&mut errors, "/criteria", &criteria);
        errors.into_iter().map(|error| error.pointer).collect()
    }

    #[test]
    fn a_criterion_is_a_name_or_an_object() {
        let both: Vec<Criterion> = serde_json::from_value(json!(["clarity", {"name": "depth", "weight": 2}])).unwrap();
        assert_eq!(both[0], Criterion { name: "clarity".to_owned(), description: String::new(), weight: 1.0 });
        assert_eq!((&*both[1].name, both[1].weight), ("depth", 2.0));
        for wrong in [json!({"weight": 1}), json!({"name": "a", "wieght": 1}), json!(1)] {
            assert!(serde_json::from_value::<Criterion>(wrong).is_err());
        }
    }

    #[test]
    fn duplicates_and_values_out_of_range_are_told_with_their_place() {
        assert_eq!(
            wrong(json!(["a", {"name": "b", "weight": 0.001}, {"name": "c", "weight": 1000}])),
            Vec::<String>::new()
        );
        assert_eq!(wrong(json!([])), ["/criteria"]);
        assert_eq!(wrong(json!(["Clarity", "depth", " clarity "])), ["/criteria/2/name"]);
        assert_eq!(
            wrong(json!(["", "a\nb", "x".repeat(101)])),
            ["/criteria/0/name", "/criteria/1/name", "/criteria/2/name"]
        );
        assert_eq!(wrong(json!(["a", " __total__ ", "__TOTAL__"])), ["/criteria/1/name", "/criteria/2/name"]);
        for weight in [json!(0), json!(-1), json!(1001)] {
            assert_eq!(wrong(json!([{"name": "a", "weight": weight}])), ["/criteria/0/weight"]);
        }
        let many: Vec<String> = (0..51).map(|number| number.to_string()).collect();
        assert_eq!(wrong(json!(many)), ["/criteria"]);
        assert!(wrong(json!(vec![""; 10_000])).len() <= 1 + MAX_SHOWN);
    }
}
