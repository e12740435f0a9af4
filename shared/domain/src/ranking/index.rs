//! Who is who in a table of judgements: positions in the lists of the run, so that their order is the run's own and the same
//! at every resume. Whoever builds a table keeps the list that the positions point into.

use serde::{Deserialize, Serialize};

/// An answer that is judged: its position among all answers that compete for one document. A document's answers never
/// compete with another's, so each document has tables of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Candidate(pub u32);

/// A model that judges or reviews: its position in the run's list of judges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Judge(pub u32);

/// What is scored: its position in the run's list of criteria.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Criterion(pub u32);

/// The distinct items, in ascending order.
pub(super) fn distinct<T: Ord>(items: impl Iterator<Item = T>) -> Vec<T> {
    let mut all: Vec<T> = items.collect();
    all.sort_unstable();
    all.dedup();
    all
}
