//! Answers: serialized by serde (the one JSON codec), described by poem-openapi. Handlers return `Reply`, `Fresh` or
//! `NoContent`; failures are `problem::Failure`.

use std::marker::PhantomData;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use poem::http::{HeaderName, HeaderValue, StatusCode, header};
use poem::{IntoResponse, Response};
use poem_openapi::ApiResponse;
use poem_openapi::registry::{MetaHeader, MetaMediaType, MetaResponse, MetaResponses, Registry};
use poem_openapi::types::Type;
use serde::Serialize;
use sha2::{Digest, Sha256};

const JSON: &str = "application/json";

/// A JSON answer with the status `STATUS`.
#[derive(Debug)]
pub struct Reply<T, const STATUS: u16 = 200> {
    content: Content<T>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

#[derive(Debug)]
enum Content<T> {
    Value(T),
    /// The JSON text of an earlier answer.
    Text(String),
}

/// 201: it was created; `Location` says where it is.
pub type Created<T> = Reply<T, 201>;
/// 202: it will be done; `Location` says where to look, `Retry-After` when.
pub type Accepted<T> = Reply<T, 202>;

impl<T, const STATUS: u16> Reply<T, STATUS> {
    /// An answer.
    pub fn new(body: T) -> Self {
        Self { content: Content::Value(body), headers: Vec::new() }
    }

    /// The answer to an earlier request, given again; its text is that of a `T`.
    pub fn again(text: String) -> Self {
        let replayed = (HeaderName::from_static("idempotent-replayed"), HeaderValue::from_static("true"));
        Self { content: Content::Text(text), headers: vec![replayed] }
    }

    /// The same with a header. A value that cannot be one is left out.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.push((name, value));
        }
        self
    }

    /// The same with the path of what was made.
    #[must_use]
    pub fn location(self, path: &str) -> Self {
        self.header(header::LOCATION, path)
    }
}

impl<T: Serialize + Send, const STATUS: u16> IntoResponse for Reply<T, STATUS> {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(STATUS).unwrap_or(StatusCode::OK);
        let mut response = match self.content {
            Content::Value(body) => json(status, &body),
            Content::Text(text) => Response::builder().status(status).content_type(JSON).body(text),
        };
        response.headers_mut().extend(self.headers.into_iter().map(|(name, value)| (Some(name), value)));
        response
    }
}

fn json<T: Serialize>(status: StatusCode, body: &T) -> Response {
    match to_json(body) {
        Ok(bytes) => Response::builder().status(status).content_type(JSON).body(bytes),
        Err(status) => status.into_response(),
    }
}

/// The text, or the status of an answer that cannot be written.
fn to_json<T: Serialize>(body: &T) -> Result<Vec<u8>, StatusCode> {
    serde_json::to_vec(body).map_err(|error| {
        tracing::error!(error = %error, "failed to write an answer as JSON");
        StatusCode::INTERNAL_SERVER_ERROR
    })
}

fn meta_of<T: Type>(status: u16, description: &'static str, headers: Vec<MetaHeader>) -> MetaResponse {
    let content = vec![MetaMediaType { content_type: JSON, schema: T::schema_ref() }];
    MetaResponse { description, status: Some(status), status_range: None, content, headers }
}

fn header_meta<T: Type>(name: &str, description: &str) -> MetaHeader {
    MetaHeader {
        name: name.to_owned(),
        description: Some(description.to_owned()),
        required: false,
        deprecated: false,
        schema: T::schema_ref(),
    }
}

impl<T: Type + Serialize, const STATUS: u16> ApiResponse for Reply<T, STATUS> {
    fn meta() -> MetaResponses {
        let location = || header_meta::<String>("Location", "the path of it");
        let response = match STATUS {
            201 => meta_of::<T>(STATUS, "it was created", vec![location()]),
            202 => {
                let retry_after = header_meta::<u64>("Retry-After", "seconds after which looking again makes sense");
                meta_of::<T>(STATUS, "it was accepted and will be done", vec![location(), retry_after])
            }
            _ => meta_of::<T>(STATUS, "it is so", Vec::new()),
        };
        MetaResponses { responses: vec![response] }
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }
}

/// An answer with an `ETag`, or 304 where the caller has it already.
#[derive(Debug)]
pub struct Fresh<T> {
    response: Response,
    of: PhantomData<T>,
}

impl<T: Serialize> Fresh<T> {
    /// The answer, unless `if_none_match` names the state of `body`. What `completed` adds to it is not part of the state, and
    /// is asked for only where there is an answer.
    pub async fn new(mut body: T, if_none_match: Option<&str>, completed: impl AsyncFnOnce(&mut T)) -> Self {
        let bytes = match to_json(&body) {
            Ok(bytes) => bytes,
            Err(status) => return Self { response: status.into_response(), of: PhantomData },
        };
        // Weak, because the answer may be compressed on its way, and what completes it changes all the time.
        let opaque = format!("\"{}\"", URL_SAFE_NO_PAD.encode(&Sha256::digest(&bytes)[..12]));
        let same = |known: &str| known == "*" || known.trim_start_matches("W/") == opaque;
        let mut response = if if_none_match.is_some_and(|list| list.split(',').map(str::trim).any(same)) {
            StatusCode::NOT_MODIFIED.into_response()
        } else {
            completed(&mut body).await;
            json(StatusCode::OK, &body)
        };
        if let Ok(etag) = HeaderValue::from_str(&format!("W/{opaque}")) {
            response.headers_mut().insert(header::ETAG, etag);
        }
        Self { response, of: PhantomData }
    }

    /// The same with a header. A value that cannot be one is left out.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.response.headers_mut().insert(name, value);
        }
        self
    }
}

impl<T: Send> IntoResponse for Fresh<T> {
    fn into_response(self) -> Response {
        self.response
    }
}

impl<T: Type + Serialize> ApiResponse for Fresh<T> {
    fn meta() -> MetaResponses {
        let etag =
            || header_meta::<String>("ETag", "hand it in as If-None-Match to get a 304 while nothing has changed");
        let retry_after = header_meta::<u64>("Retry-After", "seconds after which looking again makes sense");
        let unchanged = MetaResponse {
            description: "it is as you know it",
            status: Some(304),
            status_range: None,
            content: Vec::new(),
            headers: vec![etag()],
        };
        MetaResponses { responses: vec![meta_of::<T>(200, "it is so", vec![etag(), retry_after]), unchanged] }
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }
}

/// 204: it is done and there is nothing to say.
#[derive(Debug, Clone, Copy)]
pub struct NoContent;

impl IntoResponse for NoContent {
    fn into_response(self) -> Response {
        StatusCode::NO_CONTENT.into_response()
    }
}

impl ApiResponse for NoContent {
    fn meta() -> MetaResponses {
        let response = MetaResponse {
            description: "it is done",
            status: Some(204),
            status_range: None,
            content: Vec::new(),
            headers: Vec::new(),
        };
        MetaResponses { responses: vec![response] }
    }

    fn register(_registry: &mut Registry) {}
}
