//! One attempt of a task: the intent is committed, then the provider is called once, then what came of it is handed to the writer.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use acm2_domain::call::{Answer, Call, CallError, ErrorClass};
use acm2_domain::ids::AttemptId;
use acm2_domain::journal::{TaskAnswer, TaskKey};
use acm2_domain::judging::{Defect, Expectation};
use acm2_domain::money::Usd;
use acm2_store::provider_keys::ProviderKeyRow;
use tokio_util::sync::CancellationToken;

use super::control::StopCause;
use super::images::Room;
use super::intent::{self, CallReady, Intent, NewIntent};
use super::journal::RunCalls;
use super::lane;
use super::route::Refusal;
use super::settle;
use crate::context::Trouble;
use crate::lanes::Pass;

/// What came of an attempt.
pub(super) enum Attempted {
    /// The task has its answer. It is committed before anything that depends on it.
    Answered(TaskAnswer),
    /// The answer is paid for and not what was asked for; the attempt is still open.
    Unusable(Box<Unusable>),
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
#[derive(Debug, Clone)]
pub(super) struct OpenAttempt {
    pub(super) id: AttemptId,
    /// The provider key as it was when the call was made.
    pub(super) key: ProviderKeyRow,
    pub(super) reserved: Option<Usd>,
}

/// An answer that cannot be used.
pub(super) struct Unusable {
    pub(super) open: OpenAttempt,
    pub(super) answer: Answer,
    /// What it was to be; `None` where there is nothing to mend.
    pub(super) expected: Option<Expectation>,
    pub(super) defect: Defect,
}

impl Unusable {
    /// The call that asks again, and says what is wrong. `None` where the same question would be answered alike.
    pub(super) fn call(&self, call: &Call) -> Option<Call> {
        self.expected.as_ref().map(|expected| expected.repair(call, Some(&self.answer.text), &self.defect))
    }

    /// What is stored of it.
    pub(super) fn message(&self) -> String {
        format!("{UNUSABLE}{}", self.defect)
    }
}

/// Stands before the defect in what is stored of an answer that cannot be used.
const UNUSABLE: &str = "the answer cannot be used: ";

/// The defect that such a message tells.
pub(super) fn defect_in(message: &str) -> Defect {
    Defect(message.strip_prefix(UNUSABLE).unwrap_or(message).to_owned())
}

/// What lets a call be made.
pub(super) struct Way {
    /// The pass of its lane, where it has a key.
    pub(super) pass: Option<Pass>,
    /// Room for what it brings.
    pub(super) room: Room,
}

/// Makes attempt `number` of the task, by this way. `counted`: whether this claim has taken it from the tasks that
/// are still to reserve.
pub(super) async fn make(
    run: &Arc<RunCalls>,
    key: &TaskKey,
    call: &Arc<Call>,
    number: u32,
    counted: &Arc<AtomicBool>,
    skipped: &CancellationToken,
    Way { pass, room }: Way,
) -> Result<Attempted, Trouble> {
    if let Some(defect) = run.held.full() {
        intent::count(&run.shares, key, counted);
        let refusal = Refusal { class: ErrorClass::UnusableAnswer, message: format!("not asked: {defect}") };
        settle::refused(run, key, &refusal, number - 1).await?;
        return Ok(Attempted::Refused(refusal.class));
    }
    let lane = pass.as_ref().map(|pass| Arc::clone(&pass.lane));
    let intent = NewIntent::new(run, key, call, number, counted, lane);
    let CallReady { open, target, secret, reservation } = match intent::commit(run, intent).await? {
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
    let limited;
    let call = if reservation.max_output_tokens == call.max_output_tokens {
        &**call
    } else {
        limited = Call { max_output_tokens: reservation.max_output_tokens, ..Call::clone(call) };
        &limited
    };
    let running = run.meter.run();
    let answer = tokio::select! {
        biased;
        // Dropping the call closes its socket. The run's deadline aborts too: it must not look like a slow provider.
        () = run.control.abort.cancelled() => return Ok(Attempted::Stopped),
        () = skipped.cancelled() => {
            settle::dropped(run, key, &open, number).await?;
            return Ok(Attempted::Refused(ErrorClass::Skipped));
        }
        answer = run.context.outbound.call(&target, secret, call, open.id, call.timeout) => answer,
    };
    drop(running);
    if let Some(pass) = pass {
        let report = lane::report_of(&answer);
        match &answer {
            Ok(_) => pass.report(report),
            Err(_) => pass.report_failure(report).await,
        }
    }
    let attempted = match answer {
        Ok(answer) if let Some(defect) = call.defect_of(&answer.text, answer.finish_reason) => {
            let expected = call.expects.clone();
            Ok(Attempted::Unusable(Box::new(Unusable { open, answer, expected, defect })))
        }
        Ok(answer) if let Some(defect) = run.held.take(&answer.text) => {
            // Nobody could mend that.
            Ok(Attempted::Unusable(Box::new(Unusable { open, answer, expected: None, defect })))
        }
        Ok(answer) => Ok(Attempted::Answered(settle::answered(run, key, call, open, &answer, number, room))),
        Err(error) => Ok(Attempted::Failed(Box::new(open), Box::new(error))),
    };
    if run.held.is_to_go() {
        run.control.stop(StopCause::Waiting(run.context.timing.claim_retry));
    }
    attempted
}
