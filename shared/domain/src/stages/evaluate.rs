//! `evaluate`: judges score each answer by criteria, as soon as it is there, each judge `iterations` times. What a judge fails to
//! say is missing, and never a zero.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};

use super::generate;
use super::lane::Lane;
use super::planned::PlannedTask;
use super::subject::{Draft, Find, Subject, question};
use super::{Asked, Compiling, Stage};
use crate::call::Call;
use crate::criteria::Criterion;
use crate::ids::CriteriaSetId;
use crate::journal::{Stopped, TaskKey};
use crate::judged::{GivenScores, Judgements, ScoreJudgements};
use crate::judging::prompt::{self, Named};
use crate::judging::{Expectation, Scored, Scoring};
use crate::ranking::scores::{Score, ScoreRow, ScoreTable};
use crate::ranking::weights::Weights;
use crate::ranking::{self, Judge};
use crate::run::{ModelChoice, ModelSpec, RunSpec};

const NAME: &str = "evaluate";

/// Judges score each answer by criteria, from 1 to 5, with a reason.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object), oai(rename = "Evaluate", deny_unknown_fields))]
pub struct NewEvaluate {
    /// 1 to 20 models that judge, as in `models`. Each may say 16384 tokens where nothing else is set, or as many as
    /// its model gives where these are fewer.
    pub judges: Vec<ModelChoice>,
    /// What is scored: 1 to 50 names, or names with descriptions and weights. Clarity, completeness, depth, factuality, relevance
    /// and structure where absent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "openapi", oai(default))]
    pub criteria: Vec<Criterion>,
    /// One of your criteria sets instead of `criteria`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", oai(skip_serializing_if_is_none))]
    pub criteria_set_id: Option<CriteriaSetId>,
    /// How often each judge is asked about each answer, 1 to 10; 1 where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(
        feature = "openapi",
        oai(skip_serializing_if_is_none, validator(minimum(value = "1"), maximum(value = "10")))
    )]
    pub iterations: Option<u32>,
    /// What judges are told first, instead of our own words; at most 100000 bytes. The task, the answer and the form of what they
    /// say follow in any case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", oai(skip_serializing_if_is_none))]
    pub instructions: Option<String>,
}

/// The same with nothing left open.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evaluate {
    /// Who judges.
    pub judges: Vec<ModelSpec>,
    /// What is scored.
    pub criteria: Vec<Criterion>,
    /// How often each judge is asked.
    pub iterations: u32,
    /// What judges are told first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instructions: Option<String>,
}

impl Asked for NewEvaluate {
    type Stage = Evaluate;

    fn compile(&self, compiling: &mut Compiling<'_>) -> Evaluate {
        Evaluate {
            judges: compiling.judges("/judges", &self.judges),
            criteria: compiling.criteria(&self.criteria, self.criteria_set_id),
            iterations: compiling.number("/iterations", self.iterations, 1, 10, 1),
            instructions: compiling.instructions(self.instructions.as_ref()),
        }
    }

    #[cfg(test)]
    fn any() -> proptest::strategy::BoxedStrategy<Self> {
        use proptest::prelude::*;

        use crate::run::arbitrary::{any_model, any_text};
        let criterion = (any_text(), any_text(), 1_u32..2_000).prop_map(|(name, description, weight)| Criterion {
            name,
            description,
            weight: f64::from(weight) / 8.0,
        });
        let set = prop::option::of(any::<u128>().prop_map(|id| CriteriaSetId::from(uuid::Uuid::from_u128(id))));
        let lists = (prop::collection::vec(any_model(), 0..3), prop::collection::vec(criterion, 0..3));
        (lists, set, prop::option::of(any::<u32>()), prop::option::of(any_text()))
            .prop_map(|((judges, criteria), criteria_set_id, iterations, instructions)| Self {
                judges,
                criteria,
                criteria_set_id,
                iterations,
                instructions,
            })
            .boxed()
    }
}

/// One time that a judge was asked about an answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Scores {
    /// The answer.
    pub candidate: ranking::Candidate,
    /// The judge.
    pub judge: Judge,
    /// Counted from 1.
    pub iteration: u32,
    /// The task.
    pub key: TaskKey,
    /// What it gave, in the order of the criteria; `None` where it gave nothing, or not yet.
    pub scores: Option<Vec<Scored>>,
}

impl Evaluate {
    /// The tasks about one answer: judge and iteration with their keys.
    fn tasks<'a>(&'a self, about: &'a str, draft: &'a Draft<'_>) -> impl Iterator<Item = (usize, u32, TaskKey)> + 'a {
        (0..self.judges.len()).flat_map(move |judge| {
            (1..=self.iterations).map(move |iteration| {
                let what = format!("{about}/{}", draft.tag);
                (judge, iteration, TaskKey::of(NAME, &what, &format!("j{judge}"), iteration))
            })
        })
    }

    fn expectation(&self) -> Expectation {
        Expectation::Scores(Scoring {
            criteria: self.criteria.iter().map(|criterion| criterion.name.clone()).collect(),
        })
    }

    /// The criteria as prompts have them.
    pub(super) fn named(&self) -> Vec<Named<'_>> {
        self.criteria
            .iter()
            .map(|criterion| Named { name: &criterion.name, description: &criterion.description })
            .collect()
    }

    fn call(&self, spec: &RunSpec, judge: &ModelSpec, task: &str, answer: &str) -> Call {
        let messages = prompt::scoring(self.instructions.as_deref(), &self.named(), task, answer);
        Call { expects: Some(self.expectation()), ..spec.call_about(judge, messages) }
    }

    /// What the judges gave the answers to a subject.
    pub fn scores(&self, spec: &RunSpec, subject: Subject, find: Find<'_>) -> Vec<Scores> {
        let (about, Expectation::Scores(scoring)) = (subject.about(spec), self.expectation()) else {
            return Vec::new();
        };
        let mut given = Vec::new();
        for draft in generate::drafts(spec, subject) {
            let question = find(&draft.key, None).map(|answer| question([answer.as_str()]));
            for (judge, iteration, key) in self.tasks(&about, &draft) {
                let scores = question.and_then(|question| find(&key, Some(question)));
                let scores = scores.and_then(|text| scoring.read(&text).ok());
                let judge = Judge(u32::try_from(judge).unwrap_or(u32::MAX));
                given.push(Scores { candidate: draft.candidate, judge, iteration, key, scores });
            }
        }
        given
    }

    /// The same as a table: a score that is missing is missing.
    pub fn table(&self, given: &[Scores]) -> ScoreTable {
        let rows = given.iter().flat_map(|given| {
            (0_u32..).zip(&self.criteria).enumerate().map(|(index, (number, _))| ScoreRow {
                candidate: given.candidate,
                criterion: ranking::Criterion(number),
                judge: given.judge,
                iteration: given.iteration,
                score: given.scores.as_ref().and_then(|scores| Score::try_from(scores.get(index)?.score).ok()),
            })
        });
        // Each is asked for once.
        ScoreTable::new(rows.collect()).unwrap_or_default()
    }

    /// How much each criterion counts.
    pub fn weights(&self) -> Weights {
        let weights =
            (0_u32..).zip(&self.criteria).map(|(number, criterion)| (ranking::Criterion(number), criterion.weight));
        // The weights of a specification were checked.
        Weights::new(weights).unwrap_or_else(|_| Weights::equal())
    }
}

impl Stage for Evaluate {
    fn hear(&self, spec: &RunSpec, subject: Subject, find: Find<'_>, judgements: &mut Judgements) {
        let given = |given: Scores| GivenScores {
            candidate: given.candidate,
            judge: given.judge,
            iteration: given.iteration,
            task_key: given.key.to_string(),
            scores: given.scores,
        };
        judgements.evaluate = Some(ScoreJudgements {
            judges: self.judges.iter().map(ModelSpec::full_name).collect(),
            criteria: self.criteria.clone(),
            competing: generate::written(spec, subject, find),
            given: self.scores(spec, subject, find).into_iter().map(given).collect(),
        });
    }

    fn models(&self) -> Vec<(String, &ModelSpec)> {
        self.judges.iter().enumerate().map(|(index, judge)| (format!("/judges/{index}"), judge)).collect()
    }

    fn count(&self, spec: &RunSpec) -> u64 {
        (generate::drafts_count(spec) * self.judges.len()) as u64 * u64::from(self.iterations)
    }

    fn plan<'a>(&'a self, spec: &'a RunSpec, subject: Subject) -> Vec<PlannedTask<'a>> {
        let Some(first) = self.judges.first() else { return Vec::new() };
        let size = spec.size_about(subject, |task| self.call(spec, first, task, "").size());
        let repair = Some(self.expectation().repair_size());
        let (about, drafts) = (subject.about(spec), generate::drafts(spec, subject));
        let planned = |(judge, iteration, key): (usize, u32, TaskKey)| PlannedTask {
            key,
            stage: NAME,
            is_result: false,
            document_index: subject.document_index,
            model: Some(&self.judges[judge]),
            iteration,
            size,
            reads: 1,
            repair,
        };
        drafts.iter().flat_map(|draft| self.tasks(&about, draft)).map(planned).collect()
    }

    fn on_answer<'a, 'run: 'a>(
        &'a self,
        lane: &'a Lane<'run>,
        draft: &'a Draft<'run>,
        answer: Option<&'a str>,
    ) -> BoxFuture<'a, Result<(), Stopped>> {
        async move {
            let Some(answer) = answer else {
                let keys = self.tasks(&lane.about, draft).map(|(_, _, key)| key).collect();
                return lane.lack(keys, "there is no answer to judge").await;
            };
            let asks = self.tasks(&lane.about, draft).map(|(judge, _, key)| {
                async move {
                    let make = |text: Option<&str>| self.call(lane.spec, &self.judges[judge], &lane.task(text), answer);
                    lane.ask(key, Some(question([answer])), make).await.map(|_| ())
                }
                .boxed()
            });
            lane.all(asks.collect::<Vec<_>>()).await
        }
        .boxed()
    }
}
