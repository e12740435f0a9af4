//! `GET /api/v1/providers`, public: which providers keys can be stored for.

use acm2_domain::providers::{BaseUrl, PROVIDERS, Provider, Wire};
use acm2_outbound::Target;
use poem::web::Data;
use poem_openapi::{Object, OpenApi};
use serde::Serialize;

use super::Tag;
use crate::app::App;
use crate::reply::Reply;

/// A provider of LLMs, or of a search of the web.
#[derive(Debug, Serialize, Object)]
#[oai(rename = "Provider")]
pub(super) struct ProviderView {
    /// What stands before the slash in `openai/gpt-5.5`.
    pub slug: String,
    /// For people.
    pub name: String,
    /// The wire format that it speaks.
    pub wire: Wire,
    /// The wire format that it is asked for images in; null where it is not asked for any.
    #[oai(skip_serializing_if_is_none)]
    pub image_wire: Option<Wire>,
    /// What its keys usually look like; a hint, never a check.
    pub key_hint: String,
    /// Where people get a key; null where there is no such page.
    #[oai(skip_serializing_if_is_none)]
    pub keys_url: Option<String>,
    /// Whether a key of it needs a `base_url`.
    pub needs_base_url: bool,
    /// Whether it searches the web, for research, instead of answering.
    pub is_search: bool,
}

impl From<&Provider> for ProviderView {
    fn from(provider: &Provider) -> Self {
        Self {
            slug: provider.slug.to_owned(),
            name: provider.name.to_owned(),
            wire: provider.wire,
            image_wire: provider.image_wire,
            key_hint: provider.key_hint.to_owned(),
            keys_url: (!provider.keys_url.is_empty()).then(|| provider.keys_url.to_owned()),
            needs_base_url: provider.base_url == BaseUrl::PerKey,
            is_search: provider.wire.is_search(),
        }
    }
}

/// All providers.
#[derive(Debug, Serialize, Object)]
pub(super) struct ProviderList {
    /// In no special order.
    pub items: Vec<ProviderView>,
}

/// `providers`.
pub(super) struct Providers;

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Providers")]
impl Providers {
    /// List providers.
    ///
    /// Public: needs no API key. Those that this server offers.
    #[oai(path = "/providers", method = "get", operation_id = "providers.list")]
    #[expect(clippy::unused_async, reason = "poem-openapi takes async handlers only")]
    async fn list(&self, app: Data<&App>) -> Reply<ProviderList> {
        let offered = |provider: &&'static Provider| {
            let target = Target { provider, base_url: None, private_hosts: Vec::new() };
            provider.base_url == BaseUrl::PerKey || app.outbound.base_url(&target).is_ok()
        };
        Reply::new(ProviderList { items: PROVIDERS.iter().filter(offered).map(ProviderView::from).collect() })
    }
}
