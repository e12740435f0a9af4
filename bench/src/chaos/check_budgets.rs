//! No budget is exceeded, nothing stays reserved, and what a budget counts is what its runs have consumed: by the budget's own
//! books, by those of the runs, and by what the provider really took. Called by `check`.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::evidence::{Books, Budget, BudgetPeriod, Call, Reservation, Run};
use super::verdict::{Line, Verdict};

/// What was consumed in a period of a budget.
#[derive(Debug, Default)]
struct Consumed {
    /// Spent and in doubt, as the runs say.
    of_runs: i64,
    /// What the provider took.
    of_calls: i64,
    /// Whether all runs that are counted here have ended.
    all_ended: bool,
}

/// Compares the budgets of a tenant with its runs and with the provider's log.
pub(super) fn check(books: &Books, calls: &[Call], verdict: &mut Verdict) {
    let taken = taken(books, calls);
    for run in books.runs.iter().filter(|run| run.has_ended() && is_bounded(books, run)) {
        let took = taken.get(&run.id).copied().unwrap_or_default();
        if took > run.consumed() {
            verdict.broken(Line::BudgetSums, format!("the provider took {took} for {run:?}"));
        }
    }
    for budget in &books.budgets {
        one(books, budget, &taken, verdict);
    }
}

/// Whether any budget applies to the run.
pub(super) fn is_bounded(books: &Books, run: &Run) -> bool {
    books.budgets.iter().any(|budget| applies(books, budget, run))
}

fn applies(books: &Books, budget: &Budget, run: &Run) -> bool {
    budget.subject_id == books.tenant || Some(budget.subject_id) == run.api_key_id
}

/// What the provider took for each run.
fn taken(books: &Books, calls: &[Call]) -> BTreeMap<Uuid, i64> {
    let runs: BTreeMap<Uuid, Uuid> = books.attempts.iter().map(|attempt| (attempt.id, attempt.run_id)).collect();
    let mut taken = BTreeMap::new();
    for call in calls {
        if let Some(run) = call.attempt().and_then(|attempt| runs.get(&attempt)) {
            *taken.entry(*run).or_default() += call.cost();
        }
    }
    taken
}

fn one(books: &Books, budget: &Budget, taken: &BTreeMap<Uuid, i64>, verdict: &mut Verdict) {
    let mine = |id: &Uuid| *id == budget.id;
    let periods: BTreeMap<DateTime<Utc>, &BudgetPeriod> =
        books.periods.iter().filter(|row| mine(&row.budget_id)).map(|row| (row.starts_at, row)).collect();
    let reservations: BTreeMap<Uuid, &Reservation> =
        books.reservations.iter().filter(|row| mine(&row.budget_id)).map(|row| (row.run_id, row)).collect();
    let mut consumed: BTreeMap<DateTime<Utc>, Consumed> =
        periods.keys().map(|starts_at| (*starts_at, Consumed { all_ended: true, ..Consumed::default() })).collect();
    // A doubt from before a retry that was taken away afterwards gives back no more than was counted since.
    let mut counted = 0;
    for run in books.runs.iter().filter(|run| applies(books, budget, run)) {
        let Some(reservation) = reservations.get(&run.id) else {
            verdict.broken(Line::BudgetSums, format!("nothing reserved in {budget:?} for {run:?}"));
            continue;
        };
        let since = i64::max(run.consumed() - reservation.baseline, 0);
        settled(run, reservation, since, verdict);
        counted += reservation.baseline + since;
        // What a run consumed before its retry counts where it was submitted. Its calls cannot be told apart like that, and count
        // where it reserved last: another period only where a run was retried after midnight.
        let submitted = periods.range(..=run.created_at).next_back().map_or(reservation.starts_at, |(start, _)| *start);
        consumed.entry(submitted).or_default().of_runs += i64::min(reservation.baseline, run.consumed());
        let last = consumed.entry(reservation.starts_at).or_default();
        last.of_runs += since;
        last.of_calls += taken.get(&run.id).copied().unwrap_or_default();
        last.all_ended &= run.has_ended();
    }
    let all_ended = consumed.values().all(|consumed| consumed.all_ended);
    let spent: i64 = periods.values().map(|period| period.spent).sum();
    if all_ended && spent != counted {
        verdict.broken(Line::BudgetSums, format!("{spent} counted in {budget:?}, whose runs have consumed {counted}"));
    }
    for (starts_at, consumed) in consumed {
        let Some(period) = periods.get(&starts_at) else {
            verdict.broken(Line::BudgetSums, format!("{budget:?} has no period of {starts_at}: {consumed:?}"));
            continue;
        };
        let most = (period.spent + period.reserved).max(consumed.of_runs).max(consumed.of_calls);
        if most > budget.limit {
            verdict.broken(Line::Budget, format!("{budget:?}: {period:?} {consumed:?}"));
        }
        if consumed.all_ended && period.reserved != 0 {
            verdict.broken(Line::Reserved, format!("{budget:?}: {period:?}"));
        }
    }
}

/// Once its run has ended, a reservation is settled with what the run has consumed since.
fn settled(run: &Run, reservation: &Reservation, since: i64, verdict: &mut Verdict) {
    match reservation.settled {
        _ if !run.has_ended() => {}
        None => verdict.broken(Line::Reserved, format!("{reservation:?} of {run:?}")),
        Some(settled) if settled != since => {
            verdict.broken(Line::BudgetSums, format!("{since} consumed, {reservation:?} of {run:?}"));
        }
        Some(_) => {}
    }
}
