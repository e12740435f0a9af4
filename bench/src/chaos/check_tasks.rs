//! What was asked of single tasks: none is called again after a doubt where the run says `on_in_doubt: fail`, a skipped one is left
//! out and no longer called, and what is settled stays so. Called by `check`.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::evidence::{Attempt, Books, Call, Event, Run};
use super::records::Skip;
use super::verdict::{Line, Verdict};
use crate::ids::uuid_of;

/// By how much the clocks of two processes may differ that are both set by the database's.
const CLOCKS: TimeDelta = TimeDelta::seconds(1);

/// How long after a skip a call may reach the provider whose intent had been committed before the skip was: a store that says
/// nothing is asked again after 15 s, and then the worker learns of the skip.
const UNDER_WAY: TimeDelta = TimeDelta::seconds(20);

/// Events after which a task is settled.
const SETTLING: [&str; 3] = ["task.completed", "task.failed", "task.skipped"];

/// Which task of which run.
type TaskOf<'a> = (Uuid, &'a str);

/// A tenant's attempts by task, and events by run, in order.
struct Timelines<'a> {
    attempts: BTreeMap<TaskOf<'a>, Vec<&'a Attempt>>,
    events: BTreeMap<Uuid, Vec<&'a Event>>,
}

/// Compares a tenant's tasks with what was asked of them; `calls` are the first of each attempt.
pub(super) fn check(books: &Books, skips: &[&Skip], calls: &BTreeMap<Uuid, &Call>, verdict: &mut Verdict) {
    let timelines = Timelines::of(books);
    for run in &books.runs {
        let events = timelines.events.get(&run.id).map_or(&[][..], Vec::as_slice);
        settled_once(run, events, verdict);
        if run.wish("on_in_doubt") == "fail" {
            doubts(run, events, &timelines, verdict);
        }
    }
    for (task, answered) in accepted(skips) {
        skipped(books, task, answered, &timelines, calls, verdict);
    }
}

/// Tasks whose skip was accepted, with the time of the first answer that said so.
fn accepted<'a>(skips: &[&'a Skip]) -> BTreeMap<TaskOf<'a>, DateTime<Utc>> {
    let mut accepted = BTreeMap::new();
    for skip in skips {
        if let (Some((202, at)), Some(run)) = (skip.answer, uuid_of(&skip.run)) {
            let first = accepted.entry((run, skip.task_key.as_str())).or_insert(at);
            *first = at.min(*first);
        }
    }
    accepted
}

/// Calls that reached the provider after the answer of a skip, though their intent came before it. No violation: the intent was
/// committed first, and the worker had not heard yet.
pub(super) fn overtaken(skips: &[&Skip], books: &Books, calls: &BTreeMap<Uuid, &Call>) -> usize {
    let accepted = accepted(skips);
    let late = |attempt: &&Attempt| {
        let answered = accepted.get(&(attempt.run_id, attempt.task_key.as_str()));
        answered.is_some_and(|at| calls.get(&attempt.id).is_some_and(|call| call.time > *at))
    };
    books.attempts.iter().filter(late).count()
}

impl<'a> Timelines<'a> {
    fn of(books: &'a Books) -> Self {
        let mut timelines = Self { attempts: BTreeMap::new(), events: BTreeMap::new() };
        for attempt in &books.attempts {
            timelines.attempts.entry((attempt.run_id, &attempt.task_key)).or_default().push(attempt);
        }
        for event in &books.events {
            timelines.events.entry(event.run_id).or_default().push(event);
        }
        for events in timelines.events.values_mut() {
            events.sort_unstable_by_key(|event| event.number);
        }
        timelines
    }
}

/// A retry forgets what failed; an answer and a skip stay for ever.
fn settled_once(run: &Run, events: &[&Event], verdict: &mut Verdict) {
    let mut settled: BTreeMap<String, &str> = BTreeMap::new();
    for event in events {
        let kind = event.event_type.as_str();
        if kind == "run.retry_requested" {
            settled.retain(|_, kind| *kind != "task.failed");
        }
        if SETTLING.contains(&kind)
            && let Some(before) = settled.insert(event.says("task_key"), kind)
        {
            verdict.broken(Line::Resettled, format!("{before}, then {kind}: {} {}", run.id, event.data));
        }
    }
}

/// No attempt follows one in doubt, unless the run was retried in between, or the doubt was taken away before.
fn doubts(run: &Run, events: &[&Event], timelines: &Timelines<'_>, verdict: &mut Verdict) {
    let was_retried = events.iter().any(|event| event.event_type == "run.retry_requested");
    let told: BTreeSet<Uuid> = events
        .iter()
        .filter(|event| event.event_type == "attempt.in_doubt")
        .filter_map(|event| uuid_of(&event.says("attempt_id")))
        .collect();
    let of_run = timelines.attempts.range((run.id, "")..).take_while(|((id, _), _)| *id == run.id);
    for (_, attempts) in of_run {
        let doubted = attempts.iter().filter(|attempt| attempt.status == "in_doubt" || told.contains(&attempt.id));
        for first in doubted {
            let again = attempts.iter().find(|next| {
                let retried = was_retried && first.claim <= run.retry_claim && run.retry_claim < next.claim;
                let cleared = first.status == "failed"
                    && first.finished_at.is_some_and(|finished| finished <= next.started_at + CLOCKS);
                next.number > first.number && !retried && !cleared
            });
            if let Some(next) = again {
                verdict.broken(Line::Doubted, format!("{next:?} after {first:?}"));
            }
        }
    }
}

/// The task is left out, also over a retry, and no call of it begins after the answer.
fn skipped(
    books: &Books,
    (run, key): TaskOf<'_>,
    answered: DateTime<Utc>,
    timelines: &Timelines<'_>,
    calls: &BTreeMap<Uuid, &Call>,
    verdict: &mut Verdict,
) {
    let task = books.tasks.iter().find(|task| task.run_id == run && task.key == key);
    if task.is_none_or(|task| task.error_class.as_deref() != Some("skipped")) {
        verdict.broken(Line::Unskipped, format!("{key} of {run}, answered at {answered}: {task:?}"));
    }
    for attempt in timelines.attempts.get(&(run, key)).into_iter().flatten() {
        let Some(call) = calls.get(&attempt.id).filter(|call| call.time > answered) else { continue };
        // An attempt gets its id just before its intent is written: an intent from before the answer may have been committed
        // before the skip was, and its call was then under way.
        let began_after = made_at(attempt.id).is_none_or(|made| made > answered);
        if began_after || call.time > answered + UNDER_WAY {
            verdict.broken(Line::CalledSkipped, format!("skipped at {answered}, {attempt:?}: {call:?}"));
        }
    }
}

/// When the id was made, by the clock of this machine; a millisecond early at most.
fn made_at(id: Uuid) -> Option<DateTime<Utc>> {
    let (seconds, nanoseconds) = id.get_timestamp()?.to_unix();
    DateTime::from_timestamp(i64::try_from(seconds).ok()?, nanoseconds)
}
