//! The answer that is an artifact: its bytes under the type that they have, to be saved, or 304 where the caller has them.

use acm2_domain::artifact::ArtifactType;
use acm2_domain::content_hash::ContentHash;
use poem::http::{HeaderValue, StatusCode, header};
use poem::{IntoResponse, Response};
use poem_openapi::ApiResponse;
use poem_openapi::registry::{
    MetaHeader, MetaMediaType, MetaResponse, MetaResponses, MetaSchema, MetaSchemaRef, Registry,
};
use poem_openapi::types::Type;

use crate::download::as_file;

const TYPES: [ArtifactType; 3] = [ArtifactType::Png, ArtifactType::Jpeg, ArtifactType::Webp];

/// An artifact to be saved as a file.
#[derive(Debug)]
pub(crate) struct ArtifactFile {
    /// What it is.
    pub(crate) content_type: ArtifactType,
    /// Names its bytes.
    pub(crate) sha256: ContentHash,
    /// Its bytes; `None` where the caller has them.
    pub(crate) data: Option<Vec<u8>>,
}

/// Whether a caller who has sent this `If-None-Match` has the bytes of this hash.
pub(crate) fn has(if_none_match: Option<&str>, sha256: ContentHash) -> bool {
    let tag = etag(sha256);
    let same = |known: &str| known == "*" || known.trim_start_matches("W/") == tag;
    if_none_match.is_some_and(|list| list.split(',').map(str::trim).any(same))
}

fn etag(sha256: ContentHash) -> String {
    format!("\"{sha256}\"")
}

impl IntoResponse for ArtifactFile {
    fn into_response(self) -> Response {
        let mut response = match self.data {
            None => StatusCode::NOT_MODIFIED.into_response(),
            Some(data) => {
                let name = format!("artifact.{}", self.content_type.extension());
                as_file(self.content_type.as_str(), &name).body(data)
            }
        };
        if let Ok(etag) = HeaderValue::from_str(&etag(self.sha256)) {
            response.headers_mut().insert(header::ETAG, etag);
        }
        response
    }
}

impl ApiResponse for ArtifactFile {
    fn meta() -> MetaResponses {
        let etag = || MetaHeader {
            name: "ETag".to_owned(),
            description: Some("hand it in as If-None-Match to get a 304".to_owned()),
            required: false,
            deprecated: false,
            schema: String::schema_ref(),
        };
        let of_type = |content_type: ArtifactType| MetaMediaType {
            content_type: content_type.as_str(),
            schema: MetaSchemaRef::Inline(Box::new(MetaSchema::new_with_format("string", "binary"))),
        };
        let response = |status, description, content| MetaResponse {
            description,
            status: Some(status),
            status_range: None,
            content,
            headers: vec![etag()],
        };
        let file = response(200, "the file", TYPES.into_iter().map(of_type).collect());
        MetaResponses { responses: vec![file, response(304, "it is as you know it", Vec::new())] }
    }

    fn register(_registry: &mut Registry) {}
}
