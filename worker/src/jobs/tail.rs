//! What follows a committed end (PROTOCOL rule 10): jobs for the deliveries, then no job for the run. Every step may be
//! repeated, and is, by whoever finds the run terminal.

use std::time::Duration;

use acm2_broker::signals::Signal;
use acm2_domain::ids::{DeliveryId, JobId, RunId, TenantId};
use acm2_domain::job::Job;
use acm2_store::StoreError;
use acm2_store::deliveries;

use crate::context::Context;

/// Does all that is left to do for a run that has ended; the caller acks afterwards. `pending`: its deliveries that are still to be
/// made, where the caller knows all of them.
pub(super) async fn run_ended(
    context: &Context,
    tenant: TenantId,
    run: RunId,
    job: JobId,
    pending: Option<Vec<DeliveryId>>,
) -> Result<(), StoreError> {
    match pending {
        Some(pending) => enqueue_deliveries(context, tenant, &pending).await?,
        None => {
            enqueue_pending(context, tenant, run).await?;
        }
    }
    context.store.jobs().delete(job).await?;
    context.progress.ended(run);
    if let Err(error) = context.broker.signals.publish(Signal::Ended { tenant, run }).await {
        tracing::debug!(%error, run.id = %run, "nobody was told that the run ended");
    }
    Ok(())
}

/// Makes a job for each delivery of a run that is still to be made, whether the run is there or not; how many.
pub(super) async fn enqueue_pending(context: &Context, tenant: TenantId, run: RunId) -> Result<usize, StoreError> {
    let tx = context.store.tenant(tenant).begin().await?;
    let pending = deliveries::pending_of_run(&tx, run).await?;
    drop(tx);
    enqueue_deliveries(context, tenant, &pending).await?;
    Ok(pending.len())
}

/// Makes a job for each delivery.
pub(super) async fn enqueue_deliveries(
    context: &Context,
    tenant: TenantId,
    pending: &[DeliveryId],
) -> Result<(), StoreError> {
    let mut jobs: Vec<Job> = pending.iter().map(|delivery| Job::of_delivery(tenant, *delivery)).collect();
    for job in &mut jobs {
        if let Some(inserted) = context.store.jobs().insert(job, context.timing.job_due, None).await? {
            *job = inserted;
        }
    }
    if !jobs.is_empty()
        && let Err(error) = context.broker.dispatch.push(&jobs, Duration::ZERO).await
    {
        tracing::debug!(%error, "the sweeper will push the deliveries");
    }
    Ok(())
}
