//! What a run would take, before it starts.

use crate::image::ImageSpec;
use crate::money::Usd;
use crate::prices::Prices;
use crate::run::{Estimate, RunSpec};
use crate::stages::{self, Reading, SHORT_ANSWER};

/// Counts the calls of a run and bounds their cost.
pub fn estimate(spec: &RunSpec, prices: &Prices) -> Estimate {
    let tasks = stages::to_do(spec);
    let reading = Reading::of(spec, &tasks, prices);
    let (mut calls, mut low, mut high) = (0, Some(Usd::ZERO), Some(Usd::ZERO));
    let mut unpriced_models: Vec<String> = Vec::new();
    for task in &tasks {
        let (Some(model), Some(worst)) = (task.model, task.most(reading, prices)) else { continue };
        calls += 1;
        let price = prices.find(&model.provider, &model.model);
        let Some((price, output)) = price.and_then(|price| Some((price, price.output_of(spec.image)?))) else {
            if !unpriced_models.contains(&model.full_name()) {
                unpriced_models.push(model.full_name());
            }
            low = None;
            high = None;
            continue;
        };
        let short = spec.image.map_or(SHORT_ANSWER, ImageSpec::output_tokens_at_least);
        let short = worst.output_tokens.map_or(short, |most| most.min(short));
        let short_cost =
            Usd::of_tokens(task.input_tokens_about(), price.input) + Usd::of_tokens(short, output) + price.of_request();
        low = low.map(|sum| sum + short_cost);
        high = high.zip(worst.amount).map(|(sum, most)| sum + most);
    }
    if let (Some(sum), Some(ceiling)) = (high, spec.max_cost_usd) {
        high = Some(sum.min(ceiling));
    }
    Estimate { calls, low_usd: low, high_usd: high, unpriced_models, prices_date: prices.date().to_owned() }
}
