//! Bringing schemas up to date: the control store at start, all tenants at the operator's command. Called by `api::main`.

use acm2_domain::ids::TenantId;
use futures_util::{StreamExt, stream};

use crate::error::StoreError;
use crate::store::Store;

/// What came of one tenant.
#[derive(Debug)]
pub struct Migrated {
    /// Which one.
    pub tenant: TenantId,
    /// Whether anything was pending, or why it failed.
    pub outcome: Result<bool, StoreError>,
    /// Tenants done so far, with this one.
    pub done: u64,
    /// All tenants.
    pub total: u64,
}

/// What came of all tenants.
#[derive(Debug, Default)]
pub struct MigrateReport {
    /// Tenants that were behind and are up to date now.
    pub changed: u64,
    /// Tenants for which nothing was pending.
    pub unchanged: u64,
    /// Tenants that could not be migrated; they were left as they were.
    pub failed: Vec<(TenantId, StoreError)>,
}

/// Tenants read from the control store at a time.
const PAGE: u64 = 500;

impl Store {
    /// Brings the control store up to date; another process that does the same waits. Tells whether anything was pending.
    pub async fn migrate_control(&self) -> Result<bool, StoreError> {
        self.tenant_stores().migrate_control(self.control().pool()).await
    }

    /// Brings all tenants up to date, `parallel` at a time. One that fails does not stop the others; starting again goes on
    /// where it ended.
    pub async fn migrate_all(
        &self,
        parallel: usize,
        mut progress: impl FnMut(&Migrated) + Send,
    ) -> Result<MigrateReport, StoreError> {
        let total = self.tenants().count().await?;
        let mut report = MigrateReport::default();
        let mut done = 0;
        let mut after = None;
        loop {
            let page = self.tenants().list(after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(report) };
            after = Some(last.id);
            let mut outcomes = stream::iter(page.into_iter().map(|tenant| tenant.id))
                .map(|tenant| async move { (tenant, self.bring_up_to_date(tenant).await) })
                .buffer_unordered(parallel.max(1));
            while let Some((tenant, outcome)) = outcomes.next().await {
                done += 1;
                let migrated = Migrated { tenant, outcome, done, total: total.max(done) };
                progress(&migrated);
                match migrated.outcome {
                    Ok(true) => report.changed += 1,
                    Ok(false) => report.unchanged += 1,
                    Err(error) => report.failed.push((tenant, error)),
                }
            }
        }
    }
}
