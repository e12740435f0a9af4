//! Words for people: answers on standard output, errors on standard error. The only place of this crate that prints.

use std::io::{self, Write as _};

/// A line of the answer. A reader that went away is nobody's fault.
pub(super) fn line(text: &str) {
    let _ = writeln!(io::stdout(), "{text}");
}

/// A text as it is, without a line feed.
pub(super) fn text(text: &str) {
    let mut out = io::stdout();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Why the command failed: one line.
pub(super) fn error(text: &str) {
    let _ = writeln!(io::stderr(), "acm2: {text}");
}
