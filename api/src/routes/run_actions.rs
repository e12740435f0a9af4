//! `runs`: cancel and delete, one or many.

use acm2_broker::signals::Signal;
use acm2_domain::error::{Error, FieldError, Kind};
use acm2_domain::ids::RunId;
use acm2_domain::run::Run;
use acm2_store::runs::{self, CancelOutcome, DeleteOutcome};
use poem_openapi::param::Path;
use poem_openapi::{Object, OpenApi};
use serde::{Deserialize, Serialize};

use super::Tag;
use super::runs::path_of;
use crate::app::App;
use crate::auth::{Allowed, Caller, RunsWrite};
use crate::body::{Body, Check};
use crate::problem::Failure;
use crate::reply::{Accepted, Reply};
use crate::tail;
use crate::waiting::{self, Wait};

const MOST_AT_ONCE: usize = 100;

/// Runs that shall be deleted.
#[derive(Debug, Deserialize, Object)]
#[serde(deny_unknown_fields)]
pub(super) struct RunsToDelete {
    /// 1 to 100 runs that have ended.
    #[oai(validator(min_items = 1, max_items = 100))]
    pub ids: Vec<RunId>,
}

impl Check for RunsToDelete {
    fn check(&self, _app: &App) -> Vec<FieldError> {
        if self.ids.is_empty() || self.ids.len() > MOST_AT_ONCE {
            return vec![FieldError::new("/ids", format!("must name 1 to {MOST_AT_ONCE} runs"))];
        }
        Vec::new()
    }
}

/// A run that was not deleted.
#[derive(Debug, Serialize, Object)]
pub(super) struct RunNotDeleted {
    /// Its id.
    pub id: RunId,
    /// `not_found`, or `run_not_ended`.
    pub code: String,
    /// For a person.
    pub detail: String,
}

/// What became of the runs that should be deleted.
#[derive(Debug, Serialize, Object)]
pub(super) struct RunsDeleted {
    /// Those that are gone.
    pub deleted: Vec<RunId>,
    /// Those that are not.
    pub refused: Vec<RunNotDeleted>,
}

/// `runs`, commands.
pub(super) struct RunActions;

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Runs")]
impl RunActions {
    /// Cancel a run.
    ///
    /// Needs the scope `runs:write`. A run that waits ends at once; one that a worker has ends as soon as the worker sees the
    /// command, within seconds. While it stops, a second command changes nothing; on a run that has ended, it is a 409.
    #[oai(path = "/runs/:run_id/cancel", method = "post", operation_id = "runs.cancel")]
    async fn cancel(&self, caller: Allowed<RunsWrite>, run_id: Path<RunId>) -> Result<Accepted<Run>, Failure> {
        let run = run_id.0;
        let tx = caller.store().begin().await?;
        let outcome = runs::request_cancel(&tx, run, caller.app.clock.now()).await?;
        tx.commit().await?;
        match outcome {
            CancelOutcome::Missing => return Err(Error::not_found("run").into()),
            CancelOutcome::AlreadyEnded(status) => {
                let detail = format!("the run has ended already: it is {status}");
                return Err(Error::new(Kind::Conflict, "run_ended", detail).into());
            }
            CancelOutcome::Ended(row, _) => {
                if let Err(error) = tail::run_ended(&caller.app, caller.tenant, run, row.job).await {
                    // The end stands; whoever finds the run terminal does the rest.
                    tracing::warn!(%error, run.id = %run, "the tail of a cancelled run is left to the sweeper");
                }
            }
            CancelOutcome::Requested(_) => {
                tail::tell(&caller.app, Signal::Command { tenant: caller.tenant, run }).await;
            }
        }
        let run = waiting::get_run(&caller, run, Wait::NONE).await?;
        let location = path_of(run.id);
        Ok(Accepted::new(run).location(&location))
    }

    /// Delete many runs.
    ///
    /// Needs the scope `runs:write`. Those that have ended are deleted, the others are named with the reason.
    #[oai(path = "/runs/bulk-delete", method = "post", operation_id = "runs.bulkDelete")]
    async fn bulk_delete(
        &self,
        caller: Allowed<RunsWrite>,
        body: Body<RunsToDelete>,
    ) -> Result<Reply<RunsDeleted>, Failure> {
        let mut result = RunsDeleted { deleted: Vec::new(), refused: Vec::new() };
        for id in body.value.ids {
            match delete(&caller, id).await? {
                None => result.deleted.push(id),
                Some(error) => {
                    result.refused.push(RunNotDeleted { id, code: error.code.to_owned(), detail: error.detail });
                }
            }
        }
        Ok(Reply::new(result))
    }
}

/// `None` where it is gone.
pub(super) async fn delete(caller: &Caller, run: RunId) -> Result<Option<Error>, Failure> {
    let tx = caller.store().begin().await?;
    let outcome = runs::delete(&tx, run).await?;
    tx.commit().await?;
    Ok(match outcome {
        DeleteOutcome::Deleted => None,
        DeleteOutcome::Missing => Some(Error::not_found("run")),
        DeleteOutcome::NotEnded(status) => {
            let detail = format!("the run is {status}; only a run that has ended can be deleted");
            Some(Error::new(Kind::Conflict, "run_not_ended", detail))
        }
    })
}
