//! A client of server-sent events, and what it should have seen.

use std::time::{Duration, SystemTime};

use chrono::{DateTime, Utc};
use reqwest::{Method, Response};
use serde_json::Value;

use crate::harness::Client;

/// An event as it came.
#[derive(Debug, Clone)]
pub(crate) struct Frame {
    pub(crate) id: u64,
    pub(crate) name: String,
    pub(crate) data: Value,
    came_at: DateTime<Utc>,
}

impl Frame {
    /// The milliseconds between the event and its arrival.
    pub(crate) fn age(&self) -> i64 {
        let at: DateTime<Utc> = self.data["at"].as_str().unwrap().parse().unwrap();
        (self.came_at - at).num_milliseconds()
    }
}

/// One connection.
pub(crate) struct EventSource {
    response: Response,
    text: String,
    /// Comments that came.
    pub(crate) heartbeats: usize,
}

impl EventSource {
    /// `None` where the server says that it is over.
    pub(crate) async fn open(client: &Client, path: &str, last_id: Option<u64>) -> Option<Self> {
        Self::try_open(client, path, last_id).await.unwrap()
    }

    async fn try_open(client: &Client, path: &str, last_id: Option<u64>) -> reqwest::Result<Option<Self>> {
        let mut request = client.request(Method::GET, path).header("accept", "text/event-stream");
        if let Some(id) = last_id {
            request = request.header("last-event-id", id);
        }
        let response = request.header("accept-encoding", "gzip").send().await?;
        Ok(match response.status().as_u16() {
            200 => Some(Self { response, text: String::new(), heartbeats: 0 }),
            204 => None,
            status => panic!("{status}: {}", response.text().await.unwrap()),
        })
    }

    pub(crate) fn header(&self, name: &str) -> String {
        self.response.headers().get(name).map_or_else(String::new, |value| value.to_str().unwrap().to_owned())
    }

    /// The next event; `None` where the stream ends, or is cut.
    pub(crate) async fn next(&mut self) -> Option<Frame> {
        loop {
            while let Some(end) = self.text.find("\n\n") {
                let block: String = self.text.drain(..end + 2).collect();
                if let Some(frame) = self.parse(block.trim_end()) {
                    return Some(frame);
                }
            }
            let chunk = self.response.chunk().await.ok()??;
            self.text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }

    /// All events until the stream ends.
    pub(crate) async fn rest(&mut self) -> Vec<Frame> {
        let mut events = Vec::new();
        while let Some(event) = self.next().await {
            events.push(event);
        }
        events
    }

    fn parse(&mut self, block: &str) -> Option<Frame> {
        if block.starts_with(':') {
            self.heartbeats += 1;
            return None;
        }
        let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        if field("retry").is_some() {
            return None;
        }
        let came_at = DateTime::<Utc>::from(SystemTime::now());
        let data = serde_json::from_str(field("data").unwrap()).unwrap();
        Some(Frame {
            id: field("id").unwrap().parse().unwrap(),
            name: field("event").unwrap().to_owned(),
            data,
            came_at,
        })
    }
}

/// The path of a run's events.
pub(crate) fn path(run: &str) -> String {
    format!("/api/v1/runs/{run}/events")
}

/// Follows a run to its end as a browser would: comes back with the last id, to the next process where one is gone.
pub(crate) async fn follow(clients: Vec<Client>, run: String) -> Vec<Value> {
    let mut events: Vec<Frame> = Vec::new();
    let until = tokio::time::Instant::now() + Duration::from_secs(80);
    for turn in 0.. {
        assert!(tokio::time::Instant::now() < until, "the run {run} has not ended");
        let last_id = events.last().map(|event| event.id);
        match EventSource::try_open(&clients[turn % clients.len()], &path(&run), last_id).await {
            Ok(Some(mut stream)) => events.extend(stream.rest().await),
            Ok(None) => break,
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
    events.into_iter().map(|event| event.data).collect()
}

/// The events of a run that has ended, from its pages.
pub(crate) async fn pages(client: &Client, run: &str) -> Vec<Value> {
    let (mut events, mut after) = (Vec::new(), 0);
    loop {
        let page = client.get(&format!("{}?after={after}", path(run))).await.expect(200);
        let items = page["items"].as_array().unwrap().clone();
        if items.is_empty() {
            return events;
        }
        events.extend(items);
        after = page["last_number"].as_u64().unwrap();
    }
}
