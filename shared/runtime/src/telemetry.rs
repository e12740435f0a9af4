//! Logs: structured events on standard error, one line each, fields with dotted names (`run.id`). `main` calls [`start`] once.

use std::io::{self, IsTerminal};

use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::{Log, LogFormat};

/// Libraries that handle headers, bodies or statements. Whatever the level setting says, what they write below `info` is
/// dropped: it may hold a key.
const WIRE: [&str; 7] = ["h2", "hyper", "hyper_util", "reqwest", "rustls", "tower", "redis"];

/// The same, and at `info` they tell what our own lines tell too: only their warnings are kept.
const CHATTY: [&str; 6] = ["poem", "sqlx", "sea_orm", "sea_orm_migration", "apalis", "apalis_core"];

/// The logs could not be started: someone else has started them already.
#[derive(Debug, thiserror::Error)]
#[error("the logs of this process have been started already")]
pub struct AlreadyStarted;

/// Starts the logs of this process.
pub fn start(log: &Log) -> Result<(), AlreadyStarted> {
    subscriber(log, io::stderr().is_terminal(), io::stderr).try_init().map_err(|_| AlreadyStarted)
}

/// What [`start`] installs, writing to `writer`; for tests that read what is logged.
pub fn subscriber<W>(log: &Log, on_terminal: bool, writer: W) -> Box<dyn Subscriber + Send + Sync>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let format = log.format.unwrap_or(if on_terminal { LogFormat::Text } else { LogFormat::Json });
    let lines = tracing_subscriber::fmt::layer().with_writer(writer).with_ansi(on_terminal);
    let lines = match format {
        LogFormat::Json => lines.json().flatten_event(true).with_span_list(false).boxed(),
        LogFormat::Text => lines.with_target(false).boxed(),
    };
    Box::new(tracing_subscriber::registry().with(lines.with_filter(log.level.filter()).with_filter(filter_fn(is_safe))))
}

fn is_safe(metadata: &Metadata<'_>) -> bool {
    let library = metadata.target().split("::").next().unwrap_or_default();
    let most = if CHATTY.contains(&library) {
        Level::WARN
    } else if WIRE.contains(&library) {
        Level::INFO
    } else {
        Level::TRACE
    };
    *metadata.level() <= most
}
