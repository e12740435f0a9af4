//! How connections to PostgreSQL are opened, looked at and renewed. Only `postgres` calls it.

use std::str::FromStr;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions, Connection, PgConnection, PgPool};

use crate::error::StoreError;
use crate::patience::{SIGN_OF_LIFE, Silence, silent};

/// A connection that was idle this long is pinged before it is used again.
const PING_AFTER: Duration = Duration::from_secs(30);
/// A little longer than a client waits for a statement: what one that was cut off in the middle has locked must not stay locked.
const FORGOTTEN_TRANSACTION: &str = "20s";
/// Backends collect catalogue entries of many schemas; a new one starts small again.
const MAX_LIFETIME: Duration = Duration::from_mins(30);

/// The options of a URL, with the limits that every statement has. `what`: the URL, for the error.
pub(crate) fn parse(url: &SecretString, what: &str) -> Result<PgConnectOptions, StoreError> {
    // The parser's own error is left out: it may repeat a part of the URL.
    let options = PgConnectOptions::from_str(url.expose_secret()).map_err(|_| {
        StoreError::Setup(format!("{what} cannot be read; it looks like postgres://user@host:5432/name"))
    })?;
    Ok(options
        .application_name("acm2")
        .disable_statement_logging()
        // No statement, lock or forgotten transaction lasts for ever.
        .options([
            ("statement_timeout", "60s"),
            ("lock_timeout", "10s"),
            ("idle_in_transaction_session_timeout", FORGOTTEN_TRANSACTION),
        ]))
}

/// Opens a connection of each of the pools. Those that the server refuses are left for later, when they are needed.
pub(crate) async fn open_beforehand(pools: impl Iterator<Item = &PgPool>) {
    let opened = futures_util::future::join_all(pools.map(PgPool::acquire)).await;
    let refused = opened.iter().filter(|connection| connection.is_err()).count();
    if refused > 0 {
        tracing::warn!(refused, all = opened.len(), "PostgreSQL refuses some of the connections of this process");
    }
}

/// A pool of at most `size` connections. `doubtful`: statements are given up in the middle, so every connection that comes back is looked at.
pub(crate) fn pool_options(size: u32, acquire_timeout: Duration, silence: Silence, doubtful: bool) -> PgPoolOptions {
    let idle = silence.clone();
    PgPoolOptions::new()
        .max_connections(size)
        .acquire_timeout(acquire_timeout)
        .max_lifetime(MAX_LIFETIME)
        .test_before_acquire(false)
        .before_acquire(move |connection, meta| {
            let silence = idle.clone();
            Box::pin(async move {
                if silence.began_within(meta.idle_for) {
                    // A new one costs less than finding out.
                    return Ok(false);
                }
                if meta.idle_for > PING_AFTER {
                    sign_of_life(connection, &silence).await?;
                }
                Ok(true)
            })
        })
        // The pool itself looks at what comes back, but without a limit: a connection that leads nowhere would keep its place. One
        // whose transaction was left in the middle has its rollback waiting to be sent.
        .after_release(move |connection, _| {
            let silence = silence.clone();
            Box::pin(async move {
                if doubtful || connection.should_flush() || silence.is_recent() {
                    sign_of_life(connection, &silence).await?;
                }
                Ok(true)
            })
        })
}

async fn sign_of_life(connection: &mut PgConnection, silence: &Silence) -> Result<(), sqlx::Error> {
    let Ok(answer) = tokio::time::timeout(SIGN_OF_LIFE, connection.ping()).await else {
        silence.note();
        return Err(silent().into());
    };
    answer
}
