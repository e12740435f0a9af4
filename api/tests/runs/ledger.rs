//! What a tenant's store says of its runs, read without the product, and how it must agree with the provider's log: no call
//! without an attempt, no second call after a committed answer, no cent that is not an attempt's. The tests of what dies call it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use acm2_domain::ids::{AttemptId, TenantId};
use acm2_sandbox::{CallRecord, Event};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use sqlx::postgres::PgConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, PgConnection, SqliteConnection};
use uuid::Uuid;

use crate::harness::{Tenant, World};

/// Picodollars in a millionth of a dollar.
const PICO: i64 = 1_000_000;

/// All that the stores say of a tenant's runs.
#[derive(Debug, Deserialize)]
pub(crate) struct Ledger {
    pub(crate) runs: Vec<Run>,
    pub(crate) tasks: Vec<Task>,
    pub(crate) attempts: Vec<Attempt>,
    events: Vec<RunEvent>,
    /// Of all tenants.
    jobs: Vec<Job>,
}

/// A row of `runs`.
#[derive(Debug, Deserialize)]
pub(crate) struct Run {
    id: Uuid,
    pub(crate) status: String,
    claim: i64,
    tasks_expected: usize,
    tasks_completed: usize,
    tasks_failed: usize,
    spent: i64,
    reserved: i64,
    in_doubt: i64,
    last_event: usize,
}

impl Run {
    fn has_ended(&self) -> bool {
        !["queued", "running", "paused"].contains(&self.status.as_str())
    }
}

/// A row of `tasks`.
#[derive(Debug, Deserialize)]
pub(crate) struct Task {
    run_id: Uuid,
    key: String,
    status: String,
    cost: Option<i64>,
    attempts: usize,
}

/// A row of `attempts`.
#[derive(Debug, Deserialize)]
pub(crate) struct Attempt {
    id: Uuid,
    run_id: Uuid,
    task_key: String,
    number: usize,
    pub(crate) status: String,
    reserved: Option<i64>,
    cost: Option<i64>,
    finished_at: Option<DateTime<Utc>>,
}

#[derive(Debug, Deserialize)]
struct RunEvent {
    run_id: Uuid,
    number: usize,
    event_type: String,
}

#[derive(Debug, Deserialize)]
struct Job {
    subject_id: Uuid,
}

/// What was counted while all agreed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Figures {
    pub(crate) runs: usize,
    pub(crate) tasks: usize,
    pub(crate) attempts: usize,
    pub(crate) calls: usize,
    pub(crate) in_doubt: usize,
    /// In doubt, and the provider never heard of them.
    pub(crate) never_sent: usize,
    pub(crate) late: usize,
    /// Jobs without a run: left by a submission that was killed before it made one.
    pub(crate) orphans: usize,
    /// The most claims that a run took.
    pub(crate) claims: i64,
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { runs, tasks, attempts, calls, in_doubt, never_sent, late, orphans, claims } = self;
        write!(
            f,
            "{runs} runs, {tasks} tasks, {attempts} attempts, {calls} calls; {in_doubt} in doubt ({never_sent} never sent), \
             {late} late, {orphans} jobs without a run; at most {claims} claims of a run"
        )
    }
}

/// An open store.
enum Books {
    Files(SqliteConnection),
    Server(PgConnection, String),
}

impl Books {
    async fn open(world: &World, file: &str, schema: &str) -> Self {
        if world.is_shared() {
            let options: PgConnectOptions = world.settings["ACM2_DATABASE__URL"].parse().unwrap();
            return Self::Server(options.connect().await.unwrap(), schema.to_owned());
        }
        let options = SqliteConnectOptions::new().filename(world.data_dir().join(file));
        Self::Files(options.connect().await.unwrap())
    }

    /// All rows of a table, through JSON, which both databases can make. A column named `…id` is a UUID.
    async fn read<T: DeserializeOwned>(&mut self, table: &str, columns: &str) -> Vec<T> {
        let columns: Vec<&str> = columns.split(' ').collect();
        let rows: Vec<String> = match self {
            Self::Files(connection) => {
                let field = |name: &&str| {
                    let value = if name.ends_with("id") { format!("lower(hex({name}))") } else { (*name).to_owned() };
                    format!("'{name}', {value}")
                };
                let fields: Vec<String> = columns.iter().map(field).collect();
                let select = format!("SELECT json_object({}) FROM {table}", fields.join(", "));
                sqlx::query_scalar(AssertSqlSafe(select)).fetch_all(connection).await.unwrap()
            }
            Self::Server(connection, schema) => {
                let select = format!(
                    "SELECT row_to_json(found)::text FROM (SELECT {} FROM \"{schema}\".{table}) found",
                    columns.join(", ")
                );
                sqlx::query_scalar(AssertSqlSafe(select)).fetch_all(connection).await.unwrap()
            }
        };
        rows.iter()
            .map(|row| serde_json::from_str(row).unwrap_or_else(|error| panic!("{table}: {error}: {row}")))
            .collect()
    }
}

impl Ledger {
    /// Reads the stores of a tenant.
    pub(crate) async fn read(world: &World, tenant: &Tenant) -> Self {
        let name = tenant.id.parse::<TenantId>().unwrap().uuid().simple().to_string();
        let mut books = Books::open(world, &format!("tenants/{name}.db"), &format!("t_{name}")).await;
        let runs = "id status claim tasks_expected tasks_completed tasks_failed spent reserved in_doubt last_event";
        let attempts = "id run_id task_key number status reserved cost finished_at";
        Self {
            runs: books.read("runs", runs).await,
            tasks: books.read("tasks", "run_id key status cost attempts").await,
            attempts: books.read("attempts", attempts).await,
            events: books.read("events", "run_id number event_type").await,
            jobs: Books::open(world, "control.db", "acm2").await.read("jobs", "subject_id").await,
        }
    }

    /// Runs that have not ended, and jobs of runs: none, once all tails are done.
    pub(crate) fn unfinished(&self) -> usize {
        let jobs = self.jobs.iter().filter(|job| self.runs.iter().any(|run| run.id == job.subject_id)).count();
        jobs + self.runs.iter().filter(|run| !run.has_ended()).count()
    }

    /// The most claims that a run took.
    pub(crate) fn claims(&self) -> i64 {
        self.runs.iter().map(|run| run.claim).max().unwrap_or(0)
    }

    /// Compares it with the provider's log when all runs have ended; panics where they disagree.
    pub(crate) fn check(&self, log: &[CallRecord]) -> Figures {
        assert_eq!(self.unfinished(), 0, "not ended, or the tail is not done: {:?} {:?}", self.runs, self.jobs);
        let calls = self.check_calls(log);
        let never_sent = self.attempts.iter().filter(|attempt| !calls.contains_key(&attempt.id)).count();
        for run in &self.runs {
            self.check_run(run);
        }
        for task in &self.tasks {
            self.check_task(task, &calls);
        }
        let of_status = |status| self.attempts.iter().filter(|attempt| attempt.status == status).count();
        Figures {
            runs: self.runs.len(),
            tasks: self.tasks.len(),
            attempts: self.attempts.len(),
            calls: calls.len(),
            in_doubt: of_status("in_doubt"),
            never_sent,
            late: of_status("late"),
            orphans: self.jobs.len(),
            claims: self.claims(),
        }
    }

    /// Calls and attempts; the calls by attempt.
    fn check_calls<'a>(&self, log: &'a [CallRecord]) -> BTreeMap<Uuid, &'a CallRecord> {
        let attempts: BTreeMap<Uuid, &Attempt> = self.attempts.iter().map(|attempt| (attempt.id, attempt)).collect();
        let of_call = |record: &CallRecord| {
            let id = record.attempt_id.as_ref().unwrap_or_else(|| panic!("a call without an attempt's id: {record:?}"));
            id.parse::<AttemptId>().unwrap().uuid()
        };
        let mut calls = BTreeMap::new();
        for record in log.iter().filter(|record| record.event == Event::Received) {
            let id = of_call(record);
            assert!(attempts.contains_key(&id), "a call without an attempt: {record:?}");
            let before = calls.insert(id, record);
            assert!(before.is_none(), "two calls of one attempt: {before:?} {record:?}");
        }
        for attempt in &self.attempts {
            assert_ne!(attempt.status, "open", "nobody will settle {attempt:?}");
            let called = calls.contains_key(&attempt.id);
            assert!(called || attempt.status == "in_doubt", "settled, but the provider heard nothing of {attempt:?}");
        }
        for record in log.iter().filter(|record| record.event == Event::Answered && record.status == Some(200)) {
            let attempt = attempts[&of_call(record)];
            if ["answered", "late"].contains(&attempt.status.as_str()) {
                let asked = record.cost_micro_usd.map(|cost| i64::try_from(cost).unwrap() * PICO);
                assert_eq!(attempt.cost, asked, "the provider asked for another price: {attempt:?} {record:?}");
            }
        }
        calls
    }

    fn check_run(&self, run: &Run) {
        let tasks: Vec<&Task> = self.tasks.iter().filter(|task| task.run_id == run.id).collect();
        let of_status = |status| tasks.iter().filter(|task| task.status == status).count();
        assert_eq!((of_status("completed"), of_status("failed")), (run.tasks_completed, run.tasks_failed), "{run:?}");
        if run.status == "completed" {
            assert_eq!(tasks.len(), run.tasks_expected, "{run:?}");
        }

        let mine = || self.attempts.iter().filter(|attempt| attempt.run_id == run.id);
        let paid: i64 = mine().filter_map(|attempt| attempt.cost).sum();
        let in_doubt: i64 =
            mine().filter(|attempt| attempt.status == "in_doubt").filter_map(|attempt| attempt.reserved).sum();
        let money = (run.spent, run.in_doubt, run.reserved);
        assert_eq!(money, (paid, in_doubt, 0), "spent, in doubt, reserved: {run:?}");

        let mut events: Vec<(usize, &str)> = self
            .events
            .iter()
            .filter(|event| event.run_id == run.id)
            .map(|event| (event.number, event.event_type.as_str()))
            .collect();
        events.sort_unstable();
        let numbers: Vec<usize> = events.iter().map(|(number, _)| *number).collect();
        assert_eq!(numbers, (1..=run.last_event).collect::<Vec<_>>(), "numbered with gaps: {run:?}");
        let count = |wanted: &str| events.iter().filter(|(_, kind)| *kind == wanted).count();
        assert_eq!(count("task.completed"), run.tasks_completed, "{run:?}: {events:?}");
        if run.status == "completed" {
            let [started, through] = [count("stage.started"), count("stage.completed")];
            let is_again = through > started && count("run.retry_requested") > 0;
            assert!(
                started > 0 && (through == started || is_again),
                "stages not begun and through once: {run:?}: {events:?}"
            );
        }
        let ends = ["completed", "completed_with_errors", "failed", "cancelled"].map(|status| format!("run.{status}"));
        // Each retry begins after an end and leads to another one.
        let ended: usize = ends.iter().map(|end| count(end)).sum();
        assert_eq!(ended, 1 + count("run.retry_requested"), "not once at its end: {events:?}");
        let end = format!("run.{}", run.status);
        let last = events.last().map(|(_, kind)| *kind);
        assert_eq!(last, Some(end.as_str()), "not once at its end: {events:?}");
    }

    fn check_task(&self, task: &Task, calls: &BTreeMap<Uuid, &CallRecord>) {
        let of_task = |attempt: &&Attempt| attempt.run_id == task.run_id && attempt.task_key == task.key;
        let attempts: Vec<&Attempt> = self.attempts.iter().filter(of_task).collect();
        let numbers: BTreeSet<usize> = attempts.iter().map(|attempt| attempt.number).collect();
        assert_eq!(numbers, (1..=attempts.len()).collect(), "{attempts:?}");
        if task.status != "completed" {
            return;
        }
        let answered = attempts.iter().filter(|attempt| attempt.status == "answered").count();
        let late = attempts.iter().filter(|attempt| attempt.status == "late").count();
        assert!(answered == 1 || (answered == 0 && late > 0), "not one used answer: {task:?}: {attempts:?}");
        let used = attempts.iter().find(|attempt| attempt.number == task.attempts).unwrap();
        assert_eq!(used.cost, task.cost, "{task:?}: {attempts:?}");
        let committed = used.finished_at.unwrap();
        // Of its own call the times of provider and store may differ by more than the call took.
        let others = attempts.iter().filter(|attempt| attempt.id != used.id);
        for call in others.filter_map(|attempt| calls.get(&attempt.id)) {
            assert!(call.time <= committed, "called again after the answer of {committed}: {call:?}");
        }
    }
}
