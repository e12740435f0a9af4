//! Strict JSON: a name that stands twice in an object is found instead of silently won by the last, nesting is bounded, and so is
//! how many values there are: each takes far more memory than the bytes that it is written with.
//! Called by `payload`. It knows no types and shows no values.

use std::fmt;

use acm2_domain::error::{Error, FieldError, Kind};
use serde::de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// No body of ours nests deeper than a handful of levels.
const MAX_DEPTH: usize = 32;
/// The most values in a body, names not counted.
const MAX_VALUES: usize = 100_000;
/// Names that stand twice: the rest of the body is not read for more.
const MAX_DUPLICATES: usize = 20;

/// Why a text is not taken as strict values.
pub(super) enum Refusal<E> {
    /// Names that stand twice: all of them, or the first twenty.
    Duplicates(Vec<FieldError>),
    /// It nests too deeply at this place.
    TooDeep(String),
    /// It says more than it is long.
    TooMuch,
    /// It holds too many values: what is wrong with it, for the caller.
    TooMany(Error),
    /// It cannot be read.
    Syntax(E),
}

/// Reads strict values by a deserializer from a text of `size` bytes.
pub(super) fn parse_with<E>(size: usize, read: impl FnOnce(Node<'_>) -> Result<Value, E>) -> Result<Value, Refusal<E>> {
    // Escapes make text a little longer than it is written; only repetitions make it much longer.
    let mut state = State { room: size.saturating_mul(4).saturating_add(1_024), ..State::default() };
    match read(Node(&mut state)) {
        Ok(value) if state.duplicates.is_empty() => Ok(value),
        Ok(_) => Err(Refusal::Duplicates(state.duplicates)),
        // Reading stops at the last that is told.
        Err(_) if state.duplicates.len() >= MAX_DUPLICATES => Err(Refusal::Duplicates(state.duplicates)),
        Err(_) if state.too_deep => Err(Refusal::TooDeep(state.pointer())),
        Err(_) if state.values > MAX_VALUES => {
            let place = FieldError::new("", format!("the body holds more than {MAX_VALUES} values"));
            Err(Refusal::TooMany(Error::invalid(vec![place])))
        }
        Err(_) if state.too_much => Err(Refusal::TooMuch),
        Err(error) => Err(Refusal::Syntax(error)),
    }
}

/// Reads a body. Not JSON, nested too deeply or with too many values: one error. Names that stand twice: all of them.
pub(super) fn parse(bytes: &[u8]) -> Result<Value, Error> {
    let parsed = parse_with(bytes.len(), |node| {
        let mut deserializer = serde_json::Deserializer::from_slice(bytes);
        node.read(&mut deserializer).and_then(|value| deserializer.end().map(|()| value))
    });
    match parsed {
        Ok(value) => Ok(value),
        Err(Refusal::Duplicates(places)) => Err(Error::invalid(places)),
        Err(Refusal::TooDeep(place)) => {
            let place = FieldError::new(place, format!("nests deeper than {MAX_DEPTH} levels"));
            Err(malformed("the body nests too deeply", place))
        }
        Err(Refusal::TooMany(error)) => Err(error),
        // JSON repeats nothing.
        Err(Refusal::TooMuch) => Err(malformed("the body is too large", FieldError::new("", "says too much"))),
        Err(Refusal::Syntax(error)) => {
            let what = if bytes.is_empty() {
                "is empty".to_owned()
            } else if error.is_eof() {
                "ends too early".to_owned()
            } else {
                format!("is not JSON: see line {} column {}", error.line(), error.column())
            };
            Err(malformed("the body is not JSON", FieldError::new("", format!("the body {what}"))))
        }
    }
}

fn malformed(detail: &str, place: FieldError) -> Error {
    Error { fields: vec![place], ..Error::new(Kind::Malformed, "malformed_json", detail) }
}

/// A step from a value into a part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// Into an object.
    Key(String),
    /// Into an array.
    Index(usize),
}

/// The JSON pointer of a place (RFC 6901). Names that are longer than any of ours are cut.
pub(super) fn pointer(path: &[Step]) -> String {
    const LONGEST_NAME: usize = 64;
    path.iter().fold(String::new(), |mut pointer, step| {
        pointer.push('/');
        match step {
            Step::Key(name) if name.chars().count() > LONGEST_NAME => {
                pointer.extend(escape(name).chars().take(LONGEST_NAME));
                pointer.push('…');
            }
            Step::Key(name) => pointer.push_str(&escape(name)),
            Step::Index(index) => pointer.push_str(&index.to_string()),
        }
        pointer
    })
}

fn escape(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

#[derive(Default)]
struct State {
    path: Vec<Step>,
    duplicates: Vec<FieldError>,
    too_deep: bool,
    /// How many bytes the values may come to.
    room: usize,
    too_much: bool,
    /// How many values were read.
    values: usize,
}

impl State {
    fn pointer(&self) -> String {
        pointer(&self.path)
    }
}

/// Reads one value.
pub(super) struct Node<'a>(&'a mut State);

impl Node<'_> {
    /// By a deserializer.
    pub(super) fn read<'de, D: de::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        self.deserialize(deserializer)
    }

    /// Takes the room of a value: something also for one that has no bytes of its own, since reading it costs something.
    fn value<E: de::Error>(&mut self, bytes: usize) -> Result<(), E> {
        self.0.values += 1;
        if self.0.values > MAX_VALUES {
            return Err(E::custom("too many"));
        }
        self.take(bytes.saturating_add(1))
    }

    /// Takes room.
    fn take<E: de::Error>(&mut self, bytes: usize) -> Result<(), E> {
        let Some(room) = self.0.room.checked_sub(bytes) else {
            self.0.too_much = true;
            return Err(E::custom("too much"));
        };
        self.0.room = room;
        Ok(())
    }

    fn deeper<E: de::Error>(&mut self, step: Step) -> Result<(), E> {
        self.0.path.push(step);
        if self.0.path.len() > MAX_DEPTH {
            self.0.too_deep = true;
            return Err(E::custom("too deep"));
        }
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Value;

    fn deserialize<D: de::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E: de::Error>(mut self, value: bool) -> Result<Value, E> {
        self.value(0)?;
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: de::Error>(mut self, value: i64) -> Result<Value, E> {
        self.value(0)?;
        Ok(Value::from(value))
    }

    fn visit_u64<E: de::Error>(mut self, value: u64) -> Result<Value, E> {
        self.value(0)?;
        Ok(Value::from(value))
    }

    fn visit_f64<E: de::Error>(mut self, value: f64) -> Result<Value, E> {
        self.value(0)?;
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E: de::Error>(mut self, value: &str) -> Result<Value, E> {
        self.value(value.len())?;
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E: de::Error>(mut self, value: String) -> Result<Value, E> {
        self.value(value.len())?;
        Ok(Value::String(value))
    }

    fn visit_unit<E: de::Error>(mut self) -> Result<Value, E> {
        self.value(0)?;
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<Value, A::Error> {
        self.value(0)?;
        let mut list = Vec::new();
        loop {
            self.deeper(Step::Index(list.len()))?;
            let Some(item) = items.next_element_seed(Node(self.0))? else { break };
            self.0.path.pop();
            list.push(item);
        }
        self.0.path.pop();
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut entries: A) -> Result<Value, A::Error> {
        self.value(0)?;
        let mut map = Map::new();
        while let Some(name) = entries.next_key::<String>()? {
            self.take(name.len().saturating_add(1))?;
            self.deeper(Step::Key(name.clone()))?;
            if map.contains_key(&name) {
                let place = FieldError::new(self.0.pointer(), "stands there twice");
                self.0.duplicates.push(place);
                if self.0.duplicates.len() >= MAX_DUPLICATES {
                    return Err(de::Error::custom("too many duplicates"));
                }
            }
            let value = entries.next_value_seed(Node(self.0))?;
            self.0.path.pop();
            map.insert(name, value);
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pointers(json: &str) -> Vec<String> {
        parse(json.as_bytes()).unwrap_err().fields.into_iter().map(|field| field.pointer).collect()
    }

    #[test]
    fn names_that_stand_twice_are_all_found() {
        assert_eq!(pointers(r#"{"a": 1, "b": [{"c": 1, "c": 2}], "a": 2}"#), ["/b/0/c", "/a"]);
    }

    #[test]
    fn after_twenty_names_that_stand_twice_nothing_more_is_read() {
        let many = vec!["\"a\": 1"; 30].join(",");
        assert_eq!(pointers(&format!("{{{many}, no JSON")), ["/a"; MAX_DUPLICATES]);
    }

    #[test]
    fn a_body_holds_so_many_values_whatever_they_are() {
        for value in ["0", "-1", "1.5", "null", "true", "\"\"", "[]", "{}"] {
            // The array counts too.
            let fits = format!("[{}]", vec![value; MAX_VALUES - 1].join(","));
            assert!(parse(fits.as_bytes()).is_ok(), "{value}");
            let error = parse(format!("[{value},{}", &fits[1..]).as_bytes()).unwrap_err();
            assert_eq!(error.kind, Kind::Invalid, "{value}");
            assert!(error.fields[0].detail.contains("100000 values"), "{error:?}");
        }
    }

    #[test]
    fn a_body_that_is_not_json_tells_the_line_and_no_value() {
        for broken in ["", "{", "{\"canary\": canary}", "{\"a\": 1,}", "[1] canary", "\u{feff}{}", "{\"a\": 1e999}"] {
            let error = parse(broken.as_bytes()).unwrap_err();
            assert_eq!(error.kind, Kind::Malformed, "{broken}");
            assert!(!format!("{error:?}").contains("canary"), "{error:?}");
        }
        assert_eq!(parse(b"{\"a\": \"\xff\"}").unwrap_err().code, "malformed_json");
    }

    #[test]
    fn deep_nesting_is_refused_before_it_costs_anything() {
        let deep = "[".repeat(100_000);
        assert!(parse(deep.as_bytes()).unwrap_err().fields[0].detail.contains("deeper"));
        let fits = format!("{}1{}", "[".repeat(32), "]".repeat(32));
        assert!(parse(fits.as_bytes()).is_ok());
    }

    #[test]
    fn a_long_name_is_cut() {
        let name = "x".repeat(1_000);
        assert!(pointers(&format!("{{\"{name}\": 1, \"{name}\": 2}}"))[0].len() < 80);
    }

    proptest! {
        #[test]
        fn reads_what_serde_json_reads(text in r#"[\[\]{}:,"a0-9.e\\-]{0,40}"#) {
            if let Ok(value) = parse(text.as_bytes()) {
                prop_assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
            }
        }
    }
}
