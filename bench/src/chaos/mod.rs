//! `bench chaos`: faults by a seed over real processes under load, then the comparison of what was submitted with the stores,
//! the provider's log and the receiver's log.
//!
//! - `schedule`: which fault is the n-th of a seed.
//! - `world`: servers, proxies, processes; `fault` does one fault to them, `duplicate` one to the queue.
//! - `load`: what tenants ask for meanwhile, `commands` what they change their minds about.
//! - `records`: what must survive the driver's own end.
//! - `evidence`: what the stores and logs say; `check` and `check_deliveries` compare; `table` prints.

mod check;
mod check_deliveries;
mod commands;
mod duplicate;
mod evidence;
mod fault;
mod load;
#[cfg(test)]
mod planted;
mod records;
mod run;
mod schedule;
mod settle;
mod table;
mod verdict;
mod world;

pub(crate) use run::{ChaosArgs, run};
