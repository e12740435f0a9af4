//! Tolerant reading of what providers send: unknown fields, values and types never fail; what is missing is `None`. Used by the
//! wire files and by `failure`. Knows no wire.

use acm2_domain::call::{CallError, ErrorClass};
use serde_json::Value;

/// The JSON of a body. Some providers keep a connection alive with empty lines and comment lines (`: keep-alive`) before it,
/// and some wrap one object into an array.
pub(super) fn read(body: &[u8]) -> Option<Value> {
    let mut rest = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body).trim_ascii_start();
    while rest.first() == Some(&b':') {
        let end = rest.iter().position(|byte| *byte == b'\n')?;
        rest = rest[end..].trim_ascii_start();
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
const MOST_TOKENS: u64 = 1 << 40;

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
