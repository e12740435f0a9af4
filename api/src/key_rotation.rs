//! `keys rotate`: wraps every tenant's data key anew under the newest master key. Secrets stay as they are; only their data keys
//! move. It may be cut off at any point and started again. Called by the admin commands.

use acm2_domain::error::{Error, Kind};

use crate::app::{App, stored, wrapped};

/// What a rotation did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Rotation {
    /// Data keys that were wrapped anew.
    pub rewrapped: u64,
    /// Those that were under the newest master key already.
    pub unchanged: u64,
    /// Those that could not be opened.
    pub failed: u64,
}

const PAGE: u64 = 200;

/// Rotates. Refuses until every live process holds the newest master key: it could not open what is wrapped anew.
pub(crate) async fn rotate(app: &App, progress: &mut (dyn FnMut(u64, u64) + Send)) -> Result<Rotation, Error> {
    let newest = app.keyring.master_keys().newest_id().to_owned();
    refuse_while_others_lack(app, &newest).await?;
    let total = app.store.tenants().count().await?;
    let mut rotation = Rotation::default();
    let mut after = None;
    let mut done = 0;
    loop {
        let page = app.store.tenants().list(after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(rotation) };
        after = Some(last.id);
        for tenant in &page {
            done += 1;
            progress(done, total.max(done));
            if tenant.data_key.master_key_id == newest {
                rotation.unchanged += 1;
                continue;
            }
            let old = wrapped(&tenant.data_key);
            let Ok(new) = app.keyring.master_keys().rewrap(&old, tenant.id) else {
                tracing::error!(tenant.id = %tenant.id, master_key = old.master_key_id, "a data key does not open");
                rotation.failed += 1;
                continue;
            };
            // False where another rotation was first: its result is as good.
            if app.store.tenants().replace_data_key(tenant.id, &tenant.data_key, &stored(new)).await? {
                rotation.rewrapped += 1;
            } else {
                rotation.unchanged += 1;
            }
        }
    }
}

/// Refuses where this process wraps under another master key than the one that is meant: it would do nothing, and whoever then
/// took the old key away would lose everything.
pub(crate) fn refuse_another(app: &App, meant: &str) -> Result<(), Error> {
    let newest = app.keyring.master_keys().newest_id();
    if newest == meant {
        return Ok(());
    }
    let detail = format!(
        "the serving process wraps under master key `{newest}`, not under `{meant}`; restart it with `{meant}` first in \
         ACM2_MASTER_KEYS"
    );
    Err(Error::new(Kind::Conflict, "master_key_not_everywhere", detail))
}

async fn refuse_while_others_lack(app: &App, newest: &str) -> Result<(), Error> {
    let live = app.store.workers().list().await?;
    let lacking: Vec<String> = live
        .iter()
        .filter(|row| row.age < app.timing.heartbeat_stale)
        .filter(|row| !row.worker.master_key_ids.iter().any(|id| id == newest))
        .map(|row| format!("{} {} on {} (pid {})", row.worker.role, row.worker.id, row.worker.host, row.worker.pid))
        .collect();
    if lacking.is_empty() {
        return Ok(());
    }
    let detail = format!(
        "these live processes do not hold master key `{newest}` yet; restart them with it first: {}",
        lacking.join(", ")
    );
    Err(Error::new(Kind::Conflict, "master_key_not_everywhere", detail))
}
