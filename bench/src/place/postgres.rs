//! A PostgreSQL of our own, which may be stopped and killed. As root its programs run as the user `postgres`, as they insist.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::port;
use crate::outcome::Outcome;

const SETTINGS: &str = "
listen_addresses = '127.0.0.1'
max_connections = 600
max_locks_per_transaction = 1024
timezone = 'UTC'
";

/// The server. It ends when dropped.
#[derive(Debug)]
pub(crate) struct Postgres {
    bin: PathBuf,
    home: PathBuf,
    pub(crate) port: u16,
    password: String,
}

/// The folder of the newest PostgreSQL of this machine.
pub(crate) fn find() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").ok()?;
    let mut found: Vec<(u32, PathBuf)> = versions
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let version = entry.file_name().to_str()?.parse().ok()?;
            let bin = entry.path().join("bin");
            bin.join("initdb").is_file().then_some((version, bin))
        })
        .collect();
    found.sort();
    found.pop().map(|(_, bin)| bin)
}

impl Postgres {
    /// Starts one on the data in `home`; makes these first where there are none.
    pub(crate) async fn start(home: &Path, more: &str) -> Outcome<Self> {
        let bin = find().ok_or("no PostgreSQL in /usr/lib/postgresql: install the package postgresql")?;
        let password_file = home.join("password");
        let fresh = !home.join("data/PG_VERSION").exists();
        if fresh {
            fs::create_dir_all(home)?;
            fs::write(&password_file, format!("{:032x}", rand::random::<u128>()))?;
        }
        let password = fs::read_to_string(&password_file)?;
        let server = Self { bin, home: home.to_owned(), port: port::free()?, password };
        if fresh {
            server.make_data(more)?;
        } else {
            // Left by a run that was cut off.
            let _ = server.control(&["stop", "-m", "immediate"]);
        }
        server.give_back().await?;
        if fresh {
            let port = server.port.to_string();
            let mut create = Command::new(server.bin.join("createdb"));
            create.env("PGPASSWORD", &server.password).args(["-h", "127.0.0.1", "-p", &port, "-U", "acm2", "acm2"]);
            must(create, "createdb")?;
        }
        Ok(server)
    }

    fn make_data(&self, more: &str) -> Outcome<()> {
        if is_root() {
            let mut own = Command::new("chown");
            own.args(["-R", "postgres"]).arg(&self.home);
            must(own, "chown")?;
        }
        let mut init = self.program("initdb");
        init.arg("-D").arg(self.home.join("data")).args(["-U", "acm2", "--auth=scram-sha-256", "--encoding=UTF8"]);
        init.args(["--locale=C", "--pwfile"]).arg(self.home.join("password"));
        must(init, "initdb (as root, the user postgres must be able to reach the folder)")?;
        let mut file = fs::File::options().append(true).open(self.home.join("data/postgresql.conf"))?;
        write!(file, "{SETTINGS}unix_socket_directories = '{}'\n{more}", self.home.display())?;
        Ok(())
    }

    /// Stops it: `immediate` is a crash, `fast` an orderly end.
    pub(crate) fn stop(&self, mode: &str) -> Outcome<()> {
        self.control(&["stop", "-m", mode])
    }

    /// Starts it again at the same address.
    pub(crate) async fn give_back(&self) -> Outcome<()> {
        self.control(&["start", "-o", &format!("-p {}", self.port)])?;
        port::wait_for(self.port, "PostgreSQL", Duration::from_secs(30)).await
    }

    /// Whether it runs.
    pub(crate) fn runs(&self) -> bool {
        self.control(&["status"]).is_ok()
    }

    /// Its URL, or that of a proxy before it.
    pub(crate) fn url(&self, port: u16) -> String {
        format!("postgres://acm2:{}@127.0.0.1:{port}/acm2", self.password)
    }

    /// Its first process; the others are children of it.
    pub(crate) fn pid(&self) -> Outcome<u32> {
        let text = fs::read_to_string(self.home.join("data/postmaster.pid"))?;
        Ok(text.lines().next().unwrap_or_default().trim().parse()?)
    }

    /// A client program, such as `pgbench`, with what it needs to find this server.
    pub(crate) fn client(&self, name: &str) -> Command {
        let mut command = Command::new(self.bin.join(name));
        command.env("PGPASSWORD", &self.password).env("PGHOST", "127.0.0.1").env("PGUSER", "acm2");
        command.env("PGDATABASE", "acm2").env("PGPORT", self.port.to_string());
        command
    }

    fn control(&self, arguments: &[&str]) -> Outcome<()> {
        let mut command = self.program("pg_ctl");
        command.arg("-D").arg(self.home.join("data")).arg("-l").arg(self.home.join("log"));
        command.args(["-w", "-t", "60"]).args(arguments);
        must(command, "pg_ctl")
    }

    fn program(&self, name: &str) -> Command {
        let path = self.bin.join(name);
        let mut command = if is_root() {
            let mut command = Command::new("runuser");
            command.args(["-u", "postgres", "--"]).arg(path);
            command
        } else {
            Command::new(path)
        };
        command.current_dir(&self.home);
        command
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // The data are thrown away, or recovered by the next start.
        let _ = self.control(&["stop", "-m", "immediate"]);
    }
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

fn must(mut command: Command, what: &str) -> Outcome<()> {
    // A server that is started here would keep our pipes open.
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status()?;
    if status.success() { Ok(()) } else { Err(format!("{what} ended with {status}").into()) }
}
