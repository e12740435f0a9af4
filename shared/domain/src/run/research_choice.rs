//! The settings of a run that researches as callers write them, and what they are compiled to. Called by `compile`;
//! `stages::research` does it.

use serde::{Deserialize, Serialize};

use super::Generator;
use super::new_run::NewRun;
use super::spec::ModelSpec;
use crate::call::Sampling;
use crate::error::FieldError;
use crate::ids::ProviderKeyId;
use crate::prices::Prices;
use crate::providers::{PROVIDERS, SEARCH_MODEL, find_provider};

const DEFAULT_BREADTH: u32 = 3;
const DEFAULT_DEPTH: u32 = 1;
const DEFAULT_PAGES: u32 = 3;
/// What a model may say where it plans or takes notes: its reasoning counts too.
const READER_OUTPUT_TOKENS: u32 = 16_384;
/// Pages that a run reads at most: their texts are kept with it.
const MAX_PAGES: usize = 500;

/// How a model researches before it writes: it plans queries, reads what they find, and does so again `depth` times.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object), oai(deny_unknown_fields))]
pub struct ResearchChoice {
    /// Who searches: `exa`, `tavily` or `serper`.
    pub provider: String,
    /// The key of that provider to use; your default key of it where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", oai(skip_serializing_if_is_none))]
    pub provider_key_id: Option<ProviderKeyId>,
    /// Queries of a round, 1 to 10; 3 where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(
        feature = "openapi",
        oai(skip_serializing_if_is_none, validator(minimum(value = "1"), maximum(value = "10")))
    )]
    pub breadth: Option<u32>,
    /// Rounds, 1 to 3; 1 where absent. Each is planned with what the ones before have found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(
        feature = "openapi",
        oai(skip_serializing_if_is_none, validator(minimum(value = "1"), maximum(value = "3")))
    )]
    pub depth: Option<u32>,
    /// Pages that are read of what a query finds, 1 to 10; 3 where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(
        feature = "openapi",
        oai(skip_serializing_if_is_none, validator(minimum(value = "1"), maximum(value = "10")))
    )]
    pub pages: Option<u32>,
}

/// Research with nothing left open.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ResearchSpec {
    /// Who searches, as the model of a call.
    pub search: ModelSpec,
    /// The run's models as they plan and take notes: what they say is short.
    pub readers: Vec<ModelSpec>,
    /// Queries of a round.
    pub breadth: u32,
    /// Rounds.
    pub depth: u32,
    /// Pages of a query.
    pub pages: u32,
}

impl ResearchSpec {
    /// How many pages are read at most.
    pub const fn most_pages(&self) -> u32 {
        self.depth * self.breadth * self.pages
    }

    /// Refuses more pages than a run may read; `drafts`: how many reports there are.
    pub(super) fn check_pages(&self, drafts: usize, errors: &mut Vec<FieldError>) {
        let pages = drafts.saturating_mul(self.most_pages() as usize);
        if pages > MAX_PAGES && errors.is_empty() {
            let detail =
                format!("the run would read {pages} pages, and at most {MAX_PAGES} are allowed; research less");
            errors.push(FieldError::new("/research", detail));
        }
    }
}

impl NewRun {
    /// How the run researches, where it does; `open`: whether a preset may bring what is not here.
    pub(super) fn research_spec(
        &self,
        models: &[ModelSpec],
        open: bool,
        prices: &Prices,
        errors: &mut Vec<FieldError>,
    ) -> Option<ResearchSpec> {
        let wanted = self.generator.unwrap_or_default() == Generator::Research;
        match &self.research {
            Some(choice) if wanted => return Some(choice.compile(models, prices, errors)),
            Some(_) if !(open && self.generator.is_none()) => {
                errors.push(FieldError::new("/research", "goes with the generator research"));
            }
            None if wanted && !open => {
                let detail = "must say who searches, such as {\"provider\": \"tavily\"}";
                errors.push(FieldError::new("/research", detail));
            }
            Some(_) | None => {}
        }
        None
    }
}

impl ResearchChoice {
    /// Checks everything and fills in what was left out; places are below `/research`.
    fn compile(&self, models: &[ModelSpec], prices: &Prices, errors: &mut Vec<FieldError>) -> ResearchSpec {
        if !find_provider(&self.provider).is_some_and(|provider| provider.wire.is_search()) {
            let searches = PROVIDERS.iter().filter(|provider| provider.wire.is_search());
            let known: Vec<&str> = searches.map(|provider| provider.slug).collect();
            let detail = format!("is no search of the web; those are {}", known.join(", "));
            errors.push(FieldError::new("/research/provider", detail));
        }
        let mut number = |name: &str, value: Option<u32>, most: u32, usual: u32| {
            if value.is_some_and(|value| !(1..=most).contains(&value)) {
                errors.push(FieldError::new(format!("/research/{name}"), format!("must be from 1 to {most}")));
            }
            value.unwrap_or(usual)
        };
        let reader = |model: &ModelSpec| {
            let usual = model.max_output_tokens.unwrap_or(READER_OUTPUT_TOKENS).min(READER_OUTPUT_TOKENS);
            model.with_usual_limit(Some(usual), prices)
        };
        ResearchSpec {
            search: ModelSpec {
                provider: self.provider.clone(),
                model: SEARCH_MODEL.to_owned(),
                provider_key_id: self.provider_key_id,
                sampling: Sampling::default(),
                max_output_tokens: None,
            },
            readers: models.iter().map(reader).collect(),
            breadth: number("breadth", self.breadth, 10, DEFAULT_BREADTH),
            depth: number("depth", self.depth, 3, DEFAULT_DEPTH),
            pages: number("pages", self.pages, 10, DEFAULT_PAGES),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn compile(generator: Option<&str>, research: Value) -> Result<Option<ResearchSpec>, Vec<String>> {
        let mut body = json!({"prompt": "hi", "models": ["openai/gpt-4o"]});
        if let Some(generator) = generator {
            body["generator"] = json!(generator);
        }
        if !research.is_null() {
            body["research"] = research;
        }
        let run: NewRun = serde_json::from_value(body).unwrap();
        let compiled = run.compile(&Prices::built_in()).map(|spec| spec.research);
        compiled.map_err(|errors| errors.into_iter().map(|error| error.pointer).collect())
    }

    #[test]
    fn who_searches_is_enough() {
        let spec = compile(Some("research"), json!({"provider": "exa"})).unwrap().unwrap();
        assert_eq!((spec.breadth, spec.depth, spec.pages, spec.most_pages()), (3, 1, 3, 9));
        assert_eq!(spec.search.full_name(), "exa/search");
        assert_eq!(spec.readers[0].max_output_tokens, Some(READER_OUTPUT_TOKENS));
        assert_eq!(compile(None, Value::Null), Ok(None));
    }

    #[test]
    fn no_reader_may_say_more_than_its_model_gives() {
        let body = json!({
            "prompt": "hi", "generator": "research", "research": {"provider": "exa"}, "models": [
                "openrouter/openai/gpt-4o", {"model": "openrouter/google/gemini-2.5-pro", "max_output_tokens": 100},
                "openai/brand-new",
            ],
        });
        let spec = serde_json::from_value::<NewRun>(body).unwrap().compile(&Prices::built_in()).unwrap();
        let limits = spec.research.unwrap().readers.into_iter().map(|reader| reader.max_output_tokens);
        assert_eq!(limits.collect::<Vec<_>>(), [Some(4_096), Some(100), Some(READER_OUTPUT_TOKENS)]);
    }

    #[test]
    fn what_is_wrong_is_told_at_its_place() {
        let wrong = |generator, research| compile(generator, research).unwrap_err();
        assert_eq!(wrong(Some("research"), Value::Null), ["/research"]);
        assert_eq!(wrong(None, json!({"provider": "exa"})), ["/research"]);
        assert_eq!(wrong(Some("text"), json!({"provider": "exa"})), ["/research"]);
        let all = json!({"provider": "openai", "breadth": 11, "depth": 0, "pages": 11});
        let places = ["/research/provider", "/research/breadth", "/research/depth", "/research/pages"];
        assert_eq!(wrong(Some("research"), all), places);
    }

    #[test]
    fn a_preset_brings_research_unless_the_caller_wants_a_text() {
        let run = |body: Value| serde_json::from_value::<NewRun>(body).unwrap();
        let preset = run(json!({"generator": "research", "research": {"provider": "exa"}}));
        let merged = run(json!({"prompt": "hi"})).over(preset.clone());
        assert_eq!((merged.generator, merged.research.is_some()), (Some(Generator::Research), true));
        let text = run(json!({"prompt": "hi", "generator": "text"})).over(preset);
        assert_eq!((text.generator, text.research), (Some(Generator::Text), None));
    }
}
