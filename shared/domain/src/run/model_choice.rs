//! One entry of `models[]` as callers write it, `"openai/gpt-5.5"` or an object with settings, and how a name is resolved.

use serde::de::value::MapAccessDeserializer;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::spec::ModelSpec;
use crate::call::Sampling;
use crate::error::FieldError;
use crate::ids::ProviderKeyId;
use crate::prices::Prices;
use crate::providers::{PROVIDERS, find_provider};

/// One model of a run, with its settings.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct ModelChoice {
    /// `provider/model`, or a bare name that exactly one provider's price list has.
    pub model: String,
    /// The provider key to use; the tenant's default key of the provider where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider_key_id: Option<ProviderKeyId>,
    /// 0 to 2; sent only if set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// 0 to 1; sent only if set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f64>,
    /// Overrides the run's `max_output_tokens`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_output_tokens: Option<u32>,
}

impl<'de> Deserialize<'de> for ModelChoice {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        /// The object form; a twin of `ModelChoice`, because serde's derive would loop.
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Object {
            model: String,
            provider_key_id: Option<ProviderKeyId>,
            temperature: Option<f64>,
            top_p: Option<f64>,
            max_output_tokens: Option<u32>,
        }

        struct NameOrObject;

        impl<'de> Visitor<'de> for NameOrObject {
            type Value = ModelChoice;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a string such as \"openai/gpt-5.5\" or an object with a model")
            }

            fn visit_str<E: de::Error>(self, model: &str) -> Result<ModelChoice, E> {
                Ok(ModelChoice { model: model.to_owned(), ..ModelChoice::default() })
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<ModelChoice, A::Error> {
                let object = Object::deserialize(MapAccessDeserializer::new(map))?;
                Ok(ModelChoice {
                    model: object.model,
                    provider_key_id: object.provider_key_id,
                    temperature: object.temperature,
                    top_p: object.top_p,
                    max_output_tokens: object.max_output_tokens,
                })
            }
        }

        deserializer.deserialize_any(NameOrObject)
    }
}

#[cfg(feature = "openapi")]
const _: () = {
    use poem_openapi::registry::{MetaSchema, MetaSchemaRef};
    use poem_openapi::types::Type;

    fn object() -> MetaSchema {
        let described = |description: &'static str, schema: MetaSchemaRef| match schema {
            MetaSchemaRef::Inline(mut schema) => {
                schema.description = Some(description);
                MetaSchemaRef::Inline(schema)
            }
            reference @ MetaSchemaRef::Reference(_) => reference,
        };
        let bounded = |least: f64, most: f64, mut schema: MetaSchema| {
            schema.minimum = Some(least);
            schema.maximum = Some(most);
            MetaSchemaRef::Inline(Box::new(schema))
        };
        MetaSchema {
            required: vec!["model"],
            properties: vec![
                (
                    "model",
                    described("`provider/model`, or a bare name that exactly one provider has", String::schema_ref()),
                ),
                ("provider_key_id", described("the provider key to use", ProviderKeyId::schema_ref())),
                (
                    "temperature",
                    described("sent only if set", bounded(0.0, 2.0, MetaSchema::new_with_format("number", "double"))),
                ),
                (
                    "top_p",
                    described("sent only if set", bounded(0.0, 1.0, MetaSchema::new_with_format("number", "double"))),
                ),
                (
                    "max_output_tokens",
                    described(
                        "overrides the run's max_output_tokens",
                        bounded(1.0, 1_000_000.0, MetaSchema::new_with_format("integer", "int32")),
                    ),
                ),
            ],
            ..MetaSchema::new("object")
        }
    }

    crate::openapi::json_schema!(
        ModelChoice,
        MetaSchema {
            description: Some("One model of a run: `provider/model`, a bare name, or an object with settings."),
            one_of: vec![String::schema_ref(), MetaSchemaRef::Inline(Box::new(object()))],
            ..MetaSchema::ANY
        },
        |_registry: &mut poem_openapi::registry::Registry| {}
    );
};

impl ModelChoice {
    /// Checks the entry and finds its provider. `pointer` is its place in the body, such as `/models/0`.
    pub(crate) fn resolve(
        &self,
        pointer: &str,
        run_max_output_tokens: Option<u32>,
        prices: &Prices,
        errors: &mut Vec<FieldError>,
    ) -> Option<ModelSpec> {
        let before = errors.len();
        check_range(errors, format!("{pointer}/temperature"), self.temperature, 0.0, 2.0);
        check_range(errors, format!("{pointer}/top_p"), self.top_p, 0.0, 1.0);
        if self.max_output_tokens.is_some_and(|tokens| tokens == 0 || tokens > 1_000_000) {
            errors.push(FieldError::new(format!("{pointer}/max_output_tokens"), "must be from 1 to 1000000"));
        }
        let name = resolve_name(&self.model, prices);
        if let Err(detail) = &name {
            errors.push(FieldError::new(pointer, detail.clone()));
        }
        let (provider, model) = name.ok()?;
        (errors.len() == before).then(|| ModelSpec {
            provider,
            model,
            provider_key_id: self.provider_key_id,
            sampling: Sampling { temperature: self.temperature, top_p: self.top_p },
            max_output_tokens: self.max_output_tokens.or(run_max_output_tokens),
        })
    }
}

fn check_range(errors: &mut Vec<FieldError>, pointer: String, value: Option<f64>, least: f64, most: f64) {
    if value.is_some_and(|value| !(least..=most).contains(&value)) {
        errors.push(FieldError::new(pointer, format!("must be from {least} to {most}")));
    }
}

fn resolve_name(text: &str, prices: &Prices) -> Result<(String, String), String> {
    let well_formed = !text.is_empty() && text.len() <= 200 && text.bytes().all(|byte| byte.is_ascii_graphic());
    if !well_formed {
        return Err("a model is 1 to 200 visible ASCII characters, such as openai/gpt-5.5".to_owned());
    }
    if let Some((provider, model)) = text.split_once('/') {
        if let Some(provider) = find_provider(provider) {
            return if provider.wire.is_search() {
                Err("is a search of the web, not a model; research names it as its provider".to_owned())
            } else if is_path_safe(model) {
                Ok((provider.slug.to_owned(), model.to_owned()))
            } else {
                Err("the part after the provider is not a model's name".to_owned())
            };
        }
        let known = PROVIDERS.iter().filter(|provider| !provider.wire.is_search()).map(|provider| provider.slug);
        let known: Vec<&str> = known.collect();
        return Err(format!("the part before the slash is not a provider; known providers are {}", known.join(", ")));
    }
    let answers = |provider: &str| !find_provider(provider).is_some_and(|provider| provider.wire.is_search());
    let rows = prices.rows().iter().filter(|row| row.model == text && answers(&row.provider));
    let providers: Vec<&str> = rows.map(|row| row.provider.as_str()).collect();
    match providers[..] {
        [provider] => Ok((provider.to_owned(), text.to_owned())),
        [] => Err(format!("no provider is known to have a model of this name; {}", suggest(text, prices))),
        _ => {
            let ways: Vec<String> = providers.iter().map(|provider| format!("{provider}/{text}")).collect();
            Err(format!("several providers have a model of this name; write one of {}", ways.join(", ")))
        }
    }
}

/// A model's name becomes part of a URL's path on some wires, so it must not climb.
fn is_path_safe(model: &str) -> bool {
    !model.is_empty()
        && model.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:/@+~".contains(&byte))
        && model.split('/').all(|part| !part.is_empty() && part != "." && part != "..")
}

/// Names from the price table that begin like the one asked for, nearest first.
fn suggest(text: &str, prices: &Prices) -> String {
    let shared = |name: &str| name.bytes().zip(text.bytes()).take_while(|(left, right)| left == right).count();
    let mut near: Vec<(usize, String)> = prices
        .rows()
        .iter()
        .filter(|row| row.provider != "openrouter")
        .map(|row| (shared(&row.model), format!("{}/{}", row.provider, row.model)))
        .filter(|(length, _)| *length >= 3)
        .collect();
    near.sort_by_key(|(length, _)| std::cmp::Reverse(*length));
    let names: Vec<String> = near.into_iter().take(4).map(|(_, name)| name).collect();
    if names.is_empty() {
        "write provider/model, such as openai/gpt-5.5; GET /api/v1/models lists what is known".to_owned()
    } else {
        format!("write provider/model, such as {}; GET /api/v1/models lists what is known", names.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Result<(String, String), String> {
        resolve_name(text, &Prices::built_in())
    }

    #[test]
    fn the_seeds_example_gets_a_helpful_answer() {
        let gpt = name("gpt-4").unwrap_err();
        assert!(gpt.contains("openai/gpt-4.1"), "{gpt}");
        let claude = name("claude-3").unwrap_err();
        assert!(claude.contains("anthropic/claude-"), "{claude}");
    }

    #[test]
    fn a_bare_name_of_one_provider_is_found() {
        assert_eq!(name("gpt-4o"), Ok(("openai".to_owned(), "gpt-4o".to_owned())));
    }

    #[test]
    fn a_search_is_no_model() {
        assert!(name("tavily/search").unwrap_err().contains("not a model"));
        assert!(name("search").unwrap_err().contains("no provider is known"));
    }

    #[test]
    fn a_model_cannot_climb_out_of_its_path() {
        assert!(name("google/../../v1/files").is_err());
        assert!(name("google/gemini?key=1").is_err());
        assert!(name("google/").is_err());
    }

    #[test]
    fn a_model_is_a_string_or_an_object() {
        let both: Vec<ModelChoice> =
            serde_json::from_str(r#"["openai/gpt-5.5", {"model": "openai/gpt-5.5", "temperature": 0.5}]"#).unwrap();
        assert_eq!(both[0].model, both[1].model);
        assert_eq!(both[1].temperature, Some(0.5));
        assert!(serde_json::from_str::<ModelChoice>(r#"{"model": "x", "temprature": 1}"#).is_err());
    }
}
