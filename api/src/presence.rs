//! This process's row among the live ones (PROTOCOL rule 4), for processes without a worker: so that `keys rotate` sees which
//! master keys they hold. A worker keeps its own row.

use acm2_store::StoreError;
use acm2_store::control::NewWorker;

use crate::app::App;

/// Registers this process, before it serves or works: a rotation of master keys must miss none. The rows of those that died long ago
/// go away here: every process, of any role, comes by once.
pub(crate) async fn register(app: &App, role: &str) -> Result<NewWorker, StoreError> {
    let lost = app.store.workers().delete_older_than(app.timing.lost_process).await?;
    if lost > 0 {
        tracing::info!(processes = lost, "forgot processes that died long ago");
    }
    let me = describe(app, role);
    app.store.workers().register(&me).await?;
    Ok(me)
}

fn describe(app: &App, role: &str) -> NewWorker {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_else(|_| "unknown".to_owned());
    NewWorker {
        id: app.me,
        role: role.to_owned(),
        host: host.trim().to_owned(),
        pid: std::process::id(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        master_key_ids: app.keyring.master_keys().ids().map(str::to_owned).collect(),
    }
}

/// Keeps the heartbeat of the process that is registered until `stopped`; then takes the row away.
pub(crate) async fn keep(
    app: App,
    me: NewWorker,
    stopped: tokio_util::sync::CancellationToken,
) -> Result<(), StoreError> {
    loop {
        tokio::select! {
            () = tokio::time::sleep(app.timing.heartbeat) => {}
            () = stopped.cancelled() => break,
        }
        let beat = async {
            if !app.store.workers().beat(me.id).await? {
                app.store.workers().register(&me).await?;
            }
            Ok::<(), StoreError>(())
        };
        match tokio::time::timeout(app.timing.heartbeat_timeout, beat).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the heartbeat failed"),
            Err(_) => tracing::warn!("the heartbeat took too long"),
        }
    }
    // A database that says nothing does not keep the process: the row goes stale by itself.
    let removed = tokio::time::timeout(app.timing.heartbeat_timeout, app.store.workers().remove(me.id)).await;
    removed.unwrap_or(Ok(()))
}
