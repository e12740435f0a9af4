//! Where apalis gets its tasks from: a channel that a loop of ours fills, permits first, so that nothing is claimed that
//! cannot begin at once. `consume.rs` starts both. Must never report an error to apalis, which would end the worker.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use acm2_domain::job::Job;
use apalis_core::backend::finalize::Ephemeral;
use apalis_core::backend::{Backend, BackendConfig};
use apalis_core::task::Task;
use apalis_core::task::builder::TaskBuilder;
use apalis_core::worker::context::WorkerContext;
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use super::layer::Seating;
use super::seats::{Desk, Seat};
use crate::consume::ConsumerOptions;

/// The most jobs that one claim asks for: enough to save round trips, few enough that no worker hoards.
const BATCH: usize = 32;

/// A seat as it travels in an apalis task, whose data must be `Clone`. The layer takes it out; if the task is dropped before,
/// the seat is dropped with it and gives the job back.
#[derive(Debug, Clone)]
pub(super) struct Ticket(Arc<Mutex<Option<Seat>>>);

impl Ticket {
    fn new(seat: Seat) -> Self {
        Self(Arc::new(Mutex::new(Some(seat))))
    }

    pub(super) fn take(&self) -> Option<Seat> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// The receiving end, as apalis polls it.
#[derive(Debug)]
pub(crate) struct Source {
    desk: Arc<Desk>,
    tasks: mpsc::Receiver<Task<Job>>,
}

impl Source {
    pub(crate) fn new(desk: Arc<Desk>, tasks: mpsc::Receiver<Task<Job>>) -> Self {
        Self { desk, tasks }
    }

    /// How apalis names the worker in its logs.
    pub(crate) fn worker_name(&self) -> String {
        format!("{}/{}", self.desk.options.worker, self.desk.options.queue.as_str())
    }
}

impl Backend for Source {
    type Task = Task<Job>;
    type Error = Infallible;

    fn poll_ready(&mut self, _: &mut Context<'_>, _: &WorkerContext) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn poll_next(
        &mut self,
        context: &mut Context<'_>,
        _: &WorkerContext,
    ) -> Poll<Option<Result<Task<Job>, Infallible>>> {
        self.tasks.poll_recv(context).map(|task| task.map(Ok))
    }

    fn poll_close(&mut self, _: &mut Context<'_>, worker: &WorkerContext) -> Poll<Result<(), Infallible>> {
        self.tasks.close();
        // A source that came to its end does not stop the worker by itself, and one that is not stopped never ends. The only
        // error says that it never started.
        if !worker.is_shutting_down() {
            drop(worker.stop());
        }
        Poll::Ready(Ok(()))
    }
}

impl BackendConfig for Source {
    type Args = Job;
    type Id = String;
    // Tasks never leave the process, so that apalis needs no codec, which could end the worker by an error.
    type Kind = Ephemeral;
    type Config = ConsumerOptions;
    type Layer = Seating;

    fn config(&self) -> &ConsumerOptions {
        &self.desk.options
    }

    fn middleware(&mut self, _: &mut WorkerContext) -> Seating {
        Seating::new(Arc::clone(&self.desk))
    }
}

/// Claims jobs while there are permits and hands them over, until the process shuts down or the worker is gone.
pub(crate) async fn fetch(desk: Arc<Desk>, tasks: mpsc::Sender<Task<Job>>) {
    let timing = &desk.options.timing;
    // Any lease that a claim might have made has run out by then: nothing is lost by giving up on the answer.
    let patience = timing.claim_wait + timing.lease;
    loop {
        let permits = tokio::select! {
            biased;
            () = desk.soft.cancelled() => return,
            () = tasks.closed() => return,
            permits = free_permits(&desk) => permits,
        };
        if desk.options.is_left_to_others() {
            drop(permits);
            tokio::select! {
                () = desk.soft.cancelled() => return,
                () = desk.line.pause() => continue,
            }
        }
        let claim = desk.line.dispatch.claim(desk.options.queue, desk.claimant(), permits.len(), timing.claim_wait);
        // Not cut short by a soft shutdown: what it claims meanwhile is given back below, instead of waiting for its lease.
        let claimed = tokio::select! {
            biased;
            () = desk.quit.cancelled() => return,
            claimed = desk.line.ask_within(patience, claim) => claimed,
        };
        let Some(leases) = claimed else {
            drop(permits);
            tokio::select! {
                () = desk.soft.cancelled() => return,
                () = desk.line.pause() => continue,
            }
        };
        // All are seated before the first is handed over, so that none is forgotten if the worker is gone.
        let seats: Vec<_> = leases.into_iter().zip(permits).map(|(lease, permit)| desk.seat(lease, permit)).collect();
        for seat in seats {
            let Some(job) = seat.job() else { continue };
            let task = TaskBuilder::new(job).data(Ticket::new(seat)).build();
            if tasks.send(task).await.is_err() {
                return;
            }
        }
    }
}

/// Waits for one permit and takes what else is free, up to a batch.
async fn free_permits(desk: &Desk) -> Vec<OwnedSemaphorePermit> {
    let Ok(first) = Arc::clone(&desk.permits).acquire_owned().await else {
        // Only a closed semaphore answers so; nobody closes it.
        return std::future::pending().await;
    };
    let more = std::iter::from_fn(|| Arc::clone(&desk.permits).try_acquire_owned().ok());
    std::iter::once(first).chain(more.take(BATCH - 1)).collect()
}
