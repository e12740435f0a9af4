//! A run that is started from a preset: what the caller says goes before what the preset says. Called by the api.

use super::Generator;
use super::new_run::NewRun;

impl NewRun {
    /// This request over what a preset says, as one request without a preset. One of `prompt`, `messages` and `template_id` takes
    /// the place of the preset's, and another template brings its own `variables`; else `variables`, and always `metadata` and `stages`, are
    /// merged by name. Anything else is taken from the preset where it is absent here. A stage or a council that is `null` here is
    /// none, whatever the preset says.
    #[must_use]
    pub fn over(self, preset: Self) -> Self {
        let asks_otherwise = self.prompt.is_some()
            || self.messages.is_some()
            || (self.template_id.is_some() && self.template_id != preset.template_id);
        let (base, mut variables) = if asks_otherwise {
            (Self::default(), std::collections::BTreeMap::new())
        } else {
            let Self { prompt, messages, template_id, .. } = &preset;
            let base = Self {
                prompt: prompt.clone(),
                messages: messages.clone(),
                template_id: *template_id,
                ..Self::default()
            };
            (base, preset.variables)
        };
        variables.extend(self.variables);
        // Settings of images or research that the caller does not want are no settings of its texts.
        let may_be = |wanted: Generator| self.generator.is_none_or(|generator| generator == wanted);
        let (may_make_images, may_research) = (may_be(Generator::Image), may_be(Generator::Research));
        let mut metadata = preset.metadata;
        metadata.extend(self.metadata);
        Self {
            preset_id: None,
            preset_version: None,
            prompt: self.prompt.or(base.prompt),
            messages: self.messages.or(base.messages),
            template_id: self.template_id.or(base.template_id),
            variables,
            documents: first_of(self.documents, preset.documents),
            conversation_id: self.conversation_id,
            answers_of: self.answers_of,
            system: self.system.or(preset.system),
            models: first_of(self.models, preset.models),
            generator: self.generator.or(preset.generator),
            image: self.image.or(preset.image.filter(|_| may_make_images)),
            research: self.research.or(preset.research.filter(|_| may_research)),
            stages: self.stages.over(preset.stages),
            council: self.council.over(preset.council),
            iterations: self.iterations.or(preset.iterations),
            concurrency: self.concurrency.or(preset.concurrency),
            max_retries: self.max_retries.or(preset.max_retries),
            max_output_tokens: self.max_output_tokens.or(preset.max_output_tokens),
            timeout_seconds: self.timeout_seconds.or(preset.timeout_seconds),
            deadline_seconds: self.deadline_seconds.or(preset.deadline_seconds),
            on_in_doubt: self.on_in_doubt.or(preset.on_in_doubt),
            priority: self.priority.or(preset.priority),
            max_cost_usd: self.max_cost_usd.or(preset.max_cost_usd),
            metadata,
            tags: first_of(self.tags, preset.tags),
            webhook_url: self.webhook_url.or(preset.webhook_url),
        }
    }
}

fn first_of<T>(own: Vec<T>, otherwise: Vec<T>) -> Vec<T> {
    if own.is_empty() { otherwise } else { own }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ids::TemplateId;
    use crate::run::arbitrary::any_request;

    fn request(body: serde_json::Value) -> NewRun {
        serde_json::from_value(body).unwrap()
    }

    #[test]
    fn what_is_asked_takes_the_place_of_what_the_preset_asks() {
        let (one, other) = (TemplateId::generate(), TemplateId::generate());
        let preset =
            request(serde_json::json!({"template_id": one, "variables": {"a": "1", "b": "2"}, "models": ["x/y"]}));
        let prompt = request(serde_json::json!({"prompt": "hi"})).over(preset.clone());
        assert_eq!((prompt.template_id, prompt.variables.len()), (None, 0));
        let same = request(serde_json::json!({"variables": {"b": "3"}})).over(preset.clone());
        assert_eq!(same.template_id, Some(one));
        assert_eq!((&*same.variables["a"], &*same.variables["b"]), ("1", "3"));
        let another = request(serde_json::json!({"template_id": other, "variables": {"c": "4"}})).over(preset);
        assert_eq!((another.template_id, another.variables), (Some(other), [("c".to_owned(), "4".to_owned())].into()));
    }

    proptest! {
        #[test]
        fn every_field_of_a_preset_survives_storage_and_reaches_the_run(preset in any_request()) {
            let stored = serde_json::to_string(&preset).unwrap();
            let read: NewRun = serde_json::from_str(&stored).unwrap();
            prop_assert_eq!(&read, &preset);
            prop_assert_eq!(NewRun::default().over(read), preset);
        }

        #[test]
        fn what_the_caller_says_stands(own in any_request(), preset in any_request()) {
            let merged = own.clone().over(preset.clone());
            for (name, value) in serde_json::to_value(&own).unwrap().as_object().unwrap() {
                let merged = &serde_json::to_value(&merged).unwrap()[name];
                let merges = ["variables", "metadata", "stages"].contains(&name.as_str());
                if let Some(entries) = value.as_object().filter(|_| merges) {
                    for (entry, value) in entries {
                        prop_assert_eq!(&merged[entry], value);
                    }
                } else {
                    prop_assert_eq!(merged, value);
                }
            }
            // And of the three that ask, one at most is there.
            let asks = [merged.prompt.is_some(), merged.messages.is_some(), merged.template_id.is_some()];
            prop_assert!(asks.into_iter().filter(|asks| *asks).count() <= 1);
        }
    }
}
