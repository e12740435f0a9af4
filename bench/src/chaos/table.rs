//! The one table that chaos ends with.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::schedule::{Fault, Kind};
use super::verdict::{Line, Verdict};

/// How many examples of a broken promise are shown.
const EXAMPLES: usize = 5;

/// Prints faults by kind, figures, and each promise with how often it was broken.
pub(crate) fn table(seed: u64, faults: &[Fault], verdict: &Verdict) -> String {
    let mut counts: BTreeMap<Kind, usize> = BTreeMap::new();
    for fault in faults {
        *counts.entry(fault.kind).or_default() += 1;
    }
    let mut text = format!("\n| seed {seed} | {} faults |\n|---|---:|\n", faults.len());
    let mut row = |words: &str, count: &dyn std::fmt::Display| {
        // Writing to a text cannot fail.
        let _ = writeln!(text, "| {words} | {count} |");
    };
    for (kind, _) in Kind::ALL {
        if let Some(count) = counts.get(kind) {
            row(kind.words(), count);
        }
    }
    for (words, count) in &verdict.figures {
        row(words, count);
    }
    for (line, words) in Line::ALL {
        row(&format!("**{words}**"), &format!("**{}**", verdict.of(*line).len()));
    }
    for (line, words) in Line::ALL {
        let found = verdict.of(*line);
        for example in found.iter().take(EXAMPLES) {
            let _ = writeln!(text, "\n{words}: {example}");
        }
    }
    text
}
