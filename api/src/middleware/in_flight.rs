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
