//! The body of `POST /api/v1/runs`: what may be asked for. A preset keeps the same. Its limits, and how it becomes a `RunSpec`,
//! stand in `compile` and `asked`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Priority;
use super::council::Council;
use super::document::DocumentChoice;
use super::generator::Generator;
use super::image_choice::ImageChoice;
use super::model_choice::ModelChoice;
use super::research_choice::ResearchChoice;
use super::spec::OnInDoubt;
use super::switch::Switch;
use crate::call::Message;
use crate::ids::{ConversationId, PresetId, RunId, TemplateId};
use crate::money::Usd;
use crate::stages::NewStages;

/// One prompt (or conversation, or template), with documents or without, to be sent to many models.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object), oai(deny_unknown_fields))]
pub struct NewRun {
    /// A preset to start from: what stands beside it here goes before what the preset says. One of `prompt`, `messages` and
    /// `template_id` takes the place of the preset's; `variables`, `metadata` and `stages` are merged by name; anything else is replaced.
    /// A stage or `council` that is `null` here is left out although the preset has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", oai(skip_serializing_if_is_none))]
    pub preset_id: Option<PresetId>,
    /// Which version of the preset; the newest where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", oai(skip_serializing_if_is_none, validator(minimum(value = "1"))))]
    pub preset_version: Option<u32>,
    /// What every model is asked. Exactly one of `prompt`, `messages` and `template_id` must be there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", oai(skip_serializing_if_is_none))]
    pub prompt: Option<String>,
    /// A conversation instead of a prompt; ends with a turn of the user; at most 200 turns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", oai(skip_serializing_if_is_none))]
    pub messages: Option<Vec<Message>>,
    /// A template instead of a prompt: it is filled in once, with its own variables and those given here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", oai(skip_serializing_if_is_none))]
    pub template_id: Option<TemplateId>,
    /// Values of the template's variables, at most 100 of at most 262144 bytes; they go before those that are kept with it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[cfg_attr(feature = "openapi", oai(default))]
    pub variables: BTreeMap<String, String>,
    /// At most 100 documents: ids, or names with texts. Every model is asked about each of them, in calls of their own: the
    /// document stands after the prompt, or where the template has `{{document}}`, in a frame that its text cannot leave.
    /// Documents, models and iterations come to at most 500 calls.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "openapi", oai(default))]
    pub documents: Vec<DocumentChoice>,
    /// A conversation that `prompt` or the filled in template goes on: its newest messages, at most 199 and at most 1 MiB, come
    /// before it, and when the run has ended with an answer, the question and the answer are added to it. Needs the scopes
    /// `conversations:read` and `conversations:write`. Not for presets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", oai(skip_serializing_if_is_none))]
    pub conversation_id: Option<ConversationId>,
    /// A run of yours that has ended: its answers are taken over, and the stages named here judge them; nothing is asked of its
    /// models again. Beside it stand only `stages` or `council`, `concurrency`, `max_retries`, `timeout_seconds`,
    /// `deadline_seconds`, `on_in_doubt`, `priority`, `max_cost_usd`, `metadata`, `tags` and `webhook_url`. Needs the scope
    /// `runs:read`. Not for presets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", oai(skip_serializing_if_is_none))]
    pub answers_of: Option<RunId>,
    /// The system instruction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", oai(skip_serializing_if_is_none))]
    pub system: Option<String>,
    /// 1 to 50 models: `provider/model`, a bare name, or an object with settings. Those of the preset where absent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "openapi", oai(default))]
    pub models: Vec<ModelChoice>,
    /// What the models are asked to make: `text`, `image`, or `research` for reports that rest on pages of the web and cite them;
    /// `text` where absent. Images are asked for without `system`, sampling and limits of output, and only of providers that make
    /// them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", oai(skip_serializing_if_is_none))]
    pub generator: Option<Generator>,
    /// What the images are to be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", oai(skip_serializing_if_is_none))]
    pub image: Option<ImageChoice>,
    /// How research is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", oai(skip_serializing_if_is_none))]
    pub research: Option<ResearchChoice>,
    /// What is done with the answers: they can be scored, compared in pairs, reviewed and combined. Nothing where absent.
    #[serde(default, skip_serializing_if = "NewStages::is_absent")]
    #[cfg_attr(feature = "openapi", oai(default))]
    pub stages: NewStages,
    /// A shorthand for the stages `review` and `combine`: the models rank each other's answers, and the chair writes one answer
    /// from all answers and reviews. `null` for no council although the preset has one.
    #[serde(default, skip_serializing_if = "Switch::is_absent")]
    #[cfg_attr(feature = "openapi", oai(skip_serializing_if = "Switch::is_absent"))]
    pub council: Switch<Council>,
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
