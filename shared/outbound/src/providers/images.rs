//! Images in answers: base64 that becomes an artifact, or an error that says why not. Used by the wires that make images. Pure.

use acm2_domain::artifact::{Artifact, NoArtifact};
use acm2_domain::call::CallError;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;

use super::json;

/// The artifacts of these texts in base64.
///
/// # Errors
/// `provider_decode` where one is no image that may be kept.
pub(super) fn artifacts<'a>(
    status: StatusCode,
    encoded: impl Iterator<Item = &'a str>,
) -> Result<Vec<Artifact>, CallError> {
    encoded.map(|text| artifact(text).map_err(|what| unusable(status, &what))).collect()
}

fn artifact(text: &str) -> Result<Artifact, String> {
    let data = STANDARD.decode(text).map_err(|_| "is not base64".to_owned())?;
    Artifact::new(data).map_err(|error: NoArtifact| error.to_string())
}

/// An answer whose image cannot be kept. It would be the same, and cost as much, the next time.
fn unusable(status: StatusCode, what: &str) -> CallError {
    CallError { should_retry: Some(false), ..json::not_understood(status, &format!("holds an image that {what}")) }
}

/// An answer without an image.
pub(super) fn missing(status: StatusCode) -> CallError {
    json::not_understood(status, "holds no image")
}
