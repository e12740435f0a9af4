//! A setting that a preset may bring and that the caller may take away again: absent keeps what the preset says, `null` takes it
//! away, anything else takes its place (RFC 7396). Fields of it are read with `serde(default)` and written unless absent.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What the caller says of such a setting.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Switch<T> {
    /// Nothing: what the preset says holds.
    #[default]
    Absent,
    /// `null`: there is none, whatever the preset says.
    Off,
    /// This.
    On(T),
}

impl<T> Switch<T> {
    /// Whether nothing is said: then it is not written either.
    pub const fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }

    /// The setting, where there is one.
    pub const fn get(&self) -> Option<&T> {
        match self {
            Self::On(value) => Some(value),
            Self::Absent | Self::Off => None,
        }
    }

    /// This over what a preset says.
    #[must_use]
    pub fn over(self, preset: Self) -> Self {
        if self.is_absent() { preset } else { self }
    }
}

impl<T: Serialize> Serialize for Switch<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.get().serialize(serializer)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Switch<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::deserialize(deserializer)?.map_or(Self::Off, Self::On))
    }
}

#[cfg(feature = "openapi")]
const _: () = {
    use std::borrow::Cow;

    use poem_openapi::registry::{MetaSchema, MetaSchemaRef, Registry};
    use poem_openapi::types::{ParseError, ParseFromJSON, ParseResult, ToJSON, Type};
    use serde_json::Value;

    /// An object that may be null.
    impl<T: Type> Type for Switch<T> {
        const IS_REQUIRED: bool = false;
        type RawValueType = T::RawValueType;
        type RawElementValueType = T::RawElementValueType;

        fn name() -> Cow<'static, str> {
            format!("optional_{}", T::name()).into()
        }

        fn schema_ref() -> MetaSchemaRef {
            let all_of = vec![T::schema_ref()];
            MetaSchemaRef::Inline(Box::new(MetaSchema { nullable: true, all_of, ..MetaSchema::new("object") }))
        }

        fn register(registry: &mut Registry) {
            T::register(registry);
        }

        fn as_raw_value(&self) -> Option<&Self::RawValueType> {
            self.get()?.as_raw_value()
        }

        fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self::RawElementValueType> + 'a> {
            self.get().map_or_else(|| Box::new(std::iter::empty()) as _, Type::raw_element_iter)
        }
    }

    impl<T: ParseFromJSON> ParseFromJSON for Switch<T> {
        fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
            match value {
                None => Ok(Self::Absent),
                Some(Value::Null) => Ok(Self::Off),
                value => T::parse_from_json(value).map(Self::On).map_err(ParseError::propagate),
            }
        }
    }

    impl<T: ToJSON> ToJSON for Switch<T> {
        fn to_json(&self) -> Option<Value> {
            match self {
                Self::Absent => None,
                Self::Off => Some(Value::Null),
                Self::On(value) => value.to_json(),
            }
        }
    }
};
