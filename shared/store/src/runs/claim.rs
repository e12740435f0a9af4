//! Claiming a run and giving it back (PROTOCOL rule 5). Whether the holder is stale is asked before, of the control store.

use acm2_domain::ids::{RunId, WorkerId};
use acm2_domain::money::Usd;
use acm2_domain::run::machine::Step;
use acm2_domain::run::{EventType, NewEvent, RunStatus};
use acm2_domain::stages;
use chrono::{DateTime, Utc};
use sea_orm::sea_query::{
    Asterisk, CommonTableExpression, Expr, ExprTrait, Query, UpdateStatement, WithClause, WithQuery,
};
use sea_orm::{ConnectionTrait, DbBackend, FromQueryResult, Iden, Iterable};
use serde_json::json;

use super::attempts::{Doubtful, doubt_open_attempts};
use super::events::{insert_of, write_events};
use super::fence::{Fence, FenceError, pass};
use super::row::{RunRow, find, find_whole, read_whole};
use super::run_entity::{Column, Model};
use crate::column::unsigned;
use crate::gather::filled_up;
use crate::{StoreError, TenantTx, webhook_endpoints};

/// A run that was claimed.
#[derive(Debug, Clone)]
pub struct Claimed {
    /// Proof of the claim.
    pub fence: Fence,
    /// The run as it stands after the claim.
    pub run: RunRow,
    /// Whether it was the first claim, the one that starts the run.
    pub first: bool,
}

/// Claims those of the runs that nobody has claimed yet, that are queued and of which nothing is settled: one statement for all of
/// them, and one less than reading and then claiming. With each, whether the tenant has webhook endpoints that are sent anything. None
/// where one of them says what this version does not know: then nothing may be committed, and each is to be claimed by itself.
pub async fn claim_first(
    tx: &TenantTx,
    runs: &[RunId],
    me: WorkerId,
    now: DateTime<Utc>,
) -> Result<Vec<(Claimed, bool)>, StoreError> {
    // Every column by name: what a newer version has added must not change what this statement answers.
    let columns = Column::iter().map(Expr::col).chain([webhook_endpoints::count_enabled()]);
    let update = Query::update()
        .table("runs")
        .value("claim", Expr::col("claim").add(1_i64))
        .value("claimed_by", me.uuid())
        .value("status", RunStatus::Running.as_str())
        .value("last_event", Expr::col("last_event").add(2_i64))
        .value("started_at", now)
        .and_where(Expr::col("id").is_in(filled_up(runs).map(RunId::uuid)))
        .and_where(Expr::col("status").eq(RunStatus::Queued.as_str()))
        .and_where(Expr::col("started_at").is_null())
        .and_where(Expr::col("tasks_completed").add(Expr::col("tasks_failed")).eq(0))
        .returning(Query::returning().exprs(columns))
        .to_owned();
    let in_one = tx.get_database_backend() == DbBackend::Postgres;
    let rows = if in_one { tx.query_all(&with_events(update, now)?).await? } else { tx.query_all(&update).await? };
    let mut claimed = Vec::with_capacity(rows.len());
    for row in rows {
        let endpoints: i64 = row.try_get_by_index(Column::iter().count())?;
        let run = match read_whole(Model::from_query_result(&row, "")?) {
            Ok((run, true)) => run,
            // One that cannot be read must not stand in the way of the others.
            Ok((_, false)) | Err(StoreError::Corrupt(_)) => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        if !in_one {
            let events = first_events(&run);
            write_events(tx, run.id, run.last_event + 1 - events.len() as u64, &events, now).await?;
        }
        let fence = Fence { run: run.id, claim: run.claim };
        claimed.push((Claimed { fence, run, first: true }, endpoints > 0));
    }
    Ok(claimed)
}

fn run_started() -> NewEvent {
    NewEvent::new(EventType::RunStarted, json!({}))
}

fn first_stage_started() -> NewEvent {
    NewEvent::of_stage(EventType::StageStarted, stages::GENERATE)
}

/// What the start of a run tells. One of which nothing is settled begins with `generate`; else a command has left tasks out, or answers
/// were taken over: when a stage begins the worker finds out.
fn first_events(run: &RunRow) -> Vec<NewEvent> {
    let is_untouched = run.tasks_completed + run.tasks_failed == 0;
    [run_started()].into_iter().chain(is_untouched.then(first_stage_started)).collect()
}

/// The claim that returns every column of the run and one more, with its events in the same statement.
fn with_events(claim: UpdateStatement, now: DateTime<Utc>) -> Result<WithQuery, StoreError> {
    let last = || Expr::col("last_event");
    let started = insert_of(&run_started(), "claimed", last().sub(1_i64), now)?;
    let stage_started = insert_of(&first_stage_started(), "claimed", last(), now)?;
    let columns = Column::iter().map(|column| column.to_string()).chain(["endpoints".to_owned()]);
    let mut claimed = CommonTableExpression::new();
    claimed.table_name("claimed").columns(columns).query(claim);
    let started = CommonTableExpression::new().table_name("started").query(started).to_owned();
    let stage_started = CommonTableExpression::new().table_name("stage_started").query(stage_started).to_owned();
    let all = Query::select().expr(Expr::col(Asterisk)).from("claimed").to_owned();
    Ok(all.with(WithClause::new().cte(claimed).cte(started).cte(stage_started).to_owned()))
}

/// Claims the run for `me`, provided that nobody has claimed it since `seen` was read, and that this version knows all that its
/// specification says: else it is left for a worker of the newer one, until it can only be ended. Attempts that earlier claims left
/// open become in doubt. `theft`: the holder is dead, which counts towards the poison. Where `None` is answered nothing may be
/// committed.
pub async fn claim(
    tx: &TenantTx,
    seen: &RunRow,
    me: WorkerId,
    theft: bool,
    now: DateTime<Utc>,
) -> Result<Option<Claimed>, StoreError> {
    let claim = seen.claim + 1;
    let first = seen.started_at.is_none();
    let events = if first {
        first_events(seen)
    } else {
        vec![NewEvent::new(EventType::RunResumed, json!({"claim": claim, "holder_was_lost": theft}))]
    };
    let mut update = Query::update();
    update
        .table("runs")
        .value("claim", claim)
        .value("claimed_by", me.uuid())
        .value("status", RunStatus::Running.as_str())
        .value("reserved", 0_i64)
        .value("last_event", Expr::col("last_event").add(events.len() as i64));
    if first {
        update.value("started_at", now);
    }
    if theft {
        update.value("poison", Expr::col("poison").add(1));
    }
    update
        .and_where(Expr::col("id").eq(seen.id.uuid()))
        .and_where(Expr::col("claim").eq(seen.claim))
        .and_where(Expr::col("status").is_in([RunStatus::Queued.as_str(), RunStatus::Running.as_str()]))
        .returning(Query::returning().columns(["last_event"]));
    // First of all the run's row is locked: an intent that the last holder is committing has then either failed at the fence or
    // is seen below.
    let Some(row) = tx.query_one(&update).await? else { return Ok(None) };
    let last_event = unsigned(row.try_get_by("last_event")?);
    write_events(tx, seen.id, last_event + 1 - events.len() as u64, &events, now).await?;
    if seen.claim > 0 {
        doubt(tx, seen.id, seen.claim, last_event, now).await?;
    }
    let (run, is_known) = find_whole(tx, seen.id).await?.ok_or(StoreError::NotFound("run"))?;
    if !is_known && now < run.deadline_at {
        tracing::warn!(run.id = %run.id, "the run is left for a newer worker: this one does not know all that is to be done");
        return Ok(None);
    }
    Ok(Some(Claimed { fence: Fence { run: seen.id, claim }, run, first }))
}

/// Turns the attempts that claims up to `claim` left open in doubt, with their money and an event each. The run's row must be
/// locked by this transaction, and `last_event` be the number of its last event.
pub(super) async fn doubt(
    tx: &TenantTx,
    run: RunId,
    claim: i64,
    last_event: u64,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let doubtful = doubt_open_attempts(tx, run, claim, now).await?;
    if doubtful.is_empty() {
        return Ok(());
    }
    let amount: Usd = doubtful.iter().filter_map(|attempt| attempt.reserved).sum();
    let unknown = doubtful.iter().filter(|attempt| attempt.reserved.is_none()).count();
    let update = Query::update()
        .table("runs")
        .value("in_doubt", Expr::col("in_doubt").add(amount.pico()))
        .value("unknown_doubts", Expr::col("unknown_doubts").add(unknown as i32))
        .value("last_event", Expr::col("last_event").add(doubtful.len() as i64))
        .and_where(Expr::col("id").eq(run.uuid()))
        .to_owned();
    tx.execute(&update).await?;
    let events: Vec<NewEvent> = doubtful.iter().map(in_doubt_event).collect();
    write_events(tx, run, last_event + 1, &events, now).await
}

fn in_doubt_event(attempt: &Doubtful) -> NewEvent {
    let data = json!({"attempt_id": attempt.id, "task_key": attempt.task_key, "may_have_cost_usd": attempt.reserved});
    NewEvent::new(EventType::AttemptInDoubt, data)
}

/// What a run that was given back is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Released {
    /// It waits for the next worker.
    Queued,
    /// It waits for a command.
    Paused,
    /// It is still held: it is to be cancelled, so whoever gives it back ends it instead.
    ToBeCancelled,
}

/// Gives the run back without ending it; open attempts become in doubt at the next claim.
pub async fn release(tx: &TenantTx, fence: Fence, now: DateTime<Utc>) -> Result<Released, FenceError> {
    let mut lock = Query::update();
    lock.table("runs").value("claimed_by", Option::<uuid::Uuid>::None);
    pass(tx, fence, &mut lock).await?;
    let standing = find(tx, fence.run).await?.ok_or(FenceError::Lost)?.standing();
    match standing.status {
        // An earlier try of this transaction was applied after all.
        RunStatus::Queued => return Ok(Released::Queued),
        RunStatus::Paused => return Ok(Released::Paused),
        _ => {}
    }
    let Ok(status) = standing.step(Step::Release) else { return Ok(Released::ToBeCancelled) };
    let paused = status == RunStatus::Paused;
    let events: Vec<NewEvent> = paused.then(|| NewEvent::new(EventType::RunPaused, json!({}))).into_iter().collect();
    let mut update = Query::update();
    update
        .table("runs")
        .value("status", status.as_str())
        .value("requested", Option::<String>::None)
        .value("last_event", Expr::col("last_event").add(events.len() as i64));
    let written = pass(tx, fence, &mut update).await?;
    write_events(tx, fence.run, written.last_event, &events, now).await?;
    Ok(if paused { Released::Paused } else { Released::Queued })
}
