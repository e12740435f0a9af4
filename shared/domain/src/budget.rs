//! Budgets: what the runs of a tenant, or of one of its API keys, may cost in a day or a month. Here is when a period begins and
//! what a run reserves; who holds the sums is `store`.

use chrono::{DateTime, Datelike, Days, Months, NaiveDate, NaiveTime, Utc};
use serde::{Deserialize, Serialize};

use crate::error::{Error, FieldError, Kind};
use crate::money::Usd;
use crate::prices::Prices;
use crate::run::{ModelSpec, RunSpec};
use crate::stages::{self, PlannedTask, Reading};

/// The highest limit of a budget, 1,000,000 USD: sums of money end at about nine times as much.
pub const HIGHEST_LIMIT: Usd = Usd::from_pico(1_000_000_000_000_000_000);

/// For how long a budget counts before it starts anew. Days and months are those of UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Enum), oai(rename_all = "snake_case"))]
pub enum BudgetPeriod {
    /// A day of UTC.
    Day,
    /// A month of UTC.
    Month,
}

impl BudgetPeriod {
    /// The word that stands in databases and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Month => "month",
        }
    }

    /// When the period began that `now` is in.
    pub fn starts_at(self, now: DateTime<Utc>) -> DateTime<Utc> {
        midnight(self.first_day(now))
    }

    /// When the period ends that `now` is in, and the next one begins.
    pub fn resets_at(self, now: DateTime<Utc>) -> DateTime<Utc> {
        let first = self.first_day(now);
        let next = match self {
            Self::Day => first.checked_add_days(Days::new(1)),
            Self::Month => first.checked_add_months(Months::new(1)),
        };
        midnight(next.unwrap_or(NaiveDate::MAX))
    }

    fn first_day(self, now: DateTime<Utc>) -> NaiveDate {
        let day = now.date_naive();
        match self {
            Self::Day => day,
            Self::Month => day.with_day(1).unwrap_or(day),
        }
    }
}

fn midnight(day: NaiveDate) -> DateTime<Utc> {
    day.and_time(NaiveTime::MIN).and_utc()
}

/// What a run reserves in each budget that applies to it: what its ceiling leaves after what it has `consumed`, or without a
/// ceiling the worst case of the tasks that it is yet to do. A new run has consumed nothing and does all that it plans.
///
/// # Errors
/// `price_unknown` and `cost_unbounded`, with the place of each model.
pub fn reservation(spec: &RunSpec, tasks: &[PlannedTask<'_>], consumed: Usd, prices: &Prices) -> Result<Usd, Error> {
    let (who, way_out) = ("a budget applies, and a run under a budget", "a budget applies, so name another model");
    spec.require_prices(prices, who, way_out)?;
    match spec.max_cost_usd {
        Some(ceiling) => Ok(Ord::max(ceiling - consumed, Usd::ZERO)),
        None => most_of(spec, tasks, prices),
    }
}

/// What these tasks of a run cost at most, where every try that a task may take reaches the provider and is charged.
fn most_of(spec: &RunSpec, tasks: &[PlannedTask<'_>], prices: &Prices) -> Result<Usd, Error> {
    // Read in the whole run: a task that is left may read answers that are there.
    let reading = Reading::of(spec, &stages::plan(spec), prices);
    let mut unbounded: Vec<&ModelSpec> = Vec::new();
    let mut sum = Usd::ZERO;
    for task in tasks {
        let (Some(model), Some(first)) = (task.model, task.most(reading, prices)) else { continue };
        let any = task.most_of_any_call(reading, prices).and_then(|worst| worst.amount);
        let Some((first, any)) = first.amount.zip(any) else {
            if !unbounded.contains(&model) {
                unbounded.push(model);
            }
            continue;
        };
        sum += Usd::from_pico(any.pico().saturating_mul(i64::from(spec.max_retries) + 1));
        // What asks once more is tried as often as there are retries left, and comes after an answer that is paid for.
        sum += if task.repair.is_some() { first } else { Usd::ZERO };
    }
    if unbounded.is_empty() {
        return Ok(sum);
    }
    let detail =
        "has no known limit of what it says or reads; give max_output_tokens, or max_cost_usd for the whole run";
    let at = |model: &ModelSpec| spec.asked_models().into_iter().find(|(_, asked)| *asked == model);
    let field = |model: &ModelSpec| at(model).map(|(pointer, _)| FieldError::new(pointer, detail));
    let fields = unbounded.into_iter().filter_map(field).collect();
    let detail =
        "a budget applies, and nobody can say what this run costs at most; give max_output_tokens or max_cost_usd";
    Err(Error { fields, ..Error::new(Kind::Invalid, "cost_unbounded", detail) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::CallSize;
    use crate::judging::{Expectation, Reviewing, Scoring};
    use crate::run::{Material, NewRun};
    use crate::stages;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn periods_are_those_of_utc_and_meet_without_a_gap() {
        for (period, now, starts_at, resets_at) in [
            (BudgetPeriod::Day, "2028-02-28T23:59:59.999999Z", "2028-02-28T00:00:00Z", "2028-02-29T00:00:00Z"),
            (BudgetPeriod::Day, "2028-02-29T00:00:00Z", "2028-02-29T00:00:00Z", "2028-03-01T00:00:00Z"),
            (BudgetPeriod::Month, "2026-12-31T23:59:59Z", "2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z"),
            (BudgetPeriod::Month, "2027-01-01T00:00:00Z", "2027-01-01T00:00:00Z", "2027-02-01T00:00:00Z"),
        ] {
            assert_eq!((period.starts_at(at(now)), period.resets_at(at(now))), (at(starts_at), at(resets_at)), "{now}");
        }
        assert_eq!(serde_json::to_value(BudgetPeriod::Month).unwrap(), BudgetPeriod::Month.as_str());
    }

    fn reserve_after(body: serde_json::Value, consumed: Usd) -> Result<Usd, Error> {
        let prices = Prices::parse(
            "provider,model,input_per_million,output_per_million,cached_input_per_million,context_window,max_output\n\
             sandbox,echo,1,2,0.1,128000,4096\nsandbox,fast,1,2,0.1,128000,\n",
            "2026-11-20",
        );
        let prices = prices.unwrap();
        let spec = serde_json::from_value::<NewRun>(body).unwrap().compile(&prices).unwrap();
        reservation(&spec, &stages::plan(&spec), consumed, &prices)
    }

    fn reserve(body: serde_json::Value) -> Result<Usd, Error> {
        reserve_after(body, Usd::ZERO)
    }

    #[test]
    fn a_run_without_a_ceiling_reserves_every_try_of_every_task() {
        let body = serde_json::json!({
            "prompt": "x".repeat(968), "models": ["sandbox/echo", {"model": "sandbox/fast", "max_output_tokens": 96}],
            "iterations": 2, "max_retries": 1,
        });
        // In millionths of a USD: 1,000 tokens of input at 1.25, then 4,096 or 96 of output at 2; two iterations, two tries.
        let millionths = ((1_250 + 8_192) + (1_250 + 192)) * 4;
        assert_eq!(reserve(body).unwrap(), Usd::from_pico(millionths * 1_000_000));
    }

    #[test]
    fn every_document_is_reserved_with_its_own_length() {
        let reserved = |texts: &[usize]| {
            let documents: Vec<_> =
                texts.iter().map(|bytes| serde_json::json!({"name": "a", "text": "x".repeat(*bytes)})).collect();
            let body = serde_json::json!({
                "prompt": "hi", "models": ["sandbox/echo"], "iterations": 2, "max_retries": 0, "documents": documents,
            });
            reserve(body).unwrap().pico()
        };
        let (short, long) = (reserved(&[10]), reserved(&[2_000_010]));
        // 2,000,000 tokens of input more at 1.25 USD a million, in two iterations.
        assert_eq!(long - short, 5_000_000_000_000);
        assert_eq!(reserved(&[10, 2_000_010]), short + long);
    }

    #[test]
    fn a_ceiling_is_reserved_as_far_as_it_is_not_consumed() {
        let body = serde_json::json!({"prompt": "hi", "models": ["sandbox/fast"], "max_cost_usd": "1"});
        assert_eq!(reserve(body.clone()).unwrap().to_string(), "1");
        assert_eq!(reserve_after(body.clone(), "0.4".parse().unwrap()).unwrap().to_string(), "0.6");
        assert_eq!(reserve_after(body, "1.4".parse().unwrap()), Ok(Usd::ZERO));
    }

    #[test]
    fn answers_that_are_there_are_read_as_long_as_they_are() {
        let prices = Prices::parse(
            "provider,model,input_per_million,output_per_million,cached_input_per_million,context_window,max_output\n\
             sandbox,echo,1,2,0.1,128000,4096\nsandbox,fast,1,2,0.1,128000,\n",
            "2026-11-20",
        );
        let prices = prices.unwrap();
        let run = |body: serde_json::Value| serde_json::from_value::<NewRun>(body).unwrap();
        let source = run(serde_json::json!({"prompt": "hi", "models": ["sandbox/fast", "sandbox/echo"]}));
        let source = source.compile(&prices).unwrap();
        let reserved = |longest_answer: Option<u64>| {
            let body = serde_json::json!({
                "answers_of": crate::ids::RunId::generate(), "max_retries": 0,
                "stages": {"evaluate": {"judges": ["sandbox/echo"]}},
            });
            let material = Material { longest_answer, ..Material::default() };
            let spec = run(body).compile_over(&source, &prices, &material).unwrap();
            reservation(&spec, &stages::to_do(&spec), Usd::ZERO, &prices).map(Usd::pico)
        };
        assert_eq!(reserved(None).unwrap_err().code, "cost_unbounded");
        // Two answers, each asked about twice at most, at 1.25 USD for a million bytes.
        assert_eq!(reserved(Some(1_000)).unwrap() - reserved(Some(0)).unwrap(), 2 * 2 * 1_000 * 1_250_000);
    }

    #[test]
    fn asking_once_more_is_reserved_with_the_answer_that_was_of_no_use() {
        let prices = Prices::built_in();
        let run = |body: serde_json::Value| serde_json::from_value::<NewRun>(body).unwrap();
        let source = run(serde_json::json!({"prompt": "hi", "models": ["sandbox/echo", "sandbox/echo"]}));
        let source = source.compile(&prices).unwrap();
        let reserved = |stages: &serde_json::Value, max_retries: u32| {
            let id = crate::ids::RunId::generate();
            let body = serde_json::json!({"answers_of": id, "max_retries": max_retries, "stages": stages});
            let material = Material { longest_answer: Some(10), ..Material::default() };
            let spec = run(body).compile_over(&source, &prices, &material).unwrap();
            reservation(&spec, &stages::to_do(&spec), Usd::ZERO, &prices).unwrap().pico()
        };
        let scores = Expectation::Scores(Scoring { criteria: vec!["wit".to_owned()] });
        for (stages, tasks, expected) in [
            (serde_json::json!({"evaluate": {"judges": ["sandbox/echo"], "criteria": ["wit"]}}), 2, scores),
            (serde_json::json!({"pairwise": {"judges": ["sandbox/echo"]}}), 2, Expectation::Preference),
            (serde_json::json!({"review": {}}), 1, Expectation::Ranking(Reviewing::of(2))),
        ] {
            // Each retry may be one of asking once more, and so is the last try of all.
            let (without, retry) = (reserved(&stages, 0), reserved(&stages, 1) - reserved(&stages, 0));
            let first = without - retry;
            let CallSize { bytes, messages } = expected.repair_size();
            // At 1.25 USD for a million bytes; a message counts as 16.
            let more = i64::try_from(bytes + 16 * messages).unwrap() * 1_250_000;
            assert_eq!((retry - first, bytes > 4_000), (tasks * more, true), "{stages}");
        }
    }

    #[test]
    fn a_vote_on_what_is_put_together_is_reserved_as_long_as_all_of_it() {
        let reserved = |strategy: &str, top_n: u32| {
            let body = serde_json::json!({
                "prompt": "hi", "models": vec!["sandbox/echo"; 4], "max_retries": 0, "stages": {
                    "combine": {"strategy": strategy, "top_n": top_n},
                    "final_pairwise": {"judges": ["sandbox/echo"], "top_n": 1, "both_orders": false},
                },
            });
            reserve(body).unwrap().pico()
        };
        for strategy in ["concatenation", "sections"] {
            // The one vote is asked for twice at most, at 1.25 USD for a million: two answers more, each of 4,096 tokens that
            // are two of the reader's at most, and a rule of seven bytes before each.
            let more = 2 * 2 * (2 * 4_096 + 7) * 1_250_000;
            assert_eq!(reserved(strategy, 4) - reserved(strategy, 2), more, "{strategy}");
        }
    }

    #[test]
    fn what_has_no_worst_case_is_refused_with_its_place() {
        let body = serde_json::json!({"prompt": "hi", "models": ["sandbox/echo", "sandbox/fast"]});
        let error = reserve(body).unwrap_err();
        assert_eq!((error.code, error.fields[0].pointer.as_str()), ("cost_unbounded", "/models/1"));
        let body = serde_json::json!({"prompt": "hi", "models": ["sandbox/echo-20260806"]});
        let error = reserve(body).unwrap_err();
        assert_eq!((error.code, error.fields[0].pointer.as_str()), ("price_unknown", "/models/0"));
    }
}
