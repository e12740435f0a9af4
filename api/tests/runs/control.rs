//! What a caller can do with runs: cancel, delete, wait, look again, list, estimate, bound in money and time.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::database::{Of, change_one, dump, id_literal};
use crate::harness::{Answer, Client, World};
use crate::house::{House, ended, on_both, run, submit};

const RUNS: &str = "/api/v1/runs";

on_both!(
    a_queued_run_is_cancelled_at_once,
    a_running_run_is_cancelled_and_its_call_ends,
    only_a_run_that_has_ended_is_deleted,
    waiting_ends_with_the_run_or_with_its_time,
    an_unchanged_run_is_not_sent_again,
    a_list_has_pages_and_filters,
    tasks_and_events_tell_the_whole_story,
    an_estimate_bounds_what_a_run_costs,
    a_ceiling_that_buys_nothing_calls_nobody,
    the_deadline_ends_a_run_wherever_it_stands,
);

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_run_leaves_no_delivery_without_a_job() {
    let name = "a_cancelled_run_leaves_no_delivery_without_a_job";
    let Some(world) = World::servers(name).await else { return };
    // Without a worker, jobs stand where they were put.
    let house = House::of(world).await;
    let api = house.world.start("api");
    let (tenant, client) = house.tenant_and_client(&api, "a").await;
    let id = submit(&client, &json!({"prompt": "hi", "models": ["sandbox/echo"]})).await;
    // What a worker leaves that dies between the start of the run and the job of its `run.started`.
    let (run, delivery) = (id_literal(&house.world, &id), "'018f0000-0000-7000-8000-000000000001'::uuid");
    let insert = format!(
        "INSERT INTO deliveries (id, run_id, event_type, url, payload, status, next_attempt_at, created_at) \
         VALUES ({delivery}, {run}, 'run.started', 'https://example.org', '{{}}', 'pending', now(), now())"
    );
    change_one(&house.world, Of::Tenant(&tenant), &insert).await;
    cancel(&client, &id).await.expect(202);
    let job = format!("DELETE FROM jobs WHERE subject_id = {delivery} AND kind = 'deliver_v1'");
    change_one(&house.world, Of::Control, &job).await;
    let jobs = dump(&house.world).await.into_iter().find(|(table, _)| table == "acm2.jobs");
    assert_eq!(jobs.unwrap().1, "", "the run's own job is gone");
    drop(api);
    house.world.remove().await;
}

fn path(run: &str) -> String {
    format!("{RUNS}/{run}")
}

async fn cancel(client: &Client, run: &str) -> Answer {
    client.act(&format!("{}/cancel", path(run))).await
}

async fn events(client: &Client, run: &str) -> Vec<String> {
    let page = client.get(&format!("{}/events?limit=1000", path(run))).await.expect(200);
    page["items"].as_array().unwrap().iter().map(|event| event["type"].as_str().unwrap().to_owned()).collect()
}

async fn a_queued_run_is_cancelled_at_once(house: &House) {
    let processes = house.open_with(&[("ACM2_WORKER__RUNS", "1")]);
    let client = house.tenant(&processes[0], "a").await;
    let body = json!({"prompt": "hi", "models": ["sandbox/hang"]});
    let blocking = submit(&client, &body).await;
    house.wait_for_calls(1).await;
    let queued = submit(&client, &body).await;
    let cancelled = cancel(&client, &queued).await.expect(202);
    assert_eq!((&cancelled["status"], &cancelled["results"][0]["status"]), (&json!("cancelled"), &json!("cancelled")));
    assert!(cancelled["finished_at"].is_string() && cancelled["started_at"].is_null(), "{cancelled}");
    assert_eq!(events(&client, &queued).await, ["run.queued", "run.cancelled"]);
    cancel(&client, &queued).await.problem(409, "run_ended");
    cancel(&client, &blocking).await.expect(202);
    ended(&client, &blocking, Duration::from_secs(20)).await;
    assert_eq!(house.calls().len(), 1, "the cancelled run called nobody");
    cancel(&client, "run_01jd3v1m5zt0q8k6c2e4g6h8ja").await.problem(404, "not_found");
}

async fn a_running_run_is_cancelled_and_its_call_ends(house: &House) {
    let processes = house.open();
    let client = house.tenant(&processes[0], "a").await;
    let id = submit(&client, &json!({"prompt": "hi", "models": ["sandbox/echo", "sandbox/hang"]})).await;
    house.wait_for_calls(2).await;
    while client.get(&path(&id)).await.expect(200)["progress"]["tasks_completed"] != 1 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let asked = Instant::now();
    let (first, second) = tokio::join!(cancel(&client, &id), cancel(&client, &id));
    for answer in [first, second] {
        // The second may find the run ended by the first.
        assert!(answer.status == 202 || answer.status == 409, "{}", answer.text);
    }
    while house.left_calls() == 0 {
        assert!(asked.elapsed() < Duration::from_secs(10), "the call goes on");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    eprintln!("the provider saw its client leave {:?} after the cancel", asked.elapsed());
    let run = ended(&client, &id, Duration::from_secs(20)).await;
    assert_eq!((&run["status"], &run["requested"]), (&json!("cancelled"), &Value::Null), "{run}");
    let statuses: Vec<_> = run["results"].as_array().unwrap().iter().map(|task| task["status"].clone()).collect();
    assert_eq!(statuses, ["completed", "cancelled"], "what was answered stays");
    assert_eq!(run["results"][0]["text"], "Echo: hi");
    let events = events(&client, &id).await;
    assert_eq!(events.iter().filter(|event| *event == "run.cancel_requested").count(), 1, "{events:?}");
    assert_eq!(events.last().unwrap(), "run.cancelled");
    cancel(&client, &id).await.problem(409, "run_ended");
}

async fn only_a_run_that_has_ended_is_deleted(house: &House) {
    let processes = house.open();
    let client = house.tenant(&processes[0], "a").await;
    let running = submit(&client, &json!({"prompt": "hi", "models": ["sandbox/hang"]})).await;
    let body = json!({"prompt": "hi", "models": ["sandbox/echo"]});
    let (first, second) = (run(&client, &body).await, run(&client, &body).await);
    let (first, second) = (first["id"].as_str().unwrap(), second["id"].as_str().unwrap());
    client.delete(&path(&running)).await.problem(409, "run_not_ended");
    client.delete(&path(first)).await.expect(204);
    client.get(&path(first)).await.problem(404, "not_found");
    client.get(&format!("{}/events", path(first))).await.problem(404, "not_found");
    client.delete(&path(first)).await.problem(404, "not_found");
    let both = json!({"ids": [first, second, running]});
    let done = client.post(&format!("{RUNS}/bulk-delete"), &both).await.expect(200);
    assert_eq!(done["deleted"], json!([second]), "{done}");
    let refused: Vec<_> = done["refused"].as_array().unwrap().iter().map(|one| (&one["id"], &one["code"])).collect();
    assert_eq!(refused, [(&json!(first), &json!("not_found")), (&json!(running), &json!("run_not_ended"))]);
    let bulk = async |ids: Value| client.post(&format!("{RUNS}/bulk-delete"), &ids).await;
    assert_eq!(bulk(json!({"ids": []})).await.problem(422, "validation_failed"), ["/ids"]);
    assert_eq!(bulk(json!({"ids": vec![second; 101]})).await.problem(422, "validation_failed"), ["/ids"]);
    cancel(&client, &running).await.expect(202);
    ended(&client, &running, Duration::from_secs(20)).await;
    client.delete(&path(&running)).await.expect(204);
    assert_eq!(client.get(RUNS).await.expect(200)["items"], json!([]));
}

async fn waiting_ends_with_the_run_or_with_its_time(house: &House) {
    let processes = house.open();
    let client = house.tenant(&processes[0], "a").await;
    let post = |prefer: &'static str, model: &'static str| {
        let request = client.request(Method::POST, RUNS).header("prefer", prefer);
        Answer::of(request.json(&json!({"prompt": "hi", "models": [model]})))
    };
    // More than a minute is a minute, and the end comes sooner.
    let answer = post("wait=100000", "sandbox/slow-1s").await;
    assert_eq!(answer.header("preference-applied"), "wait=60");
    assert!(answer.header("location").starts_with("/api/v1/runs/run_"));
    assert_eq!(answer.expect(200)["status"], "completed");
    let asked = Instant::now();
    let answer = post("wait=1", "sandbox/slow-10s").await;
    assert!(asked.elapsed() >= Duration::from_secs(1) && asked.elapsed() < Duration::from_secs(9));
    assert_eq!(answer.header("preference-applied"), "wait=1");
    assert!((1..=5).contains(&answer.header("retry-after").parse::<u64>().unwrap()));
    let id = answer.expect(202)["id"].as_str().unwrap().to_owned();
    let looking = client.request(Method::GET, &path(&id)).header("prefer", "wait=40");
    let run = Answer::of(looking).await.expect(200);
    assert_eq!(run["status"], "completed", "{run}");
    let at_once = post("respond-async", "sandbox/echo").await;
    assert_eq!(at_once.header("preference-applied"), "");
    at_once.expect(202);
}

async fn an_unchanged_run_is_not_sent_again(house: &House) {
    let processes = house.open();
    let client = house.tenant(&processes[0], "a").await;
    let id = submit(&client, &json!({"prompt": "hi", "models": ["sandbox/slow-6s"]})).await;
    house.wait_for_calls(1).await;
    let look = |etag: String| Answer::of(client.request(Method::GET, &path(&id)).header("if-none-match", etag));
    let running = look(String::from("\"other\"")).await;
    assert!((1..=5).contains(&running.header("retry-after").parse::<u64>().unwrap()));
    let tag = running.header("etag");
    assert_eq!(running.expect(200)["status"], "running");
    ended(&client, &id, Duration::from_secs(40)).await;
    let changed = look(tag.clone()).await;
    assert_ne!(changed.header("etag"), tag);
    assert_eq!(changed.header("retry-after"), "");
    let tag = changed.header("etag");
    assert_eq!(changed.expect(200)["status"], "completed");
    for matching in [tag.clone(), format!("\"x\", {tag}"), "*".to_owned()] {
        let unchanged = look(matching.clone()).await;
        assert_eq!((unchanged.status, unchanged.text.as_str()), (304, ""), "{matching}");
        assert_eq!(unchanged.header("etag"), tag);
    }
}

async fn a_list_has_pages_and_filters(house: &House) {
    let processes = house.open();
    let client = house.tenant(&processes[0], "a").await;
    let metadata = json!({"order": "7", "käse": "ja 🧀", "a/b~c": ""});
    let mut made = Vec::new();
    for number in 0..5 {
        let model = if number == 2 { "sandbox/fail-400" } else { "sandbox/echo" };
        let tags = if number % 2 == 0 { json!(["even", "tag with % and _"]) } else { json!([]) };
        let body = json!({"prompt": "hi", "models": [model], "tags": tags, "metadata": metadata});
        made.push(run(&client, &body).await);
    }
    let list = async |query: &str| client.get(&format!("{RUNS}?{query}")).await.expect(200);
    let ids = |page: &Value| -> Vec<String> {
        page["items"].as_array().unwrap().iter().map(|run| run["id"].as_str().unwrap().to_owned()).collect()
    };
    let of = |numbers: &[usize]| -> Vec<String> {
        numbers.iter().map(|number| made[*number]["id"].as_str().unwrap().to_owned()).collect()
    };
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = list(&format!("limit=2{cursor}")).await;
        seen.extend(ids(&page));
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(seen, of(&[4, 3, 2, 1, 0]), "newest first, each once");
    let whole = list("").await;
    let first = &whole["items"][0];
    assert_eq!((&first["metadata"], &first["tags"]), (&metadata, &json!(["even", "tag with % and _"])));
    assert!(first.get("results").is_none() && first.get("missing").is_none(), "{first}");
    assert_eq!(made[1]["metadata"], metadata);
    assert_eq!(ids(&list("status=failed").await), of(&[2]));
    assert_eq!(ids(&list("tag=even&status=completed").await), of(&[4, 0]));
    assert_eq!(ids(&list("tag=tag%20with%20%25%20and%20_&limit=2").await), of(&[4, 2]));
    assert_eq!(ids(&list("tag=tag%20with%20_%20and%20_").await), of(&[]), "a tag is no pattern");
    let time = |number: usize| made[number]["created_at"].as_str().unwrap().to_owned();
    assert_eq!(ids(&list(&format!("created_before={}", time(1))).await), of(&[0]));
    // The first is in, the last is out: windows that follow each other share nothing and miss nothing.
    assert_eq!(ids(&list(&format!("created_from={}&created_before={}", time(1), time(3))).await), of(&[2, 1]));
    let wrong = client.get(&format!("{RUNS}?status=done")).await;
    assert!((400..500).contains(&wrong.status) && wrong.text.contains("#query/status"), "{}", wrong.text);
    let other = house.tenant(&processes[0], "b").await;
    assert_eq!(other.get(RUNS).await.expect(200)["items"], json!([]));
}

async fn tasks_and_events_tell_the_whole_story(house: &House) {
    let processes = house.open();
    let client = house.tenant(&processes[0], "a").await;
    let body = json!({"prompt": "hi", "models": ["sandbox/fail-500-then-ok", "sandbox/echo"], "iterations": 2});
    let run = run(&client, &body).await;
    let id = run["id"].as_str().unwrap();
    let tasks = client.get(&format!("{}/tasks", path(id))).await.expect(200);
    assert_eq!(tasks["items"], run["results"]);
    let keys: Vec<_> = tasks["items"].as_array().unwrap().iter().map(|task| task["key"].as_str().unwrap()).collect();
    let expected = ["generate/prompt/m0/1", "generate/prompt/m0/2", "generate/prompt/m1/1", "generate/prompt/m1/2"];
    assert_eq!(keys, expected);
    let whole = client.get(&format!("{}/events", path(id))).await.expect(200);
    assert_eq!((&whole["last_number"], &whole["is_complete"]), (&run["last_event"], &json!(true)));
    let (mut paged, mut after) = (Vec::new(), 0);
    loop {
        let page = client.get(&format!("{}/events?limit=3&after={after}", path(id))).await.expect(200);
        paged.extend(page["items"].as_array().unwrap().clone());
        after = page["last_number"].as_u64().unwrap();
        if page["is_complete"] == true {
            break;
        }
    }
    assert_eq!(json!(paged), whole["items"]);
    let types: Vec<_> = paged.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!((types[0], types[1], types[types.len() - 1]), ("run.queued", "run.started", "run.completed"));
    let count = |wanted: &str| types.iter().filter(|event| **event == wanted).count();
    assert_eq!(count("task.completed"), 4, "{types:?}");
    assert!(count("attempt.failed") >= 1, "{types:?}");
    for query in ["limit=0", "limit=1001", "after=x"] {
        let wrong = client.get(&format!("{}/events?{query}", path(id))).await;
        assert!((400..500).contains(&wrong.status), "{query}: {}", wrong.text);
    }
}

/// Prices under which the sandbox's answers on OpenAI's wire cost what the sandbox says of itself.
fn prices() -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    let header =
        "provider,model,input_per_million,output_per_million,cached_input_per_million,context_window,max_output";
    std::fs::write(file.path(), format!("{header}\nopenai,echo,1,2,,100000,4000\nopenai,hang,1,2,,,\n")).unwrap();
    file
}

async fn an_estimate_bounds_what_a_run_costs(house: &House) {
    let prices = prices();
    let processes = house.open_with(&[("ACM2_PRICES__FILE", prices.path().to_str().unwrap())]);
    let client = house.tenant(&processes[0], "a").await;
    let estimate = async |body: &Value| client.post(&format!("{RUNS}/estimate"), body).await.expect(200);
    let prompt = "w ".repeat(400);
    let mut body = json!({"prompt": prompt, "models": ["openai/echo"], "iterations": 3, "max_output_tokens": 1000});
    let bounds = estimate(&body).await;
    assert_eq!((&bounds["calls"], &bounds["unpriced_models"]), (&json!(3), &json!([])));
    assert_eq!(client.get(RUNS).await.expect(200)["items"], json!([]), "nothing is stored");
    assert!(house.calls().is_empty());
    let run = run(&client, &body).await;
    // 403 tokens in at 1 USD, 401 out at 2 USD for a million, three times.
    assert_eq!((&run["status"], &run["cost_usd"]), (&json!("completed"), &json!("0.003615")), "{run}");
    assert_eq!((&run["results"][0]["cost_source"], &run["cost"]), (&json!("estimated"), &json!("$0.003615")));
    let number = |value: &Value| value.as_str().unwrap().parse::<f64>().unwrap();
    let (low, cost, high) = (number(&bounds["low_usd"]), number(&run["cost_usd"]), number(&bounds["high_usd"]));
    assert!(low > 0.0 && low <= cost && cost <= high, "{low} {cost} {high}");
    // A ceiling bounds it from above; a model without a price leaves it open.
    body["max_cost_usd"] = json!("0.001");
    assert_eq!(estimate(&body).await["high_usd"], "0.001");
    body["max_cost_usd"] = Value::Null;
    body["models"] = json!(["openai/echo", "sandbox/echo"]);
    let open = estimate(&body).await;
    assert_eq!((&open["calls"], &open["high_usd"], &open["low_usd"]), (&json!(6), &Value::Null, &Value::Null));
    assert_eq!(open["unpriced_models"], json!(["sandbox/echo"]));
}

async fn a_ceiling_that_buys_nothing_calls_nobody(house: &House) {
    let prices = prices();
    let processes = house.open_with(&[("ACM2_PRICES__FILE", prices.path().to_str().unwrap())]);
    let client = house.tenant(&processes[0], "a").await;
    let body = |ceiling: &str, model: &str| json!({"prompt": "hi", "models": [model], "max_cost_usd": ceiling});
    let poor = run(&client, &body("0.000001", "openai/echo")).await;
    assert_eq!((&poor["status"], &poor["cost_usd"]), (&json!("failed"), &json!("0")), "{poor}");
    assert_eq!(poor["missing"][0]["class"], "cost_ceiling", "{poor}");
    assert!(poor["missing"][0]["reason"].as_str().unwrap().contains("max_cost_usd"), "{poor}");
    assert!(house.calls().is_empty());
    let enough = run(&client, &body("0.01", "openai/echo")).await;
    assert_eq!((&enough["status"], &enough["max_cost_usd"]), (&json!("completed"), &json!("0.01")), "{enough}");
    assert_eq!(house.calls().len(), 1);
    let unknown = client.post(RUNS, &body("1", "openai/size-1k")).await;
    assert_eq!(unknown.status, 422, "{}", unknown.text);
    assert!(unknown.text.contains("price_unknown") && unknown.text.contains("\"/models/0\""), "{}", unknown.text);
    assert_eq!(house.calls().len(), 1);
}

async fn the_deadline_ends_a_run_wherever_it_stands(house: &House) {
    let processes = house.open_with(&[("ACM2_WORKER__RUNS", "1")]);
    let client = house.tenant(&processes[0], "a").await;
    let body = json!({"prompt": "hi", "models": ["sandbox/echo", "sandbox/hang"], "deadline_seconds": 10});
    let running = submit(&client, &body).await;
    house.wait_for_calls(2).await;
    let queued = submit(&client, &json!({"prompt": "q", "models": ["sandbox/echo"], "deadline_seconds": 1})).await;
    let running = ended(&client, &running, Duration::from_secs(40)).await;
    assert_eq!(running["status"], "completed_with_errors", "{running}");
    assert_eq!(running["problem"]["code"], "deadline_exceeded", "{running}");
    assert_eq!(running["missing"].as_array().unwrap().len(), 1, "{running}");
    assert_eq!(running["missing"][0]["class"], "deadline_exceeded", "{running}");
    house.wait_for_left_calls(1).await;
    let queued = ended(&client, &queued, Duration::from_secs(20)).await;
    assert_eq!((&queued["status"], &queued["problem"]["code"]), (&json!("failed"), &json!("deadline_exceeded")));
    assert_eq!(house.calls().len(), 2, "the run that waited too long called nobody");
}
