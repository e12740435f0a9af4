//! The Journal (PROTOCOL rule 7): the only retry loop. A finished task answers from memory; any other is made durable step by
//! step: intent, one call, answer, each committed before the next depends on it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use acm2_domain::call::{Call, CallError, ErrorClass};
use acm2_domain::content_hash::ContentHash;
use acm2_domain::ids::{DeliveryId, TenantId};
use acm2_domain::journal::{Journal, SharedText, Stopped, TaskAnswer, TaskFailure, TaskKey};
use acm2_domain::retry::{self, Limits, Verdict};
use acm2_domain::run::OnInDoubt;
use acm2_store::control::TenantRow;
use acm2_store::runs::{Claimed, TaskOutcome};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::attempt::{self, Attempted};
use super::claim::Past;
use super::control::{Control, StopCause};
use super::intent;
use super::lane::{self, Admitted};
use super::late;
use super::route::Refusal;
use super::settle;
use super::texts;
use super::waits::{LongWait, Waits};
use super::writer::{Write, Writer, Written};
use crate::call_permits::{CallPermit, TenantPermits};
use crate::context::{Context, Trouble};
use crate::meter::Meter;

/// Makes the calls of one run durable.
pub(super) struct RunJournal {
    run: Arc<RunCalls>,
    /// Calls go on by themselves: a stage that stops listening must not lose an answer that was paid for.
    calls: TaskTracker,
}

/// What all calls of one run share.
pub(super) struct RunCalls {
    pub(super) context: Arc<Context>,
    pub(super) tenant: TenantRow,
    pub(super) control: Arc<Control>,
    pub(super) deadline: Instant,
    /// Whether the run has a ceiling, its own or what it has reserved in budgets.
    pub(super) ceiling: bool,
    on_in_doubt: OnInDoubt,
    /// Attempts of this claim and earlier ones were made before the run was retried: they count towards no limit.
    retry_claim: i64,
    /// Whether it is the caller's own: then tasks share it. What budgets hold for a run without one is enough for each.
    pub(super) own_ceiling: bool,
    /// Tasks that were not settled at the claim and have not begun since, so that their money is not reserved.
    pub(super) unreserved: AtomicU32,
    /// Runs during each call.
    pub(super) meter: Meter,
    permits: TenantPermits,
    past: Past,
    /// What was settled since the claim.
    settled: Mutex<HashMap<TaskKey, Result<TaskAnswer, TaskFailure>>>,
    waits: Waits,
    pub(super) writer: Writer,
    /// Answers that are being written while the stages go on.
    pub(super) writes: TaskTracker,
    /// An answer that the stages have seen could not be written.
    pub(super) unkept: AtomicBool,
    /// Where the run's own webhook goes.
    pub(super) webhook_url: Option<String>,
}

impl RunJournal {
    pub(super) fn new(
        context: Arc<Context>,
        tenant: TenantRow,
        claimed: &Claimed,
        past: Past,
        control: &Arc<Control>,
        time_left: Duration,
        meter: Meter,
    ) -> Self {
        let settled = u32::try_from(past.tasks.len()).unwrap_or(u32::MAX);
        let unsettled = claimed.run.tasks_expected.saturating_sub(settled);
        let permits = context.calls.of(tenant.id);
        control.skips.skip(past.skipped());
        Self {
            run: Arc::new(RunCalls {
                context,
                tenant,
                control: Arc::clone(control),
                deadline: Instant::now() + time_left,
                ceiling: claimed.run.max_cost.is_some(),
                on_in_doubt: claimed.run.spec.on_in_doubt,
                retry_claim: claimed.run.retry_claim,
                own_ceiling: claimed.run.spec.max_cost_usd.is_some(),
                unreserved: AtomicU32::new(unsettled),
                permits,
                meter,
                past,
                settled: Mutex::default(),
                waits: Waits::new(Arc::clone(control), claimed.run.spec.concurrency as usize, unsettled as usize),
                writer: Writer::default(),
                writes: TaskTracker::new(),
                unkept: AtomicBool::new(false),
                webhook_url: claimed.run.spec.webhook_url.clone(),
            }),
            calls: TaskTracker::new(),
        }
    }

    /// Waits until every call that was begun has been written down or given up.
    pub(super) async fn settled(&self) {
        self.calls.close();
        self.calls.wait().await;
        self.run.writes.close();
        self.run.writes.wait().await;
    }

    /// Whether an answer that the stages have seen could not be written: then nothing may rest on their being through.
    pub(super) fn is_unkept(&self) -> bool {
        self.run.unkept.load(Ordering::Relaxed)
    }

    /// Ends the run, whose stages are through, together with what its last calls have to write; its deliveries. `None` where it
    /// must be ended by itself.
    pub(super) async fn end(&self) -> Option<Vec<DeliveryId>> {
        self.calls.close();
        self.calls.wait().await;
        // Of what was written apart an attempt may have been left open.
        if self.run.control.cause().is_some() || self.run.writer.went_apart() {
            return None;
        }
        let handed_in = self.run.writer.hand_in(Write::End);
        match self.run.writer.see_through(&self.run, handed_in).await {
            Written::Ended(ended) => Some(ended.deliveries),
            Written::Apart(_) | Written::Intent(_) | Written::Settled(_) => None,
        }
    }
}

/// A run whose handler is dropped, by the hard end of the process, makes no calls that nobody waits for.
impl Drop for RunJournal {
    fn drop(&mut self) {
        self.run.control.drain.cancel();
        self.run.control.abort.cancel();
    }
}

impl Journal for RunJournal {
    fn call(&self, key: TaskKey, call: Call) -> BoxFuture<'_, Result<TaskAnswer, TaskFailure>> {
        if let Some(settled) = self.run.find_settled(&key) {
            return std::future::ready(settled).boxed();
        }
        let working = self.calls.spawn(Arc::clone(&self.run).perform(key, call));
        async move {
            if let Ok(result) = working.await {
                return result;
            }
            // A panic; its message may hold anything, so it is not repeated.
            tracing::error!(run.id = %self.run.control.fence.run, "a call of the run panicked");
            self.run.control.stop(StopCause::Defect);
            Err(TaskFailure::Stopped)
        }
        .boxed()
    }

    fn text(&self, hash: ContentHash, held: u64) -> BoxFuture<'_, Result<SharedText, Stopped>> {
        texts::read(&self.run, hash, held).boxed()
    }
}

impl RunCalls {
    pub(super) fn tenant_id(&self) -> TenantId {
        self.tenant.id
    }

    /// The time until the run's deadline.
    pub(super) fn time_left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// How the task was settled, before this claim or since.
    fn find_settled(&self, key: &TaskKey) -> Option<Result<TaskAnswer, TaskFailure>> {
        let settled = self.past.tasks.get(key.as_str()).map(|settled| match &settled.outcome {
            TaskOutcome::Answered(answer) => {
                Ok(TaskAnswer { text: answer.text.clone(), finish_reason: answer.finish_reason })
            }
            TaskOutcome::Failed(error) => Err(TaskFailure::Failed(error.class)),
        });
        settled.or_else(|| self.settled.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned())
    }

    async fn perform(self: Arc<Self>, key: TaskKey, call: Call) -> Result<TaskAnswer, TaskFailure> {
        match self.attempts(&key, Arc::new(call)).await {
            Ok(Err(TaskFailure::Stopped)) => Err(TaskFailure::Stopped),
            Ok(result) => {
                self.settled.lock().unwrap_or_else(PoisonError::into_inner).insert(key, result.clone());
                self.waits.settled();
                result
            }
            Err(trouble) => {
                self.control.trouble(&trouble);
                Err(TaskFailure::Stopped)
            }
        }
    }

    async fn attempts(
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
            intent::count(&self.unreserved, &counted);
            return self.settle_doubt(key, number).await;
        }
        let mut failures =
            u32::try_from(counting().filter(|attempt| attempt.error_class.is_some()).count()).unwrap_or(0);
        // A task that is left out leaves its share of the ceiling to the others.
        let gone = || {
            if skipped.is_cancelled() {
                intent::count(&self.unreserved, &counted);
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
        loop {
            let (permit, pass) = match lane::admit(self, &call, &skipped).await? {
                Admitted::Go(permit, pass) => (permit, pass),
                Admitted::Refused(refusal) => {
                    intent::count(&self.unreserved, &counted);
                    settle::refused(self, key, &refusal, number).await?;
                    return Ok(Err(TaskFailure::Failed(refusal.class)));
                }
                Admitted::Stopped => return gone(),
            };
            if may_come_late && let Some(answer) = late::find_and_use(self, key).await? {
                intent::count(&self.unreserved, &counted);
                return Ok(Ok(answer));
            }
            number += 1;
            let made = attempt::make(self, key, &call, number, &counted, &skipped, pass).await?;
            let (attempt, error) = match made {
                Attempted::Answered(answer) => return Ok(Ok(answer)),
                Attempted::Refused(class) => return Ok(Err(TaskFailure::Failed(class))),
                Attempted::Stopped => return Ok(Err(TaskFailure::Stopped)),
                Attempted::Again => {
                    number -= 1;
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
    async fn settle_doubt(&self, key: &TaskKey, attempts: u32) -> Result<Result<TaskAnswer, TaskFailure>, Trouble> {
        if let Some(answer) = late::find_and_use(self, key).await? {
            return Ok(Ok(answer));
        }
        let message =
            "an attempt may have reached the provider before its worker was lost, and the run says on_in_doubt: fail";
        let refusal = Refusal { class: ErrorClass::InDoubt, message: message.to_owned() };
        settle::refused(self, key, &refusal, attempts).await?;
        Ok(Err(TaskFailure::Failed(refusal.class)))
    }

    /// A permit to have a call under way in this process; `None` where the run stops or the task is skipped first.
    pub(super) async fn permit(&self, skipped: &CancellationToken) -> Option<CallPermit> {
        tokio::select! {
            biased;
            () = self.control.drain.cancelled() => None,
            () = skipped.cancelled() => None,
            permit = self.permits.acquire() => permit,
        }
    }

    /// Notes a wait for which the run may be given back; `None` where it is a short one.
    pub(super) fn long_wait(&self, until: Instant) -> Option<LongWait<'_>> {
        let is_long = until.saturating_duration_since(Instant::now()) > self.context.timing.release_after;
        is_long.then(|| self.waits.wait_long(until))
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
