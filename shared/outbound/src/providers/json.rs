//! Tolerant reading of what providers send: unknown fields, values and types never fail; what is missing is `None`. Used by the
//! wire files and by `failure`. Knows no wire.

use acm2_domain::call::{CallError, ErrorClass};
use serde_json::Value;

/// Far above what any answer holds. A parsed value takes up to some hundred bytes where its text takes two, so that without a
/// bound a hostile server decides how much memory is used.
const MOST_VALUES: usize = 100_000;

/// The JSON of an answer that says success.
pub(super) fn answer(status: http::StatusCode, body: &[u8]) -> Result<Value, CallError> {
    match read(body) {
        Some(answer) => Ok(answer),
        // It would be as large, and cost as much, the next time.
        None if has_too_many_values(body) => Err(CallError {
            should_retry: Some(false),
            ..not_understood(status, &format!("has more than {MOST_VALUES} values"))
        }),
        None => Err(not_understood(status, "is not JSON")),
    }
}

/// Whether a body may hold more than [`MOST_VALUES`]: each value but the first follows one of these marks.
fn has_too_many_values(body: &[u8]) -> bool {
    let (mut in_text, mut escaped, mut marks) = (false, false, 0_usize);
    for byte in body {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = in_text,
            b'"' => in_text = !in_text,
            b',' | b'[' | b'{' if !in_text => marks += 1,
            _ => {}
        }
    }
    marks > MOST_VALUES
}

/// The JSON of a body; `None` where it is none or holds too much. Some providers keep a connection alive with empty lines and comment lines (`: keep-alive`) before it,
/// and some wrap one object into an array.
pub(super) fn read(body: &[u8]) -> Option<Value> {
    let mut rest = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body).trim_ascii_start();
    while rest.first() == Some(&b':') {
        let end = rest.iter().position(|byte| *byte == b'\n')?;
        rest = rest[end..].trim_ascii_start();
    }
    if has_too_many_values(rest) {
        return None;
    }
    match serde_json::from_slice(rest).ok()? {
        Value::Array(mut items) if items.len() == 1 && items[0].is_object() => items.pop(),
        value => Some(value),
    }
}

/// A text that is not empty.
pub(super) fn text(value: &Value) -> Option<&str> {
    value.as_str().filter(|text| !text.is_empty())
}

/// The same, owned.
pub(super) fn owned(value: &Value) -> Option<String> {
    text(value).map(str::to_owned)
}

/// A text, or a number as text: codes come as either.
pub(super) fn code(value: &Value) -> Option<String> {
    match value {
        Value::Number(number) => Some(number.to_string()),
        value => owned(value),
    }
}

/// Far above any context window; keeps sums of what a hostile server reports from overflowing.
const MOST_TOKENS: u64 = 1 << 32;

/// A number of tokens; `None` where there is none.
pub(super) fn tokens(value: &Value) -> Option<u64> {
    // `as` saturates, and turns a negative number into 0.
    value.as_u64().or_else(|| value.as_f64().map(|number| number as u64)).map(|count| count.min(MOST_TOKENS))
}

/// An answer that cannot be understood. The provider may have done the work.
pub(super) fn not_understood(status: http::StatusCode, what: &str) -> CallError {
    CallError {
        http_status: Some(status.as_u16()),
        sent: true,
        ..CallError::unsent(ErrorClass::ProviderDecode, format!("the provider's answer {what}"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn keep_alive_lines_before_the_json_are_skipped() {
        for body in [
            "\n\n\r\n{\"a\":1}",
            ": keep-alive\n\n: OPENROUTER PROCESSING\n{\"a\":1}\n",
            "\u{feff}{\"a\":1}",
            "[{\"a\":1}]",
        ] {
            assert_eq!(read(body.as_bytes()), Some(json!({"a": 1})), "{body:?}");
        }
        assert_eq!(read(b": keep-alive"), None);
        assert_eq!(read(b"<html>"), None);
        assert_eq!(read(b""), None);
    }

    #[test]
    fn a_body_of_very_many_values_is_not_parsed() {
        let list = |count: usize| format!("[{}0]", "0,".repeat(count - 1));
        assert!(read(list(MOST_VALUES).as_bytes()).is_some());
        assert!(read(list(MOST_VALUES + 1).as_bytes()).is_none());
        let objects = format!("[{}0]", "{\"\":0},".repeat(MOST_VALUES / 2 + 1));
        assert!(read(objects.as_bytes()).is_none());
        let error = answer(http::StatusCode::OK, list(MOST_VALUES + 1).as_bytes()).unwrap_err();
        assert_eq!((error.class, error.should_retry), (ErrorClass::ProviderDecode, Some(false)));
        // What stands inside of a text is no value.
        let text = json!({"a": "[{,\\\"".repeat(MOST_VALUES)});
        assert_eq!(read(text.to_string().as_bytes()), Some(text));
    }

    #[test]
    fn counts_of_tokens_are_bounded_and_never_negative() {
        assert_eq!(tokens(&json!(12)), Some(12));
        assert_eq!(tokens(&json!(12.0)), Some(12));
        assert_eq!(tokens(&json!(-5)), Some(0));
        assert_eq!(tokens(&json!(1e300)), Some(MOST_TOKENS));
        assert_eq!(tokens(&json!(u64::MAX)), Some(MOST_TOKENS));
        assert_eq!(tokens(&json!("12")), None);
        assert_eq!(tokens(&Value::Null), None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(body: Vec<u8>) {
            read(&body);
        }
    }
}
