//! `runs`: what came of one, for people to look at and to take away.

use acm2_domain::ids::RunId;
use acm2_domain::judged::Judging;
use poem::http::{StatusCode, header};
use poem::{IntoResponse, Response};
use poem_openapi::param::Path;
use poem_openapi::registry::{MetaMediaType, MetaResponse, MetaResponses, MetaSchema, MetaSchemaRef, Registry};
use poem_openapi::{ApiResponse, Object, OpenApi};
use serde::Serialize;

use super::Tag;
use crate::auth::{Allowed, RunsRead};
use crate::export_stream::{self, ExportStream};
use crate::outcome;
use crate::problem::Failure;
use crate::reply::Reply;

/// How the answers of a run were judged.
#[derive(Debug, Serialize, Object)]
pub(super) struct JudgingList {
    /// One entry for each document, or one for the prompt alone; none for a run that has no `stages`.
    pub items: Vec<Judging>,
}

/// The report, as a page that may do nothing but be looked at.
#[derive(Debug)]
pub(super) struct ReportPage(String);

/// No script, no form, nothing from elsewhere; a browser treats it as a stranger's page.
const NOTHING_BUT_LOOKS: &str = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:";

impl IntoResponse for ReportPage {
    fn into_response(self) -> Response {
        Response::builder()
            .status(StatusCode::OK)
            .content_type("text/html; charset=utf-8")
            .header(header::CONTENT_SECURITY_POLICY, NOTHING_BUT_LOOKS)
            .header(header::X_CONTENT_TYPE_OPTIONS, "nosniff")
            .header(header::REFERRER_POLICY, "no-referrer")
            .body(self.0)
    }
}

impl ApiResponse for ReportPage {
    fn meta() -> MetaResponses {
        let schema = MetaSchemaRef::Inline(Box::new(MetaSchema::new("string")));
        let response = MetaResponse {
            description: "the page",
            status: Some(200),
            status_range: None,
            content: vec![MetaMediaType { content_type: "text/html", schema }],
            headers: Vec::new(),
        };
        MetaResponses { responses: vec![response] }
    }

    fn register(_registry: &mut Registry) {}
}

/// `runs`, what came of one.
pub(super) struct RunOutcome;

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Runs")]
impl RunOutcome {
    /// Get how the answers of a run were judged.
    ///
    /// Needs the scope `runs:read`. Leaderboards with intervals, every score and vote with its reason, how far the judges can be
    /// believed, the winner and how sure that is; computed from what has come so far. And the final answer, once the run has ended.
    /// `judging_too_large` where judges said more than 64 MiB; the export has it.
    #[oai(path = "/runs/:run_id/judging", method = "get", operation_id = "runs.judging")]
    async fn judging(&self, caller: Allowed<RunsRead>, run_id: Path<RunId>) -> Result<Reply<JudgingList>, Failure> {
        Ok(Reply::new(JudgingList { items: outcome::judging(&caller, run_id.0).await? }))
    }

    /// Get the report of a run.
    ///
    /// Needs the scope `runs:read`. One HTML page that needs nothing else: leaderboards, scores, votes, images, what was expected and
    /// what came, the timeline, cost by model and stage, what is missing. It holds no script.
    #[oai(path = "/runs/:run_id/report", method = "get", operation_id = "runs.report")]
    async fn report(&self, caller: Allowed<RunsRead>, run_id: Path<RunId>) -> Result<ReportPage, Failure> {
        Ok(ReportPage(outcome::report(&caller, run_id.0).await?))
    }

    /// Export a run.
    ///
    /// Needs the scope `runs:read`. A ZIP with everything: the run, its tasks, judging and events as JSON, tables as CSV, the
    /// report, each answer and document as a text file, and each image. Of a run that is `judging_too_large`, all but the judging.
    #[oai(path = "/runs/:run_id/export", method = "get", operation_id = "runs.export")]
    async fn export(&self, caller: Allowed<RunsRead>, run_id: Path<RunId>) -> Result<ExportStream, Failure> {
        let place = export_stream::enter(&caller)?;
        let export = outcome::export(&caller, run_id.0).await?;
        Ok(ExportStream::new(&caller, export, place))
    }
}
