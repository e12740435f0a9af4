//! Reads JSON into a type and finds every wrong place, though serde stops at the first: record it, put something in its
//! place that passes, read again. Called by `payload`. The messages never hold a value that the caller sent.

use std::collections::VecDeque;

use acm2_domain::error::FieldError;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use serde_path_to_error::Segment;

use super::json::{Step, pointer};
use super::nearest::nearest;

/// More are of no use to anyone.
pub(super) const MAX_ERRORS: usize = 20;
/// How often a body may be read; a large one less often, since each time costs.
const READS: usize = 100;
const READS_OF_LARGE: usize = 10;
const LARGE: usize = 64 * 1024;

/// What became of a body.
pub(super) struct Reading<T> {
    /// The value; with stand-ins where there were errors. `None` where no stand-in passes.
    pub(super) value: Option<T>,
    /// Every wrong place.
    pub(super) errors: Vec<FieldError>,
}

/// Reads `value`, whose text had `size` bytes.
pub(super) fn read<T: DeserializeOwned>(mut value: Value, size: usize) -> Reading<T> {
    let mut reads = if size > LARGE { READS_OF_LARGE } else { READS };
    let mut errors = Vec::new();
    loop {
        let fault = match attempt::<T>(&value) {
            Ok(read) => return Reading { value: Some(read), errors },
            Err(fault) => fault,
        };
        errors.push(fault.to_field_error());
        if errors.len() >= MAX_ERRORS || !mend::<T>(&mut value, &fault, &mut reads) {
            return Reading { value: None, errors };
        }
    }
}

/// The first wrong place that serde meets.
struct Fault {
    /// Where; `None` where it cannot be told.
    path: Option<Vec<Step>>,
    what: What,
}

enum What {
    /// A name that the type has is not there; the path ends with it.
    Missing,
    /// A name that the type does not have; with those that it has.
    Unknown(Vec<String>),
    /// A value of the wrong type or range, and a value that would be right, where the message tells one.
    Wrong(String, Option<Value>),
}

impl Fault {
    fn to_field_error(&self) -> FieldError {
        let path = self.path.as_deref().unwrap_or_default();
        let detail = match &self.what {
            What::Missing => "is missing".to_owned(),
            What::Wrong(detail, _) => detail.clone(),
            What::Unknown(known) => {
                let names: Vec<&str> = known.iter().map(String::as_str).collect();
                let meant = match path.last() {
                    Some(Step::Key(name)) => nearest(name, &names),
                    _ => None,
                };
                match meant {
                    Some(meant) => format!("is not known here; did you mean {meant}?"),
                    None => format!("is not known here; known are {}", names.join(", ")),
                }
            }
        };
        FieldError::new(pointer(path), detail)
    }
}

fn attempt<T: DeserializeOwned>(value: &Value) -> Result<T, Fault> {
    serde_path_to_error::deserialize::<_, T>(value).map_err(|error| {
        let mut path = Some(Vec::new());
        for segment in error.path() {
            match segment {
                Segment::Seq { index } => path.iter_mut().for_each(|path| path.push(Step::Index(*index))),
                Segment::Map { key } => path.iter_mut().for_each(|path| path.push(Step::Key(key.clone()))),
                Segment::Enum { .. } => {}
                Segment::Unknown => path = None,
            }
        }
        let message = error.into_inner().to_string();
        let what = if let Some(name) = quoted_after(&message, "missing field `") {
            if let Some(path) = &mut path {
                path.push(Step::Key(name.to_owned()));
            }
            What::Missing
        } else if message.starts_with("unknown field `") {
            What::Unknown(known_names(&message))
        } else {
            What::Wrong(describe(&message), right_value(&message))
        };
        Fault { path, what }
    })
}

fn quoted_after<'a>(message: &'a str, start: &str) -> Option<&'a str> {
    message.strip_prefix(start)?.split('`').next()
}

/// The part of serde's message after the value that was sent: it comes from our types. A hostile value may contain the
/// same words, so the last occurrence counts.
fn expected(message: &str) -> Option<&str> {
    message.rsplit_once(", expected ").map(|(_, expected)| expected)
}

fn known_names(message: &str) -> Vec<String> {
    expected(message).unwrap_or_default().split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

fn describe(message: &str) -> String {
    let from_serde = ["invalid type: ", "invalid value: ", "invalid length ", "unknown variant `"];
    if !from_serde.iter().any(|start| message.starts_with(start)) {
        // One of our own, which never tell a value.
        let plain: String = message.chars().take(300).collect();
        return if plain.starts_with("must ") { plain } else { format!("is {plain}") };
    }
    let plain = match expected(message).unwrap_or("something else") {
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number, not negative",
        "i8" | "i16" | "i32" | "i64" => "a whole number",
        "f32" | "f64" => "a number",
        "a boolean" => "true or false",
        "a sequence" => "an array",
        "a map" => "an object",
        other if other.starts_with("struct ") => "an object",
        other => other,
    };
    format!("must be {plain}")
}

/// A value that would pass, as far as the message of a refusal tells: one of the words, an id of the right kind.
fn right_value(message: &str) -> Option<Value> {
    if message.starts_with("unknown variant `") {
        return known_names(message).into_iter().next().map(Value::String);
    }
    let (_, rest) = message.split_once("not an id of the form ")?;
    let prefix = rest.split(' ').next()?;
    Some(json!(format!("{prefix}{}", "0".repeat(26))))
}

/// Puts something in the place of a fault that passes, so that the next one shows. False where nothing does.
fn mend<T: DeserializeOwned>(value: &mut Value, fault: &Fault, reads: &mut usize) -> bool {
    let Some((last, parents)) = fault.path.as_deref().and_then(<[Step]>::split_last) else { return false };
    let Some(parent) = walk(value, parents) else { return false };
    match last {
        Step::Key(name) => {
            let Some(object) = parent.as_object_mut() else { return false };
            if matches!(fault.what, What::Unknown(_)) {
                return object.remove(name).is_some();
            }
            if object.remove(name).is_some() && passes::<T>(value, fault, reads) {
                return true;
            }
        }
        Step::Index(index) => {
            if parent.get(*index).is_none() {
                return false;
            }
        }
    }
    let mut stand_ins = VecDeque::from([json!(""), json!(0), json!([]), json!({}), json!(false), Value::Null]);
    if let What::Wrong(_, Some(right)) = &fault.what {
        stand_ins.push_front(right.clone());
    }
    let mut learnt = false;
    while let Some(stand_in) = stand_ins.pop_front() {
        match (walk(value, parents), last) {
            (Some(Value::Object(object)), Step::Key(name)) => {
                object.insert(name.clone(), stand_in);
            }
            (Some(Value::Array(array)), Step::Index(index)) => array[*index] = stand_in,
            _ => return false,
        }
        if passes::<T>(value, fault, reads) {
            return true;
        }
        // A stand-in of the right type may bring out which values are right.
        if !learnt && let Err(Fault { what: What::Wrong(_, Some(right)), .. }) = attempt::<T>(value) {
            learnt = true;
            stand_ins.push_front(right);
        }
    }
    false
}

/// Whether the place of the fault, and what lies beneath it, is no longer the first to be refused.
fn passes<T: DeserializeOwned>(value: &Value, fault: &Fault, reads: &mut usize) -> bool {
    if *reads == 0 {
        return false;
    }
    *reads -= 1;
    match (attempt::<T>(value), &fault.path) {
        (Ok(_), _) => true,
        (Err(Fault { path: Some(path), .. }), Some(place)) => !path.starts_with(place),
        (Err(_), _) => false,
    }
}

fn walk<'a>(value: &'a mut Value, path: &[Step]) -> Option<&'a mut Value> {
    path.iter().try_fold(value, |value, step| match step {
        Step::Key(name) => value.get_mut(name.as_str()),
        Step::Index(index) => value.get_mut(*index),
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use acm2_domain::ids::RunId;
    use acm2_domain::run::NewRun;
    use serde::Deserialize;

    use super::*;

    fn errors<T: DeserializeOwned>(value: Value) -> Vec<(String, String)> {
        read::<T>(value, 0).errors.into_iter().map(|error| (error.pointer, error.detail)).collect()
    }

    fn pointers<T: DeserializeOwned>(value: Value) -> Vec<String> {
        errors::<T>(value).into_iter().map(|(pointer, _)| pointer).collect()
    }

    #[test]
    fn every_wrong_place_of_a_run_is_found() {
        let body = json!({
            "promt": "hi", "models": ["sandbox/echo", 5, {"model": "x", "temprature": 1, "top_p": "a"}],
            "iterations": "two", "concurrency": -1, "metadata": {"a": 1}, "tags": "x", "max_cost_usd": 1,
        });
        let mut found = pointers::<NewRun>(body);
        found.sort();
        let expected = [
            "/concurrency",
            "/iterations",
            "/max_cost_usd",
            "/metadata/a",
            "/models/1",
            "/models/2/temprature",
            "/models/2/top_p",
            "/promt",
            "/tags",
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_word_that_is_none_gets_those_that_are() {
        let found = errors::<NewRun>(json!({"stages": {"combine": {"strategy": "blend"}, "pairwise": null}}));
        let detail = "must be one of `merge`, `synthesis`, `best_of`, `sections`, `concatenation`";
        assert_eq!(found, [("/stages/combine/strategy".to_owned(), detail.to_owned())]);
    }

    #[test]
    fn a_mistyped_name_gets_the_right_one() {
        let found = errors::<NewRun>(json!({"promt": "hi", "models": []}));
        assert_eq!(found, [("/promt".to_owned(), "is not known here; did you mean prompt?".to_owned())]);
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only read")]
    struct Sample {
        first: String,
        second: u32,
        nested: Inner,
        #[serde(default)]
        notes: BTreeMap<String, String>,
    }

    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "only read")]
    struct Inner {
        flag: bool,
        run: RunId,
    }

    #[test]
    fn missing_names_are_all_found_as_long_as_a_stand_in_passes() {
        let found = errors::<Sample>(json!({}));
        assert_eq!(
            found.iter().map(|(pointer, _)| pointer.as_str()).collect::<Vec<_>>(),
            ["/first", "/second", "/nested"]
        );
    }

    #[test]
    fn no_value_is_shown_even_if_it_speaks_like_serde() {
        let canary = "canary`, expected one of `canary`";
        let body = json!({
            "first": {"x": canary}, "second": canary, "nested": {"flag": canary, "run": canary}, "notes": [canary],
        });
        let found = errors::<Sample>(body);
        assert!(found.len() >= 4, "{found:?}");
        assert!(!format!("{found:?}").contains("canary"), "{found:?}");
        for wrong in [json!(canary), json!([canary]), json!(null), json!(7)] {
            let found = errors::<Sample>(wrong);
            assert!(!format!("{found:?}").contains("canary"), "{found:?}");
        }
    }

    #[test]
    fn a_body_full_of_errors_ends() {
        let many: serde_json::Map<String, Value> = (0..1_000).map(|n| (format!("x{n}"), json!(n))).collect();
        assert_eq!(pointers::<Sample>(Value::Object(many)).len(), MAX_ERRORS);
    }
}
