//! How many requests may be answered at once: more are told to come back, before they cost memory.

use std::sync::Arc;

use acm2_domain::error::{Error, Kind};
use poem::{Endpoint, Request, Response, Result};
use tokio::sync::Semaphore;

use crate::problem::Failure;

/// The permits, shared by all requests.
#[derive(Debug, Clone)]
pub(super) struct InFlight(Arc<Semaphore>);

impl InFlight {
    pub(super) fn new(most: usize) -> Self {
        Self(Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS))))
    }
}

pub(super) async fn limit<E>(next: Arc<E>, request: Request, in_flight: InFlight) -> Result<Response>
where
    E: Endpoint<Output = Response>,
{
    // An operator must see the state of a process that is too busy for others.
    if matches!(request.uri().path(), "/healthz" | "/readyz" | "/metrics") {
        return next.call(request).await;
    }
    let Ok(_permit) = in_flight.0.try_acquire() else {
        let error = Error::new(Kind::Unavailable, "overloaded", "too many requests are being answered at once");
        return Err(Failure::from(error.retry_after(1)).into());
    };
    next.call(request).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(path: &str) -> Request {
        Request::builder().uri_str(path).finish()
    }

    #[tokio::test]
    async fn one_too_many_is_told_to_come_back_and_health_is_seen_all_the_same() {
        let handler = Arc::new(poem::endpoint::make_sync(|_| Response::builder().finish()));
        let full = InFlight::new(0);
        let refused = limit(Arc::clone(&handler), request("/api/v1/runs"), full.clone()).await.unwrap_err();
        assert_eq!(refused.status().as_u16(), 503);
        assert!(limit(Arc::clone(&handler), request("/readyz"), full).await.is_ok());
        let free = InFlight::new(1);
        for _ in 0..3 {
            assert!(limit(Arc::clone(&handler), request("/api/v1/runs"), free.clone()).await.is_ok());
        }
    }
}
