//! The folder in which processes of the product run, with the settings that they share, and its command line.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde::{Deserialize, Serialize};
use tokio::process::Command;

use super::process::Process;
use crate::outcome::Outcome;

const PROCESSES: &str = "processes";

/// A tenant with a key that may do everything.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Tenant {
    /// `ten_…`
    pub(crate) id: String,
    /// `acm2_…`
    pub(crate) key: String,
}

/// The folder and the settings.
#[derive(Debug)]
pub(crate) struct House {
    pub(crate) dir: PathBuf,
    acm2: PathBuf,
    /// Settings of every process that starts from now on.
    pub(crate) settings: BTreeMap<String, String>,
}

impl House {
    /// Opens a folder; ends what a driver that was cut off left running in it.
    pub(crate) async fn open(dir: &Path, acm2: &Path, settings: &[(&str, &str)]) -> Outcome<Self> {
        fs::create_dir_all(dir)?;
        let dir = dir.canonicalize()?;
        end_leftovers(&dir);
        let mut house = Self { dir, acm2: acm2.to_owned(), settings: BTreeMap::new() };
        let data = house.dir.join("data").display().to_string();
        let usual = [("ACM2_DATA_DIR", data.as_str()), ("ACM2_MODE", "hosted"), ("ACM2_LOG__FORMAT", "json")];
        for (name, value) in usual.iter().chain(settings) {
            house.set(name, value);
        }
        let kept = house.dir.join("master-keys");
        if !kept.exists() {
            fs::write(&kept, house.cli(&["keys", "generate", "--id", "bench"]).await?)?;
        }
        house.set("ACM2_MASTER_KEYS", &fs::read_to_string(&kept)?);
        Ok(house)
    }

    /// Adds a setting for processes that start from now on.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.settings.insert(name.to_owned(), value.to_owned());
    }

    /// A command of the binary, not started yet. It sees nothing of this process's environment.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.acm2);
        command.args(arguments).env_clear().envs(&self.settings).current_dir(&self.dir);
        command
    }

    /// Starts a process of the product with settings of its own.
    pub(crate) fn start(&self, arguments: &[&str], name: &str, settings: &[(&str, String)]) -> Outcome<Process> {
        let mut command = self.command(arguments);
        command.envs(settings.iter().map(|(name, value)| (*name, value)));
        Process::start(command, name, &self.dir)
    }

    /// Runs a command that must succeed; what it printed.
    pub(crate) async fn cli(&self, arguments: &[&str]) -> Outcome<String> {
        let output = self.command(arguments).stdin(Stdio::null()).output().await?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
        }
        Err(format!("acm2 {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr)).into())
    }

    /// A new tenant with a key that may do everything.
    pub(crate) async fn tenant(&self, name: &str) -> Outcome<Tenant> {
        let line = self.cli(&["tenants", "create", name]).await?;
        let id = line.split_whitespace().next().unwrap_or_default().to_owned();
        let key = self.cli(&["api-keys", "create", "--tenant", &id]).await?;
        Ok(Tenant { id, key })
    }
}

/// Lets PostgreSQL's user reach its own folder inside a temporary one.
pub(crate) fn open_to_postgres(dir: &Path) -> Outcome<()> {
    use std::os::unix::fs::PermissionsExt as _;
    Ok(std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o711))?)
}

/// Remembers a process, so that a later driver can end it.
pub(super) fn note_process(dir: &Path, id: u32) -> Outcome<()> {
    let mut file = fs::File::options().create(true).append(true).open(dir.join(PROCESSES))?;
    Ok(writeln!(file, "{id}")?)
}

/// Ends processes of an earlier driver: only such as still run in this folder, since numbers are given again.
fn end_leftovers(dir: &Path) {
    let file = dir.join(PROCESSES);
    for id in fs::read_to_string(&file).unwrap_or_default().lines() {
        if fs::read_link(format!("/proc/{id}/cwd")).is_ok_and(|place| place == dir) {
            let _ = std::process::Command::new("kill").args(["-KILL", id]).status();
        }
    }
    let _ = fs::remove_file(file);
}
