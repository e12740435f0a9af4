//! Runs that ask nothing of their tenant's store but to be written: those of one tenant that are submitted at the same time are
//! written in one transaction (PROTOCOL rule 2). `submit` decides which they are, and writes the others one by one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use acm2_domain::ids::TenantId;
use acm2_domain::job::Job;
use acm2_domain::run::RunSpec;
use acm2_store::runs::{self, NewRunRow, RunRow};
use acm2_store::{Gather, StoreError};
use chrono::{DateTime, Utc};
use futures_util::future::{join, join_all};

use crate::app::App;

/// Bytes of text in a run that is written with others: a few large ones are no fewer bytes together.
const MOST_BYTES: usize = 64 << 10;
/// How long a tenant for whose run a budget was found submits one by one.
const BOUND_FOR: Duration = Duration::from_mins(1);
/// Of so many tenants that is remembered.
const MOST_BOUND: usize = 10_000;

/// What is being submitted by this process.
#[derive(Debug)]
pub struct PlainRuns {
    gather: Gather<TenantId, Arc<PlainRun>, Written>,
    /// Tenants with budgets, and since when that is known.
    bound: Mutex<HashMap<TenantId, Instant>>,
}

/// A run that is to be written.
#[derive(Debug)]
pub(crate) struct PlainRun {
    pub(crate) row: NewRunRow,
    pub(crate) job: Job,
    pub(crate) now: DateTime<Utc>,
}

/// What became of it. The job is as it is to be pushed, and its row is written.
#[derive(Debug)]
pub(crate) enum Written {
    Run(Box<RunRow>, Job),
    /// A budget applies to it: it is not written yet.
    Bound(Job),
}

impl Default for PlainRuns {
    fn default() -> Self {
        Self { gather: Gather::for_callers(), bound: Mutex::default() }
    }
}

impl PlainRuns {
    /// Whether a run of the tenant may be written so: it is small, without stages and research, names nothing of the store, and no budget of the tenant is known.
    pub(crate) fn may_take(&self, tenant: TenantId, spec: &RunSpec) -> bool {
        let texts =
            spec.messages.iter().map(|message| message.content.len()).chain(spec.system.iter().map(String::len));
        spec.documents.is_empty()
            && spec.stages.is_empty()
            && spec.research.is_none()
            && spec.asked_models().iter().all(|(_, model)| model.provider_key_id.is_none())
            && texts.sum::<usize>() <= MOST_BYTES
            && self.bound().get(&tenant).is_none_or(|since| since.elapsed() >= BOUND_FOR)
    }

    /// Writes it with what else the tenant submits at the moment. Once begun it goes on when the caller is gone.
    pub(crate) async fn write(&self, app: &App, tenant: TenantId, run: Arc<PlainRun>) -> Result<Written, StoreError> {
        let together = {
            let app = app.clone();
            move |runs| write_all(app.clone(), tenant, runs)
        };
        let written = self.gather.hand_in(tenant, run, together).await?;
        if let Written::Bound(_) = written {
            let mut bound = self.bound();
            if bound.len() >= MOST_BOUND {
                bound.retain(|_, since| since.elapsed() < BOUND_FOR);
            }
            if bound.len() < MOST_BOUND {
                bound.insert(tenant, Instant::now());
            }
        }
        Ok(written)
    }

    fn bound(&self) -> MutexGuard<'_, HashMap<TenantId, Instant>> {
        self.bound.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The jobs' rows beside one transaction for all the runs, which is committed after they are. Where the database is away before the
/// commit, the rows that were written are deleted; of what it refuses otherwise rows may stand: writing them again changes nothing, and
/// `submit` deletes those of whom it refuses in the end.
async fn write_all(app: App, tenant: TenantId, all: Vec<Arc<PlainRun>>) -> Result<Vec<Written>, StoreError> {
    let jobs = app.store.jobs();
    let due_in = app.timing.job_due;
    // Before the jobs' rows: a crash of the database that takes one of them takes this transaction, too.
    let tx = app.store.tenant(tenant).begin().await?;
    let inserts = all.iter().map(|run| jobs.insert(&run.job, due_in, Some(run.row.deadline(run.now))));
    let rows: Vec<_> = all.iter().map(|run| (&run.row, run.now)).collect();
    let writing = async {
        let written = runs::insert_all_unless_bound(&tx, &rows).await?;
        Ok::<_, StoreError>((tx, written))
    };
    let (inserted, written) = join(join_all(inserts), Box::pin(writing)).await;
    let written_jobs: Vec<_> =
        all.iter().zip(&inserted).filter(|(_, job)| job.is_ok()).map(|(run, _)| run.job.id).collect();
    let both = inserted.into_iter().collect::<Result<Vec<_>, _>>().and_then(|inserted| Ok((inserted, written?)));
    let (inserted, (tx, written)) = match both {
        Ok(both) => both,
        Err(error) => {
            // Nothing is committed, so nothing is to be done. If this fails, the sweeper finds jobs without runs.
            if error.is_unavailable() {
                join_all(written_jobs.into_iter().map(|job| jobs.delete(job))).await;
            }
            return Err(error);
        }
    };
    if written.iter().any(Option::is_some) {
        tx.commit().await?;
    }
    let jobs = all.iter().zip(inserted).map(|(run, inserted)| inserted.unwrap_or(run.job));
    let outcome = |(job, row): (Job, Option<RunRow>)| match row {
        Some(row) => Written::Run(Box::new(row), job),
        None => Written::Bound(job),
    };
    Ok(jobs.zip(written).map(outcome).collect())
}
