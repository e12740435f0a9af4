//! `runs`: submit, estimate, look at one or many.

use acm2_domain::estimate::estimate;
use acm2_domain::ids::RunId;
use acm2_domain::run::{Estimate, NewRun, Run, RunList, RunStatus};
use acm2_store::runs;
use poem::http::{HeaderName, header};
use poem_openapi::param::{Header, Path, Query};
use poem_openapi::{ApiResponse, OpenApi};

use super::Tag;
use super::page::Page;
use super::run_actions::delete;
use super::run_query::RunQuery;
use crate::auth::{Allowed, Caller, RunsRead, RunsWrite};
use crate::body::Body;
use crate::idempotency::Idempotency;
use crate::material;
use crate::poll_hint;
use crate::problem::Failure;
use crate::queue_place;
use crate::reply::{Accepted, Fresh, NoContent, Reply};
use crate::submit::{Submitted, submit};
use crate::waiting::{self, Wait};

/// How soon looking at a run makes sense of which only the beginning is known, in seconds.
const SOON: u64 = 1;

/// What a submission is answered with.
#[derive(Debug)]
pub(super) enum SubmitReply {
    /// It ended while the caller waited.
    Ended(Reply<Run>),
    /// It will be done.
    Accepted(Accepted<Run>),
}

impl poem::IntoResponse for SubmitReply {
    fn into_response(self) -> poem::Response {
        match self {
            Self::Ended(reply) => reply.into_response(),
            Self::Accepted(reply) => reply.into_response(),
        }
    }
}

impl ApiResponse for SubmitReply {
    fn meta() -> poem_openapi::registry::MetaResponses {
        let mut responses = <Accepted<Run> as ApiResponse>::meta().responses;
        let mut ended = <Reply<Run> as ApiResponse>::meta().responses;
        for response in &mut ended {
            response.description = "it ended while you waited (`Prefer: wait=N`)";
        }
        responses.append(&mut ended);
        poem_openapi::registry::MetaResponses { responses }
    }

    fn register(registry: &mut poem_openapi::registry::Registry) {
        <Reply<Run> as ApiResponse>::register(registry);
    }
}

/// `runs`, reading and submitting.
pub(super) struct Runs;

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Runs")]
impl Runs {
    /// Submit a run.
    ///
    /// Needs the scope `runs:write`, `library:read` where it names documents, a template or a preset, and `runs:read` where it takes over the answers of another run. The run is accepted at once and done by a worker; look at `Location`, or wait up to 60
    /// seconds for its end with the header `Prefer: wait=N`. With an `Idempotency-Key`, sending the same body again within
    /// 24 hours leads to the same run.
    #[oai(path = "/runs", method = "post", operation_id = "runs.create")]
    async fn create(
        &self,
        caller: Allowed<RunsWrite>,
        /// Your own name for this submission, 1 to 255 characters.
        #[oai(name = "Idempotency-Key")]
        idempotency_key: Header<Option<String>>,
        /// `wait=N`: answer when the run has ended, or after N seconds (at most 60).
        #[oai(name = "Prefer")]
        _prefer: Header<Option<String>>,
        wait: Wait,
        body: Body<NewRun>,
    ) -> Result<SubmitReply, Failure> {
        let idempotency = Idempotency::of(&caller, "runs.create", idempotency_key.0.as_deref(), &body.digest).await?;
        Ok(match submit(&caller, &body.value, &idempotency).await? {
            Submitted::New(run, load) if !wait.is_wanted() => {
                let hint = poll_hint::seconds_with(&caller.app, &run, load);
                submit_reply(*run, false, wait, hint)
            }
            Submitted::New(run, _) => waited_reply(&caller, run.id, false, wait).await?,
            Submitted::Replayed(run, answer) if !wait.is_wanted() => SubmitReply::Accepted(
                Accepted::again(answer).location(&path_of(run)).header(header::RETRY_AFTER, &SOON.to_string()),
            ),
            Submitted::Replayed(run, _) => waited_reply(&caller, run, true, wait).await?,
        })
    }

    /// Estimate a run.
    ///
    /// Needs the scope `runs:read`, and `library:read` as a submission does. Counts the calls and bounds the cost of what would be submitted; nothing is stored.
    #[oai(path = "/runs/estimate", method = "post", operation_id = "runs.estimate")]
    async fn estimate(&self, caller: Allowed<RunsRead>, body: Body<NewRun>) -> Result<Reply<Estimate>, Failure> {
        let compiled = material::compile(&caller, &body.value).await?;
        Ok(Reply::new(estimate(&compiled.spec, &caller.app.prices)))
    }

    /// List runs.
    ///
    /// Needs the scope `runs:read`. Newest first, without results.
    #[oai(path = "/runs", method = "get", operation_id = "runs.list")]
    #[expect(clippy::too_many_arguments, reason = "one per query parameter")]
    async fn list(
        &self,
        caller: Allowed<RunsRead>,
        /// `next_cursor` of the page before.
        cursor: Query<Option<String>>,
        /// How many runs a page has, 1 to 100; 20 where absent.
        limit: Query<Option<u32>>,
        /// Only those of this status.
        status: Query<Option<RunStatus>>,
        /// Only those with this tag.
        tag: Query<Option<String>>,
        /// Only those submitted at this time or later (RFC 3339).
        created_from: Query<Option<String>>,
        /// Only those submitted before this time (RFC 3339).
        created_before: Query<Option<String>>,
    ) -> Result<Reply<RunList>, Failure> {
        let page = Page::new(cursor.0.as_deref(), limit.0)?;
        let query = RunQuery {
            status: status.0,
            tag: tag.0,
            created_from: created_from.0.as_deref(),
            created_before: created_before.0.as_deref(),
        };
        let filter = query.filter(page.after)?;
        let tx = caller.store().begin().await?;
        let mut rows = runs::list(&tx, &filter, page.fetch()).await?;
        tx.commit().await?;
        let next_cursor = page.cut(&mut rows, |row| row.id.uuid());
        Ok(Reply::new(RunList { items: rows.iter().map(|row| runs::assemble(row, None)).collect(), next_cursor }))
    }

    /// Get a run.
    ///
    /// Needs the scope `runs:read`. With `If-None-Match`, a 304 while nothing has changed but its place in the queue; with
    /// `Prefer: wait=N`, waits for its end up to N seconds.
    #[oai(path = "/runs/:run_id", method = "get", operation_id = "runs.get")]
    async fn get(
        &self,
        caller: Allowed<RunsRead>,
        run_id: Path<RunId>,
        /// An `ETag` of an earlier answer.
        #[oai(name = "If-None-Match")]
        if_none_match: Header<Option<String>>,
        /// `wait=N`: answer when the run has ended, or after N seconds (at most 60).
        #[oai(name = "Prefer")]
        _prefer: Header<Option<String>>,
        wait: Wait,
    ) -> Result<Fresh<Run>, Failure> {
        let (run, job) = waiting::get_run_and_job(&caller, run_id.0, wait).await?;
        let hint = if run.status.is_terminal() {
            None
        } else {
            Some(poll_hint::seconds(&caller.app, caller.tenant, &run).await)
        };
        let queued = run.status == RunStatus::Queued;
        let in_queue = async |run: &mut Run| {
            if queued {
                run.queue = queue_place::find(&caller, job).await;
            }
        };
        let fresh = Fresh::new(run, if_none_match.0.as_deref(), in_queue).await;
        Ok(match hint {
            Some(hint) => fresh.header(header::RETRY_AFTER, &hint.to_string()),
            None => fresh,
        })
    }

    /// Delete a run.
    ///
    /// Needs the scope `runs:write`. Only a run that has ended: cancel it first. What it was asked and answered is gone then, also
    /// from its webhook deliveries; one that is still to be made keeps its text until it is.
    #[oai(path = "/runs/:run_id", method = "delete", operation_id = "runs.delete")]
    async fn delete(&self, caller: Allowed<RunsWrite>, run_id: Path<RunId>) -> Result<NoContent, Failure> {
        match delete(&caller, run_id.0).await? {
            None => Ok(NoContent),
            Some(error) => Err(error.into()),
        }
    }
}

/// The path of a run.
pub(super) fn path_of(run: RunId) -> String {
    format!("/api/v1/runs/{run}")
}

/// The answer to one who waits for the run.
async fn waited_reply(caller: &Caller, run: RunId, replayed: bool, wait: Wait) -> Result<SubmitReply, Failure> {
    let run = waiting::get_run(caller, run, wait).await?;
    let hint = if run.status.is_terminal() { SOON } else { poll_hint::seconds(&caller.app, caller.tenant, &run).await };
    Ok(submit_reply(run, replayed, wait, hint))
}

/// `hint`: how soon looking again makes sense, in seconds.
fn submit_reply(run: Run, replayed: bool, wait: Wait, hint: u64) -> SubmitReply {
    let location = path_of(run.id);
    let mut headers = Vec::new();
    if replayed {
        headers.push((HeaderName::from_static("idempotent-replayed"), "true".to_owned()));
    }
    if wait.is_wanted() {
        headers.push((HeaderName::from_static("preference-applied"), wait.applied()));
    }
    if run.status.is_terminal() && wait.is_wanted() {
        let reply = headers.into_iter().fold(Reply::new(run), |reply, (name, value)| reply.header(name, &value));
        return SubmitReply::Ended(reply.location(&location));
    }
    let reply = headers.into_iter().fold(Accepted::new(run), |reply, (name, value)| reply.header(name, &value));
    SubmitReply::Accepted(reply.location(&location).header(header::RETRY_AFTER, &hint.to_string()))
}
