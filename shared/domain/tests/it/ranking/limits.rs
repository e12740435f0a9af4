//! Judgements at their limits: none, one, all alike, all against one, apart from each other, in a circle.

use acm2_domain::ranking::bradley_terry::{self, Options, Ratings, Resample};
use acm2_domain::ranking::cohen::kappa;
use acm2_domain::ranking::kendall::concordance;
use acm2_domain::ranking::krippendorff::{Metric, alpha};
use acm2_domain::ranking::leaderboard::{Call, Leaderboard};
use acm2_domain::ranking::{Candidate, Judge};

use super::figures::Figures;
use super::panels::{Judgements, Tally, tallied, votes_of};

fn rate(tallies: &[Tally]) -> Ratings {
    bradley_terry::rate(&tallied(tallies), &Options::default())
}

fn strength(ratings: &Ratings, candidate: u32) -> f64 {
    ratings.rated.iter().find(|row| row.candidate == Candidate(candidate)).and_then(|row| row.strength).unwrap()
}

#[test]
fn nothing_said_gives_nothing() {
    let figures = Figures::of(&Judgements::default());
    assert!(figures.means.is_empty() && figures.elo.is_empty() && figures.positions.is_empty());
    assert_eq!((figures.winner, figures.agreement.ordinal, figures.order_agreement), (None, None, None));
    assert_eq!(figures.ratings[0], Ratings { rated: Vec::new(), groups: 0, samples: 0 });
}

#[test]
fn votes_that_all_failed_rate_nobody_and_hide_nobody() {
    let mut votes = votes_of(&[(0, 1, [2, 1, 0])]);
    for vote in &mut votes {
        vote.choice = None;
    }
    let figures = Figures::of(&Judgements { votes, ..Judgements::default() });
    let rated = &figures.ratings[0].rated;
    assert_eq!(
        rated.iter().map(|row| (row.strength, row.interval, row.group)).collect::<Vec<_>>(),
        [(None, None, None); 2]
    );
    assert_eq!(figures.win_rates.iter().map(|row| row.rate).collect::<Vec<_>>(), [None, None]);
    assert_eq!(figures.vote_deviations[0].rate, None);
    assert_eq!(figures.order_effects[0].flip_rate, None);
    assert_eq!(figures.winner, None);
}

#[test]
fn all_ties_leave_all_equal_and_too_close_to_call() {
    let ratings = rate(&[(0, 1, [0, 0, 9]), (0, 2, [0, 0, 9]), (1, 2, [0, 0, 9])]);
    assert!(ratings.rated.iter().all(|row| row.strength.is_some_and(|strength| strength.abs() < 1e-9)));
    let board = Leaderboard::by_votes(&ratings);
    assert_eq!(board.leaders().len(), 3);
    assert_eq!(board.call(), Some(Call::TooClose));
}

#[test]
fn an_undefeated_answer_has_a_finite_strength_that_grows_with_its_wins() {
    let of_wins = |wins| strength(&rate(&[(0, 1, [wins, 0, 0]), (1, 2, [3, 3, 0])]), 0);
    let strengths = [1, 10, 100, 10_000].map(of_wins);
    assert!(strengths.is_sorted() && strengths[3] < 20.0, "{strengths:?}");
}

#[test]
fn a_prior_of_nothing_gives_strengths_only_where_the_votes_do() {
    let plain = Options { prior: 0.0, ..Options::default() };
    let undefeated = bradley_terry::rate(&tallied(&[(0, 1, [3, 0, 0])]), &plain);
    assert!(undefeated.rated.iter().all(|row| row.strength.is_none() && row.verdicts == 3));
    let beaten = bradley_terry::rate(&tallied(&[(0, 1, [3, 1, 0])]), &plain);
    // The odds of 3 : 1 themselves.
    assert!((strength(&beaten, 0) - strength(&beaten, 1) - 3_f64.ln()).abs() < 1e-9);
    assert!(beaten.rated.iter().all(|row| row.interval.is_none()), "some samples would have no estimate");
    for prior in [-1.0, f64::NAN, f64::INFINITY] {
        let wrong = bradley_terry::rate(&tallied(&[(0, 1, [3, 1, 0])]), &Options { prior, ..Options::default() });
        assert!(wrong.rated.iter().all(|row| row.strength.is_none() && row.interval.is_none()));
    }
}

#[test]
fn groups_that_never_met_are_told_apart_and_not_called() {
    let ratings = rate(&[(0, 1, [9, 0, 0]), (2, 3, [5, 4, 0])]);
    assert_eq!(ratings.groups, 2);
    assert_eq!(ratings.rated.iter().map(|row| row.group).collect::<Vec<_>>(), [Some(0), Some(0), Some(1), Some(1)]);
    assert_eq!(Leaderboard::by_votes(&ratings).call(), Some(Call::TooFew));
    assert_eq!(ratings.win_chance(Candidate(0), Candidate(2)), None);
    assert!(ratings.win_chance(Candidate(0), Candidate(1)).is_some_and(|chance| chance > 0.8));
    assert_eq!(ratings.win_chance(Candidate(0), Candidate(7)), None);
}

#[test]
fn a_circle_leaves_all_equal() {
    let ratings = rate(&[(0, 1, [4, 0, 0]), (1, 2, [4, 0, 0]), (0, 2, [0, 4, 0])]);
    assert!(ratings.rated.iter().all(|row| row.strength.is_some_and(|strength| strength.abs() < 1e-9)));
}

#[test]
fn drawing_sheets_or_judges_needs_enough_of_them() {
    // One judge in twelve iterations: twelve sheets, one judge.
    let table = tallied(&[(0, 1, [9, 3, 0])]);
    let rate = |resample| bradley_terry::rate(&table, &Options { resample, ..Options::default() });
    assert!(rate(Resample::Sheets).rated.iter().all(|row| row.interval.is_some()));
    let by_judges = rate(Resample::Judges);
    assert!(by_judges.rated.iter().all(|row| row.interval.is_none() && row.strength.is_some()));
    assert_eq!(by_judges.samples, 0);
}

#[test]
fn a_panel_that_says_one_thing_only_has_no_agreement_to_speak_of() {
    let same = vec![vec![Some(4), Some(4)]; 5];
    for metric in [Metric::Nominal, Metric::Ordinal, Metric::Interval] {
        assert_eq!(alpha(&same, metric), None);
    }
    assert_eq!(alpha(&[vec![Some(1), None], vec![None, Some(2)]], Metric::Nominal), None);
    let found = kappa(&[(4, 4), (4, 4)]).unwrap();
    assert_eq!((found.kappa, found.quadratic), (None, None));
    assert_eq!(kappa(&[]), None);
    assert_eq!(concordance(&vec![vec![Some(1.0); 4]; 3]), None);
    assert_eq!(concordance(&[vec![Some(1.0), Some(2.0)]]), None);
    assert_eq!(concordance(&[vec![Some(1.0), None], vec![Some(1.0), Some(f64::NAN)]]), None);
}

#[test]
fn judges_that_always_contradict_each_other_are_below_chance() {
    let opposite: Vec<Vec<Option<i32>>> = (0..10).map(|unit| vec![Some(1 + unit % 2), Some(2 - unit % 2)]).collect();
    assert!(alpha(&opposite, Metric::Nominal).is_some_and(|alpha| alpha.alpha < 0.0));
    let pairs: Vec<(i32, i32)> = (0..10).map(|unit| (1 + unit % 2, 2 - unit % 2)).collect();
    assert!(kappa(&pairs).and_then(|found| found.kappa).is_some_and(|kappa| kappa < -0.9));
    let reversed = [vec![Some(1.0), Some(2.0), Some(3.0)], vec![Some(3.0), Some(2.0), Some(1.0)]];
    assert!(concordance(&reversed).is_some_and(|found| found.w < 1e-12));
}

#[test]
fn a_judge_alone_deviates_from_nobody() {
    let votes = votes_of(&[(0, 1, [3, 0, 0])]);
    let figures = Figures::of(&Judgements { votes, ..Judgements::default() });
    assert!(
        figures.vote_deviations.iter().all(|row| row.judge == Judge(0) && row.points.is_none_or(|points| points == 0))
    );
}
