//! What tokens cost: a table that ships as data with its date, which the operator may replace. Base tier only, so a cost
//! from here is an estimate; a cost that the provider reports wins. An unknown model has no price, never a price of 0.

use std::collections::HashMap;

use rust_decimal::Decimal;

use crate::call::{Answer, Cost, CostSource, Usage};
use crate::money::Usd;

const BUILT_IN: &str = include_str!("2026-11-20.csv");
const BUILT_IN_DATE: &str = "2026-11-20";
const HEADER: &str =
    "provider,model,input_per_million,output_per_million,cached_input_per_million,context_window,max_output";

/// The price of one model, in USD for a million tokens, and its limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Price {
    /// The provider's slug.
    pub provider: String,
    /// The provider's own name of the model.
    pub model: String,
    /// Input tokens.
    pub input: Decimal,
    /// Output tokens, reasoning included.
    pub output: Decimal,
    /// Input tokens read from the cache; the input price where the table has none.
    pub cached_input: Decimal,
    /// The most input tokens.
    pub context_window: Option<u64>,
    /// The most output tokens.
    pub max_output: Option<u64>,
}

impl Price {
    /// What a usage costs. Writing to the cache is charged as input at one and a quarter, the highest base factor in use.
    pub fn of(&self, usage: Usage) -> Usd {
        let plain =
            usage.input_tokens.saturating_sub(usage.cached_input_tokens).saturating_sub(usage.cache_write_tokens);
        let cache_write = self.input * Decimal::new(125, 2);
        Usd::of_tokens(plain, self.input)
            + Usd::of_tokens(usage.cached_input_tokens, self.cached_input)
            + Usd::of_tokens(usage.cache_write_tokens, cache_write)
            + Usd::of_tokens(usage.output_tokens, self.output)
    }

    /// What a call costs at most.
    pub fn at_most(&self, input_tokens: u64, output_tokens: u64) -> Usd {
        Usd::of_tokens(input_tokens, self.input * Decimal::new(125, 2)) + Usd::of_tokens(output_tokens, self.output)
    }

    /// How many output tokens `money` buys after `input_tokens` were paid for; `None` where not even one fits.
    pub fn output_tokens_for(&self, money: Usd, input_tokens: u64) -> Option<u64> {
        let left = money - self.at_most(input_tokens, 0);
        if left <= Usd::ZERO {
            return None;
        }
        if self.output.is_zero() {
            return Some(u64::MAX);
        }
        let tokens = (left.decimal() * Decimal::from(1_000_000) / self.output).floor();
        u64::try_from(tokens).ok().filter(|tokens| *tokens > 0)
    }
}

/// A price table that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of the price table: {reason}")]
pub struct PriceTableError {
    /// Counted from 1.
    pub line: usize,
    /// What is wrong there.
    pub reason: String,
}

/// All known prices.
#[derive(Debug, Clone, Default)]
pub struct Prices {
    date: String,
    rows: Vec<Price>,
    by_name: HashMap<(String, String), usize>,
}

impl Prices {
    /// The table that ships with the program.
    #[expect(clippy::expect_used, reason = "the table is compiled in and a test reads it")]
    pub fn built_in() -> Self {
        Self::parse(BUILT_IN, BUILT_IN_DATE).expect("the built-in price table is well-formed")
    }

    /// Reads a table in the built-in one's form: CSV without quotes, `date` being the day that the prices held.
    pub fn parse(csv: &str, date: &str) -> Result<Self, PriceTableError> {
        let mut prices = Self { date: date.to_owned(), ..Self::default() };
        for (index, line) in csv.lines().enumerate() {
            let error = |reason: String| PriceTableError { line: index + 1, reason };
            if index == 0 {
                if line.trim() != HEADER {
                    return Err(error(format!("the header must be {HEADER}")));
                }
                continue;
            }
            if line.trim().is_empty() {
                continue;
            }
            let price = parse_row(line).map_err(error)?;
            let name = (price.provider.clone(), price.model.clone());
            if prices.by_name.insert(name, prices.rows.len()).is_some() {
                return Err(error(format!("{}/{} stands there twice", price.provider, price.model)));
            }
            prices.rows.push(price);
        }
        Ok(prices)
    }

    /// The day that the prices held, `YYYY-MM-DD`.
    pub fn date(&self) -> &str {
        &self.date
    }

    /// All rows, in the table's order.
    pub fn rows(&self) -> &[Price] {
        &self.rows
    }

    /// The price of a model, if known. A dated name (`…-2026-01-31`, `…-20260131`) has the price of the undated one.
    pub fn find(&self, provider: &str, model: &str) -> Option<&Price> {
        let row = |model: &str| self.by_name.get(&(provider.to_owned(), model.to_owned())).map(|row| &self.rows[*row]);
        row(model).or_else(|| undated(model).and_then(row))
    }

    /// What an answered call cost: what the provider reports, else usage times price, else unknown.
    pub fn cost(&self, provider: &str, model: &str, answer: &Answer) -> Cost {
        if let Some(amount) = answer.reported_cost.and_then(Usd::from_decimal) {
            return Cost { amount: Some(amount), source: CostSource::Reported };
        }
        match (answer.usage, self.find(provider, model)) {
            (Some(usage), Some(price)) => Cost { amount: Some(price.of(usage)), source: CostSource::Estimated },
            _ => Cost::UNKNOWN,
        }
    }
}

fn undated(model: &str) -> Option<&str> {
    let digits = |text: &str, count: usize| text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    let (head, day) = model.rsplit_once('-')?;
    if digits(day, 8) {
        return Some(head);
    }
    let (head, month) = head.rsplit_once('-')?;
    let (head, year) = head.rsplit_once('-')?;
    (digits(day, 2) && digits(month, 2) && digits(year, 4)).then_some(head)
}

fn parse_row(line: &str) -> Result<Price, String> {
    let cells: Vec<&str> = line.split(',').map(str::trim).collect();
    let [provider, model, input, output, cached_input, context_window, max_output] = cells[..] else {
        return Err(format!("{} cells instead of 7", cells.len()));
    };
    let money = |name: &str, cell: &str| {
        let amount = Decimal::from_str_exact(cell).map_err(|_| format!("{name} is not a number"))?;
        if amount.is_sign_negative() { Err(format!("{name} is negative")) } else { Ok(amount) }
    };
    let count = |name: &str, cell: &str| match cell {
        "" => Ok(None),
        digits => digits.parse().map(Some).map_err(|_| format!("{name} is not a whole number")),
    };
    let input = money("input_per_million", input)?;
    Ok(Price {
        provider: provider.to_owned(),
        model: model.to_owned(),
        input,
        output: money("output_per_million", output)?,
        cached_input: if cached_input.is_empty() { input } else { money("cached_input_per_million", cached_input)? },
        context_window: count("context_window", context_window)?,
        max_output: count("max_output", max_output)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::providers::find_provider;

    #[test]
    fn the_built_in_table_names_only_known_providers() {
        for row in Prices::built_in().rows() {
            assert!(find_provider(&row.provider).is_some(), "{}", row.provider);
        }
    }

    #[test]
    fn a_dated_model_has_the_price_of_the_undated_one() {
        let prices = Prices::built_in();
        let plain = prices.find("openai", "gpt-4o").unwrap();
        assert_eq!(prices.find("openai", "gpt-4o-2024-08-06"), Some(plain));
        assert_eq!(prices.find("openai", "gpt-4o-20240806"), Some(plain));
        assert_eq!(prices.find("openai", "gpt-4o-latest"), None);
    }

    #[test]
    fn cached_and_plain_input_have_their_own_prices() {
        let prices = Prices::built_in();
        let price = prices.find("openai", "gpt-4o").unwrap();
        let usage = Usage { input_tokens: 1_000, cached_input_tokens: 400, output_tokens: 100, ..Usage::default() };
        assert_eq!(price.of(usage).to_string(), "0.003");
    }

    #[test]
    fn a_broken_table_names_the_line() {
        let table = format!("{HEADER}\nopenai,x,1,2,,,\nopenai,y,one,2,,,");
        assert_eq!(Prices::parse(&table, "2026-01-01").unwrap_err().line, 3);
    }
}
