//! The pipeline of a run. `generate` writes the answers; the other stages judge, compare and combine them. A stage is one file
//! and two lines here: its `mod`, and its row in `stages!`.
//!
//! Each subject (a document, or the prompt alone) has a [`Lane`] of its own: an answer is judged as soon as it is there
//! (`on_answer`), and when all answers of the subject are, the stages follow in the order of the table (`on_subject`).

mod combine;
mod compiling;
#[cfg(test)]
mod council_tests;
mod evaluate;
#[cfg(test)]
mod families_tests;
mod final_pairwise;
mod generate;
mod heard;
mod lane;
mod pairwise;
mod places;
mod planned;
mod progress;
#[cfg(test)]
mod recorder;
mod research;
#[cfg(test)]
mod research_tests;
mod review;
mod standing;
mod subject;
#[cfg(test)]
mod tests;
mod title;
mod versus;

use std::sync::{Arc, OnceLock};

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};

pub use self::combine::{CombineStrategy, NewCombine};
pub(crate) use self::compiling::Answering;
pub use self::compiling::Compiling;
pub use self::generate::{NAME as GENERATE, writer};
pub use self::heard::{is_heard, is_said_by_a_judge, judged_subjects, judgements, judgements_of};
pub use self::lane::Lane;
pub use self::places::Places;
pub(crate) use self::planned::SHORT_ANSWER;
pub use self::planned::{NO_MODEL, PlannedTask, Reading};
pub use self::progress::StageProgress;
pub use self::review::NewReview;
pub use self::standing::{final_answer, unjudged_final_answer};
pub use self::subject::{Draft, Find, Subject};
pub use self::title::title;
pub use self::versus::{CastVote, Slot, Slots, Versus};
use crate::error::FieldError;
use crate::ids::CriteriaSetId;
use crate::journal::{Journal, Stopped};
use crate::judged::Judgements;
use crate::prices::Prices;
use crate::run::{Material, ModelSpec, RunSpec, Switch};

/// The settings of one stage as they are asked for.
trait Asked: Sized {
    /// What they are compiled to.
    type Stage;
    /// Checks everything and fills in what was left out; what is wrong is noted.
    fn compile(&self, compiling: &mut Compiling<'_>) -> Self::Stage;
    /// Any settings, for property tests.
    #[cfg(test)]
    fn any() -> proptest::strategy::BoxedStrategy<Self>;
}

/// A stage with its settings: pure orchestration against the Journal.
pub trait Stage: Sync {
    /// The models that it asks, each with its place below the settings.
    fn models(&self) -> Vec<(String, &ModelSpec)>;

    /// How many tasks it has for a subject, at most: told without making them.
    fn count(&self, spec: &RunSpec) -> u64;

    /// Its tasks for a subject, in the order that people see.
    fn plan<'a>(&'a self, spec: &'a RunSpec, subject: Subject) -> Vec<PlannedTask<'a>>;

    /// An answer is there, or `None` where it never will be. Called for answers of `generate` alone.
    fn on_answer<'a, 'run: 'a>(
        &'a self,
        _lane: &'a Lane<'run>,
        _draft: &'a Draft<'run>,
        _answer: Option<&'a str>,
    ) -> BoxFuture<'a, Result<(), Stopped>> {
        std::future::ready(Ok(())).boxed()
    }

    /// All answers are there and the stages before are through.
    fn on_subject<'a, 'run: 'a>(&'a self, _lane: &'a Lane<'run>) -> BoxFuture<'a, Result<(), Stopped>> {
        std::future::ready(Ok(())).boxed()
    }

    /// Adds what its judges said of a subject so far; nothing for a stage that does not judge. One that adds answers names them
    /// in `candidates`, in the order of their positions.
    fn hear(&self, _spec: &RunSpec, _subject: Subject, _find: Find<'_>, _judgements: &mut Judgements) {}

    /// Whether what it asks follows from what all answers of the subject were like: then it may be done anew where an answer is
    /// added by a retry.
    fn rests_on_all(&self) -> bool {
        false
    }
}

/// Makes the list of stages.
macro_rules! stages {
    ($($(#[doc = $doc:literal])+ $name:ident: $asked:path => $stage:path,)+) => {
        /// What is done with the answers, in this order. Each stage is optional; one that is `null` is left out although the
        /// preset has it.
        #[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        #[cfg_attr(feature = "openapi", derive(poem_openapi::Object), oai(rename = "Stages", deny_unknown_fields))]
        pub struct NewStages {
            $($(#[doc = $doc])+
            #[serde(default, skip_serializing_if = "Switch::is_absent")]
            #[cfg_attr(feature = "openapi", oai(skip_serializing_if = "Switch::is_absent"))]
            pub $name: Switch<$asked>,)+
        }

        /// The stages of a run, with nothing left open.
        #[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
        pub struct StageSpecs {
            $($(#[doc = $doc])+
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub $name: Option<$stage>,)+
        }

        impl NewStages {
            /// These settings over those of a preset, stage by stage.
            #[must_use]
            pub fn over(self, preset: Self) -> Self {
                Self { $($name: self.$name.over(preset.$name),)+ }
            }

            /// Whether there is none.
            pub fn is_empty(&self) -> bool {
                true $(&& self.$name.get().is_none())+
            }

            fn compile_each(&self, compiling: &mut Compiling<'_>) -> StageSpecs {
                StageSpecs { $($name: self.$name.get().map(|asked| {
                    compiling.at = format!("/stages/{}", stringify!($name));
                    asked.compile(compiling)
                }),)+ }
            }

            /// Any settings, for property tests.
            #[cfg(test)]
            pub(crate) fn any() -> impl proptest::strategy::Strategy<Value = Self> {
                use proptest::strategy::Strategy as _;

                use crate::run::arbitrary::any_switch;
                ($(any_switch(<$asked as Asked>::any()),)+).prop_map(|($($name,)+)| Self { $($name,)+ })
            }
        }

        impl StageSpecs {
            /// The stages that the run has, by name, in the order of the pipeline.
            pub fn each(&self) -> Vec<(&'static str, &dyn Stage)> {
                let mut each: Vec<(&'static str, &dyn Stage)> = Vec::new();
                $(if let Some(stage) = &self.$name {
                    each.push((stringify!($name), stage));
                })+
                each
            }
        }
    };
}

stages! {
    /// Judges score each answer by criteria.
    evaluate: evaluate::NewEvaluate => evaluate::Evaluate,
    /// Judges compare the answers in pairs.
    pairwise: pairwise::NewPairwise => pairwise::Pairwise,
    /// Reviewers rank the answers without being told who wrote them.
    review: review::NewReview => review::Review,
    /// One text is made of several answers.
    combine: combine::NewCombine => combine::Combine,
    /// Judges compare the best answers and what was made of them in pairs.
    final_pairwise: final_pairwise::NewFinalPairwise => final_pairwise::FinalPairwise,
    /// A model gives a short title to what was asked.
    title: title::NewTitle => title::Title,
}

impl NewStages {
    /// Whether nothing is said of any.
    pub fn is_absent(&self) -> bool {
        *self == Self::default()
    }

    /// The criteria set that is named.
    pub fn criteria_set_id(&self) -> Option<CriteriaSetId> {
        self.evaluate.get().and_then(|evaluate| evaluate.criteria_set_id)
    }

    /// Checks everything and fills in what was left out; what is wrong goes to `errors`. `material`: `None` where the library was
    /// not looked into.
    pub(crate) fn compile(
        &self,
        answering: Answering<'_>,
        prices: &Prices,
        material: Option<&Material>,
        errors: &mut Vec<FieldError>,
    ) -> StageSpecs {
        let Answering { models, drafts, max_output_tokens, open } = answering;
        let at = String::new();
        self.compile_each(&mut Compiling {
            asked: self,
            models,
            drafts,
            max_output_tokens,
            open,
            prices,
            material,
            errors,
            at,
        })
    }
}

impl StageSpecs {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// How many tasks a run has at most; told without making them, for there may be far too many.
pub fn count(spec: &RunSpec) -> u64 {
    let stages = spec.stages.each().into_iter().map(|(_, stage)| stage.count(spec));
    let of_subject = stages.fold(generate::count(spec), u64::saturating_add);
    of_subject.saturating_mul(spec.documents.len().max(1) as u64)
}

/// Every task of a run, in the order that people see.
pub fn plan(spec: &RunSpec) -> Vec<PlannedTask<'_>> {
    let subjects = || Subject::all(spec);
    let mut tasks: Vec<PlannedTask<'_>> = subjects().flat_map(|subject| generate::plan(spec, subject)).collect();
    for (_, stage) in spec.stages.each() {
        tasks.extend(subjects().flat_map(|subject| stage.plan(spec, subject)));
    }
    tasks
}

/// The tasks of a new run that are to be done: not the answers that it takes over.
pub fn to_do(spec: &RunSpec) -> Vec<PlannedTask<'_>> {
    let mut tasks = plan(spec);
    if spec.answers_of.is_some() {
        tasks.retain(|task| task.stage != GENERATE);
    }
    tasks
}

/// The keys of the tasks that a retry may do anew although they have answers: what they asked follows from all answers of their
/// subject, and of these some are yet to come. Whether they are done anew is seen once these have come (`Call::question`).
/// `is_settled`: whether a task keeps how it was settled.
pub fn outdated(spec: &RunSpec, is_settled: impl Fn(&str) -> bool) -> Vec<String> {
    let mut outdated = Vec::new();
    for subject in Subject::all(spec) {
        let has_gap = |tasks: &[PlannedTask<'_>]| tasks.iter().any(|task| !is_settled(task.key.as_str()));
        let mut gap = has_gap(&generate::plan(spec, subject));
        let rewritten = generate::outdated(spec, subject, &is_settled);
        // An answer that is written anew is judged anew.
        let judged_anew = !rewritten.is_empty();
        outdated.extend(rewritten.iter().map(ToString::to_string));
        for (_, stage) in spec.stages.each() {
            let tasks = stage.plan(spec, subject);
            if judged_anew || gap && stage.rests_on_all() {
                outdated.extend(tasks.iter().map(|task| task.key.to_string()).filter(|key| is_settled(key)));
            }
            gap |= has_gap(&tasks);
        }
    }
    outdated
}

/// Runs the pipeline.
pub async fn run(journal: &dyn Journal, spec: &RunSpec) -> Result<(), Stopped> {
    let owned = OnceLock::new();
    let lanes = Subject::all(spec).map(|subject| run_lane(journal, spec, &owned, subject).boxed());
    // Each lane that is open has a call that may be made, so that so many lanes are enough to make use of all places.
    stream::iter(lanes).buffer_unordered(spec.concurrency as usize).try_collect().await
}

async fn run_lane(
    journal: &dyn Journal,
    spec: &RunSpec,
    owned: &OnceLock<Arc<RunSpec>>,
    subject: Subject,
) -> Result<(), Stopped> {
    let (lane, stages) = (Lane::new(journal, spec, owned, subject), spec.stages.each());
    let drafts = generate::drafts(spec, subject);
    let written = drafts.iter().map(|draft| {
        let (lane, stages) = (&lane, &stages);
        async move {
            let answer = generate::write(lane, draft).await?;
            let judged = stages.iter().map(|(_, stage)| stage.on_answer(lane, draft, answer.as_deref()));
            lane.all(judged).await
        }
        .boxed()
    });
    lane.all(written).await?;
    lane.enter(drafts.iter().cloned());
    for (_, stage) in stages {
        stage.on_subject(&lane).await?;
    }
    Ok(())
}
