//! A run that judges the answers of another: what may be asked for beside `answers_of`, and what it is compiled to. The api finds
//! the other run, the store copies its answers.

use super::compile::{DEFAULT_CONCURRENCY, DEFAULT_DEADLINE_SECONDS, DEFAULT_RETRIES, MAX_TIMEOUT_SECONDS, bounded};
use super::material::Material;
use super::new_run::NewRun;
use super::spec::RunSpec;
use crate::error::FieldError;
use crate::prices::Prices;

impl NewRun {
    /// Compiles a request with `answers_of`, over what the run does that is named there.
    ///
    /// # Errors
    /// Every wrong place.
    pub fn compile_over(
        &self,
        source: &RunSpec,
        prices: &Prices,
        material: &Material,
    ) -> Result<RunSpec, Vec<FieldError>> {
        let mut errors = self.wrong_beside_answers();
        if source.image.is_some() {
            errors.push(FieldError::new("/answers_of", "made images, which are not judged, compared or combined"));
        }
        let drafts = source.models.len().saturating_mul(source.iterations as usize);
        let stages = self.compile_stages(&source.models, drafts, prices, Some(material), &mut errors);
        if !errors.is_empty() {
            return Err(errors);
        }
        bounded(RunSpec {
            stages,
            concurrency: self.concurrency.unwrap_or(DEFAULT_CONCURRENCY),
            max_retries: self.max_retries.unwrap_or(DEFAULT_RETRIES),
            timeout_seconds: self.timeout_seconds.unwrap_or(MAX_TIMEOUT_SECONDS),
            deadline_seconds: self.deadline_seconds.unwrap_or(DEFAULT_DEADLINE_SECONDS),
            on_in_doubt: self.on_in_doubt.unwrap_or_default(),
            priority: self.priority.unwrap_or_default(),
            max_cost_usd: self.max_cost_usd,
            webhook_url: self.webhook_url.clone(),
            conversation: None,
            preset: None,
            answers_of: self.answers_of,
            longest_answer: material.longest_answer,
            ..source.clone()
        })
    }

    /// What can be told to be wrong without the other run.
    pub(super) fn check_over(&self, prices: &Prices) -> Vec<FieldError> {
        let mut errors = self.wrong_beside_answers();
        self.compile_stages(&[], 0, prices, None, &mut errors);
        errors
    }

    fn wrong_beside_answers(&self) -> Vec<FieldError> {
        let given = [
            ("/preset_id", self.preset_id.is_some()),
            ("/preset_version", self.preset_version.is_some()),
            ("/prompt", self.prompt.is_some()),
            ("/messages", self.messages.is_some()),
            ("/template_id", self.template_id.is_some()),
            ("/variables", !self.variables.is_empty()),
            ("/documents", !self.documents.is_empty()),
            ("/conversation_id", self.conversation_id.is_some()),
            ("/system", self.system.is_some()),
            ("/models", !self.models.is_empty()),
            ("/generator", self.generator.is_some()),
            ("/image", self.image.is_some()),
            ("/research", self.research.is_some()),
            ("/iterations", self.iterations.is_some()),
            ("/max_output_tokens", self.max_output_tokens.is_some()),
        ];
        let wrong = given.into_iter().filter(|(_, is_given)| *is_given);
        let mut errors: Vec<FieldError> = wrong
            .map(|(place, _)| FieldError::new(place, "goes without answers_of: the answers are there already"))
            .collect();
        if self.stages.is_empty() && self.council.get().is_none() {
            errors.push(FieldError::new("/stages", "must name what is done with the answers that are taken over"));
        }
        self.check_settings(&mut errors);
        errors
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::estimate::estimate;
    use crate::ids::RunId;
    use crate::stages;

    fn request(body: Value) -> NewRun {
        serde_json::from_value(body).unwrap()
    }

    fn source(generator: &str) -> RunSpec {
        let model = if generator == "image" { "openai/gpt-image-2" } else { "sandbox/echo" };
        let body = json!({
            "prompt": "hi", "models": [model, model], "generator": generator, "iterations": 2, "concurrency": 3,
            "webhook_url": "https://example.com/hook", "max_cost_usd": "1",
        });
        request(body).compile(&Prices::built_in()).unwrap()
    }

    fn over(source: &RunSpec, body: Value) -> Result<RunSpec, Vec<String>> {
        let compiled = request(body).compile_over(source, &Prices::built_in(), &Material::default());
        compiled.map_err(|errors| errors.into_iter().map(|error| error.pointer).collect())
    }

    fn judges() -> Value {
        json!({"evaluate": {"judges": ["sandbox/judge"], "criteria": ["clarity"]}})
    }

    #[test]
    fn what_was_asked_stays_and_how_it_is_judged_is_new() {
        let (source, run) = (source("text"), RunId::generate());
        let body = json!({"answers_of": run, "stages": judges(), "max_retries": 5});
        assert_eq!(request(body.clone()).check(&Prices::built_in()), []);
        let spec = over(&source, body).unwrap();
        assert_eq!((&spec.messages, &spec.models, spec.iterations), (&source.messages, &source.models, 2));
        assert_eq!((spec.answers_of, spec.max_retries, spec.concurrency), (Some(run), 5, DEFAULT_CONCURRENCY));
        assert_eq!((spec.max_cost_usd, &spec.webhook_url), (None, &None));
        assert_ne!(spec.hash(), source.hash());
        // Four answers and four scores, of which the scores are still to come.
        assert_eq!((stages::plan(&spec).len(), stages::to_do(&spec).len()), (8, 4));
        assert_eq!(estimate(&spec, &Prices::built_in()).calls, 4);
        let asked: Vec<String> = spec.asked_models().into_iter().map(|(place, _)| place).collect();
        assert_eq!(asked, ["/stages/evaluate/judges/0"]);
    }

    #[test]
    fn nothing_that_was_asked_can_be_asked_otherwise() {
        let id = uuid::Uuid::from_u128(1);
        let body = json!({
            "answers_of": RunId::generate(), "preset_id": crate::ids::PresetId::from(id), "preset_version": 1,
            "prompt": "x", "messages": [], "template_id": crate::ids::TemplateId::from(id), "variables": {"a": "b"},
            "documents": [{"name": "a", "text": "b"}], "conversation_id": crate::ids::ConversationId::from(id),
            "system": "x", "models": ["gpt-4o"], "generator": "text", "image": {}, "research": {"provider": "tavily"},
            "iterations": 1, "max_output_tokens": 5, "timeout_seconds": 0,
        });
        let expected = [
            "/preset_id",
            "/preset_version",
            "/prompt",
            "/messages",
            "/template_id",
            "/variables",
            "/documents",
            "/conversation_id",
            "/system",
            "/models",
            "/generator",
            "/image",
            "/research",
            "/iterations",
            "/max_output_tokens",
            "/stages",
            "/timeout_seconds",
        ];
        let checked = request(body.clone()).check(&Prices::built_in());
        assert_eq!(checked.iter().map(|error| error.pointer.as_str()).collect::<Vec<_>>(), expected);
        assert_eq!(over(&source("text"), body).unwrap_err(), expected);
    }

    #[test]
    fn images_are_not_judged_and_presets_hold_no_answers() {
        let body = json!({"answers_of": RunId::generate(), "stages": judges()});
        assert_eq!(over(&source("image"), body.clone()).unwrap_err(), ["/answers_of"]);
        let refused = request(body.clone()).compile(&Prices::built_in()).unwrap_err();
        assert_eq!(refused[0].pointer, "/answers_of");
        let own = request(json!({"prompt": "hi", "models": ["sandbox/echo"]}));
        assert_eq!(own.over(request(body)).answers_of, None);
    }

    #[test]
    fn a_council_reviews_what_is_there() {
        let body = json!({"answers_of": RunId::generate(), "council": {"chair": "sandbox/judge"}});
        assert_eq!(request(body.clone()).check(&Prices::built_in()), []);
        let spec = over(&source("text"), body).unwrap();
        assert!(spec.stages.review.is_some() && spec.stages.combine.is_some());
    }
}
