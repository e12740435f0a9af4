//! `acm2 keys rotate` as an operator does it, while tenants go on submitting: processes with both master keys, the rotation,
//! processes with the new one only.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::harness::{Client, Process, Tenant};
use crate::house::{House, key_of, on_both};

on_both!(master_keys_are_rotated_under_load_without_a_failed_call);

const TENANTS: [&str; 3] = ["one", "two", "three"];
const MASTER_KEYS: &str = "ACM2_MASTER_KEYS";
/// What each tenant has under way all the time.
const AT_ONCE: usize = 2;
const TASKS: usize = 2;

/// Tenants that submit runs, one after the other, until they are told to stop; through whichever process serves just now.
struct Load {
    url: Arc<Mutex<String>>,
    stopping: Arc<AtomicBool>,
    ended: Arc<Mutex<Vec<Value>>>,
    submitting: Vec<JoinHandle<()>>,
}

impl Load {
    fn start(tenants: &[Tenant], url: &str) -> Self {
        let mut load = Self {
            url: Arc::new(Mutex::new(url.to_owned())),
            stopping: Arc::default(),
            ended: Arc::default(),
            submitting: Vec::new(),
        };
        for tenant in tenants.iter().flat_map(|tenant| std::iter::repeat_n(tenant, AT_ONCE)) {
            let mut caller = Caller::new(&tenant.key, &load.url);
            let (stopping, ended) = (Arc::clone(&load.stopping), Arc::clone(&load.ended));
            load.submitting.push(tokio::spawn(async move {
                while !stopping.load(Ordering::SeqCst) {
                    let run = one_run(&mut caller).await;
                    ended.lock().unwrap().push(run);
                }
            }));
        }
        load
    }

    /// Callers are sent to another process.
    fn switch_to(&self, process: &Process) {
        process.url.clone_into(&mut self.url.lock().unwrap());
    }

    /// Waits until so many more runs have ended.
    async fn goes_on(&self, more: usize) {
        let (until, enough) = (Instant::now() + Duration::from_mins(1), self.ended.lock().unwrap().len() + more);
        while self.ended.lock().unwrap().len() < enough {
            assert!(Instant::now() < until, "runs no longer end");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn stop(self) -> Vec<Value> {
        self.stopping.store(true, Ordering::SeqCst);
        for submitting in self.submitting {
            submitting.await.unwrap();
        }
        let mut ended = self.ended.lock().unwrap();
        std::mem::take(&mut *ended)
    }
}

/// A caller that finds the process that serves just now.
struct Caller {
    key: String,
    url: Arc<Mutex<String>>,
    at: String,
    client: Client,
}

impl Caller {
    fn new(key: &str, url: &Arc<Mutex<String>>) -> Self {
        let at = url.lock().unwrap().clone();
        Self { key: key.to_owned(), url: Arc::clone(url), client: Client::new(&at, key), at }
    }

    fn client(&mut self) -> &Client {
        let now = self.url.lock().unwrap().clone();
        if now != self.at {
            self.client = Client::new(&now, &self.key);
            self.at = now;
        }
        &self.client
    }

    async fn answered(&mut self, request: impl Fn(&Client) -> reqwest::RequestBuilder) -> Value {
        let until = Instant::now() + Duration::from_mins(1);
        loop {
            // A process that goes away answers no more, or cuts what it was about to say.
            if let Ok(response) = request(self.client()).send().await
                && let status = response.status()
                && let Ok(text) = response.text().await
            {
                assert!(status.is_success(), "{status}: {text}");
                return serde_json::from_str(&text).unwrap();
            }
            assert!(Instant::now() < until, "nobody listens any more");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// Submits a run and waits for its end. While nobody listens, it asks again, under the same idempotency key.
async fn one_run(caller: &mut Caller) -> Value {
    let models = json!(["sandbox/slow-200ms", "openai/slow-200ms"]);
    let body = json!({"prompt": "hi", "models": models, "max_retries": 0});
    let name = uuid::Uuid::now_v7().to_string();
    let submit = |client: &Client| {
        client.request(Method::POST, "/api/v1/runs").header("Idempotency-Key", name.as_str()).json(&body)
    };
    let run = caller.answered(submit).await;
    let path = format!("/api/v1/runs/{}", run["id"].as_str().unwrap());
    loop {
        let view = caller.answered(|client| client.request(Method::GET, &path)).await;
        if !["queued", "running"].contains(&view["status"].as_str().unwrap()) {
            return view;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Ends processes as an operator does, drained.
fn stop(processes: Vec<Process>) {
    for process in processes {
        assert_eq!(process.stop(), Some(0));
    }
}

/// `acm2 keys rotate` with these master keys: whether it did, and what it said.
fn rotate(house: &House, master_keys: &str) -> (bool, String) {
    let output = house.world.command(&["keys", "rotate"]).env(MASTER_KEYS, master_keys).output().unwrap();
    let said = [output.stdout, output.stderr].map(|said| String::from_utf8(said).unwrap()).concat();
    (output.status.success(), said)
}

async fn master_keys_are_rotated_under_load_without_a_failed_call(house: &House) {
    let old = house.world.settings[MASTER_KEYS].clone();
    let new = house.world.cli(&["keys", "generate", "--id", "new"]);
    let both = format!("{new},{old}");
    let first = house.open();
    let mut tenants = Vec::new();
    let mut secrets = Vec::new();
    for name in TENANTS {
        let (tenant, client) = house.tenant_and_client(&first[0], name).await;
        secrets.push(client.get("/api/v1/webhook-secret").await.expect(200)["secret"].clone());
        tenants.push(tenant);
    }
    let load = Load::start(&tenants, &first[0].url);
    load.goes_on(6).await;

    // Nobody holds the new key yet but the command itself.
    let (done, said) = rotate(house, &both);
    assert!(!done && said.contains("`new`"), "{said}");
    let second = if house.world.is_shared() {
        let second = house.open_with(&[(MASTER_KEYS, &both)]);
        load.switch_to(&second[0]);
        load.goes_on(3).await;
        // The old processes still live.
        let (done, said) = rotate(house, &both);
        assert!(!done && said.contains("do not hold master key `new`"), "{said}");
        stop(first);
        second
    } else {
        stop(first);
        let second = house.open_with(&[(MASTER_KEYS, &both)]);
        load.switch_to(&second[0]);
        second
    };
    load.goes_on(6).await;
    let (done, said) = rotate(house, &both);
    assert!(done && said.contains("3 data keys are now under master key `new`, 0 were before, 0 could not"), "{said}");
    load.goes_on(6).await;
    let (done, said) = rotate(house, &both);
    assert!(done && said.contains("0 data keys are now under master key `new`, 3 were before"), "{said}");

    // The old key is needed no more.
    let third = if house.world.is_shared() {
        let third = house.open_with(&[(MASTER_KEYS, &new)]);
        load.switch_to(&third[0]);
        stop(second);
        third
    } else {
        stop(second);
        let third = house.open_with(&[(MASTER_KEYS, &new)]);
        load.switch_to(&third[0]);
        third
    };
    load.goes_on(9).await;
    let runs = load.stop().await;
    for run in &runs {
        assert_eq!(run["status"], "completed", "{run}");
        let results = run["results"].as_array().unwrap();
        assert!(results.len() == TASKS && results.iter().all(|result| result["attempts"] == 1), "{run}");
    }
    eprintln!("{} runs ended while the keys were rotated", runs.len());
    assert_eq!(house.calls().len(), runs.len() * TASKS, "a call was repeated or lost");
    for (tenant, secret) in tenants.iter().zip(&secrets) {
        let client = house.world.client(&third[0], &tenant.key);
        let keys = client.get("/api/v1/settings/provider-keys").await.expect(200);
        assert!(keys["items"].as_array().unwrap().iter().all(|key| key["decryptable"] == true), "{keys}");
        assert_eq!(&client.get("/api/v1/webhook-secret").await.expect(200)["secret"], secret);
    }
    // What is stored now opens too.
    let body = json!({"key": key_of(TENANTS[0], "sandbox")});
    let client = house.world.client(&third[0], &tenants[0].key);
    let stored = client.put("/api/v1/settings/provider-keys/sandbox", &body).await;
    assert_eq!(stored.json()["decryptable"], true, "{}", stored.text);
    // With the old key alone nothing starts any more, and it says why.
    stop(third);
    let role = if house.world.is_shared() { "api" } else { "serve" };
    let refused = house.world.run(&[role]);
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(!refused.status.success() && said.contains("sealed under master key `new`"), "{said}");
}
