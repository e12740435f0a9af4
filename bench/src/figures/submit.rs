//! Submissions while no worker runs: latency, rate, and what a queued run costs in Redis.

use super::bases::PGBENCH;
use super::closed_loop::{self, Wanted};
use super::run::Size;
use super::stage::Stage;
use super::table::Table;
use crate::outcome::Outcome;

const TENANTS: usize = 8;

pub(super) async fn measure(stage: &mut Stage, size: Size, table: &mut Table) -> Outcome<()> {
    let tenants = stage.tenants(TENANTS).await?;
    let models = ["sandbox/echo", "sandbox/fast"];
    let warm = Wanted { name: "warm", connections: 16, count: 200, models: &models, concurrency: 2, rate: None };
    closed_loop::submit(stage, &tenants, warm).await?;
    let (before, mut submitted) = (used_memory(stage).await?, 0);
    for (connections, [rate, p50, p99]) in PGBENCH {
        let name = format!("submit-{connections}");
        let count = size.of(200, if connections == 1 { 1_500 } else { 4_000 });
        let wanted = Wanted { name: &name, connections, count, ..warm };
        let sample = closed_loop::submit(stage, &tenants, wanted).await?;
        submitted += count;
        let of = if connections == 1 { "1 connection".to_owned() } else { format!("{connections} connections") };
        table.add(&format!("submit p50, {of}"), sample.latency.p50(), "ms", Some(p50));
        table.add(&format!("submit p99, {of}"), sample.latency.p99(), "ms", Some(p99));
        table.add(&format!("submits/s, {of}"), sample.per_second(), "/s", Some(rate));
    }
    let bytes = (used_memory(stage).await? - before) / submitted as f64;
    table.add("Redis memory per queued run", bytes, "bytes", None);
    Ok(())
}

async fn used_memory(stage: &Stage) -> Outcome<f64> {
    let info = stage.redis.ask(&["INFO", "memory"]).await?;
    let line = info.lines().find_map(|line| line.strip_prefix("used_memory:")).unwrap_or_default();
    Ok(line.trim().parse()?)
}
