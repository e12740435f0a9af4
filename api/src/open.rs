//! Opens the parts of a process from its configuration, in one place. Called by every command that touches data.

use std::collections::BTreeMap;
use std::sync::Arc;

use acm2_broker::{BrokerOptions, BrokerUrl};
use acm2_domain::clock::{Clock, SyncedClock, SystemClock};
use acm2_domain::ids::WorkerId;
use acm2_domain::prices::Prices;
use acm2_outbound::{Outbound, OutboundOptions};
use acm2_runtime::config::{Config, DatabaseUrl};
use acm2_runtime::embedded_secret;
use acm2_runtime::shutdown::Shutdown;
use acm2_store::{Database, Options, Store};
use acm2_vault::error::OpenError;
use acm2_vault::keyring::Keyring;
use acm2_vault::master_keys::MasterKeys;
use acm2_vault::verify_cache::VerifyCache;
use url::Url;

use crate::app::{App, Parts, wrapped};
use crate::middleware::Metrics;
use crate::plain_runs::PlainRuns;
use crate::server::most_waiting;
use crate::start_error::StartError;
use crate::timekeeping;
use crate::timelines::Timelines;
use crate::waiters::Waiters;

/// API keys whose right check is remembered.
const VERIFIED_KEYS: u64 = 20_000;
/// The id of the master key that the embedded default makes for itself.
const OWN_MASTER_KEY: &str = "local";
/// Tenants whose data keys are tried at start.
const TRIED_TENANTS: u64 = 20;

/// Opens everything and brings the control store up to date. `base_urls` are added to the operator's: the embedded sandbox.
///
/// Must be called inside a tokio runtime.
pub async fn open(
    config: Config,
    base_urls: BTreeMap<String, Url>,
    shutdown: Shutdown,
    serving: bool,
) -> Result<App, StartError> {
    // Before the store, whose folder must not be there without its key.
    let keyring = Keyring::new(master_keys(&config)?);
    let store = open_store(&config, serving).await?;
    store.migrate_control().await?;
    let timing = config.timing();
    let clock = Arc::new(SyncedClock::starting_at(SystemClock.now() + config.clock_offset()));
    timekeeping::set(&clock, &store).await?;
    let broker_url: BrokerUrl = config.broker.expose().parse()?;
    let mut broker_options = BrokerOptions::new(timing.lease);
    broker_options.tenant_share_percent = config.queue.tenant_share_percent;
    let broker =
        acm2_broker::open(&broker_url, broker_options).map_err(|error| StartError::misused(error.to_string()))?;
    let outbound =
        Outbound::new(outbound_options(&config, base_urls)).map_err(|error| StartError::failed(error.to_string()))?;
    let metrics = Metrics::new().map_err(|error| StartError::failed(format!("no metrics: {error}")))?;
    Ok(App::new(Parts {
        store,
        keyring: Arc::new(keyring),
        broker,
        outbound: Arc::new(outbound),
        prices: Arc::new(prices(&config)?),
        clock,
        timing,
        metrics: Arc::new(metrics),
        verified: VerifyCache::new(VERIFIED_KEYS),
        me: WorkerId::generate(),
        plain_runs: PlainRuns::default(),
        waiters: Waiters::new(most_waiting(&config)),
        streams: Waiters::new(most_waiting(&config)),
        timelines: Timelines::default(),
        shutdown,
        config: Arc::new(config),
    }))
}

/// Opens the store as configured; nothing is migrated.
///
/// `serving`: the process stays, so its connections are opened beforehand.
pub async fn open_store(config: &Config, serving: bool) -> Result<Store, StartError> {
    let database = match &config.database.url {
        DatabaseUrl::Sqlite => Database::Sqlite { dir: config.data_dir.clone() },
        DatabaseUrl::Postgres(url) => Database::Postgres {
            url: url.secret().clone(),
            migrate_url: config.database.migrate_url.as_ref().map(|url| url.secret().clone()),
        },
    };
    let options = Options {
        tenant_connections: config.database.tenant_connections,
        control_connections: config.database.control_connections,
        max_open_files: config.database.open_files,
        keep_open: serving,
        ..Options::new(database)
    };
    Ok(Store::open(options).await?)
}

/// The operator's master keys, or the one that the embedded default keeps in its folder.
pub fn master_keys(config: &Config) -> Result<MasterKeys, StartError> {
    let text = if let Some(text) = &config.master_keys {
        text.clone()
    } else {
        let (_, fresh) = MasterKeys::generate(OWN_MASTER_KEY).map_err(|error| StartError::failed(error.to_string()))?;
        embedded_secret::load_or_create(&config.data_dir, || fresh)
            .map_err(|error| StartError::failed(error.to_string()))?
    };
    MasterKeys::parse(&text).map_err(|error| StartError::misused(format!("ACM2_MASTER_KEYS: {error}")))
}

/// Whether the master keys are those under which the data was stored: tried on the data keys of some tenants. Where others
/// open, one that does not is damaged by itself: it is told, and the other tenants are served.
pub async fn check_master_keys(app: &App) -> Result<(), StartError> {
    let mut some_open = false;
    let mut closed = Vec::new();
    for tenant in app.store.tenants().list(None, TRIED_TENANTS).await? {
        match app.keyring.data_key(tenant.id, &wrapped(&tenant.data_key)) {
            Ok(_) => some_open = true,
            Err(OpenError::UnknownMasterKey { id }) => {
                let why = format!("this data was sealed under master key `{id}`, which is not among the given ones");
                return Err(other_master_keys(&why));
            }
            Err(_) => closed.push((tenant.id, tenant.data_key.master_key_id)),
        }
    }
    for (tenant, master_key) in closed {
        if !some_open {
            let why = format!("the given master key `{master_key}` is not the one under which this data was sealed");
            return Err(other_master_keys(&why));
        }
        tracing::error!(
            tenant.id = %tenant,
            master_key,
            "the data key of this tenant does not open: its secrets cannot be used"
        );
    }
    Ok(())
}

fn other_master_keys(why: &str) -> StartError {
    StartError::misused(format!("{why}; set ACM2_MASTER_KEYS to the keys that sealed it"))
}

fn outbound_options(config: &Config, base_urls: BTreeMap<String, Url>) -> OutboundOptions {
    let mut all = base_urls;
    // What the operator says wins.
    all.extend(config.outbound.base_urls.clone());
    OutboundOptions {
        connect_timeout: config.outbound.limits.connect_timeout,
        max_response_bytes: config.outbound.limits.max_response_bytes,
        base_urls: all,
        base_url_hosts: config.outbound.allowed_hosts.clone(),
        ..OutboundOptions::default()
    }
}

fn prices(config: &Config) -> Result<Prices, StartError> {
    let Some(path) = &config.prices_file else { return Ok(Prices::built_in()) };
    let wrong = |why: String| StartError::misused(format!("ACM2_PRICES__FILE: {why}"));
    let text = std::fs::read_to_string(path).map_err(|error| wrong(format!("{}: {error}", path.display())))?;
    let modified = std::fs::metadata(path).and_then(|metadata| metadata.modified());
    let date = modified.map(|time| chrono::DateTime::<chrono::Utc>::from(time).date_naive().to_string());
    Prices::parse(&text, &date.unwrap_or_else(|_| "unknown".to_owned())).map_err(|error| wrong(error.to_string()))
}
