//! `acm2 tenants create|list|delete|allow-host|set-weight`.

use acm2_domain::ids::TenantId;
use acm2_runtime::config::Config;
use clap::Subcommand;

use super::admin;
use crate::admin::Command;
use crate::start_error::StartError;

#[derive(Debug, Subcommand)]
pub(super) enum Tenants {
    /// Make a tenant; prints its id first.
    Create {
        /// For people.
        name: String,
    },
    /// List tenants: id, when it was made, name, weight, private hosts that it may reach.
    List,
    /// Delete a tenant with all its data, for good.
    Delete {
        /// `ten_…`
        tenant: TenantId,
        /// Say that you mean it.
        #[arg(long)]
        yes: bool,
    },
    /// Allow a tenant's webhooks, base URLs and research to reach hosts with private addresses, by http too.
    ///
    /// What such a host answers to a call is shown to the tenant: a host that is meant for webhooks alone is best listed as
    /// `webhook:host:port`. Pages of it are read by research only where it is listed as `page:host:port`.
    AllowHost {
        /// `ten_…`
        tenant: TenantId,
        /// `host` or `host:port`; for one use only `webhook:host:port`, `base-url:host:port` or `page:host:port`
        hosts: Vec<String>,
        /// Take the hosts away instead.
        #[arg(long)]
        remove: bool,
    },
    /// Set how much a tenant's turn in the queue counts beside those of the others; 1 at first.
    ///
    /// While both have runs to be done, a tenant with weight 3 gets three times the time of one with weight 1. It holds from the
    /// tenant's next run on.
    SetWeight {
        /// `ten_…`
        tenant: TenantId,
        /// 1 to 100
        #[arg(value_parser = clap::value_parser!(u8).range(1..=100))]
        weight: u8,
    },
}

pub(super) async fn run(config: Config, arguments: Tenants) -> Result<(), StartError> {
    let command = match arguments {
        Tenants::Create { name } => Command::CreateTenant { name },
        Tenants::List => Command::ListTenants,
        Tenants::Delete { yes: false, .. } => {
            return Err(StartError::misused("this destroys the tenant's data for good; add --yes if you mean it"));
        }
        Tenants::Delete { tenant, yes: true } => Command::DeleteTenant { tenant },
        Tenants::AllowHost { tenant, hosts, remove } => {
            let (add, remove) = if remove { (Vec::new(), hosts) } else { (hosts, Vec::new()) };
            Command::AllowHosts { tenant, add, remove }
        }
        Tenants::SetWeight { tenant, weight } => Command::SetWeight { tenant, weight },
    };
    admin::run(config, command, None).await
}
