//! The configuration as typed values. `read` fills it; the api hands the parts to those who need them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use acm2_domain::timing::Timing;
use secrecy::SecretString;
use url::Url;

use super::listing::Listing;
use super::logging::{LogFormat, LogLevel};
use super::secret_url::SecretUrl;
use super::urls::{BrokerUrl, DatabaseUrl};

/// The whole configuration. `Debug` shows no secret.
#[derive(Debug, Clone)]
pub struct Config {
    /// Whose machine it is.
    pub mode: Mode,
    /// Folder of the files that ACM2 writes.
    pub data_dir: PathBuf,
    /// The operator's master keys as text; the vault parses it. None only where [`Self::makes_own_master_key`] holds.
    pub master_keys: Option<SecretString>,
    /// Where the data is.
    pub database: Database,
    /// Where the dispatch of jobs is.
    pub broker: BrokerUrl,
    /// The HTTP server.
    pub http: Http,
    /// Limits of the library.
    pub library: Library,
    /// What this process does at a time.
    pub worker: Worker,
    /// How tenants share the queue.
    pub queue: Queue,
    /// How calls with one provider key are held back.
    pub lanes: Lanes,
    /// Calls to providers.
    pub outbound: Outbound,
    /// A price table that replaces the built-in one.
    pub prices_file: Option<PathBuf>,
    /// Logs.
    pub log: Log,
    pub(super) faster: u32,
    pub(super) clock_offset: Duration,
    pub(super) local_keys: Vec<(String, SecretString)>,
    pub(super) listing: Listing,
}

/// Whose machine it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// One person's: provider keys of the environment are imported.
    Local,
    /// A service for many tenants.
    Hosted,
}

/// Where the data is.
#[derive(Debug, Clone)]
pub struct Database {
    /// Files or a server.
    pub url: DatabaseUrl,
    /// The server as the role that owns the schemas.
    pub migrate_url: Option<SecretUrl>,
    /// Connections for the control store.
    pub control_connections: u32,
    /// Connections for tenants' data.
    pub tenant_connections: u32,
    /// Tenants' files open at a time.
    pub open_files: usize,
}

/// The HTTP server.
#[derive(Debug, Clone)]
pub struct Http {
    /// Where it listens.
    pub bind: SocketAddr,
    /// Where callers reach it; its path never ends in `/` but for the root. None: derive it from the address that was bound.
    pub public_url: Option<Url>,
    /// Largest request body in bytes.
    pub body_limit: usize,
    /// Origins whose pages may call.
    pub cors_origins: Vec<String>,
    /// Requests in progress at a time.
    pub concurrency: usize,
    /// How long requests are still taken after the process was asked to end.
    pub drain: Duration,
}

/// Limits of the library.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Library {
    /// Largest upload in bytes.
    pub upload_limit: usize,
    /// Most text of a document in bytes.
    pub text_limit: usize,
}

/// What this process does at a time.
#[derive(Debug, Clone)]
pub struct Worker {
    /// Runs.
    pub runs: usize,
    /// Provider calls.
    pub calls: usize,
    /// Webhook deliveries.
    pub deliveries: usize,
    /// Bytes of answers that runs hold for later stages to read.
    pub held_answers: usize,
}

/// How tenants share the queue.
#[derive(Debug, Clone)]
pub struct Queue {
    /// Most of the places that one tenant may take, in percent.
    pub tenant_share_percent: u8,
    /// Runs that one tenant may have queued.
    pub tenant_quota: u64,
}

/// How calls with one provider key are held back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lanes {
    /// Calls under way at a time, over all processes.
    pub calls_per_provider_key: usize,
}

/// Calls to providers.
#[derive(Debug, Clone)]
pub struct Outbound {
    /// Hosts, lower case, with or without a port, to which a tenant's base URL may point.
    pub allowed_hosts: Vec<String>,
    /// Base URLs that the operator set, by provider slug.
    pub base_urls: BTreeMap<String, Url>,
    /// Limits of one call.
    pub limits: Limits,
}

/// Limits of one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Connecting.
    pub connect_timeout: Duration,
    /// The answer, in bytes.
    pub max_response_bytes: usize,
}

/// Logs.
#[derive(Debug, Clone)]
pub struct Log {
    /// None: text on a terminal, else JSON.
    pub format: Option<LogFormat>,
    /// What is logged.
    pub level: LogLevel,
}

impl Config {
    /// The durations of the run protocol.
    pub fn timing(&self) -> Timing {
        Timing::default().faster(self.faster)
    }

    /// By how much the machine's clock is taken to be off; nothing, but in tests.
    pub const fn clock_offset(&self) -> Duration {
        self.clock_offset
    }

    /// The provider keys of the environment, as provider slug and key. Empty unless the mode is local.
    pub fn local_provider_keys(&self) -> Vec<(String, SecretString)> {
        self.local_keys.clone()
    }

    /// Every setting with its value, secrets redacted, as `acm2 config` prints it.
    pub const fn listing(&self) -> &Listing {
        &self.listing
    }

    /// Whether this process may make its own master key (`embedded_secret`): a local machine's files, reachable from it alone.
    pub fn makes_own_master_key(&self) -> bool {
        self.master_keys.is_none() && self.may_do_without_master_keys()
    }

    pub(super) fn may_do_without_master_keys(&self) -> bool {
        self.mode == Mode::Local && self.database.url.is_files() && self.http.bind.ip().is_loopback()
    }
}
