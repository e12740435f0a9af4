//! What the comparison of single tasks is for is found, each in its line.

use serde_json::{Value, json};
use uuid::Uuid;

use super::planted::{and, broken, sound, with};
use super::verdict::Line;
use crate::ids::id_of;

/// When the skip of the sound evidence was answered, in milliseconds of Unix time.
const ANSWERED: u64 = 1_767_225_600_500;

/// Sound evidence whose run says `on_in_doubt: fail`.
fn failing() -> Value {
    with("/books/0/runs/0/spec", json!("{\"on_in_doubt\":\"fail\"}"))
}

/// An id that was made so many milliseconds after the skip was answered.
fn made(after: i64) -> Uuid {
    let milliseconds = u128::from(ANSWERED.checked_add_signed(after).unwrap());
    Uuid::from_u128(milliseconds << 80 | 0x7 << 76 | 0x8 << 60 | 1)
}

/// Sound evidence with a call of the skipped task.
fn called(attempt: Uuid, time: &str) -> Value {
    let run = Uuid::from_u128(1);
    let mut evidence = and(
        "/books/0/attempts",
        json!({"id": attempt, "run_id": run, "task_key": "s", "number": 1, "status": "failed", "provider": "sandbox",
            "reserved": 0, "cost": null, "claim": 1, "started_at": "2026-01-01T00:00:00Z",
            "finished_at": "2026-01-01T00:00:01Z"}),
    );
    let call = json!({"time": time, "event": "received", "wire": "openai_chat", "attempt_id": id_of("att", attempt),
        "key_fingerprint": "k1", "status": null, "cost_micro_usd": null, "usage": null});
    evidence["calls"].as_array_mut().unwrap().push(call);
    evidence
}

#[test]
fn another_attempt_after_one_in_doubt_is_found_where_the_run_wants_none() {
    assert_eq!(broken(failing()), [Line::Doubted]);
    // Also where the doubt was taken away, but only afterwards.
    let mut later = failing();
    later["books"][0]["attempts"][0]["status"] = json!("failed");
    later["books"][0]["attempts"][0]["finished_at"] = json!("2026-01-01T00:00:09Z");
    assert!(broken(later.clone()).contains(&Line::Doubted));
    later["books"][0]["attempts"][0]["finished_at"] = json!("2026-01-01T00:00:01Z");
    assert!(!broken(later).contains(&Line::Doubted));
    // A late answer is to be used.
    let mut late = failing();
    late["books"][0]["attempts"][0]["status"] = json!("late");
    assert!(broken(late).contains(&Line::Doubted));
    // One that failed in doubt while its worker watched has no event of its own.
    let mut watched = failing();
    watched["books"][0]["events"][3]["event_type"] = json!("attempt.failed");
    assert_eq!(broken(watched), [Line::Doubted]);
}

#[test]
fn a_retry_may_call_again_after_a_doubt() {
    let mut retried = failing();
    retried["books"][0]["runs"][0]["retry_claim"] = json!(1);
    // The run's row alone is no proof.
    assert_eq!(broken(retried.clone()), [Line::Doubted]);
    retried["books"][0]["events"][3]["event_type"] = json!("run.retry_requested");
    assert!(!broken(retried.clone()).contains(&Line::Doubted));
    retried["books"][0]["attempts"][1]["claim"] = json!(1);
    assert!(broken(retried).contains(&Line::Doubted));
}

#[test]
fn a_skip_that_was_accepted_and_lost_is_found() {
    let mut lost = with("/books/0/tasks/1/error_class", json!("timeout"));
    assert_eq!(broken(lost.clone()), [Line::Unskipped]);
    // One that was refused, or had no answer, promises nothing.
    lost["skips"][0]["answer"] = json!([422, "2026-01-01T00:00:00.5Z"]);
    assert_eq!(broken(lost.clone()), []);
    lost["skips"][0]["answer"] = Value::Null;
    assert_eq!(broken(lost), []);
    let mut gone = sound();
    gone["books"][0]["tasks"].as_array_mut().unwrap().remove(1);
    gone["books"][0]["runs"][0]["tasks_failed"] = json!(0);
    assert_eq!(broken(gone), [Line::Unskipped]);
}

#[test]
fn a_call_of_a_skipped_task_is_found() {
    assert_eq!(broken(called(made(10), "2026-01-01T00:00:00.700Z")), [Line::CalledSkipped]);
    // Its intent came before the answer: it was under way, but no worker is deaf for so long.
    assert_eq!(broken(called(made(-10), "2026-01-01T00:00:00.700Z")), []);
    assert_eq!(broken(called(made(-10), "2026-01-01T00:00:21Z")), [Line::CalledSkipped]);
    assert_eq!(broken(called(made(-200), "2026-01-01T00:00:00.400Z")), []);
}

#[test]
fn a_task_that_was_settled_twice_is_found() {
    // An answer that a skip replaced, and a skip that an answer replaced.
    assert_eq!(broken(with("/books/0/events/2/data", json!("{\"task_key\":\"t\"}"))), [Line::Resettled]);
    let mut both = sound();
    both["books"][0]["events"][3]["event_type"] = json!("task.failed");
    assert_eq!(broken(both.clone()), [Line::Resettled]);
    // A retry forgets what failed, and nothing else.
    both["books"][0]["events"][3]["event_type"] = json!("run.retry_requested");
    both["books"][0]["events"][2]["data"] = json!("{\"task_key\":\"t\"}");
    assert!(broken(both.clone()).contains(&Line::Resettled));
    both["books"][0]["events"][2]["event_type"] = json!("task.failed");
    assert!(!broken(both).contains(&Line::Resettled));
}
