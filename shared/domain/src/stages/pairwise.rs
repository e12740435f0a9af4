//! `pairwise`: judges compare the answers to a subject, two at a time, in both orders where nothing else is said. Which answers
//! are compared is settled by the run's specification, or by the mean scores of `evaluate` where only the best are.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};

use super::lane::Lane;
use super::places::Places;
use super::planned::PlannedTask;
use super::subject::{Draft, Find, Subject};
use super::versus::{CastVote, Slot, Slots, Versus};
use super::{Asked, Compiling, Stage, generate};
use crate::journal::{Stopped, TaskKey};
use crate::judged::Judgements;
use crate::ranking::{Candidate, means, pairs};
use crate::run::{ModelChoice, ModelSpec, RunSpec};

const NAME: &str = "pairwise";

/// Judges compare the answers in pairs.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object), oai(rename = "Pairwise", deny_unknown_fields))]
pub struct NewPairwise {
    /// 1 to 20 models that judge; those of `evaluate` where absent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "openapi", oai(default))]
    pub judges: Vec<ModelChoice>,
    /// Only so many answers with the highest mean scores are compared, at least 2; needs `evaluate`. All where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", oai(skip_serializing_if_is_none, validator(minimum(value = "2"))))]
    pub top_n: Option<u32>,
    /// Whether each pair is shown in both orders, so that a judge that follows the position contradicts itself, which counts as
    /// a tie; true where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", oai(skip_serializing_if_is_none))]
    pub both_orders: Option<bool>,
    /// How often each judge is asked about each pair, 1 to 10; 1 where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(
        feature = "openapi",
        oai(skip_serializing_if_is_none, validator(minimum(value = "1"), maximum(value = "10")))
    )]
    pub iterations: Option<u32>,
    /// Whether judges are kept from pairs with an answer of a model of their own family; false where absent. A family is one maker:
    /// the provider, or behind a gateway who the model's name begins with (`mistralai/…`), by any of the names that it is known by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", oai(skip_serializing_if_is_none))]
    pub exclude_own_family: Option<bool>,
    /// What judges are told first, instead of our own words; at most 100000 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", oai(skip_serializing_if_is_none))]
    pub instructions: Option<String>,
}

/// The same with nothing left open.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pairwise {
    /// How the answers are compared.
    #[serde(flatten)]
    pub versus: Versus,
    /// How many of the best are compared; all where `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top_n: Option<u32>,
}

impl Asked for NewPairwise {
    type Stage = Pairwise;

    fn compile(&self, compiling: &mut Compiling<'_>) -> Pairwise {
        if self.top_n.is_some_and(|top| top < 2) {
            compiling.wrong("/top_n", "must be at least 2");
        }
        if self.top_n.is_some() && compiling.asked.evaluate.get().is_none() && !compiling.open {
            compiling.wrong("/top_n", "needs the stage evaluate: without scores no answers are the best");
        }
        if compiling.lacks(2) {
            compiling.wrong("", "needs two answers to compare: name another model, or more iterations");
        }
        let top_n = self.top_n.filter(|top| (*top as usize) < compiling.drafts);
        let mut versus = Versus {
            judges: compiling.judges_or_those_of_evaluate(&self.judges),
            both_orders: self.both_orders.unwrap_or(true),
            iterations: compiling.number("/iterations", self.iterations, 1, 10, 1),
            exclude_own_family: self.exclude_own_family.unwrap_or(false),
            families: BTreeMap::new(),
            instructions: compiling.instructions(self.instructions.as_ref()),
        };
        versus.settle_families(compiling, top_n.map_or(compiling.drafts, |top| top as usize), &[]);
        Pairwise { versus, top_n }
    }

    #[cfg(test)]
    fn any() -> proptest::strategy::BoxedStrategy<Self> {
        use proptest::prelude::*;

        use crate::run::arbitrary::{any_model, any_text};
        let numbers = (prop::option::of(any::<u32>()), prop::option::of(any::<u32>()));
        let choices = (prop::option::of(any::<bool>()), prop::option::of(any::<bool>()));
        (prop::collection::vec(any_model(), 0..3), numbers, choices, prop::option::of(any_text()))
            .prop_map(|(judges, (top_n, iterations), (both_orders, exclude_own_family), instructions)| Self {
                judges,
                top_n,
                both_orders,
                iterations,
                exclude_own_family,
                instructions,
            })
            .boxed()
    }
}

impl Pairwise {
    /// The places of the answers that are compared.
    fn places<'a>(&self, spec: &'a RunSpec) -> Places<'a> {
        let top = self.top_n.map_or_else(|| generate::drafts_count(spec), |top| top as usize);
        Places::of_best(&spec.models, spec.iterations as usize, top)
    }

    /// The answers that are compared; empty places where too few have an answer. `drafts`: all of the subject.
    pub fn slots<'a>(&self, spec: &'a RunSpec, subject: Subject, drafts: &[Draft<'a>], find: Find<'_>) -> Slots<'a> {
        self.slots_of(spec, drafts, self.best(spec, subject, find).as_deref(), find)
    }

    /// The answers with the highest mean scores, in the order of the run's list; `None` where all are compared.
    fn best(&self, spec: &RunSpec, subject: Subject, find: Find<'_>) -> Option<Vec<Candidate>> {
        let (top, evaluate) = (self.top_n?, spec.stages.evaluate.as_ref()?);
        let written: BTreeSet<Candidate> = generate::written(spec, subject, find).into_iter().collect();
        let table = evaluate.table(&evaluate.scores(spec, subject, find));
        let mut means = means::by_candidate(&table, &evaluate.weights());
        means.retain(|mean| written.contains(&mean.candidate));
        Some(pairs::top(&means, top as usize))
    }

    fn slots_of<'a>(
        &self,
        spec: &'a RunSpec,
        drafts: &[Draft<'a>],
        best: Option<&[Candidate]>,
        find: Find<'_>,
    ) -> Slots<'a> {
        let places = self.places(spec);
        let Some(best) = best else {
            return Slots { places, standing: drafts.iter().map(|draft| Slot::of(draft.clone(), find)).collect() };
        };
        let among_best = drafts.iter().filter(|draft| best.contains(&draft.candidate));
        let mut standing: Vec<Option<Slot<'a>>> =
            among_best.filter_map(|draft| Slot::of(draft.clone(), find)).map(Some).collect();
        standing.resize(places.count(), None);
        Slots { places, standing }
    }
}

impl Pairwise {
    /// The votes on the answers in these places.
    pub fn votes(&self, spec: &RunSpec, subject: Subject, slots: &Slots<'_>, find: Find<'_>) -> Vec<CastVote> {
        self.versus.votes(NAME, &subject.about(spec), slots, find)
    }
}

impl Stage for Pairwise {
    fn hear(&self, spec: &RunSpec, subject: Subject, find: Find<'_>, judgements: &mut Judgements) {
        let slots = self.slots(spec, subject, &generate::drafts(spec, subject), find);
        judgements.pairwise = Some(self.versus.heard(NAME, &subject.about(spec), &slots, find));
    }

    fn models(&self) -> Vec<(String, &ModelSpec)> {
        self.versus.models()
    }

    fn count(&self, spec: &RunSpec) -> u64 {
        self.versus.count(&self.places(spec))
    }

    fn plan<'a>(&'a self, spec: &'a RunSpec, subject: Subject) -> Vec<PlannedTask<'a>> {
        self.versus.plan(NAME, spec, subject, &self.places(spec), |_| 1)
    }

    fn on_subject<'a, 'run: 'a>(&'a self, lane: &'a Lane<'run>) -> BoxFuture<'a, Result<(), Stopped>> {
        async move {
            let drafts = generate::drafts(lane.spec, lane.subject);
            let best = match self.top_n {
                Some(_) => {
                    let (stage, subject) = (self.clone(), lane.subject);
                    lane.consider(move |spec, find| stage.best(spec, subject, find)).await?
                }
                None => None,
            };
            let find = |key: &TaskKey, question| lane.find(key, question);
            let slots = self.slots_of(lane.spec, &drafts, best.as_deref(), &find);
            self.versus.compare(NAME, lane, &slots).await
        }
        .boxed()
    }

    fn rests_on_all(&self) -> bool {
        // Where all are compared, a pair is of the same two answers whatever becomes of the others.
        self.top_n.is_some()
    }
}
