//! `bench chaos`: faults by a seed over real processes under load, then the comparison of what was submitted with the stores,
//! the provider's log and the receiver's log.
//!
//! - `schedule`: which fault is the n-th of a seed.
//! - `world`: servers, proxies, processes; `fault` does one fault to them, `duplicate` one to the queue. `customers`: who the
//!   tenants are, and which of them and of their API keys have budgets; `models`: what may be called, at which prices.
//! - `load`: how tenants insist on what they ask for meanwhile; `orders` is what that is, `commands` and `skips` what they change
//!   their minds about.
//! - `records`: what must survive the driver's own end.
//! - `evidence`: what the stores and logs say, as `stores` reads it; `check`, `check_budgets`, `check_deliveries` and `check_tasks`
//!   compare, `counts` counts what is no violation, `table` prints. `planted`, `planted_budgets` and `planted_tasks` show that each
//!   comparison can fail.

mod check;
mod check_budgets;
mod check_deliveries;
mod check_tasks;
mod commands;
mod counts;
mod customers;
mod duplicate;
mod evidence;
mod fault;
mod load;
mod models;
mod orders;
#[cfg(test)]
mod planted;
#[cfg(test)]
mod planted_budgets;
#[cfg(test)]
mod planted_tasks;
mod records;
mod run;
mod schedule;
mod settle;
mod skips;
mod stores;
mod table;
mod verdict;
mod world;

pub(crate) use run::{ChaosArgs, run};
