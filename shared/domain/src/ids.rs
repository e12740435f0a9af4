//! Typed identifiers: a prefix that tells what is named, then a UUIDv7 in Crockford base32, lower case (`run_01jd…`).
//!
//! Everyone uses these; a bare `Uuid` or `String` never crosses a function boundary as an id.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use uuid::Uuid;

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// Length of 128 bits in base32.
const ENCODED_LENGTH: usize = 26;

/// A text that is not an id of the expected kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an id of the form {prefix}_ and 26 characters")]
pub struct ParseIdError {
    /// The prefix that was expected, without the underscore.
    pub prefix: &'static str,
}

fn encode(id: Uuid) -> String {
    let mut bits = id.as_u128();
    let mut out = [0_u8; ENCODED_LENGTH];
    for slot in out.iter_mut().rev() {
        *slot = ALPHABET[(bits & 31) as usize];
        bits >>= 5;
    }
    out.iter().map(|byte| char::from(*byte)).collect()
}

fn decode(text: &str) -> Option<Uuid> {
    if text.len() != ENCODED_LENGTH {
        return None;
    }
    let mut bits: u128 = 0;
    for (index, byte) in text.bytes().enumerate() {
        let value = ALPHABET.iter().position(|letter| *letter == byte)? as u128;
        // 26 letters hold 130 bits: the first may only use the low three.
        if index == 0 && value > 7 {
            return None;
        }
        bits = (bits << 5) | value;
    }
    Some(Uuid::from_u128(bits))
}

macro_rules! ids {
    ($($(#[doc = $doc:literal])+ $name:ident = $prefix:literal;)+) => {$(
        $(#[doc = $doc])+
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Uuid);

        impl $name {
            /// What stands before the underscore.
            pub const PREFIX: &'static str = $prefix;

            /// A new id; ids made later sort later.
            pub fn generate() -> Self {
                Self(Uuid::now_v7())
            }

            /// The id as it stands in a database.
            pub const fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                Self(id)
            }
        }

        impl From<$name> for Uuid {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}_{}", $prefix, encode(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                text.strip_prefix(concat!($prefix, "_"))
                    .and_then(decode)
                    .map(Self)
                    .ok_or(ParseIdError { prefix: $prefix })
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(de::Error::custom)
            }
        }

        #[cfg(feature = "openapi")]
        crate::openapi::string_schema!($name, $prefix, concat!($prefix, "_01jd3v1m5zt0q8k6c2e4g6h8ja"));
    )+};
}

ids! {
    /// An account: owner of data, keys and limits.
    TenantId = "ten";
    /// A key that authenticates a caller to ACM2.
    ApiKeyId = "key";
    /// A tenant's secret for an LLM provider.
    ProviderKeyId = "pkey";
    /// One submission.
    RunId = "run";
    /// One LLM call that a run consists of.
    TaskId = "task";
    /// One try of a task.
    AttemptId = "att";
    /// A unit of unfinished work in the broker; new at each submit, retry and resume.
    JobId = "job";
    /// A live process: it holds claims and a heartbeat.
    WorkerId = "wrk";
    /// A place that webhooks are sent to.
    WebhookEndpointId = "whe";
    /// One event to one webhook endpoint; it is the `webhook-id` that the receiver sees.
    DeliveryId = "msg";
    /// A file that a task made.
    ArtifactId = "art";
    /// How much runs may cost in a day or a month.
    BudgetId = "bud";
    /// A text to work on.
    DocumentId = "doc";
    /// Instructions with variables.
    TemplateId = "tpl";
    /// What a judge scores.
    CriteriaSetId = "crs";
    /// A saved run specification.
    PresetId = "pre";
    /// Turns of a person and a model.
    ConversationId = "con";
    /// One HTTP request to ACM2.
    RequestId = "req";
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_id_survives_text(bits: u128) {
            let id = RunId::from(Uuid::from_u128(bits));
            prop_assert_eq!(id.to_string().parse::<RunId>(), Ok(id));
        }

        #[test]
        fn any_text_is_refused_or_is_the_text_of_the_id(text in "(run_)?[0-9a-zA-Z_]{0,30}") {
            if let Ok(id) = text.parse::<RunId>() {
                prop_assert_eq!(id.to_string(), text);
            }
        }
    }

    #[test]
    fn an_id_of_another_kind_is_refused() {
        let text = TenantId::generate().to_string();
        assert_eq!(text.parse::<RunId>(), Err(ParseIdError { prefix: "run" }));
    }

    #[test]
    fn later_ids_sort_later() {
        let ids: Vec<String> = (0..100).map(|_| RunId::generate().to_string()).collect();
        assert!(ids.is_sorted());
    }
}
