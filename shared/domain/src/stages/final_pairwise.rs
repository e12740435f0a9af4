//! `final_pairwise`: judges compare the best of the answers that were combined and what was made of them, two at a time. Its winner
//! is that of the run: these votes alone have seen the combined texts.

use std::collections::BTreeMap;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};

use super::combine::{Combine, CombineStrategy};
use super::lane::Lane;
use super::places::Places;
use super::planned::PlannedTask;
use super::subject::{Find, Subject};
use super::versus::{CastVote, Slot, Slots, Versus};
use super::{Asked, Compiling, Stage, generate};
use crate::journal::{Stopped, TaskKey};
use crate::judged::Judgements;
use crate::ranking::Candidate;
use crate::run::{ModelChoice, ModelSpec, RunSpec};

const NAME: &str = "final_pairwise";
/// How many of the answers compete where all of them were combined and nothing else is said.
const USUAL_TOP: u32 = 2;

/// Judges compare the best answers and what was made of them in pairs.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object), oai(rename = "FinalPairwise", deny_unknown_fields))]
pub struct NewFinalPairwise {
    /// 1 to 20 models that judge; those of `evaluate` where absent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "openapi", oai(default))]
    pub judges: Vec<ModelChoice>,
    /// How many of the answers that were combined compete, the best of them, at least 1. Where absent, as many as `combine` has
    /// for its own `top_n`, else 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", oai(skip_serializing_if_is_none, validator(minimum(value = "1"))))]
    pub top_n: Option<u32>,
    /// Whether each pair is shown in both orders; true where absent.
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
    /// Whether judges are kept from pairs with a text of a model of their own family; false where absent. A family is one maker:
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
pub struct FinalPairwise {
    /// How the texts are compared.
    #[serde(flatten)]
    pub versus: Versus,
    /// How many of the answers that were combined compete.
    pub top_n: u32,
}

impl Asked for NewFinalPairwise {
    type Stage = FinalPairwise;

    fn compile(&self, compiling: &mut Compiling<'_>) -> FinalPairwise {
        let combine = compiling.asked.combine.get();
        let strategy = combine.map(|combine| combine.strategy.unwrap_or_default());
        if strategy.is_none() && !compiling.open {
            compiling.wrong("", "needs the stage combine: without it there is nothing new to compare");
        }
        if strategy == Some(CombineStrategy::BestOf) {
            compiling.wrong("", "does not go with best_of, which writes nothing new to compare");
        }
        if self.top_n == Some(0) {
            compiling.wrong("/top_n", "must be at least 1");
        }
        let inputs = combine.and_then(|combine| combine.top_n);
        let most = match strategy {
            Some(CombineStrategy::Synthesis) if inputs.is_none() => u32::MAX,
            _ => inputs.unwrap_or(USUAL_TOP),
        };
        if self.top_n.is_some_and(|top| top > most) {
            compiling.wrong("/top_n", format!("must be at most {most}: so many answers are combined"));
        }
        let drafts = u32::try_from(compiling.drafts).unwrap_or(u32::MAX);
        let top_n = self.top_n.or(inputs).unwrap_or(USUAL_TOP).min(drafts);
        let mut versus = Versus {
            judges: compiling.judges_or_those_of_evaluate(&self.judges),
            both_orders: self.both_orders.unwrap_or(true),
            iterations: compiling.number("/iterations", self.iterations, 1, 10, 1),
            exclude_own_family: self.exclude_own_family.unwrap_or(false),
            families: BTreeMap::new(),
            instructions: compiling.instructions(self.instructions.as_ref()),
        };
        let combine = combine.map(|combine| compiling.quietly(|compiling| combine.compile(compiling)));
        let combined = combine.as_ref().map(Combine::writers).unwrap_or_default();
        versus.settle_families(compiling, top_n as usize, &combined);
        FinalPairwise { versus, top_n }
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

impl FinalPairwise {
    /// The places of the texts that are compared: those of the best answers, then those of what is made of them.
    fn places<'a>(&self, spec: &'a RunSpec) -> Places<'a> {
        let combined = spec.stages.combine.as_ref().map(Combine::writers).unwrap_or_default();
        Places::of_best(&spec.models, spec.iterations as usize, self.top_n as usize).and(combined)
    }

    /// The texts that are compared: the best answers in the order of the run's list, then what was made of them. Empty places where
    /// one is missing.
    pub fn slots<'a>(&self, spec: &'a RunSpec, subject: Subject, find: Find<'_>) -> Slots<'a> {
        self.slots_of(spec, subject, self.best(spec, subject, find).as_deref(), find)
    }

    /// Whether not all answers are compared.
    fn is_of_best(&self, spec: &RunSpec) -> bool {
        (self.top_n as usize) < generate::drafts_count(spec)
    }

    /// The best of the answers that were combined, in the order of the run's list; `None` where all are compared.
    fn best(&self, spec: &RunSpec, subject: Subject, find: Find<'_>) -> Option<Vec<Candidate>> {
        let combine = spec.stages.combine.as_ref().filter(|_| self.is_of_best(spec))?;
        let best = combine.best(spec, subject, find).into_iter().take(self.top_n as usize);
        let mut best: Vec<Candidate> = best.map(|draft| draft.candidate).collect();
        best.sort_unstable();
        Some(best)
    }

    fn slots_of<'a>(
        &self,
        spec: &'a RunSpec,
        subject: Subject,
        best: Option<&[Candidate]>,
        find: Find<'_>,
    ) -> Slots<'a> {
        let (places, top) = (self.places(spec), self.top_n as usize);
        let Some(combine) = &spec.stages.combine else { return Slots { places, standing: Vec::new() } };
        let combined: Vec<Option<Slot<'a>>> =
            combine.drafts(spec, subject).into_iter().map(|draft| Slot::of(draft, find)).collect();
        // Without anything new the answers have been compared: another vote would cost again, and overrule those that saw them all.
        if combined.iter().all(Option::is_none) {
            return Slots { places, standing: Vec::new() };
        }
        let answers = match best {
            Some(best) => generate::these(spec, subject, best),
            None => generate::drafts(spec, subject),
        };
        let mut standing: Vec<Option<Slot<'a>>> = answers.into_iter().map(|draft| Slot::of(draft, find)).collect();
        standing.resize(top, None);
        standing.extend(combined);
        Slots { places, standing }
    }

    /// The votes on the texts in these places.
    pub fn votes(&self, spec: &RunSpec, subject: Subject, slots: &Slots<'_>, find: Find<'_>) -> Vec<CastVote> {
        self.versus.votes(NAME, &subject.about(spec), slots, find)
    }
}

impl Stage for FinalPairwise {
    fn hear(&self, spec: &RunSpec, subject: Subject, find: Find<'_>, judgements: &mut Judgements) {
        let slots = self.slots(spec, subject, find);
        judgements.final_pairwise = Some(self.versus.heard(NAME, &subject.about(spec), &slots, find));
    }

    fn models(&self) -> Vec<(String, &ModelSpec)> {
        self.versus.models()
    }

    fn count(&self, spec: &RunSpec) -> u64 {
        self.versus.count(&self.places(spec))
    }

    fn plan<'a>(&'a self, spec: &'a RunSpec, subject: Subject) -> Vec<PlannedTask<'a>> {
        let (places, combine) = (self.places(spec), spec.stages.combine.as_ref());
        // The texts that are made stand behind the answers.
        let made = combine.map_or(0, |combine| combine.writers().len());
        let answers = places.count().saturating_sub(made);
        let put_together = combine.map_or(1, |combine| combine.answers_in_text(spec));
        let answers = |place: u32| if (place as usize) < answers { 1 } else { put_together };
        self.versus.plan(NAME, spec, subject, &places, answers)
    }

    fn on_subject<'a, 'run: 'a>(&'a self, lane: &'a Lane<'run>) -> BoxFuture<'a, Result<(), Stopped>> {
        async move {
            let best = if self.is_of_best(lane.spec) {
                let (stage, subject) = (self.clone(), lane.subject);
                lane.consider(move |spec, find| stage.best(spec, subject, find)).await?
            } else {
                None
            };
            let find = |key: &TaskKey, question| lane.find(key, question);
            let slots = self.slots_of(lane.spec, lane.subject, best.as_deref(), &find);
            self.versus.compare(NAME, lane, &slots).await
        }
        .boxed()
    }

    fn rests_on_all(&self) -> bool {
        true
    }
}
