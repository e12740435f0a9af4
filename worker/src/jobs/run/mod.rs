//! Working on a run: claim, stages, end, tail. Each file holds one part of the run protocol; `jobs` calls `work`.

mod attempt;
mod claim;
mod control;
mod held_texts;
mod images;
mod intent;
mod journal;
mod key_notes;
mod lane;
mod late;
mod money;
mod pages;
mod poison;
mod retries;
mod route;
mod settle;
mod shares;
mod skips;
mod stage_events;
mod texts;
mod together;
mod uncalled;
mod waits;
mod writer;

use std::sync::Arc;
use std::time::Duration;

use acm2_domain::ids::{DeliveryId, JobId, RunId, TenantId};
use acm2_domain::job::Job;
use acm2_domain::run::RunProblem;
use acm2_domain::stages;
use acm2_store::control::TenantRow;
use acm2_store::runs::{self, Claimed, Ending, Fence, FenceError, Orders, Released};
use acm2_store::{StoreError, TenantTx};
use futures_util::FutureExt;

pub(crate) use self::claim::Started;
use self::claim::{Claim, Taken};
use self::control::{Control, StopCause};
use self::held_texts::HeldTexts;
use self::journal::RunJournal;
use self::poison::POISONED_AFTER;
use super::tail;
use crate::consume::{Held, Outcome};
use crate::context::{Context, Trouble};

/// What becomes of a run after its stages.
enum Next {
    /// It ends.
    End(Ending),
    /// It has ended, with these deliveries.
    Ended(Vec<DeliveryId>),
    /// It goes back to the queue, ready after this time.
    Release(Duration),
    /// Nothing may be written any more: another worker has it, or the store refuses. Whoever claims next finds out.
    Leave,
}

/// Works on a run until it ends, or gives it back.
pub(super) async fn work(context: Arc<Context>, job: Job, run: RunId, held: Held) -> Outcome {
    let again = Outcome::GiveBack(context.timing.claim_retry);
    let Some(_live) = context.live_runs.enter(run) else { return again };
    let tenant = context.accounts.find(&context.store, job.tenant);
    let (claim, tenant) = tokio::join!(claim::claim(&context, job.tenant, run), tenant);
    let Taken { claimed, past, held: texts, is_quiet } = match claim {
        Ok(Claim::Got(taken)) => *taken,
        Ok(Claim::Ended(run_job)) => return finish(&context, job, run, run_job, None).await,
        Ok(Claim::Missing) | Err(StoreError::NotFound(_)) => return missing(&context, job, run).await,
        Ok(Claim::Paused(run_job)) => return park(&context, job.id, run_job).await,
        Ok(Claim::Held) => return again,
        Ok(Claim::NoRoom(wait)) => return Outcome::GiveBack(wait),
        Err(error) => {
            tracing::warn!(%error, run.id = %run, tenant.id = %job.tenant, "the run could not be claimed");
            return again;
        }
    };
    let next = if claimed.run.poison >= POISONED_AFTER {
        Next::End(Ending::Cut(RunProblem {
            code: "poisoned".to_owned(),
            detail: format!(
                "{POISONED_AFTER} workers died over this run without an answer in between, so it was given up"
            ),
        }))
    } else {
        match tenant {
            Ok(Some(tenant)) => Box::pin(drive(&context, tenant, &claimed, (past, texts), &held)).await,
            Ok(None) | Err(_) => Next::Release(context.timing.claim_retry),
        }
    };
    let mut pending = None;
    let written = match next {
        Next::Ended(deliveries) => {
            pending = is_quiet.then_some(deliveries);
            Ok(())
        }
        Next::End(ending) => end(&context, job.tenant, claimed.fence, ending).await,
        Next::Release(wait) => match release(&context, job.tenant, claimed.fence).await {
            Ok(Released::ToBeCancelled) => end(&context, job.tenant, claimed.fence, Ending::Cancelled).await,
            Ok(Released::Queued) => return Outcome::GiveBack(wait),
            Ok(Released::Paused) => return park(&context, job.id, claimed.run.job).await,
            Err(trouble) => Err(trouble),
        },
        Next::Leave => return again,
    };
    match written {
        Ok(()) => finish(&context, job, run, claimed.run.job, pending).await,
        Err(Trouble::Lost | Trouble::Ending) => again,
        Err(Trouble::Defect(error)) => {
            tracing::error!(%error, run.id = %run, tenant.id = %job.tenant, "the store refuses what became of the run");
            again
        }
    }
}

/// Runs the stages.
async fn drive(
    context: &Arc<Context>,
    tenant: Arc<TenantRow>,
    claimed: &Claimed,
    left: (claim::Past, HeldTexts),
    held: &Held,
) -> Next {
    let tenant_id = tenant.id;
    let control = Arc::new(Control::new(claimed.fence));
    control.obey(Orders { requested: claimed.run.requested, skips: 0 });
    let time_left = (claimed.run.deadline_at - context.clock.now()).to_std().unwrap_or_default();
    if time_left.is_zero() {
        control.stop(StopCause::Deadline);
    }
    let journal = RunJournal::new(Arc::clone(context), tenant, claimed, left, &control, time_left, held.meter());
    let stages = async {
        let through = stages::run(&journal, &claimed.run.spec).await;
        let ended = if through.is_ok() { journal.end().await } else { None };
        // Answers that come in while the run is being stopped are still written down.
        journal.settled().await;
        (through, ended)
    };
    let (through, ended) = tokio::select! {
        through = stages => through,
        never = control::watch(context, tenant_id, &control, held, time_left) => match never {},
        never = journal.watch() => match never {},
    };
    if let Some(deliveries) = ended {
        return Next::Ended(deliveries);
    }
    match (through, control.cause()) {
        (Ok(()), _) if journal.is_unkept() => Next::Leave,
        (Ok(()), _) => Next::End(Ending::Settled),
        (Err(_), Some(StopCause::Cancelled)) => Next::End(Ending::Cancelled),
        (Err(_), Some(StopCause::Deadline)) => Next::End(Ending::Cut(deadline_exceeded())),
        (Err(_), Some(StopCause::Paused | StopCause::ShuttingDown)) => Next::Release(Duration::ZERO),
        (Err(_), Some(StopCause::Waiting(wait))) => Next::Release(wait),
        (Err(_), Some(StopCause::Lost | StopCause::Defect) | None) => Next::Leave,
    }
}

/// Why a run ends at its deadline.
fn deadline_exceeded() -> RunProblem {
    RunProblem {
        code: "deadline_exceeded".to_owned(),
        detail: "the run's deadline passed before all its tasks had an answer".to_owned(),
    }
}

async fn end(context: &Arc<Context>, tenant: TenantId, fence: Fence, ending: Ending) -> Result<(), Trouble> {
    context
        .stored(|_| {
            let ending = ending.clone();
            async move {
                let tx = context.store.tenant(tenant).begin().await?;
                match runs::end(&tx, fence, ending, context.clock.now()).await {
                    Ok(_) => tx.commit().await.map_err(FenceError::from),
                    // An earlier try may have been applied after all, or the transaction of its last answers.
                    Err(FenceError::Lost) if has_ended(&tx, fence).await? => Ok(()),
                    Err(error) => Err(error),
                }
            }
            .boxed()
        })
        .await
}

async fn has_ended(tx: &TenantTx, fence: Fence) -> Result<bool, StoreError> {
    Ok(runs::find(tx, fence.run).await?.is_none_or(|run| run.claim == fence.claim && run.status.is_terminal()))
}

/// Gives the run back.
async fn release(context: &Arc<Context>, tenant: TenantId, fence: Fence) -> Result<Released, Trouble> {
    context
        .stored(|_| {
            async move {
                let tx = context.store.tenant(tenant).begin().await?;
                let released = runs::release(&tx, fence, context.clock.now()).await?;
                if released != Released::ToBeCancelled {
                    tx.commit().await?;
                    context.progress.grew(fence.run);
                }
                Ok(released)
            }
            .boxed()
        })
        .await
}

/// The job of a run that waits for a command: nobody is to look at it before its deadline. A resume brings a new job.
async fn park(context: &Arc<Context>, job: JobId, run_job: JobId) -> Outcome {
    let parked = if job == run_job { context.store.jobs().park(job).await } else { forget_other(context, job).await };
    if let Err(error) = parked {
        tracing::warn!(%error, "the job of a paused run is swept until it can be parked");
    }
    Outcome::Done
}

/// The tail of a run that has ended. While it cannot be done, the job stays. `pending`: all deliveries of it that are still to be
/// made, where that is known.
async fn finish(
    context: &Arc<Context>,
    job: Job,
    run: RunId,
    run_job: JobId,
    pending: Option<Vec<DeliveryId>>,
) -> Outcome {
    let mut done = tail::run_ended(context, job.tenant, run, run_job, pending).await;
    if done.is_ok() && run_job != job.id {
        done = forget_other(context, job.id).await.map(|_| ());
    }
    match done {
        Ok(()) => Outcome::Done,
        Err(error) => {
            tracing::warn!(%error, run.id = %run, "the tail of the run will be repeated");
            Outcome::GiveBack(context.timing.claim_retry)
        }
    }
}

/// Takes away a job that is not the one that its run names, once whoever resumes or retries the run would have named it.
async fn forget_other(context: &Context, job: JobId) -> Result<bool, StoreError> {
    context.store.jobs().delete_orphan(job, context.timing.job_due * 6).await
}

/// A job whose run is not there: its transaction is still under way, or it never came to be, or the run was deleted before its
/// tail was done. What deliveries it left are made; the row goes when it is too old for the first.
async fn missing(context: &Arc<Context>, job: Job, run: RunId) -> Outcome {
    let looked = async {
        if tail::enqueue_pending(context, job.tenant, run).await? > 0 {
            return context.store.jobs().delete(job.id).await;
        }
        context.store.jobs().delete_orphan(job.id, context.timing.orphan_job).await
    };
    match looked.await {
        Ok(_) => Outcome::Done,
        // The tenant itself is gone.
        Err(StoreError::NotFound(_)) => match context.store.jobs().delete(job.id).await {
            Ok(_) => Outcome::Done,
            Err(_) => Outcome::GiveBack(context.timing.claim_retry),
        },
        Err(error) => {
            tracing::warn!(%error, job.id = %job.id, "a job without a run could not be looked at");
            Outcome::GiveBack(context.timing.claim_retry)
        }
    }
}
