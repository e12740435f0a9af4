//! The configuration: the only reader of the environment. [`Config::from_env`] is called once, by `main`; everything else is
//! handed a part of [`Config`]. A setting is one row of [`settings`]: parsing, the listing of `acm2 config`, the hints for
//! misspelt names and docs/configuration.md all come from that row.

mod checks;
mod error;
mod listing;
mod local_keys;
mod logging;
mod names;
mod parse;
mod read;
mod reader;
mod reference;
mod role;
mod secret_url;
mod sections;
pub mod settings;
mod urls;

pub use error::{ConfigError, Problem};
pub use listing::{Listed, Listing, Source};
pub use logging::{LogFormat, LogLevel};
pub use reference::reference;
pub use role::Role;
pub use secret_url::SecretUrl;
pub use sections::{Config, Database, Http, Lanes, Library, Limits, Log, Mode, Outbound, Queue, Worker};
pub use urls::{BrokerUrl, DatabaseUrl};
