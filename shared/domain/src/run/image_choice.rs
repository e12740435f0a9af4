//! The settings of a run that makes images as callers write them, and what such a run cannot have. Called by `compile`.

use serde::{Deserialize, Serialize};

use super::Generator;
use super::new_run::NewRun;
use super::spec::ModelSpec;
use crate::error::FieldError;
use crate::image::{ImageQuality, ImageSize, ImageSpec};
use crate::providers::{PROVIDERS, find_provider};

/// What the images of a run are to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object), oai(deny_unknown_fields))]
pub struct ImageChoice {
    /// `square` (1024 × 1024 pixels), `portrait` (1024 × 1536) or `landscape` (1536 × 1024); `square` where absent. Gemini makes
    /// about as many pixels at the same ratio.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", oai(skip_serializing_if_is_none))]
    pub size: Option<ImageSize>,
    /// `low`, `medium` or `high`; `medium` where absent. Gemini takes none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", oai(skip_serializing_if_is_none))]
    pub quality: Option<ImageQuality>,
}

impl NewRun {
    /// What the images are to be, where the run makes images; and whatever a run that makes images, or one that makes none,
    /// cannot have. `open`: whether a preset may bring what is not here.
    pub(super) fn image(&self, open: bool, errors: &mut Vec<FieldError>) -> Option<ImageSpec> {
        if self.generator.unwrap_or_default() != Generator::Image {
            if self.image.is_some() && !(open && self.generator.is_none()) {
                errors.push(FieldError::new("/image", "goes with the generator image"));
            }
            return None;
        }
        let mut refuse = |wrong: bool, pointer: &str, detail: &str| {
            if wrong {
                errors.push(FieldError::new(pointer, detail));
            }
        };
        let no_limit = "an image is bounded by its size and quality";
        let no_sampling = "does not go with images";
        refuse(self.system.is_some(), "/system", "an image is asked for by one prompt: put it in there");
        let turns = self.messages.as_ref().map_or(0, Vec::len);
        let one_turn = "an image is asked for by one turn of the user";
        refuse(turns > 1, "/messages", one_turn);
        refuse(self.conversation_id.is_some(), "/conversation_id", one_turn);
        let not_judged = "images are not judged, compared or combined";
        refuse(!self.stages.is_empty(), "/stages", not_judged);
        refuse(self.council.get().is_some(), "/council", not_judged);
        refuse(self.max_output_tokens.is_some(), "/max_output_tokens", no_limit);
        for (index, model) in self.models.iter().enumerate().take(super::compile::MAX_MODELS) {
            let pointer = |name: &str| format!("/models/{index}/{name}");
            refuse(model.max_output_tokens.is_some(), &pointer("max_output_tokens"), no_limit);
            refuse(model.temperature.is_some(), &pointer("temperature"), no_sampling);
            refuse(model.top_p.is_some(), &pointer("top_p"), no_sampling);
        }
        let choice = self.image.unwrap_or_default();
        Some(ImageSpec { size: choice.size.unwrap_or_default(), quality: choice.quality.unwrap_or_default() })
    }
}

/// Bounds what a model may put out for such an image; refused where its provider makes none. `pointer` is the model's place.
pub(super) fn bound(image: ImageSpec, model: ModelSpec, pointer: &str) -> Result<ModelSpec, FieldError> {
    if let Some(wire) = find_provider(&model.provider).and_then(|provider| provider.image_wire) {
        return Ok(ModelSpec { max_output_tokens: Some(image.output_tokens_at_most(wire)), ..model });
    }
    let makers = PROVIDERS.iter().filter(|provider| provider.image_wire.is_some());
    let makers: Vec<&str> = makers.map(|provider| provider.slug).collect();
    let detail = format!("its provider is not asked for images; those that are: {}", makers.join(", "));
    Err(FieldError::new(pointer, detail))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::prices::Prices;
    use crate::providers::Wire;
    use crate::run::RunSpec;

    fn compile(body: serde_json::Value) -> Result<RunSpec, Vec<String>> {
        let compiled = serde_json::from_value::<NewRun>(body).unwrap().compile(&Prices::built_in());
        compiled.map_err(|errors| errors.into_iter().map(|error| error.pointer).collect())
    }

    #[test]
    fn an_image_is_square_and_of_medium_quality_unless_told_otherwise() {
        let spec = compile(json!({"prompt": "hi", "models": ["openai/gpt-image-2"], "generator": "image"})).unwrap();
        assert_eq!((spec.generator, spec.image), (Generator::Image, Some(ImageSpec::default())));
        let call = spec.call(&spec.models[0], None);
        assert_eq!((call.image, call.max_output_tokens), (Some(ImageSpec::default()), Some(2_048)));
        let image = json!({"size": "portrait", "quality": "low"});
        let models = ["openai/gpt-image-2", "google/gemini-2.5-flash-image"];
        let spec = compile(json!({"prompt": "hi", "models": models, "generator": "image", "image": image})).unwrap();
        let expected = ImageSpec { size: ImageSize::Portrait, quality: ImageQuality::Low };
        assert_eq!(spec.image, Some(expected));
        let bounds: Vec<_> = spec.models.iter().map(|model| model.max_output_tokens).collect();
        assert_eq!(bounds, [Some(512), Some(expected.output_tokens_at_most(Wire::GeminiImages))]);
    }

    #[test]
    fn what_does_not_go_with_images_is_named() {
        let turn = json!({"role": "user", "content": "hi"});
        let body = json!({
            "generator": "image", "system": "x", "messages": [turn, {"role": "assistant", "content": "hi"}, turn],
            "max_output_tokens": 5, "image": {},
            "stages": {"evaluate": {"judges": ["sandbox/judge"], "criteria": ["Clarity"]}},
            "models": [
                {"model": "openai/gpt-image-2", "temperature": 1.0, "top_p": 0.5, "max_output_tokens": 7},
                "anthropic/claude-opus-4-5",
            ],
        });
        let expected = [
            "/system",
            "/messages",
            "/stages",
            "/max_output_tokens",
            "/models/0/max_output_tokens",
            "/models/0/temperature",
            "/models/0/top_p",
            "/models/1",
        ];
        assert_eq!(compile(body).unwrap_err(), expected);
        let body = json!({"prompt": "hi", "models": ["openai/gpt-5.5"], "image": {"size": "square"}});
        assert_eq!(compile(body.clone()).unwrap_err(), ["/image"]);
        let mut text = body;
        text["generator"] = json!("text");
        assert_eq!(compile(text).unwrap_err(), ["/image"]);
        let council = json!({
            "prompt": "hi", "models": ["sandbox/image", "openai/gpt-image-2"], "generator": "image", "council": {"chair": "sandbox/echo"},
        });
        assert!(compile(council).unwrap_err().contains(&"/council".to_owned()));
    }

    #[test]
    fn a_run_of_texts_is_stored_as_before_there_were_images() {
        let spec = compile(json!({"prompt": "hi", "models": ["sandbox/echo"], "generator": "text"})).unwrap();
        let stored = serde_json::to_value(&spec).unwrap();
        assert!(stored.get("generator").is_none() && stored.get("image").is_none());
        assert_eq!(spec, serde_json::from_value(stored).unwrap());
    }

    #[test]
    fn a_ceiling_needs_the_price_of_images() {
        let body = |model: &str| json!({"prompt": "hi", "models": [model], "generator": "image", "max_cost_usd": "1"});
        assert_eq!(compile(body("sandbox/image")).unwrap().check_prices(&Prices::built_in()), Ok(()));
        let error = compile(body("sandbox/echo")).unwrap().check_prices(&Prices::built_in()).unwrap_err();
        assert_eq!((error.code, error.fields[0].pointer.as_str()), ("price_unknown", "/models/0"));
    }
}
