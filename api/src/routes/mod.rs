//! The HTTP API: one file per resource, with its bodies, handlers and docs. `service` lists them; each has exactly one tag.

use poem_openapi::{ContactObject, LicenseObject, OpenApi, OpenApiService, ServerObject, Tags};

mod api_keys;
mod artifacts;
mod budgets;
mod conversation_bodies;
mod conversations;
mod criteria_set_bodies;
mod criteria_sets;
mod deliveries;
mod document_bodies;
mod documents;
mod health;
mod library_names;
mod library_texts;
mod limits;
mod listing;
mod models;
mod page;
mod preset_bodies;
mod presets;
mod provider_key_bodies;
mod provider_keys;
mod providers;
mod run_actions;
mod run_events;
mod run_outcome;
mod run_query;
mod run_tasks;
mod runs;
mod template_bodies;
mod templates;
mod webhook_bodies;
mod webhook_endpoints;
mod webhook_secret;

pub use provider_key_bodies::{ProviderKeyStatus, ProviderKeyTest};

/// What the operations are about.
#[derive(Tags)]
enum Tag {
    /// Submit prompts to many models and get the answers with their cost.
    Runs,
    /// Texts that runs are about.
    Documents,
    /// Instructions with variables.
    Templates,
    /// What judges score.
    #[oai(rename = "Criteria sets")]
    CriteriaSets,
    /// Whole run specifications that runs start from.
    Presets,
    /// Turns of a person and a model, in order.
    Conversations,
    /// Your own keys for LLM providers: stored sealed, used for your runs only.
    #[oai(rename = "Provider keys")]
    ProviderKeys,
    /// Providers that keys can be stored for.
    Providers,
    /// Models with known prices.
    Models,
    /// Keys that authenticate callers to ACM2.
    #[oai(rename = "API keys")]
    ApiKeys,
    /// What runs may cost in a day or a month: of all the tenant's, or of one API key's.
    Budgets,
    /// Where signed webhooks go.
    #[oai(rename = "Webhook endpoints")]
    WebhookEndpoints,
    /// Webhooks that were sent or will be.
    Deliveries,
    /// The secret that signs webhooks to a run's own URL.
    #[oai(rename = "Webhook secret")]
    WebhookSecret,
    /// Whether the process works.
    Health,
}

const ABOUT: &str = "ACM2 sends a prompt to many LLMs with your own provider keys, and reports what each answered and \
                     exactly what it cost.\n\nAuthenticate with an API key in `X-ACM2-API-Key` (or `X-API-Key`, or \
                     `Authorization: Bearer`). Every failure is an `application/problem+json` document with a stable \
                     `code`. Money is in decimal strings of USD; an unknown cost is null, never 0.";

/// All operations.
pub fn service() -> OpenApiService<impl OpenApi + 'static, ()> {
    let all = (
        (
            runs::Runs,
            run_tasks::RunTasks,
            run_events::RunEvents,
            run_actions::RunActions,
            run_outcome::RunOutcome,
            artifacts::Artifacts,
        ),
        (models::Models, providers::Providers),
        (documents::Documents, templates::Templates, criteria_sets::CriteriaSets, presets::Presets),
        conversations::Conversations,
        (provider_keys::ProviderKeys, api_keys::ApiKeys, budgets::Budgets),
        (webhook_endpoints::WebhookEndpoints, deliveries::Deliveries, webhook_secret::WebhookSecret),
        health::HealthApi,
    );
    OpenApiService::new(all, "ACM2", env!("CARGO_PKG_VERSION"))
        .description(ABOUT)
        .license(LicenseObject::new("MIT OR Apache-2.0").url("https://spdx.org/licenses/MIT.html"))
        .contact(ContactObject::new().name("The operator of this server"))
        .server(ServerObject::new("/").description("this server"))
}
