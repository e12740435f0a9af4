//! Which answers can be read in the page, and how much of each. Whoever fills the page asks first, so that no other text is read.

use std::collections::{BTreeMap, HashMap, HashSet};

use acm2_domain::judged::{CandidateName, Judging};
use acm2_domain::run::{DocumentRef, FinalAnswer, Run, Task};
use acm2_domain::stages::GENERATE;

use super::answers::Answers;
use super::{LONGEST_OTHER_TEXT, LONGEST_TEXT, MOST_TEXTS, MOST_TEXTS_OF_SUBJECT, words};

/// The first part of the keys of texts that are made of several.
const COMBINE: &str = "combine";

/// The texts that the page shows, by the keys of their tasks.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Texts {
    /// Final answers and winners: as many characters as [`LONGEST_TEXT`].
    pub main: Vec<String>,
    /// Others: as many as [`LONGEST_OTHER_TEXT`].
    pub others: Vec<String>,
}

/// The texts that the page of a run shows. Of the texts of `tasks` the beginning is enough: it tells which are blank.
pub fn texts(run: &Run, tasks: &[Task], judging: &[Judging]) -> Texts {
    let unjudged = if judging.is_empty() { unjudged(run) } else { Vec::new() };
    let judging = if judging.is_empty() { &*unjudged } else { judging };
    let (tasks, most) = (by_key(tasks), most_of_subject(judging.len()));
    let mut texts = Texts::default();
    for judging in judging {
        let choice = Choice::of(judging, &tasks, most);
        texts.main.extend(choice.main.iter().map(|(_, key)| (*key).to_owned()));
        texts.others.extend(choice.others.iter().map(|key| (*key).to_owned()));
    }
    texts
}

/// The tasks of a run by their keys.
pub(super) fn by_key(tasks: &[Task]) -> HashMap<&str, &Task> {
    tasks.iter().map(|task| (&*task.key, task)).collect()
}

/// How many answers of each subject can be read besides the final one and the winner, where there are so many subjects.
pub(super) fn most_of_subject(subjects: usize) -> usize {
    (MOST_TEXTS / subjects.max(1)).clamp(1, MOST_TEXTS_OF_SUBJECT)
}

/// The subjects of a run that asks no judges, in its own order, with the answers to each and its final one.
pub(super) fn unjudged(run: &Run) -> Vec<Judging> {
    let mut found: Vec<Judging> = Vec::new();
    let mut places: BTreeMap<Option<String>, usize> = BTreeMap::new();
    let finals: HashMap<&str, &FinalAnswer> =
        run.final_answers.iter().flatten().map(|answer| (&*answer.task_key, answer)).collect();
    let is_answer = |task: &&Task| task.stage == GENERATE || task.stage == COMBINE;
    for task in run.results.iter().flatten().filter(is_answer) {
        let about = task.document.as_ref().map(|document| document.id.to_string());
        let at = *places.entry(about).or_insert_with(|| {
            found.push(without_judges(task.document.clone()));
            found.len() - 1
        });
        let Some(judging) = found.get_mut(at) else { continue };
        judging.candidates.push(CandidateName {
            task_key: task.key.clone(),
            model: task.model.clone(),
            iteration: task.iteration,
            stage: task.stage.clone(),
        });
        if let Some(answer) = finals.get(&*task.key) {
            judging.final_answer = Some((*answer).clone());
        }
    }
    found
}

fn without_judges(document: Option<DocumentRef>) -> Judging {
    Judging {
        document,
        candidates: Vec::new(),
        final_answer: None,
        winner: None,
        notes: Vec::new(),
        evaluate: None,
        pairwise: None,
        review: None,
        final_pairwise: None,
    }
}

/// What can be read of a subject.
struct Choice<'a> {
    /// The final answer and the winner, each with what it is.
    main: Vec<(&'static str, &'a str)>,
    /// Others: the best first, as far as is known, then in the order of the run.
    others: Vec<&'a str>,
    /// How many more there are.
    left_out: usize,
}

impl<'a> Choice<'a> {
    fn of(judging: &'a Judging, tasks: &HashMap<&str, &Task>, most: usize) -> Self {
        let answer = judging.final_answer.as_ref().map(|answer| &*answer.task_key);
        let winner = judging.winner.as_ref().map(|winner| &*winner.task_key).filter(|winner| answer != Some(winner));
        let main: Vec<(&str, &str)> = [("The final answer", answer), ("The winning answer", winner)]
            .into_iter()
            .filter_map(|(title, key)| Some((title, key?)))
            .collect();
        let mut seen: HashSet<&str> = main.iter().map(|(_, key)| *key).collect();
        // Images are shown as such.
        let is_text = |key: &str| {
            let task = tasks.get(key).filter(|task| task.artifacts.is_empty());
            task.and_then(|task| task.text.as_deref()).is_some_and(|text| !text.trim().is_empty())
        };
        let mut others: Vec<&str> = best_first(judging).filter(|key| seen.insert(key) && is_text(key)).collect();
        let left_out = others.len().saturating_sub(most);
        others.truncate(most);
        Self { main, others, left_out }
    }
}

/// The answers by their leaderboards, the most telling first, then in the order of the run; some come several times.
fn best_first(judging: &Judging) -> impl Iterator<Item = &str> {
    let votes = judging.final_pairwise.iter().chain(&judging.pairwise);
    let by_votes = votes.flat_map(|votes| &votes.leaderboard).map(|place| &*place.candidate);
    let by_review = judging.review.iter().flat_map(|reviews| &reviews.leaderboard).map(|place| &*place.candidate);
    let by_score = judging.evaluate.iter().flat_map(|scores| &scores.leaderboard).map(|place| &*place.candidate);
    let by_run = judging.candidates.iter().map(|candidate| &*candidate.task_key);
    by_votes.chain(by_review).chain(by_score).chain(by_run)
}

/// A text that can be read in the page.
#[derive(Debug)]
pub(super) struct Shown {
    /// The number of the answer; 0 where the title says which it is.
    pub(super) number: usize,
    /// Which it is.
    pub(super) title: String,
    /// As much of it as the page shows.
    pub(super) text: String,
    /// Whether there is more.
    pub(super) is_cut: bool,
}

/// The texts of a subject that can be read in the page.
#[derive(Debug)]
pub(super) struct Reading {
    /// The final answer and the winner.
    pub(super) main: Vec<Shown>,
    /// Others.
    pub(super) others: Vec<Shown>,
    /// How many more are in the export.
    pub(super) left_out: usize,
}

impl Reading {
    /// Those of a subject; `most`: how many others.
    pub(super) fn of(judging: &Judging, tasks: &HashMap<&str, &Task>, answers: &Answers<'_>, most: usize) -> Self {
        let Choice { main, others, left_out } = Choice::of(judging, tasks, most);
        let shown = |key: &str, number: usize, title: String, characters: usize| {
            let (text, is_cut) = words::cut(tasks.get(key)?.text.as_deref()?, characters);
            Some(Shown { number, title, text: text.to_owned(), is_cut })
        };
        let main = main.into_iter().filter_map(|(title, key)| shown(key, 0, title.to_owned(), LONGEST_TEXT));
        let others =
            others.into_iter().filter_map(|key| shown(key, answers.number(key), answers.name(key), LONGEST_OTHER_TEXT));
        Self { main: main.collect(), others: others.collect(), left_out }
    }

    /// Whether nothing can be read.
    pub(super) const fn is_empty(&self) -> bool {
        self.main.is_empty() && self.others.is_empty()
    }
}
