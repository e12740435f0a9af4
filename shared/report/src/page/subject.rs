//! One subject: its final answer, who wins, and what each stage found.

use std::collections::HashMap;

use acm2_domain::judged::Judging;
use acm2_domain::ranking::leaderboard::Call;
use acm2_domain::run::Task;
use acm2_domain::stages::GENERATE;

use super::answers::Answers;
use super::review_part::ReviewPart;
use super::score_part::ScorePart;
use super::texts::Reading;
use super::vote_part::VotePart;
use super::words;

/// What came of a subject, in a few lines.
#[derive(Debug)]
pub(super) struct Overview {
    /// What the answers are about.
    pub(super) title: String,
    /// The final answer where it is another one than the winner.
    pub(super) answer: Option<AnswerLine>,
    /// The winner; none where nothing was found.
    pub(super) winner: Option<WinnerLine>,
    /// Whether judges were asked.
    pub(super) is_judged: bool,
}

/// A final answer.
#[derive(Debug)]
pub(super) struct AnswerLine {
    /// Its number.
    pub(super) number: usize,
    /// Its name.
    pub(super) name: String,
    /// Why it is that one, where neither a judge nor the winner tells.
    pub(super) why: &'static str,
}

impl AnswerLine {
    fn of(judging: &Judging, answers: &Answers<'_>) -> Option<Self> {
        let answer = judging.final_answer.as_ref()?;
        let is_winner = judging.winner.as_ref().is_some_and(|winner| winner.task_key == answer.task_key);
        (!is_winner).then(|| Self {
            number: answers.number(&answer.task_key),
            name: answers.name(&answer.task_key),
            why: match answer.stage == GENERATE {
                false => ", made of the answers of the models",
                true if !is_judged(judging) && judging.candidates.len() > 1 => {
                    ", as the first in the order of the run: no judge was asked"
                }
                true => "",
            },
        })
    }
}

/// A winner.
#[derive(Debug)]
pub(super) struct WinnerLine {
    /// Its number.
    pub(super) number: usize,
    /// Its name.
    pub(super) name: String,
    /// What decided.
    pub(super) basis: &'static str,
    /// How sure that is.
    pub(super) call: &'static str,
    /// Whether it is sure.
    pub(super) is_clear: bool,
    /// Who may be better.
    pub(super) contenders: Vec<String>,
    /// What broke a tie.
    pub(super) tie_broken_by: Option<&'static str>,
    /// Whether it is the final answer.
    pub(super) is_final: bool,
}

impl WinnerLine {
    fn of(judging: &Judging, answers: &Answers<'_>) -> Option<Self> {
        let winner = judging.winner.as_ref()?;
        Some(Self {
            number: answers.number(&winner.task_key),
            name: answers.name(&winner.task_key),
            basis: words::basis(winner.basis),
            call: words::call(winner.call),
            is_clear: matches!(winner.call, Call::Clear | Call::Unopposed),
            contenders: winner.contenders.iter().map(|key| answers.label(key)).collect(),
            tie_broken_by: winner.tie_broken_by.map(words::basis),
            is_final: judging.final_answer.as_ref().is_some_and(|answer| answer.task_key == winner.task_key),
        })
    }
}

impl Overview {
    /// Of a subject.
    pub(super) fn of(judging: &Judging, answers: &Answers<'_>) -> Self {
        Self {
            title: title(judging),
            answer: AnswerLine::of(judging, answers),
            winner: WinnerLine::of(judging, answers),
            is_judged: is_judged(judging),
        }
    }

    /// Whether there is something to say.
    pub(super) const fn says_something(&self) -> bool {
        self.is_judged || self.answer.is_some() || self.winner.is_some()
    }
}

/// A subject.
#[derive(Debug)]
pub(super) struct Subject {
    /// What the answers are about, the final one, and who wins.
    pub(super) overview: Overview,
    /// The answers themselves.
    pub(super) texts: Reading,
    /// What is missing.
    pub(super) notes: Vec<String>,
    /// Scores.
    pub(super) scores: Option<ScorePart>,
    /// Votes, and what they are called.
    pub(super) votes: Vec<VotePart>,
    /// Rankings.
    pub(super) review: Option<ReviewPart>,
}

impl Subject {
    /// Whether nothing is to be seen of it.
    pub(super) const fn is_empty(&self) -> bool {
        !self.overview.is_judged && self.texts.is_empty()
    }

    /// Of a subject of a run with these tasks. `most_texts`: how many answers can be read besides the final one and the winner.
    pub(super) fn of(
        judging: &Judging,
        answers: &Answers<'_>,
        tasks: &HashMap<&str, &Task>,
        most_texts: usize,
    ) -> Self {
        let votes =
            [("Votes in the final", judging.final_pairwise.as_ref()), ("Votes on pairs", judging.pairwise.as_ref())];
        Self {
            overview: Overview::of(judging, answers),
            texts: Reading::of(judging, tasks, answers, most_texts),
            notes: judging.notes.iter().map(|note| answers.told(note)).collect(),
            scores: judging.evaluate.as_ref().map(|scores| ScorePart::of(scores, answers)),
            votes: votes.into_iter().filter_map(|(title, votes)| Some(VotePart::of(title, votes?, answers))).collect(),
            review: judging.review.as_ref().map(|reviews| ReviewPart::of(reviews, answers)),
        }
    }
}

/// Whether judges were asked.
const fn is_judged(judging: &Judging) -> bool {
    judging.evaluate.is_some()
        || judging.pairwise.is_some()
        || judging.review.is_some()
        || judging.final_pairwise.is_some()
}

fn title(judging: &Judging) -> String {
    judging.document.as_ref().map_or_else(|| "The prompt".to_owned(), |document| document.name.clone())
}
