//! How the answers to a subject stand by all that was said of them so far: for the stages that go on with the best, and for the
//! final answer.

use super::heard::named;
use super::subject::{Draft, Find, Subject};
use super::{combine, generate, review};
use crate::judged::CandidateName;
use crate::ranking::bradley_terry::{self, Options};
use crate::ranking::cascade::{self, Evidence};
use crate::ranking::leaderboard::Leaderboard;
use crate::ranking::votes::VoteTable;
use crate::ranking::{means, positions};
use crate::run::{FinalAnswer, RunSpec};

/// The answers that have been written, best first: by pairwise > review > mean score, as the winner of a run is found. Those of whom
/// nothing tells which is better stand in the order of the run's list.
pub(super) fn best_first<'a>(spec: &RunSpec, subject: Subject, drafts: &[Draft<'a>], find: Find<'_>) -> Vec<Draft<'a>> {
    let mut written: Vec<Draft<'a>> = drafts.iter().filter(|draft| find(&draft.key, None).is_some()).cloned().collect();
    let evidence = evidence(spec, subject, drafts, find);
    written.sort_by_cached_key(|draft| cascade::standing(&evidence, draft.candidate));
    written
}

/// The answer to a subject that callers are to use: a conversation goes on with it, and views name it. By the final comparison where
/// there are votes of it; else the first text that was made of the answers, else the best of these. A blank text is none, and an
/// image is no text.
pub fn final_answer(spec: &RunSpec, subject: Subject, find: Find<'_>) -> Option<FinalAnswer> {
    let written = Written::of(spec, subject, find);
    written.unjudged(spec).or_else(|| written.judged(spec, subject, find))
}

/// The same where nothing that judges said is needed to tell, so that it is not read; `None` where it is.
pub fn unjudged_final_answer(spec: &RunSpec, subject: Subject, find: Find<'_>) -> Option<FinalAnswer> {
    Written::of(spec, subject, find).unjudged(spec)
}

/// The texts of a subject that have been written.
struct Written<'a> {
    answers: Vec<Draft<'a>>,
    combined: Vec<Draft<'a>>,
}

impl<'a> Written<'a> {
    fn of(spec: &'a RunSpec, subject: Subject, find: Find<'_>) -> Self {
        let is_written = |draft: &Draft<'_>| {
            spec.image.is_none() && find(&draft.key, None).is_some_and(|text| !text.trim().is_empty())
        };
        let combined = spec.stages.combine.as_ref().map(|combine| combine.drafts(spec, subject)).unwrap_or_default();
        Self {
            answers: generate::drafts(spec, subject).into_iter().filter(is_written).collect(),
            combined: combined.into_iter().filter(is_written).collect(),
        }
    }

    fn unjudged(&self, spec: &RunSpec) -> Option<FinalAnswer> {
        let stages = &spec.stages;
        let is_judged = stages.evaluate.is_some() || stages.pairwise.is_some() || stages.review.is_some();
        match (&*self.answers, &*self.combined) {
            (_, [first, ..]) if stages.final_pairwise.is_none() => Some(combined(first)),
            ([only], []) => Some(generated(only)),
            ([first, ..], []) if !is_judged => Some(generated(first)),
            _ => None,
        }
    }

    fn judged(&self, spec: &RunSpec, subject: Subject, find: Find<'_>) -> Option<FinalAnswer> {
        let mut evidence = evidence(spec, subject, &generate::drafts(spec, subject), find);
        let by_last_votes = spec.stages.final_pairwise.as_ref().and_then(|last| {
            let votes = last.votes(spec, subject, &last.slots(spec, subject, find), find);
            Some(by_votes(&last.versus.table(&votes)?))
        });
        evidence.final_pairwise = by_last_votes.unwrap_or_default();
        let first_combined = self.combined.first().filter(|_| evidence.final_pairwise.is_empty());
        if let Some(first) = first_combined {
            return Some(combined(first));
        }
        let answers = self.answers.iter().map(|draft| (draft.candidate, generated(draft)));
        let texts = answers.chain(self.combined.iter().map(|draft| (draft.candidate, combined(draft))));
        texts.min_by_key(|(candidate, _)| cascade::standing(&evidence, *candidate)).map(|(_, answer)| answer)
    }
}

fn generated(draft: &Draft<'_>) -> FinalAnswer {
    from_stage(generate::NAME, draft)
}

fn combined(draft: &Draft<'_>) -> FinalAnswer {
    from_stage(combine::NAME, draft)
}

fn from_stage(stage: &str, draft: &Draft<'_>) -> FinalAnswer {
    let CandidateName { task_key, model, stage, .. } = named(stage, draft);
    FinalAnswer { task_key, model, stage }
}

/// By strength; how sure it is plays no part.
fn by_votes(table: &VoteTable) -> Leaderboard {
    Leaderboard::by_votes(&bradley_terry::rate(table, &Options { samples: 0, ..Options::default() }))
}

/// What the stages before have found.
fn evidence(spec: &RunSpec, subject: Subject, drafts: &[Draft<'_>], find: Find<'_>) -> Evidence {
    let stages = &spec.stages;
    let mean_score = stages.evaluate.as_ref().map(|evaluate| {
        let table = evaluate.table(&evaluate.scores(spec, subject, find));
        Leaderboard::by_mean(&means::by_candidate(&table, &evaluate.weights()))
    });
    let pairwise = stages.pairwise.as_ref().and_then(|pairwise| {
        let slots = pairwise.slots(spec, subject, drafts, find);
        Some(by_votes(&pairwise.versus.table(&pairwise.votes(spec, subject, &slots, find))?))
    });
    let review = stages.review.as_ref().map(|review| {
        let table = review::table(&review.reviews(spec, subject, find));
        Leaderboard::by_review(&positions::of(&table))
    });
    Evidence {
        final_pairwise: Leaderboard::default(),
        pairwise: pairwise.unwrap_or_default(),
        review: review.unwrap_or_default(),
        mean_score: mean_score.unwrap_or_default(),
    }
}
