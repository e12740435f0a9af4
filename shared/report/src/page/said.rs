//! Single judgements with their reasons.

use acm2_domain::judged::{Scores, Votes};
use acm2_domain::ranking::votes::Choice;

use super::answers::Answers;
use super::words;

/// How many judgements of each stage the page holds; the export has all.
pub(super) const MOST: usize = 200;
/// How much of a reason, in characters.
const LONGEST_REASON: usize = 600;

/// Judgements of one stage.
#[derive(Debug)]
pub(super) struct Said {
    /// Those that are shown.
    pub(super) rows: Vec<SaidRow>,
    /// How many more there are.
    pub(super) left_out: usize,
}

/// One judgement.
#[derive(Debug)]
pub(super) struct SaidRow {
    /// Who judged, and how often before.
    pub(super) who: String,
    /// What was judged.
    pub(super) about: String,
    /// What was said, with its reason.
    pub(super) lines: Vec<(String, String)>,
}

/// Every score with its reason.
pub(super) fn scores(scores: &Scores, answers: &Answers<'_>) -> Said {
    let rows = scores.sheets.iter().take(MOST).map(|sheet| SaidRow {
        who: format!("{}, {}", sheet.judge, iteration(sheet.iteration)),
        about: answers.label(&sheet.candidate),
        lines: sheet
            .scores
            .iter()
            .map(|score| {
                let given = score.score.map_or_else(|| "missing".to_owned(), |score| score.to_string());
                (format!("{}: {given}", score.criterion), shown(&score.reason))
            })
            .collect(),
    });
    let rows: Vec<SaidRow> = rows.collect();
    Said { left_out: scores.sheets_left_out + scores.sheets.len() - rows.len(), rows }
}

/// Every vote with its reason.
pub(super) fn votes(votes: &Votes, answers: &Answers<'_>) -> Said {
    let rows = votes.votes.iter().take(MOST).map(|vote| {
        let chosen = match (vote.choice, &vote.winner) {
            (Some(Choice::Tie), _) => "neither".to_owned(),
            (Some(_), Some(winner)) => answers.label(winner),
            _ => "missing".to_owned(),
        };
        SaidRow {
            who: format!("{}, {}", vote.judge, iteration(vote.iteration)),
            about: format!("{} before {}", answers.label(&vote.first), answers.label(&vote.second)),
            lines: vec![(format!("chose {chosen}"), shown(vote.reason.as_deref().unwrap_or_default()))],
        }
    });
    let rows: Vec<SaidRow> = rows.collect();
    Said { left_out: votes.votes_left_out + votes.votes.len() - rows.len(), rows }
}

fn iteration(iteration: u32) -> String {
    format!("iteration {iteration}")
}

fn shown(reason: &str) -> String {
    match words::cut(reason, LONGEST_REASON) {
        (reason, false) => reason.to_owned(),
        (reason, true) => format!("{reason}…"),
    }
}
