//! How long after a kill -9 of their worker runs go on, at the durations of production.

use std::time::Duration;

use tokio::time::sleep;

use super::closed_loop::{self, Wanted};
use super::quantiles::Quantiles;
use super::run::Size;
use super::stage::{Stage, now};
use super::table::Table;
use crate::outcome::Outcome;

const PATIENCE: Duration = Duration::from_mins(3);

pub(super) async fn measure(stage: &mut Stage, size: Size, table: &mut Table) -> Outcome<()> {
    let tenants = stage.tenants(8).await?;
    stage.start_worker(&[]).await?;
    stage.start_worker(&[]).await?;
    // A process that has just started steals nothing for 15 s: the survivor shall be an old one.
    sleep(Duration::from_secs(16)).await;
    // One call after the other, so that each run is in the middle of something.
    let models = ["sandbox/slow-1s"; 8];
    let count = size.of(20, 60);
    let wanted = Wanted { name: "recovery", connections: 8, count, models: &models, concurrency: 1, rate: None };
    closed_loop::submit(stage, &tenants, wanted).await?;
    sleep(Duration::from_secs(2)).await;
    let killed = now();
    stage.workers.remove(0).kill().await?;
    stage.drain(PATIENCE).await?;
    let select = "SELECT extract(epoch FROM at)::float8 FROM \"{schema}\".events WHERE event_type = 'run.resumed'";
    let resumed = stage.column(&tenants, select).await?;
    let waits = Quantiles::of(resumed.into_iter().filter(|at| *at > killed).map(|at| at - killed).collect());
    table.add("runs taken over after kill -9 of their worker", waits.count() as f64, "", None);
    table.add("kill -9 → taken over, p50", waits.p50(), "s", None);
    table.add("kill -9 → taken over, the last one", waits.max(), "s", None);
    stage.stop_workers().await
}
