//! Settings that are right one by one and wrong together, each with the way out.

use super::error::{ConfigError, Problem};
use super::role::Role;
use super::sections::Config;
use super::settings;

impl Config {
    /// What contradicts itself, whatever the process is going to do.
    pub(super) fn contradictions(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.master_keys.is_none() && !self.may_do_without_master_keys() {
            let why = if !self.database.url.is_files() {
                "data is in PostgreSQL"
            } else if !self.http.bind.ip().is_loopback() {
                "the address to listen on can be reached from other machines"
            } else {
                "the mode is hosted"
            };
            let message = format!(
                "is not set, and {why}; `acm2 keys generate` prints a key, which must be kept: without it stored secrets cannot be opened"
            );
            problems.push(Problem::new(settings::MASTER_KEYS.name, message));
        }
        if self.database.url.is_files() && !self.broker.is_in_process() {
            let message = "Redis needs PostgreSQL beside it: SQLite files belong to one process, which has its own broker; set ACM2_DATABASE__URL, or leave this unset";
            problems.push(Problem::new(settings::BROKER_URL.name, message));
        }
        if self.database.url.is_files() && self.database.migrate_url.is_some() {
            let message = "is for PostgreSQL, and data is in SQLite; set ACM2_DATABASE__URL, or leave this unset";
            problems.push(Problem::new(settings::MIGRATE_URL.name, message));
        }
        problems
    }

    /// Whether a process of this role can work with this configuration.
    pub fn check_role(&self, role: Role) -> Result<(), ConfigError> {
        let mut problems = Vec::new();
        if role != Role::Serve {
            let command = role.command();
            if self.database.url.is_files() {
                let message = format!(
                    "`{command}` shares its data with other processes, so it needs postgres://…; `acm2 serve` does all in one process on SQLite"
                );
                problems.push(Problem::new(settings::DATABASE_URL.name, message));
            }
            if self.broker.is_in_process() {
                let message = format!(
                    "`{command}` shares its queue with other processes, so it needs redis://…; `acm2 serve` does all in one process"
                );
                problems.push(Problem::new(settings::BROKER_URL.name, message));
            }
        }
        if problems.is_empty() { Ok(()) } else { Err(ConfigError { problems }) }
    }
}
