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
        // Answers may be bounded to less than a guess takes them for.
        low = low.map(|sum| sum + worst.amount.map_or(short_cost, |most| short_cost.min(most)));
        high = high.zip(worst.amount).map(|(sum, most)| sum + most);
    }
    if let Some(ceiling) = spec.max_cost_usd {
        low = low.map(|sum| sum.min(ceiling));
        // A run whose prices are known ends at its ceiling also where nobody knows how much its models may say.
        high = if unpriced_models.is_empty() { Some(high.map_or(ceiling, |sum| sum.min(ceiling))) } else { None };
    }
    Estimate { calls, low_usd: low, high_usd: high, unpriced_models, prices_date: prices.date().to_owned() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::run::NewRun;

    /// Two models, of one of which nobody knows how much it says.
    fn prices() -> Prices {
        let table = "provider,model,input_per_million,output_per_million,cached_input_per_million,context_window,max_output\n\
                     sandbox,echo,1,2,0.1,128000,4096\nsandbox,endless,1,2,0.1,128000,\n";
        Prices::parse(table, "2026-11-20").unwrap()
    }

    fn of(body: Value) -> Estimate {
        let prices = prices();
        estimate(&serde_json::from_value::<NewRun>(body).unwrap().compile(&prices).unwrap(), &prices)
    }

    #[test]
    fn a_ceiling_bounds_both_ends_also_of_models_that_nothing_else_bounds() {
        let body =
            |ceiling: Option<&str>| json!({"prompt": "hi", "models": ["sandbox/endless"], "max_cost_usd": ceiling});
        let ends = |estimate: Estimate| [estimate.low_usd, estimate.high_usd].map(|end| end.map(|usd| usd.to_string()));
        let [low, high] = ends(of(body(None)));
        assert!(low.is_some() && high.is_none(), "{low:?} {high:?}");
        assert_eq!(ends(of(body(Some("0.000001")))), [Some("0.000001".to_owned()), Some("0.000001".to_owned())]);
        assert_eq!(ends(of(body(Some("1")))), [low, Some("1".to_owned())]);
    }

    proptest! {
        #[test]
        fn the_low_end_is_never_above_the_high_one(
            most in prop::option::of(1_u32..400),
            judge_most in prop::option::of(1_u32..400),
            ceiling in prop::option::of(1_i64..10_000_000_000),
            iterations in 1_u32..4,
            prompt in ".{1,40}",
            endless in any::<bool>(),
            strategy in prop::sample::select(vec!["merge", "concatenation", "sections"]),
        ) {
            let judge = json!({"model": "sandbox/echo", "max_output_tokens": judge_most});
            let mut body = json!({
                "prompt": format!("x{prompt}").replace('\0', ""), "iterations": iterations, "max_output_tokens": most,
                "models": ["sandbox/echo", if endless { "sandbox/endless" } else { "sandbox/echo" }],
                "stages": {"evaluate": {"judges": [judge]}, "pairwise": {}, "review": {},
                    "combine": {"strategy": strategy}, "final_pairwise": {}},
            });
            if strategy == "merge" {
                body["stages"]["combine"]["models"] = json!([judge]);
            }
            if let Some(pico) = ceiling {
                body["max_cost_usd"] = json!(Usd::from_pico(pico).to_string());
            }
            let estimate = of(body);
            let low = estimate.low_usd.unwrap();
            prop_assert_eq!(estimate.high_usd.is_some(), ceiling.is_some() || most.is_some() || !endless);
            prop_assert!(estimate.high_usd.is_none_or(|high| low <= high), "{:?}", estimate);
        }
    }
}
