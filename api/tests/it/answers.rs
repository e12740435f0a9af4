//! Runs that judge the answers of another run: what they ask, what they cost, and that they stand by themselves.

use serde_json::{Value, json};

use crate::harness::{Answer, Client, Process, World, on_both};

const RUNS: &str = "/api/v1/runs";

on_both! {
    answers_are_judged_anew_and_nothing_is_asked_again,
    what_the_other_run_lacks_is_missing_and_no_retry_brings_it,
    answers_of_a_run_that_was_cancelled_are_taken_over,
    only_an_ended_run_of_ones_own_has_answers,
}

/// A sandbox whose log of calls can be read, a process that uses it, and a tenant with a key for it.
struct Scene {
    sandbox: Process,
    process: Process,
    client: Client,
    /// Where the sandbox's files are.
    _helper: World,
}

impl Scene {
    async fn of(world: &World) -> Self {
        let mut helper = World::files();
        let sandbox = helper.sandbox();
        let base_url = format!("{}/openrouter/api/v1", sandbox.url);
        let process = world.start_with("serve", &[("ACM2_PROVIDERS__SANDBOX__BASE_URL", &base_url)]);
        let client = world.client(&process, &world.tenant("first").key);
        let stored = client.put("/api/v1/settings/provider-keys/sandbox", &json!({"key": "sk-of-the-tests-01"})).await;
        stored.expect(200);
        Self { sandbox, process, client, _helper: helper }
    }

    /// The models that were called, in the order of the calls.
    async fn called(&self) -> Vec<String> {
        let log = Client::new(&self.sandbox.url, "").get("/sandbox/calls").await.expect(200);
        let received = log.as_array().unwrap().iter().filter(|record| record["event"] == "received");
        received.filter_map(|record| record["model"].as_str().map(str::to_owned)).collect()
    }
}

/// Submits a run and waits for its end.
async fn ended(client: &Client, body: &Value) -> Value {
    let request = client.request(reqwest::Method::POST, RUNS).header("Prefer", "wait=60").json(body);
    Answer::of(request).await.expect(200)
}

fn path_of(run: &Value) -> String {
    format!("{RUNS}/{}", run["id"].as_str().unwrap())
}

fn texts(run: &Value) -> Vec<(Value, Value)> {
    let results = run["results"].as_array().unwrap().iter();
    let answers = results.filter(|task| task["stage"] == "generate");
    answers.map(|task| (task["key"].clone(), task["text"].clone())).collect()
}

fn judged_by(judge: &str, criteria: &[&str]) -> Value {
    json!({"evaluate": {"judges": [judge], "criteria": criteria}})
}

async fn answers_are_judged_anew_and_nothing_is_asked_again(world: &World) {
    let scene = Scene::of(world).await;
    let source = json!({
        "prompt": "Say it in other words.", "documents": [{"name": "one", "text": "A text to be kept."}],
        "models": ["sandbox/echo", "sandbox/size-1k", "sandbox/size-2k"],
        "stages": judged_by("sandbox/judge", &["clarity"]),
    });
    let source = ended(&scene.client, &source).await;
    assert_eq!((&source["status"], scene.called().await.len()), (&json!("completed"), 6));
    let anew = json!({"answers_of": source["id"], "stages": judged_by("sandbox/judge-2", &["depth", "wit"])});
    let estimate = scene.client.post(&format!("{RUNS}/estimate"), &anew).await.expect(200);
    assert_eq!(estimate["calls"], 3);
    let run = ended(&scene.client, &anew).await;
    assert_eq!((&run["status"], &run["answers_of"]), (&json!("completed"), &source["id"]));
    assert_eq!(scene.called().await[6..], ["judge-2", "judge-2", "judge-2"]);
    assert_eq!(texts(&run), texts(&source));
    assert_ne!(run["spec_hash"], source["spec_hash"]);
    for task in run["results"].as_array().unwrap() {
        assert_eq!((&task["attempts"], &task["cost_usd"]), (&json!(0), &json!("0")), "{task}");
    }
    let by_model = run["totals"]["by_model"].as_array().unwrap();
    let cost_of = |model: &str| by_model.iter().find(|row| row["name"] == model).unwrap()["cost_usd"].clone();
    assert_eq!((cost_of("sandbox/echo"), &cost_of("sandbox/judge-2")), (json!("0"), &run["cost_usd"]));
    assert_ne!(run["cost_usd"], "0");
    let judging = |run: &Value| format!("{}/judging", path_of(run));
    let seen = scene.client.get(&judging(&run)).await;
    assert!(seen.status == 200 && seen.text.contains("\"wit\"") && !seen.text.contains("clarity"), "{}", seen.text);

    scene.client.delete(&path_of(&source)).await.expect(204);
    assert_eq!(scene.client.get(&path_of(&run)).await.expect(200)["results"], run["results"]);
    assert_eq!(scene.client.get(&judging(&run)).await.expect(200), seen.json());
    // The text of the document is there, too: judges read it.
    let again = json!({"answers_of": run["id"], "stages": judged_by("sandbox/judge", &["wit"])});
    let third = ended(&scene.client, &again).await;
    assert_eq!((&third["status"], texts(&third)), (&json!("completed"), texts(&run)));
    assert_eq!(scene.called().await[9..], ["judge", "judge", "judge"]);
}

async fn what_the_other_run_lacks_is_missing_and_no_retry_brings_it(world: &World) {
    let scene = Scene::of(world).await;
    let models = ["sandbox/echo", "sandbox/fail-400"];
    let source = ended(&scene.client, &json!({"prompt": "hi", "models": models})).await;
    let calls = scene.called().await.len();
    let anew = json!({"answers_of": source["id"], "stages": judged_by("sandbox/judge", &["clarity"])});
    let run = ended(&scene.client, &anew).await;
    let classes = |run: &Value| -> Vec<(Value, Value)> {
        let missing = run["missing"].as_array().unwrap().iter();
        missing.map(|missing| (missing["key"].clone(), missing["class"].clone())).collect()
    };
    let expected = [
        (json!("generate/prompt/m1/1"), json!("provider_request")),
        (json!("evaluate/prompt/m1.1/j0/1"), json!("input_missing")),
    ];
    assert_eq!((&run["status"], classes(&run)), (&json!("completed_with_errors"), expected.to_vec()));
    scene.client.act(&format!("{}/retry", path_of(&run))).await.problem(409, "nothing_to_retry");
    assert_eq!(scene.called().await[calls..], ["judge"]);
}

async fn answers_of_a_run_that_was_cancelled_are_taken_over(world: &World) {
    let scene = Scene::of(world).await;
    let body = json!({"prompt": "hi", "models": ["sandbox/echo", "sandbox/slow-30s"]});
    let source = scene.client.post(RUNS, &body).await.expect(202);
    let anew = json!({"answers_of": source["id"], "stages": judged_by("sandbox/judge", &["clarity"])});
    while scene.client.get(&path_of(&source)).await.expect(200)["progress"]["tasks_completed"] == 0 {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(scene.client.post(RUNS, &anew).await.problem(422, "validation_failed"), ["/answers_of"]);
    scene.client.act(&format!("{}/cancel", path_of(&source))).await;
    while scene.client.get(&path_of(&source)).await.expect(200)["status"] != "cancelled" {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let calls = scene.called().await.len();
    let run = ended(&scene.client, &anew).await;
    assert_eq!(run["progress"], json!({"tasks_expected": 4, "tasks_completed": 2, "tasks_failed": 2}));
    assert_eq!(
        (&run["status"], &run["missing"][0]["class"]),
        (&json!("completed_with_errors"), &json!("input_missing"))
    );
    assert_eq!(scene.called().await[calls..], ["judge"]);
}

async fn only_an_ended_run_of_ones_own_has_answers(world: &World) {
    let scene = Scene::of(world).await;
    let client = &scene.client;
    let run = ended(client, &json!({"prompt": "hi", "models": ["sandbox/echo"]})).await;
    let failed = ended(client, &json!({"prompt": "hi", "models": ["sandbox/fail-400"]})).await;
    let body = |id: &Value| json!({"answers_of": id, "stages": judged_by("sandbox/judge", &["clarity"])});
    let estimate = format!("{RUNS}/estimate");
    let stranger = world.client(&scene.process, &world.tenant("second").key);
    for path in [RUNS, &estimate] {
        assert_eq!(client.post(path, &body(&failed["id"])).await.problem(422, "validation_failed"), ["/answers_of"]);
        let refused = stranger.post(path, &body(&run["id"])).await;
        assert_eq!(refused.problem(422, "validation_failed"), ["/answers_of"]);
        assert_eq!(refused.json()["errors"][0]["detail"], "there is no such run");
    }
    assert_eq!(stranger.get(RUNS).await.expect(200)["items"], json!([]));
    let mut wrong = body(&run["id"]);
    wrong["prompt"] = json!("another");
    wrong["stages"] = json!({});
    assert_eq!(client.post(RUNS, &wrong).await.problem(422, "validation_failed"), ["/prompt", "/stages"]);
    let listed = client.get(RUNS).await.expect(200);
    assert_eq!(listed["items"].as_array().unwrap().len(), 2, "nothing was written: {listed}");
    client.post(&estimate, &body(&run["id"])).await.expect(200);
}
