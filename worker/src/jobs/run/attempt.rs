//! One attempt of a task: the intent is committed, then the provider is called once, then the answer is committed.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use acm2_domain::call::{Call, CallError, ErrorClass};
use acm2_domain::ids::AttemptId;
use acm2_domain::journal::{TaskAnswer, TaskKey};
use acm2_domain::money::Usd;
use acm2_outbound::Target;
use acm2_store::provider_keys::ProviderKeyRow;
use acm2_store::runs::{self, Change, FenceError, NewAttempt, Orders};
use futures_util::FutureExt;
use secrecy::SecretString;
use tokio_util::sync::CancellationToken;

use super::journal::RunCalls;
use super::lane;
use super::money::{self, NoRoom, Reservation};
use super::route::{self, Refusal};
use super::settle;
use crate::context::Trouble;
use crate::lanes::{KeyVersion, LocalLane, Pass};

/// What came of an attempt.
pub(super) enum Attempted {
    /// The task has its answer, and it is committed.
    Answered(TaskAnswer),
    /// The provider, or the way to it, failed; the attempt is still open.
    Failed(Box<OpenAttempt>, Box<CallError>),
    /// Nothing was sent, and the task is settled as failed.
    Refused(ErrorClass),
    /// Nothing was sent: the key is no longer the one whose lane was asked, or the task's answer has come meanwhile.
    Again,
    /// The run stops.
    Stopped,
}

/// An attempt whose intent is committed.
#[derive(Debug)]
pub(super) struct OpenAttempt {
    pub(super) id: AttemptId,
    /// The provider key as it was when the call was made.
    pub(super) key: ProviderKeyRow,
    pub(super) reserved: Option<Usd>,
}

/// All that one call needs.
struct CallReady {
    open: OpenAttempt,
    target: Target,
    secret: SecretString,
    reservation: Reservation,
}

/// What the intent's transaction found.
enum Intent {
    Open(Box<CallReady>),
    Refused(Refusal),
    Skipped,
    /// The run stops.
    Stopped,
    /// The answer of an earlier claim has come meanwhile.
    Late,
    Commanded(Orders),
    OtherKey(&'static str, KeyVersion),
}

/// Makes attempt `number` of the task, with the `pass` of its lane. `counted`: whether this claim has taken it from the tasks that
/// are still to reserve.
pub(super) async fn make(
    run: &RunCalls,
    key: &TaskKey,
    call: &Call,
    number: u32,
    counted: &AtomicBool,
    skipped: &CancellationToken,
    pass: Option<Pass>,
) -> Result<Attempted, Trouble> {
    let lane = pass.as_ref().map(|pass| &*pass.lane);
    let CallReady { open, target, secret, reservation } = match intend(run, key, call, number, counted, lane).await? {
        Intent::Open(open) => *open,
        Intent::Refused(refusal) => {
            settle::refused(run, key, &refusal, number - 1).await?;
            return Ok(Attempted::Refused(refusal.class));
        }
        Intent::Skipped => return Ok(Attempted::Refused(ErrorClass::Skipped)),
        Intent::Stopped => return Ok(Attempted::Stopped),
        Intent::Late => return Ok(Attempted::Again),
        Intent::OtherKey(provider, found) => {
            run.context.lanes.found((run.tenant_id(), provider, call.provider_key), Some(found));
            return Ok(Attempted::Again);
        }
        Intent::Commanded(orders) => {
            run.control.obey(orders);
            return Ok(Attempted::Stopped);
        }
    };
    let call = Call { max_output_tokens: reservation.max_output_tokens, ..call.clone() };
    let running = run.meter.run();
    let answer = tokio::select! {
        biased;
        // Dropping the call closes its socket. The run's deadline aborts too: it must not look like a slow provider.
        () = run.control.abort.cancelled() => return Ok(Attempted::Stopped),
        () = skipped.cancelled() => {
            settle::dropped(run, key, &open, number).await?;
            return Ok(Attempted::Refused(ErrorClass::Skipped));
        }
        answer = run.context.outbound.call(&target, secret, &call, open.id, call.timeout) => answer,
    };
    drop(running);
    if let Some(pass) = pass {
        pass.report(lane::report_of(&answer));
    }
    match answer {
        Ok(answer) => Ok(match settle::answered(run, key, &call, &open, &answer, number).await? {
            Some(answer) => Attempted::Answered(answer),
            None => Attempted::Refused(ErrorClass::Skipped),
        }),
        Err(error) => Ok(Attempted::Failed(Box::new(open), Box::new(error))),
    }
}

/// Commits the intent: from here on the call may be made, and money may be spent.
async fn intend(
    run: &RunCalls,
    key: &TaskKey,
    call: &Call,
    number: u32,
    counted: &AtomicBool,
    lane: Option<&LocalLane>,
) -> Result<Intent, Trouble> {
    let id = AttemptId::generate();
    run.context.stored(|tried| intend_once(run, key, call, number, id, counted, lane, tried).boxed()).await
}

/// How many tasks are to share what the ceiling leaves, this one among them. A task is counted once, however many attempts it
/// takes. Asked while the run's row is locked, so that those who share come one after another.
pub(super) fn tasks_left(unreserved: &AtomicU32, counted: &AtomicBool) -> u32 {
    if counted.swap(true, Ordering::Relaxed) {
        unreserved.load(Ordering::Relaxed) + 1
    } else {
        unreserved.fetch_sub(1, Ordering::Relaxed)
    }
}

#[expect(clippy::too_many_arguments, reason = "what one intent is made of; a struct would only name it twice")]
async fn intend_once(
    run: &RunCalls,
    key: &TaskKey,
    call: &Call,
    number: u32,
    id: AttemptId,
    counted: &AtomicBool,
    lane: Option<&LocalLane>,
    tried: u32,
) -> Result<Intent, FenceError> {
    let context = &run.context;
    let fence = run.control.fence;
    let now = context.clock.now();
    // A ceiling must not rest on the price of a namesake.
    let price = if run.ceiling {
        context.prices.find_exact(&call.provider, &call.model)
    } else {
        context.prices.find(&call.provider, &call.model)
    };
    let tx = context.store.tenant(run.tenant_id()).begin().await?;

    let fixed = (!run.ceiling).then(|| money::without_ceiling(call, price));
    let at_once = fixed.and_then(|reservation| reservation.amount).unwrap_or(Usd::ZERO);
    // The row is locked before an earlier try is looked for: its commit may be on the way.
    let change = Change { reserved: if tried > 0 { 0 } else { at_once.pico() }, ..Change::default() };
    let fenced = runs::write(&tx, fence, change, &[], now).await?;
    let applied = if tried > 0 { runs::find_reserved(&tx, id).await? } else { None };
    if tried > 0 && applied.is_none() && at_once > Usd::ZERO {
        runs::reserve(&tx, fence, at_once).await?;
    }
    let tasks_left = tasks_left(&run.unreserved, counted);
    if fenced.orders.requested.is_some() {
        // Nothing is written: what this transaction reserved goes with it.
        return Ok(Intent::Commanded(fenced.orders));
    }
    if run.control.skips.is_behind(fenced.orders.skips) {
        run.control.skips.skip(runs::list_skipped(&tx, fence.run).await?);
    }
    if applied.is_none() {
        // What happened while this waited for the lane or for the store: no call is begun after it.
        if run.control.skips.of(key).is_cancelled() {
            return Ok(Intent::Skipped);
        }
        if run.control.drain.is_cancelled() {
            return Ok(Intent::Stopped);
        }
        if run.may_come_late(key) && runs::find_late_answer(&tx, fence.run, key).await?.is_some() {
            return Ok(Intent::Late);
        }
    }
    let route = match route::find(context, &tx, &run.tenant, call).await? {
        Ok(route) => route,
        Err(refusal) => return Ok(Intent::Refused(refusal)),
    };
    let found = lane::version_of(&route.key);
    // Nothing is written either: the lane of the key that is used must have been asked.
    if applied.is_none() && !lane.is_some_and(|lane| lane.is_of(found)) {
        return Ok(Intent::OtherKey(route.target.provider.slug, found));
    }
    let reservation = if let Some(fixed) = fixed {
        fixed
    } else {
        // What an earlier try of this transaction reserved is no longer part of the room: it is all of this call's.
        let (room, sharers) = match applied.flatten() {
            Some(reserved) => (reserved, 1),
            None => (fenced.room.unwrap_or(Usd::MAX), tasks_left),
        };
        let reserve = if run.own_ceiling { money::under_ceiling } else { money::under_budgets };
        match reserve(call, price, room, sharers) {
            Ok(reservation) => reservation,
            Err(no_room) => return Ok(Intent::Refused(refuse(no_room))),
        }
    };
    if applied.is_none() {
        if let (None, Some(amount)) = (fixed, reservation.amount) {
            runs::reserve(&tx, fence, amount).await?;
        }
        let attempt = NewAttempt {
            id,
            task: key.clone(),
            number,
            provider: call.provider.clone(),
            model: call.model.clone(),
            provider_key: route.key.id,
            key_source: "tenant",
            reserved: reservation.amount,
        };
        runs::open_attempt(&tx, fence, &attempt, now).await?;
    }
    tx.commit().await?;
    let open = OpenAttempt { id, key: route.key, reserved: reservation.amount };
    Ok(Intent::Open(Box::new(CallReady { open, target: route.target, secret: route.secret, reservation })))
}

fn refuse(no_room: NoRoom) -> Refusal {
    match no_room {
        NoRoom::CeilingReached => Refusal {
            class: ErrorClass::CostCeiling,
            message: "what max_cost_usd or the budgets leave to this run does not pay for this call".to_owned(),
        },
        NoRoom::PriceUnknown => Refusal {
            class: ErrorClass::PriceUnknown,
            message: "the price of this model is not known, so it cannot be called under max_cost_usd or a budget"
                .to_owned(),
        },
    }
}
