//! What a panic leaves in the log: where it was, never its message. The message may hold anything that the code had in its
//! hands, a key too.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::Write as _;
use std::panic::PanicHookInfo;

const TEXT: &str = "a defect: the code panicked here";

/// Replaces the panic hook of the process. Called once by `main`, before anything else.
pub fn install() {
    std::panic::set_hook(Box::new(report));
}

fn report(panic: &PanicHookInfo<'_>) {
    let (file, line, column) = panic.location().map_or(("?", 0, 0), |at| (at.file(), at.line(), at.column()));
    let thread = std::thread::current();
    let thread = thread.name().unwrap_or("?");
    // Frames only, and only where RUST_BACKTRACE asks for them.
    let backtrace = Backtrace::capture();
    let frames = (backtrace.status() == BacktraceStatus::Captured).then(|| backtrace.to_string());
    if tracing::enabled!(tracing::Level::ERROR) {
        tracing::error!(
            panic.file = file,
            panic.line = line,
            panic.column = column,
            panic.thread = thread,
            panic.backtrace = frames,
            "{TEXT}"
        );
    } else {
        // Before the logs are set up; when even standard error is closed there is nowhere left to say it.
        let _ = writeln!(std::io::stderr(), "{TEXT}: {file}:{line}:{column}");
    }
}
