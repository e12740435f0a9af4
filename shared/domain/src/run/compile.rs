//! From what was asked for to a `RunSpec`: every check, every default. What the models are asked is put together in `asked`.

use super::asked::{MAX_DOCUMENTS, MAX_MESSAGES};
use super::image_choice::bound;
use super::material::Material;
use super::new_run::NewRun;
use super::spec::RunSpec;
use crate::error::FieldError;
use crate::image::ImageSpec;
use crate::money::Usd;
use crate::prices::Prices;
use crate::template::MAX_VARIABLES;
use crate::webhook::check_webhook_url;

pub(super) const MAX_MODELS: usize = 50;
/// Documents, models and iterations together; without documents, models and iterations cannot come to more.
const MAX_CALLS: usize = 500;
/// All tasks of a run, those of judges among them.
const MAX_TASKS: u64 = 10_000;
const MAX_TAGS: usize = 20;
const MAX_METADATA: usize = 50;
const MAX_SHOWN_NAME: usize = 64;
// A process that shuts down waits for its calls (PROTOCOL rule 15): no call may outlast `Timing::shutdown_grace`.
pub(super) const MAX_TIMEOUT_SECONDS: u32 = 600;
const MAX_DEADLINE_SECONDS: u32 = 7 * 24 * 3_600;
pub(super) const DEFAULT_DEADLINE_SECONDS: u32 = 6 * 3_600;
pub(super) const DEFAULT_CONCURRENCY: u32 = 10;
pub(super) const DEFAULT_RETRIES: u32 = 2;

impl NewRun {
    /// All that can be told to be wrong without looking into the library.
    pub fn check(&self, prices: &Prices) -> Vec<FieldError> {
        match self.answers_of {
            Some(_) => self.check_over(prices),
            None => self.build(prices, None).err().unwrap_or_default(),
        }
    }

    /// The lists that are longer than a run may have; places begin with `pointer`. What is kept without a check of what it says
    /// needs at least this one: all else of a request is as long as its text.
    pub fn check_lengths(&self, pointer: &str) -> Vec<FieldError> {
        let lists = [
            ("messages", self.messages.as_ref().map_or(0, Vec::len), MAX_MESSAGES),
            ("variables", self.variables.len(), MAX_VARIABLES),
            ("documents", self.documents.len(), MAX_DOCUMENTS),
            ("models", self.models.len(), MAX_MODELS),
            ("metadata", self.metadata.len(), MAX_METADATA),
            ("tags", self.tags.len(), MAX_TAGS),
        ];
        let too_long = lists.into_iter().filter(|(_, length, most)| length > most);
        too_long
            .map(|(name, _, most)| {
                FieldError::new(format!("{pointer}/{name}"), format!("must have at most {most} entries"))
            })
            .collect()
    }

    /// Checks everything and fills in what was left out; on failure, every wrong place. For a run that names nothing of the
    /// library.
    pub fn compile(&self, prices: &Prices) -> Result<RunSpec, Vec<FieldError>> {
        self.compile_with(prices, &Material::default())
    }

    /// The same with what was found in the library. A preset must have been put under it before (`over`).
    pub fn compile_with(&self, prices: &Prices, material: &Material) -> Result<RunSpec, Vec<FieldError>> {
        if self.answers_of.is_some() {
            let detail = "names the answers of another run: that goes with a submission, not with a preset";
            return Err(vec![FieldError::new("/answers_of", detail)]);
        }
        self.build(prices, Some(material))
    }

    /// `None` for a library that was not looked into: what stands there is taken to be right.
    fn build(&self, prices: &Prices, material: Option<&Material>) -> Result<RunSpec, Vec<FieldError>> {
        let mut errors = Vec::new();
        let open = self.preset_id.is_some() && material.is_none();
        if self.preset_version.is_some() && self.preset_id.is_none() && material.is_none() {
            errors.push(FieldError::new("/preset_version", "goes with a preset_id"));
        }
        let asked = self.asked(material, open, &mut errors);
        range(&mut errors, "/iterations", self.iterations, 1, 10);
        range(&mut errors, "/max_output_tokens", self.max_output_tokens, 1, 1_000_000);
        self.check_settings(&mut errors);
        let image = self.image(open, &mut errors);
        let models = self.resolve_models(prices, open, image, &mut errors);
        let iterations = self.iterations.unwrap_or(1);
        // As many as are named: one that is wrong is told at its place, and not as too few answers besides.
        let drafts = self.models.len().saturating_mul(iterations as usize);
        let research = self.research_spec(&models, open, prices, &mut errors);
        let stages = self.compile_stages(&models, drafts, prices, material, &mut errors);
        let calls = self.documents.len().max(1).saturating_mul(self.models.len()).saturating_mul(iterations as usize);
        if calls > MAX_CALLS && errors.is_empty() {
            let detail = format!("documents, models and iterations may come to at most {MAX_CALLS} calls");
            errors.push(FieldError::new("/documents", detail));
        }
        if let Some(research) = &research {
            research.check_pages(calls, &mut errors);
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let spec = RunSpec {
            system: self.system.clone(),
            messages: asked.messages,
            documents: asked.documents,
            document_at: asked.document_at,
            generator: self.generator.unwrap_or_default(),
            image,
            models,
            research,
            stages,
            iterations,
            concurrency: self.concurrency.unwrap_or(DEFAULT_CONCURRENCY),
            max_retries: self.max_retries.unwrap_or(DEFAULT_RETRIES),
            timeout_seconds: self.timeout_seconds.unwrap_or(MAX_TIMEOUT_SECONDS),
            deadline_seconds: self.deadline_seconds.unwrap_or(DEFAULT_DEADLINE_SECONDS),
            on_in_doubt: self.on_in_doubt.unwrap_or_default(),
            priority: self.priority.unwrap_or_default(),
            max_cost_usd: self.max_cost_usd,
            webhook_url: self.webhook_url.clone(),
            conversation: self.conversation_id,
            preset: material.and_then(|material| material.preset),
            answers_of: None,
            longest_answer: None,
        };
        bounded(spec)
    }

    /// What says how a run is done and not what is asked.
    pub(super) fn check_settings(&self, errors: &mut Vec<FieldError>) {
        range(errors, "/concurrency", self.concurrency, 1, 50);
        range(errors, "/max_retries", self.max_retries, 0, 10);
        range(errors, "/timeout_seconds", self.timeout_seconds, 1, MAX_TIMEOUT_SECONDS);
        range(errors, "/deadline_seconds", self.deadline_seconds, 1, MAX_DEADLINE_SECONDS);
        if self.max_cost_usd == Some(Usd::ZERO) {
            errors.push(FieldError::new("/max_cost_usd", "must be more than 0; leave it out for no ceiling"));
        }
        self.check_notes(errors);
        if let Some(webhook_url) = &self.webhook_url {
            check_webhook_url(errors, "/webhook_url", webhook_url);
        }
    }

    /// `open`: whether a preset may bring what is not here.
    fn resolve_models(
        &self,
        prices: &Prices,
        open: bool,
        image: Option<ImageSpec>,
        errors: &mut Vec<FieldError>,
    ) -> Vec<super::ModelSpec> {
        if (self.models.is_empty() && !open) || self.models.len() > MAX_MODELS {
            errors.push(FieldError::new("/models", format!("must name 1 to {MAX_MODELS} models")));
        }
        let mut resolved = Vec::with_capacity(self.models.len());
        for (index, choice) in self.models.iter().enumerate().take(MAX_MODELS) {
            let pointer = format!("/models/{index}");
            let Some(spec) = choice.resolve(&pointer, self.max_output_tokens, prices, errors) else { continue };
            match image.map_or_else(|| Ok(spec.clone()), |image| bound(image, spec.clone(), &pointer)) {
                Ok(spec) => resolved.push(spec),
                Err(error) => errors.push(error),
            }
        }
        resolved
    }

    fn check_notes(&self, errors: &mut Vec<FieldError>) {
        if self.metadata.len() > MAX_METADATA {
            errors.push(FieldError::new("/metadata", format!("must have at most {MAX_METADATA} entries")));
        }
        for (name, value) in self.metadata.iter().take(MAX_METADATA) {
            if name.is_empty()
                || name.chars().count() > 40
                || value.chars().count() > 500
                || has_nul(name)
                || has_nul(value)
            {
                // A name may be as long as the body.
                let shown: String = name.chars().take(MAX_SHOWN_NAME).collect();
                let pointer = format!("/metadata/{}", shown.replace('~', "~0").replace('/', "~1"));
                errors.push(FieldError::new(
                    pointer,
                    "names have 1 to 40 characters, values at most 500, none of them U+0000",
                ));
            }
        }
        if self.tags.len() > MAX_TAGS {
            errors.push(FieldError::new("/tags", format!("must have at most {MAX_TAGS} entries")));
        }
        for (index, tag) in self.tags.iter().enumerate().take(MAX_TAGS) {
            if tag.is_empty() || tag.chars().count() > 64 || has_nul(tag) {
                errors.push(FieldError::new(
                    format!("/tags/{index}"),
                    "must have 1 to 64 characters, none of them U+0000",
                ));
            }
        }
    }
}

/// Refuses a run of too many tasks.
pub(super) fn bounded(spec: RunSpec) -> Result<RunSpec, Vec<FieldError>> {
    let tasks = crate::stages::count(&spec);
    if tasks <= MAX_TASKS {
        return Ok(spec);
    }
    let (place, way_out) = match &spec.research {
        Some(_) if spec.answers_of.is_none() => ("/research", "research less"),
        _ => ("/stages", "compare fewer answers"),
    };
    let detail = format!("the run would have {tasks} tasks, and at most {MAX_TASKS} are allowed; {way_out}");
    Err(vec![FieldError::new(place, detail)])
}

fn has_nul(text: &str) -> bool {
    text.contains('\0')
}

fn range(errors: &mut Vec<FieldError>, pointer: &str, value: Option<u32>, least: u32, most: u32) {
    if value.is_some_and(|value| !(least..=most).contains(&value)) {
        errors.push(FieldError::new(pointer, format!("must be from {least} to {most}")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compile(json: &str) -> Result<RunSpec, Vec<FieldError>> {
        serde_json::from_str::<NewRun>(json).unwrap().compile(&Prices::built_in())
    }

    #[test]
    fn a_prompt_and_two_models_are_enough() {
        let spec = compile(r#"{"prompt": "hi", "models": ["sandbox/echo", "gpt-4o"]}"#).unwrap();
        assert_eq!(spec.models[1].provider, "openai");
        assert_eq!((spec.iterations, spec.max_retries, spec.timeout_seconds), (1, 2, 600));
    }

    #[test]
    fn every_wrong_place_is_named_at_once() {
        let errors = compile(
            r#"{"models": ["gpt-4", "nobody/x"], "iterations": 11, "max_cost_usd": "0", "tags": [""],
                "metadata": {"": "x"}, "webhook_url": "ftp://x"}"#,
        )
        .unwrap_err();
        let pointers: Vec<&str> = errors.iter().map(|error| error.pointer.as_str()).collect();
        let expected = [
            "/prompt",
            "/iterations",
            "/max_cost_usd",
            "/metadata/",
            "/tags/0",
            "/webhook_url",
            "/models/0",
            "/models/1",
        ];
        assert_eq!(pointers, expected);
    }

    #[test]
    fn no_call_may_outlast_a_shutdown() {
        let body = |seconds: u32| format!(r#"{{"prompt": "hi", "models": ["gpt-4o"], "timeout_seconds": {seconds}}}"#);
        let spec = compile(&body(MAX_TIMEOUT_SECONDS)).unwrap();
        let longest = std::time::Duration::from_secs(u64::from(spec.timeout_seconds));
        assert!(longest < crate::timing::Timing::default().shutdown_grace);
        assert_eq!(compile(&body(MAX_TIMEOUT_SECONDS + 1)).unwrap_err()[0].pointer, "/timeout_seconds");
    }

    #[test]
    fn a_body_full_of_errors_leads_to_few() {
        let many = |item: &str| vec![item; 10_000].join(",");
        let metadata: Vec<String> = (0..10_000).map(|n| format!(r#""{n}{}":"""#, "x".repeat(40))).collect();
        let body = format!(
            r#"{{"messages": [{}], "models": [{}], "tags": [{}], "metadata": {{{}}}}}"#,
            many(r#"{"role":"user","content":""}"#),
            many(r#""x""#),
            many(r#""""#),
            metadata.join(",")
        );
        let errors = compile(&body).unwrap_err();
        assert!(errors.len() <= 4 + MAX_MESSAGES + MAX_MODELS + MAX_TAGS + MAX_METADATA, "{}", errors.len());
        let long =
            format!(r#"{{"prompt": "hi", "models": ["gpt-4o"], "metadata": {{"{}": ""}}}}"#, "x".repeat(100_000));
        assert!(compile(&long).unwrap_err()[0].pointer.len() < 100);
    }

    #[test]
    fn a_ceiling_needs_prices() {
        let body = r#"{"prompt": "hi", "models": ["gpt-4o", "openai/brand-new"], "max_cost_usd": "1"}"#;
        let error = compile(body).unwrap().check_prices(&Prices::built_in()).unwrap_err();
        assert_eq!((error.code, error.fields[0].pointer.as_str()), ("price_unknown", "/models/1"));
        let without = compile(r#"{"prompt": "hi", "models": ["openai/brand-new"]}"#).unwrap();
        assert_eq!(without.check_prices(&Prices::built_in()), Ok(()));
    }
}
