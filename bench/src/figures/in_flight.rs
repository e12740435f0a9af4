//! How many calls one worker keeps in flight with a provider that takes its time, and the memory that it takes for that.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::closed_loop::{self, Wanted};
use super::pick_up::{self, Call};
use super::run::Size;
use super::stage::Stage;
use super::table::Table;
use crate::outcome::Outcome;
use crate::place::cpu;
use crate::place::process::Process;

/// Calls of one run, all at once.
const CALLS_OF_A_RUN: usize = 50;
const PATIENCE: Duration = Duration::from_mins(4);

/// What a worker may hold at most, by the settings' own bounds.
fn settings() -> Vec<(&'static str, String)> {
    [
        ("ACM2_WORKER__RUNS", 10_000),
        ("ACM2_WORKER__CALLS", 20_000),
        ("ACM2_QUEUE__TENANT_SHARE_PERCENT", 100),
        ("ACM2_LIMITS__CALLS_PER_PROVIDER_KEY", 20_000),
    ]
    .map(|(name, value)| (name, value.to_string()))
    .to_vec()
}

pub(super) async fn measure(stage: &mut Stage, size: Size, table: &mut Table) -> Outcome<()> {
    stage.stop_workers().await?;
    stage.start_worker(&settings()).await?;
    let slow: &[(&str, &str)] =
        if size.is_quick() { &[("5 s", "slow-5s")] } else { &[("5 s", "slow-5s"), ("30 s", "slow-30s")] };
    for (words, model) in slow {
        let (most, resident, seconds) = hold(stage, size.of(20, 200), model).await?;
        table.add(&format!("calls in flight in one worker, {words} provider"), most as f64, "", None);
        table.add(&format!("its memory then, {words} provider"), resident, "MiB", None);
        table.add(&format!("seconds until all these calls were done, {words} provider"), seconds, "s", None);
    }
    stage.stop_workers().await
}

/// The most calls in flight, the most memory, the seconds until the end.
async fn hold(stage: &mut Stage, runs: usize, model: &str) -> Outcome<(usize, f64, f64)> {
    let tenants = stage.tenants(8).await?;
    let sandbox = format!("sandbox/{model}");
    let models = vec![sandbox.as_str(); CALLS_OF_A_RUN];
    let began = Instant::now();
    let wanted = Wanted {
        name: model,
        connections: 16,
        count: runs,
        models: &models,
        concurrency: CALLS_OF_A_RUN as u32,
        rate: None,
    };
    closed_loop::submit(stage, &tenants, wanted).await?;
    let worker = stage.workers.first().and_then(Process::pid).ok_or("no worker")?;
    let mut resident: f64 = 0.0;
    let ended = stage.drain(PATIENCE);
    let watched = async {
        loop {
            resident = resident.max(cpu::resident_mib(worker).unwrap_or_default());
            sleep(Duration::from_millis(200)).await;
        }
    };
    tokio::select! {
        ended = ended => { ended?; }
        () = watched => {}
    }
    Ok((most_open(&pick_up::calls(stage)?, model), resident, began.elapsed().as_secs_f64()))
}

/// The most calls of a model that were open at one moment.
fn most_open(log: &[Call], model: &str) -> usize {
    let mut edges: Vec<(f64, i64)> = log
        .iter()
        .filter(|call| call.model.as_deref().is_some_and(|name| name.ends_with(model)))
        .map(|call| (call.seconds(), if call.event == "received" { 1 } else { -1 }))
        .collect();
    edges.sort_by(|one, other| one.0.total_cmp(&other.0));
    let (mut open, mut most) = (0_i64, 0_i64);
    for (_, step) in edges {
        open += step;
        most = most.max(open);
    }
    most as usize
}
