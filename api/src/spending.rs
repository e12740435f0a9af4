//! What a run reserves in the budgets that apply to it (PROTOCOL rule 12). Called by `submit`, in its transaction.

use acm2_domain::budget::{self, BudgetPeriod};
use acm2_domain::error::{Error, Kind};
use acm2_domain::ids::RunId;
use acm2_domain::money::Usd;
use acm2_domain::run::RunSpec;
use acm2_store::TenantTx;
use acm2_store::budgets::{self, Reservation, Reserved, Standing};
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
    let amount = budget::reservation(spec, &caller.app.prices)?;
    let reservation = Reservation { run, amount, baseline: Usd::ZERO };
    match budgets::reserve(tx, &applying, reservation, now).await? {
        Reserved::Done => Ok(Some(amount)),
        Reserved::Exceeded(standing) => {
            let worst_case = spec.max_cost_usd.is_none().then_some(amount);
            Err(exceeded(&standing, worst_case).into())
        }
    }
}

/// Which budget stands in the way and how. A ceiling is the caller's own number and not repeated; a worst case is ours.
fn exceeded(standing: &Standing, worst_case: Option<Usd>) -> Error {
    let Standing { budget, resets_at, .. } = standing;
    let whose = if budget.api_key.is_some() { "this API key" } else { "the tenant" };
    let per = match budget.period {
        BudgetPeriod::Day => "day",
        BudgetPeriod::Month => "month",
    };
    let (needs, way_out) = match worst_case {
        Some(amount) => (format!("this run can cost {amount} USD"), "give a max_cost_usd that fits"),
        None => ("the run's max_cost_usd is more".to_owned(), "give a lower max_cost_usd"),
    };
    let detail = format!(
        "of {limit} USD per {per} for {whose} (budget {id}) {left} USD is left, and {needs}; {way_out}, wait for runs to end \
         or for {resets}, when the budget starts anew, or have its limit raised",
        limit = budget.limit,
        id = budget.id,
        left = standing.left(),
        resets = resets_at.format("%Y-%m-%dT%H:%M:%SZ"),
    );
    Error::new(Kind::PaymentRequired, "budget_exceeded", detail)
}
