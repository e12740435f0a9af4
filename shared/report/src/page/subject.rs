//! One subject: its final answer, who wins, and what each stage found.

use acm2_domain::judged::{CandidateName, Judging, Reviews};
use acm2_domain::ranking::leaderboard::Call;
use acm2_domain::run::Task;
use acm2_domain::stages::GENERATE;

use super::board::{self, Board, BoardRow, Plot};
use super::scale::Scale;
use super::score_part::ScorePart;
use super::vote_part::VotePart;
use super::{LONGEST_TEXT, words};

/// The answers of a subject by their keys. On the page an answer is a number and a name.
#[derive(Debug, Clone, Copy)]
pub(super) struct Answers<'a>(&'a [CandidateName]);

impl<'a> Answers<'a> {
    /// Of a subject.
    pub(super) const fn of(judging: &'a Judging) -> Self {
        Self(judging.candidates.as_slice())
    }

    /// Its number, from 1; 0 for a key that is none of theirs.
    pub(super) fn number(&self, key: &str) -> usize {
        self.0.iter().position(|candidate| candidate.task_key == key).map_or(0, |at| at + 1)
    }

    /// Its name: the model, and the iteration where it was asked several times.
    pub(super) fn name(&self, key: &str) -> String {
        let Some(candidate) = self.0.iter().find(|candidate| candidate.task_key == key) else { return key.to_owned() };
        let twins = |other: &&CandidateName| (&other.model, &other.stage) == (&candidate.model, &candidate.stage);
        let again = if self.0.iter().filter(twins).count() > 1 {
            format!(", iteration {}", candidate.iteration)
        } else {
            String::new()
        };
        let merged = if candidate.stage == GENERATE { "" } else { " (merged)" };
        format!("{}{merged}{again}", candidate.model)
    }

    /// Its number and its name.
    pub(super) fn label(&self, key: &str) -> String {
        match self.number(key) {
            0 => key.to_owned(),
            number => format!("{number}: {}", self.name(key)),
        }
    }

    /// All keys, in order.
    pub(super) fn keys(&self) -> impl Iterator<Item = &'a str> {
        self.0.iter().map(|candidate| &*candidate.task_key)
    }
}

/// What came of a subject, in a few lines.
#[derive(Debug)]
pub(super) struct Overview {
    /// What the answers are about.
    pub(super) title: String,
    /// The final answer where it is another one than the winner.
    pub(super) answer: Option<AnswerLine>,
    /// The winner; none where nothing was found.
    pub(super) winner: Option<WinnerLine>,
}

/// A final answer.
#[derive(Debug)]
pub(super) struct AnswerLine {
    /// Its number.
    pub(super) number: usize,
    /// Its name.
    pub(super) name: String,
    /// Whether it was made of the answers of the models.
    pub(super) is_combined: bool,
}

impl AnswerLine {
    fn of(judging: &Judging) -> Option<Self> {
        let (answer, answers) = (judging.final_answer.as_ref()?, Answers::of(judging));
        let is_winner = judging.winner.as_ref().is_some_and(|winner| winner.task_key == answer.task_key);
        (!is_winner).then(|| Self {
            number: answers.number(&answer.task_key),
            name: answers.name(&answer.task_key),
            is_combined: answer.stage != GENERATE,
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
    fn of(judging: &Judging) -> Option<Self> {
        let (winner, answers) = (judging.winner.as_ref()?, Answers::of(judging));
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
    pub(super) fn of(judging: &Judging) -> Self {
        Self { title: title(judging), answer: AnswerLine::of(judging), winner: WinnerLine::of(judging) }
    }
}

/// A subject.
#[derive(Debug)]
pub(super) struct Subject {
    /// What the answers are about.
    pub(super) title: String,
    /// The final answer where it is another one than the winner.
    pub(super) answer: Option<AnswerLine>,
    /// Who wins.
    pub(super) winner: Option<WinnerLine>,
    /// The final answer and the winner.
    pub(super) texts: Vec<Shown>,
    /// What is missing.
    pub(super) notes: Vec<String>,
    /// Scores.
    pub(super) scores: Option<ScorePart>,
    /// Votes, and what they are called.
    pub(super) votes: Vec<VotePart>,
    /// Rankings.
    pub(super) review: Option<Board>,
    /// How far the reviewers agree.
    pub(super) review_agreement: Option<String>,
}

impl Subject {
    /// Of a subject of a run with these tasks.
    pub(super) fn of(judging: &Judging, tasks: &[Task]) -> Self {
        let answers = Answers::of(judging);
        let votes =
            [("Votes in the final", judging.final_pairwise.as_ref()), ("Votes on pairs", judging.pairwise.as_ref())];
        Self {
            title: title(judging),
            answer: AnswerLine::of(judging),
            winner: WinnerLine::of(judging),
            texts: texts(judging, tasks),
            notes: judging.notes.clone(),
            scores: judging.evaluate.as_ref().map(|scores| ScorePart::of(scores, &answers)),
            votes: votes.into_iter().filter_map(|(title, votes)| Some(VotePart::of(title, votes?, &answers))).collect(),
            review: judging.review.as_ref().map(|reviews| review(reviews, &answers)),
            review_agreement: judging.review.as_ref().and_then(|reviews| reviews.kendall_w).map(|found| {
                let w = words::figure(found.w, 2);
                format!("Kendall's W {w} over {} answers and {} rankings", found.items, found.raters)
            }),
        }
    }
}

/// A text that can be read in the page.
#[derive(Debug)]
pub(super) struct Shown {
    /// Which it is.
    pub(super) title: &'static str,
    /// As much of it as the page shows.
    pub(super) text: String,
    /// Whether there is more.
    pub(super) is_cut: bool,
}

fn texts(judging: &Judging, tasks: &[Task]) -> Vec<Shown> {
    let answer = judging.final_answer.as_ref().map(|answer| &*answer.task_key);
    let winner = judging.winner.as_ref().map(|winner| &*winner.task_key).filter(|winner| answer != Some(winner));
    let shown = |(title, key): (&'static str, Option<&str>)| {
        let task = tasks.iter().find(|task| Some(&*task.key) == key)?;
        let (text, is_cut) = words::cut(task.text.as_deref()?, LONGEST_TEXT);
        Some(Shown { title, text: text.to_owned(), is_cut })
    };
    [("The final answer", answer), ("The winning answer", winner)].into_iter().filter_map(shown).collect()
}

fn title(judging: &Judging) -> String {
    judging.document.as_ref().map_or_else(|| "The prompt".to_owned(), |document| document.name.clone())
}

fn review(reviews: &Reviews, answers: &Answers<'_>) -> Board {
    let scale = Scale::new(0.0, 1.0);
    let row = |place: &acm2_domain::judged::ReviewPlace| {
        let mut facts =
            vec![format!("mean position {}", words::figure(place.mean_position, 2)), format!("Borda {}", place.borda)];
        facts.extend(place.borda_share.iter().flat_map(|share| words::spread(share, 2)));
        BoardRow {
            rank: board::rank(place.rank),
            number: answers.number(&place.candidate),
            name: answers.name(&place.candidate),
            value: words::maybe(place.borda_share.map(|share| share.mean), 2),
            facts,
            plot: place.borda_share.map(|share| Plot::new(scale, share.mean, share.interval)),
            note: None,
        }
    };
    Board {
        call: board::call(reviews.call),
        rows: reviews.leaderboard.iter().map(row).collect(),
        ticks: board::ticks(scale, 1),
        note: reviews.coverage.note.clone(),
    }
}
