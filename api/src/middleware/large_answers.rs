//! How many bytes of answers lie in memory until they are fetched: whoever asks for much and fetches it slowly, or not, is told to
//! come back. An answer of which nobody has fetched anything for a while is given up. Answers that are made while they are fetched
//! (events, exports) have limits of their own.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use acm2_domain::error::{Error, Kind};
use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::combinators::BoxBody;
use poem::http::Method;
use poem::{Body, Endpoint, Request, Response, Result};
use tokio::time::Instant;

use super::observe::RequestContext;
use crate::problem::{Failure, respond};
use crate::waiters::{Place, Waiters};

/// From so many bytes on an answer is counted.
const LARGE: usize = 256 * 1024;
/// Bytes of large answers of all tenants.
const MOST: usize = 512 * 1024 * 1024;
/// Those of one tenant; a single answer may be larger.
const MOST_OF_ONE: usize = 128 * 1024 * 1024;
/// Bytes that go out at once.
const PIECE: usize = 64 * 1024;
/// How long nothing of an answer may be fetched.
pub(crate) const STALLED: Duration = Duration::from_mins(1);
/// How fast an answer must be fetched on the whole, in bytes a second.
pub(crate) const SLOWEST: u64 = 16 * 1024;
/// When one who has too much under way may come back, in seconds.
const RETRY_AFTER: u64 = 5;

/// The bytes that are under way, shared by all requests.
#[derive(Debug, Clone)]
pub(super) struct LargeAnswers(Arc<Waiters>);

impl LargeAnswers {
    pub(super) fn new() -> Self {
        Self(Arc::new(Waiters::with_share(MOST, MOST_OF_ONE)))
    }
}

/// Stands around everything that makes answers and makes them smaller: what it sees is what lies in memory.
pub(super) async fn limit<E>(next: Arc<E>, request: Request, large: LargeAnswers) -> Result<Response>
where
    E: Endpoint<Output = Response>,
{
    let context = RequestContext::of(&request);
    // What has done something must be told, unless it is told again to whoever asks again.
    let may_ask_again = request.method() == Method::GET || request.headers().contains_key("idempotency-key");
    let mut response = next.call(request).await?;
    // What a stranger may see is small, or the same for all.
    let Some(tenant) = context.tenant.get().copied() else { return Ok(response) };
    let body: BoxBody<Bytes, io::Error> = response.take_body().into();
    let Some(length) = body.size_hint().exact().and_then(|length| usize::try_from(length).ok()) else {
        response.set_body(Body::from(body));
        return Ok(response);
    };
    if length < LARGE {
        response.set_body(Body::from(body));
        return Ok(response);
    }
    let place = large.0.enter_with(tenant, length);
    if place.is_none() && may_ask_again {
        let detail = "too many large answers are being fetched; fetch those first, or close their connections";
        let refused = Error::new(Kind::TooMany, "too_many_large_answers", detail).retry_after(RETRY_AFTER);
        return Ok(respond(&Failure::Domain(refused), context.id));
    }
    let bytes = Body::from(body).into_bytes().await.map_err(|error| {
        tracing::error!(error = %error, "an answer could not be read");
        Failure::Domain(Error::new(Kind::Internal, "internal", "an answer could not be read"))
    })?;
    response.set_body(Body::from(BoxBody::new(Held::new(bytes, place, STALLED))));
    Ok(response)
}

/// The rest of an answer, and the place of the whole.
#[derive(Debug)]
struct Rest {
    bytes: Bytes,
    /// How often something was fetched.
    fetched: u64,
    _place: Option<Place>,
}

/// A body whose memory is counted until it is fetched or given up.
#[derive(Debug)]
struct Held(
    /// `None` once it was given up.
    Arc<Mutex<Option<Rest>>>,
);

impl Held {
    /// It is given up where nothing is fetched for `stalled`, or where it goes on for longer than the slowest take.
    fn new(bytes: Bytes, place: Option<Place>, stalled: Duration) -> Self {
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let rest = Arc::new(Mutex::new(Some(Rest { bytes, fetched: 0, _place: place })));
        let watched = Arc::downgrade(&rest);
        let latest = Instant::now() + stalled + Duration::from_secs(length / SLOWEST);
        tokio::spawn(async move {
            let mut seen = 0;
            loop {
                tokio::time::sleep(stalled).await;
                let Some(rest) = watched.upgrade() else { return };
                let mut rest = lock(&rest);
                match &*rest {
                    Some(rest) if rest.fetched != seen && Instant::now() < latest => seen = rest.fetched,
                    _ => {
                        *rest = None;
                        return;
                    }
                }
            }
        });
        Self(rest)
    }
}

fn lock(rest: &Mutex<Option<Rest>>) -> MutexGuard<'_, Option<Rest>> {
    rest.lock().unwrap_or_else(PoisonError::into_inner)
}

impl http_body::Body for Held {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let mut rest = lock(&self.0);
        let Some(rest) = &mut *rest else {
            let error = io::Error::new(io::ErrorKind::TimedOut, "the answer was not fetched for too long");
            return Poll::Ready(Some(Err(error)));
        };
        if rest.bytes.is_empty() {
            return Poll::Ready(None);
        }
        rest.fetched += 1;
        let piece = rest.bytes.len().min(PIECE);
        Poll::Ready(Some(Ok(Frame::data(rest.bytes.split_to(piece)))))
    }

    fn is_end_stream(&self) -> bool {
        lock(&self.0).as_ref().is_some_and(|rest| rest.bytes.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        let left = lock(&self.0).as_ref().map_or(0, |rest| u64::try_from(rest.bytes.len()).unwrap_or(u64::MAX));
        SizeHint::with_exact(left)
    }
}

#[cfg(test)]
mod tests {
    use acm2_domain::ids::TenantId;
    use futures_util::StreamExt;

    use super::*;

    #[tokio::test]
    async fn a_large_answer_keeps_its_place_until_it_is_fetched() {
        let large = LargeAnswers(Arc::new(Waiters::with_share(2 * LARGE, LARGE)));
        let tenant = TenantId::generate();
        let handler = Arc::new(poem::endpoint::make_sync(move |request: Request| {
            let _ = RequestContext::of(&request).tenant.set(tenant);
            Response::builder().body(vec![b'x'; LARGE])
        }));
        let ask = || {
            let mut request = Request::default();
            request.set_data(RequestContext::of(&request));
            limit(Arc::clone(&handler), request, large.clone())
        };
        let first = ask().await.unwrap();
        assert_eq!(ask().await.unwrap().status().as_u16(), 429);
        let bytes = first.into_body().into_bytes().await.unwrap();
        assert_eq!(bytes.len(), LARGE);
        let second = ask().await.unwrap();
        assert_eq!(second.status().as_u16(), 200);
        drop(second);
        assert_eq!(ask().await.unwrap().status().as_u16(), 200);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_nobody_fetches_is_given_up() {
        let waiters = Waiters::with_share(10, 10);
        let tenant = TenantId::generate();
        let bytes = Bytes::from(vec![b'x'; 3 * PIECE]);
        let held = Held::new(bytes, waiters.enter_with(tenant, 10), STALLED);
        let mut pieces = Box::pin(Body::from(BoxBody::new(held)).into_bytes_stream());
        for _ in 0..2 {
            tokio::time::sleep(STALLED * 3 / 4).await;
            assert_eq!(pieces.next().await.unwrap().unwrap().len(), PIECE);
        }
        assert!(waiters.enter_with(tenant, 1).is_none());
        // A drop now and then is not fetching it.
        let drops = Held::new(Bytes::from(vec![b'x'; 9 * PIECE]), None, STALLED);
        let mut drops = Box::pin(Body::from(BoxBody::new(drops)).into_bytes_stream());
        let mut fetched = 0;
        while let Some(Ok(_)) = drops.next().await {
            fetched += 1;
            tokio::time::sleep(STALLED * 3 / 4).await;
        }
        assert!((2..9).contains(&fetched), "{fetched}");
        tokio::time::sleep(STALLED * 3).await;
        assert!(waiters.enter_with(tenant, 10).is_some());
        assert_eq!(pieces.next().await.unwrap().unwrap_err().kind(), io::ErrorKind::TimedOut);
    }
}
