//! Every failure that leaves the house over HTTP: `application/problem+json` (RFC 9457). Handlers return `Failure`, the
//! framework has errors of its own; `middleware::problems` hands both to `Problem` here. Here is THE match from a kind of
//! failure to an HTTP status. It never shows a value that the caller sent.

use acm2_domain::error::{Error, FieldError, Kind};
use acm2_domain::ids::RequestId;
use poem::http::{HeaderValue, StatusCode, header};
use poem::{Body, Response};
use serde::Serialize;

/// The content type of RFC 9457.
pub const CONTENT_TYPE: &str = "application/problem+json";

/// What a handler or a middleware refuses a request with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// A failure that the domain knows.
    #[error("{0}")]
    Domain(#[from] Error),
    /// The path exists, but not with this method.
    #[error("this path does not take this method")]
    MethodNotAllowed {
        /// What it does take, for the `Allow` header.
        allow: String,
    },
    /// The body is larger than allowed, perhaps only after decompression.
    #[error("the body has more than {limit} bytes; {way_out}")]
    TooLarge {
        /// In bytes.
        limit: usize,
        /// What to do instead.
        way_out: &'static str,
    },
    /// The body took too long to arrive.
    #[error("the body took too long to arrive")]
    TooSlow,
    /// The body is of a type or in an encoding that is not understood.
    #[error("{0}")]
    UnsupportedMediaType(&'static str),
}

impl From<acm2_store::StoreError> for Failure {
    fn from(error: acm2_store::StoreError) -> Self {
        // The domain's error tells callers nothing of the cause, so the log must.
        match &error {
            acm2_store::StoreError::NotFound(_) | acm2_store::StoreError::Conflict(_) => {}
            other => tracing::error!(error = %other, "the store failed"),
        }
        Self::Domain(error.into())
    }
}

impl poem::error::ResponseError for Failure {
    fn status(&self) -> StatusCode {
        match self {
            Self::Domain(error) => status_of(error.kind),
            Self::MethodNotAllowed { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        }
    }
}

/// The specification's error responses are written by `spec`, the same for all operations.
impl poem_openapi::ApiResponse for Failure {
    fn meta() -> poem_openapi::registry::MetaResponses {
        poem_openapi::registry::MetaResponses { responses: Vec::new() }
    }

    fn register(registry: &mut poem_openapi::registry::Registry) {
        <Problem as poem_openapi::types::Type>::register(registry);
    }
}

/// THE status of each kind of failure.
pub const fn status_of(kind: Kind) -> StatusCode {
    match kind {
        Kind::Malformed => StatusCode::BAD_REQUEST,
        Kind::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
        Kind::Unauthorized => StatusCode::UNAUTHORIZED,
        Kind::Forbidden => StatusCode::FORBIDDEN,
        Kind::NotFound => StatusCode::NOT_FOUND,
        Kind::Conflict => StatusCode::CONFLICT,
        Kind::PaymentRequired => StatusCode::PAYMENT_REQUIRED,
        Kind::TooMany => StatusCode::TOO_MANY_REQUESTS,
        Kind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Kind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// What went wrong, as RFC 9457 says it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, poem_openapi::Object)]
pub struct Problem {
    /// `urn:acm2:problem:` and the code.
    #[serde(rename = "type")]
    #[oai(rename = "type")]
    pub problem_type: String,
    /// The HTTP status in words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What is wrong and the way out, for a person.
    pub detail: String,
    /// Stable and documented, such as `validation_failed`; programs decide by it.
    pub code: String,
    /// Names this request in the logs.
    pub request_id: RequestId,
    /// Every wrong place.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[oai(skip_serializing_if_is_none)]
    pub errors: Option<Vec<FieldError>>,
}

impl Problem {
    /// The problem of a failure. What a defect of ours says goes to the log, not to the caller.
    fn of(failure: &Failure, request_id: RequestId) -> Self {
        let status = poem::error::ResponseError::status(failure);
        let (code, fields) = match failure {
            Failure::Domain(error) => (error.code, error.fields.clone()),
            Failure::MethodNotAllowed { .. } => ("method_not_allowed", Vec::new()),
            Failure::TooSlow => ("body_too_slow", Vec::new()),
            Failure::TooLarge { .. } => ("body_too_large", Vec::new()),
            Failure::UnsupportedMediaType(_) => ("unsupported_media_type", Vec::new()),
        };
        let detail = if status == StatusCode::INTERNAL_SERVER_ERROR {
            "something is wrong on our side; the operator finds it by the request_id".to_owned()
        } else {
            failure.to_string()
        };
        Self {
            problem_type: format!("urn:acm2:problem:{code}"),
            title: status.canonical_reason().unwrap_or("Error").to_owned(),
            status: status.as_u16(),
            detail,
            code: code.to_owned(),
            request_id,
            errors: (!fields.is_empty()).then_some(fields),
        }
    }
}

/// The response of a failure, with the headers that belong to it.
pub fn respond(failure: &Failure, request_id: RequestId) -> Response {
    let problem = Problem::of(failure, request_id);
    let mut response = Response::builder()
        .status(poem::error::ResponseError::status(failure))
        .content_type(CONTENT_TYPE)
        .body(Body::from_vec(serde_json::to_vec(&problem).unwrap_or_default()));
    let headers = response.headers_mut();
    match failure {
        Failure::Domain(error) => {
            if let Some(seconds) = error.retry_after {
                headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            }
            if error.kind == Kind::Unauthorized {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"acm2\""));
            }
        }
        Failure::MethodNotAllowed { allow } => {
            if let Ok(allow) = HeaderValue::from_str(allow) {
                headers.insert(header::ALLOW, allow);
            }
        }
        // The rest of the body is not read, so the connection ends here: a client that was not told would send its next request on it.
        Failure::TooSlow | Failure::TooLarge { .. } => {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        Failure::UnsupportedMediaType(_) => {}
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_defect_is_not_described_to_the_caller() {
        let failure = Failure::from(Error::new(Kind::Internal, "internal", "relation runs does not exist"));
        let problem = Problem::of(&failure, RequestId::generate());
        assert_eq!((problem.status, problem.code.as_str()), (500, "internal"));
        assert!(!problem.detail.contains("relation"));
    }

    #[test]
    fn a_wrong_method_says_which_are_right() {
        let failure = Failure::MethodNotAllowed { allow: "GET, POST".to_owned() };
        let response = respond(&failure, RequestId::generate());
        assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(response.header("allow"), Some("GET, POST"));
        assert_eq!(response.content_type(), Some(CONTENT_TYPE));
    }
}
