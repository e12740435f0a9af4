//! One process of the binary. It is killed when dropped; what it logged is kept in a file, for looking at after a failure.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a process may take to begin or to end.
const PATIENCE: Duration = Duration::from_mins(1);

/// A running process.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    /// `http://host:port`; empty for a process that does not listen.
    pub(crate) url: String,
    log: PathBuf,
    out: PathBuf,
}

impl Process {
    /// Starts a command; waits until it listens where it is given `addr_file`.
    pub(super) fn start(mut command: Command, name: &str, dir: &std::path::Path, addr_file: Option<PathBuf>) -> Self {
        let unique = uuid::Uuid::now_v7().simple().to_string();
        let log = dir.join(format!("{name}-{unique}.log"));
        let out = dir.join(format!("{name}-{unique}.out"));
        let child = command
            .stdin(Stdio::null())
            .stdout(File::create(&out).unwrap())
            .stderr(File::create(&log).unwrap())
            .spawn()
            .expect("the binary starts");
        let mut process = Self { child, url: String::new(), log, out };
        if let Some(file) = addr_file {
            process.url = process.wait_for_address(&file);
        }
        process
    }

    fn wait_for_address(&mut self, file: &std::path::Path) -> String {
        let began = Instant::now();
        loop {
            if let Ok(address) = fs::read_to_string(file) {
                fs::remove_file(file).unwrap();
                return format!("http://{}", address.trim());
            }
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("the process ended with {status}:\n{}", self.log());
            }
            assert!(began.elapsed() < PATIENCE, "the process does not listen:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// What it logged so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// What it printed so far.
    pub(crate) fn printed(&self) -> String {
        fs::read_to_string(&self.out).unwrap_or_default()
    }

    /// The most memory that it has had so far, in bytes; none where the system does not tell.
    pub(crate) fn peak_memory(&self) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        Some(line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()? * 1_024)
    }

    /// kill -9: nothing is drained, nothing is said.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM, then its exit code once it has drained.
    pub(crate) fn stop(mut self) -> Option<i32> {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(began.elapsed() < PATIENCE, "the process does not end:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("what the process logged:\n{}", self.log());
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
