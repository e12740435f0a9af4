//! What stops a run while a worker has it: a command, its deadline, its loss, the end of the process (PROTOCOL rules 8, 9, 15);
//! and which of its tasks were left out.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use acm2_broker::signals::Signal;
use acm2_domain::ids::TenantId;
use acm2_domain::run::Requested;
use acm2_store::StoreError;
use acm2_store::runs::{self, Fence, Orders};
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

use super::skips::Skips;
use crate::consume::Held;
use crate::context::{Context, Trouble};

/// How often it looks again, where a look has failed, in the time between two looks of its own accord.
const LOOKS_OF_THE_BLIND: u32 = 20;

/// Why a run stops here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StopCause {
    /// A command.
    Cancelled,
    /// A command: the calls in flight are finished first.
    Paused,
    /// Its deadline passed.
    Deadline,
    /// Another worker has it, or it has ended.
    Lost,
    /// The process ends; another takes the run on.
    ShuttingDown,
    /// It goes back for a while: every task that is left waits longer than a worker should be held, or its answers take too much room.
    Waiting(Duration),
    /// The store refuses.
    Defect,
}

/// Stops the calls of one run.
#[derive(Debug)]
pub(super) struct Control {
    pub(super) fence: Fence,
    pub(super) skips: Skips,
    cause: Mutex<Option<StopCause>>,
    /// No new call starts.
    pub(super) drain: CancellationToken,
    /// Calls in flight are dropped, their sockets closed.
    pub(super) abort: CancellationToken,
}

impl Control {
    pub(super) fn new(fence: Fence) -> Self {
        Self {
            fence,
            skips: Skips::default(),
            cause: Mutex::new(None),
            drain: CancellationToken::new(),
            abort: CancellationToken::new(),
        }
    }

    /// Why the run stops, if it does.
    pub(super) fn cause(&self) -> Option<StopCause> {
        *self.cause.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stops the run. The first cause stands, but a loss overrides: after it nothing may be written; and what aborts overrides
    /// what only drains. Of a run that is lost the calls in flight go on: their answers are paid for, and are kept as late.
    pub(super) fn stop(&self, cause: StopCause) {
        let aborts = |cause: StopCause| matches!(cause, StopCause::Cancelled | StopCause::Deadline | StopCause::Defect);
        {
            let mut stands = self.cause.lock().unwrap_or_else(PoisonError::into_inner);
            let overrides = match *stands {
                None => true,
                Some(StopCause::Lost) => false,
                Some(old) => cause == StopCause::Lost || (aborts(cause) && !aborts(old)),
            };
            if overrides {
                *stands = Some(cause);
            }
        }
        self.drain.cancel();
        if aborts(cause) {
            self.abort.cancel();
        }
    }

    /// Acts on what commands have left on the run.
    pub(super) fn obey(&self, orders: Orders) {
        match orders.requested {
            Some(Requested::Cancel) => self.stop(StopCause::Cancelled),
            Some(Requested::Pause) => self.stop(StopCause::Paused),
            None => {}
        }
        self.skips.announce(orders.skips);
    }

    /// Acts on a write that did not happen.
    pub(super) fn trouble(&self, trouble: &Trouble) {
        match trouble {
            Trouble::Lost => self.stop(StopCause::Lost),
            Trouble::Ending => self.stop(StopCause::ShuttingDown),
            Trouble::Defect(error) => {
                tracing::error!(%error, run.id = %self.fence.run, "the store refuses a write of the run");
                self.stop(StopCause::Defect);
            }
        }
    }
}

/// Watches over a run while it is worked on.
pub(super) async fn watch(
    context: &Arc<Context>,
    tenant: TenantId,
    control: &Control,
    held: &Held,
    time_left: Duration,
) -> Infallible {
    let shutting_down = held.shutting_down();
    let mut signals = context.broker.signals.subscribe();
    let deadline = tokio::time::sleep(time_left);
    tokio::pin!(deadline);
    let mut polls = tokio::time::interval(context.timing.command_poll);
    polls.reset();
    let look = async || look(context, tenant, control).await;
    // What was to be seen could not be: the signal of it does not come again.
    let mut blind = false;
    loop {
        tokio::select! {
            () = &mut deadline, if !control.abort.is_cancelled() => control.stop(StopCause::Deadline),
            () = shutting_down.cancelled(), if !control.drain.is_cancelled() => control.stop(StopCause::ShuttingDown),
            () = held.taken_hint() => {
                let seen = look().await;
                blind = seen.is_none();
                if seen == Some(true) {
                    held.restore().await;
                }
            }
            signal = signals.recv() => match signal {
                Ok(Signal::Command { run, .. }) if run == control.fence.run => blind = look().await.is_none(),
                Ok(_) => {}
                Err(RecvError::Lagged(_)) => blind = look().await.is_none(),
                // The broker's side is gone for good: the polls go on.
                Err(RecvError::Closed) => tokio::time::sleep(context.timing.command_poll).await,
            },
            _ = polls.tick() => blind = look().await.is_none(),
            () = control.skips.announced() => blind = look().await.is_none(),
            () = tokio::time::sleep(context.timing.command_poll / LOOKS_OF_THE_BLIND), if blind => {
                blind = look().await.is_none();
            }
        }
    }
}

/// Reads the run's claim and what commands have left on it; whether it is still held here, or `None` where it could not be read.
async fn look(context: &Arc<Context>, tenant: TenantId, control: &Control) -> Option<bool> {
    let read = async {
        let tx = context.store.tenant(tenant).begin().await?;
        let Some(orders) = runs::find_orders(&tx, control.fence).await? else { return Ok(None) };
        let behind = control.skips.is_behind(orders.skips);
        let skipped = if behind { runs::list_skipped(&tx, control.fence.run).await? } else { Vec::new() };
        Ok::<_, StoreError>(Some((orders, skipped)))
    };
    // A look that hangs must not keep the deadline or a shutdown from being seen.
    let seen = tokio::time::timeout(context.timing.heartbeat_timeout, read).await.ok()?;
    match seen {
        Ok(Some((orders, skipped))) => {
            control.skips.skip(skipped);
            control.obey(orders);
            Some(true)
        }
        Ok(None) => {
            control.stop(StopCause::Lost);
            Some(false)
        }
        Err(error) => {
            tracing::debug!(%error, run.id = %control.fence.run, "the run could not be looked at");
            None
        }
    }
}
