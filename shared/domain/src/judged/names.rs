//! Names in place of positions.

use super::judgements::CandidateName;
use crate::ranking::{Candidate, Judge};

/// The keys of the answers, and the names of the judges of one stage. A position that its list does not have is shown as `#4`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Names<'a> {
    pub(super) candidates: &'a [CandidateName],
    pub(super) judges: &'a [String],
}

impl Names<'_> {
    /// The key of an answer.
    pub(super) fn candidate(&self, candidate: Candidate) -> String {
        self.candidates.get(candidate.0 as usize).map_or_else(|| beyond(candidate.0), |name| name.task_key.clone())
    }

    /// The keys of several.
    pub(super) fn candidates(&self, candidates: &[Candidate]) -> Vec<String> {
        candidates.iter().map(|candidate| self.candidate(*candidate)).collect()
    }

    /// The name of a judge. One model may be asked as several judges; those after the first have their number behind the name.
    pub(super) fn judge(&self, judge: Judge) -> String {
        let at = judge.0 as usize;
        let Some(name) = self.judges.get(at) else { return beyond(judge.0) };
        match self.judges.iter().take(at).filter(|earlier| *earlier == name).count() {
            0 => name.clone(),
            earlier => format!("{name} ({})", earlier + 1),
        }
    }
}

fn beyond(position: u32) -> String {
    format!("#{position}")
}
