//! `bench fairness`: a flood, many small tenants, mixed durations, through the HTTP API; waits by class of tenant, and Jain's
//! index among equals.

use std::path::Path;
use std::time::Duration;

use clap::Args;
use tokio::time::sleep;

use super::closed_loop::{self, Wanted};
use super::flood;
use super::quantiles::{Quantiles, jain};
use super::stage::{Stage, now};
use crate::outcome::Outcome;
use crate::place::house::Tenant;
use crate::say;

const PATIENCE: Duration = Duration::from_mins(10);
/// Runs in progress in each of the two workers.
const PLACES: usize = 20;
const SMALL: usize = 20;
const EQUALS: usize = 8;

#[derive(Debug, Args)]
pub(crate) struct FairnessArgs {
    /// Small numbers, for trying.
    #[arg(long)]
    quick: bool,
    /// Only this: so many runs of 5 s at once by one tenant, and single runs of another beside them.
    #[arg(long)]
    flood: Option<usize>,
}

/// Runs it; false where equals were not served alike.
pub(crate) async fn run(arguments: FairnessArgs, acm2: &Path) -> Outcome<bool> {
    let temporary = tempfile::Builder::new().prefix("acm2-bench-").tempdir()?;
    crate::place::house::open_to_postgres(temporary.path())?;
    let mut stage = Stage::start(temporary.path(), acm2).await?;
    let tenants = stage.tenants(1 + SMALL + 2 * EQUALS).await?;
    let places = [("ACM2_WORKER__RUNS", PLACES.to_string()), ("ACM2_WORKER__CALLS", PLACES.to_string())];
    for _ in 0..2 {
        stage.start_worker(&places).await?;
    }
    say::line("| case | runs | wait p50, s | wait p99, s | Jain's index |\n|---|---:|---:|---:|---:|");
    if let Some(runs) = arguments.flood {
        let holds = flood::run(&stage, &tenants[0], &tenants[1], runs).await?;
        // The flood is not waited for.
        stage.workers.clear();
        return Ok(holds);
    }
    flood(&stage, &tenants, arguments.quick).await?;
    let index = equals(&stage, &tenants[1 + SMALL..], arguments.quick).await?;
    stage.stop_workers().await?;
    Ok(index >= if arguments.quick { 0.9 } else { 0.99 })
}

/// One floods; many come with a run now and then.
async fn flood(stage: &Stage, tenants: &[Tenant], quick: bool) -> Outcome<()> {
    let (one, small) = (&tenants[..1], &tenants[1..=SMALL]);
    let count = SMALL * if quick { 2 } else { 5 };
    let now_and_then = Wanted {
        name: "small alone",
        connections: 4,
        count,
        models: &["sandbox/slow-250ms"],
        concurrency: 1,
        rate: Some(10.0),
    };
    closed_loop::submit(stage, small, now_and_then).await?;
    stage.drain(PATIENCE).await?;
    row("small tenants alone", &waits(stage, small, 0.0).await?, None);

    let flood = Wanted {
        name: "flood",
        connections: 8,
        count: if quick { 300 } else { 3_000 },
        models: &["sandbox/slow-1s"],
        concurrency: 1,
        rate: None,
    };
    let began = now();
    closed_loop::submit(stage, one, flood).await?;
    sleep(Duration::from_secs(1)).await;
    closed_loop::submit(stage, small, Wanted { name: "small beside", ..now_and_then }).await?;
    stage.drain(PATIENCE).await?;
    row("the flood", &waits(stage, one, began).await?, None);
    row("small tenants beside the flood", &waits(stage, small, began).await?, None);
    Ok(())
}

/// Equals submit as much each; half of them short calls, half long ones. Looked at while all still have work.
async fn equals(stage: &Stage, tenants: &[Tenant], quick: bool) -> Outcome<f64> {
    let each = if quick { 20 } else { 100 };
    let (short, long) = tenants.split_at(EQUALS);
    let of = |name: &'static str, models: &'static [&'static str]| Wanted {
        name,
        connections: 8,
        count: each * EQUALS,
        models,
        concurrency: 1,
        rate: None,
    };
    tokio::try_join!(
        closed_loop::submit(stage, short, of("short", &["sandbox/slow-250ms"])),
        closed_loop::submit(stage, long, of("long", &["sandbox/slow-1s"]))
    )?;
    let goal = each * EQUALS / 2;
    loop {
        let ended = served(stage, short).await?;
        if ended.iter().sum::<f64>() >= goal as f64 {
            break;
        }
        sleep(Duration::from_millis(100)).await;
    }
    let (short_served, long_served) = (served(stage, short).await?, served(stage, long).await?);
    stage.drain(PATIENCE).await?;
    row("equal tenants, calls of 250 ms", &waits(stage, short, 0.0).await?, Some(jain(&short_served)));
    row("equal tenants, calls of 1 s", &waits(stage, long, 0.0).await?, Some(jain(&long_served)));
    let time: Vec<f64> =
        short_served.iter().map(|runs| runs * 0.25).chain(long_served.iter().map(|runs| runs * 1.0)).collect();
    row("all of these, by the provider's time that they got", &[], Some(jain(&time)));
    Ok(jain(&time))
}

/// Runs that have ended, by tenant.
async fn served(stage: &Stage, tenants: &[Tenant]) -> Outcome<Vec<f64>> {
    stage.column(tenants, "SELECT count(*)::float8 FROM \"{schema}\".runs WHERE finished_at IS NOT NULL").await
}

/// Seconds that runs waited which were submitted after a moment.
async fn waits(stage: &Stage, tenants: &[Tenant], after: f64) -> Outcome<Vec<f64>> {
    let select = format!(
        "SELECT extract(epoch FROM started_at - created_at)::float8 FROM \"{{schema}}\".runs \
         WHERE started_at IS NOT NULL AND created_at > to_timestamp({after})"
    );
    stage.column(tenants, &select).await
}

fn row(case: &str, waits: &[f64], index: Option<f64>) {
    let index = index.map_or_else(String::new, |index| format!("{index:.4}"));
    if waits.is_empty() {
        return say::line(&format!("| {case} | | | | {index} |"));
    }
    let waits = Quantiles::of(waits.to_vec());
    say::line(&format!("| {case} | {} | {:.3} | {:.3} | {index} |", waits.count(), waits.p50(), waits.p99()));
}
