//! The call log: what the sandbox saw and did, in memory and, when asked, in a file.
//! Written by `generate` and `own_pages` through an `OpenCall`, read by `server` and `own_pages`. It holds fingerprints,
//! never keys or prompts.

use std::{
    collections::VecDeque,
    fs::File,
    io::Write,
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{reply::Usage, wire::Wire};

/// How many records are kept in memory; the file keeps all.
const KEPT: usize = 100_000;

/// What a record tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// The whole request arrived; written before any wait.
    Received,
    /// The answer was given to the connection (of a streamed body: its last byte).
    Answered,
    /// The client closed the connection before it had an answer.
    ClientGone,
}

/// One line of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallRecord {
    /// Number of this line, from 1, without gaps.
    pub seq: u64,
    /// Number of the call: its lines share it.
    pub call: u64,
    /// When the line was written.
    pub time: DateTime<Utc>,
    /// What happened.
    pub event: Event,
    /// Which kind of call.
    pub wire: Wire,
    /// Path of the request, without the query.
    pub path: String,
    /// Model as it was sent.
    pub model: Option<String>,
    /// `x-acm2-attempt-id`, else `x-client-request-id`, else, on the OpenAI wires, `Idempotency-Key`.
    pub attempt_id: Option<String>,
    /// First 16 hexadecimal digits of the SHA-256 of the API key.
    pub key_fingerprint: Option<String>,
    /// The same of all message texts, joined by line feeds.
    pub prompt_fingerprint: Option<String>,
    /// HTTP status that was answered; none while open, or when the connection was closed instead.
    pub status: Option<u16>,
    /// Usage that the answer reported.
    pub usage: Option<Usage>,
    /// Cost that the answer reported, in millionths of a US dollar.
    pub cost_micro_usd: Option<u64>,
}

/// What is known of a call when it arrives.
#[derive(Debug)]
pub(crate) struct Arrival {
    pub(crate) wire: Wire,
    pub(crate) path: String,
    pub(crate) model: Option<String>,
    pub(crate) attempt_id: Option<String>,
    pub(crate) key_fingerprint: Option<String>,
    pub(crate) prompt_fingerprint: Option<String>,
}

#[derive(Debug)]
pub(crate) struct CallLog {
    lines: Mutex<Lines>,
    /// Set while the server stops: calls that end then did not lose their client.
    stopping: AtomicBool,
}

#[derive(Debug)]
struct Lines {
    last_seq: u64,
    last_call: u64,
    kept: VecDeque<CallRecord>,
    file: Option<File>,
}

impl CallLog {
    /// Opens the log; appends to `file` when it exists.
    pub(crate) fn open(file: Option<&Path>) -> std::io::Result<Arc<Self>> {
        let file = file.map(|path| File::options().create(true).append(true).open(path)).transpose()?;
        let lines = Lines { last_seq: 0, last_call: 0, kept: VecDeque::new(), file };
        Ok(Arc::new(Self { lines: Mutex::new(lines), stopping: AtomicBool::new(false) }))
    }

    /// Writes `received` and returns the open call.
    pub(crate) fn received(self: &Arc<Self>, arrival: Arrival) -> OpenCall {
        let mut record = CallRecord {
            seq: 0,
            call: 0,
            time: now(),
            event: Event::Received,
            wire: arrival.wire,
            path: arrival.path,
            model: arrival.model,
            attempt_id: arrival.attempt_id,
            key_fingerprint: arrival.key_fingerprint,
            prompt_fingerprint: arrival.prompt_fingerprint,
            status: None,
            usage: None,
            cost_micro_usd: None,
        };
        self.write(&mut record);
        OpenCall { log: Arc::clone(self), record, closed: false }
    }

    /// The kept records with a `seq` above `since`, oldest first.
    pub(crate) fn since(&self, since: u64) -> Vec<CallRecord> {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let start = lines.kept.partition_point(|record| record.seq <= since);
        lines.kept.range(start..).cloned().collect()
    }

    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::SeqCst);
    }

    /// Numbers the record and writes it. A `received` record starts a call.
    fn write(&self, record: &mut CallRecord) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.last_seq += 1;
        record.seq = lines.last_seq;
        if record.event == Event::Received {
            lines.last_call += 1;
            record.call = lines.last_call;
        }
        if let Some(file) = lines.file.as_mut() {
            // One unbuffered write of a whole line: what is written survives the end of this process.
            let written = serde_json::to_vec(record).map_err(std::io::Error::from).and_then(|mut line| {
                line.push(b'\n');
                file.write_all(&line)
            });
            if let Err(error) = written {
                tracing::warn!(error = %error, "sandbox log file cannot be written");
            }
        }
        if lines.kept.len() >= KEPT {
            lines.kept.pop_front();
        }
        lines.kept.push_back(record.clone());
    }
}

/// A call without its last line. Dropped before an answer, it notes that the client went away: that is when the future or
/// the body of a call is dropped.
#[derive(Debug)]
pub(crate) struct OpenCall {
    log: Arc<CallLog>,
    record: CallRecord,
    closed: bool,
}

impl OpenCall {
    pub(crate) fn number(&self) -> u64 {
        self.record.call
    }

    /// What the answer will have reported.
    pub(crate) fn reports(&mut self, usage: Option<Usage>, cost_micro_usd: Option<u64>) {
        self.record.usage = usage;
        self.record.cost_micro_usd = cost_micro_usd;
    }

    /// Writes `answered`; no status when the connection is closed instead.
    pub(crate) fn answered(mut self, status: Option<u16>) {
        self.record.status = status;
        self.close(Event::Answered);
    }

    fn close(&mut self, event: Event) {
        self.closed = true;
        self.record.event = event;
        self.record.time = now();
        self.log.write(&mut self.record);
    }
}

impl Drop for OpenCall {
    fn drop(&mut self) {
        if !self.closed && !self.log.stopping.load(Ordering::SeqCst) {
            self.record.usage = None;
            self.record.cost_micro_usd = None;
            self.close(Event::ClientGone);
        }
    }
}

/// The time of the log and of the answers.
#[expect(clippy::disallowed_methods, reason = "a provider outside of ACM2 has a clock of its own")]
pub(crate) fn now() -> DateTime<Utc> {
    Utc::now()
}
