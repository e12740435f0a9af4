//! From submission to the provider's first call, idle and under load, and what a call takes beyond the provider's own time.
//! The provider's log says when a call came; the prompt tells whose it was.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::bases::{DIRECT_P50, DIRECT_P99};
use super::closed_loop::{self, Sample, Wanted};
use super::quantiles::Quantiles;
use super::run::Size;
use super::stage::Stage;
use super::table::Table;
use crate::fingerprint::fingerprint;
use crate::outcome::Outcome;
use crate::place::house::Tenant;

/// Of the runs per second that the stage can do, how many there are in the loaded case.
const LOAD: f64 = 0.5;

/// A line of the sandbox's log.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Call {
    pub(super) call: u64,
    pub(super) time: DateTime<Utc>,
    pub(super) event: String,
    pub(super) model: Option<String>,
    prompt_fingerprint: Option<String>,
}

impl Call {
    pub(super) fn seconds(&self) -> f64 {
        self.time.timestamp_micros() as f64 / 1e6
    }
}

/// The sandbox's log so far.
pub(super) fn calls(stage: &Stage) -> Outcome<Vec<Call>> {
    let text = std::fs::read_to_string(stage.house.dir.join("calls"))?;
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    whole.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
}

/// A worker must run. `most` is the rate of runs that the stage can do.
pub(super) async fn measure(stage: &mut Stage, size: Size, most: f64, table: &mut Table) -> Outcome<()> {
    let tenants = stage.tenants(8).await?;
    let models = ["sandbox/echo"];
    let count = size.of(60, 400);
    // Slow enough that nothing of the one before is left.
    let idle = Wanted { name: "idle", connections: 1, count, models: &models, concurrency: 1, rate: Some(20.0) };
    let sample = closed_loop::submit(stage, &tenants[..1], idle).await?;
    stage.drain(std::time::Duration::from_mins(1)).await?;
    let log = calls(stage)?;
    let waits = waits(&log, &sample);
    table.add("submit → first provider call, idle, p50", waits.p50(), "ms", Some(DIRECT_P50));
    table.add("submit → first provider call, idle, p99", waits.p99(), "ms", Some(DIRECT_P99));
    let overhead = overhead(stage, &tenants[..1], &log, &sample).await?;
    table.add("a call beyond the sandbox's own time, idle, p50", overhead.p50(), "ms", Some(DIRECT_P50));
    table.add("a call beyond the sandbox's own time, idle, p99", overhead.p99(), "ms", Some(DIRECT_P99));

    // Some tenants keep half of the machine busy; another one is measured.
    let noise = Wanted {
        name: "noise",
        connections: 32,
        count: (most * LOAD * size.of(3.0, 12.0)) as usize,
        models: &["sandbox/echo", "sandbox/fast"],
        concurrency: 2,
        rate: Some(most * LOAD),
    };
    let loaded = Wanted { name: "loaded", count: size.of(50, 200), ..idle };
    let (_, sample) = tokio::try_join!(
        closed_loop::submit(stage, &tenants[1..], noise),
        closed_loop::submit(stage, &tenants[..1], loaded)
    )?;
    stage.drain(std::time::Duration::from_mins(2)).await?;
    let waits = self::waits(&calls(stage)?, &sample);
    table.add("submit → first provider call at half load, p50", waits.p50(), "ms", Some(DIRECT_P50));
    table.add("submit → first provider call at half load, p99", waits.p99(), "ms", Some(DIRECT_P99));
    table.add("submit p50 at half load", sample.latency.p50(), "ms", Some("pgbench p50, 1 connection"));
    table.add("submit p99 at half load", sample.latency.p99(), "ms", Some("pgbench p99, 1 connection"));
    Ok(())
}

/// Milliseconds from sending a submission to its first call.
pub(super) fn waits(log: &[Call], sample: &Sample) -> Quantiles {
    let mut first: HashMap<&str, f64> = HashMap::new();
    for call in log.iter().filter(|call| call.event == "received") {
        if let Some(prompt) = &call.prompt_fingerprint {
            first.entry(prompt).or_insert_with(|| call.seconds());
        }
    }
    let waits = sample.sent.iter().filter_map(|(prompt, at)| Some((first.get(&*fingerprint(prompt))? - at) * 1_000.0));
    Quantiles::of(waits.collect())
}

/// Milliseconds between an attempt's intent and its committed answer, without those that the sandbox had the call.
async fn overhead(stage: &Stage, tenants: &[Tenant], log: &[Call], sample: &Sample) -> Outcome<Quantiles> {
    let prompts: Vec<String> = sample.sent.iter().map(|(prompt, _)| fingerprint(prompt)).collect();
    let ours = log.iter().filter(|call| call.prompt_fingerprint.as_ref().is_some_and(|print| prompts.contains(print)));
    let (mut received, mut own) = (HashMap::new(), Vec::new());
    for call in ours {
        if call.event == "received" {
            received.insert(call.call, call.seconds());
        } else if let Some(at) = received.get(&call.call) {
            own.push((call.seconds() - at) * 1_000.0);
        }
    }
    let own = Quantiles::of(own).p50();
    let select = "SELECT (extract(epoch FROM finished_at - started_at) * 1000)::float8 FROM \"{schema}\".attempts \
        WHERE status = 'answered' ORDER BY id DESC LIMIT 400";
    let took = stage.column(tenants, select).await?.into_iter().take(sample.sent.len());
    Ok(Quantiles::of(took.map(|took| (took - own).max(0.0)).collect()))
}
