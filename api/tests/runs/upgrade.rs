//! A rolling upgrade under load: a newer program migrates the stores, then every process is replaced by another, one after the
//! other. No request fails, no run is lost, no call is made twice.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufStream};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::aftermath::{all_completed, check};
use crate::database::{Of, execute};
use crate::harness::{Process, Tenant, World};
use crate::house::{House, submit};

/// What a newer program would do at its start: columns are added, and its migrations are entered. These processes know neither.
const MIGRATE: &str = "ALTER TABLE {table} ADD COLUMN from_the_future text; \
     INSERT INTO seaql_migrations (version, applied_at) VALUES ('m29990101_000001_from_the_future', 0)";

/// A load balancer: it asks each process every tenth of a second whether it is ready, and sends requests to those that are.
#[derive(Clone, Default)]
struct Balancer(Arc<Mutex<Vec<Behind>>>);

/// A process behind it: its address, and whether it is ready.
type Behind = (String, Arc<AtomicBool>);

impl Balancer {
    /// Adds a process; returns once it is ready.
    async fn add(&self, process: &Process) {
        let address = process.url.trim_start_matches("http://").to_owned();
        let ready = Arc::new(AtomicBool::new(false));
        let (asked, seen) = (address.clone(), Arc::clone(&ready));
        tokio::spawn(async move {
            loop {
                let answer = match Connection::to(&asked).await {
                    Ok(mut connection) => connection.ask("GET", "/readyz", "", "", "").await,
                    Err(error) => Err(error),
                };
                seen.store(answer.is_ok_and(|answer| answer.status == 200), Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        });
        while !ready.load(Ordering::Relaxed) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.0.lock().unwrap().push((address, ready));
    }

    /// A process that is ready; another one each time. On a slow machine all may seem away for a moment: then it waits.
    async fn pick(&self, number: usize) -> String {
        let until = Instant::now() + Duration::from_secs(5);
        loop {
            let ready = self.ready();
            if !ready.is_empty() {
                return ready[number % ready.len()].clone();
            }
            assert!(Instant::now() < until, "no process is ready");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn ready(&self) -> Vec<String> {
        let all = self.0.lock().unwrap();
        all.iter().filter(|(_, ready)| ready.load(Ordering::Relaxed)).map(|(address, _)| address.clone()).collect()
    }
}

struct Answer {
    status: u16,
    is_last: bool,
    body: Vec<u8>,
}

/// One HTTP/1.1 connection that is used as long as the other end keeps it, and never asks twice.
struct Connection(BufStream<TcpStream>);

impl Connection {
    async fn to(address: &str) -> std::io::Result<Self> {
        Ok(Self(BufStream::new(TcpStream::connect(address).await?)))
    }

    async fn ask(&mut self, method: &str, path: &str, key: &str, headers: &str, body: &str) -> std::io::Result<Answer> {
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: test\r\nx-acm2-api-key: {key}\r\ncontent-type: application/json\r\n\
             {headers}content-length: {length}\r\n\r\n{body}"
        );
        self.0.write_all(head.as_bytes()).await?;
        self.0.flush().await?;
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            if self.0.read_line(&mut line).await? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            match line.trim_end() {
                "" => break,
                line => lines.push(line.to_ascii_lowercase()),
            }
        }
        let value = |name: &str| lines.iter().find_map(|line| line.strip_prefix(name)).map(str::trim);
        let status = lines[0].split(' ').nth(1).unwrap().parse().unwrap();
        let mut body = vec![0; value("content-length:").map_or(0, |length| length.parse().unwrap())];
        self.0.read_exact(&mut body).await?;
        Ok(Answer { status, is_last: value("connection:") == Some("close"), body })
    }
}

/// Submits and reads until told to stop; the runs. Whatever is not answered as it should be is noted.
async fn load(
    balancer: Balancer,
    key: String,
    stop: Arc<AtomicBool>,
    failures: Arc<Mutex<Vec<String>>>,
    count: Arc<AtomicUsize>,
) -> Vec<String> {
    let body = json!({"prompt": "hi", "models": ["sandbox/slow-250ms"], "iterations": 2, "concurrency": 1}).to_string();
    let mut runs: Vec<String> = Vec::new();
    let mut kept: Option<(String, Connection)> = None;
    while !stop.load(Ordering::Relaxed) {
        let number = count.fetch_add(1, Ordering::Relaxed);
        let address = balancer.pick(number / 7).await;
        let asked = async {
            let mut connection = match kept.take() {
                Some((to, connection)) if to == address => connection,
                _ => Connection::to(&address).await?,
            };
            let answer = match runs.last().filter(|_| number.is_multiple_of(2)) {
                Some(run) => connection.ask("GET", &format!("/api/v1/runs/{run}"), &key, "", "").await?,
                None => connection.ask("POST", "/api/v1/runs", &key, "", &body).await?,
            };
            Ok::<_, std::io::Error>((connection, answer))
        };
        match asked.await {
            Ok((connection, answer)) => {
                if !answer.is_last {
                    kept = Some((address, connection));
                }
                match answer.status {
                    202 => {
                        let run: Value = serde_json::from_slice(&answer.body).unwrap();
                        runs.push(run["id"].as_str().unwrap().to_owned());
                    }
                    200 => {}
                    status => {
                        let text = String::from_utf8_lossy(&answer.body);
                        failures.lock().unwrap().push(format!("{status}: {text}"));
                    }
                }
            }
            Err(error) => failures.lock().unwrap().push(format!("{address}: {error}")),
        }
        tokio::time::sleep(Duration::from_millis(40)).await;
    }
    runs
}

/// SIGTERM, and an end that says that all went well.
async fn end(process: Process) {
    let began = Instant::now();
    let code = tokio::task::spawn_blocking(move || process.stop()).await.unwrap();
    assert_eq!(code, Some(0));
    eprintln!("a process ended {:.1?} after SIGTERM", began.elapsed());
}

async fn migrate(world: &World, tenant: &Tenant) {
    execute(world, Of::Tenant(tenant), &MIGRATE.replace("{table}", "runs")).await;
    execute(world, Of::Control, &MIGRATE.replace("{table}", "jobs")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rolling_upgrade_under_load_fails_no_request_and_loses_no_run() {
    let Some(mut world) = World::servers("a_rolling_upgrade_under_load").await else { return };
    // Many times what the load balancer needs to see it, on a slow machine too.
    world.set("ACM2_HTTP__DRAIN_SECONDS", "6");
    let house = House::of(world).await;
    let mut processes: Vec<Process> = ["api", "api", "worker", "worker"].map(|role| house.world.start(role)).into();
    let (tenant, _) = house.tenant_and_client(&processes[0], "a").await;
    let balancer = Balancer::default();
    for api in &processes[..2] {
        balancer.add(api).await;
    }
    let (stop, failures, count) =
        (Arc::<AtomicBool>::default(), Arc::<Mutex<Vec<_>>>::default(), Arc::<AtomicUsize>::default());
    let mut loads = JoinSet::new();
    for _ in 0..6 {
        loads.spawn(load(
            balancer.clone(),
            tenant.key.clone(),
            Arc::clone(&stop),
            Arc::clone(&failures),
            Arc::clone(&count),
        ));
    }
    tokio::time::sleep(Duration::from_secs(2)).await;

    migrate(&house.world, &tenant).await;
    let mut waited = Vec::new();
    for place in 0..4 {
        let role = if place < 2 { "api" } else { "worker" };
        let new = house.world.start(role);
        if role == "api" {
            balancer.add(&new).await;
        }
        // Begun before, answered after: it waits for the end of a run that takes longer than the load balancer needs.
        let waits = (place == 0).then(|| {
            let (address, key) = (processes[0].url.trim_start_matches("http://").to_owned(), tenant.key.clone());
            tokio::spawn(async move {
                let body = json!({"prompt": "hi", "models": ["sandbox/slow-10s"]}).to_string();
                let mut connection = Connection::to(&address).await.unwrap();
                connection.ask("POST", "/api/v1/runs", &key, "prefer: wait=30\r\n", &body).await.unwrap()
            })
        });
        tokio::time::sleep(Duration::from_millis(500)).await;
        end(std::mem::replace(&mut processes[place], new)).await;
        if let Some(waits) = waits {
            let answer = waits.await.unwrap();
            let run: Value = serde_json::from_slice(&answer.body).unwrap();
            // A process that ends tells those who wait how their run stands.
            assert!([200, 202].contains(&answer.status), "{}: {run}", answer.status);
            waited.push(run["id"].as_str().unwrap().to_owned());
        }
    }
    tokio::time::sleep(Duration::from_secs(1)).await;

    stop.store(true, Ordering::Relaxed);
    let mut runs: Vec<String> = loads.join_all().await.into_iter().flatten().collect();
    let tasks = 2 * runs.len() + waited.len();
    runs.append(&mut waited);
    let failures = std::mem::take(&mut *failures.lock().unwrap());
    let requests = count.load(Ordering::Relaxed);
    assert!(failures.is_empty(), "{} of {requests} requests failed: {failures:?}", failures.len());
    let client = house.world.client(&processes[0], &tenant.key);
    all_completed(&client, &runs).await;
    let figures = check(&house, &tenant, processes).await;
    eprintln!("{requests} requests, none failed; {figures}");
    assert_eq!(figures.runs, runs.len(), "{figures}");
    assert_eq!((figures.tasks, figures.attempts, figures.calls), (tasks, tasks, tasks), "{figures}");
    assert_eq!((figures.in_doubt, figures.late), (0, 0), "{figures}");
    house.world.remove().await;
}

/// A process of one build that meets the stores of the next one goes on, also with a tenant that it has not seen before.
#[tokio::test(flavor = "multi_thread")]
async fn a_process_starts_and_works_beside_a_newer_schema() {
    let Some(world) = World::servers("a_process_starts_and_works_beside_a_newer_schema").await else { return };
    let house = House::of(world).await;
    let first = house.world.start("api");
    let (tenant, _) = house.tenant_and_client(&first, "a").await;
    migrate(&house.world, &tenant).await;
    let [api, worker] = ["api", "worker"].map(|role| house.world.start(role));
    let client = house.world.client(&api, &tenant.key);
    let run = submit(&client, &json!({"prompt": "hi", "models": ["sandbox/echo"]})).await;
    all_completed(&client, &[run]).await;
    check(&house, &tenant, [first, api, worker]).await;
    house.world.remove().await;
}
