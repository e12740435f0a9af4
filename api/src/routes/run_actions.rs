//! `runs`: commands on one, and deleting one or many.

use acm2_domain::error::{Error, FieldError, Kind};
use acm2_domain::ids::RunId;
use acm2_domain::run::Run;
use acm2_domain::run::machine::Command;
use acm2_store::runs::{self, DeleteOutcome};
use poem_openapi::param::Path;
use poem_openapi::{Object, OpenApi};
use serde::{Deserialize, Serialize};

use super::Tag;
use super::runs::path_of;
use crate::app::App;
use crate::auth::{Allowed, Caller, RunsWrite};
use crate::body::{Body, Check};
use crate::commands;
use crate::problem::Failure;
use crate::reply::{Accepted, Reply};
use crate::waiting::{self, Wait};

const MOST_AT_ONCE: usize = 100;
/// A request's tasks are written in one transaction, with the run's row locked. A run may have more, up to 10,000: then callers
/// skip in several requests.
const MOST_SKIPPED: usize = 500;

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

/// Tasks that shall be left out.
#[derive(Debug, Deserialize, Object)]
#[serde(deny_unknown_fields)]
pub(super) struct TasksToSkip {
    /// 1 to 500 keys of tasks, such as `generate/prompt/m0/1`; more in further requests.
    #[oai(validator(min_items = 1, max_items = 500))]
    pub task_keys: Vec<String>,
}

impl Check for TasksToSkip {
    fn check(&self, _app: &App) -> Vec<FieldError> {
        if self.task_keys.is_empty() || self.task_keys.len() > MOST_SKIPPED {
            return vec![FieldError::new("/task_keys", format!("must name 1 to {MOST_SKIPPED} tasks"))];
        }
        Vec::new()
    }
}

/// `runs`, commands.
pub(super) struct RunActions;

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Runs")]
impl RunActions {
    /// Cancel a run.
    ///
    /// Needs the scope `runs:write`. A run that waits ends at once; one that a worker has ends as soon as the worker sees the
    /// command, within seconds; its calls are dropped. While it stops, a second command changes nothing; on a run that has ended,
    /// it is a 409. Nothing takes a cancellation back.
    #[oai(path = "/runs/:run_id/cancel", method = "post", operation_id = "runs.cancel")]
    async fn cancel(&self, caller: Allowed<RunsWrite>, run_id: Path<RunId>) -> Result<Accepted<Run>, Failure> {
        command(&caller, run_id.0, Command::Cancel).await
    }

    /// Pause a run.
    ///
    /// Needs the scope `runs:write`. A run that waits is paused at once; one that a worker has finishes the calls that are under
    /// way and starts no others: until then `requested` says `pause`. Its deadline goes on. Pausing twice changes nothing.
    #[oai(path = "/runs/:run_id/pause", method = "post", operation_id = "runs.pause")]
    async fn pause(&self, caller: Allowed<RunsWrite>, run_id: Path<RunId>) -> Result<Accepted<Run>, Failure> {
        command(&caller, run_id.0, Command::Pause).await
    }

    /// Resume a run.
    ///
    /// Needs the scope `runs:write`. A paused run is queued again, and no answer that it has is asked for again. A pause that its
    /// worker has not acted on yet is taken back. On a run that is not paused, it changes nothing.
    #[oai(path = "/runs/:run_id/resume", method = "post", operation_id = "runs.resume")]
    async fn resume(&self, caller: Allowed<RunsWrite>, run_id: Path<RunId>) -> Result<Accepted<Run>, Failure> {
        command(&caller, run_id.0, Command::Resume).await
    }

    /// Retry a run.
    ///
    /// Needs the scope `runs:write`. A run that has ended is queued again for what it ended without; answers stay, and so do tasks
    /// that were skipped. Its deadline counts anew from now, its ceiling does not: what the run has cost stays counted. Where
    /// it would change nothing (all that is missing was skipped, or lacks what was) it is a 409 `nothing_to_retry`.
    #[oai(path = "/runs/:run_id/retry", method = "post", operation_id = "runs.retry")]
    async fn retry(&self, caller: Allowed<RunsWrite>, run_id: Path<RunId>) -> Result<Accepted<Run>, Failure> {
        command(&caller, run_id.0, Command::Retry).await
    }

    /// Skip tasks of a run.
    ///
    /// Needs the scope `runs:write`. The tasks of the request are left out, all or none; a call that is under way for one is
    /// dropped. The run goes on with the others and ends without these: they are listed in `missing`. Skipping a task twice changes
    /// nothing. A request names at most 500 tasks, and a run may have more: skip those in several requests, each of which is all or
    /// none by itself.
    #[oai(path = "/runs/:run_id/skip", method = "post", operation_id = "runs.skip")]
    async fn skip(
        &self,
        caller: Allowed<RunsWrite>,
        run_id: Path<RunId>,
        body: Body<TasksToSkip>,
    ) -> Result<Accepted<Run>, Failure> {
        commands::skip(&caller, run_id.0, &body.value.task_keys).await?;
        accepted(&caller, run_id.0).await
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

async fn command(caller: &Caller, run: RunId, command: Command) -> Result<Accepted<Run>, Failure> {
    commands::give(caller, run, command).await?;
    accepted(caller, run).await
}

/// The run as it stands now.
async fn accepted(caller: &Caller, run: RunId) -> Result<Accepted<Run>, Failure> {
    let run = waiting::get_run(caller, run, Wait::NONE).await?;
    let location = path_of(run.id);
    Ok(Accepted::new(run).location(&location))
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
