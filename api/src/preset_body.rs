//! What is kept of a preset beside its name. Written by the resource, read by it and by `material`.

use std::borrow::Cow;

use acm2_domain::run::NewRun;
use poem_openapi::registry::{MetaSchemaRef, Registry};
use poem_openapi::types::{ParseError, ParseFromJSON, ParseResult, ToJSON, Type};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What is kept of a preset.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct PresetBody {
    /// The request that a run starts from.
    pub(crate) spec: KeptSpec,
}

/// A request as it was stored. It is shown as it is, and read when it is used: another version of ACM2 may have stored it, with
/// fields that this one does not know, and that must not stand in the way of anything but a run from it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct KeptSpec(Value);

impl From<&NewRun> for KeptSpec {
    fn from(spec: &NewRun) -> Self {
        // It was read from JSON, so it can be written as JSON.
        Self(serde_json::to_value(spec).unwrap_or_default())
    }
}

impl KeptSpec {
    /// What is told where `read` finds nothing.
    pub(crate) const UNREADABLE: &str =
        "was stored by a version of ACM2 whose requests this one cannot read; save the specification again";

    /// The request, if this version can read it.
    pub(crate) fn read(&self) -> Option<NewRun> {
        NewRun::deserialize(&self.0).ok()
    }

    /// The bytes that it takes in the store.
    pub(crate) fn bytes(&self) -> usize {
        self.0.to_string().len()
    }
}

/// Described as the request that it is.
impl Type for KeptSpec {
    const IS_REQUIRED: bool = true;
    type RawValueType = Self;
    type RawElementValueType = Self;

    fn name() -> Cow<'static, str> {
        NewRun::name()
    }

    fn schema_ref() -> MetaSchemaRef {
        NewRun::schema_ref()
    }

    fn register(registry: &mut Registry) {
        NewRun::register(registry);
    }

    fn as_raw_value(&self) -> Option<&Self> {
        Some(self)
    }

    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
        Box::new(std::iter::once(self))
    }
}

impl ParseFromJSON for KeptSpec {
    fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
        value.map(Self).ok_or_else(ParseError::expected_input)
    }
}

impl ToJSON for KeptSpec {
    fn to_json(&self) -> Option<Value> {
        Some(self.0.clone())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_another_version_stored_is_kept_and_not_read() {
        let stored = json!({"spec": {"prompt": "hi", "judges": ["of a later version"]}});
        let body: PresetBody = serde_json::from_value(stored.clone()).unwrap();
        assert_eq!(body.spec.read(), None);
        assert_eq!(serde_json::to_value(&body).unwrap(), stored);
        let body: PresetBody = serde_json::from_value(json!({"spec": {"prompt": "hi"}})).unwrap();
        assert_eq!(body.spec.read().unwrap().prompt.as_deref(), Some("hi"));
    }
}
