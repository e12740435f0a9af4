//! One process of the product. It is killed when dropped; what it logged is kept.

use std::fs::File;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::{Child, Command};

use crate::outcome::Outcome;

/// A running process.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
}

impl Process {
    /// Starts a command; its output is appended to `<name>.log` in `dir`.
    pub(crate) fn start(mut command: Command, name: &str, dir: &Path) -> Outcome<Self> {
        let log = File::options().create(true).append(true).open(dir.join(format!("{name}.log")))?;
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).kill_on_drop(true);
        let child = command.spawn()?;
        if let Some(id) = child.id() {
            super::house::note_process(dir, id)?;
        }
        Ok(Self { child })
    }

    /// Its number, while it runs.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// Whether it still runs.
    pub(crate) fn runs(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// kill -9: nothing is drained, nothing is said.
    pub(crate) async fn kill(mut self) -> Outcome<()> {
        Ok(self.child.kill().await?)
    }

    /// SIGTERM; kill -9 for one that has not ended in time. Whether it ended by itself.
    pub(crate) async fn stop(mut self, patience: Duration) -> Outcome<bool> {
        let Some(id) = self.child.id() else { return Ok(true) };
        Command::new("kill").args(["-TERM", &id.to_string()]).status().await?;
        if tokio::time::timeout(patience, self.child.wait()).await.is_ok() {
            return Ok(true);
        }
        self.child.kill().await?;
        Ok(false)
    }
}
