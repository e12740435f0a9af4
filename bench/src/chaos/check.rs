//! Compares what was submitted with the stores and the provider's log. Pure: evidence in, verdict out; `planted` shows that
//! each line can be found broken.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;
use uuid::Uuid;

use super::evidence::{Attempt, Books, Call, Evidence, PICO, Run};
use super::records::{Skip, Stage, Submission};
use super::verdict::{Line, Verdict};
use super::{check_budgets, check_deliveries, check_tasks, counts};
use crate::ids::uuid_of;

/// How long a write may wait for its connection, the locks of others and the server.
const LATE: TimeDelta = TimeDelta::seconds(15);

/// The first call of each attempt.
pub(super) type Calls<'a> = BTreeMap<Uuid, &'a Call>;

/// Compares everything.
pub(crate) fn check(evidence: &Evidence) -> Verdict {
    let mut verdict = Verdict::default();
    submissions(evidence, &mut verdict);
    let calls = calls(evidence, &mut verdict);
    for (number, books) in evidence.books.iter().enumerate() {
        for run in &books.runs {
            if !run.has_ended() {
                verdict.broken(Line::Unended, format!("{} of tenant {number} is {}", run.id, run.status));
                continue;
            }
            let shown = format!("{} ({})", run.id, run.name());
            tasks_of(run, books, &shown, &mut verdict);
            money_of(run, books, &shown, &mut verdict);
            events_of(run, books, &shown, &mut verdict);
            if evidence.jobs.iter().any(|job| job.id == run.job_id) {
                verdict.broken(Line::JobLeft, shown);
            }
        }
        attempts(books, &calls, &mut verdict);
        repeats(books, &calls, &mut verdict);
        check_deliveries::check(books, evidence, &mut verdict);
        check_budgets::check(books, &evidence.calls, &mut verdict);
        check_tasks::check(books, &skips_of(evidence, number), &calls, &mut verdict);
    }
    verdict.figures = counts::counts(evidence, &calls);
    verdict
}

/// What a tenant asked to skip.
pub(super) fn skips_of(evidence: &Evidence, tenant: usize) -> Vec<&Skip> {
    evidence.skips.iter().filter(|skip| skip.tenant == tenant).collect()
}

fn submissions(evidence: &Evidence, verdict: &mut Verdict) {
    let mut runs_of_key: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for submission in &evidence.submissions {
        let Stage::Accepted(id) = &submission.stage else { continue };
        let books = evidence.books.get(submission.tenant);
        let there = books.is_some_and(|books| books.runs.iter().any(|run| Some(run.id) == uuid_of(id)));
        if !there {
            verdict.broken(Line::Lost, format!("{id} of {}", submission.name));
        }
        charged(submission, books, verdict);
        if submission.is_idempotent {
            runs_of_key.entry(&submission.name).or_default().insert(id);
        }
    }
    for (name, runs) in runs_of_key.into_iter().filter(|(_, runs)| runs.len() > 1) {
        verdict.broken(Line::Doubled, format!("{name} was answered {runs:?}"));
    }
    let idempotent: BTreeSet<&str> =
        evidence.submissions.iter().filter(|line| line.is_idempotent).map(|line| line.name.as_str()).collect();
    for books in &evidence.books {
        let mut seen = BTreeSet::new();
        for name in books.runs.iter().map(Run::name) {
            if idempotent.contains(name.as_str()) && !seen.insert(name.clone()) {
                verdict.broken(Line::Doubled, format!("{name} stands in the store twice"));
            }
        }
    }
}

/// A run counts for the API key that submitted it, whoever commands it afterwards.
fn charged(submission: &Submission, books: Option<&Books>, verdict: &mut Verdict) {
    let (Some(books), Some(number), Stage::Accepted(id)) = (books, submission.api_key, &submission.stage) else {
        return;
    };
    let run = books.runs.iter().find(|run| Some(run.id) == uuid_of(id));
    let key = books.bounded_keys.get(number).copied();
    if run.is_some_and(|run| run.api_key_id != key) {
        verdict.broken(Line::BudgetSums, format!("submitted with the key {key:?}: {run:?}"));
    }
}

/// Calls and the attempts that they belong to.
fn calls<'a>(evidence: &'a Evidence, verdict: &mut Verdict) -> Calls<'a> {
    let mut owners: BTreeMap<Uuid, (&Books, &Attempt)> = BTreeMap::new();
    for books in &evidence.books {
        owners.extend(books.attempts.iter().map(|attempt| (attempt.id, (books, attempt))));
    }
    let mut calls = Calls::new();
    for call in evidence.calls.iter().filter(|call| call.wire != "key_test") {
        let Some((id, (books, attempt))) = call.attempt().and_then(|id| Some((id, owners.get(&id)?))) else {
            verdict.broken(Line::Unknown, format!("{call:?}"));
            continue;
        };
        if call.event == "received" {
            let right = books.keys.iter().find(|(provider, _)| *provider == attempt.provider).map(|(_, key)| key);
            if call.key_fingerprint.as_ref() != right {
                verdict.broken(Line::Keys, format!("{call:?} bears a key that is not {right:?}"));
            }
            if calls.insert(id, call).is_some() {
                verdict.broken(Line::Repeated, format!("two calls of one attempt: {call:?}"));
            }
        }
        let settled = ["answered", "late"].contains(&attempt.status.as_str());
        if call.event == "answered" && call.status == Some(200) && settled {
            let asked = call.cost_micro_usd.map(|cost| cost * PICO);
            if asked.is_some() && asked != attempt.cost {
                verdict.broken(Line::Money, format!("the provider asked {asked:?} for {attempt:?}"));
            }
        }
    }
    calls
}

fn attempts(books: &Books, calls: &Calls<'_>, verdict: &mut Verdict) {
    for attempt in &books.attempts {
        let run_ended = books.runs.iter().any(|run| run.id == attempt.run_id && run.has_ended());
        if attempt.status == "open" && run_ended {
            verdict.broken(Line::Unsettled, format!("open: {attempt:?}"));
        }
        if ["answered", "late"].contains(&attempt.status.as_str()) && !calls.contains_key(&attempt.id) {
            verdict.broken(Line::Unsettled, format!("the provider heard nothing of {attempt:?}"));
        }
    }
}

fn repeats(books: &Books, calls: &Calls<'_>, verdict: &mut Verdict) {
    let mut by_task: BTreeMap<(Uuid, &str), Vec<&Attempt>> = BTreeMap::new();
    for attempt in &books.attempts {
        by_task.entry((attempt.run_id, &attempt.task_key)).or_default().push(attempt);
    }
    for task in books.tasks.iter().filter(|task| task.status == "completed") {
        let attempts = by_task.get(&(task.run_id, task.key.as_str())).map_or(&[][..], Vec::as_slice);
        let used = attempts.iter().find(|attempt| attempt.number == task.attempts);
        let Some((used, stamped)) = used.and_then(|attempt| Some((attempt, attempt.finished_at?))) else {
            verdict.broken(Line::Miscounted, format!("a task without the attempt that answered it: {task:?}"));
            continue;
        };
        // A late answer is stamped before its transaction waits for its connection and for the run's row, which the intent of
        // another call may hold at that moment.
        let committed = if used.status == "late" { stamped + LATE } else { stamped };
        if attempts.iter().filter(|attempt| attempt.status == "answered").count() > 1 {
            verdict.broken(Line::Repeated, format!("two answers were used: {task:?} {attempts:?}"));
        }
        // Its own call came before its answer, whatever two clocks make of a moment; a second one is found with the calls.
        let others = attempts.iter().filter(|attempt| attempt.number != task.attempts);
        for call in others.filter_map(|attempt| calls.get(&attempt.id)).filter(|call| call.time > committed) {
            verdict.broken(Line::Repeated, format!("answered at {stamped}, called again: {call:?}"));
        }
    }
}

fn tasks_of(run: &Run, books: &Books, shown: &str, verdict: &mut Verdict) {
    let of = |status: &str| books.tasks.iter().filter(|task| task.run_id == run.id && task.status == status).count();
    let (completed, failed) = (of("completed"), of("failed"));
    let all_there = run.status != "completed" || completed == run.tasks_expected;
    if (completed, failed) != (run.tasks_completed, run.tasks_failed) || !all_there {
        verdict.broken(Line::Miscounted, format!("{shown}: {completed} completed, {failed} failed: {run:?}"));
    }
}

fn money_of(run: &Run, books: &Books, shown: &str, verdict: &mut Verdict) {
    let mine = || books.attempts.iter().filter(|attempt| attempt.run_id == run.id);
    let paid: i64 = mine().filter_map(|attempt| attempt.cost).sum();
    let doubted = mine().filter(|attempt| attempt.status == "in_doubt");
    let in_doubt: i64 = doubted.filter_map(|attempt| attempt.reserved).sum();
    if (run.spent, run.in_doubt, run.reserved) != (paid, in_doubt, 0) {
        verdict.broken(Line::Money, format!("{shown}: {paid} paid, {in_doubt} in doubt: {run:?}"));
    }
    if run.max_cost.is_some_and(|most| run.spent + run.in_doubt > most) {
        verdict.broken(Line::Ceiling, format!("{shown}: {run:?}"));
    }
}

fn events_of(run: &Run, books: &Books, shown: &str, verdict: &mut Verdict) {
    let mine = books.events.iter().filter(|event| event.run_id == run.id);
    let mut events: Vec<(usize, &str)> = mine.map(|event| (event.number, event.event_type.as_str())).collect();
    events.sort_unstable();
    let gapless = events.iter().map(|(number, _)| *number).eq(1..=run.last_event);
    let ends = events.iter().filter(|(_, kind)| END.contains(kind)).count();
    // A run that was sent back ends once more.
    let retries = events.iter().filter(|(_, kind)| *kind == "run.retry_requested").count();
    let last = events.last().map(|(_, kind)| *kind) == Some(format!("run.{}", run.status).as_str());
    let answers = events.iter().filter(|(_, kind)| *kind == "task.completed").count() == run.tasks_completed;
    let mine = books.events.iter().filter(|event| event.run_id == run.id);
    let mut begun: Vec<String> =
        mine.filter(|event| event.event_type == "stage.started").map(|event| event.says("stage")).collect();
    let through = events.iter().filter(|(_, kind)| *kind == "stage.completed").count();
    let stages = begun.len();
    begun.sort_unstable();
    begun.dedup();
    // Stages begin once; a retry may bring some of them to their end again.
    let staged = begun.len() == stages && (retries > 0 || through <= stages);
    let staged = staged && (run.status != "completed" || through >= stages);
    if !staged || !gapless || ends != 1 + retries || !last || !answers {
        verdict.broken(Line::Events, format!("{shown}: {events:?}"));
    }
}

/// Events that end a run.
pub(super) const END: [&str; 4] = ["run.completed", "run.completed_with_errors", "run.failed", "run.cancelled"];
