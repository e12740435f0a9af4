//! `bench fairness --flood`: one tenant has submitted far more than two workers can do in minutes; how long another one's single
//! runs wait for their first call, alone and beside that. What is left of the flood is not waited for.

use std::time::Duration;

use tokio::time::sleep;

use super::closed_loop::{self, Wanted};
use super::pick_up;
use super::quantiles::Quantiles;
use super::stage::Stage;
use crate::outcome::Outcome;
use crate::place::house::Tenant;
use crate::say;

/// Single runs of the other tenant, one after the other.
const SINGLE: usize = 40;
/// What the other tenant may wait longer than alone, in milliseconds.
const ALLOWED: f64 = 100.0;

/// Whether the other tenant waits no longer than it may.
pub(super) async fn run(stage: &Stage, flooder: &Tenant, other: &Tenant, runs: usize) -> Outcome<bool> {
    let alone = single(stage, other, "alone").await?;
    row("single runs alone", &alone);
    let flood = Wanted {
        name: "flood",
        connections: 16,
        count: runs,
        models: &["sandbox/slow-5s"],
        concurrency: 1,
        rate: None,
    };
    closed_loop::submit(stage, std::slice::from_ref(flooder), flood).await?;
    sleep(Duration::from_secs(1)).await;
    let waiting = stage.number("SELECT count(*) FROM acm2.jobs").await?;
    let beside = single(stage, other, "beside").await?;
    row(&format!("single runs beside {waiting:.0} of a flood"), &beside);
    Ok(beside.p99() <= alone.p99() + ALLOWED)
}

async fn single(stage: &Stage, tenant: &Tenant, name: &str) -> Outcome<Quantiles> {
    let wanted =
        Wanted { name, connections: 1, count: SINGLE, models: &["sandbox/echo"], concurrency: 1, rate: Some(4.0) };
    let sample = closed_loop::submit(stage, std::slice::from_ref(tenant), wanted).await?;
    sleep(Duration::from_secs(2)).await;
    let waits = pick_up::waits(&pick_up::calls(stage)?, &sample);
    if waits.count() < SINGLE {
        return Err(format!("only {} of {SINGLE} runs were called for within 2 s", waits.count()).into());
    }
    Ok(waits)
}

fn row(case: &str, waits: &Quantiles) {
    say::line(&format!(
        "| {case}: submit → first call | {} | {:.4} | {:.4} | |",
        waits.count(),
        waits.p50() / 1e3,
        waits.p99() / 1e3
    ));
}
