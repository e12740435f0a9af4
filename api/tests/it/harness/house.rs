//! A house of its own for a test: where things are stored, the sandbox provider, the settings of every process, and commands.

use std::net::SocketAddr;
use std::process::Output;

use acm2_sandbox::{CallRecord, Options, Sandbox};
use serde_json::json;
use tempfile::TempDir;
use tokio::process::Command;

use super::process::{BINARY, Process};
use super::servers::{Database, Redis};
use super::Client;

/// A house of its own for a test.
pub(crate) struct House {
    /// What every process of it is started with. Tests may add to it before they start one.
    pub(crate) settings: Vec<(String, String)>,
    pub(crate) dir: TempDir,
    pub(crate) sandbox: Sandbox,
    /// On PostgreSQL and Redis.
    pub(crate) servers: Option<(Database, Redis)>,
    processes: usize,
}

/// A tenant and a client that speaks for it.
#[derive(Debug, Clone)]
pub(crate) struct Tenant {
    pub(crate) id: String,
    pub(crate) key: String,
}

impl House {
    /// SQLite and the embedded broker, one process.
    pub(crate) async fn embedded() -> Self {
        Self::build(None).await
    }

    /// PostgreSQL and Redis, as many processes as wanted; `None`, said aloud, without a test server.
    pub(crate) async fn servers(test: &str) -> Option<Self> {
        let database = Database::create(test).await?;
        Some(Self::build(Some((database, Redis::start().await))).await)
    }

    async fn build(servers: Option<(Database, Redis)>) -> Self {
        let dir = TempDir::new().unwrap();
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let sandbox = Sandbox::start(Options { bind: any, log_file: None }).await.unwrap();
        let base = format!("http://{}", sandbox.address());
        let mut settings: Vec<(String, String)> = [
            ("ACM2_DATA_DIR", dir.path().join("data").to_str().unwrap()),
            ("ACM2_HTTP__BIND", "127.0.0.1:0"),
            ("ACM2_MODE", "hosted"),
            ("ACM2_MASTER_KEYS", "test-a:mUVAnFYmSJkvMQ0LQ6qfTCbBK1KTsxeA0vVNRJBF5zw="),
            ("ACM2_LOG__FORMAT", "json"),
            ("ACM2_TIMING__FASTER", "5"),
            ("ACM2_PROVIDERS__SANDBOX__BASE_URL", &format!("{base}/openrouter/api/v1")),
            ("ACM2_PROVIDERS__OPENAI__BASE_URL", &format!("{base}/openai/v1")),
            ("ACM2_PROVIDERS__ANTHROPIC__BASE_URL", &format!("{base}/anthropic/v1")),
            ("ACM2_PROVIDERS__GOOGLE__BASE_URL", &format!("{base}/gemini/v1beta")),
            ("PATH", "/usr/bin:/bin"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        if let Some((database, redis)) = &servers {
            settings.push(("DATABASE_URL".to_owned(), database.url.clone()));
            settings.push(("REDIS_URL".to_owned(), redis.url.clone()));
        }
        Self { settings, dir, sandbox, servers, processes: 0 }
    }

    /// Sets a setting of the processes that are started from now on.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.settings.retain(|(other, _)| other != name);
        self.settings.push((name.to_owned(), value.to_owned()));
    }

    /// Starts `acm2 <role>` under a name of its own, or the next number.
    pub(crate) async fn start(&mut self, role: &str) -> Process {
        self.processes += 1;
        let name = format!("{role}-{}", self.processes);
        Process::start(role, &self.settings, self.dir.path(), &name).await
    }

    /// The usual processes: one that does everything, or an api and a worker. The first one has HTTP.
    pub(crate) async fn open(&mut self) -> Vec<Process> {
        if self.servers.is_some() {
            vec![self.start("api").await, self.start("worker").await]
        } else {
            vec![self.start("serve").await]
        }
    }

    /// Runs a command of the binary.
    pub(crate) async fn command(&self, words: &[&str]) -> Output {
        let settings = self.settings.iter().map(|(name, value)| (name, value));
        Command::new(BINARY).args(words).env_clear().envs(settings).current_dir(self.dir.path()).output().await.unwrap()
    }

    /// Runs a command that must succeed; what it printed.
    pub(crate) async fn say(&self, words: &[&str]) -> String {
        let output = self.command(words).await;
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "acm2 {}: {stderr}", words.join(" "));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// A new tenant with an API key that may do everything.
    pub(crate) async fn tenant(&self, name: &str) -> Tenant {
        let line = self.say(&["tenants", "create", name]).await;
        let id = line.split('\t').next().unwrap().to_owned();
        let key = self.say(&["api-keys", "create", "--tenant", &id]).await;
        Tenant { id, key }
    }

    /// A new tenant that has keys for the sandbox under each provider's name, and its client.
    pub(crate) async fn tenant_with_keys(&self, process: &Process, name: &str) -> Client {
        let tenant = self.tenant(name).await;
        let client = Client::new(process.url.as_deref().unwrap(), &tenant.key);
        for provider in ["sandbox", "openai", "anthropic", "google"] {
            let body = json!({"key": format!("key-of-{name}-for-{provider}-0123456789")});
            let reply = client.put(&format!("/settings/provider-keys/{provider}"), &body).await;
            assert!(reply.status.is_success(), "{}", reply.text);
        }
        client
    }

    /// Every call that reached the provider.
    pub(crate) fn calls(&self) -> Vec<CallRecord> {
        self.sandbox.calls().into_iter().filter(|call| call.event == acm2_sandbox::Event::Received).collect()
    }
}
