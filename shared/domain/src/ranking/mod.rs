//! From scores, votes and rankings to "which answer is best, and how sure may one be": pure functions over everything that a
//! run's judges said. Stages call them when their last call is in; nothing here knows a stage, a store, a clock or a network.
//!
//! **Input** comes in three tables, each put into a canonical order when it is made, so that no figure depends on the order in
//! which calls came back: [`scores`] (integers 1 to 5), [`votes`] (this answer or that one), [`rankings`] (an order of all).
//! Candidates, judges and criteria are positions in the run's own lists ([`index`]). What is missing stays missing: it is
//! counted, it is never a zero, and it moves no other figure.
//!
//! **Figures of candidates**: [`means`] of scores, [`bradley_terry`] with intervals (the ranking by votes), [`elo`] and
//! [`win_rate`] beside it, [`positions`] (mean position and Borda) of rankings. Each can be read as a [`leaderboard`], which
//! says whether its first place is clear or too close to call, and [`cascade`] names the run's winner from all of them.
//!
//! **Figures of judges**: [`deviation`] from the panel, [`agreement`] of the panel ([`krippendorff`], [`kendall`], [`cohen`]),
//! [`consistency`] of a judge with itself, over iterations and over the two orders of a pair.
//!
//! **Before the votes**: [`pairs`] says which answers are compared, by whom, and in which order they are shown.
//!
//! What has no value is `None`: no function here panics, and no result holds a NaN or an infinity. Results have the same bits
//! for the same input on one platform; on others they may differ in the last digits, as their `exp` does. Random draws are
//! the same everywhere. docs/ranking.md explains each figure to readers who are no statisticians.

pub mod agreement;
pub mod bradley_terry;
pub mod cascade;
pub mod cohen;
pub mod consistency;
pub mod deviation;
pub mod elo;
pub mod index;
pub mod invalid;
pub mod kendall;
pub mod krippendorff;
pub mod leaderboard;
pub mod means;
pub mod pairs;
pub mod positions;
pub mod rankings;
pub mod scores;
mod student_t;
pub mod summary;
pub mod votes;
pub mod weights;
pub mod win_rate;

pub use index::{Candidate, Criterion, Judge};
pub use invalid::Invalid;
pub use summary::{Interval, Summary};
