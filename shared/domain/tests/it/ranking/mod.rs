//! The figures of a judged run: against the literature and a reference implementation, under random tables, at their limits.

mod figures;
mod intervals;
mod limits;
pub(crate) mod panels;
mod properties;
mod reference;
mod speed;
