//! The compiled specification of a run: every default filled in, every model resolved. Stored with the run; never changes.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::document::DocumentSpec;
use super::frame::{frame, framed_bytes};
use super::material::PresetRef;
use super::{Generator, Priority, ResearchSpec};
use crate::call::{Call, CallSize, Message, Sampling};
use crate::content_hash::ContentHash;
use crate::error::{Error, FieldError, Kind};
use crate::ids::{ConversationId, ProviderKeyId, RunId};
use crate::image::ImageSpec;
use crate::judging::prompt;
use crate::money::Usd;
use crate::prices::Prices;
use crate::stages::{StageSpecs, Subject};

/// One resolved model of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelSpec {
    /// The provider's slug.
    pub provider: String,
    /// The provider's own name of the model.
    pub model: String,
    /// The provider key that the caller named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider_key_id: Option<ProviderKeyId>,
    /// Sampling parameters that the caller set.
    #[serde(default)]
    pub sampling: Sampling,
    /// The most tokens of an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_output_tokens: Option<u32>,
}

impl ModelSpec {
    /// `provider/model`.
    pub fn full_name(&self) -> String {
        format!("{}/{}", self.provider, self.model)
    }

    /// The same model with a limit that nobody asked for: no more than it gives, for providers refuse that.
    pub(crate) fn with_usual_limit(&self, usual: Option<u32>, prices: &Prices) -> Self {
        let price = prices.find(&self.provider, &self.model);
        let gives = price.and_then(|price| price.max_output).map(|most| u32::try_from(most).unwrap_or(u32::MAX));
        Self { max_output_tokens: usual.into_iter().chain(gives).min(), ..self.clone() }
    }
}

/// What becomes of a task when it cannot be known whether an attempt reached the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Enum), oai(rename_all = "snake_case"))]
pub enum OnInDoubt {
    /// Another attempt is made, within `max_retries` where it failed while a worker watched: what the first one did may be paid
    /// for twice.
    #[default]
    Retry,
    /// The task fails: nothing is paid for twice.
    Fail,
}

/// What a run does, with nothing left open.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunSpec {
    /// The system instruction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
    /// What every model is asked.
    pub messages: Vec<Message>,
    /// The documents that every model is asked about, one in each call; the texts are stored beside the run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub documents: Vec<DocumentSpec>,
    /// Where the document stands in the last message, in bytes; after it where `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document_at: Option<usize>,
    /// What they are asked to make.
    #[serde(default, skip_serializing_if = "Generator::is_text")]
    pub generator: Generator,
    /// What the images are to be; there exactly where the run makes images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<ImageSpec>,
    /// Who is asked.
    pub models: Vec<ModelSpec>,
    /// How the answers are researched, where they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub research: Option<ResearchSpec>,
    /// What is done with the answers.
    #[serde(default, skip_serializing_if = "StageSpecs::is_empty")]
    pub stages: StageSpecs,
    /// How often each model is asked.
    pub iterations: u32,
    /// How many calls may be under way at once.
    pub concurrency: u32,
    /// How often a failed call may be tried again.
    pub max_retries: u32,
    /// How long one call may take.
    pub timeout_seconds: u32,
    /// When the run ends at the latest, counted from its submission.
    pub deadline_seconds: u32,
    /// What becomes of a task whose attempt is in doubt.
    #[serde(default)]
    pub on_in_doubt: OnInDoubt,
    /// How urgent it is among its tenant's runs.
    #[serde(default)]
    pub priority: Priority,
    /// What the run may cost at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_cost_usd: Option<Usd>,
    /// Where a webhook goes, besides the tenant's endpoints.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook_url: Option<String>,
    /// The conversation that it goes on, whose messages stand before the last one of `messages`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversation: Option<ConversationId>,
    /// The preset that it was started from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preset: Option<PresetRef>,
    /// The run whose answers were taken over: then none is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answers_of: Option<RunId>,
    /// The bytes of the longest of these; `None` where nobody has looked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub longest_answer: Option<u64>,
}

impl RunSpec {
    /// Whether all its tasks are answers: nothing judges them, and no step comes before them.
    pub fn has_answers_alone(&self) -> bool {
        self.stages.is_empty() && self.research.is_none()
    }

    /// Under a ceiling every model needs a price of its own: without one nobody can say what a call may cost, and the price of a
    /// model with a similar name is only an estimate.
    ///
    /// # Errors
    /// `price_unknown`, with the place of each such model.
    pub fn check_prices(&self, prices: &Prices) -> Result<(), Error> {
        if self.max_cost_usd.is_none() {
            return Ok(());
        }
        self.require_prices(prices, "a run with max_cost_usd", "leave out max_cost_usd, or name another model")
    }

    /// Refuses models without a price under their exact name. `who` needs these prices; `way_out` is told at each model.
    pub(crate) fn require_prices(&self, prices: &Prices, who: &str, way_out: &str) -> Result<(), Error> {
        let unpriced = |(pointer, model): (String, &ModelSpec)| {
            let what = if self.image.is_some() { "price of images" } else { "price" };
            let detail = format!("has no {what} under this exact name; {way_out}");
            let price = prices.find_exact(&model.provider, &model.model);
            let is_priced = price.is_some_and(|price| price.output_of(self.image).is_some());
            (!is_priced).then(|| FieldError::new(pointer, detail))
        };
        let fields: Vec<FieldError> = self.asked_models().into_iter().filter_map(unpriced).collect();
        if fields.is_empty() {
            return Ok(());
        }
        let detail = format!("{who} can only use models whose price is known under their exact name; see errors");
        Err(Error { fields, ..Error::new(Kind::Invalid, "price_unknown", detail) })
    }

    /// Every model that the run asks, with its place in the request.
    pub fn asked_models(&self) -> Vec<(String, &ModelSpec)> {
        let mut asked: Vec<(String, &ModelSpec)> = Vec::new();
        if self.answers_of.is_none() {
            asked.extend(self.models.iter().enumerate().map(|(index, model)| (format!("/models/{index}"), model)));
            asked.extend(self.research.iter().map(|research| ("/research/provider".to_owned(), &research.search)));
        }
        for (name, stage) in self.stages.each() {
            asked.extend(stage.models().into_iter().map(|(place, model)| (format!("/stages/{name}{place}"), model)));
        }
        asked
    }

    /// The call that asks one of the models, about one of the documents with its text where the run has any.
    pub fn call(&self, model: &ModelSpec, document: Option<(&DocumentSpec, &str)>) -> Call {
        let call = self.call_about(model, self.messages_about(document));
        Call { system: self.system.clone(), image: self.image, ..call }
    }

    /// What the models are asked, in one text, for those to read who judge or combine their answers.
    pub fn task(&self, document: Option<(&DocumentSpec, &str)>) -> String {
        prompt::task(self.system.as_deref(), &self.messages_about(document))
    }

    fn messages_about(&self, document: Option<(&DocumentSpec, &str)>) -> Vec<Message> {
        let mut messages = self.messages.clone();
        if let (Some((document, text)), Some(last)) = (document, messages.last_mut()) {
            last.content = self.with_document(&last.content, &frame(&document.name, text));
        }
        messages
    }

    /// How much a call says that holds the task of a subject once, known without the document's text. `size`: that of the call
    /// with this task, which is an empty one: plans are made often, and prompts may be large.
    pub(crate) fn size_about(&self, subject: Subject, size: impl FnOnce(&str) -> CallSize) -> CallSize {
        let without = size("");
        let task = prompt::task_bytes(self.system.as_deref(), &self.messages);
        let document = self.call_size(subject.document(self)).bytes - self.call_size(None).bytes;
        CallSize { bytes: without.bytes + task + document, ..without }
    }

    /// A call of the run to this model with these messages and no system instruction.
    pub(crate) fn call_about(&self, model: &ModelSpec, messages: Vec<Message>) -> Call {
        Call {
            provider: model.provider.clone(),
            model: model.model.clone(),
            provider_key: model.provider_key_id,
            system: None,
            messages,
            sampling: model.sampling,
            max_output_tokens: model.max_output_tokens,
            timeout: std::time::Duration::from_secs(u64::from(self.timeout_seconds)),
            max_retries: self.max_retries,
            expects: None,
            question: None,
            image: None,
        }
    }

    /// How much such a call says, known without the document's text.
    pub fn call_size(&self, document: Option<&DocumentSpec>) -> CallSize {
        let mut size = CallSize::of(self.system.as_deref(), &self.messages);
        if let (Some(document), Some(last)) = (document, self.messages.last()) {
            let around = self.with_document(&last.content, "").len() - last.content.len();
            size.bytes += around as u64 + framed_bytes(&document.name, document.bytes);
        }
        size
    }

    /// The last message with a document in its place.
    pub(super) fn with_document(&self, content: &str, framed: &str) -> String {
        // A place that is none, in a stored specification, is the end.
        let (before, after) = self.document_at.and_then(|at| content.split_at_checked(at)).unwrap_or((content, ""));
        let mut whole = String::with_capacity(content.len() + framed.len() + 3);
        whole.push_str(before);
        // An empty line before it, where there is none.
        let breaks = before.chars().rev().take_while(|letter| *letter == '\n').take(2).count();
        if !before.is_empty() {
            whole.push_str(&"\n\n"[breaks..]);
        }
        whole.push_str(framed);
        if !after.is_empty() {
            whole.push('\n');
        }
        whole.push_str(after);
        whole
    }

    /// Whether this is all that a stored specification says, of which it was read: not where a newer version has stored what this one
    /// does not know, for reading leaves that out without a word.
    pub fn says_all_of(&self, stored: &str) -> bool {
        // What this version has stored needs no second look.
        if serde_json::to_string(self).is_ok_and(|own| own == stored) {
            return true;
        }
        match (serde_json::to_value(self), serde_json::from_str(stored)) {
            (Ok(own), Ok(stored)) => says_all(&own, &stored),
            _ => false,
        }
    }

    /// SHA-256 of what the run does, in JSON with sorted names: the same for two runs that do the same, whichever preset they came from.
    pub fn hash(&self) -> ContentHash {
        let mut json = serde_json::to_value(self).unwrap_or_default();
        if let Some(object) = json.as_object_mut() {
            object.remove("preset");
        }
        ContentHash::of(json.to_string())
    }
}

/// Whether every name that has a value in `stored` is in `own` too.
fn says_all(own: &Value, stored: &Value) -> bool {
    match (own, stored) {
        (Value::Object(own), Value::Object(stored)) => stored.iter().all(|(name, value)| match own.get(name) {
            Some(own) => says_all(own, value),
            // What is left out and what is empty are the same.
            None => match value {
                Value::Null => true,
                Value::Array(items) => items.is_empty(),
                Value::Object(members) => members.is_empty(),
                _ => false,
            },
        }),
        (Value::Array(own), Value::Array(stored)) => own.iter().zip(stored).all(|(own, stored)| says_all(own, stored)),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::run::{Material, NewRun};

    fn spec(body: serde_json::Value) -> RunSpec {
        serde_json::from_value::<NewRun>(body).unwrap().compile(&Prices::built_in()).unwrap()
    }

    #[test]
    fn the_hash_is_that_of_what_is_done() {
        let body = json!({"prompt": "hi", "models": ["sandbox/echo"], "documents": [{"name": "a", "text": "b"}]});
        let one = spec(body.clone());
        let preset = PresetRef { id: crate::ids::PresetId::generate(), version: 3 };
        let material = Material { preset: Some(preset), ..Material::default() };
        let from_preset: NewRun = serde_json::from_value(body).unwrap();
        let from_preset = from_preset.compile_with(&Prices::built_in(), &material).unwrap();
        assert_eq!((from_preset.preset, from_preset.hash()), (Some(preset), one.hash()));
        let other =
            spec(json!({"prompt": "hi", "models": ["sandbox/echo"], "documents": [{"name": "a", "text": "c"}]}));
        assert_ne!(other.hash(), one.hash());
    }

    #[test]
    fn a_specification_that_was_stored_before_there_were_documents_can_be_read() {
        let mut stored = serde_json::to_value(spec(json!({"prompt": "hi", "models": ["sandbox/echo"]}))).unwrap();
        let later = ["documents", "document_at", "stages", "conversation", "preset", "generator", "image", "research"];
        for name in later.into_iter().chain(["answers_of", "longest_answer"]) {
            assert!(stored.as_object_mut().unwrap().remove(name).is_none(), "{name} is written though there is none");
        }
        assert!(serde_json::from_value::<RunSpec>(stored).is_ok());
    }

    #[test]
    fn what_a_newer_version_has_stored_is_seen_wherever_it_stands() {
        let pairwise = json!({"judges": ["sandbox/judge"]});
        let body = json!({"prompt": "hi", "models": ["sandbox/a", "sandbox/b"], "stages": {"pairwise": pairwise}});
        let stored = serde_json::to_value(spec(body)).unwrap();
        let is_known = |stored: &Value| {
            let spec: RunSpec = serde_json::from_value(stored.clone()).unwrap();
            spec.says_all_of(&stored.to_string())
        };
        assert!(is_known(&stored));
        for place in ["", "/models/1", "/stages", "/stages/pairwise", "/stages/pairwise/judges/0"] {
            for (value, expected) in [(json!(1), false), (json!(false), false), (Value::Null, true), (json!([]), true)]
            {
                let mut newer = stored.clone();
                newer.pointer_mut(place).unwrap()["of_a_newer_version"] = value;
                assert_eq!(is_known(&newer), expected, "{newer}");
            }
        }
        // What an older version has left out is no surprise.
        let mut older = stored;
        assert!(older.as_object_mut().unwrap().remove("priority").is_some());
        assert!(is_known(&older));
    }

    proptest! {
        #[test]
        fn the_size_of_a_call_is_known_before_its_text(
            prompt in "[a-zé]{1,20}", name in ".{1,20}", text in ".{0,50}", at in prop::option::of(0_usize..30),
        ) {
            let mut spec = spec(json!({"prompt": prompt, "models": ["sandbox/echo"], "system": "s"}));
            spec.document_at = at;
            let document = DocumentSpec {
                id: crate::ids::DocumentId::generate(),
                name,
                hash: ContentHash::of(&text),
                bytes: text.len() as u64,
            };
            let call = spec.call(&spec.models[0], Some((&document, &text)));
            prop_assert_eq!(call.size(), spec.call_size(Some(&document)));
            prop_assert_eq!(spec.call(&spec.models[0], None).size(), spec.call_size(None));
        }
    }
}
