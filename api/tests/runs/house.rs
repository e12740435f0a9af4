//! A world with a sandbox provider in this process, under every wire's name, and the usual processes.

use std::time::Duration;

use acm2_sandbox::{CallRecord, Event, Options, Sandbox};
use serde_json::{Value, json};

use crate::harness::{Client, Process, Tenant, World};

/// The providers that the house points at its sandbox.
pub(crate) const PROVIDERS: [&str; 4] = ["sandbox", "openai", "anthropic", "google"];

/// A world with a provider.
pub(crate) struct House {
    pub(crate) world: World,
    sandbox: Sandbox,
}

impl House {
    pub(crate) async fn of(mut world: World) -> Self {
        let bind = "127.0.0.1:0".parse().unwrap();
        let sandbox = Sandbox::start(Options { bind, log_file: None }).await.unwrap();
        let base = format!("http://{}", sandbox.address());
        world.set("ACM2_PROVIDERS__SANDBOX__BASE_URL", &format!("{base}/openrouter/api/v1"));
        world.set("ACM2_PROVIDERS__OPENAI__BASE_URL", &format!("{base}/openai/v1"));
        world.set("ACM2_PROVIDERS__ANTHROPIC__BASE_URL", &format!("{base}/anthropic/v1"));
        world.set("ACM2_PROVIDERS__GOOGLE__BASE_URL", &format!("{base}/gemini/v1beta"));
        Self { world, sandbox }
    }

    /// Where the sandbox listens.
    pub(crate) fn address(&self) -> std::net::SocketAddr {
        self.sandbox.address()
    }

    /// The usual processes: one that does everything, or an api and a worker. The first one has HTTP.
    pub(crate) fn open(&self) -> Vec<Process> {
        self.open_with(&[])
    }

    /// The same with settings of their own.
    pub(crate) fn open_with(&self, settings: &[(&str, &str)]) -> Vec<Process> {
        let roles: &[&str] = if self.world.is_shared() { &["api", "worker"] } else { &["serve"] };
        roles.iter().map(|role| self.world.start_with(role, settings)).collect()
    }

    /// A new tenant with a key for every provider of the house, and its client.
    pub(crate) async fn tenant(&self, process: &Process, name: &str) -> Client {
        self.tenant_and_client(process, name).await.1
    }

    /// The same, with the tenant.
    pub(crate) async fn tenant_and_client(&self, process: &Process, name: &str) -> (Tenant, Client) {
        let tenant = self.world.tenant(name);
        let client = self.world.client(process, &tenant.key);
        for provider in PROVIDERS {
            let path = format!("/api/v1/settings/provider-keys/{provider}");
            let answer = client.put(&path, &json!({"key": key_of(name, provider)})).await;
            assert!((200..300).contains(&answer.status), "{}", answer.text);
        }
        (tenant, client)
    }

    /// Every call that reached the provider, once.
    pub(crate) fn calls(&self) -> Vec<CallRecord> {
        self.log().into_iter().filter(|call| call.event == Event::Received).collect()
    }

    /// All that the provider noted of calls: their arrival and what became of them.
    pub(crate) fn log(&self) -> Vec<CallRecord> {
        self.sandbox.calls().into_iter().filter(|call| call.wire != acm2_sandbox::Wire::KeyTest).collect()
    }

    /// Waits until so many calls have reached the provider.
    pub(crate) async fn wait_for_calls(&self, count: usize) {
        let until = tokio::time::Instant::now() + Duration::from_mins(2);
        while self.calls().len() < count {
            assert!(tokio::time::Instant::now() < until, "only {} of {count} calls came", self.calls().len());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until the callers of exactly so many calls have gone away, which the provider notices a moment later.
    pub(crate) async fn wait_for_left_calls(&self, count: usize) {
        let until = tokio::time::Instant::now() + Duration::from_secs(10);
        while self.left_calls() < count && tokio::time::Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(self.left_calls(), count, "callers that went away");
    }

    /// The calls whose caller went away before it had an answer.
    pub(crate) fn left_calls(&self) -> usize {
        self.sandbox.calls().iter().filter(|call| call.event == Event::ClientGone).count()
    }
}

/// The provider key of a tenant.
pub(crate) fn key_of(tenant: &str, provider: &str) -> String {
    format!("key-of-{tenant}-for-{provider}-0123456789abcdef")
}

/// Submits a run; its id.
pub(crate) async fn submit(client: &Client, body: &Value) -> String {
    client.post("/api/v1/runs", body).await.expect(202)["id"].as_str().unwrap().to_owned()
}

/// The run once it has ended. Asks on while the process is away.
pub(crate) async fn ended(client: &Client, run: &str, patience: Duration) -> Value {
    let until = tokio::time::Instant::now() + patience;
    loop {
        let asked = client.request(reqwest::Method::GET, &format!("/api/v1/runs/{run}")).send().await;
        if let Ok(response) = asked
            && response.status().is_success()
            && let Ok(text) = response.text().await
        {
            let view: Value = serde_json::from_str(&text).unwrap();
            if !["queued", "running", "paused"].contains(&view["status"].as_str().unwrap()) {
                return view;
            }
            assert!(tokio::time::Instant::now() < until, "the run has not ended: {view}");
        }
        assert!(tokio::time::Instant::now() < until, "the run {run} cannot be seen");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Submits a run and waits for its end.
pub(crate) async fn run(client: &Client, body: &Value) -> Value {
    let run = submit(client, body).await;
    ended(client, &run, Duration::from_mins(1)).await
}

/// Runs each of the named functions, which take a `House`, over both pairs of back-ends.
macro_rules! on_both {
    ($($name:ident),+ $(,)?) => {
        mod over_files {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                let house = crate::house::House::of(crate::harness::World::files()).await;
                super::$name(&house).await;
            })+
        }
        mod over_servers {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                if let Some(world) = crate::harness::World::servers(stringify!($name)).await {
                    let house = crate::house::House::of(world).await;
                    super::$name(&house).await;
                    house.world.remove().await;
                }
            })+
        }
    };
}
pub(crate) use on_both;
