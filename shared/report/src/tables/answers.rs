//! What judges said, one row for each single judgement.

use super::{Cell, Rows, head, subject};
use crate::Reported;

/// Every single score.
pub(super) fn scores(reported: Reported<'_>) -> Rows<'_> {
    let mut rows = Vec::new();
    for judging in reported.judging {
        for sheet in judging.evaluate.iter().flat_map(|scores| &scores.sheets) {
            for score in &sheet.scores {
                let mut row = subject(judging);
                row.extend([
                    Cell::Text(&sheet.task_key),
                    Cell::Text(&sheet.candidate),
                    Cell::Text(&sheet.judge),
                    Cell::Count(sheet.iteration.into()),
                    Cell::Text(&score.criterion),
                    score.score.map_or(Cell::None, |score| Cell::Count(score.into())),
                    Cell::Text(&score.reason),
                ]);
                rows.push(row);
            }
        }
    }
    (head(&["task_key", "candidate", "judge", "iteration", "criterion", "score", "reason"]), rows)
}

/// Every vote, of both stages with pairs.
pub(super) fn votes(reported: Reported<'_>) -> Rows<'_> {
    let mut rows = Vec::new();
    for judging in reported.judging {
        for (stage, votes) in [("pairwise", &judging.pairwise), ("final_pairwise", &judging.final_pairwise)] {
            for vote in votes.iter().flat_map(|votes| &votes.votes) {
                let mut row = subject(judging);
                row.extend([
                    Cell::Word(stage.to_owned()),
                    Cell::Text(&vote.task_key),
                    Cell::Text(&vote.judge),
                    Cell::Count(vote.iteration.into()),
                    Cell::Text(&vote.first),
                    Cell::Text(&vote.second),
                    Cell::word(vote.choice),
                    Cell::text(vote.winner.as_deref()),
                    Cell::text(vote.reason.as_deref()),
                ]);
                rows.push(row);
            }
        }
    }
    let columns = ["stage", "task_key", "judge", "iteration", "first", "second", "choice", "winner", "reason"];
    (head(&columns), rows)
}

/// Every ranking, a row for each place; one without a place where it did not come.
pub(super) fn rankings(reported: Reported<'_>) -> Rows<'_> {
    let mut rows = Vec::new();
    for judging in reported.judging {
        for ranking in judging.review.iter().flat_map(|reviews| &reviews.rankings) {
            let row = |position: Cell<'static>, candidate: Option<&'_ str>| {
                let mut row = subject(judging);
                row.extend([
                    Cell::Text(&ranking.task_key),
                    Cell::Text(&ranking.reviewer),
                    Cell::Count(ranking.iteration.into()),
                    position,
                ]);
                row.push(candidate.map_or(Cell::None, |candidate| Cell::Word(candidate.to_owned())));
                row
            };
            match &ranking.order {
                Some(order) => {
                    rows.extend((1..).zip(order).map(|(position, key)| row(Cell::Count(position), Some(key))));
                }
                None => rows.push(row(Cell::None, None)),
            }
        }
    }
    (head(&["task_key", "reviewer", "iteration", "position", "candidate"]), rows)
}
