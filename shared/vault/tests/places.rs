//! A secret sealed for one place opens at no other, for the same tenant and with the same row id.

use acm2_domain::ids::{ProviderKeyId, TenantId, WebhookEndpointId};
use acm2_vault::data_key::DataKey;
use acm2_vault::error::OpenError;
use acm2_vault::places::Place;
use secrecy::{ExposeSecret, SecretString};

#[test]
fn no_place_opens_what_another_holds() {
    let key = DataKey::generate();
    let tenant = TenantId::generate();
    let other_tenant = TenantId::generate();
    let id = ProviderKeyId::generate();
    // The same UUID everywhere, so that only the kind of place tells them apart.
    let endpoint = WebhookEndpointId::from(id.uuid());
    let url = "https://api.openai.com/v1";
    let places = [
        Place::ProviderKey { id, provider: "openai", base_url: None },
        Place::ProviderKey { id, provider: "openai", base_url: Some(url) },
        Place::ProviderKey { id, provider: "openai", base_url: Some("https://evil.example/v1") },
        Place::ProviderKey { id, provider: "openrouter", base_url: Some(url) },
        Place::ProviderKey { id: ProviderKeyId::generate(), provider: "openai", base_url: Some(url) },
        Place::WebhookSecret(endpoint),
        Place::PreviousWebhookSecret(endpoint),
        Place::WebhookSecret(WebhookEndpointId::generate()),
        Place::TenantWebhookSecret,
        Place::PreviousTenantWebhookSecret,
    ];
    for (index, home) in places.iter().enumerate() {
        let sealed = key.seal_at(tenant, *home, &SecretString::from("kept"));
        for (other, place) in places.iter().enumerate() {
            let opened = key.open_at(tenant, *place, sealed.as_bytes()).map(|secret| secret.expose_secret().to_owned());
            let expected = if index == other { Ok("kept".to_owned()) } else { Err(OpenError::DoesNotOpen) };
            assert_eq!(opened, expected, "sealed for {home:?}, opened at {place:?}");
        }
        assert!(key.open_at(other_tenant, *home, sealed.as_bytes()).is_err());
    }
}
