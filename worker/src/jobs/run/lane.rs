//! The Journal's wait for its lane (PROTOCOL rule 7): the permit of the process, then the lane of the provider key; who must wait in
//! the lane holds no permit meanwhile. Knows nothing of what a call sends.

use std::sync::Arc;
use std::time::Duration;

use acm2_broker::limits::{Outcome, Refused, Report};
use acm2_domain::call::{Answer, Call, CallError, ErrorClass, RateHints};
use acm2_domain::providers::find_provider;
use acm2_store::provider_keys::{self, ProviderKeyRow};
use futures_util::FutureExt;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::journal::RunCalls;
use super::route::Refusal;
use crate::call_permits::CallPermit;
use crate::context::Trouble;
use crate::lanes::{Asked, KeyVersion, KeyWish, LocalLane, Pass};

/// What came of the wish to make a call.
pub(super) enum Admitted {
    /// It may be made. Without a lane where there is no key: the intent says so.
    Go(CallPermit, Option<Pass>),
    /// The provider refused the key moments ago.
    Refused(Refusal),
    /// The run stops, or the task is skipped.
    Stopped,
}

/// How the wait in one lane ended.
enum Waited {
    Go(CallPermit, Pass),
    Closed(ErrorClass),
    /// The lane is no longer the one of the key.
    OtherKey,
    Stopped,
}

/// The key's id and version, by which its lane is named.
pub(super) fn version_of(row: &ProviderKeyRow) -> KeyVersion {
    KeyVersion { id: row.id, version: row.updated_at.timestamp_micros() }
}

/// Waits for a permit of the process and a place in the lane.
pub(super) async fn admit(run: &RunCalls, call: &Call, skipped: &CancellationToken) -> Result<Admitted, Trouble> {
    let Some(provider) = find_provider(&call.provider) else { return Ok(without_lane(run, skipped).await) };
    let wish = (run.tenant_id(), provider.slug, call.provider_key);
    let waiter = Waiter { run, skipped, wish, timeout: call.timeout };
    let mut sure = false;
    loop {
        let known = if sure { None } else { run.context.lanes.key(&wish) };
        let key = match known {
            Some(key) => key,
            None => match look_up(run, wish).await? {
                Some(key) => key,
                None => return Ok(without_lane(run, skipped).await),
            },
        };
        let lane = run.context.lanes.of(run.tenant_id(), provider.slug, key);
        match waiter.wait_in(&lane).await? {
            Waited::Go(permit, pass) => return Ok(Admitted::Go(permit, Some(pass))),
            // The key may have been replaced since it was looked up.
            Waited::Closed(_) if !sure && known.is_some() => sure = true,
            Waited::Closed(class) => return Ok(Admitted::Refused(refusal(class, provider.name))),
            Waited::OtherKey => sure = false,
            Waited::Stopped => return Ok(Admitted::Stopped),
        }
    }
}

fn refusal(class: ErrorClass, provider: &str) -> Refusal {
    let why = if class == ErrorClass::ProviderQuota { "for want of credit or quota " } else { "" };
    let message = format!(
        "{provider} refused this key {why}moments ago, so the call was not made; test the key again or store another"
    );
    Refusal { class, message }
}

async fn without_lane(run: &RunCalls, skipped: &CancellationToken) -> Admitted {
    match run.permit(skipped).await {
        Some(permit) => Admitted::Go(permit, None),
        None => Admitted::Stopped,
    }
}

async fn look_up(run: &RunCalls, wish: KeyWish) -> Result<Option<KeyVersion>, Trouble> {
    let (tenant, provider, named) = wish;
    let context = &run.context;
    let row = context
        .stored(|_| {
            async move {
                let tx = context.store.tenant(tenant).begin().await?;
                Ok(provider_keys::find_for_call(&tx, provider, named).await?)
            }
            .boxed()
        })
        .await?;
    let key = row.as_ref().map(version_of);
    context.lanes.found(wish, key);
    Ok(key)
}

/// One task that waits.
struct Waiter<'a> {
    run: &'a RunCalls,
    skipped: &'a CancellationToken,
    wish: KeyWish,
    /// The most that the call may take.
    timeout: Duration,
}

impl Waiter<'_> {
    /// Waits until the run stops or the task is skipped.
    async fn stopped(&self) {
        tokio::select! {
            biased;
            () = self.run.control.drain.cancelled() => {}
            () = self.skipped.cancelled() => {}
        }
    }

    /// Asks at once where nobody waits, else in turn.
    async fn wait_in(&self, lane: &Arc<LocalLane>) -> Result<Waited, Trouble> {
        if !lane.has_waiting() {
            match self.ask(lane).await {
                Some((permit, Asked::Go(pass))) => return Ok(Waited::Go(permit, pass)),
                Some((_, Asked::Closed(class))) => return Ok(Waited::Closed(class)),
                Some((_, Asked::Wait(_))) => {}
                None => return Ok(Waited::Stopped),
            }
        }
        let _waiting = lane.waits();
        let Some(_head) = self.become_head(lane).await else { return Ok(Waited::Stopped) };
        let waited = self.head_waits(lane).await;
        // Whoever comes next has not been told to wait yet.
        lane.head_waits_until(None);
        waited
    }

    /// Asks again and again, whenever the lane said and whenever a call of this process has ended.
    async fn head_waits(&self, lane: &Arc<LocalLane>) -> Result<Waited, Trouble> {
        let look = self.run.context.timing.command_poll;
        let mut looked = Instant::now();
        loop {
            let wait = match self.ask(lane).await {
                Some((permit, Asked::Go(pass))) => return Ok(Waited::Go(permit, pass)),
                Some((_, Asked::Closed(class))) => return Ok(Waited::Closed(class)),
                Some((_, Asked::Wait(wait))) => wait,
                None => return Ok(Waited::Stopped),
            };
            if looked.elapsed() >= look {
                if !look_up(self.run, self.wish).await?.is_some_and(|key| lane.is_of(key)) {
                    return Ok(Waited::OtherKey);
                }
                looked = Instant::now();
            }
            let until = Instant::now() + wait;
            lane.head_waits_until((wait > self.run.context.timing.release_after).then_some(until));
            let _long = self.run.long_wait(until);
            tokio::select! {
                biased;
                () = self.stopped() => return Ok(Waited::Stopped),
                () = sleep(wait.min(look)) => {}
                () = lane.ended.notified() => {}
            }
        }
    }

    /// Waits to be the one who asks; while the head's wait is a long one, so is this.
    async fn become_head<'l>(&self, lane: &'l LocalLane) -> Option<tokio::sync::MutexGuard<'l, ()>> {
        let mut until = lane.until.subscribe();
        let turn = lane.head.lock();
        tokio::pin!(turn);
        loop {
            let head_waits = *until.borrow_and_update();
            let _long = head_waits.and_then(|until| self.run.long_wait(until));
            tokio::select! {
                biased;
                () = self.stopped() => return None,
                head = &mut turn => return Some(head),
                _ = until.changed() => {}
            }
        }
    }

    /// Asks with a permit in hand, however long the broker is away; `None` where the run stops first.
    async fn ask(&self, lane: &Arc<LocalLane>) -> Option<(CallPermit, Asked)> {
        loop {
            let permit = self.run.permit(self.skipped).await?;
            // Not cut off: a place that was given must not be lost on the way.
            match lane.ask(self.timeout).await {
                Ok(Asked::Go(_)) if self.stopped().now_or_never().is_some() => return None,
                Ok(asked) => return Some((permit, asked)),
                Err(error) => tracing::debug!(%error, "no lane while the broker is away"),
            }
            drop(permit);
            tokio::select! {
                biased;
                () = self.stopped() => return None,
                () = sleep(self.run.context.timing.broker_retry) => {}
            }
        }
    }
}

/// What the lane is told of a call's end.
pub(super) fn report_of(result: &Result<Answer, CallError>) -> Report {
    match result {
        Ok(answer) => Report {
            tokens: answer.usage.map(|usage| usage.input_tokens.saturating_add(usage.output_tokens)),
            ..report(Outcome::Answered, answer.rates.as_deref())
        },
        Err(error) => report(outcome_of(error), error.rates.as_deref()),
    }
}

fn report(outcome: Outcome, rates: Option<&RateHints>) -> Report {
    Report { rates: rates.copied().unwrap_or_default(), ..Report::of(outcome) }
}

fn outcome_of(error: &CallError) -> Outcome {
    match error.class {
        ErrorClass::ProviderAuth => Outcome::Refused(Refused::Auth),
        ErrorClass::ProviderQuota => Outcome::Refused(Refused::Quota),
        ErrorClass::ProviderRateLimited => Outcome::RateLimited(error.retry_after),
        ErrorClass::ProviderOverloaded | ErrorClass::ProviderNetwork => Outcome::Failed,
        // A time-out may be the caller's own: a slow model says nothing about the others behind the key.
        ErrorClass::ProviderTimeout => Outcome::Unknown,
        _ if error.http_status.is_some() => Outcome::Rejected,
        _ => Outcome::Unknown,
    }
}
