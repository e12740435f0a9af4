//! Between what columns hold and what the domain says. A value that cannot be read back is a defect or a damaged store.

use std::str::FromStr;

use acm2_domain::call::Usage;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::StoreError;

/// A word of an enumeration.
pub(crate) fn word<T: FromStr>(column: &str, text: &str) -> Result<T, StoreError> {
    text.parse()
        .map_err(|_| StoreError::Corrupt(format!("column {column} holds a word that this version does not know")))
}

/// A unit variant of a serde enumeration, as it stands in a column.
pub(crate) fn serde_word<T: Serialize>(value: T) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => String::new(),
    }
}

/// The reverse of `serde_word`.
pub(crate) fn from_serde_word<T: DeserializeOwned>(column: &str, text: &str) -> Result<T, StoreError> {
    serde_json::from_value(serde_json::Value::String(text.to_owned()))
        .map_err(|_| StoreError::Corrupt(format!("column {column} holds a word that this version does not know")))
}

/// A value as JSON text.
pub(crate) fn to_json<T: Serialize>(column: &str, value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| StoreError::Corrupt(format!("column {column}: {error}")))
}

/// The reverse of `to_json`.
pub(crate) fn from_json<T: DeserializeOwned>(column: &str, text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|error| StoreError::Corrupt(format!("column {column}: {error}")))
}

/// A count that columns hold signed.
pub(crate) fn unsigned(count: i64) -> u64 {
    u64::try_from(count).unwrap_or(0)
}

/// A count for a column.
pub(crate) fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// The five columns of a usage.
pub(crate) fn usage_columns(usage: Option<Usage>) -> [Option<i64>; 5] {
    let Some(usage) = usage else { return [None; 5] };
    [
        Some(signed(usage.input_tokens)),
        Some(signed(usage.cached_input_tokens)),
        Some(signed(usage.cache_write_tokens)),
        Some(signed(usage.output_tokens)),
        Some(signed(usage.reasoning_tokens)),
    ]
}

/// The reverse of `usage_columns`.
pub(crate) fn usage(columns: [Option<i64>; 5]) -> Option<Usage> {
    let [input, cached_input, cache_write, output, reasoning] = columns;
    Some(Usage {
        input_tokens: unsigned(input?),
        cached_input_tokens: unsigned(cached_input.unwrap_or(0)),
        cache_write_tokens: unsigned(cache_write.unwrap_or(0)),
        output_tokens: unsigned(output?),
        reasoning_tokens: unsigned(reasoning.unwrap_or(0)),
    })
}
