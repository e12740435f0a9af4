//! The outermost layer: gives each request an id, answers it in `X-Request-Id`, sets the security headers, and writes one
//! log line and the metrics. Logged are route templates, never paths, queries, headers or bodies: these hold secrets.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use acm2_domain::ids::{RequestId, TenantId};
use poem::http::{HeaderMap, HeaderName, HeaderValue, header};
use poem::{Endpoint, PathPattern, Request, Response, Result};

use super::metrics::Metrics;

/// What the layers of one request share.
#[derive(Debug, Clone)]
pub struct RequestContext {
    /// Ours; an id that the caller sends is not used.
    pub id: RequestId,
    /// Set by `auth` once the caller is known.
    pub tenant: Arc<OnceLock<TenantId>>,
}

impl RequestContext {
    /// The context of a request; a new one where the layer is missing, as in tests of a single handler.
    pub fn of(request: &Request) -> Self {
        request.data::<Self>().cloned().unwrap_or_else(Self::new)
    }

    fn new() -> Self {
        Self { id: RequestId::generate(), tenant: Arc::default() }
    }
}

/// The name of a response's route, put there by `problems` and by the router.
pub(super) fn route_of(response: &Response) -> String {
    match response.data::<PathPattern>() {
        None => "unmatched".to_owned(),
        // The router's name for the root.
        Some(pattern) if pattern.0.is_empty() => "/".to_owned(),
        Some(pattern) => pattern.0.to_string(),
    }
}

pub(super) async fn observe<E>(next: Arc<E>, mut request: Request, metrics: Arc<Metrics>) -> Result<Response>
where
    E: Endpoint<Output = Response>,
{
    let context = RequestContext::new();
    let method = request.method().clone();
    request.set_data(context.clone());
    let started = Instant::now();
    let in_flight = metrics.begin();
    let mut response = next.call(request).await?;
    drop(in_flight);
    let took = started.elapsed();
    let route = route_of(&response);
    let status = response.status().as_u16();
    secure(response.headers_mut());
    if let Ok(id) = HeaderValue::from_str(&context.id.to_string()) {
        response.headers_mut().insert(HeaderName::from_static("x-request-id"), id);
    }
    metrics.observe(&method, &route, status, took);
    let tenant = context.tenant.get().map(ToString::to_string);
    tracing::info!(
        target: "acm2::access",
        duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        http.method = %method,
        http.route = %route,
        http.status = status,
        request.id = %context.id,
        tenant.id = tenant,
        "request"
    );
    Ok(response)
}

/// Headers that keep browsers from doing harm with our answers. A route that needs other ones has set them already.
fn secure(headers: &mut HeaderMap) {
    const POLICY: &str = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::CACHE_CONTROL, "no-store"),
    ] {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
}
