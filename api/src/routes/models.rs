//! `GET /api/v1/models`: the price table. Models that are not in it can be used too; their cost is then unknown.

use acm2_domain::error::FieldError;
use acm2_domain::prices::Price;
use acm2_domain::providers::find_provider;
use poem_openapi::param::Query;
use poem_openapi::{Object, OpenApi};
use serde::Serialize;

use super::Tag;
use super::page::bad_parameters;
use crate::auth::{Allowed, RunsRead};
use crate::problem::Failure;
use crate::reply::Reply;

/// A model with a known price.
#[derive(Debug, Serialize, Object)]
pub(super) struct Model {
    /// What `models[]` of a run takes: `provider/name`. A search of the web, such as `tavily/search`, stands here for its price.
    pub id: String,
    /// The provider's slug.
    pub provider: String,
    /// The provider's own name of the model.
    pub name: String,
    /// USD for a million input tokens, as a decimal string.
    pub input_usd_per_million: String,
    /// USD for a million input tokens that the provider has cached.
    pub cached_input_usd_per_million: String,
    /// USD for a million output tokens, reasoning included and images not.
    pub output_usd_per_million: String,
    /// USD for a million output tokens that images take; null where the model makes none, or their price is not known.
    #[oai(skip_serializing_if_is_none)]
    pub image_output_usd_per_million: Option<String>,
    /// USD for a request, whatever its tokens; null where only tokens cost. Searches of the web have such a price.
    #[oai(skip_serializing_if_is_none)]
    pub usd_per_request: Option<String>,
    /// The most input tokens; null where unknown.
    #[oai(skip_serializing_if_is_none)]
    pub context_window: Option<u64>,
    /// The most output tokens; null where unknown.
    #[oai(skip_serializing_if_is_none)]
    pub max_output_tokens: Option<u64>,
}

impl From<&Price> for Model {
    fn from(price: &Price) -> Self {
        Self {
            id: format!("{}/{}", price.provider, price.model),
            provider: price.provider.clone(),
            name: price.model.clone(),
            input_usd_per_million: price.input.normalize().to_string(),
            cached_input_usd_per_million: price.cached_input.normalize().to_string(),
            output_usd_per_million: price.output.normalize().to_string(),
            image_output_usd_per_million: price.image_output.map(|price| price.normalize().to_string()),
            usd_per_request: (!price.request.is_zero()).then(|| price.request.normalize().to_string()),
            context_window: price.context_window,
            max_output_tokens: price.max_output,
        }
    }
}

/// All models with known prices.
#[derive(Debug, Serialize, Object)]
pub(super) struct ModelList {
    /// In the order of the price table.
    pub items: Vec<Model>,
    /// The day that the prices held.
    pub prices_date: String,
}

/// `models`.
pub(super) struct Models;

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Models")]
impl Models {
    /// List models with known prices.
    ///
    /// Needs the scope `runs:read`. A model that is not listed can be used too; its cost is then unknown.
    #[oai(path = "/models", method = "get", operation_id = "models.list")]
    #[expect(clippy::unused_async, reason = "poem-openapi takes async handlers only")]
    async fn list(
        &self,
        caller: Allowed<RunsRead>,
        /// Only those of this provider.
        provider: Query<Option<String>>,
    ) -> Result<Reply<ModelList>, Failure> {
        if provider.0.as_deref().is_some_and(|slug| find_provider(slug).is_none()) {
            let detail = "is not a provider; GET /api/v1/providers lists them";
            return Err(bad_parameters(vec![FieldError::new("#query/provider", detail)]));
        }
        let prices = &caller.app.prices;
        let wanted = |price: &&Price| provider.0.as_deref().is_none_or(|slug| price.provider == slug);
        let items = prices.rows().iter().filter(wanted).map(Model::from).collect();
        Ok(Reply::new(ModelList { items, prices_date: prices.date().to_owned() }))
    }
}
