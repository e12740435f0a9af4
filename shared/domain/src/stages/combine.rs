//! `combine`: makes one text of several answers to a subject. Models merge the best or speak for the whole council, each giving a
//! text of its own; three other ways need no model and cost nothing.

use std::collections::HashMap;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};

use super::heard::named;
use super::lane::Lane;
use super::planned::PlannedTask;
use super::standing::best_first;
use super::subject::{Draft, Find, Subject, question};
use super::{Asked, Compiling, Stage, generate};
use crate::call::{Call, CallSize};
use crate::combining::prompt::{self, Authored, Reviewed};
use crate::combining::{assemble, concatenate};
use crate::journal::{Stopped, TaskKey};
use crate::judged::Judgements;
use crate::judging::{Critique, Review};
use crate::ranking::Candidate;
use crate::run::{ModelChoice, ModelSpec, RunSpec};

/// The first part of its tasks' keys.
pub(super) const NAME: &str = "combine";
/// How many of the best answers are combined where nothing else is said.
const USUAL_TOP: u32 = 2;

/// How answers are combined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Enum), oai(rename_all = "snake_case"))]
pub enum CombineStrategy {
    /// Each of the models writes one text of the best answers.
    #[default]
    Merge,
    /// Each of the models, as the chair of a council, writes one answer from all answers, under the names of their models, and
    /// from all reviews.
    Synthesis,
    /// The best answer as it is. No call.
    BestOf,
    /// For each heading, the section of the best answer that has one. No call.
    Sections,
    /// The best answers, one after the other. No call.
    Concatenation,
}

impl CombineStrategy {
    const fn asks_models(self) -> bool {
        matches!(self, Self::Merge | Self::Synthesis)
    }
}

/// One text is made of several answers.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object), oai(rename = "Combine", deny_unknown_fields))]
pub struct NewCombine {
    /// How; `merge` where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", oai(skip_serializing_if_is_none))]
    pub strategy: Option<CombineStrategy>,
    /// 1 to 20 models for `merge` and `synthesis`, as in `models`, each of which writes a text of its own; none for the others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "openapi", oai(default))]
    pub models: Vec<ModelChoice>,
    /// How many of the best answers are combined, at least 2. Where absent, 2, and all for `synthesis`. Not for `best_of`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", oai(skip_serializing_if_is_none, validator(minimum(value = "2"))))]
    pub top_n: Option<u32>,
    /// What the models are told first, instead of our own words; at most 100000 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", oai(skip_serializing_if_is_none))]
    pub instructions: Option<String>,
}

/// The same with nothing left open.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Combine {
    /// How.
    pub strategy: CombineStrategy,
    /// Who writes; nobody where no model is needed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<ModelSpec>,
    /// How many of the best answers are combined; all where `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top_n: Option<u32>,
    /// What the models are told first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instructions: Option<String>,
}

impl Asked for NewCombine {
    type Stage = Combine;

    fn compile(&self, compiling: &mut Compiling<'_>) -> Combine {
        let strategy = self.strategy.unwrap_or_default();
        let models = if strategy.asks_models() {
            compiling.writers("/models", &self.models)
        } else {
            if !self.models.is_empty() {
                compiling.wrong("/models", "go with merge and synthesis alone: this strategy asks no model");
            }
            if self.instructions.is_some() {
                compiling.wrong("/instructions", "go with merge and synthesis alone: this strategy asks no model");
            }
            Vec::new()
        };
        if self.top_n.is_some_and(|top| top < 2) {
            compiling.wrong("/top_n", "must be at least 2");
        }
        if self.top_n.is_some() && strategy == CombineStrategy::BestOf {
            compiling.wrong("/top_n", "goes with the other strategies: best_of takes one answer");
        }
        if compiling.lacks(2) {
            compiling.wrong("", "needs two answers to combine: name another model, or more iterations");
        }
        let top_n = match strategy {
            CombineStrategy::BestOf => Some(1),
            CombineStrategy::Synthesis => self.top_n,
            CombineStrategy::Merge | CombineStrategy::Sections | CombineStrategy::Concatenation => {
                Some(self.top_n.unwrap_or(USUAL_TOP))
            }
        };
        let top_n = top_n.filter(|top| (*top as usize) < compiling.drafts);
        Combine { strategy, models, top_n, instructions: compiling.instructions(self.instructions.as_ref()) }
    }

    #[cfg(test)]
    fn any() -> proptest::strategy::BoxedStrategy<Self> {
        use proptest::prelude::*;

        use crate::run::arbitrary::{any_model, any_text};
        let strategies = [
            CombineStrategy::Merge,
            CombineStrategy::Synthesis,
            CombineStrategy::BestOf,
            CombineStrategy::Sections,
            CombineStrategy::Concatenation,
        ];
        let strategy = prop::option::of(prop::sample::select(strategies.to_vec()));
        let settings = (strategy, prop::option::of(any::<u32>()), prop::option::of(any_text()));
        (prop::collection::vec(any_model(), 0..3), settings)
            .prop_map(|(models, (strategy, top_n, instructions))| Self { strategy, models, top_n, instructions })
            .boxed()
    }
}

impl Combine {
    /// How many answers are combined if none is missing.
    fn inputs_at_most(&self, spec: &RunSpec) -> usize {
        self.top_n.map_or(spec.models.len() * spec.iterations as usize, |top| top as usize)
    }

    /// How many answers each text is put together of at most; one that a model writes is an answer of that model.
    pub(super) fn answers_in_text(&self, spec: &RunSpec) -> u32 {
        match self.strategy {
            CombineStrategy::Merge | CombineStrategy::Synthesis | CombineStrategy::BestOf => 1,
            CombineStrategy::Sections | CombineStrategy::Concatenation => {
                u32::try_from(self.inputs_at_most(spec)).unwrap_or(u32::MAX)
            }
        }
    }

    /// Who writes each text; `None` where no model does.
    pub fn writers(&self) -> Vec<Option<&ModelSpec>> {
        if self.strategy.asks_models() { self.models.iter().map(Some).collect() } else { vec![None] }
    }

    /// The texts that are made for a subject; they compete beside the answers from then on.
    pub fn drafts<'a>(&'a self, spec: &RunSpec, subject: Subject) -> Vec<Draft<'a>> {
        let about = subject.about(spec);
        let before = spec.models.len() * spec.iterations as usize;
        let draft = |(index, writer): (usize, Option<&'a ModelSpec>)| Draft {
            candidate: Candidate(u32::try_from(before + index).unwrap_or(u32::MAX)),
            key: TaskKey::of(NAME, &about, &format!("c{index}"), 1),
            writer,
            iteration: 1,
            tag: format!("c{index}"),
        };
        self.writers().into_iter().enumerate().map(draft).collect()
    }

    /// The answers that are combined, best first.
    pub fn best<'a>(&self, spec: &'a RunSpec, subject: Subject, find: Find<'_>) -> Vec<Draft<'a>> {
        let drafts = generate::drafts(spec, subject);
        let mut best = best_first(spec, subject, &drafts, find);
        best.truncate(self.inputs_at_most(spec));
        best
    }

    /// The same in the order in which they are shown: a chair is told the rankings, and sees the answers in the order of the run.
    fn inputs<'a>(&self, spec: &'a RunSpec, subject: Subject, find: Find<'_>) -> Vec<Draft<'a>> {
        let mut inputs = self.best(spec, subject, find);
        if self.strategy == CombineStrategy::Synthesis {
            inputs.sort_by_key(|draft| draft.candidate);
        }
        inputs
    }

    fn call(
        &self,
        spec: &RunSpec,
        model: &ModelSpec,
        task: &str,
        answers: &[Authored<'_>],
        reviews: &[Reviewed<'_>],
    ) -> Call {
        let instructions = self.instructions.as_deref();
        let messages = match self.strategy {
            CombineStrategy::Synthesis => prompt::synthesis(instructions, task, answers, reviews),
            _ => prompt::merge(instructions, task, answers.iter().map(|answer| answer.text)),
        };
        spec.call_about(model, messages)
    }

    /// The size of a call without what it reads: the answers, and what reviewers wrote of them.
    fn size(&self, spec: &RunSpec, subject: Subject, model: &ModelSpec) -> CallSize {
        let mut names: Vec<String> = generate::drafts(spec, subject).iter().map(author).collect();
        // Which answers are the best is not known yet: those with the longest names, at most.
        names.sort_by_key(|name| std::cmp::Reverse(name.len()));
        names.truncate(self.inputs_at_most(spec));
        let answers: Vec<Authored<'_>> = names.iter().map(|author| Authored { author, text: "" }).collect();
        let reviewers: Vec<(String, usize)> = self.reviewers(spec).collect();
        let reviews: Vec<Reviewed<'_>> = reviewers
            .iter()
            .map(|(reviewer, count)| {
                let critique = |position| Critique { position, strengths: String::new(), weaknesses: String::new() };
                let review = Review { order: (0..*count).collect(), critiques: (0..*count).map(critique).collect() };
                Reviewed { reviewer, shown: (0..*count).map(Some).collect(), review }
            })
            .collect();
        spec.size_about(subject, |task| self.call(spec, model, task, &answers, &reviews).size())
    }

    /// Each review that a chair reads: by whom, and of how many answers at most.
    fn reviewers(&self, spec: &RunSpec) -> impl Iterator<Item = (String, usize)> {
        let review = spec.stages.review.as_ref().filter(|_| self.strategy == CombineStrategy::Synthesis);
        let count = spec.models.len() * spec.iterations as usize;
        review.into_iter().flat_map(move |review| {
            let each = move |reviewer: &ModelSpec| vec![(reviewer.full_name(), count); review.iterations as usize];
            review.reviewers.iter().flat_map(each)
        })
    }

    /// The reviews, as a chair is told them: by whom, and which of these answers each label stands for.
    fn reviews<'a>(&self, lane: &Lane<'a>, inputs: &[Draft<'_>]) -> Vec<(&'a ModelSpec, Vec<Option<usize>>, Review)> {
        let review = lane.spec.stages.review.as_ref().filter(|_| self.strategy == CombineStrategy::Synthesis);
        let Some(review) = review else { return Vec::new() };
        let places: HashMap<Candidate, usize> =
            inputs.iter().enumerate().map(|(place, input)| (input.candidate, place)).collect();
        let told = review
            .reviews(lane.spec, lane.subject, &|key, question| lane.find(key, question))
            .into_iter()
            .filter_map(|reviewed| {
                let reviewer = review.reviewers.get(reviewed.ranking.reviewer.0 as usize)?;
                let shown = reviewed.shown.iter().map(|candidate| places.get(candidate).copied()).collect();
                Some((reviewer, shown, reviewed.review?))
            });
        told.collect()
    }

    /// Makes the text that no model writes.
    async fn make(&self, lane: &Lane<'_>, key: TaskKey, texts: &[String]) -> Result<(), Stopped> {
        let best_first = || texts.iter().map(String::as_str);
        let whole = match self.strategy {
            CombineStrategy::Sections => {
                let texts = texts.to_vec();
                let work = move || assemble(&texts.iter().map(String::as_str).collect::<Vec<_>>());
                lane.compute(work).await?
            }
            CombineStrategy::Concatenation => concatenate(best_first()),
            _ => texts.first().cloned().unwrap_or_default(),
        };
        lane.keep(vec![key], Some(question(best_first())), whole).await
    }

    /// Asks all who write. They read the same, so that it is put together once.
    async fn ask(
        &self,
        lane: &Lane<'_>,
        drafts: Vec<Draft<'_>>,
        inputs: &[Draft<'_>],
        texts: &[String],
    ) -> Result<(), Stopped> {
        let names: Vec<String> = inputs.iter().map(author).collect();
        let answers: Vec<Authored<'_>> =
            names.iter().zip(texts).map(|(author, text)| Authored { author, text }).collect();
        let reviews = self.reviews(lane, inputs);
        let reviewers: Vec<String> = reviews.iter().map(|(reviewer, ..)| reviewer.full_name()).collect();
        let reviews: Vec<Reviewed<'_>> = reviewers
            .iter()
            .zip(reviews)
            .map(|(reviewer, (_, shown, review))| Reviewed { reviewer, shown, review })
            .collect();
        let read = prompt::synthesis(None, "", &answers, &reviews);
        let read = answers.iter().map(|answer| answer.text).chain(read.iter().map(|message| &*message.content));
        let question = question(read);
        let (answers, reviews) = (&*answers, &*reviews);
        let asks = drafts.into_iter().filter_map(|draft| {
            let model = draft.writer?;
            let ask = async move {
                let make = |text: Option<&str>| self.call(lane.spec, model, &lane.task(text), answers, reviews);
                lane.ask(draft.key, Some(question), make).await.map(|_| ())
            };
            Some(ask.boxed())
        });
        lane.all(asks.collect::<Vec<_>>()).await
    }
}

/// Who wrote an answer, as a chair is told.
fn author(draft: &Draft<'_>) -> String {
    draft.writer.map(ModelSpec::full_name).unwrap_or_default()
}

impl Stage for Combine {
    fn hear(&self, spec: &RunSpec, subject: Subject, _find: Find<'_>, judgements: &mut Judgements) {
        judgements.candidates.extend(self.drafts(spec, subject).into_iter().map(|draft| named(NAME, &draft)));
    }

    fn models(&self) -> Vec<(String, &ModelSpec)> {
        self.models.iter().enumerate().map(|(index, model)| (format!("/models/{index}"), model)).collect()
    }

    fn count(&self, _spec: &RunSpec) -> u64 {
        self.models.len().max(1) as u64
    }

    fn plan<'a>(&'a self, spec: &'a RunSpec, subject: Subject) -> Vec<PlannedTask<'a>> {
        // The same for all models, and nothing where none is asked.
        let nothing = CallSize { bytes: 0, messages: 0 };
        let size = self.models.first().map_or(nothing, |model| self.size(spec, subject, model));
        let reads = self.inputs_at_most(spec) + self.reviewers(spec).count();
        let planned = |draft: Draft<'a>| PlannedTask {
            key: draft.key,
            stage: NAME,
            is_result: true,
            document_index: subject.document_index,
            model: draft.writer,
            iteration: draft.iteration,
            size,
            reads: u32::try_from(reads).unwrap_or(u32::MAX),
            repair: None,
        };
        self.drafts(spec, subject).into_iter().map(planned).collect()
    }

    fn on_subject<'a, 'run: 'a>(&'a self, lane: &'a Lane<'run>) -> BoxFuture<'a, Result<(), Stopped>> {
        async move {
            let drafts = self.drafts(lane.spec, lane.subject);
            let (stage, subject) = (self.clone(), lane.subject);
            let candidates = |inputs: Vec<Draft<'_>>| inputs.into_iter().map(|input| input.candidate).collect();
            let inputs: Vec<Candidate> =
                lane.consider(move |spec, find| candidates(stage.inputs(spec, subject, find))).await?;
            let inputs = generate::these(lane.spec, subject, &inputs);
            let texts: Vec<String> = inputs.iter().filter_map(|input| lane.find(&input.key, None)).collect();
            let (least, reason) = if self.strategy.asks_models() {
                (2, "there are not two answers to combine")
            } else {
                (1, "there is no answer to combine")
            };
            if texts.len() < least {
                return lane.lack(drafts.into_iter().map(|draft| draft.key).collect(), reason).await;
            }
            if self.strategy.asks_models() {
                return self.ask(lane, drafts, &inputs, &texts).await;
            }
            for draft in drafts {
                self.make(lane, draft.key, &texts).await?;
            }
            Ok(())
        }
        .boxed()
    }

    fn rests_on_all(&self) -> bool {
        true
    }
}
