//! What a run reserves in the budgets that apply to it (PROTOCOL rule 12): when it is submitted and when it is retried, in the
//! transaction that does so. Called by `submit` and `commands`.

use std::collections::BTreeSet;

use acm2_domain::budget;
use acm2_domain::error::{Error, Kind};
use acm2_domain::ids::RunId;
use acm2_domain::money::Usd;
use acm2_domain::run::RunSpec;
use acm2_domain::stages::{self, PlannedTask};
use acm2_store::TenantTx;
use acm2_store::budgets::{self, BudgetRow, Reservation, Reserved, Standing};
use acm2_store::runs::{self, RunRow};
use chrono::{DateTime, Utc};

use crate::auth::Caller;
use crate::problem::Failure;

/// Reserves for a new run of the caller; what was reserved, `None` where no budget applies. On a failure nothing of the
/// transaction may be committed.
pub(crate) async fn reserve(
    tx: &TenantTx,
    caller: &Caller,
    run: RunId,
    spec: &RunSpec,
    now: DateTime<Utc>,
) -> Result<Option<Usd>, Failure> {
    let applying = budgets::lock_applying(tx, Some(caller.api_key)).await?;
    if applying.is_empty() {
        return Ok(None);
    }
    let reservation = reservation(caller, run, spec, &stages::to_do(spec), Usd::ZERO)?;
    reserve_in(tx, &applying, reservation, spec, "give a max_cost_usd that fits, ", now).await?;
    Ok(Some(reservation.amount))
}

/// Reserves anew for a run that was sent back to the queue by this transaction and is told as it stood before. It counts for the
/// API key that submitted it, in the present period. On a failure nothing of the transaction may be committed.
pub(crate) async fn reserve_anew(
    tx: &TenantTx,
    caller: &Caller,
    before: &RunRow,
    now: DateTime<Utc>,
) -> Result<(), Failure> {
    let applying = budgets::lock_applying(tx, before.api_key).await?;
    let max_cost = if applying.is_empty() {
        before.spec.max_cost_usd
    } else {
        let settled: BTreeSet<String> = runs::list_settled(tx, before.id).await?.into_iter().collect();
        let mut missing = stages::plan(&before.spec);
        // What rests on answers that are yet to come may be asked anew.
        let outdated: BTreeSet<String> =
            stages::outdated(&before.spec, |key| settled.contains(key)).into_iter().collect();
        let is_settled = |key: &str| settled.contains(key) && !outdated.contains(key);
        missing.retain(|task| !is_settled(task.key.as_str()));
        let reservation = reservation(caller, before.id, &before.spec, &missing, before.consumed())?;
        reserve_in(tx, &applying, reservation, &before.spec, "", now).await?;
        Some(reservation.baseline + reservation.amount)
    };
    if max_cost != before.max_cost {
        runs::set_max_cost(tx, before.id, max_cost).await?;
    }
    Ok(())
}

fn reservation(
    caller: &Caller,
    run: RunId,
    spec: &RunSpec,
    tasks: &[PlannedTask],
    baseline: Usd,
) -> Result<Reservation, Error> {
    let amount = budget::reservation(spec, tasks, baseline, &caller.app.prices)?;
    Ok(Reservation { run, amount, baseline })
}

async fn reserve_in(
    tx: &TenantTx,
    budgets: &[BudgetRow],
    reservation: Reservation,
    spec: &RunSpec,
    way_out: &str,
    now: DateTime<Utc>,
) -> Result<(), Failure> {
    match budgets::reserve(tx, budgets, reservation, now).await? {
        Reserved::Done => Ok(()),
        Reserved::Exceeded(standing) => {
            // A ceiling is the caller's own number and not repeated; a worst case is ours.
            let needs = match spec.max_cost_usd {
                Some(_) => "the run's max_cost_usd allows more".to_owned(),
                None => format!("this run can cost {} USD", reservation.amount),
            };
            Err(exceeded(&standing, &needs, way_out).into())
        }
    }
}

/// Which budget stands in the way, and how.
fn exceeded(standing: &Standing, needs: &str, way_out: &str) -> Error {
    let whose = if standing.budget.api_key.is_some() { "an API key" } else { "the tenant" };
    let detail = format!(
        "of {limit} USD per {period} for {whose} (budget {id}) {left} USD is left, and {needs}; {way_out}wait for runs to \
         end or for {resets_at}, when the budget starts anew, or have its limit raised",
        limit = standing.budget.limit,
        period = standing.budget.period.as_str(),
        id = standing.budget.id,
        left = standing.left(),
        resets_at = standing.resets_at.format("%Y-%m-%dT%H:%M:%SZ"),
    );
    Error::new(Kind::PaymentRequired, "budget_exceeded", detail)
}
