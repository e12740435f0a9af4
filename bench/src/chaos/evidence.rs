//! What there is to compare: rows of the stores, read without the product, the provider's log, the receiver's log, and what
//! was submitted. Also where tests plant what must be found.

use std::path::Path;

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, PgConnection};
use uuid::Uuid;

use super::records::{self, Customer, Submission};
use crate::fingerprint::fingerprint;
use crate::ids::uuid_of;
use crate::outcome::Outcome;
use crate::place::receiver::Received;

/// A row of `runs`.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Run {
    pub(crate) id: Uuid,
    /// The job that the run names.
    pub(crate) job_id: Uuid,
    pub(crate) status: String,
    pub(crate) metadata: String,
    pub(crate) tasks_expected: usize,
    pub(crate) tasks_completed: usize,
    pub(crate) tasks_failed: usize,
    pub(crate) spent: i64,
    pub(crate) reserved: i64,
    pub(crate) in_doubt: i64,
    pub(crate) max_cost: Option<i64>,
    pub(crate) last_event: usize,
    pub(crate) problem_code: Option<String>,
}

impl Run {
    pub(crate) fn has_ended(&self) -> bool {
        !["queued", "running", "paused"].contains(&self.status.as_str())
    }

    /// The submission's name.
    pub(crate) fn name(&self) -> String {
        let metadata: serde_json::Value = serde_json::from_str(&self.metadata).unwrap_or_default();
        metadata["bench"].as_str().unwrap_or_default().to_owned()
    }
}

/// A row of `tasks`.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Task {
    pub(crate) run_id: Uuid,
    pub(crate) key: String,
    pub(crate) status: String,
    pub(crate) attempts: usize,
}

/// A row of `attempts`.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Attempt {
    pub(crate) id: Uuid,
    pub(crate) run_id: Uuid,
    pub(crate) task_key: String,
    pub(crate) number: usize,
    pub(crate) status: String,
    pub(crate) provider: String,
    pub(crate) reserved: Option<i64>,
    pub(crate) cost: Option<i64>,
    pub(crate) finished_at: Option<DateTime<Utc>>,
}

/// A row of `events`.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Event {
    pub(crate) run_id: Uuid,
    pub(crate) number: usize,
    pub(crate) event_type: String,
}

/// A row of `deliveries`.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Delivery {
    pub(crate) id: Uuid,
    pub(crate) endpoint_id: Option<Uuid>,
    pub(crate) run_id: Option<Uuid>,
    pub(crate) event_type: String,
    pub(crate) payload: String,
    pub(crate) status: String,
}

/// A row of `delivery_attempts`.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct DeliveryAttempt {
    pub(crate) delivery_id: Uuid,
}

/// A row of `webhook_endpoints`.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Endpoint {
    pub(crate) id: Uuid,
}

/// A row of `jobs`.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Job {
    pub(crate) id: Uuid,
    pub(crate) subject_id: Uuid,
}

/// All of a tenant.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Books {
    pub(crate) runs: Vec<Run>,
    pub(crate) tasks: Vec<Task>,
    pub(crate) attempts: Vec<Attempt>,
    pub(crate) events: Vec<Event>,
    pub(crate) deliveries: Vec<Delivery>,
    pub(crate) delivery_attempts: Vec<DeliveryAttempt>,
    pub(crate) endpoints: Vec<Endpoint>,
    /// The fingerprints of its provider keys, by provider.
    pub(crate) keys: Vec<(String, String)>,
}

/// A line of the provider's log.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Call {
    pub(crate) time: DateTime<Utc>,
    /// `received`, `answered` or `client_gone`.
    pub(crate) event: String,
    pub(crate) wire: String,
    pub(crate) attempt_id: Option<String>,
    pub(crate) key_fingerprint: Option<String>,
    pub(crate) status: Option<u16>,
    pub(crate) cost_micro_usd: Option<i64>,
}

impl Call {
    /// The attempt of the call.
    pub(crate) fn attempt(&self) -> Option<Uuid> {
        uuid_of(self.attempt_id.as_ref()?)
    }
}

/// All that there is.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Evidence {
    /// By tenant, in the order of the submissions' numbers.
    pub(crate) books: Vec<Books>,
    pub(crate) jobs: Vec<Job>,
    pub(crate) submissions: Vec<Submission>,
    pub(crate) calls: Vec<Call>,
    pub(crate) received: Vec<Received>,
}

/// How far a store still is from the end of all work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unfinished {
    /// `ten_…` and `run_…` of runs that have not ended.
    pub(crate) runs: Vec<(usize, Uuid, String)>,
    pub(crate) deliveries: i64,
    pub(crate) jobs: i64,
}

impl Unfinished {
    pub(crate) fn is_none(&self) -> bool {
        self.runs.is_empty() && self.deliveries == 0 && self.jobs == 0
    }
}

/// Reads everything.
pub(crate) async fn read(dir: &Path, database: &str, customers: &[Customer]) -> Outcome<Evidence> {
    let mut store = connect(database).await?;
    let mut books = Vec::new();
    for customer in customers {
        books.push(read_books(&mut store, customer).await?);
    }
    let jobs = rows(&mut store, "acm2", "jobs", "id subject_id").await?;
    Ok(Evidence {
        books,
        jobs,
        submissions: records::read(&dir.join("submissions"))?,
        calls: records::read(&dir.join("calls"))?,
        received: records::read(&dir.join("received"))?,
    })
}

/// What has not ended yet. A job that no run names was left by a submission or a command that was cut off; it does not count.
pub(crate) async fn unfinished(database: &str, customers: &[Customer]) -> Outcome<Unfinished> {
    let mut store = connect(database).await?;
    let mut found = Unfinished { runs: Vec::new(), deliveries: 0, jobs: 0 };
    for (number, customer) in customers.iter().enumerate() {
        let schema = schema(customer)?;
        let open =
            format!("SELECT id::text, status FROM \"{schema}\".runs WHERE status IN ('queued', 'running', 'paused')");
        let runs: Vec<(String, String)> = sqlx::query_as(AssertSqlSafe(open)).fetch_all(&mut store).await?;
        for (id, status) in runs {
            found.runs.push((number, id.parse()?, status));
        }
        // One that waits for its next attempt after several says why.
        let pending = format!("SELECT count(*) FROM \"{schema}\".deliveries WHERE status = 'pending' AND attempts < 2");
        found.deliveries += sqlx::query_scalar::<_, i64>(AssertSqlSafe(pending)).fetch_one(&mut store).await?;
        let jobs = format!(
            "SELECT count(*) FROM acm2.jobs WHERE id IN (SELECT job_id FROM \"{schema}\".runs) \
             AND kind LIKE 'run%'"
        );
        found.jobs += sqlx::query_scalar::<_, i64>(AssertSqlSafe(jobs)).fetch_one(&mut store).await?;
    }
    Ok(found)
}

async fn connect(database: &str) -> Outcome<PgConnection> {
    let options: PgConnectOptions = database.parse()?;
    Ok(options.connect().await?)
}

fn schema(customer: &Customer) -> Outcome<String> {
    let id = uuid_of(&customer.tenant.id).ok_or("a tenant's id of another form")?;
    Ok(format!("t_{}", id.simple()))
}

async fn read_books(store: &mut PgConnection, customer: &Customer) -> Outcome<Books> {
    let schema = schema(customer)?;
    let runs = "id job_id status metadata tasks_expected tasks_completed tasks_failed spent reserved in_doubt max_cost last_event problem_code";
    let attempts = "id run_id task_key number status provider reserved cost finished_at";
    let deliveries = "id endpoint_id run_id event_type payload status";
    Ok(Books {
        runs: rows(store, &schema, "runs", runs).await?,
        tasks: rows(store, &schema, "tasks", "run_id key status attempts").await?,
        attempts: rows(store, &schema, "attempts", attempts).await?,
        events: rows(store, &schema, "events", "run_id number event_type").await?,
        deliveries: rows(store, &schema, "deliveries", deliveries).await?,
        delivery_attempts: rows(store, &schema, "delivery_attempts", "delivery_id").await?,
        endpoints: rows(store, &schema, "webhook_endpoints", "id").await?,
        keys: customer.provider_keys.iter().map(|(provider, key)| (provider.clone(), fingerprint(key))).collect(),
    })
}

async fn rows<T: DeserializeOwned>(
    store: &mut PgConnection,
    schema: &str,
    table: &str,
    columns: &str,
) -> Outcome<Vec<T>> {
    let columns = columns.replace(' ', ", ");
    let select = format!("SELECT row_to_json(found)::text FROM (SELECT {columns} FROM \"{schema}\".{table}) found");
    let rows: Vec<String> = sqlx::query_scalar(AssertSqlSafe(select)).fetch_all(store).await?;
    rows.iter()
        .map(|row| serde_json::from_str(row).map_err(|error| format!("{table}: {error}: {row}").into()))
        .collect()
}
