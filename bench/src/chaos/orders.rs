//! What tenants ask for: the runs of the load, by chance that depends on the seed. `load` submits them.

use rand::Rng as _;
use rand::rngs::StdRng;
use serde_json::{Value, json};

use super::models::{BESIDE, PRICED, UNPRICED};
use super::records::{Customer, Stage, Submission};

/// Words of a long prompt. The sandbox knows no limit of an answer, so what a call really costs must stay below what is reserved
/// for its prompt alone: every byte counts there as a token, and that holds up to some 90 words.
const WORDS: usize = 60;
/// Answers are a little longer than prompts; the limit that is asked for leaves room for that and for little more, so that what is
/// reserved and what is spent lie close together.
const ANSWER: usize = 80;

/// One run that is to be submitted.
#[derive(Debug)]
pub(super) struct Order {
    pub(super) submission: Submission,
    pub(super) body: Value,
}

/// A run of the steady load.
pub(super) fn usual(name: String, customers: &[Customer], hook: &str, random: &mut StdRng) -> Order {
    let tenant = random.random_range(0..customers.len());
    let api_key = any_key(&customers[tenant], random);
    let has_budget = customers[tenant].has_budget || api_key.is_some();
    let has_ceiling = random.random_bool(0.3);
    let is_long = random.random_bool(0.5);
    let models = models(has_budget || has_ceiling, random);
    let prompt = format!("Say {name}{}", if is_long { " a".repeat(WORDS) } else { String::new() });
    let mut body = json!({"prompt": prompt, "models": models,
        "iterations": random.random_range(1..=2), "concurrency": random.random_range(1..=4),
        "metadata": {"bench": name}});
    if has_ceiling {
        let cents = if has_budget { random.random_range(5..=25) } else { 5 };
        body["max_cost_usd"] = json!(format!("0.{cents:02}"));
    }
    if has_budget || is_long {
        // Without it the worst case of a run is hundreds of times what it costs.
        body["max_output_tokens"] = json!(ANSWER);
        body["max_retries"] = json!(random.random_range(0..=2));
    }
    if random.random_bool(0.25) {
        body["priority"] = json!(if random.random_bool(0.5) { "high" } else { "low" });
    }
    if random.random_bool(0.25) {
        body["on_in_doubt"] = json!("fail");
    }
    let has_url = random.random_bool(0.3);
    if has_url {
        body["webhook_url"] = json!(hook);
    }
    let is_idempotent = random.random_bool(0.6);
    Order { submission: Submission { name, tenant, api_key, is_idempotent, has_url, stage: Stage::Sent }, body }
}

/// A run that meets a fault of the provider, beside a model that answers.
pub(super) fn unlucky(name: String, tenant: usize, failing: &[&str], random: &mut StdRng) -> Order {
    let mut models: Vec<&str> = failing.to_vec();
    models.push(BESIDE);
    // A hanging call ends by its time-out, and is tried once more unless the run wants none of that.
    let mut body = json!({"prompt": name, "models": models, "timeout_seconds": 2, "max_retries": 1,
        "max_output_tokens": ANSWER, "metadata": {"bench": name}});
    if random.random_bool(0.3) {
        body["on_in_doubt"] = json!("fail");
    }
    let submission =
        Submission { name, tenant, api_key: None, is_idempotent: true, has_url: false, stage: Stage::Sent };
    Order { submission, body }
}

/// One of the keys that have budgets of their own, those of the small ones more often, or none of them.
fn any_key(customer: &Customer, random: &mut StdRng) -> Option<usize> {
    let keys = customer.bounded_keys.len();
    (keys > 0 && random.random_bool(0.6)).then(|| random.random_range(0..keys).min(random.random_range(0..keys)))
}

fn models(priced_only: bool, random: &mut StdRng) -> Vec<&'static str> {
    let known: Vec<&str> = if priced_only { PRICED.to_vec() } else { PRICED.into_iter().chain(UNPRICED).collect() };
    (0..random.random_range(1..=3)).map(|_| known[random.random_range(0..known.len())]).collect()
}

#[cfg(test)]
mod tests {
    use super::super::records::BoundedKey;
    use super::super::schedule;
    use super::*;
    use crate::place::house::Tenant;

    fn customers() -> Vec<Customer> {
        let customer = |has_budget, keys| Customer {
            tenant: Tenant { id: String::new(), key: String::new() },
            provider_keys: Vec::new(),
            has_budget,
            bounded_keys: vec![BoundedKey { id: String::new(), key: String::new() }; keys],
        };
        vec![customer(false, 0), customer(true, 0), customer(false, 3)]
    }

    fn orders() -> Vec<Order> {
        let order = |number| usual(format!("load-{number}"), &customers(), "", &mut schedule::random(1, number));
        (0..1_000).map(order).collect()
    }

    #[test]
    fn where_a_budget_applies_every_model_has_a_price() {
        let bounded =
            orders().into_iter().filter(|order| order.submission.tenant == 1 || order.submission.api_key.is_some());
        let mut count = 0;
        for order in bounded {
            let models: Vec<&str> = order.body["models"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
            assert!(models.iter().all(|model| PRICED.contains(model)), "{models:?}");
            count += 1;
        }
        assert!(count > 400, "{count}");
    }

    #[test]
    fn every_wish_comes_with_and_without_every_other() {
        let has = |order: &Order, name: &str| order.body.get(name).is_some();
        let wishes = ["max_cost_usd", "priority", "on_in_doubt"];
        for (one, other) in [(0, 1), (0, 2), (1, 2)] {
            for (with, and) in [(true, true), (true, false), (false, true), (false, false)] {
                let both = |order: &Order| has(order, wishes[one]) == with && has(order, wishes[other]) == and;
                assert!(orders().iter().any(both), "{} {with}, {} {and}", wishes[one], wishes[other]);
            }
        }
        assert!(orders().iter().any(|order| order.submission.api_key == Some(2)));
    }
}
