//! Comparing answers two at a time: the plan, the calls and the votes of `pairwise` and `final_pairwise`. Answers stand in
//! places; a place whose answer is missing leaves the votes on it missing.

use std::collections::BTreeMap;

use futures_util::FutureExt;
use serde::{Deserialize, Serialize};

use super::Compiling;
use super::lane::Lane;
use super::places::{Open, Places};
use super::planned::PlannedTask;
use super::subject::{Draft, Find, Subject, question_of};
use crate::call::{Call, CallSize};
use crate::combining;
use crate::content_hash::ContentHash;
use crate::families::family;
use crate::journal::{Stopped, TaskKey};
use crate::judged::{GivenVote, VoteJudgements};
use crate::judging::prompt;
use crate::judging::{Expectation, Preference, Side};
use crate::ranking::pairs::{self, Comparison};
use crate::ranking::votes::{Choice, Order, Orders, Pair, Vote, VoteTable};
use crate::ranking::{Candidate, Judge};
use crate::run::{ModelSpec, RunSpec};

/// What stands in place of a judge's words where it is not asked.
const EXCLUDED: &str = r#"{"excluded":"an answer is of the judge's own family"}"#;

/// How answers are compared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Versus {
    /// Who judges.
    pub judges: Vec<ModelSpec>,
    /// Whether each pair is shown in both orders.
    pub both_orders: bool,
    /// How often each judge is asked about each pair.
    pub iterations: u32,
    /// Whether judges are kept from answers of their own family's models.
    pub exclude_own_family: bool,
    /// Of which family judges and writers are, by their full names, where judges are kept from their own: as it was known when the run
    /// was accepted. What is asked must not change with what a later version knows of makers.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub families: BTreeMap<String, String>,
    /// What judges are told first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instructions: Option<String>,
}

/// The answers that are compared.
#[derive(Debug, Clone, PartialEq)]
pub struct Slots<'a> {
    /// What is known of their places beforehand.
    pub places: Places<'a>,
    /// What stands in each place; `None` where that is missing.
    pub standing: Vec<Option<Slot<'a>>>,
}

/// An answer in its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Slot<'a> {
    /// The answer.
    pub draft: Draft<'a>,
    /// What it says.
    pub text: String,
    /// The hash of that.
    hash: ContentHash,
}

impl<'a> Slot<'a> {
    /// The answer, if it is there.
    pub fn of(draft: Draft<'a>, find: Find<'_>) -> Option<Self> {
        let text = find(&draft.key, None)?;
        let hash = ContentHash::of(&text);
        Some(Self { draft, text, hash })
    }
}

impl<'a> Slots<'a> {
    /// What stands in the two places that are compared.
    fn pair(&self, pair: Pair) -> [Option<&Slot<'a>>; 2] {
        [pair.left(), pair.right()].map(|place| self.standing.get(place.0 as usize)?.as_ref())
    }
}

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

/// What came of a comparison.
struct Read {
    votes: Vec<CastVote>,
    /// Votes that cannot be asked for, because a text that they are about is missing.
    lacking: usize,
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

    /// Settles who is of which family, and refuses judges that are kept from their own where that leaves nothing to judge, whatever
    /// the best answers are. `top`: how many of the answers are compared. `combined`: who writes what is compared with them.
    pub(super) fn settle_families(
        &mut self,
        compiling: &mut Compiling<'_>,
        top: usize,
        combined: &[Option<&ModelSpec>],
    ) {
        const PLACE: &str = "/exclude_own_family";
        if !self.exclude_own_family {
            return;
        }
        let models = compiling.models;
        let all = self.judges.iter().chain(models).chain(combined.iter().copied().flatten());
        self.families = all.map(|model| (model.full_name(), family_of(model).to_owned())).collect();
        // What is wrong elsewhere may be why someone is missing here.
        if compiling.open || !compiling.errors.iter().all(|error| error.pointer.ends_with(PLACE)) {
            return;
        }
        let iterations = compiling.drafts / models.len().max(1);
        let places = Places::of_best(models, iterations, top).and(combined.iter().copied());
        if self.count(&places) == 0 {
            let detail = "keeps every judge from every pair, for each has an answer of a model of its own family: name a \
                          judge of another family";
            compiling.wrong(PLACE, detail);
        }
    }

    /// Whether a judge may be asked about what these have written.
    fn may_judge(&self, judge: Judge, writers: [Option<&ModelSpec>; 2]) -> bool {
        let Some(judge) = self.judges.get(judge.0 as usize) else { return false };
        !(self.exclude_own_family && writers.into_iter().flatten().any(|writer| self.is_own(judge, writer)))
    }

    fn is_own(&self, judge: &ModelSpec, writer: &ModelSpec) -> bool {
        self.family(judge).eq_ignore_ascii_case(self.family(writer))
    }

    fn family<'a>(&'a self, model: &'a ModelSpec) -> &'a str {
        self.families.get(&model.full_name()).map_or_else(|| family_of(model), String::as_str)
    }

    /// What each judge may be asked about, as far as that is known beforehand.
    fn open(&self, places: &Places<'_>) -> Vec<Open> {
        let open = |judge| {
            if self.exclude_own_family { places.open_to(|writer| self.is_own(judge, writer)) } else { places.open() }
        };
        self.judges.iter().map(open).collect()
    }

    /// Everything that may be asked about these places, in canonical order.
    fn askings(&self, stage: &str, about: &str, places: &Places<'_>) -> Vec<Asking> {
        let numbers = |count: usize| 0..u32::try_from(count).unwrap_or(u32::MAX);
        let all = pairs::all(&numbers(places.count()).map(Candidate).collect::<Vec<_>>());
        let judges: Vec<Judge> = numbers(self.judges.len()).map(Judge).collect();
        let open = self.open(places);
        let is_open = |comparison: &Comparison| {
            let [left, right] = [comparison.pair.left(), comparison.pair.right()].map(|place| place.0 as usize);
            open.get(comparison.judge.0 as usize).is_some_and(|open| open.holds(left, right))
        };
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
        let comparisons = pairs::comparisons(&all, &judges, self.iterations, self.orders()).into_iter();
        comparisons.filter(is_open).map(asking).collect()
    }

    /// How many tasks there are about these places; told without making them.
    pub fn count(&self, places: &Places<'_>) -> u64 {
        let orders = if self.both_orders { 2 } else { 1 };
        let pairs = self.open(places).iter().map(Open::count).fold(0, u64::saturating_add);
        pairs.saturating_mul(u64::from(self.iterations) * orders)
    }

    /// The tasks about these places. A judge that is kept from its own family has none where that is sure to forbid it. `answers`:
    /// of how many answers the text in a place is put together at most, by the place's number.
    pub fn plan<'a>(
        &'a self,
        stage: &'static str,
        spec: &'a RunSpec,
        subject: Subject,
        places: &Places<'_>,
        answers: impl Fn(u32) -> u32,
    ) -> Vec<PlannedTask<'a>> {
        let Some(first) = self.judges.first() else { return Vec::new() };
        let size = spec.size_about(subject, |task| self.call(spec, first, task, "", "").size());
        let repair = Some(Expectation::Preference.repair_size());
        let planned = |asking: Asking| {
            let pair = asking.comparison.pair;
            let read = [pair.left(), pair.right()].map(|place| answers(place.0));
            let added: u64 = read.iter().map(|count| combining::added_bytes(u64::from(*count))).sum();
            PlannedTask {
                key: asking.key,
                stage,
                is_result: false,
                document_index: subject.document_index,
                model: self.judges.get(asking.comparison.judge.0 as usize),
                iteration: asking.comparison.iteration,
                size: CallSize { bytes: size.bytes + added, ..size },
                reads: read[0].saturating_add(read[1]),
                repair,
            }
        };
        self.askings(stage, &subject.about(spec), places).into_iter().map(planned).collect()
    }

    /// Asks for all votes.
    pub async fn compare(&self, stage: &str, lane: &Lane<'_>, slots: &Slots<'_>) -> Result<(), Stopped> {
        let (mut missing, mut excluded, mut asks) = (Vec::new(), Vec::new(), Vec::new());
        for Asking { comparison, key } in self.askings(stage, &lane.about, &slots.places) {
            let pair = slots.pair(comparison.pair);
            // Nobody was to give such a vote, so that it is not missing either.
            if !self.may_judge(comparison.judge, writers(pair)) {
                excluded.push(key);
                continue;
            }
            let [Some(left), Some(right)] = pair else {
                missing.push(key);
                continue;
            };
            let question = question_of([left.hash, right.hash]);
            let (left, right) = (left.text.as_str(), right.text.as_str());
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

    /// What came of all that may be asked; votes of judges that may not be asked are none.
    fn read(&self, stage: &str, about: &str, slots: &Slots<'_>, find: Find<'_>) -> Read {
        let mut read = Read { votes: Vec::new(), lacking: 0 };
        for Asking { comparison, key } in self.askings(stage, about, &slots.places) {
            let pair = slots.pair(comparison.pair);
            if !self.may_judge(comparison.judge, writers(pair)) {
                continue;
            }
            let [Some(left), Some(right)] = pair else {
                read.lacking += 1;
                continue;
            };
            let Ok(pair) = Pair::new(left.draft.candidate, right.draft.candidate) else { continue };
            let question = question_of([left.hash, right.hash]);
            let said = find(&key, Some(question)).and_then(|text| Preference::read(&text).ok());
            let choice = said.as_ref().map(|said| match said.winner {
                Side::A => Choice::A,
                Side::B => Choice::B,
            });
            let Comparison { iteration, judge, order, .. } = comparison;
            let vote = Vote { iteration, judge, pair, order, choice };
            read.votes.push(CastVote { vote, key, reason: said.map(|said| said.reason) });
        }
        read
    }

    /// The votes on the answers in these places, those that did not come among them.
    pub fn votes(&self, stage: &str, about: &str, slots: &Slots<'_>, find: Find<'_>) -> Vec<CastVote> {
        self.read(stage, about, slots, find).votes
    }

    /// How many pairs stand in their places that no judge may be asked about.
    fn unjudged(&self, slots: &Slots<'_>) -> usize {
        let standing: Vec<&Slot<'_>> = slots.standing.iter().flatten().collect();
        let judges = 0..u32::try_from(self.judges.len()).unwrap_or(u32::MAX);
        let is_unjudged = |left: &Slot<'_>, right: &Slot<'_>| {
            let writers = [left.draft.writer, right.draft.writer];
            !judges.clone().any(|judge| self.may_judge(Judge(judge), writers))
        };
        let with_later = |(at, left): (usize, &&Slot<'_>)| {
            standing.iter().skip(at + 1).filter(|right| is_unjudged(left, right)).count()
        };
        standing.iter().enumerate().map(with_later).sum()
    }

    /// The same as callers see it.
    pub fn heard(&self, stage: &str, about: &str, slots: &Slots<'_>, find: Find<'_>) -> VoteJudgements {
        let given = |cast: CastVote| GivenVote { vote: cast.vote, task_key: cast.key.to_string(), reason: cast.reason };
        let read = self.read(stage, about, slots, find);
        VoteJudgements {
            judges: self.judges.iter().map(ModelSpec::full_name).collect(),
            orders: self.orders(),
            competing: slots.standing.iter().flatten().map(|slot| slot.draft.candidate).collect(),
            given: read.votes.into_iter().map(given).collect(),
            lacking: read.lacking,
            unjudged: self.unjudged(slots),
        }
    }

    /// The same as a table.
    pub fn table(&self, votes: &[CastVote]) -> Option<VoteTable> {
        VoteTable::new(votes.iter().map(|cast| cast.vote).collect(), self.orders()).ok()
    }
}

fn family_of(model: &ModelSpec) -> &str {
    family((&model.provider, &model.model))
}

/// Who has written what stands in the two places.
fn writers<'a>(pair: [Option<&Slot<'a>>; 2]) -> [Option<&'a ModelSpec>; 2] {
    pair.map(|slot| slot?.draft.writer)
}
