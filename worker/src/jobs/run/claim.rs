//! Claiming a run (PROTOCOL rule 5): who may, and what the claimant must know of earlier claims.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use acm2_domain::call::ErrorClass;
use acm2_domain::ids::{DeliveryId, JobId, RunId, TenantId};
use acm2_domain::run::{EventType, RunStatus};
use acm2_domain::stages;
use acm2_store::runs::{self, AttemptRow, Claimed, Ending, RunRow, TaskOutcome, TaskRow};
use acm2_store::{StoreError, TenantTx};
use futures_util::FutureExt;

use super::held_texts::HeldTexts;
use super::{deadline_exceeded, poison};
use crate::answer_room::Turn;
use crate::context::{Context, Trouble};
use crate::jobs::tail;

/// A run of no more tasks begins also where the answers in memory leave no room for another large one: it may become large, but few do.
const FEW_TASKS: u32 = 16;

/// What became of the wish to work on a run.
pub(super) enum Claim {
    /// It is ours.
    Got(Box<Taken>),
    /// It has ended; its tail may not be done. The job is the one that its row names.
    Ended(JobId),
    /// It is not there.
    Missing,
    /// It waits for a command. The job is the one that its row names.
    Paused(JobId),
    /// A live worker has it, or may have.
    Held,
    /// There is no room for its answers now; perhaps after this time.
    NoRoom(Duration),
}

/// A run that was claimed.
pub(super) struct Taken {
    pub(super) claimed: Claimed,
    pub(super) past: Past,
    pub(super) held: HeldTexts,
    /// No delivery of it was ever made: it is its first claim (a command takes one too), and nobody is to hear of that.
    pub(super) is_quiet: bool,
}

/// What earlier claims of the run left behind.
#[derive(Debug, Default)]
pub(super) struct Past {
    /// Settled tasks.
    pub(super) tasks: BTreeMap<String, TaskRow>,
    /// Attempts.
    pub(super) attempts: Vec<AttemptRow>,
    /// What the timeline tells of stages: the event and the stage.
    pub(super) stage_events: Vec<(EventType, String)>,
}

impl Past {
    /// That of a run of which nothing was settled at its first claim, which told that its first stage begins.
    fn of_untouched() -> Self {
        let stage_events = vec![(EventType::StageStarted, stages::GENERATE.to_owned())];
        Self { stage_events, ..Self::default() }
    }

    /// The keys of the tasks that commands have left out.
    pub(super) fn skipped(&self) -> Vec<String> {
        let is_skipped =
            |row: &TaskRow| matches!(&row.outcome, TaskOutcome::Failed(error) if error.class == ErrorClass::Skipped);
        self.tasks.iter().filter(|(_, row)| is_skipped(row)).map(|(key, _)| key.clone()).collect()
    }
}

/// Claims the run if it may be claimed.
pub(super) async fn claim(context: &Arc<Context>, tenant: TenantId, run: RunId) -> Result<Claim, StoreError> {
    let together = {
        let context = Arc::clone(context);
        move |runs| claim_first(Arc::clone(&context), tenant, runs)
    };
    // Where there is no room it is found out first whether it needs any.
    if context.answer_room.of(tenant).admits()
        && let Some(started) = context.first_claims.hand_in(tenant, run, together).await?
    {
        return taken(context, tenant, started).await;
    }
    let tx = context.store.tenant(tenant).begin().await?;
    let Some(seen) = runs::find(&tx, run).await? else { return Ok(Claim::Missing) };
    match seen.status {
        RunStatus::Queued => {
            // No transaction is held open while others read.
            drop(tx);
            let _turn = match turn_to_read(context, tenant, &seen).await? {
                Ok(turn) => turn,
                Err(wait) => return Ok(Claim::NoRoom(wait)),
            };
            let tx = context.store.tenant(tenant).begin().await?;
            take(context, tenant, tx, &seen, false).await
        }
        RunStatus::Running => {
            let suspect = poison::is_suspect(&seen, context.clock.now());
            let last_claim = if suspect { runs::find_last_claim(&tx, run).await? } else { None };
            // No transaction is held open while the control store is asked.
            drop(tx);
            if last_claim.is_some_and(|at| context.clock.now() < at + poison::hold(&seen, &context.timing)) {
                return Ok(Claim::Held);
            }
            if may_take_over(context, &seen).await?.is_none() {
                return Ok(Claim::Held);
            }
            let _turn = match turn_to_read(context, tenant, &seen).await? {
                Ok(turn) => turn,
                Err(wait) => return Ok(Claim::NoRoom(wait)),
            };
            // The turn may have taken long: the holder must be dead still.
            let Some(theft) = may_take_over(context, &seen).await? else { return Ok(Claim::Held) };
            let tx = context.store.tenant(tenant).begin().await?;
            take(context, tenant, tx, &seen, theft).await
        }
        RunStatus::Paused if context.clock.now() >= seen.deadline_at => {
            match runs::end_waiting_run(&tx, run, Ending::Cut(deadline_exceeded()), context.clock.now()).await? {
                Some(ended) => {
                    tx.commit().await?;
                    Ok(Claim::Ended(ended.job))
                }
                None => Ok(Claim::Held),
            }
        }
        RunStatus::Paused => Ok(Claim::Paused(seen.job)),
        RunStatus::Completed | RunStatus::CompletedWithErrors | RunStatus::Failed | RunStatus::Cancelled => {
            Ok(Claim::Ended(seen.job))
        }
    }
}

/// The turn to read what earlier claims left of a run, where there is any that is read. Where there is no room for its answers now,
/// when it may come again. What is to be ended or given back at once needs none for long, and what has few tasks does not need much.
async fn turn_to_read(
    context: &Context,
    tenant: TenantId,
    run: &RunRow,
) -> Result<Result<Option<Turn>, Duration>, StoreError> {
    if run.spec.has_answers_alone() {
        return Ok(Ok(None));
    }
    let room = context.answer_room.of(tenant);
    let goes_on = || run.requested.is_none() && context.clock.now() < run.deadline_at;
    let retry = context.timing.claim_retry;
    if run.tasks_completed + run.tasks_failed == 0 {
        let is_let_in = run.tasks_expected <= FEW_TASKS || !goes_on() || room.admits();
        return Ok(if is_let_in { Ok(None) } else { Err(room.next_turn(retry)) });
    }
    let turn = room.turn().await;
    let tx = context.store.tenant(tenant).begin().await?;
    let bytes = runs::measure_run(&tx, run.id).await?;
    drop(tx);
    let is_let_in = !goes_on() || room.admits_again(run.id, bytes, 3 * retry);
    Ok(if is_let_in { Ok(Some(turn)) } else { Err(retry) })
}

/// Whether the run may be taken from its holder, and if so, whether the holder died over it: then it is this process, which has
/// no live handler for the run (that was checked), or another whose heartbeat is stale. One that ended and said so, by taking
/// its row away, did not die; where rows are deleted at the start, nobody can tell.
async fn may_take_over(context: &Context, seen: &RunRow) -> Result<Option<bool>, StoreError> {
    let Some(holder) = seen.claimed_by else { return Ok(Some(false)) };
    if holder == context.me {
        return Ok(Some(true));
    }
    let workers = context.store.workers();
    if !context.liveness.may_steal() || !workers.is_stale(holder, context.timing.heartbeat_stale).await? {
        return Ok(None);
    }
    Ok(Some(context.liveness.is_alone() || workers.is_registered(holder).await?))
}

/// Waits for a store that is away, for the run is held by now.
async fn read_past(context: &Arc<Context>, tenant: TenantId, run: &RunRow) -> Result<Past, StoreError> {
    let (run, are_read) = (run.id, !run.spec.has_answers_alone());
    let read = context.stored(|_| {
        async move {
            let tx = context.store.tenant(tenant).begin().await?;
            let tasks =
                if are_read { runs::list_tasks(&tx, run).await? } else { runs::list_textless(&tx, run).await? };
            let attempts = runs::list_attempts(&tx, run).await?;
            let stage_events = runs::list_stage_events(&tx, run).await?;
            Ok(Past { tasks, attempts, stage_events })
        }
        .boxed()
    });
    read.await.map_err(|trouble| match trouble {
        Trouble::Defect(error) => error,
        Trouble::Lost | Trouble::Ending => StoreError::Unavailable(trouble.to_string()),
    })
}

async fn take(
    context: &Arc<Context>,
    tenant: TenantId,
    tx: TenantTx,
    seen: &RunRow,
    theft: bool,
) -> Result<Claim, StoreError> {
    let Some(claimed) = runs::claim(&tx, seen, context.me, theft, context.clock.now()).await? else {
        return Ok(Claim::Held);
    };
    let started = start(context, &tx, claimed, true).await?;
    tx.commit().await?;
    taken(context, tenant, started).await
}

/// A claim, with the deliveries of the run's start.
#[derive(Debug)]
pub(crate) struct Started {
    claimed: Claimed,
    deliveries: Vec<DeliveryId>,
}

/// Claims those of the tenant's runs that nobody had yet, in one transaction; `None` for the others.
async fn claim_first(
    context: Arc<Context>,
    tenant: TenantId,
    runs: Vec<RunId>,
) -> Result<Vec<Option<Started>>, StoreError> {
    let tx = context.store.tenant(tenant).begin().await?;
    let mut all = HashMap::with_capacity(runs.len());
    for (claimed, has_endpoints) in runs::claim_first(&tx, &runs, context.me, context.clock.now()).await? {
        all.insert(claimed.run.id, start(&context, &tx, claimed, has_endpoints).await?);
    }
    if !all.is_empty() {
        tx.commit().await?;
    }
    Ok(runs.iter().map(|run| all.remove(run)).collect())
}

/// `has_endpoints`: whether the tenant may have webhook endpoints that are sent anything.
async fn start(context: &Context, tx: &TenantTx, claimed: Claimed, has_endpoints: bool) -> Result<Started, StoreError> {
    let mut deliveries = Vec::new();
    if claimed.first && has_endpoints {
        let view = runs::assemble(&claimed.run, None);
        deliveries =
            acm2_store::deliveries::create(tx, EventType::RunStarted, &view, None, context.clock.now()).await?;
    }
    Ok(Started { claimed, deliveries })
}

/// Goes on from a claim that is committed, before anything is read that may be large: a worker that dies of it must be seen to have
/// died over this run.
async fn taken(context: &Arc<Context>, tenant: TenantId, started: Started) -> Result<Claim, StoreError> {
    let Started { claimed, deliveries } = started;
    let run = claimed.run.id;
    context.progress.grew(run);
    // A run may begin with tasks that are settled: skipped, or taken over from another run.
    let is_begun = claimed.run.tasks_completed + claimed.run.tasks_failed > 0;
    let has_past = !claimed.first || is_begun;
    let past = if has_past { read_past(context, tenant, &claimed.run).await? } else { Past::of_untouched() };
    let held = HeldTexts::of(&past, &claimed.run.spec, context.answer_room.of(tenant).run());
    if let Err(error) = tail::enqueue_deliveries(context, tenant, &deliveries).await {
        tracing::warn!(%error, run.id = %run, "deliveries wait for the end of the run");
    }
    let is_quiet = claimed.fence.claim == 1 && deliveries.is_empty();
    Ok(Claim::Got(Box::new(Taken { claimed, past, held, is_quiet })))
}
