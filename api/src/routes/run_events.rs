//! `runs`: the events of one, as pages or as a stream.

use acm2_domain::FieldError;
use acm2_domain::error::{Error, Kind};
use acm2_domain::ids::RunId;
use acm2_domain::run::Event;
use acm2_store::runs;
use poem_openapi::param::{Header, Path, Query};
use poem_openapi::registry::{MetaMediaType, MetaResponses, Registry};
use poem_openapi::types::Type;
use poem_openapi::{ApiResponse, Object, OpenApi};
use serde::Serialize;

use super::Tag;
use super::page::bad_parameters;
use crate::auth::{Allowed, Caller, RunsRead};
use crate::event_stream::{self, EventStream, StreamWanted};
use crate::problem::Failure;
use crate::reply::{NoContent, Reply};
use crate::timelines::News;

/// When one who had too many streams may come back, in seconds.
const RETRY_AFTER: u64 = 5;

/// A page of a run's events.
#[derive(Debug, Serialize, Object)]
pub(super) struct EventList {
    /// The events, oldest first.
    pub items: Vec<Event>,
    /// The number of the last event of this page: hand it in as `after` for what comes next.
    pub last_number: u64,
    /// Whether the run has ended and this page reaches its end: nothing comes any more.
    pub is_complete: bool,
}

/// Events in the form that was asked for.
#[derive(Debug)]
pub(super) enum EventsReply {
    /// A page.
    Page(Reply<EventList>),
    /// A stream.
    Stream(Box<EventStream>),
    /// The end of a stream: the caller has all events of a run that has ended.
    Over,
}

impl poem::IntoResponse for EventsReply {
    fn into_response(self) -> poem::Response {
        match self {
            Self::Page(page) => page.into_response(),
            Self::Stream(stream) => stream.into_response(),
            Self::Over => NoContent.into_response(),
        }
    }
}

impl ApiResponse for EventsReply {
    fn meta() -> MetaResponses {
        let mut responses = <Reply<EventList> as ApiResponse>::meta().responses;
        for response in &mut responses {
            response.description = "the events; as a stream where `Accept` asks for `text/event-stream`";
            response
                .content
                .push(MetaMediaType { content_type: event_stream::CONTENT_TYPE, schema: String::schema_ref() });
        }
        let mut over = <NoContent as ApiResponse>::meta().responses;
        for response in &mut over {
            response.description = "of a stream: the run has ended and you have all its events; come back no more";
        }
        responses.append(&mut over);
        MetaResponses { responses }
    }

    fn register(registry: &mut Registry) {
        <Reply<EventList> as ApiResponse>::register(registry);
    }
}

/// `runs`, the timeline.
pub(super) struct RunEvents;

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Runs")]
impl RunEvents {
    /// List or stream the events of a run.
    ///
    /// Needs the scope `runs:read`. Numbered from 1 without gaps, oldest first. With `Accept: text/event-stream`, a stream of
    /// server-sent events that goes on until the run has ended: `id` is the number, `event` the type, `data` the same JSON as
    /// an item of a page. Come back with `Last-Event-ID` where a stream ends before the run does; a 204 says that it is over.
    #[oai(path = "/runs/:run_id/events", method = "get", operation_id = "runs.events")]
    async fn events(
        &self,
        caller: Allowed<RunsRead>,
        run_id: Path<RunId>,
        /// Only events after this number.
        after: Query<Option<u64>>,
        /// How many events a page has, 1 to 1000; 100 where absent. A stream has all.
        limit: Query<Option<u32>>,
        /// Of a stream: the `id` of the last event that came; goes before `after`.
        #[oai(name = "Last-Event-ID")]
        last_event_id: Header<Option<String>>,
        stream: StreamWanted,
    ) -> Result<EventsReply, Failure> {
        let limit = event_limit(limit.0)?;
        let after = after.0.unwrap_or(0);
        if stream.0 {
            return open_stream(&caller, run_id.0, resume(after, last_event_id.0.as_deref())?).await;
        }
        let tx = caller.store().begin().await?;
        let mark = runs::find_mark(&tx, run_id.0).await?.ok_or_else(|| Error::not_found("run"))?;
        let items = runs::list_events(&tx, run_id.0, after, limit).await?;
        tx.commit().await?;
        let last_number = items.last().map_or(after, |event| event.number);
        let is_complete = mark.status.is_terminal() && last_number >= mark.last_event;
        Ok(EventsReply::Page(Reply::new(EventList { items, last_number, is_complete })))
    }
}

fn event_limit(limit: Option<u32>) -> Result<u64, Failure> {
    match limit.unwrap_or(100) {
        limit @ 1..=1_000 => Ok(u64::from(limit)),
        _ => Err(bad_parameters(vec![FieldError::new("#query/limit", "must be from 1 to 1000")])),
    }
}

/// Where a stream goes on. A client that comes back asks for the same URL as at first, so what it has got since counts more.
fn resume(after: u64, last_event_id: Option<&str>) -> Result<u64, Failure> {
    match last_event_id.map(str::trim) {
        None | Some("") => Ok(after),
        // Digits alone: `parse` would take a sign too.
        Some(text) if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse().map_err(|_| not_an_id()),
        Some(_) => Err(not_an_id()),
    }
}

fn not_an_id() -> Failure {
    let detail = "must be the number of an event of this run, as must `after` where this header is absent";
    bad_parameters(vec![FieldError::new("#header/Last-Event-ID", detail)])
}

async fn open_stream(caller: &Caller, run: RunId, after: u64) -> Result<EventsReply, Failure> {
    let tx = caller.store().begin().await?;
    let found: News = runs::find_mark(&tx, run).await?.ok_or_else(|| Error::not_found("run"))?.into();
    tx.commit().await?;
    if after > found.last_event {
        // It would wait for ever, or miss what comes before.
        return Err(not_an_id());
    }
    if found.is_over && after == found.last_event {
        return Ok(EventsReply::Over);
    }
    let Some(place) = caller.app.streams.enter(caller.tenant) else {
        let detail = "too many streams of events are open; close some, or read pages";
        return Err(Error::new(Kind::TooMany, "too_many_streams", detail).retry_after(RETRY_AFTER).into());
    };
    Ok(EventsReply::Stream(Box::new(EventStream::new(caller, run, after, found, place))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_goes_on_behind_the_last_event_that_came() {
        assert_eq!(resume(3, None).unwrap(), 3);
        assert_eq!(resume(3, Some("")).unwrap(), 3);
        assert_eq!(resume(3, Some("17")).unwrap(), 17);
        for garbage in ["x", "-1", "+1", "1.0", "1 2", "99999999999999999999"] {
            assert!(resume(0, Some(garbage)).is_err(), "{garbage}");
        }
    }
}
