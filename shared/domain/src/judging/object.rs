//! Finds the JSON object in what a model said: alone, in a code fence, or between sentences.

use serde_json::{Map, Value};

/// Places where an object may begin that are tried at most: a text full of braces must not cost more than a look.
const MOST_STARTS: usize = 200;

/// The first object in the text that `reads` can make something of; else what was wrong with the first object, or `None` where
/// there is no object at all.
pub(super) fn find<T, E>(text: &str, reads: impl Fn(&Map<String, Value>) -> Result<T, E>) -> Option<Result<T, E>> {
    let mut first_error = None;
    let mut from = 0;
    for _ in 0..MOST_STARTS {
        let Some(start) = text[from..].find('{').map(|offset| from + offset) else { break };
        let mut values = serde_json::Deserializer::from_str(&text[start..]).into_iter::<Map<String, Value>>();
        from = match values.next() {
            Some(Ok(object)) => {
                match reads(&object) {
                    Ok(read) => return Some(Ok(read)),
                    Err(error) => first_error = first_error.or(Some(error)),
                }
                // What stands inside it is a part of it.
                start + values.byte_offset().max(1)
            }
            _ => start + 1,
        };
    }
    first_error.map(Err)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn a_of(object: &Map<String, Value>) -> Result<i64, &'static str> {
        object.get("a").and_then(Value::as_i64).ok_or("no a")
    }

    #[test]
    fn an_object_is_found_alone_in_a_fence_and_between_sentences() {
        for text in [
            r#"{"a": 1}"#,
            "```json\n{\"a\": 1}\n```",
            "Here {as you asked} it is: {\"a\": 1}. I hope {this} helps.",
            r#"{"b": {"a": 2}} {"a": 1}"#,
            "\u{feff}{\"a\":1}",
        ] {
            assert_eq!(find(text, a_of), Some(Ok(1)), "{text}");
        }
        assert_eq!(find("no object", a_of), None);
        assert_eq!(find("{\"b\": 1", a_of), None);
        assert_eq!(find("{\"b\": 1}", a_of), Some(Err("no a")));
    }

    #[test]
    fn a_text_full_of_braces_is_given_up() {
        let text = format!("{}{}", "{".repeat(1_000_000), r#"{"a": 1}"#);
        assert_eq!(find(&text, a_of), None);
        let nested = r#"{"a":"#.repeat(100_000);
        assert_eq!(find(&nested, a_of), None);
    }

    proptest! {
        #[test]
        fn what_stands_around_without_braces_changes_nothing(before in "[^{]{0,40}", after in "\\PC{0,40}", a in any::<i32>()) {
            let text = format!("{before}{{\"a\":{a}}}{after}");
            prop_assert_eq!(find(&text, a_of), Some(Ok(i64::from(a))));
        }

        #[test]
        fn any_text_is_borne(text in "[\\s\\S]{0,300}") {
            let _ = find(&text, a_of);
        }
    }
}
