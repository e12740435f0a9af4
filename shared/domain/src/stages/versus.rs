//! Comparing answers two at a time: the plan, the calls and the votes of `pairwise` and `final_pairwise`. Answers stand in
//! places; a place whose answer is missing leaves the votes on it missing.

use futures_util::FutureExt;
use serde::{Deserialize, Serialize};

use super::lane::Lane;
use super::planned::PlannedTask;
use super::subject::{Draft, Find, Subject, question};
use crate::call::Call;
use crate::journal::{Stopped, TaskKey};
use crate::judged::{GivenVote, VoteJudgements};
use crate::judging::prompt;
use crate::judging::{Expectation, Preference, Side};
use crate::ranking::pairs::{self, Comparison};
use crate::ranking::votes::{Choice, Order, Orders, Pair, Vote, VoteTable};
use crate::ranking::{Candidate, Judge};
use crate::run::{ModelSpec, RunSpec};

/// What stands in place of a judge's words where it is not asked.
const EXCLUDED: &str = r#"{"excluded":"an answer is of the judge's own provider"}"#;

/// How answers are compared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Versus {
    /// Who judges.
    pub judges: Vec<ModelSpec>,
    /// Whether each pair is shown in both orders.
    pub both_orders: bool,
    /// How often each judge is asked about each pair.
    pub iterations: u32,
    /// Whether judges are kept from answers of their own provider's models.
    pub exclude_own_family: bool,
    /// What judges are told first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instructions: Option<String>,
}

/// The answers that are compared, by place.
#[derive(Debug, Clone, PartialEq)]
pub struct Slots<'a>(pub Vec<Option<Draft<'a>>>);

/// One time that a judge was asked about a pair.
#[derive(Debug, Clone, PartialEq)]
pub struct CastVote {
    /// The vote, on candidates of the subject.
    pub vote: Vote,
    /// The task.
    pub key: TaskKey,
    /// Why, in the judge's words.
    pub reason: Option<String>,
}

/// One task: who is asked about which places, and its key.
struct Asking {
    comparison: Comparison,
    key: TaskKey,
}

impl Versus {
    /// The models, each with its place below the settings.
    pub fn models(&self) -> Vec<(String, &ModelSpec)> {
        self.judges.iter().enumerate().map(|(index, judge)| (format!("/judges/{index}"), judge)).collect()
    }

    /// In how many orders each pair is shown.
    pub fn orders(&self) -> Orders {
        if self.both_orders { Orders::Both } else { Orders::Single }
    }

    /// The criteria that judges are told of are those of `evaluate`.
    fn call(&self, spec: &RunSpec, judge: &ModelSpec, task: &str, first: &str, second: &str) -> Call {
        let criteria = spec.stages.evaluate.as_ref().map(super::evaluate::Evaluate::named).unwrap_or_default();
        let messages = prompt::preference(self.instructions.as_deref(), &criteria, task, first, second);
        Call { expects: Some(Expectation::Preference), ..spec.call_about(judge, messages) }
    }

    /// Whether a judge may be asked about the two.
    fn may_judge(&self, judge: Judge, writers: [Option<&ModelSpec>; 2]) -> bool {
        let Some(judge) = self.judges.get(judge.0 as usize) else { return false };
        let is_own = |writer: Option<&ModelSpec>| writer.is_some_and(|writer| family(writer) == family(judge));
        !(self.exclude_own_family && writers.into_iter().any(is_own))
    }

    /// Everything that is asked about so many places, in canonical order.
    fn askings(&self, stage: &str, about: &str, places: usize) -> Vec<Asking> {
        let numbers = |count: usize| 0..u32::try_from(count).unwrap_or(u32::MAX);
        let all = pairs::all(&numbers(places).map(Candidate).collect::<Vec<_>>());
        let judges: Vec<Judge> = numbers(self.judges.len()).map(Judge).collect();
        let asking = |comparison: Comparison| {
            let (left, right) = (comparison.pair.left().0, comparison.pair.right().0);
            let order = match comparison.order {
                Order::Forward => "ab",
                Order::Swapped => "ba",
            };
            let what = format!("{about}/p{left}-{right}/{order}");
            let key = TaskKey::of(stage, &what, &format!("j{}", comparison.judge.0), comparison.iteration);
            Asking { comparison, key }
        };
        pairs::comparisons(&all, &judges, self.iterations, self.orders()).into_iter().map(asking).collect()
    }

    /// How many tasks there are about so many places, at most.
    pub fn count(&self, places: usize) -> u64 {
        let (places, orders) = (places as u64, if self.both_orders { 2 } else { 1 });
        let pairs = places.saturating_mul(places.saturating_sub(1)) / 2;
        let votes = self.judges.len() as u64 * u64::from(self.iterations) * orders;
        pairs.saturating_mul(votes)
    }

    /// The tasks about so many places. `known`: which answers stand in them, where that is known beforehand: then judges that
    /// may not be asked have no task.
    pub fn plan<'a>(
        &'a self,
        stage: &'static str,
        spec: &'a RunSpec,
        subject: Subject,
        places: usize,
        known: &[Draft<'a>],
    ) -> Vec<PlannedTask<'a>> {
        let Some(first) = self.judges.first() else { return Vec::new() };
        let size = spec.size_about(subject, |task| self.call(spec, first, task, "", "").size());
        let is_asked = |asking: &Asking| {
            let writer = |place: Candidate| known.get(place.0 as usize).and_then(|draft| draft.writer);
            let pair = asking.comparison.pair;
            self.may_judge(asking.comparison.judge, [writer(pair.left()), writer(pair.right())])
        };
        let planned = |asking: Asking| PlannedTask {
            key: asking.key,
            stage,
            is_result: false,
            document_index: subject.document_index,
            model: self.judges.get(asking.comparison.judge.0 as usize),
            iteration: asking.comparison.iteration,
            size,
            reads: 2,
            is_repaired: true,
        };
        self.askings(stage, &subject.about(spec), places).into_iter().filter(is_asked).map(planned).collect()
    }

    /// Asks for all votes. `is_known`: whether `plan` knew which answers stand in the places.
    pub async fn compare(
        &self,
        stage: &str,
        lane: &Lane<'_>,
        is_known: bool,
        slots: &Slots<'_>,
    ) -> Result<(), Stopped> {
        let drafts = lane.drafts();
        let find: Find<'_> = &|key, question| lane.find(key, question);
        let texts = texts(slots, find);
        let (mut missing, mut excluded, mut asks) = (Vec::new(), Vec::new(), Vec::new());
        for Asking { comparison, key } in self.askings(stage, &lane.about, slots.0.len()) {
            let [left, right] = [comparison.pair.left(), comparison.pair.right()].map(|place| place.0 as usize);
            let writer = |place: usize| match &slots.0[place] {
                Some(draft) => draft.writer,
                // An answer that failed has its writer all the same, where its place is its own.
                None if is_known => drafts.get(place).and_then(|draft| draft.writer),
                None => None,
            };
            let may_judge = self.may_judge(comparison.judge, [writer(left), writer(right)]);
            if is_known && !may_judge {
                continue;
            }
            let (Some(left), Some(right)) = (&texts[left], &texts[right]) else {
                missing.push(key);
                continue;
            };
            let question = question([left.as_str(), right]);
            if !may_judge {
                excluded.push(key);
                continue;
            }
            let (first, second) = match comparison.order {
                Order::Forward => (left, right),
                Order::Swapped => (right, left),
            };
            let Some(judge) = self.judges.get(comparison.judge.0 as usize) else { continue };
            asks.push(
                async move {
                    let make = |text: Option<&str>| self.call(lane.spec, judge, &lane.task(text), first, second);
                    lane.ask(key, Some(question), make).await.map(|_| ())
                }
                .boxed(),
            );
        }
        lane.lack(missing, "there are not two answers to compare").await?;
        lane.keep(excluded, None, EXCLUDED.to_owned()).await?;
        lane.all(asks).await
    }

    /// The votes on the answers in these places, those that are missing among them; votes of judges that may not be asked are
    /// none.
    pub fn votes(&self, stage: &str, about: &str, slots: &Slots<'_>, find: Find<'_>) -> Vec<CastVote> {
        let texts = texts(slots, find);
        let mut votes = Vec::new();
        for Asking { comparison, key } in self.askings(stage, about, slots.0.len()) {
            let of = |place: Candidate| slots.0.get(place.0 as usize).and_then(Option::as_ref);
            let (Some(left), Some(right)) = (of(comparison.pair.left()), of(comparison.pair.right())) else { continue };
            let Ok(pair) = Pair::new(left.candidate, right.candidate) else { continue };
            if !self.may_judge(comparison.judge, [left.writer, right.writer]) {
                continue;
            }
            let texts =
                [comparison.pair.left(), comparison.pair.right()].map(|place| texts[place.0 as usize].as_deref());
            let [Some(left), Some(right)] = texts else { continue };
            let said = find(&key, Some(question([left, right]))).and_then(|text| Preference::read(&text).ok());
            let choice = said.as_ref().map(|said| match said.winner {
                Side::A => Choice::A,
                Side::B => Choice::B,
            });
            let Comparison { iteration, judge, order, .. } = comparison;
            let vote = Vote { iteration, judge, pair, order, choice };
            votes.push(CastVote { vote, key, reason: said.map(|said| said.reason) });
        }
        votes
    }

    /// How many votes cannot be asked for, because a text that they are about is missing.
    fn lacking(&self, stage: &str, about: &str, slots: &Slots<'_>, find: Find<'_>) -> usize {
        let texts = texts(slots, find);
        let is_lacking = |asking: &Asking| {
            let pair = [asking.comparison.pair.left(), asking.comparison.pair.right()];
            pair.iter().any(|place| texts.get(place.0 as usize).is_none_or(Option::is_none))
        };
        self.askings(stage, about, slots.0.len()).iter().filter(|asking| is_lacking(asking)).count()
    }

    /// The same as callers see it.
    pub fn heard(&self, stage: &str, about: &str, slots: &Slots<'_>, find: Find<'_>) -> VoteJudgements {
        let given = |cast: CastVote| GivenVote { vote: cast.vote, task_key: cast.key.to_string(), reason: cast.reason };
        VoteJudgements {
            judges: self.judges.iter().map(ModelSpec::full_name).collect(),
            orders: self.orders(),
            given: self.votes(stage, about, slots, find).into_iter().map(given).collect(),
            lacking: self.lacking(stage, about, slots, find),
        }
    }

    /// The same as a table.
    pub fn table(&self, votes: &[CastVote]) -> Option<VoteTable> {
        VoteTable::new(votes.iter().map(|cast| cast.vote).collect(), self.orders()).ok()
    }
}

/// The answers in these places.
fn texts(slots: &Slots<'_>, find: Find<'_>) -> Vec<Option<String>> {
    slots.0.iter().map(|slot| slot.as_ref().and_then(|draft| find(&draft.key, None))).collect()
}

/// Who made a model: its provider, or, behind a gateway that names the maker first (`anthropic/claude-…`), that maker.
fn family(model: &ModelSpec) -> &str {
    model.model.split_once('/').map_or(model.provider.as_str(), |(maker, _)| maker)
}
