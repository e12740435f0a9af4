//! Asking the broker with patience: an answer or none, an outage logged once, a pause before the next try.
//! The other modules of `backend` call it. Must not decide what an outage means for a job.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use acm2_broker::dispatch::{BrokerError, Dispatch};
use acm2_domain::job::Queue;
use acm2_domain::timing::Timing;

/// The line to the broker, shared by everything that one consumer asks it.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) dispatch: Arc<dyn Dispatch>,
    queue: Queue,
    patience: Duration,
    retry: Duration,
    away: AtomicBool,
}

impl Line {
    pub(crate) fn new(dispatch: Arc<dyn Dispatch>, queue: Queue, timing: &Timing) -> Self {
        Self { dispatch, queue, patience: timing.lease_renew, retry: timing.broker_retry, away: AtomicBool::new(false) }
    }

    /// The broker's answer, or `None` if it failed or took longer than a renewal may: then the call may be repeated, since
    /// all calls that come here may.
    pub(crate) async fn ask<T>(&self, call: impl Future<Output = Result<T, BrokerError>>) -> Option<T> {
        self.ask_within(self.patience, call).await
    }

    /// As `ask`, with a patience of its own.
    pub(crate) async fn ask_within<T>(
        &self,
        patience: Duration,
        call: impl Future<Output = Result<T, BrokerError>>,
    ) -> Option<T> {
        let answer = tokio::time::timeout(patience, call)
            .await
            .unwrap_or_else(|_| Err(BrokerError("no answer in time".to_owned())));
        match answer {
            Ok(answer) => {
                if self.away.swap(false, Ordering::Relaxed) {
                    tracing::info!(queue = self.queue.as_str(), "the broker answers again");
                }
                Some(answer)
            }
            Err(error) => {
                if !self.away.swap(true, Ordering::Relaxed) {
                    tracing::warn!(queue = self.queue.as_str(), %error, "the broker failed; asking it again until it answers");
                }
                None
            }
        }
    }

    /// Waits before the next try, each process for another while, so that a broker that comes back is not stormed.
    pub(crate) async fn pause(&self) {
        tokio::time::sleep(self.retry.mul_f64(rand::random_range(0.5..1.5))).await;
    }
}
