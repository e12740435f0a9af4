//! What holds for any judgements: no order in which they are handed in plays a part, the two ways to a winner agree, and no
//! figure is broken.

use std::collections::BTreeMap;

use acm2_domain::judged::{Detail, GivenRanking, GivenScores, GivenVote, Judgements, Judging, winner};
use acm2_domain::judged::{RankingJudgements, ScoreJudgements, VoteJudgements};
use acm2_domain::judging::Scored;
use acm2_domain::ranking::votes::Orders;
use proptest::prelude::*;

use super::panel::{candidates, competing, criteria, judges};
use crate::ranking::panels;

const CRITERIA: [(&str, f64); 3] = [("depth", 2.0), ("style", 1.0), ("facts", 0.5)];

/// The same judgements as the stages would hand them in.
fn handed_in(table: &panels::Judgements, count: u32) -> Judgements {
    let mut sheets: BTreeMap<_, Vec<Scored>> = BTreeMap::new();
    for row in &table.scores {
        let scores = sheets.entry((row.candidate, row.judge, row.iteration)).or_default();
        let criterion = CRITERIA[row.criterion.0 as usize].0.to_owned();
        let scored = row.score.map(|score| Scored { criterion, score: score.get(), reason: format!("{row:?}") });
        scores.extend(scored);
    }
    let sheet = |((candidate, judge, iteration), scores): (_, Vec<Scored>)| GivenScores {
        candidate,
        judge,
        iteration,
        task_key: format!("{candidate:?} {judge:?} {iteration}"),
        scores: (!scores.is_empty()).then_some(scores),
    };
    let vote = |vote: &acm2_domain::ranking::votes::Vote| GivenVote {
        vote: *vote,
        task_key: format!("{vote:?}"),
        reason: vote.choice.map(|choice| format!("{choice:?}")),
    };
    let ranking = |ranking: &acm2_domain::ranking::rankings::Ranking| GivenRanking {
        ranking: ranking.clone(),
        task_key: format!("{ranking:?}"),
    };
    let votes = || table.votes.iter().map(vote).collect();
    Judgements {
        document: None,
        candidates: candidates(count),
        evaluate: Some(ScoreJudgements {
            judges: judges(),
            criteria: criteria(&CRITERIA),
            competing: competing(count),
            given: sheets.into_iter().map(sheet).collect(),
        }),
        pairwise: Some(VoteJudgements {
            judges: judges(),
            orders: Orders::Both,
            competing: competing(count),
            given: votes(),
            lacking: 0,
            unjudged: 0,
        }),
        review: Some(RankingJudgements {
            reviewers: judges(),
            competing: competing(count),
            given: table.rankings.iter().map(ranking).collect(),
        }),
        final_pairwise: Some(VoteJudgements {
            judges: judges(),
            orders: Orders::Single,
            competing: Vec::new(),
            given: Vec::new(),
            lacking: 0,
            unjudged: 0,
        }),
    }
}

fn reordered(mut judgements: Judgements, turn: usize) -> Judgements {
    fn turned<T>(items: &mut [T], turn: usize) {
        items.reverse();
        let by = turn % items.len().max(1);
        items.rotate_left(by);
    }
    if let Some(scores) = &mut judgements.evaluate {
        turned(&mut scores.competing, turn);
        turned(&mut scores.given, turn);
        scores.given.iter_mut().flat_map(|given| &mut given.scores).for_each(|scores| scores.reverse());
    }
    for votes in [&mut judgements.pairwise, &mut judgements.final_pairwise].into_iter().flatten() {
        turned(&mut votes.competing, turn);
        turned(&mut votes.given, turn);
    }
    if let Some(reviews) = &mut judgements.review {
        turned(&mut reviews.competing, turn);
        turned(&mut reviews.given, turn);
    }
    judgements
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_order_of_input_gives_the_same_view(table in panels::judgements(0..5), seed: u64, turn in 0_usize..1_000) {
        let judgements = handed_in(&table, 5);
        let view = Judging::of(&judgements, Detail::ALL).unwrap();
        let shuffled = handed_in(&table.shuffled(seed), 5);
        prop_assert_eq!(&Judging::of(&shuffled, Detail::ALL).unwrap(), &view);
        prop_assert_eq!(&Judging::of(&reordered(judgements, turn), Detail::ALL).unwrap(), &view);
    }

    #[test]
    fn the_cheap_winner_is_the_winner_of_the_view(table in panels::judgements(0..5)) {
        let judgements = handed_in(&table, 5);
        let cheap = winner(&judgements);
        let whole = Judging::of(&judgements, Detail::ANSWER).unwrap().winner;
        prop_assert_eq!(
            cheap.map(|winner| (winner.task_key, winner.model, winner.basis)),
            whole.map(|winner| (winner.task_key, winner.model, winner.basis))
        );
    }

    #[test]
    fn no_figure_is_broken_and_counts_add_up(table in panels::judgements(0..5)) {
        let view = Judging::of(&handed_in(&table, 5), Detail::ALL).unwrap();
        let text = format!("{view:?}");
        prop_assert!(!text.contains("NaN") && !text.contains("inf"), "{}", text);
        let scores = view.evaluate.unwrap();
        let of_answers: usize = scores.leaderboard.iter().map(|place| place.coverage.missing).sum();
        let of_judges: usize = scores.judges.iter().map(|judge| judge.coverage.missing).sum();
        prop_assert_eq!((of_answers, of_judges), (scores.coverage.missing, scores.coverage.missing));
        prop_assert_eq!(scores.coverage.note.is_some(), scores.coverage.missing > 0);
    }
}
