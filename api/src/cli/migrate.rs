//! `acm2 migrate [--all]`.

use acm2_runtime::config::Config;
use clap::Args;

use super::{admin, say};
use crate::admin::Command;
use crate::open;
use crate::start_error::StartError;

#[derive(Debug, Args)]
pub(super) struct Migrate {
    /// Every tenant too, four at a time; what is cut off goes on at the next start.
    #[arg(long)]
    all: bool,
}

pub(super) async fn run(config: Config, arguments: Migrate) -> Result<(), StartError> {
    if arguments.all {
        return admin::run(config, Command::MigrateAll, Some("migrating")).await;
    }
    // The keys come before the store, whose folder must not be there without them.
    open::master_keys(&config)?;
    let store = open::open_store(&config, false).await?;
    let changed = store.migrate_control().await?;
    store.close().await;
    say::line(if changed { "the control store is migrated" } else { "the control store was up to date" });
    Ok(())
}
