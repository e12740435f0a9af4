//! How what a ceiling leaves is shared among the tasks of a run that are still to reserve: by what each may cost at most, so that
//! the few words of a judge do not get as much as an answer.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

use acm2_domain::journal::TaskKey;
use acm2_domain::money::Usd;
use acm2_domain::prices::Prices;
use acm2_domain::run::RunSpec;
use acm2_domain::stages::{self, Reading};

/// The tasks that are still to reserve, each with its weight: the worst case of its dearest call in picodollars.
#[derive(Debug, Default)]
pub(super) struct Shares {
    weights: HashMap<String, u64>,
    left: AtomicU64,
}

/// The part of one task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Share {
    pub(super) own: u64,
    /// All that share, this one among them.
    pub(super) total: u64,
}

impl Share {
    /// Everything.
    pub(super) const WHOLE: Self = Self { own: 1, total: 1 };

    /// What it comes to of so much.
    pub(super) fn of(self, room: Usd) -> Usd {
        let total = i128::from(self.total.max(self.own).max(1));
        let part = i128::from(room.pico()) * i128::from(self.own) / total;
        // A part is no more than the whole.
        Usd::from_pico(i64::try_from(part).unwrap_or(i64::MAX))
    }
}

impl Shares {
    /// Those of a run with a ceiling. `is_settled`: whether a task was settled before this claim.
    pub(super) fn of(spec: &RunSpec, prices: &Prices, is_settled: impl Fn(&str) -> bool) -> Self {
        let plan = stages::plan(spec);
        let reading = Reading::of(spec, &plan, prices);
        let mut shares = Self::default();
        for task in plan.iter().filter(|task| task.model.is_some()) {
            let worst = task.most_of_any_call(reading, prices).and_then(|worst| worst.amount);
            let weight = worst.map_or(1, |amount| u64::try_from(amount.pico()).unwrap_or(1).max(1));
            if !is_settled(task.key.as_str()) {
                *shares.left.get_mut() = shares.left.get_mut().saturating_add(weight);
            }
            shares.weights.insert(task.key.to_string(), weight);
        }
        shares
    }

    /// The weight of a task.
    pub(super) fn weight(&self, key: &TaskKey) -> u64 {
        self.weights.get(key.as_str()).copied().unwrap_or(0)
    }

    /// The weight of all that are still to reserve.
    pub(super) fn left(&self) -> u64 {
        self.left.load(Ordering::Relaxed)
    }

    /// A task is no longer among them.
    pub(super) fn take(&self, key: &TaskKey) {
        let weight = self.weight(key);
        let taken = |left: u64| Some(left.saturating_sub(weight));
        let _ = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, taken);
    }

    /// A task is among them again.
    pub(super) fn give_back(&self, key: &TaskKey) {
        self.left.fetch_add(self.weight(key), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use acm2_domain::run::NewRun;

    use super::*;

    #[test]
    fn an_answer_gets_more_than_a_judges_few_words() {
        let body = serde_json::json!({
            "prompt": "hi", "models": [{"model": "openai/gpt-4o", "max_output_tokens": 16000}],
            "stages": {"evaluate": {"judges": [{"model": "openai/gpt-4o", "max_output_tokens": 160}]}},
        });
        let prices = Prices::built_in();
        let spec = serde_json::from_value::<NewRun>(body).unwrap().compile(&prices).unwrap();
        let shares = Shares::of(&spec, &prices, |_| false);
        let keys: Vec<TaskKey> = stages::plan(&spec).into_iter().map(|task| task.key).collect();
        let share = |key: &TaskKey| Share { own: shares.weight(key), total: shares.left() };
        let room: Usd = "1".parse().unwrap();
        let (answer, judge) = (share(&keys[0]).of(room), share(&keys[1]).of(room));
        assert!(answer > judge && answer + judge <= room, "{answer} {judge}");
        shares.take(&keys[0]);
        assert_eq!(share(&keys[1]).of(room), room);
        shares.give_back(&keys[0]);
        assert_eq!(share(&keys[0]).of(room), answer);
        assert_eq!(Shares::of(&spec, &prices, |key| key.starts_with("generate")).left(), shares.weight(&keys[1]));
    }
}
