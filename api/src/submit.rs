//! Submitting a run (PROTOCOL rule 2): the jobs row beside one tenant transaction, which is committed after it, and the push. Called by `routes::runs`.

use std::pin::pin;
use std::sync::Arc;

use acm2_broker::dispatch::Load;
use acm2_domain::error::{Error, FieldError, Kind};
use acm2_domain::ids::{JobId, RunId};
use acm2_domain::job::{Job, Queue, Work};
use acm2_domain::run::{NewRun, Run, RunSpec};
use acm2_store::runs::{self, NewRunRow, Settled};
use acm2_store::{StoreError, TenantTx, provider_keys};
use chrono::{DateTime, Utc};
use futures_util::future::{Either, select};

use crate::auth::Caller;
use crate::body::Check;
use crate::idempotency::Idempotency;
use crate::material::{self, Compiled};
use crate::plain_runs::{self, PlainRun};
use crate::problem::Failure;
use crate::{answers, runnable, spending, tail};

impl Check for NewRun {
    fn check(&self, app: &crate::app::App) -> Vec<FieldError> {
        NewRun::check(self, &app.prices)
    }
}

/// What a submission led to.
#[derive(Debug)]
pub(crate) enum Submitted {
    /// A new run, and what it came upon in the queue.
    New(Box<Run>, Load),
    /// The run that an earlier submission with the same `Idempotency-Key` made, and what was answered then.
    Replayed(RunId, String),
}

/// Submits a run.
pub(crate) async fn submit(caller: &Caller, body: &NewRun, idempotency: &Idempotency) -> Result<Submitted, Failure> {
    let compiled = material::compile(caller, body).await.and_then(|compiled| {
        let Compiled { body, spec } = &compiled;
        spec.check_prices(&caller.app.prices).map_err(|error| placed(body, spec, error))?;
        Ok(compiled)
    });
    let Compiled { body, spec } = match compiled {
        Ok(compiled) => compiled,
        Err(failure) => return repeated(caller, idempotency, failure).await,
    };
    let load = load(caller).await;
    let full = refusal(caller, load.waiting);
    // A repeated request is told of the run that it made, also while the queue is full.
    if let Some(refusal) = full.as_ref().filter(|_| !idempotency.is_named()) {
        return Err(refusal.clone().into());
    }
    let row = NewRunRow {
        id: RunId::generate(),
        job: JobId::generate(),
        api_key: Some(caller.api_key),
        spec,
        metadata: body.metadata.clone(),
        tags: body.tags.clone(),
        reserved: None,
    };
    let job = Job {
        id: row.job,
        tenant: caller.tenant,
        work: Work::RunV1(row.id),
        priority: row.spec.priority.of_job(),
        weight: None,
    };
    let now = caller.app.clock.now();
    let (row, job_row) = if !idempotency.is_named() && caller.app.plain_runs.may_take(caller.tenant, &row.spec) {
        let plain = Arc::new(PlainRun { row, job, now });
        match caller.app.plain_runs.write(&caller.app, caller.tenant, Arc::clone(&plain)).await {
            Ok(plain_runs::Written::Run(written, job)) => {
                let run = runs::assemble(&written, Some(&Settled::default()));
                tail::push(&caller.app, &[job]).await;
                return Ok(Submitted::New(Box::new(run), load));
            }
            Ok(plain_runs::Written::Bound(job)) => {
                (Arc::try_unwrap(plain).map_or_else(|plain| plain.row.clone(), |plain| plain.row), Some(job))
            }
            Err(error) => {
                // Of a database that is away nobody knows what it did with a commit: then the sweeper finds out.
                if !error.is_unavailable() {
                    forget(caller, job.id).await;
                }
                return Err(error.into());
            }
        }
    } else {
        (row, None)
    };
    // Before the job's row: a crash of the database that takes the row takes this transaction, too.
    let tx = caller.store().begin().await?;
    let (inserted, written) = {
        let (deadline, jobs) = (row.deadline(now), caller.app.store.jobs());
        let insert = pin!(async {
            match job_row {
                // It was written before the transaction began.
                Some(written) if jobs.reschedule(job.id, caller.app.timing.job_due).await? => Ok(Some(written)),
                _ => jobs.insert(&job, caller.app.timing.job_due, Some(deadline)).await,
            }
        });
        let write = Box::pin(write(tx, caller, row, &body, idempotency, full, now));
        // At the same time: what counts is that the job's row is committed before the run is. Once the job's is begun it is waited
        // for, whatever becomes of the run, so that it can be deleted.
        match select(insert, write).await {
            Either::Left((inserted, write)) => (inserted?, write.await),
            Either::Right((written, insert)) => (insert.await?, written),
        }
    };
    let outcome = match written {
        // Whether a commit that failed was applied cannot be known: then the job stays, and the sweeper finds out.
        Ok(Written::New(run, tx)) => {
            tx.commit().await?;
            tail::push(&caller.app, &[inserted.unwrap_or(job)]).await;
            return Ok(Submitted::New(run, load));
        }
        Ok(Written::Replay(run, answer)) => Ok(Submitted::Replayed(run, answer)),
        Err(failure) => Err(failure),
    };
    // Nothing was written, so nothing is to be done.
    forget(caller, job.id).await;
    outcome
}

/// Deletes the job's row of a run that was not written. If this fails, the sweeper finds a job without a run.
async fn forget(caller: &Caller, job: JobId) {
    if let Err(error) = caller.app.store.jobs().delete(job).await {
        tracing::warn!(%error, "the job of a refused run stays until it is swept");
    }
}

enum Written {
    /// To be committed once the job's row is.
    New(Box<Run>, TenantTx),
    Replay(RunId, String),
}

/// Writes everything of the run but commits nothing. On a failure nothing of it may be committed.
async fn write(
    tx: TenantTx,
    caller: &Caller,
    mut row: NewRunRow,
    body: &NewRun,
    idempotency: &Idempotency,
    full: Option<Error>,
    now: DateTime<Utc>,
) -> Result<Written, Failure> {
    if let Some(earlier) = idempotency.begin(&tx, now).await? {
        return Ok(Written::Replay(RunId::from(earlier.subject), earlier.text));
    }
    if let Some(refusal) = full {
        return Err(refusal.into());
    }
    answers::hold(&tx, &row.spec).await?;
    check_keys(&tx, body, &row.spec).await?;
    let written = if let Some(written) = runs::insert_unless_bound(&tx, &row, now).await? {
        written
    } else {
        let reserved = spending::reserve(&tx, caller, row.id, &row.spec, now).await;
        row.reserved = reserved.map_err(|failure| match failure {
            Failure::Domain(error) => placed(body, &row.spec, error).into(),
            other => other,
        })?;
        runs::insert(&tx, &row, now).await?
    };
    let written = runs::take_over(&tx, written, now).await?;
    material::name_texts(&tx, row.id, body, &row.spec).await?;
    let run = runs::assemble(&written, Some(&Settled::default()));
    idempotency.finish(&tx, row.id.uuid(), Some(&run)).await?;
    Ok(Written::New(Box::new(run), tx))
}

/// A repeated request is told of the run that it made, also when what it names of the library has gone or changed since; any other of its
/// failure.
async fn repeated(caller: &Caller, idempotency: &Idempotency, failure: Failure) -> Result<Submitted, Failure> {
    if !idempotency.is_named() || !matches!(&failure, Failure::Domain(error) if error.kind == Kind::Invalid) {
        return Err(failure);
    }
    // Nothing is committed, so a new name is not taken.
    let tx = caller.store().begin().await?;
    let earlier = idempotency.begin(&tx, caller.app.clock.now()).await?.ok_or(failure)?;
    Ok(Submitted::Replayed(RunId::from(earlier.subject), earlier.text))
}

/// An error about models of a specification, with their places in the request.
fn placed(body: &NewRun, spec: &RunSpec, error: Error) -> Error {
    Error { fields: body.places_of(spec, error.fields), ..error }
}

/// A provider key that the caller names must be there, and of the provider that it is named for. Of the other keys that of a search
/// must be there: it is needed only when models have been paid for.
async fn check_keys(tx: &TenantTx, body: &NewRun, spec: &RunSpec) -> Result<(), Failure> {
    let mut wrong = Vec::new();
    for (place, model) in spec.asked_models() {
        let Some(id) = model.provider_key_id else { continue };
        let pointer = format!("{place}/provider_key_id");
        match provider_keys::get(tx, id).await {
            Err(StoreError::NotFound(_)) => wrong.push(FieldError::new(pointer, "there is no such provider key")),
            Err(error) => return Err(error.into()),
            Ok(key) if key.provider != model.provider => {
                wrong.push(FieldError::new(pointer, format!("is a key of another provider than {}", model.provider)));
            }
            Ok(_) => {}
        }
    }
    let search = spec.research.as_ref().filter(|_| spec.answers_of.is_none()).map(|research| &research.search);
    if let Some(search) = search
        && wrong.is_empty()
        && !runnable::has_key(tx, search).await?
    {
        let place = if search.provider_key_id.is_some() { "/research/provider_key_id" } else { "/research/provider" };
        wrong.push(FieldError::new(place, runnable::no_key(search)));
    }
    if wrong.is_empty() { Ok(()) } else { Err(Error::invalid(body.places_of(spec, wrong)).into()) }
}

/// Refuses one more run in a full queue.
pub(crate) async fn refuse_beyond_quota(caller: &Caller) -> Result<(), Error> {
    refusal(caller, load(caller).await.waiting).map_or(Ok(()), Err)
}

/// What a run of the tenant comes upon; nothing while the broker is away, where nobody counts.
async fn load(caller: &Caller) -> Load {
    caller.app.broker.dispatch.load(Queue::Runs, caller.tenant).await.unwrap_or_else(|error| {
        tracing::warn!(%error, "the broker is away; the run is accepted all the same");
        Load::default()
    })
}

/// The broker's memory is bounded: so many runs of a tenant may wait.
fn refusal(caller: &Caller, waiting: u64) -> Option<Error> {
    const RETRY_AFTER: u64 = 30;
    let most = caller.app.config.queue.tenant_quota;
    (waiting >= most).then(|| {
        let detail = format!("{most} runs of yours wait already; come back when some have begun");
        Error::new(Kind::TooMany, "queue_full", detail).retry_after(RETRY_AFTER)
    })
}
