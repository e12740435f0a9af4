//! How long the one heavy sum takes.

use std::time::{Duration, Instant};

use acm2_domain::ranking::bradley_terry::{self, Options};

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
