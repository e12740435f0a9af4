//! What is kept of a criteria set beside its name. Its route writes it; runs that name the set read it.

use acm2_domain::criteria::Criterion;
use serde::{Deserialize, Serialize};

/// What is kept of a criteria set beside its name.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct CriteriaSetBody {
    /// Its criteria.
    pub(crate) criteria: Vec<Criterion>,
}
