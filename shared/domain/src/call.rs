//! One LLM call in neutral terms, what comes back, and what can go wrong. The Journal passes these to `outbound`, whose wire
//! formats translate them; nothing here knows a wire.

use std::time::Duration;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::artifact::Artifact;
use crate::content_hash::ContentHash;
use crate::ids::ProviderKeyId;
use crate::image::ImageSpec;
use crate::judging::{Defect, Expectation};
use crate::money::Usd;
pub use crate::rates::{RateHints, RateWindow};

/// Who speaks in a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Enum), oai(rename_all = "snake_case"))]
pub enum Role {
    /// The person.
    User,
    /// The model.
    Assistant,
}

/// One turn of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object), oai(deny_unknown_fields))]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said.
    pub content: String,
}

/// Sampling parameters; sent only where the caller set them, because several current models refuse them.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Sampling {
    /// 0 to 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f64>,
}

/// One LLM call, before a wire format has seen it.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// The slug of a row of the provider list.
    pub provider: String,
    /// The provider's own name of the model.
    pub model: String,
    /// The provider key that the run names; the tenant's default key where `None`.
    pub provider_key: Option<ProviderKeyId>,
    /// The system instruction.
    pub system: Option<String>,
    /// The conversation; ends with the person's turn.
    pub messages: Vec<Message>,
    /// Sampling parameters.
    pub sampling: Sampling,
    /// The most tokens that the answer may have, reasoning included.
    pub max_output_tokens: Option<u32>,
    /// How long one attempt may take.
    pub timeout: Duration,
    /// How often a failed attempt may be followed by another.
    pub max_retries: u32,
    /// What the answer must be; anything where `None`.
    pub expects: Option<Expectation>,
    /// Where what is asked follows from earlier answers: what tells this question from any other that the same task may be asked
    /// once these are others. An answer to another question is none.
    pub question: Option<ContentHash>,
    /// The image that is wanted instead of a text.
    pub image: Option<ImageSpec>,
}

/// How much a call says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallSize {
    /// Bytes of the system instruction and of all messages.
    pub bytes: u64,
    /// How many messages.
    pub messages: u64,
}

impl CallSize {
    /// The size of these texts.
    pub fn of(system: Option<&str>, messages: &[Message]) -> Self {
        let bytes = system.map_or(0, str::len) + messages.iter().map(|message| message.content.len()).sum::<usize>();
        Self { bytes: bytes as u64, messages: messages.len() as u64 }
    }

    /// A number of input tokens that it cannot exceed: every tokenizer in use makes at most one token of a byte.
    pub const fn input_tokens_at_most(self) -> u64 {
        self.bytes + 16 * (self.messages + 1)
    }

    /// A fair guess at the input tokens: four bytes a token.
    pub const fn input_tokens_about(self) -> u64 {
        self.bytes / 4 + 4 * (self.messages + 1)
    }
}

impl Call {
    /// How much it says, with the schema of the answer: providers that are told it count it as input.
    pub fn size(&self) -> CallSize {
        let schema = self.expects.as_ref().filter(|expected| expected.is_json());
        let schema = schema.map_or(0, |expected| expected.schema().to_string().len() as u64);
        let said = CallSize::of(self.system.as_deref(), &self.messages);
        CallSize { bytes: said.bytes + schema, ..said }
    }

    /// What is wrong with an answer, if it cannot be used: it is not what was expected, or nothing was said. An image that a filter
    /// has taken is an answer without one.
    pub fn defect_of(&self, text: &str, finish_reason: FinishReason) -> Option<Defect> {
        match &self.expects {
            Some(expected) => expected.check(text).err(),
            None if self.image.is_some() || !text.trim().is_empty() => None,
            None => {
                let why = match finish_reason {
                    FinishReason::ContentFilter => "the provider's filter left nothing of it",
                    FinishReason::Refusal => "the model declined without a word",
                    FinishReason::Length => "its output tokens were spent before it said anything",
                    FinishReason::Stop | FinishReason::Other => "the model said nothing",
                };
                Some(Defect(why.to_owned()))
            }
        }
    }

    /// A number of input tokens that the prompt cannot exceed.
    pub fn input_tokens_at_most(&self) -> u64 {
        self.size().input_tokens_at_most()
    }
}

/// Why a model stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Enum), oai(rename_all = "snake_case"))]
pub enum FinishReason {
    /// It had said everything.
    Stop,
    /// It met the limit of output tokens.
    Length,
    /// The provider's filter cut it off or blocked the prompt.
    ContentFilter,
    /// The model declined.
    Refusal,
    /// Something else, that the provider has added since.
    Other,
}

/// Tokens of a call. The parts are contained in the totals: `cached_input` and `cache_write` in `input`, `reasoning` and `image` in `output`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object))]
pub struct Usage {
    /// All tokens that went in.
    pub input_tokens: u64,
    /// Of these, read from the provider's cache.
    #[serde(default)]
    pub cached_input_tokens: u64,
    /// Of these, written to the provider's cache.
    #[serde(default)]
    pub cache_write_tokens: u64,
    /// All tokens that came out.
    pub output_tokens: u64,
    /// Of these, spent on reasoning that is not shown.
    #[serde(default)]
    pub reasoning_tokens: u64,
    /// Of these, spent on images; they have a price of their own.
    #[serde(default)]
    pub image_tokens: u64,
}

impl Usage {
    /// Sums two usages.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            input_tokens: self.input_tokens + other.input_tokens,
            cached_input_tokens: self.cached_input_tokens + other.cached_input_tokens,
            cache_write_tokens: self.cache_write_tokens + other.cache_write_tokens,
            output_tokens: self.output_tokens + other.output_tokens,
            reasoning_tokens: self.reasoning_tokens + other.reasoning_tokens,
            image_tokens: self.image_tokens + other.image_tokens,
        }
    }
}

/// How a cost is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Enum), oai(rename_all = "snake_case"))]
pub enum CostSource {
    /// The provider said it.
    Reported,
    /// Usage times the price table.
    Estimated,
    /// Neither usage with a price nor a report: the cost is null, never 0.
    Unknown,
}

/// What an answered call cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// The amount; `None` exactly where the source is `Unknown`.
    pub amount: Option<Usd>,
    /// How it is known.
    pub source: CostSource,
}

impl Cost {
    /// Neither usage with a price nor a report.
    pub const UNKNOWN: Self = Self { amount: None, source: CostSource::Unknown };
}

/// What a provider answered.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The text; empty where a filter blocked everything (`Call::defect_of`). With images, what the provider said to them, if anything.
    pub text: String,
    /// The files that it holds.
    pub artifacts: Vec<Artifact>,
    /// Why the model stopped.
    pub finish_reason: FinishReason,
    /// Tokens, where the provider told them.
    pub usage: Option<Usage>,
    /// The cost that the provider reported itself, in USD.
    pub reported_cost: Option<Decimal>,
    /// The model that the provider says answered.
    pub provider_model: Option<String>,
    /// The provider's id of the request, for its support.
    pub provider_request_id: Option<String>,
    /// From sending to the last byte.
    pub latency: Duration,
    /// What the provider told of its rate limits.
    pub rates: Option<Box<RateHints>>,
}

/// What kind of failure a call met. Decides whether another attempt makes sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Enum), oai(rename_all = "snake_case"))]
pub enum ErrorClass {
    /// The tenant has no active key for the provider.
    ProviderKeyMissing,
    /// The stored key does not open with the master keys that this process holds.
    ProviderKeyUndecryptable,
    /// The provider refuses the key.
    ProviderAuth,
    /// The account behind the key has no credit or met a spending limit.
    ProviderQuota,
    /// Too many requests for now.
    ProviderRateLimited,
    /// The provider is overloaded or has an internal error.
    ProviderOverloaded,
    /// The provider refuses the request as it is.
    ProviderRequest,
    /// The provider does not know the model.
    ProviderModelNotFound,
    /// The provider did not answer in time.
    ProviderTimeout,
    /// The connection failed or was cut.
    ProviderNetwork,
    /// The answer could not be understood.
    ProviderDecode,
    /// The answer came and is paid for, but cannot be used: it is not what was asked for, the second time too, or the provider's
    /// filter left nothing of it.
    UnusableAnswer,
    /// What the task is about has failed or was left out.
    InputMissing,
    /// The run's ceiling leaves no room for the call.
    CostCeiling,
    /// The run has a ceiling and the model no price.
    PriceUnknown,
    /// The run's deadline passed.
    DeadlineExceeded,
    /// The run was cancelled.
    Cancelled,
    /// The run was given up, because workers died over it again and again.
    Poisoned,
    /// A command left the task out.
    Skipped,
    /// It cannot be known whether an attempt reached the provider, and the run wants no other one then.
    InDoubt,
}

impl ErrorClass {
    /// Whether another attempt may succeed.
    pub const fn is_transient(self) -> bool {
        matches!(
            self,
            Self::ProviderRateLimited
                | Self::ProviderOverloaded
                | Self::ProviderTimeout
                | Self::ProviderNetwork
                | Self::ProviderDecode
        )
    }

    /// Whether the provider may have done the work, and charged for it, all the same.
    pub const fn may_have_cost(self) -> bool {
        matches!(self, Self::ProviderTimeout | Self::ProviderNetwork | Self::ProviderDecode)
    }
}

/// A failed attempt, as `outbound` reports it.
#[derive(Debug, Clone, PartialEq)]
pub struct CallError {
    /// What kind of failure.
    pub class: ErrorClass,
    /// For the tenant: the provider's message where it gave one, at most 2 kB, the key scrubbed out.
    pub message: String,
    /// The HTTP status, where there was one.
    pub http_status: Option<u16>,
    /// The provider's own code of the error.
    pub provider_code: Option<String>,
    /// The provider's id of the request, for its support.
    pub provider_request_id: Option<String>,
    /// The delay that the provider asks for.
    pub retry_after: Option<Duration>,
    /// Whether the provider itself says that another attempt is right (`x-should-retry`).
    pub should_retry: Option<bool>,
    /// Whether any byte of the request may have reached the provider.
    pub sent: bool,
    /// What the provider told of its rate limits.
    pub rates: Option<Box<RateHints>>,
}

impl CallError {
    /// Whether the provider may have done the work all the same, so that what it cost is not known.
    pub const fn in_doubt(&self) -> bool {
        self.sent && self.class.may_have_cost()
    }

    /// A failure before anything was sent.
    pub fn unsent(class: ErrorClass, message: impl Into<String>) -> Self {
        Self {
            class,
            message: message.into(),
            http_status: None,
            provider_code: None,
            provider_request_id: None,
            retry_after: None,
            should_retry: None,
            sent: false,
            rates: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_was_taken_away_is_no_answer() {
        let call = Call {
            provider: "sandbox".to_owned(),
            model: "echo".to_owned(),
            provider_key: None,
            system: None,
            messages: Vec::new(),
            sampling: Sampling::default(),
            max_output_tokens: None,
            timeout: Duration::ZERO,
            max_retries: 0,
            expects: None,
            question: None,
            image: None,
        };
        let has_defect = |text: &str, reason| call.defect_of(text, reason).is_some();
        let reasons = [FinishReason::ContentFilter, FinishReason::Refusal, FinishReason::Stop, FinishReason::Length];
        for reason in reasons.into_iter().chain([FinishReason::Other]) {
            assert!(has_defect("", reason) && has_defect(" \n", reason) && !has_defect("I must not.", reason));
        }
        // What a judge must say is looked at whatever the reason.
        let judge = Call { expects: Some(Expectation::Preference), ..call };
        assert!(judge.defect_of("", FinishReason::Stop).is_some());
        assert_eq!(judge.defect_of(r#"{"winner": "A"}"#, FinishReason::ContentFilter), None);
    }
}
