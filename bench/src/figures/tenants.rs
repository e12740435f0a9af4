//! The curve over the number of tenants: the same submissions and runs, spread over more and more schemas.

use std::time::Duration;

use super::closed_loop::{self, Wanted};
use super::run::Size;
use super::stage::Stage;
use super::table::Table;
use crate::outcome::Outcome;

const PATIENCE: Duration = Duration::from_mins(5);

pub(super) async fn measure(stage: &mut Stage, size: Size, counts: &[usize], table: &mut Table) -> Outcome<()> {
    let models = ["sandbox/echo", "sandbox/fast"];
    for count in counts {
        let tenants = stage.tenants(*count).await?;
        // Each api process opens a tenant once; that is not what the curve is about.
        let warm = Wanted { name: "open", connections: 16, count: *count, models: &models, concurrency: 2, rate: None };
        let first = closed_loop::submit(stage, &tenants, warm).await?;
        let name = format!("tenants-{count}");
        let wanted = Wanted { name: &name, count: size.of(300, 3_000), ..warm };
        let sample = closed_loop::submit(stage, &tenants, wanted).await?;
        let base = Some("pgbench submits/s, 16 connections");
        table.add(&format!("{count} tenants: submits/s, 16 connections"), sample.per_second(), "/s", base);
        table.add(
            &format!("{count} tenants: submit p99"),
            sample.latency.p99(),
            "ms",
            Some("pgbench p99, 16 connections"),
        );
        table.add(&format!("{count} tenants: first submit of each, p99"), first.latency.p99(), "ms", None);
        let queued = stage.number("SELECT count(*) FROM acm2.jobs").await?;
        let seconds = stage.drain_with_new_worker(PATIENCE).await?;
        stage.stop_workers().await?;
        table.add(&format!("{count} tenants: runs/s of one worker (drain)"), queued / seconds, "/s", None);
    }
    Ok(())
}
