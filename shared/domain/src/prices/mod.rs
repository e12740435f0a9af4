//! What tokens, images and searches of the web cost: a table that ships as data with its date, which the operator may replace. Base
//! tier only, so a cost from here is an estimate; a cost that the provider reports wins. An unknown model has no price, never a
//! price of 0.

mod table;
mod worst_case;

use std::collections::HashMap;

use chrono::{Datelike, NaiveDate};
use rust_decimal::Decimal;

use crate::call::{Answer, Cost, CostSource, Usage};
use crate::image::ImageSpec;
use crate::money::Usd;

use table::{more_columns, parse_row};
pub use worst_case::{WorstCase, worst_case, worst_case_of};

const BUILT_IN: &str = include_str!("2026-11-20.csv");
const BUILT_IN_DATE: &str = "2026-11-20";

/// The most that one call can cost, 400 USD: far above any real call. What comes out above it is a mistake or a lie of the
/// server, so the cost is unknown. The 10,000 tasks that a run can have, each with an answer that cannot be used before the one
/// that can, stay below 9.2 million USD, where sums of costs end.
pub const MOST_OF_ONE_CALL: Usd = Usd::from_pico(400_000_000_000_000);

/// The years in which a dated name of a model may stand for the undated one.
const YEARS: std::ops::RangeInclusive<i32> = 2023..=2030;

/// The price of one model, in USD for a million tokens and for a request, and its limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Price {
    /// The provider's slug.
    pub provider: String,
    /// The provider's own name of the model.
    pub model: String,
    /// Input tokens.
    pub input: Decimal,
    /// Output tokens, reasoning included and images not.
    pub output: Decimal,
    /// Output tokens that images take; `None` where the model makes none, or their price is not known.
    pub image_output: Option<Decimal>,
    /// Input tokens read from the cache; the input price where the table has none.
    pub cached_input: Decimal,
    /// A request, whatever its tokens: 0 but for a search.
    pub request: Decimal,
    /// The most input tokens.
    pub context_window: Option<u64>,
    /// The most output tokens.
    pub max_output: Option<u64>,
}

impl Price {
    /// What a usage costs; `None` where it has images whose price is not known. Writing to the cache is charged as input at one
    /// and a quarter, the highest base factor in use.
    pub fn of(&self, usage: Usage) -> Option<Usd> {
        let images = match (usage.image_tokens, self.image_output) {
            (0, _) => Usd::ZERO,
            (tokens, price) => Usd::of_tokens(tokens, price?),
        };
        let plain =
            usage.input_tokens.saturating_sub(usage.cached_input_tokens).saturating_sub(usage.cache_write_tokens);
        let cache_write = self.input * Decimal::new(125, 2);
        let texts = usage.output_tokens.saturating_sub(usage.image_tokens);
        Some(
            Usd::of_tokens(plain, self.input)
                + Usd::of_tokens(usage.cached_input_tokens, self.cached_input)
                + Usd::of_tokens(usage.cache_write_tokens, cache_write)
                + Usd::of_tokens(texts, self.output)
                + images
                + self.of_request(),
        )
    }

    /// What a request costs before its tokens.
    pub fn of_request(&self) -> Usd {
        Usd::from_decimal(self.request).unwrap_or(Usd::MAX)
    }

    /// The price of the output that is wanted: of a text, or of an image. `None` where that is not known.
    pub fn output_of(&self, image: Option<ImageSpec>) -> Option<Decimal> {
        match image {
            Some(_) => self.image_output,
            None => Some(self.output),
        }
    }

    /// The price of an output token that may be of an image.
    fn dearest_output(&self) -> Decimal {
        self.image_output.map_or(self.output, |image| image.max(self.output))
    }

    /// What a call costs at most.
    pub fn at_most(&self, input_tokens: u64, output_tokens: u64) -> Usd {
        Usd::of_tokens(input_tokens, self.input * Decimal::new(125, 2))
            + Usd::of_tokens(output_tokens, self.dearest_output())
            + self.of_request()
    }

    /// How many output tokens `money` buys after `input_tokens` were paid for; `None` where not even one fits.
    pub fn output_tokens_for(&self, money: Usd, input_tokens: u64) -> Option<u64> {
        let left = money - self.at_most(input_tokens, 0);
        if left < Usd::ZERO {
            return None;
        }
        // `None` divides by zero or is more than can be said: then the money is no limit.
        let tokens = left
            .decimal()
            .checked_mul(Decimal::from(1_000_000))
            .and_then(|left| left.checked_div(self.dearest_output()));
        let tokens = tokens.map_or(u64::MAX, |tokens| u64::try_from(tokens.floor()).unwrap_or(u64::MAX));
        (tokens > 0).then_some(tokens)
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

    /// Reads a table in the built-in one's form: CSV without quotes, `date` being the day that the prices held. The columns
    /// behind the usual ones may be left out.
    pub fn parse(csv: &str, date: &str) -> Result<Self, PriceTableError> {
        let mut prices = Self { date: date.to_owned(), ..Self::default() };
        let mut more = Vec::new();
        for (index, line) in csv.lines().enumerate() {
            let error = |reason: String| PriceTableError { line: index + 1, reason };
            if index == 0 {
                more = more_columns(line).map_err(error)?;
                continue;
            }
            if line.trim().is_empty() {
                continue;
            }
            let price = parse_row(line, &more).map_err(error)?;
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

    /// The price of a model for an ESTIMATE, if known. A name that ends in a date (`…-2026-01-31`, `…-20260131`) and has no row
    /// has the price of the undated one, which may be another: a ceiling must not rest on it, see [`Self::find_exact`].
    pub fn find(&self, provider: &str, model: &str) -> Option<&Price> {
        self.find_exact(provider, model)
            .or_else(|| undated(model).and_then(|undated| self.find_exact(provider, undated)))
    }

    /// The price of the model of exactly this name, if the table has it. The only one that a ceiling may rest on.
    pub fn find_exact(&self, provider: &str, model: &str) -> Option<&Price> {
        self.by_name.get(&(provider.to_owned(), model.to_owned())).map(|row| &self.rows[*row])
    }

    /// What an answered call cost: what the provider reports, else usage times price, else unknown. Unknown too where that is
    /// more than [`MOST_OF_ONE_CALL`].
    pub fn cost(&self, provider: &str, model: &str, answer: &Answer) -> Cost {
        let (amount, source) = match (answer.reported_cost, answer.usage, self.find(provider, model)) {
            (Some(reported), ..) => (Usd::from_decimal(reported), CostSource::Reported),
            (None, Some(usage), Some(price)) => (price.of(usage), CostSource::Estimated),
            _ => (None, CostSource::Unknown),
        };
        match amount.filter(|amount| *amount <= MOST_OF_ONE_CALL) {
            Some(amount) => Cost { amount: Some(amount), source },
            None => Cost::UNKNOWN,
        }
    }
}

/// The name without the day of the calendar at its end; `None` where there is none.
fn undated(model: &str) -> Option<&str> {
    // The length is checked, because chrono takes `2024-8-6` too.
    let ends_in_day = |length: usize, format: &str| {
        let (head, day) = model.split_at_checked(model.len().checked_sub(length)?)?;
        let digits = day.bytes().filter(u8::is_ascii_digit).count() == 8;
        let day = NaiveDate::parse_from_str(day, format).ok().filter(|_| digits)?;
        if YEARS.contains(&day.year()) { head.strip_suffix('-') } else { None }
    };
    ends_in_day(8, "%Y%m%d").or_else(|| ends_in_day(10, "%Y-%m-%d")).filter(|head| !head.is_empty())
}

#[cfg(test)]
mod tests {
    use super::table::HEADER;
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
    fn only_a_day_of_the_calendar_is_a_date() {
        let prices = Prices::built_in();
        for end in [
            "-99999999",
            "-20240230",
            "-20221231",
            "-20310101",
            "-00000000",
            "-2024-13-01",
            "-2024-02-30",
            "-2022-12-31",
            "-2024-8-06",
            "-2024-0806",
            "20240806",
            "-2024-08-06-",
            "-２０２４0806",
            "-20240806-20240806",
            "-+2024-8-6",
        ] {
            assert_eq!(prices.find("openai", &format!("gpt-4o{end}")), None, "{end}");
        }
        assert_eq!(prices.find("openai", "-20240806"), None);
    }

    #[test]
    fn an_exact_price_is_of_that_name_only() {
        let prices = Prices::built_in();
        assert_eq!(prices.find_exact("openai", "gpt-4o"), prices.find("openai", "gpt-4o"));
        assert_eq!(prices.find_exact("openai", "gpt-4o-20240806"), None);
    }

    fn answer(usage: Option<Usage>, reported_cost: Option<Decimal>) -> Answer {
        Answer {
            text: String::new(),
            artifacts: Vec::new(),
            finish_reason: crate::call::FinishReason::Stop,
            usage,
            reported_cost,
            provider_model: None,
            provider_request_id: None,
            latency: std::time::Duration::ZERO,
            rates: None,
        }
    }

    #[test]
    fn a_cost_that_no_call_has_is_unknown() {
        let prices = Prices::built_in();
        let cost = |usage, reported: Option<&str>| {
            let reported = reported.map(|text| Decimal::from_str_exact(text).unwrap());
            prices.cost("openai", "gpt-4o", &answer(usage, reported))
        };
        let fair = Usage { input_tokens: 1_000, ..Usage::default() };
        let absurd = Usage { input_tokens: u64::MAX, output_tokens: u64::MAX, ..Usage::default() };
        assert_eq!(cost(Some(fair), Some("400")).amount, Some(MOST_OF_ONE_CALL));
        assert_eq!(cost(Some(fair), Some("400.000000000001")), Cost::UNKNOWN);
        // More than any `Usd` can say.
        assert_eq!(cost(Some(fair), Some("79228162514264337593543950335")), Cost::UNKNOWN);
        assert_eq!(cost(Some(absurd), None), Cost::UNKNOWN);
        assert_eq!(cost(Some(fair), None).source, CostSource::Estimated);
        assert_eq!(cost(None, None), Cost::UNKNOWN);
    }

    #[test]
    fn prices_at_the_edges_do_not_overflow() {
        let table = |price: &str| format!("{HEADER}\nopenai,x,{price},{price},,,");
        assert_eq!(Prices::parse(&table("1000001"), "2026-01-01").unwrap_err().line, 2);
        for price in ["0", "0.0000000000000000000000000001", "1000000"] {
            let prices = Prices::parse(&table(price), "2026-01-01").unwrap();
            let row = prices.find_exact("openai", "x").unwrap();
            row.at_most(u64::MAX, u64::MAX);
            assert!(row.output_tokens_for(Usd::MAX, 1).is_some(), "{price}");
        }
    }

    #[test]
    fn cached_and_plain_input_have_their_own_prices() {
        let prices = Prices::built_in();
        let price = prices.find("openai", "gpt-4o").unwrap();
        let usage = Usage { input_tokens: 1_000, cached_input_tokens: 400, output_tokens: 100, ..Usage::default() };
        assert_eq!(price.of(usage).unwrap().to_string(), "0.003");
    }

    #[test]
    fn images_have_a_price_of_their_own_or_an_unknown_cost() {
        let table = |header: &str, row: &str| Prices::parse(&format!("{HEADER}{header}\n{row}"), "2026-01-01");
        let prices =
            table(",image_output_per_million", "openai,x,1,2,,,,30\nopenai,y,1,2,,,\nopenai,z,1,2,,,,").unwrap();
        let usage = Usage { input_tokens: 10, output_tokens: 1_100, image_tokens: 1_000, ..Usage::default() };
        let cost = |model| prices.cost("openai", model, &answer(Some(usage), None));
        assert_eq!(cost("x").amount.unwrap().to_string(), "0.03021");
        assert_eq!((cost("y"), cost("z")), (Cost::UNKNOWN, Cost::UNKNOWN));
        assert_eq!(prices.find_exact("openai", "x").unwrap().at_most(0, 1_000).to_string(), "0.03");
        assert_eq!(table("", "openai,x,1,2,,,,30").unwrap_err().line, 2);
        assert_eq!(table(",other", "openai,x,1,2,,,,30").unwrap_err().line, 1);
    }

    #[test]
    fn a_request_of_a_search_has_a_price_and_no_tokens() {
        let prices = Prices::built_in();
        let search = prices.find("tavily", "search").unwrap();
        assert_eq!(search.of(Usage::default()).unwrap().to_string(), "0.008");
        assert_eq!(search.at_most(1_000, 0), search.of_request());
        // Money that is just enough is enough.
        assert!(search.output_tokens_for(search.of_request(), 1_000).is_some());
        assert_eq!(search.output_tokens_for(search.of_request() - Usd::from_pico(1), 0), None);
    }

    #[test]
    fn a_broken_table_names_the_line() {
        let table = format!("{HEADER}\nopenai,x,1,2,,,\nopenai,y,one,2,,,");
        assert_eq!(Prices::parse(&table, "2026-01-01").unwrap_err().line, 3);
    }
}
