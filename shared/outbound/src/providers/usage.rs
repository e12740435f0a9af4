//! Usage and reported cost, from the fields of the providers to the neutral ones: the parts are contained in the totals. Used by the wire files.

use std::str::FromStr;

use acm2_domain::call::Usage;
use rust_decimal::Decimal;
use serde_json::Value;

/// Makes the parts fit into the totals, whatever a provider has counted.
pub(super) fn consistent(usage: Usage) -> Usage {
    let reasoning = usage.reasoning_tokens.min(usage.output_tokens);
    let cached = usage.cached_input_tokens.min(usage.input_tokens);
    Usage {
        cached_input_tokens: cached,
        cache_write_tokens: usage.cache_write_tokens.min(usage.input_tokens - cached),
        reasoning_tokens: reasoning,
        image_tokens: usage.image_tokens.min(usage.output_tokens - reasoning),
        ..usage
    }
}

/// A cost in USD that an answer's usage reports (OpenRouter: `cost`, and with a key of the user's own at the model's provider,
/// `cost` is the fee and `cost_details.upstream_inference_cost` what that provider charges).
pub(super) fn reported_cost(usage: &Value) -> Option<Decimal> {
    let cost = amount(&usage["cost"])?;
    let upstream = match usage["is_byok"].as_bool() {
        Some(true) => amount(&usage["cost_details"]["upstream_inference_cost"])?,
        _ => Decimal::ZERO,
    };
    cost.checked_add(upstream)
}

/// An amount that is not negative, as a number or a text.
pub(super) fn amount(value: &Value) -> Option<Decimal> {
    let text = match value {
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        _ => return None,
    };
    let amount = Decimal::from_str(&text).or_else(|_| Decimal::from_scientific(&text)).ok()?;
    (!amount.is_sign_negative() || amount.is_zero()).then_some(amount)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_cost_is_read_from_numbers_and_texts() {
        for (cost, amount) in [
            (json!(0.00014), Some("0.00014")),
            (json!(1.4e-7), Some("0.00000014")),
            (json!("0.5"), Some("0.5")),
            (json!(0), Some("0")),
            (json!(-1), None),
            (json!(null), None),
            (json!("free"), None),
        ] {
            let expected = amount.map(|text| Decimal::from_str(text).unwrap());
            assert_eq!(reported_cost(&json!({"cost": cost})), expected, "{cost}");
        }
    }

    #[test]
    fn with_a_key_of_ones_own_the_fee_and_the_providers_charge_are_added() {
        let usage = |upstream: Value| json!({"cost": 0.01, "is_byok": true, "cost_details": {"upstream_inference_cost": upstream}});
        assert_eq!(reported_cost(&usage(json!(0.2))), Some(Decimal::new(21, 2)));
        assert_eq!(reported_cost(&usage(Value::Null)), None, "the charge is unknown, and a fee alone is not the cost");
    }

    #[test]
    fn parts_never_exceed_their_totals() {
        let usage = consistent(Usage {
            input_tokens: 10,
            cached_input_tokens: 8,
            cache_write_tokens: 8,
            output_tokens: 5,
            reasoning_tokens: 3,
            image_tokens: 9,
        });
        assert_eq!((usage.cached_input_tokens, usage.cache_write_tokens), (8, 2));
        assert_eq!((usage.reasoning_tokens, usage.image_tokens), (3, 2));
    }
}
