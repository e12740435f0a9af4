//! ONE exchange over HTTP: send, wait, read, all within a deadline and a size. The sender and the key test call it. Knows no
//! provider; whatever it says in errors is free of URLs.

use std::convert::Infallible;
use std::error::Error as StdError;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use acm2_domain::call::{CallError, ErrorClass};
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use http_body::{Frame, SizeHint};
use reqwest::{Client, Response};
use tokio::time::{Instant, timeout, timeout_at};

use crate::guard::Refused;
use crate::providers::HttpRequest;

/// The most that is read of an answer that is not a success.
const LONGEST_ERROR: usize = 1024 * 1024;

/// What bounds an exchange.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// Connect, send and read together.
    pub(crate) deadline: Duration,
    /// The longest silence once the answer has begun.
    pub(crate) idle: Duration,
    /// The most bytes of the body, after decompression.
    pub(crate) bytes: usize,
}

/// An HTTP answer, read to its end.
pub(crate) struct Received {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// Of an answer that is not a success, perhaps only the beginning.
    pub(crate) body: Vec<u8>,
}

/// Sends a request, which carries its key by now, and reads the answer. Dropping the future closes the connection.
pub(crate) async fn exchange(client: &Client, request: HttpRequest, bounds: Bounds) -> Result<Received, CallError> {
    let until = Instant::now() + bounds.deadline;
    let sent = Arc::new(AtomicBool::new(false));
    let body = SentBody { data: Some(request.body.into()), sent: Arc::clone(&sent) };
    let sending =
        client.request(request.method, request.url).headers(request.headers).body(reqwest::Body::wrap(body)).send();
    let sent = || sent.load(Ordering::Acquire);
    let response = match timeout_at(until, sending).await {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => return Err(not_answered(error, sent())),
        Err(_) => return Err(late(sent())),
    };
    let (status, headers) = (response.status(), response.headers().clone());
    let most = if status.is_success() { bounds.bytes } else { bounds.bytes.min(LONGEST_ERROR) };
    let mut body = Vec::new();
    let read =
        timeout_at(until, read(response, &mut body, most, bounds.idle)).await.unwrap_or_else(|_| Err(late(true)));
    match read {
        // What was read of an error tells more than that its end is missing.
        Err(_) if !status.is_success() => {}
        Err(error) => return Err(CallError { http_status: Some(status.as_u16()), ..error }),
        Ok(()) => {}
    }
    Ok(Received { status, headers, body })
}

async fn read(mut response: Response, body: &mut Vec<u8>, most: usize, idle: Duration) -> Result<(), CallError> {
    loop {
        let chunk = match timeout(idle, response.chunk()).await {
            Ok(Ok(Some(chunk))) => chunk,
            Ok(Ok(None)) => return Ok(()),
            Ok(Err(error)) => {
                let message =
                    format!("the connection was cut while the answer arrived: {}", root_cause(&error.without_url()));
                return Err(failed(ErrorClass::ProviderNetwork, message));
            }
            Err(_) => {
                let message = format!("the provider fell silent for {} s in the middle of its answer", idle.as_secs());
                return Err(failed(ErrorClass::ProviderTimeout, message));
            }
        };
        let room = most - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if chunk.len() > room {
            let message = format!("the provider's answer is larger than {most} bytes");
            // It would be as large, and cost as much, the next time.
            return Err(CallError { should_retry: Some(false), ..failed(ErrorClass::ProviderDecode, message) });
        }
    }
}

fn failed(class: ErrorClass, message: String) -> CallError {
    CallError { sent: true, ..CallError::unsent(class, message) }
}

fn late(sent: bool) -> CallError {
    CallError {
        sent,
        ..CallError::unsent(ErrorClass::ProviderTimeout, "the provider did not answer within the time allowed")
    }
}

fn not_answered(error: reqwest::Error, sent: bool) -> CallError {
    let error = error.without_url();
    let (class, message) = if refused_by_guard(&error) {
        (ErrorClass::ProviderRequest, Refused.to_string())
    } else if error.is_connect() && error.is_timeout() {
        (ErrorClass::ProviderNetwork, "no connection to the provider came about in time".to_owned())
    } else if error.is_connect() {
        (ErrorClass::ProviderNetwork, format!("no connection to the provider: {}", root_cause(&error)))
    } else if error.is_builder() {
        (ErrorClass::ProviderRequest, format!("the request cannot be sent: {}", root_cause(&error)))
    } else {
        (ErrorClass::ProviderNetwork, format!("the connection was cut before an answer came: {}", root_cause(&error)))
    };
    CallError { sent, ..CallError::unsent(class, message) }
}

fn causes<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |error: &&'a (dyn StdError + 'static)| (*error).source())
}

/// The innermost reason: the outer ones repeat the kind of error.
pub(crate) fn root_cause(error: &(dyn StdError + 'static)) -> String {
    causes(error).last().map(ToString::to_string).unwrap_or_default()
}

/// Whether the guard refused to connect.
pub(crate) fn refused_by_guard(error: &(dyn StdError + 'static)) -> bool {
    causes(error).any(<dyn StdError>::is::<Refused>)
}

/// A body that notes when it is asked for: by then the connection stands and the request's head goes out. It cannot be
/// copied either, so that no layer below can send it twice.
struct SentBody {
    data: Option<Bytes>,
    sent: Arc<AtomicBool>,
}

impl http_body::Body for SentBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.sent.store(true, Ordering::Release);
        Poll::Ready(self.data.take().map(|data| Ok(Frame::data(data))))
    }

    fn is_end_stream(&self) -> bool {
        self.data.as_ref().is_none_or(Bytes::is_empty)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.data.as_ref().map_or(0, |data| data.len() as u64))
    }
}
