//! How often a task is tried (PROTOCOL rule 7): the only retry loop. What earlier claims have tried counts.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use acm2_domain::call::{Call, CallError, ErrorClass};
use acm2_domain::journal::{TaskAnswer, TaskFailure, TaskKey};
use acm2_domain::retry::{self, Limits, Verdict};
use acm2_domain::run::OnInDoubt;
use acm2_store::runs;
use futures_util::FutureExt;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::attempt::{self, Attempted, Way};
use super::images;
use super::intent;
use super::journal::RunCalls;
use super::lane::{self, Admitted};
use super::late;
use super::route::Refusal;
use super::settle;
use crate::context::Trouble;

/// How often an answer that cannot be used is followed by another try, beside `max_retries`.
const REPAIRS: u32 = 1;

impl RunCalls {
    pub(super) async fn attempts(
        self: &Arc<Self>,
        key: &TaskKey,
        call: Arc<Call>,
    ) -> Result<Result<TaskAnswer, TaskFailure>, Trouble> {
        let skipped = self.control.skips.of(key);
        let mine = || self.past.attempts.iter().filter(|attempt| attempt.task_key == key.as_str());
        let counting = || mine().filter(|attempt| attempt.claim > self.retry_claim);
        let mut number = mine().map(|attempt| attempt.number).max().unwrap_or(0);
        // What was open at the claim may be answered at any time by the worker that has lost the run.
        let may_come_late = self.may_come_late(key);
        let counted = Arc::new(AtomicBool::new(false));
        if self.on_in_doubt == OnInDoubt::Fail && counting().any(|attempt| attempt.status == "in_doubt") {
            intent::count(&self.shares, key, &counted);
            return self.settle_doubt(key, &call, number).await;
        }
        let counted_of = |is_wanted: fn(ErrorClass) -> bool| {
            u32::try_from(
                counting().filter_map(|attempt| attempt.error_class).filter(|class| is_wanted(*class)).count(),
            )
            .unwrap_or(0)
        };
        let mut failures = counted_of(|class| class != ErrorClass::UnusableAnswer);
        let mut unusable = counted_of(|class| class == ErrorClass::UnusableAnswer);
        let mut call = call;
        // A task that is left out leaves its share of the ceiling to the others.
        let gone = || {
            if skipped.is_cancelled() {
                intent::count(&self.shares, key, &counted);
            }
            Ok(Err(stopped(&skipped)))
        };
        // A wait that the last claim was in the middle of.
        let asked_for = counting().filter_map(|attempt| attempt.retry_at).max();
        if let Some(rest) = asked_for.and_then(|until| (until - self.context.clock.now()).to_std().ok())
            && !self.wait(rest, &skipped).await
        {
            return gone();
        }
        if unusable > 0
            && let Some(told) = self.told_again(key, &call).await?
        {
            call = Arc::new(told);
        }
        loop {
            let Some(room) = images::room(self, &call, &skipped).await else { return gone() };
            let (permit, pass) = match lane::admit(self, &call, &skipped).await? {
                Admitted::Go(permit, pass) => (permit, pass),
                Admitted::Refused(refusal) => {
                    intent::count(&self.shares, key, &counted);
                    settle::refused(self, key, &refusal, number).await?;
                    return Ok(Err(TaskFailure::Failed(refusal.class)));
                }
                Admitted::Stopped => return gone(),
            };
            if may_come_late && let Some(answer) = late::find_and_use(self, key, &call).await? {
                intent::count(&self.shares, key, &counted);
                return Ok(answer);
            }
            number += 1;
            let made = attempt::make(self, key, &call, number, &counted, &skipped, Way { pass, room }).await?;
            let (attempt, error) = match made {
                Attempted::Answered(answer) => return Ok(Ok(answer)),
                Attempted::Refused(class) => return Ok(Err(TaskFailure::Failed(class))),
                Attempted::Stopped => return Ok(Err(TaskFailure::Stopped)),
                Attempted::Again => {
                    number -= 1;
                    continue;
                }
                Attempted::Unusable(repair) => {
                    unusable += 1;
                    let repaired = repair.call(&call).filter(|_| unusable <= REPAIRS);
                    settle::unusable(self, key, &call, *repair, number, repaired.is_some()).await?;
                    let Some(repaired) = repaired else {
                        return Ok(Err(TaskFailure::Failed(ErrorClass::UnusableAnswer)));
                    };
                    call = Arc::new(repaired);
                    continue;
                }
                Attempted::Failed(attempt, error) => (attempt, error),
            };
            drop(permit);
            failures += 1;
            match self.verdict(&error, &call, failures) {
                Verdict::GiveUp => {
                    settle::failed(self, key, *attempt, &error, number, None).await?;
                    return Ok(Err(TaskFailure::Failed(error.class)));
                }
                Verdict::Retry(delay) => {
                    settle::failed(self, key, *attempt, &error, number, Some(delay)).await?;
                    if !self.wait(delay, &skipped).await {
                        return gone();
                    }
                }
            }
        }
    }

    /// The call that says what was wrong with the answer to an earlier claim, of which only that was kept.
    async fn told_again(&self, key: &TaskKey, call: &Call) -> Result<Option<Call>, Trouble> {
        let Some(expected) = &call.expects else { return Ok(None) };
        let message = self
            .context
            .stored(|_| {
                async move {
                    let tx = self.context.store.tenant(self.tenant_id()).begin().await?;
                    Ok(runs::find_defect(&tx, self.control.fence.run, key, self.retry_claim).await?)
                }
                .boxed()
            })
            .await?;
        Ok(message.map(|message| expected.repair(call, None, &attempt::defect_in(&message))))
    }

    /// Whether an attempt of an earlier claim may be answered yet, or has been.
    pub(super) fn may_come_late(&self, key: &TaskKey) -> bool {
        let mut mine = self.past.attempts.iter().filter(|attempt| attempt.task_key == key.as_str());
        mine.any(|attempt| matches!(attempt.status.as_str(), "in_doubt" | "late"))
    }

    fn verdict(&self, error: &CallError, call: &Call, failures: u32) -> Verdict {
        if self.on_in_doubt == OnInDoubt::Fail && error.in_doubt() {
            return Verdict::GiveUp;
        }
        let limits = Limits {
            max_retries: call.max_retries,
            backoff: self.context.timing.attempt_backoff,
            time_left: self.time_left(),
        };
        retry::after_failure(error, failures, limits, rand::random())
    }

    /// A task that wants no other attempt after one in doubt: it has the answer that came late, or fails.
    async fn settle_doubt(
        &self,
        key: &TaskKey,
        call: &Call,
        attempts: u32,
    ) -> Result<Result<TaskAnswer, TaskFailure>, Trouble> {
        if let Some(answer) = late::find_and_use(self, key, call).await? {
            return Ok(answer);
        }
        let message =
            "an attempt may have reached the provider before its worker was lost, and the run says on_in_doubt: fail";
        let refusal = Refusal { class: ErrorClass::InDoubt, message: message.to_owned() };
        settle::refused(self, key, &refusal, attempts).await?;
        Ok(Err(TaskFailure::Failed(refusal.class)))
    }

    /// Waits before the next attempt; whether the task goes on.
    async fn wait(&self, delay: Duration, skipped: &CancellationToken) -> bool {
        let _long = self.long_wait(Instant::now() + delay);
        tokio::select! {
            biased;
            () = self.control.drain.cancelled() => false,
            () = skipped.cancelled() => false,
            () = sleep(delay) => true,
        }
    }
}

/// Why a task does not go on.
fn stopped(skipped: &CancellationToken) -> TaskFailure {
    if skipped.is_cancelled() { TaskFailure::Failed(ErrorClass::Skipped) } else { TaskFailure::Stopped }
}
