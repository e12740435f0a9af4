//! `bench figures` and `bench fairness`: what the product does per second, how long it takes, and what it uses, each beside a
//! base that was measured in the same run.
//!
//! - `stage`: servers, one api, workers, the sandbox, tenants; `closed_loop` submits, `quantiles` sums up, `table` prints.
//! - One file for each phase: `bases`, `submit`, `end_to_end`, `pick_up`, `in_flight`, `tenants`, `auth`, `recovery`.
//! - `fairness`: who waits how long when some flood; `flood`: one single tenant beside ten thousand runs of another.

mod auth;
mod bases;
mod closed_loop;
mod end_to_end;
mod fairness;
mod flood;
mod in_flight;
mod pick_up;
mod quantiles;
mod recovery;
mod run;
mod stage;
mod submit;
mod table;
mod tenants;

pub(crate) use fairness::{FairnessArgs, run as run_fairness};
pub(crate) use run::{FiguresArgs, run};
