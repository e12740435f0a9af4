//! The timeline: written only with numbers that the fence gave, read in pages.

use acm2_domain::ids::RunId;
use acm2_domain::run::{Event, EventType, NewEvent, RunStatus};
use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Expr, ExprTrait, InsertStatement, Query};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, Iterable, QueryFilter, QueryOrder, QuerySelect,
};
use serde_json::Value;

use super::event_entity::{ActiveModel, Column, Entity};
use crate::column::{from_json, from_word, signed, to_json, unsigned};
use crate::{StoreError, TenantTx};

/// Writes events; the first gets the number `first`. The numbers must come from a write that the transaction has made on the run.
pub async fn write_events(
    tx: &TenantTx,
    run: RunId,
    first: u64,
    events: &[NewEvent],
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    if events.is_empty() {
        return Ok(());
    }
    let numbered = (first..).zip(events);
    let rows = numbered.map(|(number, event)| row_of(run, number, event, now));
    Entity::insert_many(rows).exec_without_returning(tx).await?;
    Ok(())
}

/// Writes the first event of each of several runs, which the same transaction has written.
pub(super) async fn write_firsts(
    tx: &TenantTx,
    events: impl Iterator<Item = (RunId, NewEvent, DateTime<Utc>)>,
) -> Result<(), StoreError> {
    let rows: Vec<ActiveModel> = events.map(|(run, event, at)| row_of(run, 1, &event, at)).collect();
    if !rows.is_empty() {
        Entity::insert_many(rows).exec_without_returning(tx).await?;
    }
    Ok(())
}

fn row_of(run: RunId, number: u64, event: &NewEvent, at: DateTime<Utc>) -> ActiveModel {
    ActiveModel {
        run_id: Set(run.uuid()),
        number: Set(signed(number)),
        event_type: Set(event.event_type.as_str().to_owned()),
        data: Set(to_json(&event.data)),
        at: Set(at),
    }
}

/// Inserts an event of the run that another part of the same statement has written: `written` names that part, which returns the
/// run's row. `number` is the event's, told by that row. For a database in which one statement may write twice.
pub(super) fn insert_of(
    event: &NewEvent,
    written: &'static str,
    number: Expr,
    now: DateTime<Utc>,
) -> Result<InsertStatement, StoreError> {
    let mut values = Query::select();
    values.column("id").expr(number).from(written);
    values.expr(Expr::value(event.event_type.as_str())).expr(Expr::value(to_json(&event.data))).expr(Expr::value(now));
    let mut insert = Query::insert();
    let insert = insert.into_table(Entity).columns(Column::iter());
    Ok(insert.select_from(values).map_err(|error| unbalanced(&error))?.to_owned())
}

/// A statement with fewer values than columns, which no list of all columns gives.
pub(super) fn unbalanced(error: &sea_orm::sea_query::error::Error) -> StoreError {
    StoreError::Corrupt(format!("a statement with too few values: {error}"))
}

/// The events after number `after`, oldest first, at most `limit`.
pub async fn list_events(tx: &TenantTx, run: RunId, after: u64, limit: u64) -> Result<Vec<Event>, StoreError> {
    let rows = Entity::find()
        .filter(Column::RunId.eq(run.uuid()))
        .filter(Column::Number.gt(signed(after)))
        .order_by_asc(Column::Number)
        .limit(limit)
        .all(tx)
        .await?;
    rows.into_iter()
        .map(|row| {
            Ok(Event {
                number: unsigned(row.number),
                event_type: from_word("events.event_type", &row.event_type)?,
                at: row.at,
                data: from_json("events.data", &row.data)?,
            })
        })
        .collect()
}

/// What the timeline of a run tells of its stages, oldest first: the event and the stage.
pub async fn list_stage_events(tx: &TenantTx, run: RunId) -> Result<Vec<(EventType, String)>, StoreError> {
    let of_stages = [EventType::StageStarted, EventType::StageCompleted].map(EventType::as_str);
    let rows = Entity::find()
        .filter(Column::RunId.eq(run.uuid()))
        .filter(Column::EventType.is_in(of_stages))
        .order_by_asc(Column::Number)
        .all(tx)
        .await?;
    rows.into_iter()
        .map(|row| {
            let data: Value = from_json("events.data", &row.data)?;
            let stage = data.get("stage").and_then(Value::as_str).unwrap_or_default().to_owned();
            Ok((from_word("events.event_type", &row.event_type)?, stage))
        })
        .collect()
}

/// How far a run has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// Where it stands.
    pub status: RunStatus,
    /// The number of its last event.
    pub last_event: u64,
}

/// How far the run has come, if there is one: for those who look often, without its texts.
pub async fn find_mark(tx: &TenantTx, run: RunId) -> Result<Option<Mark>, StoreError> {
    let select = Query::select()
        .columns(["status", "last_event"])
        .from("runs")
        .and_where(Expr::col("id").eq(run.uuid()))
        .to_owned();
    let Some(row) = tx.query_one(&select).await? else { return Ok(None) };
    let status: String = row.try_get_by("status")?;
    let last_event = unsigned(row.try_get_by("last_event")?);
    Ok(Some(Mark { status: from_word("runs.status", &status)?, last_event }))
}

/// When the run was claimed last, if it ever was.
pub async fn find_last_claim(tx: &TenantTx, run: RunId) -> Result<Option<DateTime<Utc>>, StoreError> {
    let claims = [EventType::RunStarted, EventType::RunResumed].map(EventType::as_str);
    let row = Entity::find()
        .filter(Column::RunId.eq(run.uuid()))
        .filter(Column::EventType.is_in(claims))
        .order_by_desc(Column::Number)
        .one(tx)
        .await?;
    Ok(row.map(|row| row.at))
}
