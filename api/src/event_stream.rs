//! A run's events as server-sent events: read from the store by number, so that nothing is lost or doubled whichever process
//! answers; signals only make it quick. Whoever reads slowly holds one page of events, for nothing is read before it is
//! fetched. Called by `routes::run_events`.

use acm2_domain::ids::{ApiKeyId, RunId, TenantId};
use acm2_domain::run::Event;
use acm2_store::{StoreError, Tenant, runs};
use futures_util::stream;
use poem::http::{HeaderValue, StatusCode, header};
use poem::{Body, FromRequest, Request, RequestBody, Response};
use tokio::time::{Instant, sleep_until, timeout};

use crate::app::App;
use crate::auth::Caller;
use crate::timelines::{Follower, News};
use crate::waiters::Place;

/// The media type of server-sent events.
pub(crate) const CONTENT_TYPE: &str = "text/event-stream";
/// How many events are read at once.
const PAGE: u64 = 100;
/// How soon a client comes back when a stream was cut. Also shows at once that the stream has begun.
const BEGINNING: &str = "retry: 1000\n\n";
/// A comment: clients drop it, proxies see that the connection lives.
const HEARTBEAT: &str = ":\n\n";

/// Whether the caller wants a stream rather than a page: it names the type, and does not prefer JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StreamWanted(pub(crate) bool);

impl<'a> FromRequest<'a> for StreamWanted {
    async fn from_request(request: &'a Request, _body: &mut RequestBody) -> poem::Result<Self> {
        let lines = request.headers().get_all(header::ACCEPT).iter().filter_map(|line| line.to_str().ok());
        let accept = lines.collect::<Vec<_>>().join(",");
        let stream = weight_of(&accept, CONTENT_TYPE).unwrap_or(0.0);
        Ok(Self(stream > 0.0 && stream >= weight_of(&accept, "application/json").unwrap_or(0.0)))
    }
}

/// The weight that a list of media ranges gives a type by name (RFC 9110 §12.5.1).
fn weight_of(accept: &str, wanted: &str) -> Option<f32> {
    accept.split(',').find_map(|range| {
        let mut parts = range.split(';').map(str::trim);
        if !parts.next()?.eq_ignore_ascii_case(wanted) {
            return None;
        }
        let weight = parts.find_map(|part| part.strip_prefix("q=")).map_or(Ok(1.0), str::parse);
        Some(weight.unwrap_or(0.0))
    })
}

/// A stream that begins after a number.
#[derive(Debug)]
pub(crate) struct EventStream {
    app: App,
    store: Tenant,
    run: RunId,
    after: u64,
    follower: Follower,
    has_begun: bool,
    heartbeat_at: Instant,
    ends_at: Instant,
    tenant: TenantId,
    api_key: ApiKeyId,
    /// When the key is looked at again: one that is revoked ends the stream.
    key_due_at: Instant,
    _place: Place,
}

impl EventStream {
    /// The events of a run that was found to have come so far. It ends with the run, with the process, after
    /// `Timing::stream_life`, and with the caller's key.
    pub(crate) fn new(caller: &Caller, run: RunId, after: u64, found: News, place: Place) -> Self {
        let app = caller.app.clone();
        let key_left = caller.expires_at.map(|at| (at - app.clock.now()).to_std().unwrap_or_default());
        let life = key_left.map_or(app.timing.stream_life, |left| left.min(app.timing.stream_life));
        Self {
            store: caller.store(),
            run,
            after,
            follower: app.timelines.follow(&app, caller.tenant, run, found),
            has_begun: false,
            heartbeat_at: Instant::now(),
            ends_at: Instant::now() + life,
            tenant: caller.tenant,
            api_key: caller.api_key,
            key_due_at: Instant::now() + app.timing.stream_heartbeat,
            app,
            _place: place,
        }
    }

    /// What is sent next; `None` at the end.
    async fn next(&mut self) -> Option<String> {
        self.heartbeat_at = Instant::now() + self.app.timing.stream_heartbeat;
        if !std::mem::replace(&mut self.has_begun, true) {
            return Some(BEGINNING.to_owned());
        }
        if Instant::now() >= self.key_due_at {
            if !self.key_holds().await {
                return None;
            }
            self.key_due_at = Instant::now() + self.app.timing.stream_heartbeat;
        }
        let (ending, ends_at, heartbeat_at) = (self.app.shutdown.soft(), self.ends_at, self.heartbeat_at);
        tokio::select! {
            biased;
            // A process that ends keeps nobody: another one goes on.
            () = ending.cancelled() => None,
            () = sleep_until(ends_at) => None,
            events = self.events() => events,
            () = sleep_until(heartbeat_at) => Some(HEARTBEAT.to_owned()),
        }
    }

    /// Whether the caller's key has not been revoked. While nobody can tell, it holds.
    async fn key_holds(&self) -> bool {
        match self.app.store.api_keys().get(self.tenant, self.api_key).await {
            Ok(key) => key.revoked_at.is_none(),
            Err(error) => !matches!(error, StoreError::NotFound(_)),
        }
    }

    /// The events that follow, as soon as there are some; `None` where none will.
    async fn events(&mut self) -> Option<String> {
        loop {
            self.follower.beyond(self.after).await;
            if self.follower.known().last_event <= self.after {
                return None;
            }
            match timeout(self.app.timing.stream_heartbeat, self.read()).await {
                // The run was deleted.
                Ok(Ok(events)) if events.is_empty() => return None,
                Ok(Ok(events)) => {
                    self.after = events.last().map_or(self.after, |event| event.number);
                    return Some(events.iter().map(frame).collect());
                }
                Ok(Err(error)) => tracing::debug!(%error, run.id = %self.run, "events could not be read"),
                Err(_) => {}
            }
            tokio::time::sleep(self.app.timing.store_retry).await;
        }
    }

    async fn read(&self) -> Result<Vec<Event>, StoreError> {
        let tx = self.store.begin().await?;
        runs::list_events(&tx, self.run, self.after, PAGE).await
    }

    /// The answer, whose body is fetched bit by bit.
    pub(crate) fn into_response(self) -> Response {
        let frames = stream::unfold(self, |mut stream| async move {
            let text = stream.next().await?;
            Some((Ok::<_, std::io::Error>(text), stream))
        });
        let mut response =
            Response::builder().status(StatusCode::OK).content_type(CONTENT_TYPE).body(Body::from_bytes_stream(frames));
        // Asks nginx and its like to pass on each piece at once.
        response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
        response
    }
}

fn frame(event: &Event) -> String {
    let mut text = format!("id: {}\nevent: {}\ndata: ", event.number, event.event_type.as_str());
    // JSON text has no line breaks of its own.
    match serde_json::to_string(event) {
        Ok(json) => text.push_str(&json),
        Err(error) => tracing::error!(%error, "failed to write an event as JSON"),
    }
    text.push_str("\n\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_stream_is_for_those_who_name_it_and_do_not_prefer_json() {
        for (accept, wanted) in [
            ("text/event-stream", true),
            ("application/json, Text/Event-Stream", true),
            ("text/event-stream;q=0.5, application/json;q=0.4", true),
            ("text/event-stream;q=0.5, application/json", false),
            ("text/event-stream;q=0", false),
            ("*/*", false),
            ("application/json", false),
            ("", false),
        ] {
            let request = Request::builder().header(header::ACCEPT, accept).finish();
            let found = StreamWanted::from_request(&request, &mut RequestBody::default()).await.unwrap();
            assert_eq!(found.0, wanted, "{accept}");
        }
    }
}
