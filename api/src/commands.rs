//! Commands on a run (PROTOCOL rule 9): what the store makes of one, and what follows it for jobs, queue and worker. Called by
//! `routes::run_actions`.

use acm2_broker::signals::Signal;
use acm2_domain::error::{Error, FieldError, Kind};
use acm2_domain::ids::{JobId, RunId};
use acm2_domain::job::{Job, Queue, Work};
use acm2_domain::run::RunStatus;
use acm2_domain::run::machine::{Command, Effect, Refusal};
use acm2_store::runs::{self, Commanded, RunRow, Skipped, Unskippable};
use acm2_store::{StoreError, TenantTx, deliveries};
use chrono::{DateTime, Utc};

use crate::auth::Caller;
use crate::problem::Failure;
use crate::submit::refuse_beyond_quota;
use crate::{spending, tail};

/// Gives a command to a run of the caller.
pub(crate) async fn give(caller: &Caller, run: RunId, command: Command) -> Result<(), Failure> {
    let (tx, outcome, job) = loop {
        let job =
            Job { id: JobId::generate(), tenant: caller.tenant, work: Work::RunV1(run), priority: 0, weight: None };
        let prepared = prepare(caller, run, command, job).await?;
        let written = write(caller, run, command, job, prepared.as_ref()).await;
        let queues = matches!(&written, Ok((_, Commanded::Done(Effect::Become(RunStatus::Queued), _), _)));
        if prepared.is_some() && !queues {
            forget(caller, job.id).await;
        }
        let (tx, outcome, job) = written?;
        if prepared.is_some() || !queues {
            break (tx, outcome, job);
        }
        // The run has come to stand otherwise since it was looked at: nothing is committed, and it is looked at again.
    };
    // Whether a commit that failed was applied cannot be known: then the job stays, and the sweeper finds out.
    tx.commit().await?;
    match outcome {
        Commanded::Missing => Err(Error::not_found("run").into()),
        Commanded::Refused(refusal) => Err(refused(refusal).into()),
        Commanded::Done(effect, before) => {
            follow(caller, effect, &before, job).await;
            Ok(())
        }
    }
}

/// The job of a run that is to be queued.
struct Prepared {
    job: Job,
    deadline: DateTime<Utc>,
}

/// All that a command changes, to be committed, and the job as it is to be pushed. A retry reserves anew in the budgets that apply.
async fn write(
    caller: &Caller,
    run: RunId,
    command: Command,
    mut job: Job,
    prepared: Option<&Prepared>,
) -> Result<(TenantTx, Commanded, Job), Failure> {
    let now = caller.app.clock.now();
    let tx = caller.store().begin().await?;
    // The job that will work on a queued run is written before the run names it, and after the transaction has begun: a crash of the
    // database that takes the one takes the other, too.
    if let Some(Prepared { job: prepared, deadline }) = prepared {
        let inserted = caller.app.store.jobs().insert(prepared, caller.app.timing.job_due, Some(*deadline)).await?;
        job = inserted.unwrap_or(*prepared);
    }
    let outcome = runs::command(&tx, run, command, job.id, now).await?;
    if let (Command::Retry, Commanded::Done(Effect::Become(RunStatus::Queued), before)) = (command, &outcome) {
        spending::reserve_anew(&tx, caller, before, now).await?;
    }
    Ok((tx, outcome, job))
}

/// The job that is to be written where the command will queue the run, as it looks now.
async fn prepare(caller: &Caller, run: RunId, command: Command, job: Job) -> Result<Option<Prepared>, Failure> {
    if !matches!(command, Command::Resume | Command::Retry) {
        return Ok(None);
    }
    let tx = caller.store().begin().await?;
    let row = runs::find(&tx, run).await?.ok_or_else(|| Error::not_found("run"))?;
    let standing = runs::standing_for(&tx, &row, command).await?;
    drop(tx);
    if standing.command(command) != Ok(Effect::Become(RunStatus::Queued)) {
        return Ok(None);
    }
    refuse_beyond_quota(caller).await?;
    let deadline = match command {
        Command::Retry => runs::retried_deadline(&row, caller.app.clock.now()),
        _ => row.deadline_at,
    };
    let job = Job { priority: row.spec.priority.of_job(), ..job };
    Ok(Some(Prepared { job, deadline }))
}

/// What follows a command that stands. None of it may fail the request: whoever meets the run or its job later does the same.
async fn follow(caller: &Caller, effect: Effect, before: &RunRow, job: Job) {
    if effect == Effect::Nothing {
        return;
    }
    let (app, tenant, run) = (&caller.app, caller.tenant, before.id);
    // Also to those who stream its events.
    tail::tell(app, Signal::Command { tenant, run }).await;
    match effect {
        Effect::Become(RunStatus::Queued) => {
            if let Err(error) = enqueue_owed(caller, before).await {
                tracing::warn!(%error, run.id = %run, "deliveries of the run wait for its end");
            }
            forget(caller, before.job).await;
            unqueue(caller, before.job).await;
            tail::push(app, &[job]).await;
        }
        Effect::Become(RunStatus::Paused) => {
            unqueue(caller, before.job).await;
            if let Err(error) = app.store.jobs().park(before.job).await {
                tracing::warn!(%error, run.id = %run, "the job of a paused run is swept until it is parked");
            }
        }
        Effect::Become(_) => {
            if let Err(error) = tail::run_ended(app, tenant, run, before.job).await {
                tracing::warn!(%error, run.id = %run, "the tail of a cancelled run is left to the sweeper");
            }
        }
        Effect::Ask(_) | Effect::TakeBack | Effect::Nothing => {}
    }
}

/// The tail of a run's end may not be done when it is retried.
async fn enqueue_owed(caller: &Caller, before: &RunRow) -> Result<(), StoreError> {
    let tx = caller.store().begin().await?;
    let pending = deliveries::pending_of_run(&tx, before.id).await?;
    drop(tx);
    tail::enqueue_deliveries(&caller.app, caller.tenant, &pending).await
}

async fn forget(caller: &Caller, job: JobId) {
    if let Err(error) = caller.app.store.jobs().delete(job).await {
        tracing::warn!(%error, "a job without a purpose stays until it is swept");
    }
}

async fn unqueue(caller: &Caller, job: JobId) {
    if let Err(error) = caller.app.broker.dispatch.remove(Queue::Runs, caller.tenant, job).await {
        tracing::debug!(%error, "a job without a purpose stays in the broker until a worker finds out");
    }
}

fn refused(refusal: Refusal) -> Error {
    match refusal {
        Refusal::Ended(_) => Error::new(Kind::Conflict, "run_ended", refusal.to_string()),
        Refusal::NotEnded(_) => Error::new(Kind::Conflict, "run_not_ended", refusal.to_string()),
        Refusal::Cancelling => {
            let detail = format!("{refusal}; it takes no other command, but a retry once it has ended");
            Error::new(Kind::Conflict, "run_cancelling", detail)
        }
        Refusal::NothingMissing => Error::new(Kind::Conflict, "nothing_to_retry", refusal.to_string()),
    }
}

/// Leaves tasks out of a run of the caller.
pub(crate) async fn skip(caller: &Caller, run: RunId, keys: &[String]) -> Result<(), Failure> {
    let tx = caller.store().begin().await?;
    let outcome = runs::skip(&tx, run, keys, caller.app.clock.now()).await?;
    tx.commit().await?;
    match outcome {
        Skipped::Missing => Err(Error::not_found("run").into()),
        Skipped::Ended(status) => Err(refused(Refusal::Ended(status)).into()),
        Skipped::Refused(tasks) => {
            let fields = tasks.iter().map(|(index, why)| {
                let detail = match why {
                    Unskippable::Unknown => "the run has no task of this key; GET /runs/{id}/tasks lists them",
                    Unskippable::Answered => "this task has its answer",
                    Unskippable::Failed => "this task has failed; retry the run when it has ended",
                };
                FieldError::new(format!("/task_keys/{index}"), detail)
            });
            Err(Error::invalid(fields.collect()).into())
        }
        Skipped::Done(0) => Ok(()),
        Skipped::Done(_) => {
            tail::tell(&caller.app, Signal::Command { tenant: caller.tenant, run }).await;
            Ok(())
        }
    }
}
