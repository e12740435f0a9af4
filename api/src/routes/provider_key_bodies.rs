//! The bodies and answers of `provider_keys`.

use acm2_domain::error::FieldError;
use acm2_domain::ids::ProviderKeyId;
use acm2_domain::providers::{BaseUrl, PROVIDERS, find_provider};
use chrono::{DateTime, Utc};
use poem_openapi::{Enum, Object};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use url::Url;

use super::listing::list_of;
use crate::app::App;
use crate::body::Check;
use crate::secret_text::SecretText;

/// A provider key that is to be stored.
#[derive(Debug, Deserialize, Object)]
#[serde(deny_unknown_fields)]
pub(super) struct NewProviderKey {
    /// The provider's slug, such as `openai`.
    pub provider: String,
    /// The key itself; stored sealed and never shown again.
    pub key: SecretText,
    /// To tell several keys of a provider apart, at most 100 characters.
    #[oai(skip_serializing_if_is_none)]
    pub label: Option<String>,
    /// Where the provider is; only for `openai-compatible`, and required there.
    #[oai(skip_serializing_if_is_none)]
    pub base_url: Option<String>,
    /// Whether runs use it where they name no key; the first key of a provider always is the default.
    #[oai(skip_serializing_if_is_none)]
    pub is_default: Option<bool>,
}

/// The key of a provider that is to be stored or replaced.
#[derive(Debug, Deserialize, Object)]
#[serde(deny_unknown_fields)]
pub(super) struct ProviderKeyUpsert {
    /// The key itself; stored sealed and never shown again.
    pub key: SecretText,
    /// To tell several keys of a provider apart, at most 100 characters.
    #[oai(skip_serializing_if_is_none)]
    pub label: Option<String>,
    /// Where the provider is; only for `openai-compatible`, and required there.
    #[oai(skip_serializing_if_is_none)]
    pub base_url: Option<String>,
}

/// A change of a provider key; what is left out stays.
#[derive(Debug, Deserialize, Object)]
#[serde(deny_unknown_fields)]
pub(super) struct ProviderKeyPatch {
    /// To tell several keys of a provider apart, at most 100 characters.
    #[oai(skip_serializing_if_is_none)]
    pub label: Option<String>,
    /// Whether runs may use it.
    #[oai(skip_serializing_if_is_none)]
    pub is_active: Option<bool>,
    /// `true` makes it the default of its provider; make another one the default to end that.
    #[oai(skip_serializing_if_is_none)]
    pub is_default: Option<bool>,
    /// Another base URL; needs `key` too, since a key is bound to the URL that it was given for.
    #[oai(skip_serializing_if_is_none)]
    pub base_url: Option<String>,
    /// The key for the new base URL, or a new key.
    #[oai(skip_serializing_if_is_none)]
    pub key: Option<SecretText>,
}

impl Check for NewProviderKey {
    fn check(&self, _app: &App) -> Vec<FieldError> {
        let mut errors = Vec::new();
        check_key(&mut errors, &self.key);
        check_label(&mut errors, self.label.as_deref());
        if let Some(provider) = find_provider(&self.provider) {
            check_base_url(&mut errors, provider.base_url == BaseUrl::PerKey, self.base_url.as_deref());
        } else {
            let known: Vec<&str> = PROVIDERS.iter().map(|provider| provider.slug).collect();
            errors.push(FieldError::new("/provider", format!("must be one of {}", known.join(", "))));
        }
        errors
    }
}

impl Check for ProviderKeyUpsert {
    fn check(&self, _app: &App) -> Vec<FieldError> {
        let mut errors = Vec::new();
        check_key(&mut errors, &self.key);
        check_label(&mut errors, self.label.as_deref());
        if let Some(base_url) = self.base_url.as_deref() {
            check_base_url(&mut errors, true, Some(base_url));
        }
        errors
    }
}

impl Check for ProviderKeyPatch {
    fn check(&self, _app: &App) -> Vec<FieldError> {
        let mut errors = Vec::new();
        if let Some(key) = &self.key {
            check_key(&mut errors, key);
        }
        check_label(&mut errors, self.label.as_deref());
        if let Some(base_url) = self.base_url.as_deref() {
            check_base_url(&mut errors, true, Some(base_url));
            if self.key.is_none() {
                errors.push(FieldError::new("/key", "is missing: another base URL needs the key again"));
            }
        }
        if self.is_default == Some(false) {
            errors.push(FieldError::new("/is_default", "must be true; make another key the default instead"));
        }
        if self.is_default == Some(true) && self.is_active == Some(false) {
            errors
                .push(FieldError::new("/is_active", "must not be false with is_default true: a default key is active"));
        }
        errors
    }
}

fn check_key(errors: &mut Vec<FieldError>, key: &SecretText) {
    let text = key.0.expose_secret();
    // It travels in a header: RFC 9110 §5.5.
    if text.is_empty() || text.len() > 4_096 || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        errors.push(FieldError::new("/key", "must have 1 to 4096 visible ASCII characters, without spaces"));
    }
}

fn check_label(errors: &mut Vec<FieldError>, label: Option<&str>) {
    if label.is_some_and(|label| label.chars().count() > 100 || label.chars().any(char::is_control)) {
        errors.push(FieldError::new("/label", "must have at most 100 characters, none of them control characters"));
    }
}

/// What can be told without a look-up; the operator's allow-list and the guard decide when it is stored and used.
pub(super) fn check_base_url(errors: &mut Vec<FieldError>, takes_one: bool, base_url: Option<&str>) {
    let mut wrong = |detail: &str| errors.push(FieldError::new("/base_url", detail));
    let Some(text) = base_url else {
        if takes_one {
            wrong("is missing: this provider is wherever you say");
        }
        return;
    };
    if !takes_one {
        return wrong("must be left out: this provider has its own");
    }
    match Url::parse(text) {
        Ok(url) if text.len() <= 500 && matches!(url.scheme(), "https" | "http") && url.host_str().is_some() => {
            if !url.username().is_empty()
                || url.password().is_some()
                || url.query().is_some()
                || url.fragment().is_some()
            {
                wrong("must not carry a user, a password, a query or a fragment");
            }
        }
        _ => wrong("must be an absolute URL of at most 500 characters, such as https://llm.example.org/v1"),
    }
}

/// What is known of whether a provider accepts a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Enum)]
#[serde(rename_all = "snake_case")]
#[oai(rename_all = "snake_case")]
pub enum ProviderKeyStatus {
    /// Nobody has tried.
    Untested,
    /// The provider accepted it.
    Valid,
    /// The provider refused it.
    Invalid,
    /// The provider knows it and gives it no quota.
    Quota,
}

/// A provider key, masked.
#[derive(Debug, Serialize, Object)]
pub(super) struct ProviderKey {
    /// Its id.
    pub id: ProviderKeyId,
    /// The provider's slug.
    pub provider: String,
    /// The owner's name for it.
    pub label: String,
    /// How it begins; empty where it is short.
    pub prefix: String,
    /// How it ends; empty where it is short.
    pub last4: String,
    /// Its own base URL, where the provider is wherever the key says.
    #[oai(skip_serializing_if_is_none)]
    pub base_url: Option<String>,
    /// Whether runs use it where they name no key.
    pub is_default: bool,
    /// Whether runs may use it.
    pub is_active: bool,
    /// What the last test said.
    pub status: ProviderKeyStatus,
    /// Why, in the provider's words.
    #[oai(skip_serializing_if_is_none)]
    pub status_detail: Option<String>,
    /// When it was tested.
    #[oai(skip_serializing_if_is_none)]
    pub tested_at: Option<DateTime<Utc>>,
    /// When a run last used it.
    #[oai(skip_serializing_if_is_none)]
    pub last_used_at: Option<DateTime<Utc>>,
    /// Whether this process can open it; if not, the operator's master keys are not the ones it was stored under.
    pub decryptable: bool,
    /// When it was stored.
    pub created_at: DateTime<Utc>,
    /// When it was changed.
    pub updated_at: DateTime<Utc>,
}

list_of! {
    /// A page of provider keys, newest first.
    ProviderKeyList of ProviderKey
}

/// What a test of a provider key said; the key's `status` is set by it.
#[derive(Debug, Serialize, Object)]
pub struct ProviderKeyTest {
    /// `valid`, `invalid`, `quota`, or `untested` where the provider could not be asked.
    pub status: ProviderKeyStatus,
    /// Why, for a person.
    #[oai(skip_serializing_if_is_none)]
    pub detail: Option<String>,
    /// How long the provider took.
    pub latency_ms: u64,
}
