//! How long the heavy sums take.

use std::time::{Duration, Instant};

use acm2_domain::ranking::bradley_terry::{self, Options};
use acm2_domain::ranking::scores::{Score, ScoreRow, ScoreTable};
use acm2_domain::ranking::weights::Weights;
use acm2_domain::ranking::{Candidate, Criterion, Judge, means};

use super::panels::{Tally, tallied};

/// Run it with: `cargo test --release -p acm2-domain --test it -- --ignored --nocapture speed`
#[test]
#[ignore = "measures time, which means something only in a release build on an idle machine"]
fn twenty_answers_and_a_thousand_samples_take_well_under_a_second() {
    let pairs = (0..20_u32).flat_map(|left| (left + 1..20).map(move |right| (left, right)));
    let tallies: Vec<Tally> =
        pairs.map(|(left, right)| (left, right, [4 + (left + right) % 3, 1 + (left * right) % 4, right % 2])).collect();
    let table = tallied(&tallies);
    let start = Instant::now();
    let ratings = bradley_terry::rate(&table, &Options::default());
    let took = start.elapsed();
    println!("{} verdicts, {} samples: {took:?}", table.verdicts().len(), ratings.samples);
    assert_eq!(ratings.samples, 1000);
    assert!(took < Duration::from_millis(500), "{took:?}");
}

/// Once for each answer would be a thousand million steps.
#[test]
fn the_means_of_many_answers_are_found_by_going_through_the_table_once() {
    let row = |candidate, judge, criterion| ScoreRow {
        candidate: Candidate(candidate),
        criterion: Criterion(criterion),
        judge: Judge(judge),
        iteration: 1,
        score: (judge != 1).then_some(Score::MAX),
    };
    let of_answer = |candidate| (0..6).flat_map(move |judge| (0..10).map(move |at| row(candidate, judge, at)));
    let table = ScoreTable::new((0..3_000).flat_map(of_answer).collect()).unwrap();
    let start = Instant::now();
    let means = means::by_candidate(&table, &Weights::equal());
    let took = start.elapsed();
    assert_eq!((means.len(), means[2_999].given, means[2_999].missing), (3_000, 50, 10));
    assert!(took < Duration::from_secs(5), "{took:?}");
}
