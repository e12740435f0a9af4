//! A PostgreSQL that one test may kill and start again.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// A server of this test alone. What was committed survives its deaths.
#[derive(Debug)]
pub(crate) struct OwnPostgres {
    port: u16,
    dir: TempDir,
    programs: PathBuf,
}

impl OwnPostgres {
    /// Starts one; `None`, said aloud, where the programs are missing.
    pub(crate) fn start(test: &str) -> Option<Self> {
        let Some(programs) = find_programs() else {
            eprintln!("SKIPPED for want of PostgreSQL's programs: {test}");
            return None;
        };
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let server = Self { port, dir: TempDir::new().unwrap(), programs };
        // Its user must get there, and may write there.
        std::fs::set_permissions(server.dir.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
        let initdb = ["-U", "acm2", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"];
        server.program("initdb").args(initdb).run();
        server.give_back();
        Some(server)
    }

    pub(crate) fn url(&self) -> String {
        format!("postgres://acm2@127.0.0.1:{}/postgres", self.port)
    }

    /// At once, as in a crash: nothing is finished, every connection breaks.
    pub(crate) fn kill(&self) {
        self.program("pg_ctl").args(["-m", "immediate", "-w", "stop"]).run();
    }

    /// The same address, and all that was committed.
    pub(crate) fn give_back(&self) {
        let sockets = self.dir.path().to_str().unwrap();
        let options = format!(
            "-p {} -c listen_addresses=127.0.0.1 -c unix_socket_directories={sockets} -c max_connections=200",
            self.port
        );
        self.program("pg_ctl").args(["-w", "-t", "60", "-l", "log", "-o", &options, "start"]).run();
    }

    fn program(&self, name: &str) -> Program {
        let path = self.programs.join(name);
        // PostgreSQL refuses to run as root.
        let is_root = Command::new("id").arg("-u").output().unwrap().stdout == b"0\n";
        let mut command = if is_root { Command::new("runuser") } else { Command::new(&path) };
        if is_root {
            command.args(["-u", "postgres", "--"]).arg(&path);
        }
        command.arg("-D").arg(self.dir.path().join("data")).current_dir(self.dir.path());
        Program(command)
    }
}

impl Drop for OwnPostgres {
    fn drop(&mut self) {
        let _ = self.program("pg_ctl").args(["-m", "immediate", "-w", "stop"]).0.status();
        // The files belong to another user.
        let _ = Command::new("rm").arg("-rf").arg(self.dir.path().join("data")).status();
    }
}

struct Program(Command);

impl Program {
    fn args<const N: usize>(mut self, arguments: [&str; N]) -> Self {
        self.0.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self
    }

    fn run(mut self) {
        assert!(self.0.status().unwrap().success(), "{:?}", self.0);
    }
}

/// The folder of the newest version that is installed.
fn find_programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    let version = |path: &Path| path.parent()?.file_name()?.to_str()?.parse::<u32>().ok();
    let mut found: Vec<PathBuf> = versions.filter_map(|version| Some(version.ok()?.path().join("bin"))).collect();
    found.retain(|path| path.join("initdb").exists());
    found.sort_by_key(|path| version(path));
    found.pop()
}
