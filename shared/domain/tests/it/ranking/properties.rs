//! What holds for any judgements: no order, no numbering and no gap moves a figure that it should not move.

use acm2_domain::ranking::bradley_terry::{self, Options};
use acm2_domain::ranking::cohen::kappa;
use acm2_domain::ranking::kendall::concordance;
use acm2_domain::ranking::krippendorff::{Metric, alpha};
use acm2_domain::ranking::means::CandidateMean;
use acm2_domain::ranking::scores::ScoreRow;
use acm2_domain::ranking::votes::{Choice, Order, Vote};
use acm2_domain::ranking::{Candidate, Interval, Judge, Summary};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::figures::Figures;
use super::panels::{Judgements, Tally, judgements, tallied};

#[test]
fn a_thousand_orders_of_completion_give_one_ranking_to_the_last_bit() {
    let mut runner = TestRunner::deterministic();
    let judgements = judgements(6..7).new_tree(&mut runner).unwrap().current();
    assert!(judgements.votes.len() > 50 && judgements.scores.len() > 50, "the case must be worth shuffling");
    let figures = Figures::of(&judgements).text();
    for seed in 0..1000 {
        let shuffled = judgements.shuffled(seed);
        assert_ne!(shuffled.votes, judgements.votes);
        assert_eq!(Figures::of(&shuffled).text(), figures, "order {seed}");
    }
}

/// All pairs of `n` answers with the counts given, cut to size.
fn tallies(n: u32, counts: &[[u32; 3]]) -> Vec<Tally> {
    let pairs = (0..n).flat_map(|left| (left + 1..n).map(move |right| (left, right)));
    pairs.zip(counts).map(|((left, right), counts)| (left, right, *counts)).collect()
}

fn strengths(tallies: &[Tally]) -> Vec<(Candidate, f64)> {
    let ratings = bradley_terry::rate(&tallied(tallies), &Options { samples: 0, ..Options::default() });
    ratings.rated.iter().filter_map(|row| Some((row.candidate, row.strength?))).collect()
}

fn holds(interval: Interval, value: f64) -> bool {
    interval.low <= value && value <= interval.high
}

fn telling(summary: Option<Summary>) -> bool {
    summary.is_none_or(|summary| summary.interval.is_none_or(|interval| holds(interval, summary.mean)))
}

proptest! {
    #[test]
    fn any_judgements_in_any_order_give_the_same_figures(judgements in judgements(0..6), seed: u64) {
        prop_assert_eq!(Figures::of(&judgements.shuffled(seed)).text(), Figures::of(&judgements).text());
    }

    #[test]
    fn no_figure_is_ever_broken(judgements in judgements(0..6)) {
        let figures = Figures::of(&judgements);
        let text = figures.text();
        prop_assert!(!text.contains("NaN") && !text.contains("inf"), "{}", text);
        for row in figures.ratings.iter().flat_map(|ratings| &ratings.rated) {
            let sound = row.interval.is_none_or(|interval| row.strength.is_some_and(|value| holds(interval, value)));
            prop_assert!(sound, "{:?}", row);
        }
        prop_assert!(figures.means.iter().all(|row| telling(row.score)));
        prop_assert!(figures.positions.iter().all(|row| telling(row.share)));
        let shares: f64 = figures.ratings[0].rated.iter().filter_map(|row| row.first_share).sum();
        prop_assert!(figures.ratings[0].samples == 0 || (shares - 1.0).abs() < 1e-9, "first places add up to {}", shares);
        let elo: f64 = figures.elo.iter().map(|row| row.rating - 1000.0).sum();
        prop_assert!(elo.abs() < 1e-6);
    }

    #[test]
    fn a_missing_score_or_vote_changes_nothing_but_counts(judgements in judgements(2..5), iteration in 7_u32..9) {
        let mut more = judgements.clone();
        // One more iteration of which nothing came, and one more judge that never answered.
        let gaps = |judge: Judge| judgements.scores.iter().filter(move |row| row.judge == judge || judge == Judge(9));
        for judge in [Judge(0), Judge(9)] {
            more.scores.extend(gaps(judge).map(|row| ScoreRow { judge, iteration, score: None, ..*row }));
        }
        more.scores.sort_unstable();
        more.scores.dedup();
        let asked = |vote: &Vote| Vote { iteration, choice: None, ..*vote };
        more.votes.extend(judgements.votes.iter().map(asked).collect::<std::collections::BTreeSet<Vote>>());
        let (before, after) = (Figures::of(&judgements), Figures::of(&more));

        let values = |means: &[CandidateMean]| means.iter().map(|row| (row.candidate, row.score, row.given)).collect::<Vec<_>>();
        prop_assert_eq!(values(&before.means), values(&after.means));
        let missing = |means: &[CandidateMean]| means.iter().map(|row| row.missing).sum::<usize>();
        prop_assert_eq!(missing(&after.means), missing(&before.means) + more.scores.len() - judgements.scores.len());
        prop_assert_eq!(before.agreement.ordinal, after.agreement.ordinal);
        prop_assert_eq!(before.agreement.interval, after.agreement.interval);
        prop_assert_eq!(before.agreement.order, after.agreement.order);
        for row in &before.deviations {
            prop_assert!(after.deviations.contains(row));
        }
        for row in &before.consistency {
            prop_assert!(after.consistency.contains(row));
        }
        prop_assert_eq!(&before.ratings, &after.ratings);
        prop_assert_eq!(&before.elo, &after.elo);
        prop_assert_eq!(&before.win_rates, &after.win_rates);
        prop_assert_eq!(&before.vote_agreement, &after.vote_agreement);
        prop_assert_eq!(&before.vote_deviations, &after.vote_deviations);
        prop_assert_eq!(&before.order_effects, &after.order_effects);
        prop_assert_eq!(&before.winner, &after.winner);
    }

    #[test]
    fn agreement_is_never_more_than_full(
        units in prop::collection::vec(prop::collection::vec(prop::option::of(-3_i32..4), 0..6), 0..12),
        raters in prop::collection::vec(prop::collection::vec(prop::option::weighted(0.95, (0_i32..5).prop_map(f64::from)), 5), 0..5),
        pairs in prop::collection::vec((1_i32..6, 1_i32..6), 0..20),
    ) {
        for metric in [Metric::Nominal, Metric::Ordinal, Metric::Interval] {
            prop_assert!(alpha(&units, metric).is_none_or(|alpha| alpha.alpha.is_finite() && alpha.alpha <= 1.0));
        }
        prop_assert!(concordance(&raters).is_none_or(|found| (0.0..=1.0).contains(&found.w)));
        if let Some(found) = kappa(&pairs) {
            prop_assert!((0.0..=1.0).contains(&found.observed));
            prop_assert!(found.kappa.is_none_or(|kappa| (-1.0..=1.0).contains(&kappa)));
            prop_assert!(found.quadratic.is_none_or(|kappa| kappa.is_finite() && kappa <= 1.0));
        }
    }

    #[test]
    fn a_win_more_lifts_the_winner_over_everyone(
        n in 2_u32..7,
        counts in prop::collection::vec(prop::array::uniform3(0_u32..4), 21),
        chosen in 0_usize..21,
    ) {
        let mut tallies = tallies(n, &counts);
        let chosen = chosen % tallies.len();
        // Everyone has a verdict, so that all have strengths before and after.
        for (.., counts) in &mut tallies {
            counts[2] += 1;
        }
        let before = strengths(&tallies);
        let (winner, loser, _) = tallies[chosen];
        tallies[chosen].2[0] += 1;
        let after = strengths(&tallies);
        let gain = |candidate: u32| after[candidate as usize].1 - before[candidate as usize].1;
        for other in 0..n {
            prop_assert!(gain(winner) >= gain(other) - 1e-9, "{} gains more than {}", other, winner);
            prop_assert!(gain(loser) <= gain(other) + 1e-9, "{} loses more than {}", other, loser);
        }
        prop_assert!(gain(winner) > 0.0 && gain(loser) < 0.0);
    }

    #[test]
    fn another_numbering_of_the_answers_permutes_the_results(
        judgements in judgements(5..6),
        order in Just((0_u32..5).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let renamed = |candidate: Candidate| Candidate(order[candidate.0 as usize]);
        let (before, after) = (Figures::of(&judgements), Figures::of(&renumbered(&judgements, renamed)));

        for row in &before.means {
            let other = after.means.iter().find(|other| other.candidate == renamed(row.candidate)).unwrap();
            prop_assert_eq!((row.score, row.missing), (other.score, other.missing));
        }
        for row in &before.win_rates {
            let other = after.win_rates.iter().find(|other| other.candidate == renamed(row.candidate)).unwrap();
            prop_assert_eq!((row.wins, row.losses, row.ties), (other.wins, other.losses, other.ties));
        }
        for row in &before.ratings[0].rated {
            let other = after.ratings[0].rated.iter().find(|other| other.candidate == renamed(row.candidate)).unwrap();
            prop_assert_eq!(row.strength.is_some(), other.strength.is_some());
            let apart = row.strength.zip(other.strength).map_or(0.0, |(one, other)| (one - other).abs());
            prop_assert!(apart < 1e-9, "{:?} {:?}", row, other);
        }
        for row in &before.positions {
            let other = after.positions.iter().find(|other| other.candidate == renamed(row.candidate)).unwrap();
            prop_assert_eq!((row.share, row.borda), (other.share, other.borda));
        }
        let alpha = |figures: &Figures| figures.agreement.ordinal.map(|alpha| (alpha.alpha * 1e9).round());
        prop_assert_eq!(alpha(&before), alpha(&after));
        let w = |figures: &Figures| figures.order_agreement.map(|found| (found.w * 1e9).round());
        prop_assert_eq!(w(&before), w(&after));
        prop_assert_eq!(&before.vote_deviations, &after.vote_deviations);
        prop_assert_eq!(&before.order_effects, &after.order_effects);
    }
}

/// The same judgements with other positions of the answers. A pair whose answers change sides is the same pair shown the other
/// way round.
fn renumbered(judgements: &Judgements, renamed: impl Fn(Candidate) -> Candidate) -> Judgements {
    let mut other = judgements.clone();
    for row in &mut other.scores {
        row.candidate = renamed(row.candidate);
    }
    for vote in &mut other.votes {
        let (left, right) = (renamed(vote.pair.left()), renamed(vote.pair.right()));
        vote.pair = super::panels::pair(left.0, right.0);
        if left > right {
            vote.order = if vote.order == Order::Forward { Order::Swapped } else { Order::Forward };
        }
    }
    for ranking in &mut other.rankings {
        ranking.order = ranking.order.take().map(|order| order.into_iter().map(&renamed).collect());
    }
    other
}

#[test]
fn a_choice_stays_with_its_answer_whichever_side_it_is_shown_on() {
    let vote = |order, choice| Vote { iteration: 1, judge: Judge(0), pair: super::panels::pair(0, 1), order, choice };
    assert_eq!(vote(Order::Forward, Some(Choice::A)).outcome(), vote(Order::Swapped, Some(Choice::B)).outcome());
}
