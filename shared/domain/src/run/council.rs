//! `council`: a shorthand for the stages `review` and `combine`. It is compiled away. Called by `compile`.

use serde::{Deserialize, Serialize};

use super::material::Material;
use super::model_choice::ModelChoice;
use super::new_run::NewRun;
use super::spec::ModelSpec;
use super::switch::Switch;
use crate::error::FieldError;
use crate::prices::Prices;
use crate::stages::{Answering, CombineStrategy, NewCombine, NewReview, StageSpecs};

/// The stages that it is a shorthand for, and where a chair stands in them.
const REVIEW: &str = "/stages/review";
const COMBINE: &str = "/stages/combine";
pub(super) const CHAIR: &str = "/stages/combine/models/0";
const TOO_MANY_REVIEWERS: &str =
    "lets all models of the run review, and these are more than 20: name 1 to 20 models in stages.review.reviewers";

/// A council: the run's models review each other's answers, and one of them, or another one, speaks for all.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object), oai(deny_unknown_fields))]
pub struct Council {
    /// The model that writes the council's answer from all answers and reviews.
    pub chair: ModelChoice,
}

impl NewRun {
    /// Compiles the stages, those of a council with them.
    pub(super) fn compile_stages(
        &self,
        models: &[ModelSpec],
        drafts: usize,
        prices: &Prices,
        material: Option<&Material>,
        errors: &mut Vec<FieldError>,
    ) -> StageSpecs {
        // The models are those of a preset or of another run, which were not looked at.
        let open = (self.preset_id.is_some() || self.answers_of.is_some()) && material.is_none();
        let answering = Answering { models, drafts, max_output_tokens: self.max_output_tokens, open };
        let Some(council) = self.council.get() else {
            return self.stages.compile(answering, prices, material, errors);
        };
        if self.stages.combine.get().is_some() {
            let detail = "goes without stages.combine: it is a shorthand for one. Leave out one of them; one of a preset is left out by \
                          \"council\": null or \"stages\": {\"combine\": null}";
            errors.push(FieldError::new("/council", detail));
            return StageSpecs::default();
        }
        let mut stages = self.stages.clone();
        let reviews = stages.review.get().is_some();
        if !reviews {
            stages.review = Switch::On(NewReview::default());
        }
        stages.combine = Switch::On(NewCombine {
            strategy: Some(CombineStrategy::Synthesis),
            models: vec![council.chair.clone()],
            ..NewCombine::default()
        });
        let mut wrong = Vec::new();
        let compiled = stages.compile(answering, prices, material, &mut wrong);
        if answering.drafts < 2 && !open {
            let detail = "needs two answers to review and combine: name another model, or more iterations";
            errors.push(FieldError::new("/council", detail));
            // Each of the stages says so of itself.
            wrong.retain(|error| error.pointer != REVIEW && error.pointer != COMBINE);
        }
        errors.extend(wrong.into_iter().map(|error| match error.pointer.strip_prefix(CHAIR) {
            Some(rest) => FieldError { pointer: format!("/council/chair{rest}"), ..error },
            None if !reviews && error.pointer.starts_with(REVIEW) => FieldError::new("/council", TOO_MANY_REVIEWERS),
            None => error,
        }));
        compiled
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn wrong(body: Value) -> Vec<(String, String)> {
        let errors = serde_json::from_value::<NewRun>(body).unwrap().compile(&Prices::built_in()).unwrap_err();
        errors.into_iter().map(|error| (error.pointer, error.detail)).collect()
    }

    fn places(body: Value) -> Vec<String> {
        wrong(body).into_iter().map(|(pointer, _)| pointer).collect()
    }

    #[test]
    fn each_error_is_told_once_and_in_the_words_of_the_request() {
        let council = json!({"chair": {"model": "nobody/x", "temperature": 3.0}});
        let body = json!({"prompt": "hi", "models": ["sandbox/echo"], "council": council});
        assert_eq!(places(body), ["/council", "/council/chair/temperature", "/council/chair"]);
        let many: Vec<Value> =
            (0..21).map(|n| json!({"model": "sandbox/echo", "temperature": f64::from(n) / 100.0})).collect();
        let body = json!({"prompt": "hi", "models": many, "council": {"chair": "sandbox/echo"}});
        assert_eq!(wrong(body), [("/council".to_owned(), TOO_MANY_REVIEWERS.to_owned())]);
        // What the caller says of the review is told where it stands.
        let body = json!({"prompt": "hi", "models": ["sandbox/echo"], "iterations": 2, "council": {"chair": "sandbox/echo"},
            "stages": {"review": {"reviewers": ["nobody/x"], "iterations": 0}}});
        assert_eq!(places(body), ["/stages/review/reviewers/0", "/stages/review/iterations"]);
    }

    #[test]
    fn no_reviewer_that_nobody_named_may_say_more_than_its_model_gives() {
        let models = ["openrouter/openai/gpt-4o", "openrouter/google/gemini-2.5-pro", "openai/gpt-4o", "openai/new"];
        let body = json!({"prompt": "x", "models": models, "council": {"chair": "openrouter/openai/gpt-4o"}});
        let spec = serde_json::from_value::<NewRun>(body).unwrap().compile(&Prices::built_in()).unwrap();
        let reviewers = spec.stages.review.unwrap().reviewers.into_iter();
        let limits: Vec<Option<u32>> = reviewers.map(|reviewer| reviewer.max_output_tokens).collect();
        assert_eq!(limits, [Some(4_096), Some(8_192), Some(16_384), Some(16_384)]);
    }

    #[test]
    fn a_council_and_a_combination_go_without_each_other_and_the_way_out_is_told() {
        let run = |body: Value| serde_json::from_value::<NewRun>(body).unwrap();
        let council = json!({"prompt": "hi", "models": ["sandbox/a", "sandbox/b"], "council": {"chair": "sandbox/c"}});
        let combine = json!({"prompt": "hi", "models": ["sandbox/a", "sandbox/b"],
            "stages": {"combine": {"models": ["sandbox/d"]}}});
        for (preset, own, off) in [
            (&council, json!({"stages": {"combine": {"models": ["sandbox/d"]}}}), json!({"council": null})),
            (&combine, json!({"council": {"chair": "sandbox/c"}}), json!({"stages": {"combine": null}})),
        ] {
            let refused = run(own.clone()).over(run(preset.clone())).compile(&Prices::built_in()).unwrap_err();
            assert_eq!((refused.len(), &*refused[0].pointer), (1, "/council"));
            assert!(refused[0].detail.contains(off.to_string().trim_matches(['{', '}']).split(':').next().unwrap()));
            let mut both = own.clone();
            for (name, value) in off.as_object().unwrap() {
                match both.get_mut(name) {
                    Some(Value::Object(object)) => object.extend(value.as_object().unwrap().clone()),
                    _ => both[name] = value.clone(),
                }
            }
            let spec = run(both).over(run(preset.clone())).compile(&Prices::built_in()).unwrap();
            let alone = if own.get("council").is_some() { &council } else { &combine };
            assert_eq!(spec, run(alone.clone()).compile(&Prices::built_in()).unwrap());
        }
    }
}
