//! Where the store is and how much it may hold open. `runtime` reads it from the configuration, `Store::open` takes it.

use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;

/// Where the data is.
#[derive(Debug, Clone)]
pub enum Database {
    /// Files in a folder of this machine, one for each tenant; one process serves from it.
    Sqlite {
        /// The folder; it is made when missing.
        dir: PathBuf,
    },
    /// One PostgreSQL database with a schema for each tenant.
    Postgres {
        /// `postgres://…`
        url: SecretString,
        /// The same database as a role that owns the schemas; without it, `url` does the migrations too.
        migrate_url: Option<SecretString>,
    },
}

/// How to open a store.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where the data is.
    pub database: Database,
    /// Connections for tenants' data. PostgreSQL only: a SQLite file has one.
    pub tenant_connections: u32,
    /// Connections for the control store. PostgreSQL only.
    pub control_connections: u32,
    /// Tenants' files that are open at a time. SQLite only; each takes three file descriptors and a thread.
    pub max_open_files: usize,
    /// How long an operation waits for a connection before it gives up with `Unavailable`.
    pub acquire_timeout: Duration,
    /// Whether all connections are opened beforehand and kept: for processes that serve. PostgreSQL only.
    pub keep_open: bool,
}

impl Options {
    /// The usual sizes.
    pub const fn new(database: Database) -> Self {
        Self {
            database,
            tenant_connections: 20,
            control_connections: 10,
            max_open_files: 128,
            acquire_timeout: Duration::from_secs(10),
            keep_open: false,
        }
    }
}
