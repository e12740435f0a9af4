//! The comparison sees what it is for: small sound evidence passes, and each planted violation is found, in its line.

use serde_json::{Value, json};
use uuid::Uuid;

use super::check::check;
use super::evidence::Evidence;
use super::verdict::Line;
use crate::ids::id_of;

/// Here a dollar is a millionth of one, in picodollars: small numbers are easier to read.
pub(super) const DOLLAR: i64 = 1_000_000;

/// One tenant, one run with one task that the second attempt answered: the first was in doubt. One endpoint, all received; one
/// budget that is used up; a second task that was skipped.
pub(super) fn sound() -> Value {
    let [run, first, second, endpoint, started, ended] = [1_u128, 2, 3, 4, 5, 6].map(Uuid::from_u128);
    let attempt = |id, number: u32, status, cost: Option<i64>, finished_at| {
        json!({"id": id, "run_id": run, "task_key": "t", "number": number, "status": status, "provider": "sandbox",
            "reserved": 9 * DOLLAR, "cost": cost, "claim": number, "started_at": "2026-01-01T00:00:01Z",
            "finished_at": finished_at})
    };
    let event = |number: u32, kind, data: Value| json!({"run_id": run, "number": number, "event_type": kind, "data": data.to_string()});
    let delivery = |id, kind| json!({"id": id, "endpoint_id": endpoint, "run_id": run, "event_type": kind, "payload": "{}", "status": "delivered"});
    let call = |attempt, event, time, status: Option<u16>| {
        json!({"time": time, "event": event, "wire": "openai_chat", "attempt_id": id_of("att", attempt),
            "key_fingerprint": "k1", "status": status, "cost_micro_usd": status.map(|_| 5),
            "usage": status.map(|_| json!({"input": 3, "output": 1}))})
    };
    let received = |id| json!({"id": id_of("dlv", id), "path": "/", "body": "{}", "status": 204});
    json!({
        "books": [{
            "runs": [{"id": run, "job_id": Uuid::from_u128(50), "status": "completed", "metadata": "{\"bench\":\"a\"}", "tasks_expected": 1,
                "tasks_completed": 1, "tasks_failed": 1, "spent": 5 * DOLLAR, "reserved": 0, "in_doubt": 9 * DOLLAR,
                "max_cost": 14 * DOLLAR, "last_event": 6, "problem_code": null, "api_key_id": Uuid::from_u128(40),
                "created_at": "2026-01-01T00:00:00Z", "spec": "{\"on_in_doubt\":\"retry\"}", "retry_claim": 0}],
            "tasks": [{"run_id": run, "key": "t", "status": "completed", "attempts": 2, "error_class": null},
                {"run_id": run, "key": "s", "status": "failed", "attempts": 0, "error_class": "skipped"}],
            "attempts": [attempt(first, 1, "in_doubt", None, "2026-01-01T00:00:02Z"),
                attempt(second, 2, "answered", Some(5 * DOLLAR), "2026-01-01T00:00:04Z")],
            "events": [event(1, "run.queued", json!({})), event(2, "run.started", json!({})),
                event(3, "task.skipped", json!({"task_key": "s"})),
                event(4, "attempt.in_doubt", json!({"task_key": "t", "attempt_id": id_of("att", first)})),
                event(5, "task.completed", json!({"task_key": "t"})), event(6, "run.completed", json!({}))],
            "deliveries": [delivery(started, "run.started"), delivery(ended, "run.completed")],
            "delivery_attempts": [],
            "endpoints": [{"id": endpoint}],
            "tenant": Uuid::from_u128(30),
            "bounded_keys": [Uuid::from_u128(40)],
            "budgets": [{"id": Uuid::from_u128(60), "subject_id": Uuid::from_u128(40),
                "limit": 14 * DOLLAR}],
            "periods": [{"budget_id": Uuid::from_u128(60), "starts_at": "2026-01-01T00:00:00Z", "reserved": 0,
                "spent": 14 * DOLLAR}],
            "reservations": [{"run_id": run, "budget_id": Uuid::from_u128(60), "starts_at": "2026-01-01T00:00:00Z",
                "baseline": 0, "settled": 14 * DOLLAR}],
            "keys": [["sandbox", "k1"]],
        }],
        "jobs": [],
        "skips": [{"tenant": 0, "run": id_of("run", run), "task_key": "s", "answer": [202, "2026-01-01T00:00:00.5Z"]}],
        "submissions": [{"name": "a", "tenant": 0, "api_key": 0, "is_idempotent": true, "has_url": false,
            "stage": {"accepted": id_of("run", run)}}],
        "calls": [call(first, "received", "2026-01-01T00:00:01Z", None),
            call(second, "received", "2026-01-01T00:00:03Z", None),
            call(second, "answered", "2026-01-01T00:00:03Z", Some(200))],
        "received": [received(started), received(ended)],
    })
}

/// The lines that are found broken.
pub(super) fn broken(evidence: Value) -> Vec<Line> {
    let evidence: Evidence = serde_json::from_value(evidence).unwrap();
    let verdict = check(&evidence);
    Line::ALL.iter().map(|(line, _)| *line).filter(|line| !verdict.of(*line).is_empty()).collect()
}

/// Sound evidence with one value changed.
pub(super) fn with(pointer: &str, value: Value) -> Value {
    let mut evidence = sound();
    *evidence.pointer_mut(pointer).unwrap() = value;
    evidence
}

/// Sound evidence with one entry of a list more.
pub(super) fn and(pointer: &str, value: Value) -> Value {
    let mut evidence = sound();
    evidence.pointer_mut(pointer).unwrap().as_array_mut().unwrap().push(value);
    evidence
}

/// Sound evidence with one entry of a list less.
pub(super) fn without(pointer: &str, at: usize) -> Value {
    let mut evidence = sound();
    evidence.pointer_mut(pointer).unwrap().as_array_mut().unwrap().remove(at);
    evidence
}

#[test]
fn sound_evidence_passes() {
    assert_eq!(broken(sound()), []);
    // A call in doubt need not have been made.
    assert_eq!(broken(without("/calls", 0)), []);
    // A delivery that was tried in vain and has a job is tried again.
    assert_eq!(broken(tried_in_vain("pending", 6)), []);
}

fn tried_in_vain(status: &str, job: u128) -> Value {
    let mut tried = without("/received", 1);
    tried["books"][0]["deliveries"][1]["status"] = json!(status);
    tried["books"][0]["delivery_attempts"] = json!([{"delivery_id": Uuid::from_u128(6)}]);
    tried["jobs"] = json!([{"id": Uuid::from_u128(job), "subject_id": Uuid::from_u128(job)}]);
    tried
}

#[test]
fn a_delivery_that_nobody_will_try_again_is_found() {
    assert_eq!(broken(tried_in_vain("pending", 7)), [Line::Deliveries]);
    assert_eq!(broken(tried_in_vain("failed", 6)), [Line::Deliveries]);
}

#[test]
fn a_lost_run_is_found() {
    let unknown = json!({"name": "b", "tenant": 0, "is_idempotent": false, "has_url": false,
        "stage": {"accepted": id_of("run", Uuid::from_u128(77))}});
    assert_eq!(broken(and("/submissions", unknown)), [Line::Lost]);
}

#[test]
fn a_key_that_made_two_runs_is_found() {
    let twin = sound().pointer("/books/0/runs/0").unwrap().clone();
    let found = broken(and("/books/0/runs", twin));
    assert!(found.contains(&Line::Doubled), "{found:?}");
}

#[test]
fn a_run_that_never_ends_is_found() {
    assert_eq!(broken(with("/books/0/runs/0/status", json!("running"))), [Line::Unended]);
}

#[test]
fn a_job_that_stays_is_found() {
    let job = |id| json!({"id": Uuid::from_u128(id), "subject_id": Uuid::from_u128(1)});
    assert_eq!(broken(and("/jobs", job(50))), [Line::JobLeft]);
    // One that the run does not name was left by a command that was cut off, and goes away by itself.
    assert_eq!(broken(and("/jobs", job(51))), []);
}

#[test]
fn a_call_after_the_committed_answer_is_found() {
    assert_eq!(broken(with("/calls/0/time", json!("2026-01-01T00:00:09Z"))), [Line::Repeated]);
}

#[test]
fn a_call_after_a_late_answer_is_found_once_that_must_have_been_committed() {
    let called = |time: &str| {
        let mut late = with("/books/0/attempts/1/status", json!("late"));
        late["calls"][0]["time"] = json!(time);
        broken(late).contains(&Line::Repeated)
    };
    assert!(!called("2026-01-01T00:00:09Z"));
    assert!(called("2026-01-01T00:00:20Z"));
}

#[test]
fn two_calls_of_one_attempt_are_found() {
    let again = sound().pointer("/calls/1").unwrap().clone();
    assert_eq!(broken(and("/calls", again)), [Line::Repeated]);
}

#[test]
fn a_call_without_an_attempt_is_found() {
    assert_eq!(broken(with("/calls/0/attempt_id", json!(id_of("att", Uuid::from_u128(88))))), [Line::Unknown]);
    assert_eq!(broken(with("/calls/0/attempt_id", Value::Null)), [Line::Unknown]);
}

#[test]
fn an_attempt_that_nobody_settled_is_found() {
    let found = broken(with("/books/0/attempts/0/status", json!("open")));
    assert!(found.contains(&Line::Unsettled), "{found:?}");
    let mut unheard = sound();
    unheard["calls"] = json!([]);
    assert_eq!(broken(unheard), [Line::Unsettled]);
}

#[test]
fn money_that_does_not_add_up_is_found() {
    assert_eq!(broken(with("/books/0/runs/0/reserved", json!(1))), [Line::Money]);
    let less = broken(with("/books/0/runs/0/spent", json!(4 * DOLLAR)));
    assert!(less.contains(&Line::Money), "{less:?}");
    assert_eq!(broken(with("/calls/2/cost_micro_usd", json!(6))), [Line::Money]);
}

#[test]
fn a_ceiling_that_was_passed_is_found() {
    assert_eq!(broken(with("/books/0/runs/0/max_cost", json!(13 * DOLLAR))), [Line::Ceiling]);
}

#[test]
fn a_task_that_is_missing_is_found() {
    assert_eq!(broken(with("/books/0/runs/0/tasks_expected", json!(2))), [Line::Miscounted]);
}

#[test]
fn events_that_are_missing_or_doubled_are_found() {
    let again = sound().pointer("/books/0/events/5").unwrap().clone();
    let found = broken(and("/books/0/events", again));
    assert!(found.contains(&Line::Events), "{found:?}");
    assert_eq!(broken(with("/books/0/events/1/number", json!(9))), [Line::Events]);
}

#[test]
fn a_stage_that_is_told_of_twice_or_never_ends_is_found() {
    let told = |stages: [(&str, &str); 4]| {
        let mut evidence = sound();
        let events = evidence.pointer_mut("/books/0/events").unwrap().as_array_mut().unwrap();
        let [.., last] = events.as_mut_slice() else { panic!("no event") };
        last["number"] = json!(10);
        for (number, (kind, stage)) in (6..).zip(stages) {
            let data = json!({"stage": stage}).to_string();
            events.push(json!({"run_id": Uuid::from_u128(1), "number": number, "event_type": kind, "data": data}));
        }
        evidence["books"][0]["runs"][0]["last_event"] = json!(10);
        broken(evidence)
    };
    let [begun, through] = ["stage.started", "stage.completed"];
    assert_eq!(told([(begun, "a"), (begun, "b"), (through, "a"), (through, "b")]), []);
    assert_eq!(told([(begun, "a"), (begun, "a"), (through, "a"), (through, "a")]), [Line::Events]);
    assert_eq!(told([(begun, "a"), (begun, "b"), (begun, "c"), (through, "b")]), [Line::Events]);
}

#[test]
fn a_wrong_key_is_found() {
    assert_eq!(broken(with("/calls/0/key_fingerprint", json!("k2"))), [Line::Keys]);
}

#[test]
fn a_delivery_that_never_came_or_was_altered_is_found() {
    assert_eq!(broken(without("/received", 0)), [Line::Deliveries]);
    assert_eq!(broken(without("/books/0/deliveries", 0)), [Line::Deliveries]);
    assert_eq!(broken(with("/received/1/body", json!("{ }"))), [Line::Deliveries]);
    assert_eq!(broken(with("/received/1/status", json!(503))), [Line::Deliveries]);
    assert_eq!(broken(with("/submissions/0/has_url", json!(true))), [Line::Deliveries]);
}
