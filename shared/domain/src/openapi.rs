//! Schemas for types whose JSON form is not a plain object: ids, money, a model that is a string or an object.
//! Only compiled for the api package; the codec stays serde.

/// Makes a serde type that is a JSON string known to poem-openapi.
macro_rules! string_schema {
    ($name:ident, $format:expr, $example:expr) => {
        const _: () = {
            use std::borrow::Cow;

            use poem_openapi::registry::{MetaSchema, MetaSchemaRef};
            use poem_openapi::types::{ParseError, ParseFromJSON, ParseFromParameter, ParseResult, ToJSON, Type};

            impl Type for $name {
                const IS_REQUIRED: bool = true;
                type RawValueType = Self;
                type RawElementValueType = Self;

                fn name() -> Cow<'static, str> {
                    stringify!($name).into()
                }

                fn schema_ref() -> MetaSchemaRef {
                    MetaSchemaRef::Inline(Box::new(MetaSchema {
                        example: Some(serde_json::Value::String(($example).to_owned())),
                        ..MetaSchema::new_with_format("string", $format)
                    }))
                }

                fn as_raw_value(&self) -> Option<&Self> {
                    Some(self)
                }

                fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
                    Box::new(std::iter::once(self))
                }
            }

            impl ParseFromJSON for $name {
                fn parse_from_json(value: Option<serde_json::Value>) -> ParseResult<Self> {
                    serde_json::from_value(value.unwrap_or_default()).map_err(ParseError::custom)
                }
            }

            impl ParseFromParameter for $name {
                fn parse_from_parameter(value: &str) -> ParseResult<Self> {
                    value.parse().map_err(ParseError::custom)
                }
            }

            impl ToJSON for $name {
                fn to_json(&self) -> Option<serde_json::Value> {
                    serde_json::to_value(self).ok()
                }
            }
        };
    };
}

/// Makes a serde type with a schema of its own known to poem-openapi. `$register` is `fn(&mut Registry)`.
macro_rules! json_schema {
    ($name:ident, $schema:expr, $register:expr) => {
        const _: () = {
            use std::borrow::Cow;

            use poem_openapi::registry::{MetaSchemaRef, Registry};
            use poem_openapi::types::{ParseError, ParseFromJSON, ParseResult, ToJSON, Type};

            impl Type for $name {
                const IS_REQUIRED: bool = true;
                type RawValueType = Self;
                type RawElementValueType = Self;

                fn name() -> Cow<'static, str> {
                    stringify!($name).into()
                }

                fn schema_ref() -> MetaSchemaRef {
                    MetaSchemaRef::Reference(stringify!($name).into())
                }

                fn register(registry: &mut Registry) {
                    registry.create_schema::<Self, _>(stringify!($name).into(), |registry| {
                        ($register)(registry);
                        $schema
                    });
                }

                fn as_raw_value(&self) -> Option<&Self> {
                    Some(self)
                }

                fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
                    Box::new(std::iter::once(self))
                }
            }

            impl ParseFromJSON for $name {
                fn parse_from_json(value: Option<serde_json::Value>) -> ParseResult<Self> {
                    serde_json::from_value(value.unwrap_or_default()).map_err(ParseError::custom)
                }
            }

            impl ToJSON for $name {
                fn to_json(&self) -> Option<serde_json::Value> {
                    serde_json::to_value(self).ok()
                }
            }
        };
    };
}

pub(crate) use {json_schema, string_schema};
