//! What came of attempts, written once each: the first to settle one has settled it.

use acm2_domain::call::ErrorClass;
use acm2_domain::ids::AttemptId;
use acm2_domain::money::Usd;
use chrono::{DateTime, Utc};
use sea_orm::ConnectionTrait;
use sea_orm::sea_query::{Expr, ExprTrait, Query, TableRef, ValueTuple};

use super::attempt_entity::{Column, Entity};
use crate::column::to_word;
use crate::{StoreError, TenantTx};

/// What came of an attempt.
#[derive(Debug, Clone, Default)]
pub struct AttemptOutcome {
    /// `None` where it was answered.
    pub error_class: Option<ErrorClass>,
    /// The message of the error.
    pub error_message: Option<String>,
    /// The provider's HTTP status.
    pub http_status: Option<u16>,
    /// The provider's own code.
    pub provider_code: Option<String>,
    /// The provider's id of the request.
    pub provider_request_id: Option<String>,
    /// What it cost, where known.
    pub cost: Option<Usd>,
    /// It failed in a way that leaves open whether the provider did the work.
    pub in_doubt: bool,
    /// When the next attempt may be made at the earliest, where one follows.
    pub retry_at: Option<DateTime<Utc>>,
}

/// Settles an open attempt; whether it was still open.
pub async fn settle_attempt(
    tx: &TenantTx,
    attempt: AttemptId,
    outcome: &AttemptOutcome,
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    settle_attempts(tx, [(attempt, outcome)], now).await
}

/// Settles open attempts in one statement; whether all of them were still open. Where they were not, nothing may be committed.
pub async fn settle_attempts<'a>(
    tx: &TenantTx,
    attempts: impl IntoIterator<Item = (AttemptId, &'a AttemptOutcome)>,
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let rows: Vec<ValueTuple> = attempts.into_iter().map(|(id, outcome)| row_of(id, outcome)).collect();
    if rows.is_empty() {
        return Ok(true);
    }
    let count = rows.len() as u64;
    let mut update = Query::update();
    update.table(Entity).value(Column::FinishedAt, now);
    for (number, column) in WRITTEN.into_iter().enumerate() {
        update.value(column, told(number + 2));
    }
    update
        .from(TableRef::ValuesList(rows, TOLD.into()))
        .and_where(Expr::col((Entity, Column::Id)).eq(told(1)))
        .and_where(Expr::col((Entity, Column::Status)).eq("open"));
    Ok(tx.execute(&update).await?.rows_affected() == count)
}

/// What is written of an outcome, in the order of `row_of`.
const WRITTEN: [Column; 8] = [
    Column::Status,
    Column::Cost,
    Column::ErrorClass,
    Column::ErrorMessage,
    Column::HttpStatus,
    Column::ProviderCode,
    Column::ProviderRequestId,
    Column::RetryAt,
];
const TOLD: &str = "told";

/// A column of the list of values, which both databases name by its place, from 1.
fn told(place: usize) -> Expr {
    Expr::col((TOLD, format!("column{place}")))
}

fn row_of(id: AttemptId, outcome: &AttemptOutcome) -> ValueTuple {
    let status = match outcome {
        AttemptOutcome { error_class: None, .. } => "answered",
        AttemptOutcome { in_doubt: true, .. } => "in_doubt",
        _ => "failed",
    };
    ValueTuple::Many(vec![
        id.uuid().into(),
        status.into(),
        outcome.cost.map(Usd::pico).into(),
        outcome.error_class.map(to_word).into(),
        outcome.error_message.clone().into(),
        outcome.http_status.map(i32::from).into(),
        outcome.provider_code.clone().into(),
        outcome.provider_request_id.clone().into(),
        outcome.retry_at.into(),
    ])
}
