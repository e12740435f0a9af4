//! What the comparison of budgets is for is found, each in its line.

use serde_json::{Value, json};
use uuid::Uuid;

use super::planted::{DOLLAR, broken, sound, with, without};
use super::verdict::Line;
use crate::ids::id_of;

const PERIOD: &str = "/books/0/periods/0";
const RESERVATION: &str = "/books/0/reservations/0";

/// Sound evidence with several values changed.
fn changed(values: &[(&str, Value)]) -> Value {
    let mut evidence = sound();
    for (pointer, value) in values {
        *evidence.pointer_mut(pointer).unwrap() = value.clone();
    }
    evidence
}

#[test]
fn a_budget_that_counts_more_than_its_limit_is_found() {
    assert_eq!(broken(with("/books/0/budgets/0/limit", json!(14 * DOLLAR - 1))), [Line::Budget]);
    // What is still reserved counts as well, and must not be there any more.
    assert_eq!(broken(with("/books/0/periods/0/reserved", json!(1))), [Line::Budget, Line::Reserved]);
}

#[test]
fn a_budget_that_does_not_know_what_its_runs_consumed_is_found() {
    // The books of the budget stay below its limit, those of its run do not.
    let evidence = changed(&[
        ("/books/0/budgets/0/limit", json!(13 * DOLLAR)),
        (&format!("{PERIOD}/spent"), json!(13 * DOLLAR)),
        (&format!("{RESERVATION}/settled"), json!(13 * DOLLAR)),
    ]);
    assert_eq!(broken(evidence), [Line::Budget, Line::BudgetSums]);
}

#[test]
fn calls_that_cost_more_than_the_budget_allows_are_found() {
    // A run that says nothing of a call which the provider took 15 dollars for.
    let mut evidence = with("/books/0/attempts/0/status", json!("failed"));
    evidence["books"][0]["runs"][0]["in_doubt"] = json!(0);
    evidence["books"][0]["periods"][0]["spent"] = json!(5 * DOLLAR);
    evidence["books"][0]["reservations"][0]["settled"] = json!(5 * DOLLAR);
    assert_eq!(broken(evidence.clone()), []);
    let call = json!({"time": "2026-01-01T00:00:02Z", "event": "answered", "wire": "openai_chat",
        "attempt_id": id_of("att", Uuid::from_u128(2)), "key_fingerprint": "k1", "status": 200, "cost_micro_usd": 15,
        "usage": {"input": 13, "output": 1}});
    evidence["calls"].as_array_mut().unwrap().push(call);
    assert_eq!(broken(evidence), [Line::Budget, Line::BudgetSums]);
}

#[test]
fn a_reservation_that_stays_after_the_end_is_found() {
    let evidence = changed(&[
        (&format!("{RESERVATION}/settled"), Value::Null),
        (&format!("{PERIOD}/reserved"), json!(14 * DOLLAR)),
        (&format!("{PERIOD}/spent"), json!(0)),
    ]);
    let found = broken(evidence);
    assert!(found.contains(&Line::Reserved), "{found:?}");
}

#[test]
fn a_run_that_no_budget_counts_is_found() {
    assert_eq!(broken(without("/books/0/reservations", 0)), [Line::BudgetSums]);
    assert_eq!(broken(with(&format!("{PERIOD}/spent"), json!(13 * DOLLAR))), [Line::BudgetSums]);
    assert_eq!(broken(with(&format!("{RESERVATION}/settled"), json!(13 * DOLLAR))), [Line::BudgetSums]);
    // One that was submitted with the key and says that it was not.
    let evidence = with("/books/0/runs/0/api_key_id", json!(Uuid::from_u128(41)));
    assert_eq!(broken(evidence), [Line::BudgetSums]);
    // A budget of the tenant counts the runs of every key.
    let mut of_tenant = with("/books/0/budgets/0/subject_id", json!(Uuid::from_u128(30)));
    assert_eq!(broken(of_tenant.clone()), []);
    of_tenant["books"][0]["reservations"] = json!([]);
    assert_eq!(broken(of_tenant), [Line::BudgetSums]);
}

#[test]
fn a_retry_counts_only_what_comes_on_top() {
    let before = 9 * DOLLAR;
    let again = changed(&[
        (&format!("{RESERVATION}/baseline"), json!(before)),
        (&format!("{RESERVATION}/settled"), json!(5 * DOLLAR)),
    ]);
    assert_eq!(broken(again), []);
    // A doubt from before that was taken away afterwards stays counted in the budget.
    let cleared = changed(&[
        ("/books/0/runs/0/in_doubt", json!(0)),
        ("/books/0/attempts/0/status", json!("failed")),
        (&format!("{RESERVATION}/baseline"), json!(before)),
        (&format!("{RESERVATION}/settled"), json!(0)),
        (&format!("{PERIOD}/spent"), json!(before)),
    ]);
    assert_eq!(broken(cleared), []);
}
