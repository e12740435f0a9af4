//! What an operator does to a running or a stopped system: `command` names it and does it, `socket` carries it to the process
//! that serves from the data folder. One code path for both.

mod command;
mod socket;

pub use command::{Command, Progress, Reply, TenantLine, execute};
pub use socket::{AdminSocket, send};
