//! The admin commands: done by the CLI itself, or by the process that it sends them to.

use acm2_domain::error::{Error, FieldError, Kind};
use acm2_domain::ids::{ApiKeyId, TenantId};
use acm2_store::control::TenantRow;
use chrono::{DateTime, Utc};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};

use crate::api_keys::{NewKey, mint};
use crate::app::App;
use crate::auth::Scope;
use crate::{key_rotation, tenants};

/// Something that an operator wants done.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum Command {
    /// Make a tenant.
    CreateTenant {
        /// For people.
        name: String,
    },
    /// List all tenants.
    ListTenants,
    /// Delete a tenant with all its data.
    DeleteTenant {
        /// Whom.
        tenant: TenantId,
    },
    /// Set the hosts with private addresses that a tenant's webhooks, base URLs and research may reach.
    AllowHosts {
        /// Whom.
        tenant: TenantId,
        /// `host` or `host:port`, for one use only after `webhook:`, `base-url:` or `page:`; these are added.
        add: Vec<String>,
        /// These are taken away.
        remove: Vec<String>,
    },
    /// Set how much a tenant's turn in the queue counts.
    SetWeight {
        /// Whom.
        tenant: TenantId,
        /// 1 to 100; a tenant with 2 gets twice the time of one with 1, while both have work.
        weight: u8,
    },
    /// Make an API key.
    CreateApiKey {
        /// Whose; the only tenant where absent.
        tenant: Option<TenantId>,
        /// For people.
        name: String,
        /// What it may do.
        scopes: Vec<Scope>,
        /// From when on it is refused.
        expires_at: Option<DateTime<Utc>>,
    },
    /// Wrap all data keys under the newest master key.
    RotateKeys {
        /// The id of the key that is meant. A process that serves has its own list, which may be older than the CLI's.
        newest: String,
    },
    /// Bring all tenants' schemas up to date.
    MigrateAll,
}

/// A tenant in a list.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TenantLine {
    /// Its id.
    pub id: TenantId,
    /// Its name.
    pub name: String,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// Hosts with private addresses that it may reach.
    pub private_hosts: Vec<String>,
    /// How much its turn in the queue counts.
    pub weight: u8,
}

/// What came of a command.
#[derive(Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "snake_case")]
pub enum Reply {
    /// A tenant, made or changed.
    Tenant(TenantLine),
    /// Tenants.
    Tenants {
        /// All of them, oldest first.
        tenants: Vec<TenantLine>,
    },
    /// A new API key.
    ApiKey {
        /// Its id.
        id: ApiKeyId,
        /// Whose it is.
        tenant: TenantId,
        /// Shown once.
        key: String,
    },
    /// It is done; what there is to say.
    Done {
        /// For a person.
        text: String,
    },
    /// It was not done.
    Refused {
        /// Why, for a person.
        text: String,
    },
}

/// How far a long command is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Tenants done.
    pub done: u64,
    /// All tenants.
    pub total: u64,
}

/// Does it.
pub async fn execute(app: &App, command: Command, progress: &mut (dyn FnMut(Progress) + Send)) -> Reply {
    match perform(app, command, progress).await {
        Ok(reply) => reply,
        Err(error) => {
            let places: Vec<String> = error.fields.iter().map(|field| field.detail.clone()).collect();
            let text = if places.is_empty() { error.detail } else { places.join("; ") };
            Reply::Refused { text }
        }
    }
}

const PARALLEL_MIGRATIONS: usize = 4;

async fn perform(app: &App, command: Command, progress: &mut (dyn FnMut(Progress) + Send)) -> Result<Reply, Error> {
    match command {
        Command::CreateTenant { name } => {
            check_name(&name)?;
            Ok(Reply::Tenant(line(tenants::create(app, &name).await?)))
        }
        Command::ListTenants => Ok(Reply::Tenants { tenants: list(app).await? }),
        Command::DeleteTenant { tenant } => {
            app.store.tenants().delete(tenant).await?;
            Ok(Reply::Done { text: format!("{tenant} is gone, with all its data") })
        }
        Command::AllowHosts { tenant, add, remove } => {
            let mut row = app.store.tenants().get(tenant).await?;
            row.private_hosts.retain(|host| !remove.contains(host));
            for host in add {
                let host = host.to_ascii_lowercase();
                check_host(&host)?;
                if !row.private_hosts.contains(&host) {
                    row.private_hosts.push(host);
                }
            }
            app.store.tenants().set_private_hosts(tenant, &row.private_hosts).await?;
            Ok(Reply::Tenant(line(row)))
        }
        Command::SetWeight { tenant, weight } => {
            if !(1..=100).contains(&weight) {
                return Err(Error::invalid(vec![FieldError::new("/weight", "a weight is from 1 to 100")]));
            }
            app.store.tenants().set_weight(tenant, weight).await?;
            Ok(Reply::Tenant(line(app.store.tenants().get(tenant).await?)))
        }
        Command::CreateApiKey { tenant, name, scopes, expires_at } => {
            check_name(&name)?;
            let tenant = match tenant {
                Some(tenant) => app.store.tenants().get(tenant).await?.id,
                None => the_only_tenant(app).await?,
            };
            let (row, token) = mint(app, tenant, NewKey { name, scopes, expires_at }).await?;
            Ok(Reply::ApiKey { id: row.id, tenant, key: token.expose_secret().to_owned() })
        }
        Command::RotateKeys { newest: meant } => {
            key_rotation::refuse_another(app, &meant)?;
            let mut told = |done, total| progress(Progress { done, total });
            let rotation = key_rotation::rotate(app, &mut told).await?;
            let newest = app.keyring.master_keys().newest_id();
            let text = format!(
                "{} data keys are now under master key `{newest}`, {} were before, {} could not be opened",
                rotation.rewrapped, rotation.unchanged, rotation.failed
            );
            Ok(if rotation.failed == 0 { Reply::Done { text } } else { Reply::Refused { text } })
        }
        Command::MigrateAll => {
            let told = |migrated: &acm2_store::Migrated| {
                progress(Progress { done: migrated.done, total: migrated.total });
            };
            let report = app.store.migrate_all(PARALLEL_MIGRATIONS, told).await?;
            let text = format!("{} tenants migrated, {} were up to date", report.changed, report.unchanged);
            match report.failed.first() {
                None => Ok(Reply::Done { text }),
                Some((tenant, error)) => {
                    let failed = report.failed.len();
                    Ok(Reply::Refused { text: format!("{text}, {failed} failed; the first is {tenant}: {error}") })
                }
            }
        }
    }
}

async fn list(app: &App) -> Result<Vec<TenantLine>, Error> {
    let mut lines: Vec<TenantLine> = Vec::new();
    loop {
        let page = app.store.tenants().list(lines.last().map(|line| line.id), 500).await?;
        if page.is_empty() {
            return Ok(lines);
        }
        lines.extend(page.into_iter().map(line));
    }
}

async fn the_only_tenant(app: &App) -> Result<TenantId, Error> {
    let some = app.store.tenants().list(None, 2).await?;
    match &some[..] {
        [one] => Ok(one.id),
        [] => Err(Error::new(Kind::NotFound, "not_found", "there is no tenant yet: acm2 tenants create <name>")),
        _ => Err(Error::new(Kind::Invalid, "validation_failed", "there are several tenants: say which with --tenant")),
    }
}

fn line(row: TenantRow) -> TenantLine {
    let TenantRow { id, name, created_at, private_hosts, weight, .. } = row;
    TenantLine { id, name, created_at, private_hosts, weight }
}

fn check_name(name: &str) -> Result<(), Error> {
    if name.trim().is_empty() || name.chars().count() > 100 || name.chars().any(char::is_control) {
        let detail = "a name has 1 to 100 characters, none of them control characters";
        return Err(Error::invalid(vec![FieldError::new("/name", detail)]));
    }
    Ok(())
}

fn check_host(host: &str) -> Result<(), Error> {
    if acm2_outbound::guard::is_host_entry(host) {
        return Ok(());
    }
    let detail = "a host is a name or an address, with a port or without: localhost, 10.0.0.5:8000, [::1]:8000; `webhook:`, \
                  `base-url:` or `page:` before it allows that use only";
    Err(Error::invalid(vec![FieldError::new("/hosts", detail)]))
}
