//! How far each judge is from its panel.

use acm2_domain::ranking::deviation::TOTAL;

use super::{Cell, Rows, head, subject};
use crate::Reported;

/// Of scores, in points of the scale: a row for each criterion and one over all; of votes, in percentage points: a row.
pub(super) fn deviations(reported: Reported<'_>) -> Rows<'_> {
    let mut rows = Vec::new();
    for judging in reported.judging {
        let mut push = |stage: &str, judge, criterion: Cell<'_>, deviation, n| {
            let mut row = subject(judging);
            row.extend([Cell::Word(stage.to_owned()), Cell::Text(judge)]);
            row.push(match criterion {
                Cell::Text(name) => Cell::Word(name.to_owned()),
                _ => Cell::None,
            });
            row.extend([Cell::figure(deviation), Cell::count(n)]);
            rows.push(row);
        };
        for judge in judging.evaluate.iter().flat_map(|scores| &scores.judges) {
            for row in &judge.by_criterion {
                push("evaluate", &judge.judge, Cell::Text(&row.criterion), row.deviation, row.n);
            }
            push("evaluate", &judge.judge, Cell::Text(TOTAL), judge.total_deviation, judge.coverage.given);
        }
        for (stage, votes) in [("pairwise", &judging.pairwise), ("final_pairwise", &judging.final_pairwise)] {
            for judge in votes.iter().flat_map(|votes| &votes.judges) {
                push(stage, &judge.judge, Cell::None, judge.deviation, judge.counted);
            }
        }
    }
    (head(&["stage", "judge", "criterion", "deviation", "n"]), rows)
}
