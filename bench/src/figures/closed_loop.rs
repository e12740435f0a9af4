//! Submissions over a number of connections, each of which sends the next one when it has an answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::quantiles::Quantiles;
use super::stage::{Stage, all, now};
use crate::outcome::Outcome;
use crate::place::house::Tenant;

/// What came of it.
#[derive(Debug)]
pub(super) struct Sample {
    /// Milliseconds of each answer.
    pub(super) latency: Quantiles,
    pub(super) seconds: f64,
    /// The prompt of each and when it was sent, in seconds since 1970.
    pub(super) sent: Vec<(String, f64)>,
}

impl Sample {
    pub(super) fn per_second(&self) -> f64 {
        self.latency.count() as f64 / self.seconds
    }
}

/// How and what is submitted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted<'a> {
    /// For prompts that nobody else uses.
    pub(super) name: &'a str,
    pub(super) connections: usize,
    pub(super) count: usize,
    pub(super) models: &'a [&'a str],
    /// How many calls of a run at once.
    pub(super) concurrency: u32,
    /// Submissions per second of all connections together; as fast as answers come where absent.
    pub(super) rate: Option<f64>,
}

/// Submits; an answer other than 202 is an error.
pub(super) async fn submit(stage: &Stage, tenants: &[Tenant], wanted: Wanted<'_>) -> Outcome<Sample> {
    let next = Arc::new(AtomicUsize::new(0));
    let began = Instant::now();
    let mut connections = JoinSet::new();
    for _ in 0..wanted.connections {
        let (next, http, url, tenants) = (Arc::clone(&next), stage.http.clone(), stage.url("/runs"), tenants.to_vec());
        let (name, models) = (wanted.name.to_owned(), json!(wanted.models));
        let Wanted { count, concurrency, rate, .. } = wanted;
        connections.spawn(async move {
            let mut seen = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= count {
                    return Ok(seen);
                }
                if let Some(rate) = rate {
                    sleep_until(began + Duration::from_secs_f64(number as f64 / rate)).await;
                }
                let prompt = format!("{name} {number}");
                let body: Value = json!({"prompt": prompt, "models": models, "concurrency": concurrency});
                let (at, started) = (now(), Instant::now());
                let answer = http.post(&url, &tenants[number % tenants.len()].key, &body).await?;
                if answer.status != 202 {
                    return Err(format!("{}: {}", answer.status, answer.body).into());
                }
                seen.push((started.elapsed().as_secs_f64() * 1_000.0, prompt, at));
            }
        });
    }
    let seen: Vec<(f64, String, f64)> = all(connections).await?.into_iter().flatten().collect();
    let latency = Quantiles::of(seen.iter().map(|(latency, ..)| *latency).collect());
    let sent = seen.into_iter().map(|(_, prompt, at)| (prompt, at)).collect();
    Ok(Sample { latency, seconds: began.elapsed().as_secs_f64(), sent })
}
