//! Counts and sums over the tasks of a run.

use serde::{Deserialize, Serialize};

use super::status::TaskStatus;
use super::view::Task;
use crate::call::{CostSource, Usage};
use crate::money::Usd;

/// How far a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object))]
pub struct Progress {
    /// Tasks that the run consists of.
    pub tasks_expected: u32,
    /// Tasks that have an answer.
    pub tasks_completed: u32,
    /// Tasks that will not get one.
    pub tasks_failed: u32,
}

/// Sums over the tasks of one model or provider.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object))]
pub struct TotalsRow {
    /// `provider/model`, or the provider's slug.
    pub name: String,
    /// Tasks with an answer.
    pub tasks_completed: u32,
    /// Tasks without one.
    pub tasks_failed: u32,
    /// Tokens that the provider told of.
    pub usage: Usage,
    /// The cost; null where that of any answered call is unknown.
    #[cfg_attr(feature = "openapi", oai(skip_serializing_if_is_none))]
    pub cost_usd: Option<Usd>,
}

/// Sums over the tasks of a run.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object))]
pub struct Totals {
    /// Each model, in the order of the run.
    pub by_model: Vec<TotalsRow>,
    /// Each provider, in the order of the run.
    pub by_provider: Vec<TotalsRow>,
}

impl Totals {
    /// Sums up.
    pub fn of<'a>(tasks: impl IntoIterator<Item = &'a Task>) -> Self {
        let mut totals = Self::default();
        for task in tasks {
            add(&mut totals.by_model, &task.model, task);
            let provider = task.model.split_once('/').map_or(task.model.as_str(), |(provider, _)| provider);
            add(&mut totals.by_provider, provider, task);
        }
        totals
    }
}

fn add(rows: &mut Vec<TotalsRow>, name: &str, task: &Task) {
    let index = rows.iter().position(|row| row.name == name).unwrap_or_else(|| {
        rows.push(TotalsRow {
            name: name.to_owned(),
            tasks_completed: 0,
            tasks_failed: 0,
            usage: Usage::default(),
            cost_usd: Some(Usd::ZERO),
        });
        rows.len() - 1
    });
    let row = &mut rows[index];
    match task.status {
        TaskStatus::Completed => row.tasks_completed += 1,
        TaskStatus::Failed | TaskStatus::Cancelled | TaskStatus::Skipped => row.tasks_failed += 1,
        TaskStatus::Pending => {}
    }
    // Answers that could not be used, or that a retry took away, are paid for whatever has become of the task.
    let cost = match (task.cost_usd, task.cost_source) {
        (None, Some(CostSource::Unknown)) => None,
        (cost, _) => Some(cost.unwrap_or(Usd::ZERO)),
    };
    row.cost_usd = row.cost_usd.zip(cost).map(|(sum, cost)| sum + cost);
    row.usage = row.usage.plus(task.usage.unwrap_or_default());
}

/// A cost as the first system displayed it: `$0.0123`, with as many digits as say something.
pub fn display_cost(cost: Option<Usd>) -> Option<String> {
    cost.map(|usd| {
        let digits = if usd.pico() >= 10_000_000_000 { 2 } else { 6 };
        format!("${}", usd.decimal().round_dp(digits.max(4)))
    })
}
