//! Secrets with a canary in them: after runs of every error kind, webhooks, key tests and requests that are wrong in every way,
//! no form of any of them is in a log, an answer, a database, the Redis, a webhook or a metric.

use std::time::Duration;

use acm2_sandbox::Event;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::canaries::{Canaries, Evidence, Overheard, dump_redis, provider_key};
use crate::database;
use crate::harness::{Answer, Client, Tenant};
use crate::house::{House, PROVIDERS, on_both};
use crate::receiver::{Receiver, Reply};
use crate::sealed_columns::allow;

on_both!(no_form_of_any_secret_is_seen_anywhere);

const PROVIDER_KEYS: &str = "/api/v1/settings/provider-keys";
/// No secret: stands in the tags of runs, to show that what is searched really holds what was said.
const MARK: &str = "canary-mark-for-the-search";

/// Every behaviour of the sandbox that is not a plain answer.
const BEHAVIOURS: &str = "fail-400 fail-401 fail-402 fail-403 fail-404 fail-408 fail-409 fail-413 fail-418 fail-422 fail-429 \
                          fail-500 fail-502 fail-503 fail-529 fail-429-quota fail-429-then-ok fail-500-times-2 \
                          echo-key-in-error error-in-200 html malformed empty cut cut-before reset redirect huge length \
                          filter refusal unknown-finish cached reasoning no-usage no-such-model echo";

/// Those of them that make the house stop calling with the key: each has one of its own.
const REFUSALS: [&str; 4] = ["fail-401", "fail-402", "fail-403", "fail-429-quota"];

/// One tenant with a canary in everything that is secret.
struct Scene<'a> {
    house: &'a House,
    client: Client,
    evidence: Evidence,
    canaries: Canaries,
    /// Provider, id, and the key itself.
    keys: Vec<(&'static str, String, String)>,
}

impl Scene<'_> {
    async fn send(&mut self, method: Method, path: &str, body: &Value) -> Answer {
        let request = self.client.request(method, path).json(body);
        self.evidence.ask(request).await
    }

    async fn get(&mut self, path: &str) -> Answer {
        let request = self.client.request(Method::GET, path);
        self.evidence.ask(request).await
    }

    async fn post(&mut self, path: &str, body: &Value) -> Answer {
        self.send(Method::POST, path, body).await
    }

    /// Keys that the sandbox takes and that it refuses, of every provider, and one whose provider is not there.
    async fn store_keys(&mut self) {
        for provider in PROVIDERS {
            for kind in ["good", "bad", "revoked", "quota"] {
                self.store_key(provider, kind).await;
            }
        }
        for provider in ["groq", "mistral"] {
            self.store_key(provider, "good").await;
        }
    }

    async fn store_key(&mut self, provider: &'static str, kind: &str) {
        let key = provider_key(kind);
        self.canaries.add_provider_key(&format!("the {kind} {provider} key"), &key);
        let body = json!({"provider": provider, "key": key, "label": kind});
        let stored = self.post(PROVIDER_KEYS, &body).await.expect(201);
        self.keys.push((provider, stored["id"].as_str().unwrap().to_owned(), key));
    }

    /// Runs until they have ended, and all that can be asked about them.
    async fn run(&mut self, body: &Value) -> Value {
        let mut body = body.clone();
        let more = json!({"prompt": "hi", "tags": [MARK], "max_retries": 1, "concurrency": 50});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let id = self.post("/api/v1/runs", &body).await.expect(202)["id"].as_str().unwrap().to_owned();
        let path = format!("/api/v1/runs/{id}");
        let run = crate::house::ended(&self.client, &id, Duration::from_secs(90)).await;
        self.get(&path).await;
        self.get(&format!("{path}/tasks")).await;
        self.get(&format!("{path}/events?limit=1000")).await;
        run
    }

    async fn run_every_error_kind(&mut self) {
        let mut classes = std::collections::BTreeSet::new();
        for provider in PROVIDERS {
            let mut models = Vec::new();
            for behaviour in BEHAVIOURS.split_whitespace() {
                let model = format!("{provider}/{behaviour}");
                models.push(match REFUSALS.iter().position(|refusal| *refusal == behaviour) {
                    Some(index) => {
                        self.store_key(provider, ["good-1", "good-2", "good-3", "good-4"][index]).await;
                        json!({"model": model, "provider_key_id": self.keys.last().unwrap().1})
                    }
                    None => json!(model),
                });
            }
            let run = self.run(&json!({"models": models})).await;
            assert_eq!(run["status"], "completed_with_errors", "{run}");
            let missing = run["missing"].as_array().unwrap();
            classes.extend(missing.iter().map(|task| task["class"].as_str().unwrap().to_owned()));
            let hanging = self.run(&json!({"models": [format!("{provider}/hang")], "timeout_seconds": 1})).await;
            classes.insert(hanging["missing"][0]["class"].as_str().unwrap().to_owned());
        }
        let refused: Vec<Value> = self
            .keys
            .iter()
            .map(|(provider, id, _)| json!({"model": format!("{provider}/echo"), "provider_key_id": id}))
            .collect();
        let run = self.run(&json!({"models": refused})).await;
        let missing = run["missing"].as_array().unwrap();
        classes.extend(missing.iter().map(|task| task["class"].as_str().unwrap().to_owned()));
        eprintln!("error classes: {classes:?}");
        for class in ["provider_auth", "provider_quota", "provider_network", "provider_timeout", "provider_decode"] {
            assert!(classes.contains(class), "no task failed with {class}: {classes:?}");
        }
    }

    /// A real call for each key; what it says stands in the list.
    async fn test_keys(&mut self) {
        for (_, id, _) in self.keys.clone() {
            self.post(&format!("{PROVIDER_KEYS}/{id}/test"), &Value::Null).await.expect(200);
        }
        self.get(&format!("{PROVIDER_KEYS}?limit=100")).await.expect(200);
    }

    /// Signed webhooks that are taken and refused, and secrets that are shown by design, once each.
    async fn send_webhooks(&mut self, receiver: &Receiver) {
        receiver.script([Reply::status(500), Reply::status(302)]);
        let mut secrets = Vec::new();
        let body = json!({"url": receiver.url("/full"), "payload_style": "full"});
        let request = self.client.request(Method::POST, "/api/v1/webhook-endpoints").json(&body);
        let made = self.evidence.ask_for(request, &["secret"]).await.expect(201);
        secrets.push(made["secret"].clone());
        let endpoint = format!("/api/v1/webhook-endpoints/{}", made["webhook_endpoint"]["id"].as_str().unwrap());
        for (method, path) in [
            (Method::POST, format!("{endpoint}/rotate-secret")),
            (Method::GET, "/api/v1/webhook-secret".to_owned()),
            (Method::POST, "/api/v1/webhook-secret/rotate".to_owned()),
        ] {
            let request = self.client.request(method, &path);
            secrets.push(self.evidence.ask_for(request, &["secret"]).await.expect(200)["secret"].clone());
        }
        for (index, secret) in secrets.iter().enumerate() {
            let encoded = secret.as_str().unwrap().strip_prefix("whsec_").unwrap();
            self.canaries.add_base64(&format!("signing secret {index}"), encoded);
        }
        let models = json!(["sandbox/echo", "openai/echo-key-in-error"]);
        self.run(&json!({"models": models, "webhook_url": receiver.url("/own")})).await;
        self.post(&format!("{endpoint}/test"), &Value::Null).await.expect(202);
        // Started, ended, the run's own, the test, and the two that were refused once more.
        for received in receiver.wait_for(6).await {
            self.evidence.add("a webhook", format!("{:?} {}", received.headers, received.path));
            self.evidence.add("a webhook's body", received.body);
        }
        let listed = self.get("/api/v1/deliveries?limit=100").await.expect(200);
        for delivery in listed["items"].as_array().unwrap() {
            let path = format!("/api/v1/deliveries/{}", delivery["id"].as_str().unwrap());
            self.get(&path).await.expect(200);
        }
        self.get(&endpoint).await.expect(200);
        self.get("/api/v1/webhook-endpoints").await.expect(200);
    }

    /// Requests that are wrong, with a key wherever something may stand; never a 5xx.
    async fn ask_wrongly(&mut self, tenant: &Tenant) {
        let key = self.keys[0].2.clone();
        let in_url: String = url::form_urlencoded::byte_serialize(key.as_bytes()).collect();
        let mut requests: Vec<RequestBuilder> = Vec::new();
        let post = |path: &str, body: String| {
            self.client.request(Method::POST, path).header("content-type", "application/json").body(body)
        };
        for body in [
            format!(r#"{{"provider": "openai", "key": "{key}"#),
            format!(r#"{{"provider": "openai", "key": "{key}", "key": "{key}"}}"#),
            format!(r#"{{"provider": "openai", "key": ["{key}"]}}"#),
            format!(r#"{{"provider": "openai", "key": {{"{key}": 1}}}}"#),
            format!(r#"{{"provider": "openai", "key": "{key} {key}"}}"#),
            format!(r#"{{"provider": "{key}", "key": "{key}", "label": "{key}\u0007", "base_url": "{key}"}}"#),
            format!(
                r#"{{"provider": "openai-compatible", "key": "x", "base_url": "https://u:{in_url}@x.org/?k={in_url}"}}"#
            ),
            format!(r#"{{"provider": "openai", "key": "x", "is_default": "{key}", "unknown": "{key}"}}"#),
            format!(r#""{key}""#),
            key.clone(),
        ] {
            requests.push(post(PROVIDER_KEYS, body));
        }
        let k = &key;
        for body in [
            json!({"prompt": {k: k}, "models": [k, {"model": k, "temperature": k}, {"model": "openai/x", "provider_key_id": k}]}),
            json!({"prompt": "hi", "models": [format!("{k}/x"), format!("openai/ {k}")], "max_cost_usd": k, "iterations": k}),
            json!({"prompt": "hi", "models": "x", "webhook_url": format!("https://u:{in_url}@x.org/"), "messages": [{"role": k, "content": k}]}),
            json!({"prompt": "hi", "models": ["sandbox/echo"], "tags": [k, {"a": k}], "metadata": {"a": [k]}, "nonsense": k}),
        ] {
            requests.push(post("/api/v1/runs", body.to_string()));
            requests.push(post("/api/v1/runs/estimate", body.to_string()));
        }
        requests.push(post("/api/v1/api-keys", json!({"name": [k], "scopes": [k], "expires_at": k}).to_string()));
        requests
            .push(post("/api/v1/webhook-endpoints", json!({"url": k, "events": [k], "payload_style": k}).to_string()));
        requests.push(post("/api/v1/runs/bulk-delete", json!({"ids": [k]}).to_string()));
        for path in [
            format!("{PROVIDER_KEYS}/{in_url}"),
            format!("{PROVIDER_KEYS}/{in_url}/test"),
            format!("/api/v1/runs/{in_url}"),
            format!("/{in_url}"),
            format!(
                "/api/v1/runs?cursor={in_url}&status={in_url}&limit={in_url}&created_from={in_url}&tag=a&tag={in_url}"
            ),
            format!("/api/v1/models?provider={in_url}"),
        ] {
            for method in [Method::GET, Method::PUT, Method::POST, Method::PATCH, Method::DELETE] {
                requests.push(self.client.request(method, &path).json(&json!({"key": [k]})));
            }
        }
        for header in [
            "authorization",
            "x-api-key",
            "prefer",
            "idempotency-key",
            "if-none-match",
            "content-encoding",
            "content-type",
            "accept",
            "origin",
            "x-request-id",
            "traceparent",
            "cookie",
        ] {
            for value in [key.clone(), format!("Bearer {key}"), format!("wait={key}")] {
                requests.push(post("/api/v1/runs", r#"{"prompt": 1}"#.to_owned()).header(header, value));
            }
        }
        // An API key with one wrong letter; and a right one where it does not belong.
        let mistyped = format!("{}{}", &tenant.key[..50], if tenant.key.ends_with("00") { "11" } else { "00" });
        requests.push(self.client.bare(Method::GET, "/api/v1/runs").header("x-acm2-api-key", mistyped));
        requests.push(self.client.bare(Method::GET, "/api/v1/runs").basic_auth("user", Some(&tenant.key)));
        requests.push(
            self.client.bare(Method::GET, &format!("/api/v1/runs?cursor={}", tenant.key)).bearer_auth(&tenant.key),
        );
        requests.push(post("/api/v1/runs", json!({"prompt": "hi", "models": [tenant.key]}).to_string()));
        let mut refused = 0;
        for request in requests {
            let answer = self.evidence.ask(request).await;
            assert!(answer.status < 500, "{}", answer.text);
            refused += usize::from(answer.status >= 400);
        }
        assert!(refused > 80, "only {refused} were refused");
    }

    /// What an operator sees, and what anybody may ask.
    async fn look_around(&mut self) {
        for path in
            ["/metrics", "/readyz", "/healthz", "/", "/api/v1/providers", "/api/v1/api-keys", "/api/v1/runs?limit=100"]
        {
            self.get(path).await;
        }
        for arguments in [&["config"][..], &["doctor"], &["tenants", "list"], &["keys", "rotate"]] {
            let output = self.house.world.run(arguments);
            assert!(!output.stdout.is_empty(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
            self.evidence.add(format!("acm2 {arguments:?}"), [output.stdout, output.stderr].concat());
        }
    }

    async fn search_stores(&mut self, when: &str) {
        // Logs and what was printed lie there too.
        let dir = self.house.world.data_dir().parent().unwrap().to_owned();
        self.evidence.add_files(when, &dir);
        if self.house.world.is_shared() {
            for (table, rows) in database::dump(&self.house.world).await {
                self.evidence.add(format!("table {table} {when}"), rows);
            }
            let dumped = dump_redis(&self.house.world.settings["ACM2_BROKER__URL"]).await;
            self.evidence
                .add(format!("the Redis {when}"), dumped.chars().map(|letter| letter as u8).collect::<Vec<_>>());
        }
    }
}

async fn no_form_of_any_secret_is_seen_anywhere(house: &House) {
    let world = &house.world;
    let overheard = world.is_shared().then(|| Overheard::start(&world.settings["ACM2_BROKER__URL"]));
    let processes = house.open_with(&[
        ("ACM2_LOG__LEVEL", "trace"),
        ("ACM2_OUTBOUND__MAX_RESPONSE_BYTES", "256KiB"),
        // Nobody listens there, and there is no such name.
        ("ACM2_PROVIDERS__GROQ__BASE_URL", "http://127.0.0.1:1/v1"),
        ("ACM2_PROVIDERS__MISTRAL__BASE_URL", "https://nobody.invalid/v1"),
    ]);
    let tenant = world.tenant("canaries");
    let receiver = Receiver::start().await;
    allow(house, &tenant, &receiver);
    let client = world.client(&processes[0], &tenant.key);
    let mut scene =
        Scene { house, client, evidence: Evidence::default(), canaries: Canaries::default(), keys: Vec::new() };
    scene.canaries.add("the API key's secret", &tenant.key[17..49]);
    let master_key = world.settings["ACM2_MASTER_KEYS"].split_once(':').unwrap().1;
    scene.canaries.add_base64("the master key", master_key);
    for (name, setting) in
        [("the database's password", "ACM2_DATABASE__URL"), ("the Redis password", "ACM2_BROKER__URL")]
    {
        let url = world.settings.get(setting).map(|url| url::Url::parse(url).unwrap());
        if let Some(password) = url.as_ref().and_then(url::Url::password).filter(|password| password.len() >= 16) {
            scene.canaries.add(name, password);
        }
    }
    let request = scene.client.request(Method::POST, "/api/v1/api-keys").json(&json!({"name": "one more"}));
    let made = scene.evidence.ask_for(request, &["key"]).await.expect(201);
    scene.canaries.add("another API key's secret", &made["key"].as_str().unwrap()[17..49]);

    scene.store_keys().await;
    scene.run_every_error_kind().await;
    scene.test_keys().await;
    scene.send_webhooks(&receiver).await;
    scene.ask_wrongly(&tenant).await;
    // Jobs wait and calls are under way while the stores are searched.
    let waiting = scene.post("/api/v1/runs", &json!({"prompt": MARK, "models": ["sandbox/hang"]})).await.expect(202);
    let hang = |call: &acm2_sandbox::CallRecord| call.model.as_deref() == Some("hang") && call.event == Event::Received;
    let before = PROVIDERS.len();
    while house.log().iter().filter(|call| hang(call)).count() <= before {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    scene.look_around().await;
    scene.search_stores("while it serves").await;
    let run = format!("/api/v1/runs/{}/cancel", waiting["id"].as_str().unwrap());
    scene.post(&run, &Value::Null).await.expect(202);
    for process in processes {
        scene.evidence.add("what a process logged", process.log());
        scene.evidence.add("what a process printed", process.printed());
        assert_eq!(process.stop(), Some(0));
    }
    scene.search_stores("after its end").await;
    if let Some(overheard) = overheard {
        scene.evidence.add("what Redis was told", overheard.stop());
    }

    let Scene { evidence, canaries, .. } = scene;
    eprintln!("searched {} bytes", evidence.size());
    // The search would find what is there.
    let mut known = Canaries::default();
    known.add("the mark", MARK);
    let mut places = vec!["the answer 202 to POST /api/v1/runs", "a webhook's body"];
    if world.is_shared() {
        places.extend(["t_", "runs while it serves"]);
    } else {
        places.extend([".db while it serves", ".db after its end"]);
    }
    for place in places {
        assert!(!known.find(&evidence.at(place)).is_empty(), "{place} does not hold the mark");
    }
    // The provider did repeat the key that it was sent, and it was taken out.
    for (place, text) in [
        ("/tasks", "[key]"),
        ("a webhook's body", "[key]"),
        ("what a process logged", "attempt failed"),
        ("/metrics", "acm2_"),
        ("acm2 [\"config\"]", "ACM2_"),
    ] {
        assert!(String::from_utf8_lossy(&evidence.at(place)).contains(text), "{place} does not hold {text}");
    }
    if world.is_shared() {
        for place in ["the Redis while it serves", "what Redis was told"] {
            assert!(
                String::from_utf8_lossy(&evidence.at(place)).contains(&tenant.id),
                "{place} does not name the tenant"
            );
        }
    } else {
        assert!(!evidence.at(".db-wal while it serves").is_empty(), "there is no write-ahead log to search");
    }
    let leaks = evidence.leaks(&canaries);
    assert!(leaks.is_empty(), "{} leaks:\n{}", leaks.len(), leaks.join("\n"));
}
