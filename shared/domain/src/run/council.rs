//! `council`: a shorthand for the stages `review` and `combine`. It is compiled away. Called by `compile`.

use serde::{Deserialize, Serialize};

use super::material::Material;
use super::model_choice::ModelChoice;
use super::new_run::NewRun;
use super::spec::ModelSpec;
use crate::error::FieldError;
use crate::prices::Prices;
use crate::stages::{Answering, CombineStrategy, NewCombine, StageSpecs};

/// Where a chair stands in the stages that it is a shorthand for.
const LONGHAND: &str = "/stages/combine/models/0";

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
        let Some(council) = &self.council else {
            return self.stages.compile(answering, prices, material, errors);
        };
        if self.stages.combine.is_some() {
            errors.push(FieldError::new("/council", "goes without stages.combine: it is a shorthand for one"));
            return StageSpecs::default();
        }
        let mut stages = self.stages.clone();
        stages.review.get_or_insert_default();
        stages.combine = Some(NewCombine {
            strategy: Some(CombineStrategy::Synthesis),
            models: vec![council.chair.clone()],
            ..NewCombine::default()
        });
        let before = errors.len();
        let compiled = stages.compile(answering, prices, material, errors);
        for error in &mut errors[before..] {
            if let Some(rest) = error.pointer.strip_prefix(LONGHAND) {
                error.pointer = format!("/council/chair{rest}");
            } else if error.pointer == "/stages/combine" || error.pointer == "/stages/review" {
                "/council".clone_into(&mut error.pointer);
            }
        }
        compiled
    }
}
