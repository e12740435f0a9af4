//! The places that secrets are stored in: what each ciphertext is bound to, said once for whoever seals and whoever opens.

use acm2_domain::ids::{ProviderKeyId, TenantId, WebhookEndpointId};
use secrecy::SecretString;
use uuid::Uuid;

use crate::data_key::DataKey;
use crate::error::OpenError;
use crate::seal::{Binding, Sealed};

/// A place that a secret is stored in.
#[derive(Debug, Clone, Copy)]
pub enum Place<'a> {
    /// `provider_keys.sealed`; bound to the provider and the base URL, so that a changed URL needs the key again.
    ProviderKey {
        /// The row.
        id: ProviderKeyId,
        /// The provider's slug.
        provider: &'a str,
        /// The key's own base URL.
        base_url: Option<&'a str>,
    },
    /// `webhook_endpoints.secret`.
    WebhookSecret(WebhookEndpointId),
    /// `webhook_endpoints.previous_secret`.
    PreviousWebhookSecret(WebhookEndpointId),
    /// The tenant's default webhook secret, which signs what goes to a run's own URL.
    TenantWebhookSecret,
    /// The one before it, while both sign.
    PreviousTenantWebhookSecret,
}

impl DataKey {
    /// Seals a secret for its place.
    pub fn seal_at(&self, tenant: TenantId, place: Place<'_>, secret: &SecretString) -> Sealed {
        bound(tenant, place, |binding| self.seal(binding, secret))
    }

    /// Opens a secret of this place.
    pub fn open_at(&self, tenant: TenantId, place: Place<'_>, sealed: &[u8]) -> Result<SecretString, OpenError> {
        bound(tenant, place, |binding| self.open(binding, sealed))
    }
}

fn bound<T>(tenant: TenantId, place: Place<'_>, act: impl FnOnce(&Binding<'_>) -> T) -> T {
    let endpoints = "webhook_endpoints";
    let (table, column, row): (&str, &str, Uuid) = match place {
        Place::ProviderKey { id, provider, base_url } => {
            let bound_to = [provider, base_url.unwrap_or("")];
            return act(&Binding {
                tenant,
                table: "provider_keys",
                column: "sealed",
                row: id.uuid(),
                bound_to: &bound_to,
            });
        }
        Place::WebhookSecret(id) => (endpoints, "secret", id.uuid()),
        Place::PreviousWebhookSecret(id) => (endpoints, "previous_secret", id.uuid()),
        // A tenant has one such secret: the tenant's own id stands for the row.
        Place::TenantWebhookSecret => ("webhook_secret", "sealed", tenant.uuid()),
        Place::PreviousTenantWebhookSecret => ("webhook_secret", "previous_sealed", tenant.uuid()),
    };
    act(&Binding { tenant, table, column, row, bound_to: &[] })
}
