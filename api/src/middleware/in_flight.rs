//! How many requests may be answered at once: more are told to come back, before they cost memory.

use std::sync::{Arc, Mutex, PoisonError};

use acm2_domain::error::{Error, Kind};
use poem::{Endpoint, Request, Response, Result};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::problem::Failure;

/// The permits, shared by all requests.
#[derive(Debug, Clone)]
pub(super) struct InFlight(Arc<Semaphore>);

impl InFlight {
    pub(super) fn new(most: usize) -> Self {
        Self(Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS))))
    }
}

/// The permit of one request. A handler that only waits gives it back meanwhile: else those who wait would keep out the others,
/// also after they have left (the framework does not end a handler whose caller has gone).
#[derive(Debug, Clone, Default)]
pub struct InFlightPermit(Option<Arc<Held>>);

#[derive(Debug)]
struct Held {
    all: Arc<Semaphore>,
    permit: Mutex<Option<OwnedSemaphorePermit>>,
}

impl InFlightPermit {
    /// That of a request; none where the layer is missing, as in tests of a single handler.
    pub fn of(request: &Request) -> Self {
        request.data::<Self>().cloned().unwrap_or_default()
    }

    /// Gives it back.
    pub fn release(&self) {
        self.set(None);
    }

    /// Takes it again, as soon as one is free: before newcomers, who do not wait for one.
    pub async fn take_again(&self) {
        if let Some(held) = &self.0 {
            self.set(Arc::clone(&held.all).acquire_owned().await.ok());
        }
    }

    fn set(&self, permit: Option<OwnedSemaphorePermit>) {
        if let Some(held) = &self.0 {
            *held.permit.lock().unwrap_or_else(PoisonError::into_inner) = permit;
        }
    }
}

pub(super) async fn limit<E>(next: Arc<E>, mut request: Request, in_flight: InFlight) -> Result<Response>
where
    E: Endpoint<Output = Response>,
{
    // An operator must see the state of a process that is too busy for others.
    if matches!(request.uri().path(), "/healthz" | "/readyz" | "/metrics") {
        return next.call(request).await;
    }
    let Ok(permit) = Arc::clone(&in_flight.0).try_acquire_owned() else { return Err(overloaded().into()) };
    let permit = InFlightPermit(Some(Arc::new(Held { all: in_flight.0, permit: Mutex::new(Some(permit)) })));
    request.set_data(permit.clone());
    let answered = next.call(request).await;
    permit.release();
    answered
}

/// The refusal of a request that is one too many.
pub(super) fn overloaded() -> Failure {
    let error = Error::new(Kind::Unavailable, "overloaded", "too many requests are being answered at once");
    Failure::from(error.retry_after(1))
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

    #[tokio::test]
    async fn who_only_waits_keeps_nobody_out() {
        let one = InFlight::new(1);
        let free = Arc::clone(&one.0);
        let handler = poem::endpoint::make(move |request: Request| {
            let free = Arc::clone(&free);
            async move {
                let permit = InFlightPermit::of(&request);
                assert_eq!(free.available_permits(), 0);
                permit.release();
                assert_eq!(free.available_permits(), 1);
                permit.take_again().await;
                assert_eq!(free.available_permits(), 0);
                Ok::<_, poem::Error>(Response::builder().finish())
            }
        });
        assert!(limit(Arc::new(handler), request("/api/v1/runs"), one.clone()).await.is_ok());
        assert_eq!(one.0.available_permits(), 1);
    }
}
