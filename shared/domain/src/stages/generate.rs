//! `generate`: every model is asked, about each document where there are any, `iterations` times each. A failed task leaves the
//! others alone. Every run begins with it, so it has no settings of its own; where the run asks for research, each answer is the
//! report of one.

use super::lane::Lane;
use super::planned::PlannedTask;
use super::research::Work;
use super::subject::{Draft, Find, Subject};
use crate::journal::{Stopped, TaskKey};
use crate::ranking::Candidate;
use crate::run::{ModelSpec, RunSpec};

/// The first part of its tasks' keys.
pub const NAME: &str = "generate";

/// The answers that are written for a subject, in the order that people see.
pub(super) fn drafts(spec: &RunSpec, subject: Subject) -> Vec<Draft<'_>> {
    let about = subject.about(spec);
    let each = spec.models.iter().enumerate().flat_map(|(index, model)| {
        let about = &about;
        (1..=spec.iterations)
            .map(move |iteration| (TaskKey::new(NAME, about, index, iteration), index, model, iteration))
    });
    let numbered = (0_u32..).zip(each);
    let draft = |(number, (key, index, model, iteration))| Draft {
        candidate: Candidate(number),
        key,
        writer: Some(model),
        iteration,
        tag: format!("m{index}.{iteration}"),
    };
    numbered.map(draft).collect()
}

/// Those of them that have been written.
pub(super) fn written(spec: &RunSpec, subject: Subject, find: Find<'_>) -> Vec<Candidate> {
    let is_written = |draft: &Draft<'_>| find(&draft.key, None).is_some();
    drafts(spec, subject).into_iter().filter(is_written).map(|draft| draft.candidate).collect()
}

/// These of them, in this order.
pub(super) fn these<'a>(spec: &'a RunSpec, subject: Subject, candidates: &[Candidate]) -> Vec<Draft<'a>> {
    let drafts = drafts(spec, subject);
    candidates.iter().filter_map(|candidate| drafts.get(candidate.0 as usize).cloned()).collect()
}

/// How many answers compete for a subject.
pub(super) fn drafts_count(spec: &RunSpec) -> usize {
    spec.models.len().saturating_mul(spec.iterations as usize)
}

/// How many tasks a subject has. What research takes is bounded by what it may read.
pub(super) fn count(spec: &RunSpec) -> u64 {
    match (&spec.research, Subject::all(spec).next()) {
        (Some(_), Some(subject)) => plan(spec, subject).len() as u64,
        _ => drafts_count(spec) as u64,
    }
}

/// The tasks of a subject.
pub(super) fn plan(spec: &RunSpec, subject: Subject) -> Vec<PlannedTask<'_>> {
    let size = spec.call_size(subject.document(spec));
    if spec.research.is_some() {
        return researched(spec, subject);
    }
    let drafts = drafts(spec, subject).into_iter();
    let planned = drafts.map(|draft| PlannedTask {
        key: draft.key,
        stage: NAME,
        is_result: true,
        document_index: subject.document_index,
        model: draft.writer,
        iteration: draft.iteration,
        size,
        reads: 0,
        repair: None,
    });
    planned.collect()
}

fn researched(spec: &RunSpec, subject: Subject) -> Vec<PlannedTask<'_>> {
    let mut tasks = Vec::new();
    for draft in drafts(spec, subject) {
        tasks.extend(Work::of(spec, &draft).into_iter().flat_map(|work| work.plan(spec, subject, draft.iteration)));
    }
    tasks
}

/// The tasks of research that rest on others which are yet to come, so that a retry does them anew.
pub(super) fn outdated(spec: &RunSpec, subject: Subject, is_settled: &impl Fn(&str) -> bool) -> Vec<TaskKey> {
    let drafts = drafts(spec, subject);
    drafts.iter().filter_map(|draft| Work::of(spec, draft)).flat_map(|work| work.outdated(is_settled)).collect()
}

/// Who writes the answer of this key; `None` where it is not one of the answers.
pub fn writer<'a>(spec: &'a RunSpec, key: &TaskKey) -> Option<&'a ModelSpec> {
    let mut parts = key.as_str().split('/');
    let (stage, model) = (parts.next()?, parts.nth(1)?);
    let index: usize = model.strip_prefix('m')?.parse().ok()?;
    if stage == NAME { spec.models.get(index) } else { None }
}

/// Asks for one answer; one that was taken over is there, or never will be.
pub(super) async fn write(lane: &Lane<'_>, draft: &Draft<'_>) -> Result<Option<String>, Stopped> {
    if lane.spec.answers_of.is_some() {
        return Ok(lane.find(&draft.key, None));
    }
    if let Some(work) = Work::of(lane.spec, draft) {
        return work.write(lane).await;
    }
    let Some(model) = draft.writer else { return Ok(None) };
    let document = lane.subject.document(lane.spec);
    lane.ask(draft.key.clone(), None, |text| lane.spec.call(model, document.zip(text))).await
}
