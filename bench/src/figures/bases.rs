//! What the machine gives without the product: pgbench with the statements of a submission, redis-benchmark, the sandbox
//! called directly, an HTTP answer without work.

use std::fs;
use std::process::Stdio;
use std::time::Instant;

use serde_json::json;
use tokio::process::Command;

use super::quantiles::Quantiles;
use super::run::Size;
use super::stage::{Stage, schema};
use super::table::Table;
use crate::outcome::Outcome;

const SCRIPT: &str = include_str!("submit.pgbench");

/// Names of the bases by number of connections.
pub(super) const PGBENCH: [(usize, [&str; 3]); 3] = [
    (1, ["pgbench submits/s, 1 connection", "pgbench p50, 1 connection", "pgbench p99, 1 connection"]),
    (16, ["pgbench submits/s, 16 connections", "pgbench p50, 16 connections", "pgbench p99, 16 connections"]),
    (64, ["pgbench submits/s, 64 connections", "pgbench p50, 64 connections", "pgbench p99, 64 connections"]),
];
pub(super) const DIRECT_P50: &str = "sandbox called directly, p50";
pub(super) const DIRECT_P99: &str = "sandbox called directly, p99";
pub(super) const HEALTH_P50: &str = "GET /healthz, p50";

pub(super) async fn measure(stage: &mut Stage, size: Size, table: &mut Table) -> Outcome<()> {
    pgbench(stage, size, table).await?;
    let port = stage.redis.port.to_string();
    let count = size.of(10_000, 50_000).to_string();
    let output = Command::new("redis-benchmark")
        .args(["-p", &port, "-n", &count, "-c", "16", "-t", "lpush", "--csv"])
        .stderr(Stdio::null())
        .output()
        .await?;
    let said = String::from_utf8_lossy(&output.stdout);
    let field = said.lines().last().and_then(|line| line.split(',').nth(1)).unwrap_or_default();
    table.base("redis-benchmark LPUSH, 16 connections", field.trim_matches('"').parse()?, "/s");
    stage.redis.ask(&["DEL", "mylist"]).await?;

    let direct = direct(stage, size.of(200, 1_000)).await?;
    table.base(DIRECT_P50, direct.p50(), "ms");
    table.base(DIRECT_P99, direct.p99(), "ms");
    let mut health = Vec::new();
    let url = stage.url("/healthz").replace("/api/v1", "");
    for _ in 0..size.of(200, 2_000) {
        let began = Instant::now();
        stage.http.get(&url, "").await?.good()?;
        health.push(began.elapsed().as_secs_f64() * 1_000.0);
    }
    table.base(HEALTH_P50, Quantiles::of(health).p50(), "ms");
    Ok(())
}

async fn direct(stage: &Stage, count: usize) -> Outcome<Quantiles> {
    let url = format!("{}/chat/completions", stage.sandbox_url);
    let client = reqwest::Client::builder().no_proxy().build()?;
    let mut latency = Vec::new();
    for number in 0..count {
        let body = json!({"model": "echo", "messages": [{"role": "user", "content": format!("direct {number}")}]});
        let began = Instant::now();
        let request = client.post(&url).bearer_auth("sk-direct").header("content-type", "application/json");
        request.body(body.to_string()).send().await?.bytes().await?;
        latency.push(began.elapsed().as_secs_f64() * 1_000.0);
    }
    Ok(Quantiles::of(latency))
}

/// Each number of connections for a while, into the tables of a tenant that is used for nothing else.
async fn pgbench(stage: &mut Stage, size: Size, table: &mut Table) -> Outcome<()> {
    let tenant = stage.tenants(1).await?.remove(0);
    let schema = schema(&tenant)?;
    let id = schema.trim_start_matches("t_");
    let public_id = tenant.key.trim_start_matches("acm2_").get(..12).unwrap_or_default();
    let script = SCRIPT.replace(":schema", &schema).replace(":tenant", id).replace(":public_id", public_id);
    let file = stage.house.dir.join("submit.pgbench");
    fs::write(&file, script)?;
    for (connections, [rate, p50, p99]) in PGBENCH {
        let logs = stage.house.dir.join(format!("pgbench-{connections}"));
        fs::create_dir_all(&logs)?;
        let mut command = Command::from(stage.postgres.client("pgbench"));
        command.args(["-n", "-M", "prepared", "-j", "2", "-l"]).args(["-c", &connections.to_string()]);
        command.args(["-T", &size.of(2, 6).to_string(), "-f"]).arg(&file).current_dir(&logs);
        let output = command.stdin(Stdio::null()).output().await?;
        let said = String::from_utf8_lossy(&output.stdout);
        let tps = said.lines().find_map(|line| line.strip_prefix("tps = ")).and_then(|rest| rest.split(' ').next());
        let tps = tps.ok_or_else(|| format!("pgbench: {said} {}", String::from_utf8_lossy(&output.stderr)))?;
        let latency = logged(&logs)?;
        table.base(rate, tps.parse()?, "/s");
        table.base(p50, latency.p50(), "ms");
        table.base(p99, latency.p99(), "ms");
    }
    // These jobs and runs are nobody's.
    stage.sql("TRUNCATE acm2.jobs").await?;
    stage.sql(&format!("TRUNCATE \"{schema}\".runs CASCADE")).await
}

/// The milliseconds of each transaction, from pgbench's logs.
fn logged(dir: &std::path::Path) -> Outcome<Quantiles> {
    let mut latency = Vec::new();
    for entry in fs::read_dir(dir)? {
        for line in fs::read_to_string(entry?.path())?.lines() {
            let micros: Option<f64> = line.split(' ').nth(2).and_then(|field| field.parse().ok());
            latency.extend(micros.map(|micros| micros / 1_000.0));
        }
    }
    Ok(Quantiles::of(latency))
}
