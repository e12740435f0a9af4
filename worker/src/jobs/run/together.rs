//! One transaction for all that a run has to write at a moment: fence, money, attempts, tasks, intents, the end, events. Either
//! everything is plain, or nothing is written; `writer` calls it.

use acm2_store::runs::{self, Change, FenceError, NewTask};
use acm2_store::{StoreError, TenantTx};

use super::intent::{self, NewIntent, Wanted};
use super::journal::RunCalls;
use super::key_notes;
use super::settle::Settling;
use super::stage_events::{About, StageTurn};
use super::writer::{Write, Written};

/// Why nothing was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failed {
    /// It was rolled back.
    Surely,
    /// The commit was not answered.
    Unclear,
}

impl From<FenceError> for Failed {
    fn from(_: FenceError) -> Self {
        Self::Surely
    }
}

impl From<StoreError> for Failed {
    fn from(_: StoreError) -> Self {
        Self::Surely
    }
}

/// Writes all of them; the answers stand in the same order.
pub(super) async fn write(
    run: &RunCalls,
    tx: TenantTx,
    writes: &[Write],
    mut stages: StageTurn<'_>,
) -> Result<Vec<Written>, Failed> {
    let (now, fence) = (run.context.clock.now(), run.control.fence);
    let settlings: Vec<&Settling> = writes.iter().filter_map(as_settling).collect();
    let intents: Vec<&NewIntent> = writes.iter().filter_map(as_intent).collect();
    let ends = writes.iter().any(|write| matches!(write, Write::End));

    let events = settlings.iter().filter_map(|settling| settling.event.clone()).collect();
    let about = About {
        settled: settlings.iter().filter_map(|settling| settling.task.as_ref()).map(|task| &task.key).collect(),
        asked: intents.iter().map(|intent| intent.key()).collect(),
        ends,
    };
    let mut events = stages.tell(run, &tx, events, about).await?;
    let numbers = events.len() as u64 + u64::from(ends);
    let moved = settlings.iter().fold(Change::default(), |sum, settling| sum + settling.change);
    let reserved = intents.iter().map(|intent| intent.reserved_at_once()).sum();
    let change = moved + Change { reserved, ..Change::default() };
    let at_once = if ends && intents.is_empty() && !run.ceiling {
        runs::lock_and_end(&tx, fence, change, numbers, !run.judges, now).await?
    } else {
        None
    };
    let (locked, at_once) = match at_once {
        Some((locked, at_once)) => (locked, Some(at_once)),
        None => (runs::lock(&tx, fence, change, numbers).await?, None),
    };
    let outcomes = settlings.iter().map(|settling| (settling.attempt.id, &settling.outcome));
    if !runs::settle_attempts(&tx, outcomes, now).await? {
        return Err(Failed::Surely);
    }
    let tasks: Vec<&NewTask> = settlings.iter().filter_map(|settling| settling.task.as_ref()).collect();
    runs::insert_tasks(&tx, fence.run, tasks, now).await?;
    let wanted: Vec<Wanted<'_>> = intents.iter().map(|intent| Wanted { intent, applied: None }).collect();
    let mut opened = intent::open(run, &tx, &locked, &wanted, now).await?.into_iter();
    let mut ended = None;
    if ends {
        let url = run.webhook_url.as_deref();
        let (end, event) = match at_once {
            Some(at_once) => at_once.tell(&tx, fence, url, now).await?,
            None => runs::end_settled(&tx, fence, &locked, !run.judges, url, now).await?,
        };
        events.push(event);
        if run.goes_on {
            runs::go_on(&tx, fence.run, now).await?;
        }
        ended = Some(end);
    }
    runs::write_events(&tx, fence.run, locked.last_event + 1 - numbers, &events, now).await?;
    key_notes::write(run, &tx, &settlings, now).await?;

    let written = writes.iter().filter_map(|write| match write {
        Write::Intent(_) => opened.next().map(Written::Intent),
        Write::Settling(_) => Some(Written::Settled(locked.orders)),
        Write::End => ended.take().map(Written::Ended),
    });
    let written: Vec<Written> = written.collect();
    if written.len() != writes.len() {
        return Err(Failed::Surely);
    }
    let nothing = written.iter().all(|written| matches!(written, Written::Intent(intent) if !intent.is_open()));
    if !nothing {
        tx.commit().await.map_err(|_| Failed::Unclear)?;
        stages.committed();
    }
    for intent in intents {
        intent.count(run);
    }
    Ok(written)
}

fn as_settling(write: &Write) -> Option<&Settling> {
    match write {
        Write::Settling(settling) => Some(settling),
        Write::Intent(_) | Write::End => None,
    }
}

fn as_intent(write: &Write) -> Option<&NewIntent> {
    match write {
        Write::Intent(intent) => Some(intent),
        Write::Settling(_) | Write::End => None,
    }
}
