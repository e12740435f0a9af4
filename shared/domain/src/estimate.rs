//! What a run would take, before it starts.

use crate::money::Usd;
use crate::prices::{Prices, worst_case_of};
use crate::run::{Estimate, RunSpec};
use crate::stages;

/// The low guess takes answers of this many tokens.
const SHORT_ANSWER: u64 = 200;

/// Counts the calls of a run and bounds their cost.
pub fn estimate(spec: &RunSpec, prices: &Prices) -> Estimate {
    let tasks = stages::plan(spec);
    let mut low = Some(Usd::ZERO);
    let mut high = Some(Usd::ZERO);
    let mut unpriced_models: Vec<String> = Vec::new();
    for task in &tasks {
        let model = &spec.models[task.model_index];
        let Some(price) = prices.find(&model.provider, &model.model) else {
            if !unpriced_models.contains(&model.full_name()) {
                unpriced_models.push(model.full_name());
            }
            low = None;
            high = None;
            continue;
        };
        let size = spec.call_size(task.document_index.map(|index| &spec.documents[index]));
        let worst = worst_case_of(size, model.max_output_tokens, Some(price));
        let short = SHORT_ANSWER.min(worst.output_tokens.unwrap_or(SHORT_ANSWER));
        let short_cost = Usd::of_tokens(size.input_tokens_about(), price.input) + Usd::of_tokens(short, price.output);
        low = low.map(|sum| sum + short_cost);
        high = high.zip(worst.amount).map(|(sum, most)| sum + most);
    }
    if let (Some(sum), Some(ceiling)) = (high, spec.max_cost_usd) {
        high = Some(sum.min(ceiling));
    }
    Estimate {
        calls: u32::try_from(tasks.len()).unwrap_or(u32::MAX),
        low_usd: low,
        high_usd: high,
        unpriced_models,
        prices_date: prices.date().to_owned(),
    }
}
