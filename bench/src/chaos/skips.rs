//! Leaves a task out of a run that is under way, and writes down what was asked and what was answered, and when.

use std::time::Duration;

use chrono::{DateTime, Utc};
use rand::Rng as _;
use rand::rngs::StdRng;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::records::{Lines, Skip};
use crate::place::http::Http;

/// Of how many runs in a hundred a task is skipped.
pub(super) const PERCENT: u32 = 15;

/// How often a skip that had no answer is sent again: twice is once.
const INSIST: u32 = 4;

/// Skips a task of a run, one that waits where there is one: what has an answer must be refused. `url` is the run's at one of the
/// apis.
pub(super) async fn skip(http: &Http, url: &str, key: &str, tenant: usize, random: &mut StdRng, lines: &Lines) {
    let Ok(tasks) = http.get(&format!("{url}/tasks"), key).await else { return };
    let Some(task_key) = choose(&tasks.body, random) else { return };
    let run = url.rsplit('/').next().unwrap_or_default().to_owned();
    let mut skip = Skip { tenant, run, task_key, answer: None };
    // Now and then once more: nothing may change by it.
    let again = u32::from(random.random_bool(0.2));
    let mut answers = 0;
    for _ in 0..INSIST {
        if lines.add(&skip).is_err() {
            return;
        }
        let body = json!({"task_keys": [skip.task_key]});
        if let Ok(answer) = http.send(Method::POST, &format!("{url}/skip"), key, Some(&body), None).await {
            skip.answer = Some((answer.status, now()));
            let _ = lines.add(&skip);
            skip.answer = None;
            answers += u32::from(answer.status < 500);
        }
        if answers > again {
            return;
        }
        sleep(Duration::from_millis(300)).await;
    }
}

fn choose(tasks: &Value, random: &mut StdRng) -> Option<String> {
    let tasks = tasks["items"].as_array()?;
    let waiting: Vec<&Value> = tasks.iter().filter(|task| task["status"] == "pending").collect();
    let all: Vec<&Value> = tasks.iter().collect();
    let among = if waiting.is_empty() { all } else { waiting };
    let task = (!among.is_empty()).then(|| among[random.random_range(0..among.len())])?;
    Some(task["key"].as_str()?.to_owned())
}

/// The time by the clock of this machine, which the provider's log goes by too.
#[expect(clippy::disallowed_methods, reason = "the driver is no part of the product and has a clock of its own")]
fn now() -> DateTime<Utc> {
    Utc::now()
}
