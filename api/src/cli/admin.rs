//! Where an admin command is done: here, or, if a process serves from the data folder, by that process.

use std::collections::BTreeMap;
use std::io;

use acm2_runtime::config::Config;
use acm2_runtime::shutdown::Shutdown;

use super::progress::Bar;
use super::say;
use crate::admin::{Command, Reply, TenantLine, execute, send};
use crate::open;
use crate::start_error::StartError;

/// Does a command and prints what came of it.
pub(super) async fn run(config: Config, command: Command, long: Option<&'static str>) -> Result<(), StartError> {
    let bar = long.map(Bar::new);
    let mut told = |progress| {
        if let Some(bar) = &bar {
            bar.show(progress);
        }
    };
    let reply = perform(config, command, &mut told).await;
    if let Some(bar) = &bar {
        bar.end();
    }
    print(reply?)
}

async fn perform(
    config: Config,
    command: Command,
    told: &mut (dyn FnMut(crate::admin::Progress) + Send),
) -> Result<Reply, StartError> {
    if config.database.url.is_files() {
        match send(&config.data_dir, &command, told).await {
            Ok(reply) => return Ok(reply),
            // Nobody serves: no socket, or one that a killed process left.
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {}
            Err(error) => return Err(StartError::failed(format!("the serving process did not answer: {error}"))),
        }
    }
    let app = open::open(config, BTreeMap::new(), Shutdown::new(), false).await?;
    // While this command works nobody may begin to serve from the folder.
    let lock = app.store.lock_data_dir()?;
    open::check_master_keys(&app).await?;
    let reply = execute(&app, command, told).await;
    app.store.close().await;
    drop(lock);
    Ok(reply)
}

fn print(reply: Reply) -> Result<(), StartError> {
    match reply {
        Reply::Tenant(tenant) => say::line(&line(&tenant)),
        Reply::Tenants { tenants } => tenants.iter().for_each(|tenant| say::line(&line(tenant))),
        Reply::ApiKey { key, .. } => say::line(&key),
        Reply::Done { text } => say::line(&text),
        Reply::Refused { text } => return Err(StartError::failed(text)),
    }
    Ok(())
}

fn line(tenant: &TenantLine) -> String {
    let created = tenant.created_at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
    let hosts = tenant.private_hosts.join(",");
    format!("{}\t{created}\t{}\tweight {}\t{hosts}", tenant.id, tenant.name, tenant.weight).trim_end().to_owned()
}
