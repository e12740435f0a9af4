//! How the page names answers: by a number and a name, and by how a text was made of several.

use std::collections::HashMap;

use acm2_domain::judged::{CandidateName, Judging};
use acm2_domain::stages::{CombineStrategy, GENERATE};

/// The answers of a subject by their keys. On the page an answer is a number and a name.
#[derive(Debug)]
pub(super) struct Answers<'a> {
    candidates: &'a [CandidateName],
    places: HashMap<&'a str, usize>,
    /// How many answers there are of a model and a stage.
    twins: HashMap<(&'a str, &'a str), usize>,
    combine: Option<CombineStrategy>,
}

impl<'a> Answers<'a> {
    /// Of a subject of a run that combines answers in this way.
    pub(super) fn of(judging: &'a Judging, combine: Option<CombineStrategy>) -> Self {
        let candidates = judging.candidates.as_slice();
        let mut twins = HashMap::new();
        for candidate in candidates {
            *twins.entry((&*candidate.model, &*candidate.stage)).or_insert(0) += 1;
        }
        let places = candidates.iter().enumerate().map(|(at, candidate)| (&*candidate.task_key, at));
        Self { candidates, places: places.collect(), twins, combine }
    }

    /// Its number, from 1; 0 for a key that is none of theirs.
    pub(super) fn number(&self, key: &str) -> usize {
        self.places.get(key).map_or(0, |at| at + 1)
    }

    /// Its name: the model, how it was made where it was made of others, and the iteration where the model was asked several times.
    pub(super) fn name(&self, key: &str) -> String {
        let Some(candidate) = self.places.get(key).and_then(|at| self.candidates.get(*at)) else {
            return key.to_owned();
        };
        let twins = self.twins.get(&(&*candidate.model, &*candidate.stage)).copied().unwrap_or_default();
        let is_combined = candidate.stage != GENERATE;
        let made = if is_combined { format!(" ({})", made(self.combine)) } else { String::new() };
        // Texts that are made of others are made once by each model that is named, and a model may be named twice.
        let again =
            if twins > 1 && !is_combined { format!(", iteration {}", candidate.iteration) } else { String::new() };
        format!("{}{made}{again}", candidate.model)
    }

    /// Its number and its name.
    pub(super) fn label(&self, key: &str) -> String {
        match self.number(key) {
            0 => key.to_owned(),
            number => format!("{number}: {}", self.name(key)),
        }
    }

    /// A sentence in which keys stand for answers, with their numbers and names in place of these.
    pub(super) fn told(&self, note: &str) -> String {
        let word = |word: &str| match self.number(word) {
            0 => word.to_owned(),
            number => format!("answer {number} ({})", self.name(word)),
        };
        note.split(' ').map(word).collect::<Vec<String>>().join(" ")
    }

    /// All keys, in order.
    pub(super) fn keys(&self) -> impl Iterator<Item = &'a str> {
        self.candidates.iter().map(|candidate| &*candidate.task_key)
    }
}

/// How a text was made of several.
const fn made(combine: Option<CombineStrategy>) -> &'static str {
    match combine {
        Some(CombineStrategy::Merge) => "merged",
        Some(CombineStrategy::Synthesis) => "chair's synthesis",
        Some(CombineStrategy::BestOf) => "best of",
        Some(CombineStrategy::Sections) => "sections",
        Some(CombineStrategy::Concatenation) => "concatenated",
        None => "combined",
    }
}
