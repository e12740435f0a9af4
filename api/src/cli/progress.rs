//! Progress bars on standard error, for commands that take long; hidden where that is no terminal.

use indicatif::{ProgressBar, ProgressStyle};

use crate::admin::Progress;

/// A bar over tenants.
pub(super) struct Bar(ProgressBar);

impl Bar {
    pub(super) fn new(what: &'static str) -> Self {
        let bar = ProgressBar::new(0).with_message(what);
        if let Ok(style) = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} ({eta})") {
            bar.set_style(style);
        }
        Self(bar)
    }

    pub(super) fn show(&self, progress: Progress) {
        self.0.set_length(progress.total);
        self.0.set_position(progress.done);
    }

    pub(super) fn end(&self) {
        self.0.finish_and_clear();
    }
}
