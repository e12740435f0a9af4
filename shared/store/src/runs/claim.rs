//! Claiming a run and giving it back (PROTOCOL rule 5). Whether the holder is stale is asked before, of the control store.

use acm2_domain::ids::WorkerId;
use acm2_domain::money::Usd;
use acm2_domain::run::{EventType, NewEvent, Requested, RunStatus};
use chrono::{DateTime, Utc};
use sea_orm::ConnectionTrait;
use sea_orm::sea_query::{Expr, ExprTrait, Query};
use serde_json::json;

use super::attempts::{Doubtful, doubt_open_attempts};
use super::events::insert_events;
use super::fence::{Fence, FenceError, pass};
use super::row::RunRow;
use crate::column::unsigned;
use crate::{StoreError, TenantTx};

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

/// Claims the run for `me`, provided that nobody has claimed it since `seen` was read. Attempts that earlier claims left open
/// become in doubt. `theft`: the holder is dead, which counts towards the poison.
pub async fn claim(
    tx: &TenantTx,
    seen: &RunRow,
    me: WorkerId,
    theft: bool,
    now: DateTime<Utc>,
) -> Result<Option<Claimed>, StoreError> {
    let claim = seen.claim + 1;
    let first = seen.started_at.is_none();
    let doubtful = if seen.claim > 0 { doubt_open_attempts(tx, seen.id, seen.claim, now).await? } else { Vec::new() };
    let doubted: Usd = doubtful.iter().filter_map(|attempt| attempt.reserved).sum();
    let mut events: Vec<NewEvent> = doubtful.iter().map(in_doubt_event).collect();
    events.push(if first {
        NewEvent::new(EventType::RunStarted, json!({}))
    } else {
        NewEvent::new(EventType::RunResumed, json!({"claim": claim, "holder_was_lost": theft}))
    });

    let mut update = Query::update();
    update
        .table("runs")
        .value("claim", claim)
        .value("claimed_by", me.uuid())
        .value("status", RunStatus::Running.as_str())
        .value("reserved", 0_i64)
        .value("in_doubt", Expr::col("in_doubt").add(doubted.pico()))
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
        .returning(Query::returning().columns(["last_event", "poison", "requested"]));
    let Some(row) = tx.query_one(&update).await? else { return Ok(None) };
    let last_event = unsigned(row.try_get_by("last_event")?);
    insert_events(tx, seen.id, last_event + 1 - events.len() as u64, &events, now).await?;

    let requested: Option<String> = row.try_get_by("requested")?;
    let run = RunRow {
        status: RunStatus::Running,
        claim,
        claimed_by: Some(me),
        reserved: Usd::ZERO,
        in_doubt: seen.in_doubt + doubted,
        poison: u32::try_from(row.try_get_by::<i32, _>("poison")?).unwrap_or(0),
        requested: requested.and_then(|text| text.parse::<Requested>().ok()),
        last_event,
        started_at: seen.started_at.or(Some(now)),
        ..seen.clone()
    };
    Ok(Some(Claimed { fence: Fence { run: seen.id, claim }, run, first }))
}

pub(super) fn in_doubt_event(attempt: &Doubtful) -> NewEvent {
    let data = json!({"attempt_id": attempt.id, "task_key": attempt.task_key, "may_have_cost_usd": attempt.reserved});
    NewEvent::new(EventType::AttemptInDoubt, data)
}

/// Gives the run back to the queue without ending it; open attempts become in doubt at the next claim.
pub async fn release(tx: &TenantTx, fence: Fence) -> Result<(), FenceError> {
    let mut update = Query::update();
    update.table("runs").value("status", RunStatus::Queued.as_str()).value("claimed_by", Option::<uuid::Uuid>::None);
    pass(tx, fence, &mut update).await.map(|_| ())
}
