//! The outermost layer of the apalis worker: runs each handler as a tokio task of its own, so that it uses all cores and
//! outlives the worker, catches its panics, and closes its seat. `Source` installs it. Must never log what a panic says.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use acm2_domain::job::Job;
use apalis_core::error::BoxDynError;
use apalis_core::layers::{Layer, Service};
use apalis_core::task::Task;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use tracing::Instrument;

use super::seats::Desk;
use super::source::Ticket;
use crate::consume::Outcome;

/// The layer.
#[derive(Debug, Clone)]
pub(crate) struct Seating {
    desk: Arc<Desk>,
}

impl Seating {
    pub(super) fn new(desk: Arc<Desk>) -> Self {
        Self { desk }
    }
}

impl<S> Layer<S> for Seating {
    type Service = Seated<S>;

    fn layer(&self, inner: S) -> Seated<S> {
        Seated { desk: Arc::clone(&self.desk), inner }
    }
}

/// The service that the layer makes of another one.
#[derive(Debug)]
pub(crate) struct Seated<S> {
    desk: Arc<Desk>,
    inner: S,
}

impl<S> Service<Task<Job>> for Seated<S>
where
    S: Service<Task<Job>, Response = Outcome>,
    S::Future: Send + 'static,
    S::Error: Into<BoxDynError> + Send,
{
    type Response = ();
    type Error = BoxDynError;
    type Future = BoxFuture<'static, Result<(), BoxDynError>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxDynError>> {
        self.inner.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, task: Task<Job>) -> Self::Future {
        let job = task.args;
        let Some(seat) = task.data().get::<Ticket>().and_then(Ticket::take) else {
            tracing::error!(job.id = %job.id, tenant.id = %job.tenant, "a task without a seat was dropped");
            return ready(Ok(())).boxed();
        };
        let Some(held) = seat.held().filter(|_| !self.desk.soft.is_cancelled()) else {
            // Claimed, but not begun: dropping the seat gives it back.
            return ready(Ok(())).boxed();
        };
        let queue = self.desk.options.queue.as_str();
        let retry = self.desk.options.timing.claim_retry;
        let abort = self.desk.abort.clone();
        let work = AssertUnwindSafe(self.inner.call(with_held(task, held))).catch_unwind();
        let span = tracing::info_span!("job", job.id = %job.id, tenant.id = %job.tenant, queue);
        let working = async move {
            let outcome = tokio::select! {
                biased;
                () = abort.cancelled() => Outcome::GiveBack(Duration::ZERO),
                ended = work => outcome_of(ended.map(|result| result.map_err(Into::into)), retry),
            };
            seat.close(outcome);
        };
        let working = self.desk.tracker.spawn(working.instrument(span));
        // It has been closed or dropped with its seat: a failed join has nothing to add.
        working.map(|_| Ok(())).boxed()
    }
}

fn with_held(mut task: Task<Job>, held: super::Held) -> Task<Job> {
    task.inject_data(held);
    task
}

/// What a handler that ended means for its job; the ways to end that are none of its own bring the job back after `retry`.
fn outcome_of(ended: Result<Result<Outcome, BoxDynError>, Box<dyn Any + Send>>, retry: Duration) -> Outcome {
    match ended {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(error)) => {
            tracing::error!(%error, "a handler could not be called; its job is given back");
            Outcome::GiveBack(retry)
        }
        // What the panic says may hold anything, a prompt too.
        Err(_) => {
            tracing::error!("a handler panicked; its job is given back");
            Outcome::GiveBack(retry)
        }
    }
}
