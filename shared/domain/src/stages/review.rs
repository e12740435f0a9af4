//! `review`: reviewers put the answers to a subject into an order, each shown all of them at once, under letters that tell nothing
//! about who wrote them and in an order of its own. What a reviewer fails to say is missing.

use std::collections::{BTreeMap, HashMap};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};

use super::lane::Lane;
use super::planned::PlannedTask;
use super::subject::{Draft, Find, Subject, question_of};
use super::{Asked, Compiling, Stage, generate};
use crate::call::{Call, CallSize};
use crate::content_hash::ContentHash;
use crate::journal::{Stopped, TaskKey};
use crate::judged::{GivenRanking, Judgements, RankingJudgements};
use crate::judging::{self, Expectation, Reviewing, labels, prompt};
use crate::ranking::rankings::{Ranking, RankingTable};
use crate::ranking::{Candidate, Judge};
use crate::run::{ModelChoice, ModelSpec, RunSpec};

const NAME: &str = "review";

/// Reviewers rank the answers, without being told who wrote them.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object), oai(rename = "Review", deny_unknown_fields))]
pub struct NewReview {
    /// 1 to 20 models that review, as in `models`; the run's own models, each once, where absent. Each may say 16384 tokens where
    /// nothing else is set here, or as many as its model gives where these are fewer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "openapi", oai(default))]
    pub reviewers: Vec<ModelChoice>,
    /// How often each reviewer is asked, each time with the answers in another order, 1 to 10; 1 where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(
        feature = "openapi",
        oai(skip_serializing_if_is_none, validator(minimum(value = "1"), maximum(value = "10")))
    )]
    pub iterations: Option<u32>,
    /// Whether a reviewer is shown no answer that its own model wrote; false where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", oai(skip_serializing_if_is_none))]
    pub exclude_own: Option<bool>,
    /// What reviewers are told first, instead of our own words; at most 100000 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", oai(skip_serializing_if_is_none))]
    pub instructions: Option<String>,
}

/// The same with nothing left open.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Review {
    /// Who reviews.
    pub reviewers: Vec<ModelSpec>,
    /// How often each is asked.
    pub iterations: u32,
    /// Whether a reviewer is shown no answer of its own model.
    pub exclude_own: bool,
    /// What reviewers are told first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instructions: Option<String>,
}

impl Asked for NewReview {
    type Stage = Review;

    fn compile(&self, compiling: &mut Compiling<'_>) -> Review {
        let review = Review {
            reviewers: compiling.judges_or_those_of_the_run("/reviewers", &self.reviewers),
            iterations: compiling.number("/iterations", self.iterations, 1, 10, 1),
            exclude_own: self.exclude_own.unwrap_or(false),
            instructions: compiling.instructions(self.instructions.as_ref()),
        };
        let each = compiling.drafts / compiling.models.len().max(1);
        let own =
            |reviewer: &ModelSpec| compiling.models.iter().filter(|writer| is_same_model(writer, reviewer)).count();
        let left = |reviewer: &ModelSpec| compiling.drafts - each * own(reviewer);
        if compiling.lacks(2) {
            compiling.wrong("", "needs two answers to rank: name another model, or more iterations");
        } else if review.exclude_own && compiling.drafts > 0 && review.reviewers.iter().any(|one| left(one) < 2) {
            let detail = "leaves a reviewer fewer than two answers to rank: name other reviewers or more models";
            compiling.wrong("/exclude_own", detail);
        }
        review
    }

    #[cfg(test)]
    fn any() -> proptest::strategy::BoxedStrategy<Self> {
        use proptest::prelude::*;

        use crate::run::arbitrary::{any_model, any_text};
        let reviewers = prop::collection::vec(any_model(), 0..3);
        let settings = (prop::option::of(any::<u32>()), prop::option::of(any::<bool>()), prop::option::of(any_text()));
        (reviewers, settings)
            .prop_map(|(reviewers, (iterations, exclude_own, instructions))| Self {
                reviewers,
                iterations,
                exclude_own,
                instructions,
            })
            .boxed()
    }
}

/// One time that a reviewer was asked.
#[derive(Debug, Clone, PartialEq)]
pub struct Reviewed {
    /// Who, which time, and in which order it put the answers; no order where it gave none, or not yet.
    pub ranking: Ranking,
    /// The task.
    pub key: TaskKey,
    /// What decided the order in which the answers were shown.
    pub seed: ContentHash,
    /// The answers in the order in which they were shown: the first one was called A.
    pub shown: Vec<Candidate>,
    /// What tells a question about these answers, in this order, from others.
    pub question: ContentHash,
    /// All that it said.
    pub review: Option<judging::Review>,
}

/// What reviewers said, as a table.
pub(super) fn table(reviews: &[Reviewed]) -> RankingTable {
    // Each is asked for once, and names each answer once.
    RankingTable::new(reviews.iter().map(|reviewed| reviewed.ranking.clone()).collect()).unwrap_or_default()
}

impl Review {
    /// The tasks of a subject: reviewer and iteration with their keys.
    fn tasks<'a>(&'a self, about: &'a str) -> impl Iterator<Item = (usize, u32, TaskKey)> + 'a {
        (0..self.reviewers.len()).flat_map(move |reviewer| {
            (1..=self.iterations).map(move |iteration| {
                (reviewer, iteration, TaskKey::of(NAME, about, &format!("r{reviewer}"), iteration))
            })
        })
    }

    /// Those of the answers that a reviewer may be shown, in the order of the run's list.
    fn of_others<'a, 'run>(&self, reviewer: usize, drafts: &'a [Draft<'run>]) -> Vec<&'a Draft<'run>> {
        let reviewer = self.reviewers.get(reviewer);
        let is_own =
            |draft: &Draft<'_>| draft.writer.zip(reviewer).is_some_and(|(one, other)| is_same_model(one, other));
        drafts.iter().filter(|draft| !(self.exclude_own && is_own(draft))).collect()
    }

    fn call(&self, spec: &RunSpec, reviewer: &ModelSpec, task: &str, answers: &[&str]) -> Call {
        let reviewing = Reviewing::of(answers.len());
        let labelled = reviewing.labels.iter().map(String::as_str).zip(answers.iter().copied());
        let messages = prompt::review(self.instructions.as_deref(), task, labelled);
        Call { expects: Some(Expectation::Ranking(reviewing)), ..spec.call_about(reviewer, messages) }
    }

    /// What the reviewers said of the answers to a subject.
    pub fn reviews(&self, spec: &RunSpec, subject: Subject, find: Find<'_>) -> Vec<Reviewed> {
        let (written, hashes): (Vec<Draft<'_>>, HashMap<Candidate, ContentHash>) = generate::drafts(spec, subject)
            .into_iter()
            .filter_map(|draft| {
                let hash = ContentHash::of(find(&draft.key, None)?);
                let candidate = draft.candidate;
                Some((draft, (candidate, hash)))
            })
            .unzip();
        let (about, task) = (subject.about(spec), task_mark(spec, subject));
        let reviewed = |(reviewer, iteration, key): (usize, u32, TaskKey)| {
            let seed = labels::seed(&task, reviewer, iteration);
            let of_others = self.of_others(reviewer, &written);
            let shown = labels::shown(seed, of_others.len());
            let shown: Vec<Candidate> = shown.into_iter().map(|position| of_others[position].candidate).collect();
            let question = question_of(shown.iter().filter_map(|candidate| hashes.get(candidate).copied()));
            let review = find(&key, Some(question)).and_then(|text| Reviewing::of(shown.len()).read(&text).ok());
            let order = review.as_ref().map(|review| review.order.iter().map(|position| shown[*position]).collect());
            let reviewer = Judge(u32::try_from(reviewer).unwrap_or(u32::MAX));
            Reviewed { ranking: Ranking { iteration, reviewer, order }, key, seed, shown, question, review }
        };
        self.tasks(&about).map(reviewed).collect()
    }
}

/// What tells the tasks of two subjects apart: known without the text of the document.
fn task_mark(spec: &RunSpec, subject: Subject) -> String {
    let document = subject.document(spec).map(|document| document.hash.to_string());
    format!("{}\n{}", document.unwrap_or_default(), spec.task(None))
}

fn is_same_model(one: &ModelSpec, other: &ModelSpec) -> bool {
    (&one.provider, &one.model) == (&other.provider, &other.model)
}

impl Stage for Review {
    fn hear(&self, spec: &RunSpec, subject: Subject, find: Find<'_>, judgements: &mut Judgements) {
        let given = |reviewed: Reviewed| GivenRanking { ranking: reviewed.ranking, task_key: reviewed.key.to_string() };
        judgements.review = Some(RankingJudgements {
            reviewers: self.reviewers.iter().map(ModelSpec::full_name).collect(),
            competing: generate::written(spec, subject, find),
            given: self.reviews(spec, subject, find).into_iter().map(given).collect(),
        });
    }

    fn models(&self) -> Vec<(String, &ModelSpec)> {
        self.reviewers.iter().enumerate().map(|(index, reviewer)| (format!("/reviewers/{index}"), reviewer)).collect()
    }

    fn count(&self, _spec: &RunSpec) -> u64 {
        self.reviewers.len() as u64 * u64::from(self.iterations)
    }

    fn plan<'a>(&'a self, spec: &'a RunSpec, subject: Subject) -> Vec<PlannedTask<'a>> {
        let (about, drafts) = (subject.about(spec), generate::drafts(spec, subject));
        // The same for all who are shown as many.
        let mut sizes: BTreeMap<usize, (CallSize, CallSize)> = BTreeMap::new();
        let planned = |(index, iteration, key): (usize, u32, TaskKey)| {
            let reviewer = &self.reviewers[index];
            let count = self.of_others(index, &drafts).len();
            let (size, repair) = *sizes.entry(count).or_insert_with(|| {
                let size = spec.size_about(subject, |task| self.call(spec, reviewer, task, &vec![""; count]).size());
                (size, Expectation::Ranking(Reviewing::of(count)).repair_size())
            });
            PlannedTask {
                key,
                stage: NAME,
                is_result: false,
                document_index: subject.document_index,
                model: Some(reviewer),
                iteration,
                size,
                reads: u32::try_from(count).unwrap_or(u32::MAX),
                repair: Some(repair),
            }
        };
        self.tasks(&about).map(planned).collect()
    }

    fn on_subject<'a, 'run: 'a>(&'a self, lane: &'a Lane<'run>) -> BoxFuture<'a, Result<(), Stopped>> {
        async move {
            let drafts = generate::drafts(lane.spec, lane.subject);
            let texts: Vec<Option<String>> = drafts.iter().map(|draft| lane.find(&draft.key, None)).collect();
            let text_of = |candidate: Candidate| texts.get(candidate.0 as usize).and_then(Option::as_deref);
            let (mut missing, mut asks) = (Vec::new(), Vec::new());
            for Reviewed { ranking, key, shown, question, .. } in
                self.reviews(lane.spec, lane.subject, &|key, question| lane.find(key, question))
            {
                let Some(reviewer) = self.reviewers.get(ranking.reviewer.0 as usize) else { continue };
                let answers: Vec<&str> = shown.into_iter().filter_map(text_of).collect();
                if answers.len() < 2 {
                    missing.push(key);
                    continue;
                }
                asks.push(
                    async move {
                        let make = |text: Option<&str>| self.call(lane.spec, reviewer, &lane.task(text), &answers);
                        lane.ask(key, Some(question), make).await.map(|_| ())
                    }
                    .boxed(),
                );
            }
            lane.lack(missing, "there are not two answers to rank").await?;
            lane.all(asks).await
        }
        .boxed()
    }

    fn rests_on_all(&self) -> bool {
        true
    }
}
