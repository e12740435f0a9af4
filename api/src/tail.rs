//! What follows the end of a run that the api itself ended (PROTOCOL rules 9 and 10): jobs for its deliveries, then no job for
//! the run. Every step may be repeated; whoever finds the run terminal repeats it.

use std::time::Duration;

use acm2_broker::signals::Signal;
use acm2_domain::ids::{DeliveryId, JobId, RunId, TenantId};
use acm2_domain::job::{Job, Queue};
use acm2_store::{StoreError, deliveries};

use crate::app::App;

/// Does all that is left to do for a run that has ended. Every pending delivery of the run gets its job, not only those of its
/// end: whoever wrote an earlier one may have died before it made the job.
pub(crate) async fn run_ended(app: &App, tenant: TenantId, run: RunId, job: JobId) -> Result<(), StoreError> {
    let tx = app.store.tenant(tenant).begin().await?;
    let pending = deliveries::pending_of_run(&tx, run).await?;
    tx.commit().await?;
    enqueue_deliveries(app, tenant, &pending).await?;
    app.store.jobs().delete(job).await?;
    if let Err(error) = app.broker.dispatch.remove(Queue::Runs, tenant, job).await {
        tracing::debug!(%error, "the job of an ended run stays in the broker until a worker finds out");
    }
    tell(app, Signal::Ended { tenant, run }).await;
    Ok(())
}

/// Makes a job for each delivery.
pub(crate) async fn enqueue_deliveries(app: &App, tenant: TenantId, pending: &[DeliveryId]) -> Result<(), StoreError> {
    let mut jobs: Vec<Job> = pending.iter().map(|delivery| Job::of_delivery(tenant, *delivery)).collect();
    for job in &mut jobs {
        if let Some(inserted) = app.store.jobs().insert(job, app.timing.job_due, None).await? {
            *job = inserted;
        }
    }
    push(app, &jobs).await;
    Ok(())
}

/// Writes the job of a delivery whose transaction is about to be committed; whoever commits it pushes the job. The job as it is to
/// be pushed.
pub(crate) async fn write_job(app: &App, tenant: TenantId, delivery: DeliveryId) -> Result<Job, StoreError> {
    let job = Job::of_delivery(tenant, delivery);
    Ok(app.store.jobs().insert(&job, app.timing.job_due, None).await?.unwrap_or(job))
}

/// Makes a delivery due now, whether its job is done or waits for the time of the next try. A worker that was about to finish the
/// job, and ended or was cut off while it did, may have taken away the row that was there before the commit.
pub(crate) async fn enqueue_again(app: &App, tenant: TenantId, delivery: DeliveryId) -> Result<(), StoreError> {
    let job = Job::of_delivery(tenant, delivery);
    if !app.store.jobs().reschedule(job.id, app.timing.job_due).await? {
        app.store.jobs().insert_alone(&job, app.timing.job_due).await?;
    }
    // A push leaves a job that waits where it is: hours ahead, perhaps. One that a worker holds is not touched.
    if let Err(error) = app.broker.dispatch.remove(Queue::Deliveries, tenant, job.id).await {
        tracing::warn!(%error, "the broker is away; the delivery waits for its next try");
    }
    push(app, &[job]).await;
    Ok(())
}

/// Pushes jobs whose rows stand. A push that fails is the sweeper's to repeat.
pub(crate) async fn push(app: &App, jobs: &[Job]) {
    if jobs.is_empty() {
        return;
    }
    if let Err(error) = app.broker.dispatch.push(jobs, Duration::ZERO).await {
        tracing::warn!(%error, "the broker is away; the sweeper will push the jobs");
    }
}

/// Publishes a piece of news; nobody depends on it.
pub(crate) async fn tell(app: &App, signal: Signal) {
    if let Err(error) = app.broker.signals.publish(signal).await {
        tracing::debug!(%error, "a signal was not published");
    }
}
