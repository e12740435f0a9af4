//! `acm2 keys generate|rotate`.

use acm2_runtime::config::Config;
use acm2_vault::master_keys::MasterKeys;
use clap::{Args, Subcommand};
use secrecy::ExposeSecret;

use super::{admin, say};
use crate::admin::Command;
use crate::open;
use crate::start_error::StartError;

#[derive(Debug, Subcommand)]
pub(super) enum Keys {
    /// Print a new master key for ACM2_MASTER_KEYS.
    Generate(Generate),
    /// Wrap every tenant's data key under the newest master key; may be cut off and started again.
    Rotate,
}

#[derive(Debug, Args)]
pub(super) struct Generate {
    /// What it is called: 1 to 32 letters, digits, `-`, `_` or `.`; never the name of an earlier one.
    #[arg(long, default_value = "1")]
    id: String,
}

pub(super) fn generate(arguments: &Generate) -> Result<(), StartError> {
    let (_, text) = MasterKeys::generate(&arguments.id).map_err(|error| StartError::misused(error.to_string()))?;
    say::line(text.expose_secret());
    Ok(())
}

pub(super) async fn rotate(config: Config) -> Result<(), StartError> {
    let newest = open::master_keys(&config)?.newest_id().to_owned();
    admin::run(config, Command::RotateKeys { newest }, Some("rotating")).await
}
