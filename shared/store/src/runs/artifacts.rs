//! Artifacts: files that tasks made. Their bytes are written in the transaction that writes the answer they belong to, an answer
//! that comes late too; what is told of them stands with the answer. Deleting the run takes them along.

use acm2_domain::artifact::{Artifact, ArtifactType};
use acm2_domain::content_hash::ContentHash;
use acm2_domain::ids::{ArtifactId, RunId};
use acm2_domain::run::ArtifactRef;
use chrono::{DateTime, Utc};
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter, QuerySelect};
use serde::{Deserialize, Serialize};

use super::artifact_entity::{ActiveModel, Column, Entity};
use crate::column::{from_hash, from_word, signed};
use crate::{StoreError, TenantTx};

/// What stands with an answer of an artifact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredArtifact {
    /// Its id.
    pub id: ArtifactId,
    /// What it is.
    pub content_type: ArtifactType,
    /// How many bytes it has.
    pub bytes: u64,
    /// The SHA-256 of its bytes.
    pub sha256: ContentHash,
    /// The artifact itself, until its bytes are written.
    #[serde(skip)]
    unwritten: Option<Artifact>,
}

impl StoredArtifact {
    /// A new artifact, to be written with its answer.
    pub fn new(artifact: &Artifact) -> Self {
        Self {
            id: ArtifactId::generate(),
            content_type: artifact.content_type(),
            bytes: artifact.data().len() as u64,
            sha256: ContentHash::of(artifact.data()),
            unwritten: Some(artifact.clone()),
        }
    }

    /// As callers see it.
    pub(super) fn seen(&self, run: RunId) -> ArtifactRef {
        ArtifactRef {
            id: self.id,
            content_type: self.content_type,
            bytes: self.bytes,
            sha256: self.sha256,
            path: format!("/api/v1/runs/{run}/artifacts/{}", self.id),
        }
    }
}

/// Writes the bytes of artifacts that are still to be written.
pub(super) async fn write(
    tx: &TenantTx,
    run: RunId,
    task_key: &str,
    artifacts: &[StoredArtifact],
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    for artifact in artifacts {
        let Some(unwritten) = &artifact.unwritten else { continue };
        let row = ActiveModel {
            id: Set(artifact.id.uuid()),
            run_id: Set(run.uuid()),
            task_key: Set(task_key.to_owned()),
            content_type: Set(artifact.content_type.as_str().to_owned()),
            bytes: Set(signed(artifact.bytes)),
            sha256: Set(artifact.sha256.to_string()),
            created_at: Set(now),
            data: Set(unwritten.data().to_vec()),
        };
        Entity::insert(row).exec_without_returning(tx).await?;
    }
    Ok(())
}

/// What sort of file an artifact of a run is, and its hash.
///
/// # Errors
/// `NotFound`, also where it is of another run.
pub async fn get_artifact(
    tx: &TenantTx,
    run: RunId,
    artifact: ArtifactId,
) -> Result<(ArtifactType, ContentHash), StoreError> {
    let found: Option<(String, String)> = Entity::find_by_id(artifact.uuid())
        .select_only()
        .columns([Column::ContentType, Column::Sha256])
        .filter(Column::RunId.eq(run.uuid()))
        .into_tuple()
        .one(tx)
        .await?;
    let (content_type, sha256) = found.ok_or(StoreError::NotFound("artifact"))?;
    Ok((from_word("artifacts.content_type", &content_type)?, from_hash("artifacts.sha256", &sha256)?))
}

/// The bytes of an artifact.
///
/// # Errors
/// `NotFound`.
pub async fn read_artifact(tx: &TenantTx, artifact: ArtifactId) -> Result<Vec<u8>, StoreError> {
    let data: Option<Vec<u8>> =
        Entity::find_by_id(artifact.uuid()).select_only().column(Column::Data).into_tuple().one(tx).await?;
    data.ok_or(StoreError::NotFound("artifact"))
}
