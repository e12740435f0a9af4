//! Where figures are taken: a PostgreSQL and a Redis of their own, the sandbox, one api, workers as a phase wants them, tenants.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::json;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, PgConnection};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::ids::uuid_of;
use crate::outcome::Outcome;
use crate::place::house::{House, Tenant};
use crate::place::http::Http;
use crate::place::port;
use crate::place::postgres::Postgres;
use crate::place::process::Process;
use crate::place::redis::Redis;

/// As a small production server would have it; durable as by default.
const DATABASE: &str = "
shared_buffers = 512MB
max_wal_size = 4GB
shared_preload_libraries = 'pg_stat_statements'
";
const PATIENCE: Duration = Duration::from_secs(30);
/// How many command lines make tenants at the same time.
const MAKERS: usize = 4;

/// All that is measured.
#[derive(Debug)]
pub(super) struct Stage {
    pub(super) house: House,
    pub(super) workers: Vec<Process>,
    pub(super) api: Option<Process>,
    pub(super) sandbox: Process,
    pub(super) sandbox_url: String,
    pub(super) postgres: Postgres,
    pub(super) redis: Redis,
    pub(super) http: Http,
    port: u16,
    tenants: Vec<Tenant>,
}

impl Stage {
    /// Starts all but workers.
    pub(super) async fn start(dir: &Path, acm2: &Path) -> Outcome<Self> {
        let mut house = House::open(dir, acm2, &[("ACM2_LOG__LEVEL", "warn")]).await?;
        let postgres = Postgres::start(&house.dir.join("postgres"), DATABASE).await?;
        let redis = Redis::start(&house.dir.join("redis")).await?;
        house.set("ACM2_DATABASE__URL", &postgres.url(postgres.port));
        house.set("ACM2_BROKER__URL", &Redis::url(redis.port));
        let sandbox_port = port::free()?;
        let sandbox_url = format!("http://127.0.0.1:{sandbox_port}/openrouter/api/v1");
        house.set("ACM2_PROVIDERS__SANDBOX__BASE_URL", &sandbox_url);
        let log = house.dir.join("calls").display().to_string();
        let bind = format!("127.0.0.1:{sandbox_port}");
        let sandbox = house.start(&["sandbox", "--bind", &bind, "--log-file", &log], "sandbox", &[])?;
        house.cli(&["migrate"]).await?;
        let (http, port) = (Http::new(Duration::from_secs(90))?, port::free()?);
        let (api, workers, tenants) = (None, Vec::new(), Vec::new());
        let mut stage = Self { house, workers, api, sandbox, sandbox_url, postgres, redis, http, port, tenants };
        stage.restart_api().await?;
        stage.sql("CREATE EXTENSION pg_stat_statements").await?;
        Ok(stage)
    }

    /// Another api process in the place of the old one, which has nothing cached.
    pub(super) async fn restart_api(&mut self) -> Outcome<()> {
        if let Some(api) = self.api.take() {
            api.stop(PATIENCE).await?;
        }
        let bind = format!("127.0.0.1:{}", self.port);
        self.api = Some(self.house.start(&["api"], "api", &[("ACM2_HTTP__BIND", bind)])?);
        port::wait_for(self.port, "the api", PATIENCE).await
    }

    /// Starts a worker with settings of its own, and waits until it works.
    pub(super) async fn start_worker(&mut self, settings: &[(&str, String)]) -> Outcome<()> {
        self.launch_worker(settings)?;
        // It says nothing when it is ready.
        sleep(Duration::from_secs(2)).await;
        Ok(())
    }

    fn launch_worker(&mut self, settings: &[(&str, String)]) -> Outcome<()> {
        let name = format!("worker-{}", self.workers.len());
        self.workers.push(self.house.start(&["worker"], &name, settings)?);
        Ok(())
    }

    /// Has a new worker do all jobs that wait; the seconds from its start to the last one's end.
    pub(super) async fn drain_with_new_worker(&mut self, patience: Duration) -> Outcome<f64> {
        self.launch_worker(&[])?;
        self.drain(patience).await
    }

    /// Ends all workers in order.
    pub(super) async fn stop_workers(&mut self) -> Outcome<()> {
        for worker in self.workers.drain(..) {
            worker.stop(PATIENCE).await?;
        }
        Ok(())
    }

    /// So many tenants, each with a provider key for the sandbox; made where there are fewer.
    pub(super) async fn tenants(&mut self, count: usize) -> Outcome<Vec<Tenant>> {
        while self.tenants.len() < count {
            let wanted = (count - self.tenants.len()).min(MAKERS);
            // The command lines run beside each other.
            let made = match wanted {
                MAKERS => {
                    let (a, b, c, d) = tokio::try_join!(self.tenant(), self.tenant(), self.tenant(), self.tenant())?;
                    vec![a, b, c, d]
                }
                _ => vec![self.tenant().await?],
            };
            self.tenants.extend(made);
        }
        Ok(self.tenants[..count].to_vec())
    }

    async fn tenant(&self) -> Outcome<Tenant> {
        let tenant = self.house.tenant("bench").await?;
        let url = self.url("/settings/provider-keys/sandbox");
        self.http.put(&url, &tenant.key, &json!({"key": "sk-sandbox-of-the-bench"})).await?.good()?;
        Ok(tenant)
    }

    /// A URL of the API.
    pub(super) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}/api/v1{path}", self.port)
    }

    /// A connection that is not counted among those of the product.
    pub(super) async fn connect(&self) -> Outcome<PgConnection> {
        let options: PgConnectOptions = self.postgres.url(self.postgres.port).parse()?;
        Ok(options.connect().await?)
    }

    /// Runs a statement.
    pub(super) async fn sql(&self, statement: &str) -> Outcome<()> {
        sqlx::query(AssertSqlSafe(statement.to_owned())).execute(&mut self.connect().await?).await?;
        Ok(())
    }

    /// One number from the database.
    pub(super) async fn number(&self, select: &str) -> Outcome<f64> {
        let select = format!("/* bench */ SELECT ({select})::float8");
        let mut store = self.connect().await?;
        let number: Option<f64> = sqlx::query_scalar(AssertSqlSafe(select)).fetch_one(&mut store).await?;
        Ok(number.unwrap_or_default())
    }

    /// A column of numbers from the same table of each tenant, named `{schema}` in the statement.
    pub(super) async fn column(&self, tenants: &[Tenant], select: &str) -> Outcome<Vec<f64>> {
        let mut store = self.connect().await?;
        let mut numbers = Vec::new();
        for tenant in tenants {
            let select = format!("/* bench */ {}", select.replace("{schema}", &schema(tenant)?));
            let found: Vec<f64> = sqlx::query_scalar(AssertSqlSafe(select)).fetch_all(&mut store).await?;
            numbers.extend(found);
        }
        Ok(numbers)
    }

    /// Waits until no job is left; the seconds that it took.
    pub(super) async fn drain(&self, patience: Duration) -> Outcome<f64> {
        let began = Instant::now();
        let mut store = self.connect().await?;
        loop {
            let left: i64 =
                sqlx::query_scalar("/* bench */ SELECT count(*) FROM acm2.jobs").fetch_one(&mut store).await?;
            if left == 0 {
                return Ok(began.elapsed().as_secs_f64());
            }
            if began.elapsed() > patience {
                return Err(format!("{left} jobs are left after {patience:?}").into());
            }
            sleep(Duration::from_millis(50)).await;
        }
    }
}

/// The schema of a tenant.
pub(super) fn schema(tenant: &Tenant) -> Outcome<String> {
    Ok(format!("t_{}", uuid_of(&tenant.id).ok_or("a tenant's id of another form")?.simple()))
}

/// Seconds since 1970, by the clock that the sandbox and the database have too.
pub(super) fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

/// All results of tasks, the first error instead.
pub(super) async fn all<T: 'static>(mut tasks: JoinSet<Outcome<T>>) -> Outcome<Vec<T>> {
    let mut results = Vec::new();
    while let Some(result) = tasks.join_next().await {
        results.push(result??);
    }
    Ok(results)
}
