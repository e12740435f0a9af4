//! A Redis of our own, which may be emptied, stopped and killed. It is asked through `redis-cli`.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::{Child, Command};

use super::port;
use crate::outcome::Outcome;

/// The server. It ends when dropped.
#[derive(Debug)]
pub(crate) struct Redis {
    home: PathBuf,
    pub(crate) port: u16,
    child: Option<Child>,
}

impl Redis {
    /// Starts one with its files in `home`.
    pub(crate) async fn start(home: &Path) -> Outcome<Self> {
        std::fs::create_dir_all(home)?;
        let mut redis = Self { home: home.to_owned(), port: port::free()?, child: None };
        redis.give_back().await?;
        Ok(redis)
    }

    /// kill -9.
    pub(crate) async fn kill(&mut self) -> Outcome<()> {
        if let Some(mut child) = self.child.take() {
            child.kill().await?;
        }
        Ok(())
    }

    /// The same address, and what its log still knows.
    pub(crate) async fn give_back(&mut self) -> Outcome<()> {
        if self.child.is_some() {
            return Ok(());
        }
        let port = self.port.to_string();
        let mut command = Command::new("redis-server");
        command.args(["--bind", "127.0.0.1", "--port", &port, "--save", "", "--appendonly", "yes"]);
        command.args(["--maxmemory-policy", "noeviction"]).current_dir(&self.home).kill_on_drop(true);
        self.child = Some(command.stdin(Stdio::null()).stdout(Stdio::null()).spawn()?);
        port::wait_for(self.port, "Redis", Duration::from_secs(30)).await
    }

    /// Its URL, or that of a proxy before it.
    pub(crate) fn url(port: u16) -> String {
        format!("redis://127.0.0.1:{port}/0")
    }

    /// Its process.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.child.as_ref().and_then(Child::id)
    }

    /// What it answers to a command.
    pub(crate) async fn ask(&self, command: &[&str]) -> Outcome<String> {
        let port = self.port.to_string();
        let output = Command::new("redis-cli").args(["-p", &port]).args(command).stdin(Stdio::null()).output().await?;
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }
}
