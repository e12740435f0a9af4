//! A task that is known before the run starts, and what it may cost: its prompt is known but for the answers that it will read.

use super::title;
use crate::call::CallSize;
use crate::journal::TaskKey;
use crate::prices::{Prices, WorstCase, worst_case_of};
use crate::research::prompt;
use crate::run::{ModelSpec, RunSpec};
use crate::stages::GENERATE;

/// Who answers where no model is asked.
pub const NO_MODEL: &str = "acm2";
/// A guess takes answers of this many tokens.
pub(crate) const SHORT_ANSWER: u64 = 200;
/// So many tokens of its own a reader makes at most of one token of a writer: their tokenizers differ.
const TOKENS_READ_PER_TOKEN_WRITTEN: u64 = 2;

/// A task that a stage will settle.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannedTask<'a> {
    /// Its key.
    pub key: TaskKey,
    /// The stage that it belongs to.
    pub stage: &'static str,
    /// Whether what it answers is a text that people asked for, beside what is said about such texts.
    pub is_result: bool,
    /// Which of the run's documents it is about, where the run has any.
    pub document_index: Option<usize>,
    /// Who is asked; `None` where no model is.
    pub model: Option<&'a ModelSpec>,
    /// Counted from 1.
    pub iteration: u32,
    /// How much it says, without the answers that it reads.
    pub size: CallSize,
    /// How many answers of the run it reads; a text that is put together of several counts as these.
    pub reads: u32,
    /// What it says more where it is asked once more, because its answer is not what it must be; `None` where it never is.
    pub repair: Option<CallSize>,
}

/// What the answers of a run can be, for those who read them.
#[derive(Debug, Clone, Copy)]
pub struct Reading {
    /// The most tokens that one answer is to a reader; `None` where nobody knows.
    most: Option<u64>,
}

impl Reading {
    /// That of the run: any of its results may be read.
    pub fn of(spec: &RunSpec, tasks: &[PlannedTask<'_>], prices: &Prices) -> Self {
        // Answers that are there already are as long as they are, whatever their models may say.
        let are_there = |task: &&PlannedTask<'_>| task.stage == GENERATE && spec.longest_answer.is_some();
        let mut writers: Vec<&ModelSpec> = spec.models.iter().filter(|_| spec.longest_answer.is_none()).collect();
        let results = tasks.iter().filter(|task| task.is_result && !are_there(task));
        writers.extend(results.filter_map(|task| task.model));
        // A chair reads what reviewers say.
        writers.extend(spec.stages.review.iter().flat_map(|review| &review.reviewers));
        let most_of = |model: &ModelSpec| {
            let price = prices.find(&model.provider, &model.model);
            worst_case_of(CallSize { bytes: 0, messages: 0 }, model.max_output_tokens, price).output_tokens
        };
        let most = writers.into_iter().map(most_of).try_fold(0, |most, limit| limit.map(|limit| most.max(limit)));
        // A report ends with a list of its sources, which no limit of a model bounds.
        let more = spec.research.as_ref().map_or(0, |research| prompt::overhead::sources(research.most_pages()));
        let read = |most: u64| (most + more).saturating_mul(TOKENS_READ_PER_TOKEN_WRITTEN);
        // A byte is a token at most.
        Self { most: most.map(|most| read(most).max(spec.longest_answer.unwrap_or(0))) }
    }
}

impl PlannedTask<'_> {
    /// Whether it answers what people asked: a run in which no such task has an answer has failed.
    pub fn is_answer(&self) -> bool {
        self.is_result && self.stage != title::NAME
    }

    /// The worst case of the call that it begins with; nothing where no model is asked.
    pub fn most(&self, reading: Reading, prices: &Prices) -> Option<WorstCase> {
        self.most_of(self.size, reading, prices)
    }

    /// The worst case of any of its calls: of the one that asks once more, where it is asked so.
    pub fn most_of_any_call(&self, reading: Reading, prices: &Prices) -> Option<WorstCase> {
        let CallSize { bytes, messages } = self.repair.unwrap_or(CallSize { bytes: 0, messages: 0 });
        let size = CallSize { bytes: self.size.bytes + bytes, messages: self.size.messages + messages };
        self.most_of(size, reading, prices)
    }

    fn most_of(&self, size: CallSize, reading: Reading, prices: &Prices) -> Option<WorstCase> {
        let model = self.model?;
        let price = prices.find(&model.provider, &model.model);
        let read = reading.most.map(|most| most.saturating_mul(u64::from(self.reads)));
        let read = if self.reads == 0 { Some(0) } else { read };
        // A byte is a token at most, so that many bytes are as many tokens.
        let size = CallSize { bytes: size.bytes.saturating_add(read.unwrap_or(0)), ..size };
        let worst = worst_case_of(size, model.max_output_tokens, price);
        Some(if read.is_some() { worst } else { WorstCase { amount: None, ..worst } })
    }

    /// A fair guess at the tokens that it says.
    pub fn input_tokens_about(&self) -> u64 {
        self.size.input_tokens_about() + SHORT_ANSWER * u64::from(self.reads)
    }
}
