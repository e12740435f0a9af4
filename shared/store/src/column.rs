//! Between what columns hold and what functions hand out. A value that cannot be read back is a damaged store.

use acm2_domain::call::Usage;
use acm2_domain::content_hash::ContentHash;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::StoreError;

/// A value as JSON text. Only for types whose serialization cannot fail: lists and maps of strings and words.
pub(crate) fn to_json<T: Serialize + ?Sized>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// The reverse of `to_json`.
pub(crate) fn from_json<T: DeserializeOwned>(column: &str, text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|error| StoreError::Corrupt(format!("column {column}: {error}")))
}

/// The word of a unit variant.
pub(crate) fn to_word<T: Serialize>(value: T) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => String::new(),
    }
}

/// The reverse of `to_word`.
pub(crate) fn from_word<T: DeserializeOwned>(column: &str, word: &str) -> Result<T, StoreError> {
    serde_json::from_value(serde_json::Value::String(word.to_owned()))
        .map_err(|_| StoreError::Corrupt(format!("column {column} holds a word that this version does not know")))
}

/// A SHA-256 that columns hold in hexadecimal.
pub(crate) fn from_hash(column: &str, text: &str) -> Result<ContentHash, StoreError> {
    text.parse().map_err(|error| StoreError::Corrupt(format!("column {column}: {error}")))
}

/// A count that columns hold signed.
pub(crate) fn unsigned(count: i64) -> u64 {
    u64::try_from(count).unwrap_or(0)
}

/// A count for a column.
pub(crate) fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// The six columns of a usage.
pub(crate) fn usage_columns(usage: Option<Usage>) -> [Option<i64>; 6] {
    let Some(usage) = usage else { return [None; 6] };
    [
        Some(signed(usage.input_tokens)),
        Some(signed(usage.cached_input_tokens)),
        Some(signed(usage.cache_write_tokens)),
        Some(signed(usage.output_tokens)),
        Some(signed(usage.reasoning_tokens)),
        Some(signed(usage.image_tokens)),
    ]
}

/// The reverse of `usage_columns`.
pub(crate) fn usage(columns: [Option<i64>; 6]) -> Option<Usage> {
    let [input, cached_input, cache_write, output, reasoning, image] = columns;
    Some(Usage {
        input_tokens: unsigned(input?),
        cached_input_tokens: unsigned(cached_input.unwrap_or(0)),
        cache_write_tokens: unsigned(cache_write.unwrap_or(0)),
        output_tokens: unsigned(output?),
        reasoning_tokens: unsigned(reasoning.unwrap_or(0)),
        image_tokens: unsigned(image.unwrap_or(0)),
    })
}
