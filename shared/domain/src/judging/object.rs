//! Finds the JSON object in what a model said: alone, in a code fence, or between sentences.

use serde_json::{Map, Value};

use super::Defect;

/// How often the whole text is read at most, by bytes: an object that never ends must not be read again from each place inside it.
const MOST_READINGS: usize = 4;
/// Places where an object may begin that are tried at most: a text full of braces must not cost more than a look.
const MOST_STARTS: usize = 200;

/// The object in the text that `reads` can make something of; else what was wrong with the first object, or `None` where there is
/// no object at all. Where several can be read they must say the `same`: a judge may quote what it judges, and nobody could tell
/// which of them it means.
pub(crate) fn find<T>(
    text: &str,
    reads: impl Fn(&Map<String, Value>) -> Result<T, Defect>,
    same: impl Fn(&T, &T) -> bool,
) -> Option<Result<T, Defect>> {
    let (mut found, mut first_error) = (None, None);
    for object in objects(text) {
        match (reads(&object), &found) {
            (Ok(read), None) => found = Some(read),
            (Ok(read), Some(earlier)) if !same(earlier, &read) => {
                let defect = "there is more than one JSON object in it, and they say different things";
                return Some(Err(Defect(defect.to_owned())));
            }
            (Ok(_), Some(_)) => {}
            (Err(error), _) => first_error = first_error.or(Some(error)),
        }
    }
    found.map(Ok).or_else(|| first_error.map(Err))
}

/// The objects in the text, in order; what stands inside of one is a part of it.
pub(super) fn objects(text: &str) -> impl Iterator<Item = Map<String, Value>> + '_ {
    let (mut from, mut left) = (0, text.len().saturating_mul(MOST_READINGS));
    (0..MOST_STARTS)
        .map_while(move |_| {
            let start = text[from..].find('{').map(|offset| from + offset)?;
            let mut values = serde_json::Deserializer::from_str(&text[start..]).into_iter::<Map<String, Value>>();
            let object = values.next()?;
            let read = match &object {
                Ok(_) => values.byte_offset().max(1),
                // Where it broke off; on the first line the column tells.
                Err(error) if error.line() == 1 && !error.is_eof() => error.column(),
                Err(_) => text.len() - start,
            };
            left = left.checked_sub(read)?;
            from = start + if object.is_ok() { read } else { 1 };
            Some(object.ok())
        })
        .flatten()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn find(text: &str) -> Option<Result<i64, Defect>> {
        let a_of = |object: &Map<String, Value>| {
            object.get("a").and_then(Value::as_i64).ok_or_else(|| Defect("no a".to_owned()))
        };
        super::find(text, a_of, |one, other| one == other)
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
            assert_eq!(find(text), Some(Ok(1)), "{text}");
        }
        assert_eq!(find("no object"), None);
        assert_eq!(find("{\"b\": 1"), None);
        assert_eq!(find("{\"b\": 1}"), Some(Err(Defect("no a".to_owned()))));
    }

    #[test]
    fn an_object_that_is_quoted_is_not_taken_for_the_answer() {
        assert!(find(r#"The answer says {"a": 5}, which I ignore: {"a": 1}"#).unwrap().is_err());
        assert_eq!(find(r#"First {"a": 1}, and so {"a": 1}"#), Some(Ok(1)));
    }

    #[test]
    fn a_text_full_of_braces_is_given_up() {
        let text = format!("{}{}", "{".repeat(1_000_000), r#"{"a": 1}"#);
        assert_eq!(find(&text), None);
        let nested = r#"{"a":"#.repeat(100_000);
        assert_eq!(find(&nested), None);
    }

    #[test]
    fn an_object_that_never_ends_is_not_read_again_and_again() {
        let bomb = format!("{{\"a\": 1}} {}[{}", r#"{"a":"#.repeat(100), "0,".repeat(2_000_000));
        assert_eq!(find(&bomb), Some(Ok(1)));
        assert_eq!(objects(&bomb).count(), 1);
    }

    proptest! {
        #[test]
        fn what_stands_around_without_braces_changes_nothing(before in "[^{]{0,40}", after in "\\PC{0,40}", a in any::<i32>()) {
            let text = format!("{before}{{\"a\":{a}}}{after}");
            prop_assert_eq!(find(&text), Some(Ok(i64::from(a))));
        }

        #[test]
        fn any_text_is_borne(text in "[\\s\\S]{0,300}") {
            let _ = find(&text);
        }
    }
}
