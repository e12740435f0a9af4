//! Consuming one queue: claims jobs, hands each to a handler, tells the broker what became of it, and drains at shutdown.
//! The process's start-up calls it once per queue. Knows nothing of runs and deliveries: those are handlers.

use std::sync::Arc;
use std::time::Duration;

use acm2_broker::dispatch::Dispatch;
use acm2_domain::ids::WorkerId;
use acm2_domain::job::{Job, Queue};
use acm2_domain::timing::Timing;
use apalis_core::error::WorkerError;
use apalis_core::task::Task;
use apalis_core::task::data::Data;
use apalis_core::worker::builder::WorkerBuilder;
use apalis_core::worker::event::Event;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use futures_util::{Stream, StreamExt};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

pub use crate::backend::Held;
use crate::backend::{Desk, Source, fetch, renew};
use crate::liveness::Liveness;
pub use crate::meter::Meter;

#[cfg(test)]
mod charging;
#[cfg(test)]
mod fake;
#[cfg(test)]
mod tests;

/// What a handler says of a job that it was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The broker may forget the job.
    Done,
    /// The job becomes ready again after this delay.
    GiveBack(Duration),
}

/// Does the jobs of a queue.
pub trait Handler: Send + Sync + 'static {
    /// Works on a job. The future runs as a task of its own; it is dropped if the process may wait no longer, and then the
    /// job is given back at once. If it panics, the job comes back after `Timing::claim_retry`.
    fn handle(&self, job: Job, held: Held) -> BoxFuture<'static, Outcome>;
}

/// What to consume, and how much of it at once.
#[derive(Debug, Clone)]
pub struct ConsumerOptions {
    /// The process.
    pub worker: WorkerId,
    /// The queue.
    pub queue: Queue,
    /// How many jobs may be held at once; at least one. A job holds its permit until the broker took its outcome.
    pub permits: usize,
    /// The durations of the protocol.
    pub timing: Timing,
    /// Whether the others take this process for dead; never, where there are none.
    pub(crate) liveness: Option<Arc<Liveness>>,
}

impl ConsumerOptions {
    /// Whether what this process holds is left to the others, because for them it is dead: it can write nothing, and would keep
    /// from them what they may take.
    pub(crate) fn is_left_to_others(&self) -> bool {
        self.liveness.as_ref().is_some_and(|liveness| liveness.is_stale())
    }
}

/// How a process is told to end. The hard one may be cancelled alone; it counts as both.
#[derive(Debug, Clone, Default)]
pub struct ShutdownTokens {
    /// Take nothing more, finish what is in flight within `Timing::shutdown_grace`.
    pub soft: CancellationToken,
    /// Drop what is in flight, give it back, and end.
    pub hard: CancellationToken,
}

/// Consumes a queue until shutdown; returns when all is drained. Errors of the broker never end it. Dropping the future
/// aborts the handlers; then their jobs come back by their leases at the latest.
pub async fn consume(
    dispatch: Arc<dyn Dispatch>,
    handler: Arc<dyn Handler>,
    options: ConsumerOptions,
    shutdown: ShutdownTokens,
) {
    let desk = Arc::new(Desk::new(dispatch, options));
    consume_with(desk, shutdown, move |source| worker(source, Arc::clone(&handler))).await;
}

/// The events of an apalis worker: it works while they are polled.
type Events = BoxStream<'static, Result<Event, WorkerError>>;

async fn consume_with(
    desk: Arc<Desk>,
    shutdown: ShutdownTokens,
    worker: impl Fn(Source) -> Events + Send + Sync + 'static,
) {
    let _no_handlers_left_behind = desk.abort.clone().drop_guard();
    let _no_retries_left_behind = desk.quit.clone().drop_guard();
    let _renewing = AbortOnDropHandle::new(tokio::spawn(renew(Arc::clone(&desk))));
    let serving = AbortOnDropHandle::new(tokio::spawn(serve(Arc::clone(&desk), worker)));

    tokio::select! {
        () = shutdown.soft.cancelled() => {}
        () = shutdown.hard.cancelled() => {}
    }
    desk.soft.cancel();
    drain(&desk, serving, &shutdown.hard).await;
}

/// Keeps a worker running until the process shuts down; then waits for its last handler.
async fn serve(desk: Arc<Desk>, worker: impl Fn(Source) -> Events) {
    while !desk.soft.is_cancelled() {
        let (tasks, source) = mpsc::channel::<Task<Job>>(desk.options.permits);
        let fetching = AbortOnDropHandle::new(tokio::spawn(fetch(Arc::clone(&desk), tasks)));
        // On a task of its own, so that a panic inside apalis ends no more than this worker.
        let events = worker(Source::new(Arc::clone(&desk), source));
        let working = AbortOnDropHandle::new(tokio::spawn(events.for_each(|event| async move {
            if let Err(error) = event {
                tracing::error!(%error, "the worker reports an error");
            }
        })));
        let panicked = working.await.is_err();
        // The source is gone with the worker: what was claimed for it is given back, and the loop ends. A panic of the loop
        // would have ended the worker too.
        drop(fetching.await);
        if !desk.soft.is_cancelled() {
            tracing::error!(
                queue = desk.options.queue.as_str(),
                panicked,
                "the worker ended by itself; starting another"
            );
            desk.line.pause().await;
        }
    }
}

/// Builds the apalis worker. Boxed at once: the type of the bare stream is not general enough to be spawned.
fn worker(source: Source, handler: Arc<dyn Handler>) -> Events {
    fn boxed<S: Stream<Item = Result<Event, WorkerError>> + Send + 'static>(events: S) -> Events {
        events.boxed()
    }
    let name = source.worker_name();
    boxed(WorkerBuilder::new(name).backend(source).data(handler).build(handle).stream())
}

async fn handle(
    job: Job,
    held: Data<Held>,
    handler: Data<Arc<dyn Handler>>,
) -> Result<Outcome, std::convert::Infallible> {
    Ok(handler.handle(job, held.0).await)
}

/// Waits for the handlers while the grace lasts, drops the rest, and sees the outcomes off to the broker.
async fn drain(desk: &Desk, serving: AbortOnDropHandle<()>, hard: &CancellationToken) {
    let Timing { shutdown_grace, lease, .. } = desk.options.timing;
    let queue = desk.options.queue.as_str();
    // A hard stop during any of what follows.
    let quit = desk.quit.clone();
    let hard_stop = hard.clone();
    let _watching = AbortOnDropHandle::new(tokio::spawn(async move {
        hard_stop.cancelled().await;
        quit.cancel();
    }));
    let handlers = async {
        drop(serving.await);
        desk.tracker.close();
        desk.tracker.wait().await;
    };
    tokio::pin!(handlers);
    let handled = tokio::select! {
        () = &mut handlers => true,
        () = hard.cancelled() => {
            tracing::warn!(queue, held = desk.held(), "hard stop: dropping what is in flight");
            false
        }
        () = tokio::time::sleep(shutdown_grace) => {
            tracing::warn!(queue, held = desk.held(), "the grace is over: dropping what is in flight");
            false
        }
    };
    desk.abort.cancel();
    // After the length of a lease the broker gives the jobs to others by itself: no need to wait longer for anything.
    let drained = async {
        if !handled {
            handlers.await;
        }
        desk.settled().await;
    };
    if timeout(lease, drained).await.is_err() {
        tracing::warn!(queue, held = desk.held(), "ended before the broker took every outcome; the leases run out");
    }
}
