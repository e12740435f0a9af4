//! The steady load of the tenants: how often they submit, how they insist, and when they change their minds. Writes down each
//! submission before it is sent and after it is answered.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use reqwest::Method;
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::commands::COMMANDS;
use super::orders::{self, Order};
use super::records::{Customer, Lines, Stage, Submission};
use super::schedule::{self, Fault};
use super::skips;
use crate::outcome::Outcome;
use crate::place::http::Http;

/// Submissions of one tenant that may be under way: during an outage they are patient.
const AT_ONCE: usize = 16;
/// How often a submission with an idempotency key is sent again.
const INSIST: u32 = 60;

/// The load; it runs until it is stopped.
#[derive(Debug, Clone)]
pub(crate) struct Load(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    seed: u64,
    /// Which start of the driver this is: names must differ from those of earlier ones.
    start: usize,
    apis: Vec<String>,
    hook: String,
    customers: Vec<Customer>,
    commands: Vec<&'static str>,
    http: Http,
    submissions: Lines,
    skips: Lines,
    stopping: AtomicBool,
    places: Semaphore,
}

impl Load {
    /// Reads from the specification which commands there are.
    pub(crate) async fn new(
        seed: u64,
        start: usize,
        apis: Vec<String>,
        hook: String,
        customers: Vec<Customer>,
        (submissions, skips): (Lines, Lines),
    ) -> Outcome<Self> {
        let http = Http::new(Duration::from_secs(20))?;
        let specification = http.get(&format!("{}/openapi.json", apis[0]), "").await?.good()?;
        let known = |path: &&str| {
            let paths = specification["paths"].as_object();
            paths.is_some_and(|paths| paths.keys().any(|known| known.ends_with(&format!("}}/{path}"))))
        };
        let commands: Vec<&'static str> = COMMANDS.iter().map(|command| command.path).filter(known).collect();
        if commands.is_empty() {
            return Err("the specification at /openapi.json has no command on runs".into());
        }
        let places = Semaphore::new(AT_ONCE * customers.len());
        let stopping = AtomicBool::new(false);
        let inner = Inner { seed, start, apis, hook, customers, commands, http, submissions, skips, stopping, places };
        Ok(Self(Arc::new(inner)))
    }

    /// Submits until it is stopped, then waits for what is under way.
    pub(crate) async fn run(&self, pace: Duration) {
        let mut under_way = JoinSet::new();
        let mut number = 0_u64;
        while !self.0.stopping.load(Ordering::SeqCst) {
            let mut random = schedule::random(self.0.seed ^ 0x10AD, number + 1_000_000 * self.0.start as u64);
            if self.0.places.available_permits() > 0 {
                let name = format!("load-{}-{}-{number}", self.0.seed, self.0.start);
                let order = orders::usual(name, &self.0.customers, &self.0.hook, &mut random);
                let load = self.clone();
                under_way.spawn(async move { load.submit(order, random).await });
            }
            number += 1;
            while under_way.try_join_next().is_some() {}
            sleep(pace).await;
        }
        under_way.join_all().await;
    }

    /// No more submissions.
    pub(crate) fn stop(&self) {
        self.0.stopping.store(true, Ordering::SeqCst);
    }

    /// Submits a run that meets a fault of the provider.
    pub(crate) fn unlucky(&self, fault: Fault, failing: &[&str]) {
        let tenant = fault.who % self.0.customers.len();
        let name = format!("fault-{}-{}-{}", self.0.seed, self.0.start, fault.number);
        let mut random = schedule::random(self.0.seed, fault.number);
        let order = orders::unlucky(name, tenant, failing, &mut random);
        let load = self.clone();
        tokio::spawn(async move { load.submit(order, random).await });
    }

    /// Submits one run, insists where that is safe, and perhaps changes its mind. Errors of the driver's own files end it.
    async fn submit(&self, order: Order, mut random: StdRng) {
        let Ok(_place) = self.0.places.acquire().await else { return };
        let Order { mut submission, body } = order;
        if self.0.submissions.add(&submission).is_err() {
            return;
        }
        let tries = if submission.is_idempotent { INSIST } else { 1 };
        submission.stage = self.insist(&submission, &body, tries, &mut random).await;
        let _ = self.0.submissions.add(&submission);
        let Stage::Accepted(run) = submission.stage.clone() else { return };
        if submission.is_idempotent && random.random_bool(0.15) {
            // The same key again, perhaps at the other api: the same run, or nothing at all.
            let again = self.insist(&submission, &body, 3, &mut random).await;
            if matches!(again, Stage::Accepted(_)) {
                submission.stage = again;
                let _ = self.0.submissions.add(&submission);
            }
        }
        // Side by side: a task may be skipped while its run is paused, cancelled or retried.
        let mut other = StdRng::seed_from_u64(random.random());
        tokio::join!(self.skip(&submission, &run, &mut other), self.command(&submission, &run, &mut random));
    }

    async fn skip(&self, submission: &Submission, run: &str, random: &mut StdRng) {
        if !random.random_ratio(skips::PERCENT, 100) {
            return;
        }
        // Some tasks wait by then, and some have a call under way.
        sleep(Duration::from_millis(random.random_range(0..1_500))).await;
        let url = format!("{}/api/v1/runs/{run}", self.api(random));
        let key = self.0.customers[submission.tenant].key(submission.api_key);
        skips::skip(&self.0.http, &url, key, submission.tenant, random, &self.0.skips).await;
    }

    async fn insist(&self, submission: &Submission, body: &Value, tries: u32, random: &mut StdRng) -> Stage {
        let key = self.0.customers[submission.tenant].key(submission.api_key);
        let name = submission.is_idempotent.then_some(submission.name.as_str());
        let mut last = Stage::Sent;
        for _ in 0..tries {
            let url = format!("{}/api/v1/runs", self.api(random));
            match self.0.http.send(Method::POST, &url, key, Some(body), name).await {
                Ok(answer) if answer.status == 202 => return Stage::Accepted(answer.text("id").to_owned()),
                // Out of order for a while; an idempotency key may be busy.
                Ok(answer) if answer.status >= 500 || [409, 429].contains(&answer.status) => {
                    last = Stage::Refused(answer.status);
                }
                Ok(answer) => return Stage::Refused(answer.status),
                Err(_) => last = Stage::Sent,
            }
            sleep(Duration::from_millis(500)).await;
        }
        last
    }

    async fn command(&self, submission: &Submission, run: &str, random: &mut StdRng) {
        let key = &self.0.customers[submission.tenant].tenant.key;
        for command in COMMANDS.iter().filter(|command| self.0.commands.contains(&command.path)) {
            if !random.random_ratio(command.percent, 100) {
                continue;
            }
            sleep(Duration::from_millis(random.random_range(0..800))).await;
            for path in [Some(command.path), command.then].into_iter().flatten() {
                let url = format!("{}/api/v1/runs/{run}/{path}", self.api(random));
                // What comes of it the comparison sees; a run that has ended already answers 409.
                let _ = self.0.http.send(Method::POST, &url, key, None, None).await;
                sleep(Duration::from_millis(random.random_range(200..1_500))).await;
            }
        }
    }

    fn api(&self, random: &mut StdRng) -> &str {
        &self.0.apis[random.random_range(0..self.0.apis.len())]
    }
}
