//! The worst case of one call: what is reserved before it is made, and the upper end of an estimate. Called by `estimate` and by
//! the worker; knows nothing of ceilings.

use super::Price;
use crate::call::{Call, CallSize};
use crate::money::Usd;

/// What a call takes at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorstCase {
    /// The most output tokens: the caller's limit or the model's, whichever is less; `None` where neither is known.
    pub output_tokens: Option<u64>,
    /// What that costs; `None` where the price or the most output is not known.
    pub amount: Option<Usd>,
}

/// The worst case of a call to a model at its price.
pub fn worst_case(call: &Call, price: Option<&Price>) -> WorstCase {
    let price = price.filter(|price| price.output_of(call.image).is_some());
    worst_case_of(call.size(), call.max_output_tokens, price)
}

/// The same of a call that says so much and may be answered with so many tokens.
pub fn worst_case_of(size: CallSize, max_output_tokens: Option<u32>, price: Option<&Price>) -> WorstCase {
    let own_limit = max_output_tokens.map(u64::from);
    let output_tokens = own_limit.into_iter().chain(price.and_then(|price| price.max_output)).min();
    let amount = price.zip(output_tokens).map(|(price, output)| price.at_most(size.input_tokens_at_most(), output));
    WorstCase { output_tokens, amount }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rust_decimal::Decimal;

    use super::*;
    use crate::call::{Message, Role, Sampling};
    use crate::image::ImageSpec;
    use crate::judging::Expectation;

    fn call(max_output_tokens: Option<u32>) -> Call {
        Call {
            provider: "openai".to_owned(),
            model: "x".to_owned(),
            provider_key: None,
            system: None,
            messages: vec![Message { role: Role::User, content: "x".repeat(968) }],
            sampling: Sampling::default(),
            max_output_tokens,
            timeout: Duration::from_secs(1),
            max_retries: 0,
            expects: None,
            question: None,
            image: None,
        }
    }

    fn price(max_output: Option<u64>) -> Price {
        Price {
            provider: "openai".to_owned(),
            model: "x".to_owned(),
            input: Decimal::from(4),
            output: Decimal::from(10),
            image_output: None,
            cached_input: Decimal::ONE,
            request: Decimal::ZERO,
            context_window: None,
            max_output,
        }
    }

    #[test]
    fn the_lower_limit_of_the_output_counts() {
        for (asked, model, most) in
            [(Some(100), Some(300), Some(100)), (Some(300), Some(100), Some(100)), (None, Some(7), Some(7))]
        {
            assert_eq!(worst_case(&call(asked), Some(&price(model))).output_tokens, most);
        }
        assert_eq!(worst_case(&call(Some(5)), None), WorstCase { output_tokens: Some(5), amount: None });
        assert_eq!(worst_case(&call(None), Some(&price(None))), WorstCase { output_tokens: None, amount: None });
    }

    #[test]
    fn the_schema_of_the_answer_counts_as_a_part_of_the_prompt() {
        let judging = Call { expects: Some(Expectation::Preference), ..call(Some(100)) };
        let schema = Expectation::Preference.schema().to_string().len() as u64;
        assert_eq!(judging.input_tokens_at_most(), call(Some(100)).input_tokens_at_most() + schema);
    }

    #[test]
    fn an_image_is_worth_its_own_price_or_an_unknown_one() {
        let image = Call { image: Some(ImageSpec::default()), ..call(Some(100)) };
        assert_eq!(worst_case(&image, Some(&price(None))).amount, None);
        let price = Price { image_output: Some(Decimal::from(30)), ..price(None) };
        // 1,000 tokens at 5 USD, 100 tokens at 30 USD for a million.
        assert_eq!(worst_case(&image, Some(&price)).amount.unwrap().to_string(), "0.008");
    }

    #[test]
    fn every_byte_is_a_token_that_is_written_to_the_cache() {
        // 968 bytes and 32 tokens of frame at 5 USD, 100 tokens at 10 USD for a million.
        let amount = worst_case(&call(Some(100)), Some(&price(None))).amount.unwrap();
        assert_eq!(amount.to_string(), "0.006");
    }
}
