//! The sweeper (PROTOCOL rule 3): pushes jobs that are due but perhaps in no queue. It opens no tenant's store; whoever claims
//! finds out. One process at a time does it, by a lease in the control store. A broker that was emptied is told of all jobs.

use std::sync::Arc;
use std::time::Duration;

use acm2_domain::job::Job;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::context::Context;

const LEASE: &str = "sweeper";
const PAGE: u64 = 500;
/// Jobs that are pushed at a time when all are.
const LARGE_PAGE: u64 = 1_000;

/// Why a sweep failed: a store or the broker is away.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Sweeps until `ended`.
pub(crate) async fn sweep(context: Arc<Context>, ended: CancellationToken) {
    let mut ticks = interval(context.timing.sweep);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = ended.cancelled() => return,
        }
        if let Err(error) = sweep_once(&context).await {
            tracing::warn!(%error, "the sweep failed; the next one tries again");
        }
    }
}

async fn sweep_once(context: &Context) -> Result<(), Failure> {
    let timing = &context.timing;
    if !context.store.leases().try_acquire(LEASE, context.me, timing.sweep * 3).await? {
        return Ok(());
    }
    if !context.broker.dispatch.has_mark().await? {
        // Jobs that are not due for minutes are in no queue either.
        push_all(context).await?;
    }
    loop {
        let (first, longest) = timing.sweep_backoff;
        let due = context.store.jobs().take_due(PAGE, first, longest).await?;
        let jobs: Vec<Job> = due.iter().map(|due| due.job).collect();
        if jobs.is_empty() {
            break;
        }
        tracing::info!(jobs = jobs.len(), "pushing jobs that are due");
        for job in jobs.iter().filter(|job| job.priority == i16::MIN) {
            // Past its deadline: it stands in the queue with another priority, where it may wait for long yet.
            context.broker.dispatch.remove(job.work.queue(), job.tenant, job.id).await?;
        }
        context.broker.dispatch.push(&jobs, Duration::ZERO).await?;
        if (jobs.len() as u64) < PAGE {
            break;
        }
    }
    Ok(())
}

/// Makes every unfinished job ready at once, for a broker that is empty.
pub(crate) async fn push_all(context: &Context) -> Result<(), Failure> {
    let mut after = None;
    loop {
        let page = context.store.jobs().list(after, LARGE_PAGE).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.id);
        tracing::info!(jobs = page.len(), "the queue was empty: taking up unfinished work");
        context.broker.dispatch.push(&page, Duration::ZERO).await?;
    }
    // Only now: whoever dies in between leaves it to the next.
    context.broker.dispatch.set_mark().await?;
    Ok(())
}
