//! Reads the evidence: the stores by SQL, without the product, and the logs. Also says, while work goes on, what has not ended.

use std::path::Path;

use serde::de::DeserializeOwned;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, PgConnection};
use uuid::Uuid;

use super::evidence::{Books, Evidence};
use super::records::{self, Customer};
use crate::fingerprint::fingerprint;
use crate::ids::uuid_of;
use crate::outcome::Outcome;

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
        skips: records::read(&dir.join("skips"))?,
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
    let runs = "id job_id status metadata tasks_expected tasks_completed tasks_failed spent reserved in_doubt max_cost \
                last_event problem_code api_key_id created_at spec retry_claim";
    let attempts = "id run_id task_key number status provider reserved cost claim started_at finished_at";
    let deliveries = "id endpoint_id run_id event_type payload status";
    Ok(Books {
        runs: rows(store, &schema, "runs", runs).await?,
        tasks: rows(store, &schema, "tasks", "run_id key status attempts error_class").await?,
        attempts: rows(store, &schema, "attempts", attempts).await?,
        events: rows(store, &schema, "events", "run_id number event_type data").await?,
        deliveries: rows(store, &schema, "deliveries", deliveries).await?,
        delivery_attempts: rows(store, &schema, "delivery_attempts", "delivery_id").await?,
        endpoints: rows(store, &schema, "webhook_endpoints", "id").await?,
        budgets: rows(store, &schema, "budgets", "id subject_id limit").await?,
        periods: rows(store, &schema, "budget_periods", "budget_id starts_at reserved spent").await?,
        reservations: rows(store, &schema, "budget_reservations", "run_id budget_id starts_at baseline settled")
            .await?,
        tenant: uuid_of(&customer.tenant.id).ok_or("a tenant's id of another form")?,
        bounded_keys: customer.bounded_keys.iter().filter_map(|key| uuid_of(&key.id)).collect(),
        keys: customer.provider_keys.iter().map(|(provider, key)| (provider.clone(), fingerprint(key))).collect(),
    })
}

async fn rows<T: DeserializeOwned>(
    store: &mut PgConnection,
    schema: &str,
    table: &str,
    columns: &str,
) -> Outcome<Vec<T>> {
    // Some are words of SQL.
    let columns = columns.split_whitespace().map(|column| format!("\"{column}\"")).collect::<Vec<_>>().join(", ");
    let select = format!("SELECT row_to_json(found)::text FROM (SELECT {columns} FROM \"{schema}\".{table}) found");
    let rows: Vec<String> = sqlx::query_scalar(AssertSqlSafe(select)).fetch_all(store).await?;
    rows.iter()
        .map(|row| serde_json::from_str(row).map_err(|error| format!("{table}: {error}: {row}").into()))
        .collect()
}
