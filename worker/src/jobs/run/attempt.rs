//! One attempt of a task: the intent is committed, then the provider is called once, then the answer is committed.

use std::sync::atomic::Ordering;

use acm2_domain::call::{Call, CallError, ErrorClass};
use acm2_domain::ids::AttemptId;
use acm2_domain::journal::{TaskAnswer, TaskKey};
use acm2_domain::money::Usd;
use acm2_domain::run::Requested;
use acm2_outbound::Target;
use acm2_store::provider_keys::ProviderKeyRow;
use acm2_store::runs::{self, Change, FenceError, NewAttempt};
use futures_util::FutureExt;
use secrecy::SecretString;

use super::journal::RunCalls;
use super::money::{self, NoRoom, Reservation};
use super::route::{self, Refusal};
use super::settle;
use crate::context::Trouble;

/// What came of an attempt.
pub(super) enum Attempted {
    /// The task has its answer, and it is committed.
    Answered(TaskAnswer),
    /// The provider, or the way to it, failed; the attempt is still open.
    Failed(Box<OpenAttempt>, Box<CallError>),
    /// Nothing was sent, and the task is settled as failed.
    Refused(ErrorClass),
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
    Commanded(Requested),
}

/// Makes attempt `number` of the task.
pub(super) async fn make(run: &RunCalls, key: &TaskKey, call: &Call, number: u32) -> Result<Attempted, Trouble> {
    let CallReady { open, target, secret, reservation } = match intend(run, key, call, number).await? {
        Intent::Open(open) => *open,
        Intent::Refused(refusal) => {
            settle::refused(run, key, &refusal, number - 1).await?;
            return Ok(Attempted::Refused(refusal.class));
        }
        Intent::Commanded(requested) => {
            run.control.obey(requested);
            return Ok(Attempted::Stopped);
        }
    };
    let call = Call { max_output_tokens: reservation.max_output_tokens, ..call.clone() };
    let deadline = call.timeout.min(run.time_left());
    let answer = tokio::select! {
        biased;
        // Dropping the call closes its socket.
        () = run.control.abort.cancelled() => return Ok(Attempted::Stopped),
        answer = run.context.outbound.call(&target, secret, &call, open.id, deadline) => answer,
    };
    match answer {
        Ok(answer) => settle::answered(run, key, &call, &open, &answer, number).await.map(Attempted::Answered),
        Err(error) => Ok(Attempted::Failed(Box::new(open), Box::new(error))),
    }
}

/// Commits the intent: from here on the call may be made, and money may be spent.
async fn intend(run: &RunCalls, key: &TaskKey, call: &Call, number: u32) -> Result<Intent, Trouble> {
    let id = AttemptId::generate();
    // A task is counted once, however many attempts it takes.
    let tasks_left = if number == 1 { run.unreserved.fetch_sub(1, Ordering::Relaxed) } else { 1 };
    run.context.stored(|tried| intend_once(run, key, call, number, id, tasks_left, tried).boxed()).await
}

async fn intend_once(
    run: &RunCalls,
    key: &TaskKey,
    call: &Call,
    number: u32,
    id: AttemptId,
    tasks_left: u32,
    tried: u32,
) -> Result<Intent, FenceError> {
    let context = &run.context;
    let fence = run.control.fence;
    let now = context.clock.now();
    let price = context.prices.find(&call.provider, &call.model);
    let tx = context.store.tenant(run.tenant_id()).begin().await?;

    let fixed = (!run.ceiling).then(|| money::without_ceiling(call, price));
    let at_once = fixed.and_then(|reservation| reservation.amount).unwrap_or(Usd::ZERO);
    let applied = tried > 0 && runs::attempt_exists(&tx, id).await?;
    let change = Change { reserved: if applied { 0 } else { at_once.pico() }, ..Change::default() };
    let fenced = runs::write(&tx, fence, change, &[], now).await?;
    if let Some(requested) = fenced.requested {
        // Nothing is written: what this transaction reserved goes with it.
        return Ok(Intent::Commanded(requested));
    }
    let route = match route::find(context, &tx, &run.tenant, call).await? {
        Ok(route) => route,
        Err(refusal) => return Ok(Intent::Refused(refusal)),
    };
    let reservation = match fixed {
        Some(reservation) => reservation,
        None => match money::under_ceiling(call, price, fenced.room.unwrap_or(Usd::MAX), tasks_left) {
            Ok(reservation) => reservation,
            Err(no_room) => return Ok(Intent::Refused(refuse(no_room))),
        },
    };
    if !applied {
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
            message: "what max_cost_usd leaves does not pay for this call".to_owned(),
        },
        NoRoom::PriceUnknown => Refusal {
            class: ErrorClass::PriceUnknown,
            message: "the price of this model is not known, so it cannot be called under max_cost_usd".to_owned(),
        },
    }
}
