//! The body of `POST /api/v1/runs`: what may be asked for, its limits, and how it becomes a `RunSpec`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Priority;
use super::model_choice::ModelChoice;
use super::spec::{OnInDoubt, RunSpec};
use crate::call::{Message, Role};
use crate::error::FieldError;
use crate::money::Usd;
use crate::prices::Prices;
use crate::webhook::check_webhook_url;

const MAX_MODELS: usize = 50;
const MAX_MESSAGES: usize = 200;
const MAX_TAGS: usize = 20;
const MAX_METADATA: usize = 50;
const MAX_SHOWN_NAME: usize = 64;
// A process that shuts down waits for its calls (PROTOCOL rule 15): no call may outlast `Timing::shutdown_grace`.
const MAX_TIMEOUT_SECONDS: u32 = 600;
const MAX_DEADLINE_SECONDS: u32 = 7 * 24 * 3_600;
const DEFAULT_DEADLINE_SECONDS: u32 = 6 * 3_600;

/// One prompt (or conversation) to be sent to many models.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object), oai(deny_unknown_fields))]
pub struct NewRun {
    /// What every model is asked. Exactly one of `prompt` and `messages` must be there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", oai(skip_serializing_if_is_none))]
    pub prompt: Option<String>,
    /// A conversation instead of a prompt; ends with a turn of the user; at most 200 turns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", oai(skip_serializing_if_is_none))]
    pub messages: Option<Vec<Message>>,
    /// The system instruction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", oai(skip_serializing_if_is_none))]
    pub system: Option<String>,
    /// 1 to 50 models: `provider/model`, a bare name, or an object with settings.
    pub models: Vec<ModelChoice>,
    /// How often each model is asked, 1 to 10; 1 where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(
        feature = "openapi",
        oai(skip_serializing_if_is_none, validator(minimum(value = "1"), maximum(value = "10")))
    )]
    pub iterations: Option<u32>,
    /// How many calls may be under way at once, 1 to 50; 10 where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(
        feature = "openapi",
        oai(skip_serializing_if_is_none, validator(minimum(value = "1"), maximum(value = "50")))
    )]
    pub concurrency: Option<u32>,
    /// How often a failed call may be tried again, 0 to 10; 2 where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(
        feature = "openapi",
        oai(skip_serializing_if_is_none, validator(minimum(value = "0"), maximum(value = "10")))
    )]
    pub max_retries: Option<u32>,
    /// The most tokens that each answer may have, reasoning included; the provider's own limit where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(
        feature = "openapi",
        oai(skip_serializing_if_is_none, validator(minimum(value = "1"), maximum(value = "1000000")))
    )]
    pub max_output_tokens: Option<u32>,
    /// How long one call may take, 1 to 600 seconds; 600 where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(
        feature = "openapi",
        oai(skip_serializing_if_is_none, validator(minimum(value = "1"), maximum(value = "600")))
    )]
    pub timeout_seconds: Option<u32>,
    /// When the run ends at the latest, counted from its submission, and anew from a retry, 1 to 604800 seconds; 21600 where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(
        feature = "openapi",
        oai(skip_serializing_if_is_none, validator(minimum(value = "1"), maximum(value = "604800")))
    )]
    pub deadline_seconds: Option<u32>,
    /// What becomes of a task when it cannot be known whether an attempt reached the provider, because a worker died or the
    /// connection broke: `retry` makes another attempt, which may be paid for a second time; `fail` makes none. `retry` where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", oai(skip_serializing_if_is_none))]
    pub on_in_doubt: Option<OnInDoubt>,
    /// How urgent the run is among your own queued runs: `low`, `normal` or `high`; `normal` where absent. It never passes a
    /// run of another tenant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", oai(skip_serializing_if_is_none))]
    pub priority: Option<Priority>,
    /// What the run may cost at most, such as `"0.50"`. A model without a known price is then refused, as it is under a budget.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", oai(skip_serializing_if_is_none))]
    pub max_cost_usd: Option<Usd>,
    /// Your own notes, at most 50: names of at most 40, values of at most 500 characters.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[cfg_attr(feature = "openapi", oai(default))]
    pub metadata: BTreeMap<String, String>,
    /// At most 20 words to find the run by, each of 1 to 64 characters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "openapi", oai(default))]
    pub tags: Vec<String>,
    /// Where a signed webhook goes when the run ends, besides the tenant's webhook endpoints.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", oai(skip_serializing_if_is_none))]
    pub webhook_url: Option<String>,
}

impl NewRun {
    /// Checks everything and fills in what was left out; on failure, every wrong place.
    pub fn compile(&self, prices: &Prices) -> Result<RunSpec, Vec<FieldError>> {
        let mut errors = Vec::new();
        let messages = self.conversation(&mut errors);
        range(&mut errors, "/iterations", self.iterations, 1, 10);
        range(&mut errors, "/concurrency", self.concurrency, 1, 50);
        range(&mut errors, "/max_retries", self.max_retries, 0, 10);
        range(&mut errors, "/max_output_tokens", self.max_output_tokens, 1, 1_000_000);
        range(&mut errors, "/timeout_seconds", self.timeout_seconds, 1, MAX_TIMEOUT_SECONDS);
        range(&mut errors, "/deadline_seconds", self.deadline_seconds, 1, MAX_DEADLINE_SECONDS);
        if self.max_cost_usd == Some(Usd::ZERO) {
            errors.push(FieldError::new("/max_cost_usd", "must be more than 0; leave it out for no ceiling"));
        }
        self.check_notes(&mut errors);
        if let Some(webhook_url) = &self.webhook_url {
            check_webhook_url(&mut errors, "/webhook_url", webhook_url);
        }
        let models = self.resolve_models(prices, &mut errors);
        if !errors.is_empty() {
            return Err(errors);
        }
        Ok(RunSpec {
            system: self.system.clone(),
            messages,
            models,
            iterations: self.iterations.unwrap_or(1),
            concurrency: self.concurrency.unwrap_or(10),
            max_retries: self.max_retries.unwrap_or(2),
            timeout_seconds: self.timeout_seconds.unwrap_or(MAX_TIMEOUT_SECONDS),
            deadline_seconds: self.deadline_seconds.unwrap_or(DEFAULT_DEADLINE_SECONDS),
            on_in_doubt: self.on_in_doubt.unwrap_or_default(),
            priority: self.priority.unwrap_or_default(),
            max_cost_usd: self.max_cost_usd,
            webhook_url: self.webhook_url.clone(),
        })
    }

    fn conversation(&self, errors: &mut Vec<FieldError>) -> Vec<Message> {
        let nul = |text: &str| text.contains('\0');
        if self.system.as_deref().is_some_and(nul) {
            errors.push(FieldError::new("/system", "must not contain the character U+0000"));
        }
        match (&self.prompt, &self.messages) {
            (Some(_), Some(_)) => {
                errors.push(FieldError::new("/messages", "give either prompt or messages, not both"));
                Vec::new()
            }
            (None, None) => {
                errors.push(FieldError::new("/prompt", "is missing: say what the models shall be asked"));
                Vec::new()
            }
            (Some(prompt), None) => {
                if prompt.trim().is_empty() {
                    errors.push(FieldError::new("/prompt", "must not be empty"));
                } else if nul(prompt) {
                    errors.push(FieldError::new("/prompt", "must not contain the character U+0000"));
                }
                vec![Message { role: Role::User, content: prompt.clone() }]
            }
            (None, Some(messages)) => {
                if messages.is_empty() || messages.len() > MAX_MESSAGES {
                    errors.push(FieldError::new("/messages", format!("must have 1 to {MAX_MESSAGES} turns")));
                } else if messages.last().is_some_and(|last| last.role != Role::User) {
                    errors.push(FieldError::new("/messages", "must end with a turn of the user"));
                }
                for (index, message) in messages.iter().enumerate().take(MAX_MESSAGES) {
                    if message.content.trim().is_empty() || nul(&message.content) {
                        let pointer = format!("/messages/{index}/content");
                        errors.push(FieldError::new(pointer, "must not be empty nor contain the character U+0000"));
                    }
                }
                messages.clone()
            }
        }
    }

    fn resolve_models(&self, prices: &Prices, errors: &mut Vec<FieldError>) -> Vec<super::ModelSpec> {
        if self.models.is_empty() || self.models.len() > MAX_MODELS {
            errors.push(FieldError::new("/models", format!("must name 1 to {MAX_MODELS} models")));
        }
        let mut resolved = Vec::with_capacity(self.models.len());
        for (index, choice) in self.models.iter().enumerate().take(MAX_MODELS) {
            let pointer = format!("/models/{index}");
            let Some(spec) = choice.resolve(&pointer, self.max_output_tokens, prices, errors) else { continue };
            resolved.push(spec);
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
