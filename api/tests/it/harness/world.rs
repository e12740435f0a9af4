//! The place of a test's data: a folder or a database with a Redis, and how processes are started there.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, Output};

use tempfile::TempDir;

use super::client::Client;
use super::process::Process;
use super::servers::{self, Database, Redis};

/// The place of a test's data.
#[derive(Debug)]
pub(crate) struct World {
    dir: TempDir,
    servers: Option<(Database, Redis)>,
    /// Settings of every process of this world; tests add theirs.
    pub(crate) settings: BTreeMap<String, String>,
}

/// A tenant with a key that may do everything.
#[derive(Debug, Clone)]
pub(crate) struct Tenant {
    /// `ten_…`
    pub(crate) id: String,
    /// `acm2_…`
    pub(crate) key: String,
}

impl World {
    /// SQLite + memory.
    pub(crate) fn files() -> Self {
        let mut world = Self::new(None);
        world.set("ACM2_MODE", "hosted");
        world
    }

    /// PostgreSQL + Redis; `None`, said aloud, without test servers.
    pub(crate) async fn servers(test: &str) -> Option<Self> {
        let (database, broker) = servers::urls(test)?;
        let database = Database::create(&database).await;
        let redis = Redis::take(&broker);
        let (database_url, broker_url) = (database.url(), redis.url());
        let mut world = Self::new(Some((database, redis)));
        world.set("ACM2_DATABASE__URL", &database_url);
        world.set("ACM2_BROKER__URL", &broker_url);
        Some(world)
    }

    fn new(servers: Option<(Database, Redis)>) -> Self {
        let dir = TempDir::new().unwrap();
        let mut world = Self { dir, servers, settings: BTreeMap::new() };
        world.set("ACM2_DATA_DIR", world.data_dir().to_str().unwrap());
        world.set("ACM2_HTTP__BIND", "127.0.0.1:0");
        // A fifth of every duration of the protocol.
        world.set("ACM2_TIMING__FASTER", "5");
        world.set("ACM2_LOG__FORMAT", "json");
        let master_key = Command::new(binary()).args(["keys", "generate", "--id", "test"]).output().unwrap();
        world.set("ACM2_MASTER_KEYS", String::from_utf8(master_key.stdout).unwrap().trim());
        world
    }

    /// Adds a setting for processes that start from now on.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.settings.insert(name.to_owned(), value.to_owned());
    }

    /// Whether several processes can serve from it.
    pub(crate) fn is_shared(&self) -> bool {
        self.servers.is_some()
    }

    /// Where the files are.
    pub(crate) fn data_dir(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// Everything in one process.
    pub(crate) fn serve(&self) -> Process {
        self.start("serve")
    }

    /// A process in a role; waits until it listens, where it does.
    pub(crate) fn start(&self, role: &str) -> Process {
        self.start_with(role, &[])
    }

    /// The same with settings of its own.
    pub(crate) fn start_with(&self, role: &str, settings: &[(&str, &str)]) -> Process {
        let mut command = self.command(&[role]);
        command.envs(settings.iter().copied());
        if role == "worker" {
            return Process::start(command, role, self.dir.path(), None);
        }
        let addr_file = self.dir.path().join(format!("address-{}", uuid::Uuid::now_v7().simple()));
        command.arg("--addr-file").arg(&addr_file);
        Process::start(command, role, self.dir.path(), Some(addr_file))
    }

    /// The sandbox provider as a process of its own; processes that start from now on use it as provider `sandbox`.
    pub(crate) fn sandbox(&mut self) -> Process {
        let addr_file = self.dir.path().join("sandbox-address");
        let mut command = self.command(&["sandbox", "--bind", "127.0.0.1:0"]);
        command.arg("--addr-file").arg(&addr_file);
        let sandbox = Process::start(command, "sandbox", self.dir.path(), Some(addr_file));
        let base_url = format!("{}/openrouter/api/v1", sandbox.url);
        self.set("ACM2_PROVIDERS__SANDBOX__BASE_URL", &base_url);
        sandbox
    }

    /// A command of the binary, not started yet. It sees nothing of this process's environment.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command.args(arguments).env_clear().envs(&self.settings).current_dir(self.dir.path());
        command
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Runs a command that must succeed; what it printed.
    pub(crate) fn cli(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {errors}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// A new tenant with a key that may do everything.
    pub(crate) fn tenant(&self, name: &str) -> Tenant {
        let line = self.cli(&["tenants", "create", name]);
        let id = line.split_whitespace().next().unwrap().to_owned();
        let key = self.cli(&["api-keys", "create", "--tenant", &id]);
        Tenant { id, key }
    }

    /// A key of a tenant with some scopes only.
    pub(crate) fn key(&self, tenant: &Tenant, scopes: &str) -> String {
        self.cli(&["api-keys", "create", "--tenant", &tenant.id, "--scopes", scopes])
    }

    /// A client of a process, with the key of a tenant.
    #[expect(clippy::unused_self, reason = "reads better than a free function")]
    pub(crate) fn client(&self, process: &Process, key: &str) -> Client {
        Client::new(&process.url, key)
    }

    /// Serving, one tenant, its client: what most tests begin with.
    pub(crate) fn ready(&self) -> (Process, Tenant, Client) {
        let process = self.serve();
        let tenant = self.tenant("first");
        let client = self.client(&process, &tenant.key);
        (process, tenant, client)
    }

    /// Takes the database away; a folder goes by itself.
    pub(crate) async fn remove(&self) {
        if let Some((database, _)) = &self.servers {
            database.remove().await;
        }
    }
}

const fn binary() -> &'static str {
    env!("CARGO_BIN_EXE_acm2")
}
