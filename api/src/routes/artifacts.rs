//! `runs/{run}/artifacts`: files that tasks made.

use acm2_domain::ids::{ArtifactId, RunId};
use acm2_store::runs;
use poem_openapi::OpenApi;
use poem_openapi::param::{Header, Path};

use super::Tag;
use crate::artifact_file::{self, ArtifactFile};
use crate::auth::{Allowed, RunsRead};
use crate::problem::Failure;

/// `artifacts`.
pub(super) struct Artifacts;

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Runs")]
impl Artifacts {
    /// Download an artifact.
    ///
    /// Needs the scope `runs:read`. A file that a task of the run made, such as an image; its tasks name them. What it is was
    /// found by its bytes. With `If-None-Match`, a 304: an artifact never changes.
    #[oai(path = "/runs/:run_id/artifacts/:artifact_id", method = "get", operation_id = "runs.artifact")]
    async fn download(
        &self,
        caller: Allowed<RunsRead>,
        run_id: Path<RunId>,
        artifact_id: Path<ArtifactId>,
        /// An `ETag` of an earlier answer.
        #[oai(name = "If-None-Match")]
        if_none_match: Header<Option<String>>,
    ) -> Result<ArtifactFile, Failure> {
        let tx = caller.store().begin().await?;
        let (content_type, sha256) = runs::get_artifact(&tx, run_id.0, artifact_id.0).await?;
        let data = if artifact_file::has(if_none_match.0.as_deref(), sha256) {
            None
        } else {
            Some(runs::read_artifact(&tx, artifact_id.0).await?)
        };
        tx.commit().await?;
        Ok(ArtifactFile { content_type, sha256, data })
    }
}
