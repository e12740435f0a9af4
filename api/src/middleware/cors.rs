//! CORS by an allow-list of exact origins, empty by default: then no header is written and browsers keep others out.
//! Our credentials are headers, never cookies, so `Access-Control-Allow-Credentials` is never sent.

use std::collections::HashSet;
use std::sync::Arc;

use poem::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use poem::{Endpoint, Request, Response, Result};

const METHODS: HeaderValue = HeaderValue::from_static("GET, POST, PUT, PATCH, DELETE");
const REQUEST_HEADERS: HeaderValue = HeaderValue::from_static(
    "authorization, content-type, content-encoding, idempotency-key, if-none-match, last-event-id, prefer, x-acm2-api-key, x-api-key",
);
const RESPONSE_HEADERS: HeaderValue =
    HeaderValue::from_static("etag, idempotent-replayed, location, preference-applied, retry-after, x-request-id");

/// Who may call from a browser.
#[derive(Debug)]
pub(super) struct Cors {
    origins: HashSet<String>,
}

impl Cors {
    pub(super) fn new(origins: &[String]) -> Self {
        Self { origins: origins.iter().map(|origin| origin.trim_end_matches('/').to_owned()).collect() }
    }

    fn allowed(&self, request: &Request) -> Option<HeaderValue> {
        let origin = request.headers().get(header::ORIGIN)?;
        self.origins.contains(origin.to_str().ok()?).then(|| origin.clone())
    }
}

pub(super) async fn answer<E>(next: Arc<E>, request: Request, cors: Arc<Cors>) -> Result<Response>
where
    E: Endpoint<Output = Response>,
{
    if cors.origins.is_empty() {
        return next.call(request).await;
    }
    let origin = cors.allowed(&request);
    let asked = request.headers().contains_key(HeaderName::from_static("access-control-request-method"));
    let preflight = request.method() == Method::OPTIONS && asked;
    let mut response = match (&origin, preflight) {
        (Some(_), true) => {
            let mut response = Response::builder().status(StatusCode::NO_CONTENT).finish();
            let headers = response.headers_mut();
            headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
            headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, REQUEST_HEADERS);
            headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
            response
        }
        _ => next.call(request).await?,
    };
    mark(response.headers_mut(), origin);
    Ok(response)
}

fn mark(headers: &mut HeaderMap, origin: Option<HeaderValue>) {
    headers.append(header::VARY, HeaderValue::from_static("Origin"));
    if let Some(origin) = origin {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, RESPONSE_HEADERS);
    }
}
