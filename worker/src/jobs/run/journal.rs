//! The Journal (PROTOCOL rule 7): the only retry loop. A finished task answers from memory; any other is made durable step by
//! step: intent, one call, answer, each committed before the next depends on it.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use acm2_domain::call::{Call, ErrorClass};
use acm2_domain::content_hash::ContentHash;
use acm2_domain::ids::{DeliveryId, TenantId};
use acm2_domain::journal::{Finder, Journal, Place, SharedText, Stopped, TaskAnswer, TaskFailure, TaskKey};
use acm2_domain::run::OnInDoubt;
use acm2_store::control::TenantRow;
use acm2_store::runs::{Claimed, TaskOutcome};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::claim::Past;
use super::control::{Control, StopCause};
use super::held_texts::HeldTexts;
use super::pages;
use super::shares::Shares;
use super::stage_events::StageEvents;
use super::texts;
use super::uncalled;
use super::waits::{LongWait, RoomWait, Waits};
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
    pub(super) tenant: Arc<TenantRow>,
    pub(super) control: Arc<Control>,
    pub(super) deadline: Instant,
    /// Whether the run has a ceiling, its own or what it has reserved in budgets.
    pub(super) ceiling: bool,
    pub(super) on_in_doubt: OnInDoubt,
    /// Attempts of this claim and earlier ones were made before the run was retried: they count towards no limit.
    pub(super) retry_claim: i64,
    /// Whether it is the caller's own: then tasks share it. What budgets hold for a run without one is enough for each.
    pub(super) own_ceiling: bool,
    /// Tasks that were not settled at the claim and have not begun since, so that their money is not reserved.
    pub(super) shares: Shares,
    /// Runs during each call.
    pub(super) meter: Meter,
    permits: TenantPermits,
    pub(super) past: Past,
    pub(super) held: HeldTexts,
    /// What was settled since the claim; `None` where an answer of an earlier one was taken away.
    settled: Mutex<HashMap<TaskKey, Option<Result<TaskAnswer, TaskFailure>>>>,
    waits: Arc<Waits>,
    /// The run's own `concurrency`.
    places: Arc<Semaphore>,
    pub(super) writer: Writer,
    pub(super) stage_events: StageEvents,
    /// Answers that are being written while the stages go on.
    pub(super) writes: TaskTracker,
    /// An answer that the stages have seen could not be written.
    pub(super) unkept: AtomicBool,
    /// Whether anything rests on the answers beside the end.
    pub(super) judges: bool,
    /// Where the run's own webhook goes.
    pub(super) webhook_url: Option<String>,
    /// Whether it goes on a conversation.
    pub(super) goes_on: bool,
}

impl RunJournal {
    pub(super) fn new(
        context: Arc<Context>,
        tenant: Arc<TenantRow>,
        claimed: &Claimed,
        (past, held): (Past, HeldTexts),
        control: &Arc<Control>,
        time_left: Duration,
        meter: Meter,
    ) -> Self {
        let shares = if claimed.run.max_cost.is_some() {
            Shares::of(&claimed.run.spec, &context.prices, |key| past.tasks.contains_key(key))
        } else {
            Shares::default()
        };
        let permits = context.calls.of(tenant.id);
        let concurrency = claimed.run.spec.concurrency as usize;
        let waits = Arc::new(Waits::new(concurrency, context.timing.release_after));
        control.skips.skip(past.skipped());
        let stage_events = StageEvents::of(&claimed.run.spec, &past, control.skips.count());
        let judges = !claimed.run.spec.has_answers_alone();
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
                shares,
                permits,
                meter,
                held,
                past,
                settled: Mutex::default(),
                waits,
                places: Arc::new(Semaphore::new(concurrency)),
                writer: Writer::default(),
                stage_events,
                writes: TaskTracker::new(),
                unkept: AtomicBool::new(false),
                judges,
                webhook_url: claimed.run.spec.webhook_url.clone(),
                goes_on: claimed.run.spec.conversation.is_some(),
            }),
            calls: TaskTracker::new(),
        }
    }

    /// Gives the run back once nothing of it goes on.
    pub(super) async fn watch(&self) -> Infallible {
        self.run.waits.watch(&self.run.control).await
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
        if let Some(settled) = self.run.find_settled(&key, call.question) {
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

    fn find(&self, key: &TaskKey, question: Option<ContentHash>) -> Option<Result<TaskAnswer, TaskFailure>> {
        self.run.find_settled(key, question)
    }

    fn finder(&self) -> Finder {
        let run = Arc::clone(&self.run);
        Arc::new(move |key, question| run.find_settled(key, question))
    }

    fn place(&self) -> BoxFuture<'_, Result<Place, Stopped>> {
        async move {
            let begun = self.run.waits.begin();
            tokio::select! {
                biased;
                () = self.run.control.drain.cancelled() => Err(Stopped),
                place = Arc::clone(&self.run.places).acquire_owned() => match place {
                    Ok(place) => Ok(Box::new((place, begun)) as Place),
                    Err(_) => Err(Stopped),
                },
            }
        }
        .boxed()
    }

    fn fail(&self, keys: Vec<TaskKey>, class: ErrorClass, reason: String) -> BoxFuture<'_, Result<(), Stopped>> {
        self.step(async move { uncalled::fail(&self.run, keys, class, &reason).await }).boxed()
    }

    fn keep(
        &self,
        keys: Vec<TaskKey>,
        question: Option<ContentHash>,
        text: String,
    ) -> BoxFuture<'_, Result<(), Stopped>> {
        self.step(async move { uncalled::keep(&self.run, keys, question, text).await }).boxed()
    }

    fn fetch(&self, key: TaskKey, url: String) -> BoxFuture<'_, Result<TaskAnswer, TaskFailure>> {
        let read = self.step(async move { pages::read(&self.run, key, &url).await }).boxed();
        async move { read.await.unwrap_or(Err(TaskFailure::Stopped)) }.boxed()
    }

    fn text(&self, hash: ContentHash, held: u64) -> BoxFuture<'_, Result<SharedText, Stopped>> {
        async move {
            let _begun = self.run.waits.begin();
            texts::read(&self.run, hash, held).await
        }
        .boxed()
    }

    fn compute(&self, work: Box<dyn FnOnce() + Send>) -> BoxFuture<'_, Result<(), Stopped>> {
        async move {
            let _begun = self.run.waits.begin();
            tokio::task::spawn_blocking(work).await.map_err(|_| {
                // A panic; its message may hold anything, so it is not repeated.
                tracing::error!(run.id = %self.run.control.fence.run, "a figure of the run could not be worked out");
                self.run.control.stop(StopCause::Defect);
                Stopped
            })
        }
        .boxed()
    }
}

impl RunJournal {
    /// A step of the stages that only writes.
    async fn step<T>(&self, write: impl Future<Output = Result<T, Trouble>>) -> Result<T, Stopped> {
        if self.run.control.drain.is_cancelled() {
            return Err(Stopped);
        }
        let _begun = self.run.waits.begin();
        write.await.map_err(|trouble| {
            self.run.control.trouble(&trouble);
            Stopped
        })
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

    /// How the task was settled, before this claim or since; an answer to another question than the one given is left aside.
    pub(super) fn find_settled(
        &self,
        key: &TaskKey,
        question: Option<ContentHash>,
    ) -> Option<Result<TaskAnswer, TaskFailure>> {
        if let Some(settled) = self.settled.lock().unwrap_or_else(PoisonError::into_inner).get(key) {
            return settled.clone();
        }
        match &self.past.tasks.get(key.as_str())?.outcome {
            TaskOutcome::Answered(answer) if question.is_some() && answer.question != question => None,
            TaskOutcome::Answered(answer) => {
                Some(Ok(TaskAnswer { text: answer.text.clone(), finish_reason: answer.finish_reason }))
            }
            TaskOutcome::Failed(error) => Some(Err(TaskFailure::Failed(error.class))),
        }
    }

    /// Notes that an answer of an earlier claim is none any more.
    pub(super) fn forget(&self, key: &TaskKey) {
        self.settled.lock().unwrap_or_else(PoisonError::into_inner).insert(key.clone(), None);
        self.shares.give_back(key);
    }

    /// Notes how a task was settled, for whoever asks again.
    pub(super) fn settle(&self, key: &TaskKey, result: Result<TaskAnswer, TaskFailure>) {
        self.settled.lock().unwrap_or_else(PoisonError::into_inner).insert(key.clone(), Some(result));
    }

    async fn perform(self: Arc<Self>, key: TaskKey, call: Call) -> Result<TaskAnswer, TaskFailure> {
        let settled = match uncalled::forget_another(&self, &key, call.question).await {
            Ok(()) => self.attempts(&key, Arc::new(call)).await,
            Err(trouble) => Err(trouble),
        };
        match settled {
            Ok(Err(TaskFailure::Stopped)) => Err(TaskFailure::Stopped),
            Ok(result) => {
                let kept = result.as_ref().map(|answer| TaskAnswer { text: self.held.kept(&answer.text), ..*answer });
                self.settle(&key, kept.map_err(Clone::clone));
                result
            }
            Err(trouble) => {
                self.control.trouble(&trouble);
                Err(TaskFailure::Stopped)
            }
        }
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

    /// Notes a wait for room for a text, which has taken long and for which the run may be given back; `is_patient`: only where
    /// something else of it waits long too.
    pub(super) fn waits_for_room(&self, is_patient: bool) -> RoomWait<'_> {
        self.waits.wait_for_room(is_patient)
    }

    /// Notes a wait for which the run may be given back; `None` where it is a short one.
    pub(super) fn long_wait(&self, until: Instant) -> Option<LongWait<'_>> {
        let is_long = until.saturating_duration_since(Instant::now()) > self.context.timing.release_after;
        is_long.then(|| self.waits.wait_long(until))
    }
}
