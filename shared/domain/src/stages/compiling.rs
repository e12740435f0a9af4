//! What a stage needs to compile its settings: the rest of the request, the library, the prices, and where errors go.

use crate::criteria::{Criterion, check_criteria};
use crate::error::FieldError;
use crate::ids::CriteriaSetId;
use crate::prices::Prices;
use crate::run::{Material, ModelChoice, ModelSpec};

use super::NewStages;

const MAX_JUDGES: usize = 20;
const MAX_INSTRUCTIONS: usize = 100_000;
/// What a judge may say where nobody has set a limit: its reasoning counts too.
const JUDGE_OUTPUT_TOKENS: u32 = 16_384;

/// Who answers in a run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Answering<'a> {
    /// The run's models.
    pub(crate) models: &'a [ModelSpec],
    /// How many answers compete for each subject.
    pub(crate) drafts: usize,
    /// The most tokens that an answer of the run may have.
    pub(crate) max_output_tokens: Option<u32>,
    /// Whether a preset may bring what is not here.
    pub(crate) open: bool,
}

/// Compiles the stages of one run.
pub struct Compiling<'a> {
    /// All settings as asked: some stand in for those of other stages.
    pub asked: &'a NewStages,
    /// The run's models.
    pub models: &'a [ModelSpec],
    /// How many answers compete for each subject.
    pub drafts: usize,
    /// The most tokens that an answer of the run may have.
    pub max_output_tokens: Option<u32>,
    /// Whether a preset may bring what is not here.
    pub(crate) open: bool,
    pub(crate) prices: &'a Prices,
    /// `None` where the library was not looked into.
    pub(crate) material: Option<&'a Material>,
    pub(crate) errors: &'a mut Vec<FieldError>,
    /// Where the settings of the present stage stand.
    pub(crate) at: String,
}

impl Compiling<'_> {
    /// Notes what is wrong; `place` is below the settings of the stage, such as `/judges`, or empty.
    pub fn wrong(&mut self, place: &str, detail: impl Into<String>) {
        self.errors.push(FieldError::new(format!("{}{place}", self.at), detail));
    }

    /// The models that judge: 1 to 20.
    pub fn judges(&mut self, place: &str, choices: &[ModelChoice]) -> Vec<ModelSpec> {
        self.models(place, choices, Some(JUDGE_OUTPUT_TOKENS))
    }

    /// The models that judge, or those of `evaluate` where none is named.
    pub fn judges_or_those_of_evaluate(&mut self, choices: &[ModelChoice]) -> Vec<ModelSpec> {
        match self.asked.evaluate.get() {
            Some(evaluate) if choices.is_empty() => {
                self.quietly(|compiling| compiling.judges("/judges", &evaluate.judges))
            }
            // A preset may bring the stage.
            None if choices.is_empty() && self.open => Vec::new(),
            None if choices.is_empty() => {
                let detail = format!(
                    "are missing: name 1 to {MAX_JUDGES} models, or have the stage evaluate, whose judges are taken"
                );
                self.wrong("/judges", detail);
                Vec::new()
            }
            _ => self.judges("/judges", choices),
        }
    }

    /// Compiles settings of another stage: what is wrong with them is told at their own place.
    pub fn quietly<T>(&mut self, compile: impl FnOnce(&mut Self) -> T) -> T {
        let before = self.errors.len();
        let compiled = compile(self);
        self.errors.truncate(before);
        compiled
    }

    /// The models that judge, or those of the run, each once, where none is named.
    pub fn judges_or_those_of_the_run(&mut self, place: &str, choices: &[ModelChoice]) -> Vec<ModelSpec> {
        if !choices.is_empty() {
            return self.judges(place, choices);
        }
        let mut judges: Vec<ModelSpec> = Vec::new();
        for model in self.models {
            // What an answer may have at most is not what a judge needs.
            let judge = model.with_usual_limit(Some(JUDGE_OUTPUT_TOKENS), self.prices);
            if !judges.contains(&judge) {
                judges.push(judge);
            }
        }
        if judges.len() > MAX_JUDGES {
            self.wrong(
                place,
                format!("must name 1 to {MAX_JUDGES} models: all of the run would judge, and it has more"),
            );
        }
        judges
    }

    /// The models that write texts as the run's models do: 1 to 20.
    pub fn writers(&mut self, place: &str, choices: &[ModelChoice]) -> Vec<ModelSpec> {
        self.models(place, choices, self.max_output_tokens)
    }

    /// Whether fewer answers compete than a stage needs. Not where a preset may bring more models.
    pub fn lacks(&self, needed: usize) -> bool {
        self.drafts < needed && !self.open
    }

    /// Models of a stage: 1 to 20.
    pub fn models(&mut self, place: &str, choices: &[ModelChoice], max_output_tokens: Option<u32>) -> Vec<ModelSpec> {
        if choices.is_empty() || choices.len() > MAX_JUDGES {
            self.wrong(place, format!("must name 1 to {MAX_JUDGES} models"));
        }
        let resolve = |(index, choice): (usize, &ModelChoice)| {
            let pointer = format!("{}{place}/{index}", self.at);
            let model = choice.resolve(&pointer, max_output_tokens, self.prices, self.errors)?;
            let is_asked_for = choice.max_output_tokens.is_some();
            Some(if is_asked_for { model } else { model.with_usual_limit(max_output_tokens, self.prices) })
        };
        choices.iter().take(MAX_JUDGES).enumerate().filter_map(resolve).collect()
    }

    /// A number in its range, or what stands for it.
    pub fn number(&mut self, place: &str, value: Option<u32>, least: u32, most: u32, usual: u32) -> u32 {
        if value.is_some_and(|value| !(least..=most).contains(&value)) {
            self.wrong(place, format!("must be from {least} to {most}"));
        }
        value.unwrap_or(usual)
    }

    /// Instructions of the tenant.
    pub fn instructions(&mut self, given: Option<&String>) -> Option<String> {
        let text = given?;
        if text.trim().is_empty() || text.len() > MAX_INSTRUCTIONS || text.contains('\0') {
            let detail = format!("must have 1 to {MAX_INSTRUCTIONS} bytes, none of them U+0000");
            self.wrong("/instructions", detail);
        }
        Some(text.clone())
    }

    /// The criteria: those given, or those of a set, or the usual ones.
    pub fn criteria(&mut self, given: &[Criterion], set: Option<CriteriaSetId>) -> Vec<Criterion> {
        if !given.is_empty() {
            let pointer = format!("{}/criteria", self.at);
            check_criteria(self.errors, &pointer, given);
            if set.is_some() {
                self.wrong("/criteria_set_id", "give one of criteria and criteria_set_id");
            }
            return given.to_vec();
        }
        let Some(set) = set else { return crate::criteria::usual() };
        let Some(material) = self.material else { return Vec::new() };
        let Some(criteria) = material.criteria_sets.get(&set) else {
            self.wrong("/criteria_set_id", "there is no such criteria set");
            return Vec::new();
        };
        criteria.clone()
    }
}
