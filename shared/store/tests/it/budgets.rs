//! Budgets: reserving and settling, with a clock that is passed in.

use acm2_domain::budget::BudgetPeriod;
use acm2_domain::ids::{ApiKeyId, BudgetId, JobId, RunId};
use acm2_domain::money::Usd;
use acm2_domain::run::RunStatus;
use acm2_domain::run::machine::{Command, Effect};
use acm2_store::budgets::{self, BudgetRow, NewBudget, Reservation, Reserved, Standing};
use acm2_store::runs::{self, Commanded, Ending, NewRunRow, RunRow};
use chrono::{DateTime, TimeDelta, Utc};

use crate::fixture::{Fixture, is_not_found, now, on_both};
use crate::runs::{Bench, stored, task, two_models};

on_both!(
    of_many_at_once_as_many_are_taken_as_fit,
    a_run_must_fit_into_every_budget_and_reserves_in_all_or_none,
    a_new_period_starts_anew_and_the_old_one_is_settled,
    a_late_answer_corrects_what_an_ended_run_is_counted_with,
    a_run_that_is_tried_again_reserves_anew_and_pays_only_for_what_comes_on_top,
    a_budget_that_is_deleted_hinders_no_end,
    a_deleted_run_stays_counted,
    a_run_to_which_a_budget_applies_is_not_written_before_it_reserved,
);

pub(crate) fn pico(amount: i64) -> Usd {
    Usd::from_pico(amount)
}

pub(crate) async fn make(bench: &Bench<'_>, api_key: Option<ApiKeyId>, period: BudgetPeriod, limit: i64) -> BudgetRow {
    let tx = bench.begin().await;
    let new = NewBudget { id: BudgetId::generate(), api_key, period, limit: pico(limit) };
    let row = budgets::insert(&tx, new, now()).await.unwrap();
    tx.commit().await.unwrap();
    row
}

pub(crate) async fn standing(bench: &Bench<'_>, budget: &BudgetRow, at: DateTime<Utc>) -> Standing {
    budgets::standing(&bench.begin().await, budget.clone(), at).await.unwrap()
}

async fn spent_and_reserved(bench: &Bench<'_>, budget: &BudgetRow, at: DateTime<Utc>) -> (i64, i64) {
    let standing = standing(bench, budget, at).await;
    (standing.spent.pico(), standing.reserved.pico())
}

/// What the api does with a submission.
pub(crate) async fn submit(
    bench: &Bench<'_>,
    api_key: Option<ApiKeyId>,
    amount: i64,
    at: DateTime<Utc>,
) -> Result<RunRow, Standing> {
    let mut run = NewRunRow { api_key, ..two_models() };
    let tx = bench.begin().await;
    let applying = budgets::lock_applying(&tx, api_key).await.unwrap();
    let reservation = Reservation { run: run.id, amount: pico(amount), baseline: Usd::ZERO };
    match budgets::reserve(&tx, &applying, reservation, at).await.unwrap() {
        Reserved::Exceeded(standing) => return Err(*standing),
        Reserved::Done => run.reserved = (!applying.is_empty()).then_some(reservation.amount),
    }
    let row = runs::insert(&tx, &run, at).await.unwrap();
    tx.commit().await.unwrap();
    Ok(row)
}

async fn of_many_at_once_as_many_are_taken_as_fit(fixture: &Fixture) {
    let bench = Bench::new(fixture).await;
    let budget = make(&bench, None, BudgetPeriod::Day, 799).await;
    let at = now();
    let all = futures_util::future::join_all((0..20).map(|_| submit(&bench, None, 100, at))).await;
    assert_eq!(all.iter().filter(|taken| taken.is_ok()).count(), 7);
    for refused in all.iter().filter_map(|taken| taken.as_ref().err()) {
        assert_eq!(refused.left(), pico(99));
    }
    assert_eq!(spent_and_reserved(&bench, &budget, at).await, (0, 700));
    assert!(submit(&bench, None, 99, at).await.is_ok());
}

async fn a_run_must_fit_into_every_budget_and_reserves_in_all_or_none(fixture: &Fixture) {
    let bench = Bench::new(fixture).await;
    let (bound, free) = (ApiKeyId::generate(), ApiKeyId::generate());
    let at = now();
    let day = make(&bench, None, BudgetPeriod::Day, 1_000).await;
    let month = make(&bench, None, BudgetPeriod::Month, 900).await;
    let own = make(&bench, Some(bound), BudgetPeriod::Day, 300).await;
    let refused = submit(&bench, Some(bound), 301, at).await.unwrap_err();
    assert_eq!((refused.budget.id, refused.budget.api_key, refused.left()), (own.id, Some(bound), pico(300)));
    assert_eq!(spent_and_reserved(&bench, &day, at).await, (0, 0), "what fitted elsewhere went back");
    submit(&bench, Some(bound), 300, at).await.unwrap();
    assert_eq!(submit(&bench, Some(bound), 1, at).await.unwrap_err().budget.id, own.id);
    submit(&bench, Some(free), 600, at).await.unwrap();
    assert_eq!(submit(&bench, Some(free), 1, at).await.unwrap_err().budget.id, month.id);
    submit(&bench, Some(free), 0, at).await.unwrap();
    assert_eq!(spent_and_reserved(&bench, &own, at).await, (0, 300));
    assert_eq!(spent_and_reserved(&bench, &month, at).await, (0, 900));
    let tx = bench.begin().await;
    assert!(budgets::is_bound(&tx, bound).await.unwrap() && !budgets::is_bound(&tx, free).await.unwrap());
    assert_eq!(budgets::list(&tx, Some(own.id), 9).await.unwrap(), [month.clone(), day]);
    let again = NewBudget { id: BudgetId::generate(), api_key: None, period: BudgetPeriod::Month, limit: pico(1) };
    assert!(budgets::insert(&tx, again, at).await.unwrap_err().is_conflict());
    drop(tx);
    // Less than what is spent is a limit too.
    let tx = bench.begin().await;
    let lowered = budgets::set_limit(&tx, month.id, pico(5), at).await.unwrap();
    assert_eq!(budgets::standing(&tx, lowered, at).await.unwrap().left(), Usd::ZERO);
    assert!(is_not_found(&budgets::set_limit(&tx, BudgetId::generate(), pico(5), at).await));
    tx.commit().await.unwrap();
    assert!(submit(&bench, Some(free), 1, at).await.is_err());
}

async fn a_run_to_which_a_budget_applies_is_not_written_before_it_reserved(fixture: &Fixture) {
    let bench = Bench::new(fixture).await;
    let (bound, free) = (ApiKeyId::generate(), ApiKeyId::generate());
    let write = async |api_key: Option<ApiKeyId>| {
        let run = NewRunRow { api_key, ..two_models() };
        let tx = bench.begin().await;
        let written = runs::insert_unless_bound(&tx, &run, now()).await.unwrap();
        let events = runs::list_events(&tx, run.id, 0, 9).await.unwrap();
        let found = runs::find(&tx, run.id).await.unwrap();
        assert_eq!(written, found);
        assert_eq!(events.len(), usize::from(written.is_some()));
        written.is_some()
    };
    assert!(write(Some(bound)).await);
    make(&bench, Some(bound), BudgetPeriod::Day, 100).await;
    assert_eq!((write(Some(bound)).await, write(Some(free)).await, write(None).await), (false, true, true));
    make(&bench, None, BudgetPeriod::Month, 100).await;
    assert_eq!((write(Some(bound)).await, write(Some(free)).await, write(None).await), (false, false, false));
}

async fn a_new_period_starts_anew_and_the_old_one_is_settled(fixture: &Fixture) {
    let bench = Bench::new(fixture).await;
    let day = make(&bench, None, BudgetPeriod::Day, 100).await;
    let month = make(&bench, None, BudgetPeriod::Month, 1_000).await;
    let before: DateTime<Utc> = "2026-11-30T23:59:59.999999Z".parse().unwrap();
    let after = before + TimeDelta::microseconds(1);
    let run = submit(&bench, None, 100, before).await.unwrap().id;
    assert!(submit(&bench, None, 1, before).await.is_err());
    let next = submit(&bench, None, 60, after).await.unwrap().id;
    spend(&bench, run, 70, 30).await;
    spend(&bench, next, 50, 50).await;
    for budget in [&day, &month] {
        assert_eq!(spent_and_reserved(&bench, budget, before).await, (30, 0));
        assert_eq!(spent_and_reserved(&bench, budget, after).await, (50, 0));
    }
}

/// One call that reserves and costs so much, then the end.
async fn spend(bench: &Bench<'_>, run: RunId, reserved: i64, cost: i64) {
    let fence = bench.claim(run, false).await.fence;
    let attempt = bench.open(fence, &task(0), reserved).await;
    bench.answer(fence, attempt, &task(0), reserved, cost).await;
    bench.end(fence, Ending::Settled).await;
}

async fn a_late_answer_corrects_what_an_ended_run_is_counted_with(fixture: &Fixture) {
    let bench = Bench::new(fixture).await;
    let budget = make(&bench, None, BudgetPeriod::Day, 1_000).await;
    let at = now();
    let run = submit(&bench, None, 400, at).await.unwrap().id;
    let lost = bench.claim(run, false).await.fence;
    let attempts = [bench.open(lost, &task(0), 150).await, bench.open(lost, &task(1), 200).await];
    let fence = bench.claim(run, true).await.fence;
    bench.end(fence, Ending::Cancelled).await;
    assert_eq!(spent_and_reserved(&bench, &budget, at).await, (350, 0), "in doubt is consumed, the rest is free");
    let tx = bench.begin().await;
    assert!(runs::settle_late(&tx, run, attempts[0], &stored(40), None, at).await.unwrap());
    tx.commit().await.unwrap();
    assert_eq!(spent_and_reserved(&bench, &budget, at).await, (240, 0));
    let tx = bench.begin().await;
    let failed = runs::AttemptOutcome::default();
    assert!(runs::settle_late_failure(&tx, run, attempts[1], &failed, at).await.unwrap());
    tx.commit().await.unwrap();
    assert_eq!(spent_and_reserved(&bench, &budget, at).await, (40, 0));
    assert_eq!(bench.find(run).await.consumed(), pico(40));
}

async fn a_run_that_is_tried_again_reserves_anew_and_pays_only_for_what_comes_on_top(fixture: &Fixture) {
    let bench = Bench::new(fixture).await;
    let budget = make(&bench, None, BudgetPeriod::Day, 1_000).await;
    let first_day: DateTime<Utc> = "2026-11-30T12:00:00Z".parse().unwrap();
    let next_day = first_day + TimeDelta::days(1);
    let run = submit(&bench, None, 400, first_day).await.unwrap().id;
    spend(&bench, run, 100, 80).await;
    let tx = bench.begin().await;
    let applying = budgets::lock_applying(&tx, None).await.unwrap();
    let reservation = Reservation { run, amount: pico(300), baseline: pico(80) };
    assert_eq!(budgets::reserve(&tx, &applying, reservation, next_day).await.unwrap(), Reserved::Done);
    let queued = runs::command(&tx, run, Command::Retry, JobId::generate(), next_day).await.unwrap();
    assert!(matches!(queued, Commanded::Done(Effect::Become(RunStatus::Queued), _)));
    runs::set_max_cost(&tx, run, Some(pico(380))).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(spent_and_reserved(&bench, &budget, first_day).await, (80, 0));
    assert_eq!(spent_and_reserved(&bench, &budget, next_day).await, (0, 300));
    let fence = bench.claim(run, false).await.fence;
    let attempt = bench.open(fence, &task(1), 300).await;
    bench.answer(fence, attempt, &task(1), 300, 110).await;
    bench.end(fence, Ending::Settled).await;
    assert_eq!(spent_and_reserved(&bench, &budget, first_day).await, (80, 0));
    assert_eq!(spent_and_reserved(&bench, &budget, next_day).await, (110, 0));
}

async fn a_budget_that_is_deleted_hinders_no_end(fixture: &Fixture) {
    let bench = Bench::new(fixture).await;
    let budget = make(&bench, None, BudgetPeriod::Day, 1_000).await;
    let other = make(&bench, None, BudgetPeriod::Month, 1_000).await;
    let run = submit(&bench, None, 400, now()).await.unwrap().id;
    let tx = bench.begin().await;
    budgets::delete(&tx, budget.id).await.unwrap();
    assert!(is_not_found(&budgets::delete(&tx, budget.id).await));
    tx.commit().await.unwrap();
    spend(&bench, run, 100, 80).await;
    assert_eq!(spent_and_reserved(&bench, &other, now()).await, (80, 0));
    let anew = make(&bench, None, BudgetPeriod::Day, 10).await;
    assert_eq!(spent_and_reserved(&bench, &anew, now()).await, (0, 0));
}

async fn a_deleted_run_stays_counted(fixture: &Fixture) {
    let bench = Bench::new(fixture).await;
    let budget = make(&bench, None, BudgetPeriod::Day, 1_000).await;
    let at = now();
    let run = submit(&bench, None, 400, at).await.unwrap().id;
    spend(&bench, run, 100, 80).await;
    let tx = bench.begin().await;
    assert_eq!(runs::delete(&tx, run).await.unwrap(), runs::DeleteOutcome::Deleted);
    tx.commit().await.unwrap();
    assert_eq!(spent_and_reserved(&bench, &budget, at).await, (80, 0));
}
