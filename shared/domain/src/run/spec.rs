//! The compiled specification of a run: every default filled in, every model resolved. Stored with the run; never changes.

use serde::{Deserialize, Serialize};

use super::Priority;
use crate::call::{Call, Message, Sampling};
use crate::error::{Error, FieldError, Kind};
use crate::ids::ProviderKeyId;
use crate::money::Usd;
use crate::prices::Prices;

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
    /// Who is asked.
    pub models: Vec<ModelSpec>,
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
}

impl RunSpec {
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
        let unpriced = |(index, model): (usize, &ModelSpec)| {
            let detail = format!("has no price under this exact name; {way_out}");
            prices
                .find_exact(&model.provider, &model.model)
                .is_none()
                .then(|| FieldError::new(format!("/models/{index}"), detail))
        };
        let fields: Vec<FieldError> = self.models.iter().enumerate().filter_map(unpriced).collect();
        if fields.is_empty() {
            return Ok(());
        }
        let detail = format!("{who} can only use models whose price is known under their exact name; see errors");
        Err(Error { fields, ..Error::new(Kind::Invalid, "price_unknown", detail) })
    }

    /// The call that asks one of the models.
    pub fn call(&self, model: &ModelSpec) -> Call {
        Call {
            provider: model.provider.clone(),
            model: model.model.clone(),
            provider_key: model.provider_key_id,
            system: self.system.clone(),
            messages: self.messages.clone(),
            sampling: model.sampling,
            max_output_tokens: model.max_output_tokens,
            timeout: std::time::Duration::from_secs(u64::from(self.timeout_seconds)),
            max_retries: self.max_retries,
            expects: None,
        }
    }
}
