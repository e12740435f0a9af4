//! Runs from submission to their end with a provider that answers at once, two calls each: rate, statements, commands of
//! Redis, CPU seconds. First what waits from the phase before is drained, which is the worker's rate alone.

use std::time::Duration;

use super::closed_loop::{self, Wanted};
use super::run::Size;
use super::stage::Stage;
use super::table::Table;
use crate::outcome::Outcome;
use crate::place::cpu;

const PATIENCE: Duration = Duration::from_mins(5);
const TENANTS: usize = 8;
/// With more connections than this pgbench falls off on some machines.
pub(super) const BASE: &str = "pgbench submits/s, 16 connections";

/// Counters of everything at one moment.
#[derive(Debug, Clone, Copy, Default)]
struct Reading {
    statements: f64,
    transactions: f64,
    redis_commands: f64,
    api: f64,
    worker: f64,
    postgres: f64,
    redis: f64,
    sandbox: f64,
}

/// Measures; the runs per second from submission to end.
pub(super) async fn measure(stage: &mut Stage, size: Size, table: &mut Table) -> Outcome<f64> {
    let tenants = stage.tenants(TENANTS).await?;
    let queued = stage.number("SELECT count(*) FROM acm2.jobs").await?;
    let seconds = stage.drain_with_new_worker(PATIENCE).await?;
    table.add("runs/s of one worker alone (drain)", queued / seconds, "/s", Some(BASE));

    let count = size.of(400, 6_000);
    let models = ["sandbox/echo", "sandbox/fast"];
    let before = read(stage).await?;
    let wanted = Wanted { name: "end-to-end", connections: 64, count, models: &models, concurrency: 2, rate: None };
    let sample = closed_loop::submit(stage, &tenants, wanted).await?;
    let seconds = sample.seconds + stage.drain(PATIENCE).await?;
    let after = read(stage).await?;
    let (runs, rate) = (count as f64, count as f64 / seconds);
    table.add("end-to-end runs/s, two calls each, 0 ms provider", rate, "/s", Some(BASE));
    table.add("SQL statements per run", (after.statements - before.statements) / runs, "", None);
    table.add("database transactions per run", (after.transactions - before.transactions) / runs, "", None);
    table.add(
        "Redis commands per run, those inside scripts too",
        (after.redis_commands - before.redis_commands) / runs,
        "",
        None,
    );
    let per_thousand = |before: f64, after: f64| (after - before) / runs * 1_000.0;
    for (who, before, after) in [
        ("api", before.api, after.api),
        ("worker", before.worker, after.worker),
        ("PostgreSQL", before.postgres, after.postgres),
        ("Redis", before.redis, after.redis),
        ("sandbox", before.sandbox, after.sandbox),
    ] {
        table.add(&format!("CPU seconds per 1,000 runs: {who}"), per_thousand(before, after), "s", None);
    }
    Ok(rate)
}

async fn read(stage: &Stage) -> Outcome<Reading> {
    let info = stage.redis.ask(&["INFO", "commandstats"]).await?;
    let calls = |line: &str| line.split("calls=").nth(1)?.split(',').next()?.parse::<f64>().ok();
    let of = |process: Option<u32>| process.map_or(Ok(0.0), cpu::seconds);
    Ok(Reading {
        statements: stage
            .number("SELECT sum(calls) FROM pg_stat_statements WHERE query NOT LIKE '/* bench */%'")
            .await?,
        transactions: stage.number("SELECT xact_commit FROM pg_stat_database WHERE datname = 'acm2'").await?,
        redis_commands: info.lines().filter_map(calls).sum(),
        api: of(stage.api.as_ref().and_then(crate::place::process::Process::pid))?,
        worker: of(stage.workers.first().and_then(crate::place::process::Process::pid))?,
        postgres: cpu::seconds_with_children(stage.postgres.pid()?)?,
        redis: of(stage.redis.pid())?,
        sandbox: of(stage.sandbox.pid())?,
    })
}
