//! The ledger's check sees what it is for: a small sound ledger passes, and each planted disagreement is found.

use std::panic::{AssertUnwindSafe, catch_unwind};

use acm2_domain::ids::AttemptId;
use acm2_sandbox::CallRecord;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::ledger::Ledger;

/// One run with one task, answered by its second attempt: the first was in doubt.
fn sound() -> (Value, Vec<Value>) {
    let (run, first, second) = (Uuid::now_v7(), Uuid::now_v7(), Uuid::now_v7());
    let attempt = |id, number: u32, status, cost: Option<i64>, finished_at| {
        json!({"id": id, "run_id": run, "task_key": "t", "number": number, "status": status, "reserved": 9_000_000,
            "cost": cost, "finished_at": finished_at})
    };
    let event = |number: u32, kind| json!({"run_id": run, "number": number, "event_type": kind});
    let ledger = json!({
        "runs": [{"id": run, "status": "completed", "claim": 2, "tasks_expected": 1, "tasks_completed": 1, "tasks_failed": 0,
            "spent": 5_000_000, "reserved": 0, "in_doubt": 9_000_000, "last_event": 5}],
        "tasks": [{"run_id": run, "key": "t", "status": "completed", "cost": 5_000_000, "attempts": 2}],
        "attempts": [attempt(first, 1, "in_doubt", None, "2026-01-01T00:00:02Z"),
            attempt(second, 2, "answered", Some(5_000_000), "2026-01-01T00:00:04Z")],
        "events": [event(1, "run.queued"), event(2, "stage.started"), event(3, "task.completed"),
            event(4, "stage.completed"), event(5, "run.completed")],
        "jobs": [],
    });
    let record = |call: u32, attempt, event, time, cost: Option<u64>| {
        json!({"seq": call, "call": call, "time": time, "event": event, "wire": "openai_chat", "path": "/",
            "model": "echo", "attempt_id": AttemptId::from(attempt), "key_fingerprint": null, "prompt_fingerprint": null,
            "status": cost.map(|_| 200), "usage": null, "cost_micro_usd": cost})
    };
    let log = vec![
        record(1, first, "received", "2026-01-01T00:00:01Z", None),
        record(2, second, "received", "2026-01-01T00:00:03Z", None),
        record(2, second, "answered", "2026-01-01T00:00:03Z", Some(5)),
    ];
    (ledger, log)
}

/// What the check says against it; `None` where it is content.
fn objection(ledger: Value, log: Vec<Value>) -> Option<String> {
    let ledger: Ledger = serde_json::from_value(ledger).unwrap();
    let log: Vec<CallRecord> = log.into_iter().map(|record| serde_json::from_value(record).unwrap()).collect();
    let panic = catch_unwind(AssertUnwindSafe(|| ledger.check(&log))).err()?;
    Some(*panic.downcast::<String>().unwrap())
}

#[test]
fn a_ledger_that_agrees_with_the_log_passes() {
    let (ledger, log) = sound();
    assert_eq!(objection(ledger, log), None);
    // A call that was in doubt need not have been made.
    let (ledger, mut log) = sound();
    log.remove(0);
    assert_eq!(objection(ledger, log), None);
}

#[test]
fn each_planted_disagreement_is_found() {
    type Plant = fn(&mut Value, &mut Vec<Value>);
    let plants: [(&str, Plant); 17] = [
        ("a call without an attempt", |ledger, _| drop(ledger["attempts"].as_array_mut().unwrap().remove(0))),
        ("the provider heard nothing", |_, log| log.truncate(1)),
        ("two calls of one attempt", |_, log| log.push(log[1].clone())),
        ("nobody will settle", |ledger, _| ledger["attempts"][0]["status"] = json!("open")),
        ("not one used answer", |ledger, _| {
            ledger["attempts"][0]["status"] = json!("answered");
            ledger["runs"][0]["in_doubt"] = json!(0);
        }),
        ("not one used answer", |ledger, _| {
            ledger["attempts"][1]["status"] = json!("in_doubt");
            ledger["runs"][0]["in_doubt"] = json!(18_000_000);
        }),
        ("called again after the answer", |_, log| log[0]["time"] = json!("2026-01-01T00:00:05Z")),
        ("asked for another price", |_, log| log[2]["cost_micro_usd"] = json!(6)),
        ("spent, in doubt, reserved", |ledger, _| ledger["runs"][0]["spent"] = json!(6_000_000)),
        ("spent, in doubt, reserved", |ledger, _| ledger["runs"][0]["reserved"] = json!(1)),
        ("spent, in doubt, reserved", |ledger, _| ledger["runs"][0]["in_doubt"] = json!(0)),
        ("numbered with gaps", |ledger, _| ledger["events"][1]["number"] = json!(6)),
        ("not begun and through once", |ledger, _| ledger["events"][3]["event_type"] = json!("attempt.failed")),
        ("not begun and through once", |ledger, _| ledger["events"][1]["event_type"] = json!("attempt.failed")),
        ("not once at its end", |ledger, _| ledger["events"][4]["event_type"] = json!("run.failed")),
        ("not ended", |ledger, _| ledger["runs"][0]["status"] = json!("running")),
        ("the tail is not done", |ledger, _| {
            ledger["jobs"] = json!([{"subject_id": ledger["runs"][0]["id"]}]);
        }),
    ];
    for (expected, plant) in plants {
        let (mut ledger, mut log) = sound();
        plant(&mut ledger, &mut log);
        let found = objection(ledger, log);
        assert!(found.as_ref().is_some_and(|found| found.contains(expected)), "{expected}: {found:?}");
    }
}
