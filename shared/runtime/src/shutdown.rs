//! How a process is told to end: the first SIGTERM or SIGINT asks it to finish, the second one to stop at once. `main` makes
//! one; servers and workers are handed its tokens.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// The two ways to end. Clones share their state.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    soft: CancellationToken,
    hard: CancellationToken,
}

impl Shutdown {
    /// One that ends only by [`Self::request`].
    pub fn new() -> Self {
        Self::default()
    }

    /// One that also ends by SIGTERM and SIGINT; from now on these do not kill the process any more. Must be called inside
    /// a tokio runtime.
    pub fn on_signals() -> io::Result<Self> {
        let shutdown = Self::new();
        let signals = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        tokio::spawn(shutdown.clone().listen(signals));
        Ok(shutdown)
    }

    /// Cancelled when no new work may start and what is in flight should be finished.
    pub fn soft(&self) -> CancellationToken {
        self.soft.clone()
    }

    /// Cancelled when the process ends at once. The soft token is cancelled then too.
    pub fn hard(&self) -> CancellationToken {
        self.hard.clone()
    }

    /// Asks to end: the first time softly, the second time at once.
    pub fn request(&self) {
        if self.soft.is_cancelled() {
            self.hard.cancel();
        } else {
            self.soft.cancel();
        }
    }

    async fn listen(self, (mut terminate, mut interrupt): (Signal, Signal)) {
        while !self.hard.is_cancelled() {
            let name = tokio::select! {
                _ = terminate.recv() => "SIGTERM",
                _ = interrupt.recv() => "SIGINT",
            };
            let again = self.soft.is_cancelled();
            self.request();
            if again {
                tracing::warn!(signal = name, "ending at once");
            } else {
                tracing::info!(signal = name, "ending: finishing what is in flight; once more ends at once");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_request_is_soft_and_the_second_hard() {
        let shutdown = Shutdown::new();
        assert!(!shutdown.soft().is_cancelled());
        shutdown.request();
        assert!(shutdown.soft().is_cancelled() && !shutdown.hard().is_cancelled());
        shutdown.request();
        assert!(shutdown.hard().is_cancelled());
    }
}
