//! What a judge is expected to answer, and how its answer is read: strict where it counts (every criterion once, whole numbers
//! from 1 to 5, one winner, every label once), tolerant of what models put around it. Pure; a call that has an
//! [`Expectation`] tells its schema to providers that enforce one, [`prompt`] says what judges are asked. No stage judges yet.
//!
//! An answer is read again from its text wherever it is needed: nothing but the text is stored.

mod expectation;
pub mod labels;
mod object;
mod preference;
pub mod prompt;
mod reviewing;
mod scoring;

pub use expectation::Expectation;
pub(crate) use object::find as find_object;
pub use preference::{Preference, Side};
pub use reviewing::{Critique, Review, Reviewing};
pub use scoring::{Scored, Scoring};

/// What is wrong with an answer, in words that a model can mend it by. Never holds a part of the answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Defect(pub String);
