//! `acm2 api-keys create`.

use acm2_domain::ids::TenantId;
use acm2_runtime::config::Config;
use chrono::{DateTime, Utc};
use clap::Subcommand;

use super::admin;
use crate::admin::Command;
use crate::auth::Scope;
use crate::start_error::StartError;

#[derive(Debug, Subcommand)]
pub(super) enum ApiKeys {
    /// Make an API key and print it; it is not shown again.
    Create {
        /// Whose: `ten_…`; may be left out where there is one tenant.
        #[arg(long)]
        tenant: Option<TenantId>,
        /// For people.
        #[arg(long, default_value = "made by acm2 api-keys create")]
        name: String,
        /// What it may do, separated by commas; everything where absent.
        #[arg(long, value_delimiter = ',', default_value = "*")]
        scopes: Vec<Scope>,
        /// From when on it is refused, such as 2027-01-01T00:00:00Z.
        #[arg(long)]
        expires_at: Option<DateTime<Utc>>,
    },
}

pub(super) async fn run(config: Config, arguments: ApiKeys) -> Result<(), StartError> {
    let ApiKeys::Create { tenant, name, scopes, expires_at } = arguments;
    admin::run(config, Command::CreateApiKey { tenant, name, scopes, expires_at }, None).await
}
