//! What a line of the log looks like, and what never comes into one.

use std::io;
use std::sync::{Arc, Mutex};

use acm2_runtime::config::{Config, Log};
use acm2_runtime::telemetry;
use tracing_subscriber::fmt::MakeWriter;

/// Keeps what is written.
#[derive(Clone, Default)]
pub(crate) struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

pub(crate) fn log(level: &str) -> Log {
    let level = ("ACM2_LOG__LEVEL".to_owned(), level.to_owned());
    Config::read([level]).unwrap().log
}

fn logged(level: &str, on_terminal: bool, act: impl FnOnce()) -> String {
    let lines = Lines::default();
    tracing::subscriber::with_default(telemetry::subscriber(&log(level), on_terminal, lines.clone()), act);
    lines.text()
}

#[test]
fn a_line_is_one_json_object_with_dotted_fields_and_the_span() {
    let text = logged("info", false, || {
        let _span = tracing::info_span!("job", tenant.id = "ten_1").entered();
        tracing::info!(run.id = "run_1", duration_ms = 12, "run ended");
    });
    assert_eq!(text.lines().count(), 1, "{text}");
    let line: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(line["message"], "run ended");
    assert_eq!(line["run.id"], "run_1");
    assert_eq!(line["duration_ms"], 12);
    assert_eq!(line["level"], "INFO");
    assert_eq!(line["span"]["tenant.id"], "ten_1");
    assert!(line["timestamp"].as_str().is_some_and(|time| time.ends_with('Z')), "{line}");
}

#[test]
fn a_terminal_gets_text() {
    let text = logged("info", true, || tracing::info!(run.id = "run_1", "run ended"));
    assert!(serde_json::from_str::<serde_json::Value>(&text).is_err() && text.contains("run ended"), "{text}");
}

#[test]
fn the_level_decides_by_part() {
    let text = logged("warn,acm2_worker=debug", false, || {
        tracing::info!(target: "acm2_api", "one");
        tracing::debug!(target: "acm2_worker::sweeper", "two");
        tracing::warn!(target: "acm2_api", "three");
    });
    assert!(!text.contains("one") && text.contains("two") && text.contains("three"), "{text}");
}

#[test]
fn libraries_that_see_keys_are_silent_below_info_whatever_the_level_says() {
    let text = logged("trace,h2::codec=trace,hyper_util=trace,sqlx::query=trace", false, || {
        tracing::trace!(target: "h2::codec::framed_write", "authorization: hunter2");
        tracing::debug!(target: "hyper_util::client", "hunter2");
        tracing::debug!(target: "sqlx::query", "hunter2");
        tracing::warn!(target: "sqlx::query", "slow");
        tracing::trace!(target: "acm2_worker", "ours");
    });
    assert!(!text.contains("hunter2") && text.contains("slow") && text.contains("ours"), "{text}");
}
