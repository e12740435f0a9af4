//! What the calls of a run have to write is committed together: while one transaction is under way, or waits for its connection,
//! what comes meanwhile gathers for the next (PROTOCOL rules 6, 7). Nothing waits for company: a write that comes alone is
//! committed at once.
//!
//! Whatever is not plain (another worker has the run, a task was left out meanwhile, the store is away) is written apart, one
//! after the other, by whoever handed it in.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use acm2_store::runs::{Ended, Orders};
use tokio::sync::{OwnedMutexGuard, oneshot};

use super::intent::{Intent, NewIntent};
use super::journal::RunCalls;
use super::settle::Settling;
use super::together::{self, Failed};

/// Writes that go into one transaction at most.
const MOST: usize = 64;
/// Bytes of answers that go into one transaction; the first goes whatever it weighs.
const MOST_BYTES: usize = 4 << 20;

/// What is to be written.
#[derive(Clone)]
pub(super) enum Write {
    /// The intent to make a call.
    Intent(Arc<NewIntent>),
    /// What came of an attempt.
    Settling(Arc<Settling>),
    /// The end of the run. All else that it has to write was handed in before.
    End,
}

impl Write {
    fn bytes(&self) -> usize {
        match self {
            Self::Settling(settling) => settling.bytes(),
            Self::Intent(_) | Self::End => 0,
        }
    }
}

/// What became of a write.
pub(super) enum Written {
    Intent(Intent),
    Settled(Orders),
    Ended(Ended),
    /// It is not written: whoever handed it in does it.
    Apart(Apart),
}

/// The turn to write by oneself. Dropping it gives the turn to the next.
pub(super) struct Apart {
    /// Whether the transaction that it was in may have been applied after all.
    pub(super) unclear: bool,
    rest: VecDeque<Entry>,
    turn: Option<OwnedMutexGuard<()>>,
}

impl Drop for Apart {
    fn drop(&mut self) {
        let Some(next) = self.rest.pop_front() else { return };
        let apart = Self { unclear: self.unclear, rest: std::mem::take(&mut self.rest), turn: self.turn.take() };
        // Where nobody listens any more, it comes back, and its drop goes on with the one after it.
        drop(next.reply.send(Written::Apart(apart)));
    }
}

struct Entry {
    write: Write,
    reply: oneshot::Sender<Written>,
}

/// A write that was handed in.
pub(super) struct HandedIn(oneshot::Receiver<Written>);

/// The writes of one run.
#[derive(Default)]
pub(super) struct Writer {
    waiting: Mutex<VecDeque<Entry>>,
    turn: Arc<tokio::sync::Mutex<()>>,
    /// Whoever has the turn has writes in hand. Found so by the next one, they were dropped.
    in_hand: AtomicBool,
    went_apart: AtomicBool,
}

impl Writer {
    /// Hands a write in. What is handed in first is written first, or in the same transaction.
    pub(super) fn hand_in(&self, write: Write) -> HandedIn {
        let (reply, written) = oneshot::channel();
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).push_back(Entry { write, reply });
        HandedIn(written)
    }

    /// Whether a write of this run had to be done apart: then an attempt may be open that nobody knows of here.
    pub(super) fn went_apart(&self) -> bool {
        self.went_apart.load(Ordering::Relaxed)
    }

    /// Sees to it that the write is made: by whoever has the turn, else by writing all that waits.
    pub(super) async fn see_through(&self, run: &RunCalls, handed_in: HandedIn) -> Written {
        let mut written = handed_in.0;
        loop {
            tokio::select! {
                biased;
                written = &mut written => return match written {
                    Ok(written) => written,
                    Err(_) => self.cut_off().await,
                },
                turn = Arc::clone(&self.turn).lock_owned() => self.write_waiting(run, turn).await,
            }
        }
    }

    /// The turn to write, once all that was handed in before is written.
    pub(super) async fn quiet(&self, run: &RunCalls) -> OwnedMutexGuard<()> {
        loop {
            let turn = Arc::clone(&self.turn).lock_owned().await;
            if self.waiting.lock().unwrap_or_else(PoisonError::into_inner).is_empty() {
                return turn;
            }
            self.write_waiting(run, turn).await;
        }
    }

    /// Whoever had it in hand was dropped in the middle.
    async fn cut_off(&self) -> Written {
        self.went_apart.store(true, Ordering::Relaxed);
        let turn = Some(Arc::clone(&self.turn).lock_owned().await);
        Written::Apart(Apart { unclear: true, rest: VecDeque::new(), turn })
    }

    async fn write_waiting(&self, run: &RunCalls, turn: OwnedMutexGuard<()>) {
        if self.in_hand.swap(true, Ordering::Relaxed) {
            self.went_apart.store(true, Ordering::Relaxed);
        }
        let stages = run.stage_events.turn().await;
        // First the connection: what is handed in meanwhile comes along.
        let begun = run.context.store.tenant(run.tenant_id()).begin().await;
        let entries = self.take();
        if entries.is_empty() {
            self.in_hand.store(false, Ordering::Relaxed);
            return;
        }
        let writes: Vec<Write> = entries.iter().map(|entry| entry.write.clone()).collect();
        // What has happened since it was handed in may have left something for the end to clear up.
        let ends = writes.iter().any(|write| matches!(write, Write::End));
        let written = match begun {
            Ok(_) if ends && (self.went_apart() || run.control.cause().is_some()) => Err(Failed::Surely),
            Ok(tx) => together::write(run, tx, &writes, stages).await,
            Err(_) => Err(Failed::Surely),
        };
        self.in_hand.store(false, Ordering::Relaxed);
        match written {
            Ok(written) => {
                run.context.progress.grew(run.control.fence.run);
                for (entry, written) in entries.into_iter().zip(written) {
                    // Who does not listen any more has no need to know.
                    drop(entry.reply.send(written));
                }
            }
            Err(failed) => {
                self.went_apart.store(true, Ordering::Relaxed);
                drop(Apart { unclear: failed == Failed::Unclear, rest: entries, turn: Some(turn) });
            }
        }
    }

    fn take(&self) -> VecDeque<Entry> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let mut bytes = 0;
        let fits = waiting.iter().take(MOST).take_while(|entry| {
            let first = bytes == 0;
            bytes += entry.write.bytes();
            first || bytes <= MOST_BYTES
        });
        let count = fits.count();
        waiting.drain(..count).collect()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn entry() -> (Entry, oneshot::Receiver<Written>) {
        let (reply, written) = oneshot::channel();
        (Entry { write: Write::End, reply }, written)
    }

    fn apart(written: &mut oneshot::Receiver<Written>) -> Option<Apart> {
        match written.try_recv() {
            Ok(Written::Apart(apart)) => Some(apart),
            _ => None,
        }
    }

    #[test]
    fn the_turn_to_write_apart_goes_on_in_order_past_those_who_have_left() {
        let turn = Arc::new(tokio::sync::Mutex::new(()));
        let (first, mut first_written) = entry();
        let (second, second_written) = entry();
        let (third, mut third_written) = entry();
        drop(second_written);
        let rest = VecDeque::from([first, second, third]);
        drop(Apart { unclear: true, rest, turn: Arc::clone(&turn).lock_owned().now_or_never() });

        let taken = apart(&mut first_written).unwrap();
        assert!(taken.unclear && apart(&mut third_written).is_none() && turn.try_lock().is_err());
        drop(taken);
        let taken = apart(&mut third_written).unwrap();
        assert!(turn.try_lock().is_err());
        drop(taken);
        assert!(turn.try_lock().is_ok());
    }

    #[test]
    fn one_transaction_takes_so_many_and_the_next_the_others() {
        let writer = Writer::default();
        let handed_in: Vec<_> = (0..=MOST).map(|_| writer.hand_in(Write::End)).collect();
        assert_eq!((handed_in.len(), writer.take().len(), writer.take().len()), (MOST + 1, MOST, 1));
        assert!(writer.take().is_empty());
    }
}
