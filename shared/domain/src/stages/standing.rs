//! How the answers to a subject stand by all that was said of them so far, for the stages that go on with the best.

use super::subject::{Draft, Find, Subject};
use super::{generate, review};
use crate::ranking::bradley_terry::{self, Options};
use crate::ranking::cascade::{self, Evidence};
use crate::ranking::leaderboard::Leaderboard;
use crate::ranking::votes::VoteTable;
use crate::ranking::{means, positions};
use crate::run::RunSpec;

/// The answers that have been written, best first: by pairwise > review > mean score, as the winner of a run is found. Those of whom
/// nothing tells which is better stand in the order of the run's list.
pub(super) fn best_first<'a>(spec: &RunSpec, subject: Subject, drafts: &[Draft<'a>], find: Find<'_>) -> Vec<Draft<'a>> {
    let mut written: Vec<Draft<'a>> = drafts.iter().filter(|draft| find(&draft.key, None).is_some()).cloned().collect();
    let evidence = evidence(spec, subject, drafts, find);
    written.sort_by_cached_key(|draft| cascade::standing(&evidence, draft.candidate));
    written
}

/// The answer to a subject that people are given where they are given one. By the final comparison where there are votes of it;
/// else the first text that was made of the answers, else the best of these.
pub fn chosen<'a>(spec: &'a RunSpec, subject: Subject, find: Find<'_>) -> Option<Draft<'a>> {
    let drafts = generate::drafts(spec, subject);
    let combined = spec.stages.combine.as_ref().map(|combine| combine.drafts(spec, subject)).unwrap_or_default();
    let mut evidence = evidence(spec, subject, &drafts, find);
    let by_last_votes = spec.stages.final_pairwise.as_ref().and_then(|last| {
        let votes = last.votes(spec, subject, &last.slots(spec, subject, find), find);
        Some(by_votes(&last.versus.table(&votes)?))
    });
    evidence.final_pairwise = by_last_votes.unwrap_or_default();
    let is_written = |draft: &Draft<'_>| find(&draft.key, None).is_some();
    if evidence.final_pairwise.is_empty()
        && let Some(draft) = combined.iter().find(|draft| is_written(draft))
    {
        return Some(draft.clone());
    }
    let written = drafts.into_iter().chain(combined).filter(is_written);
    written.min_by_key(|draft| cascade::standing(&evidence, draft.candidate))
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
