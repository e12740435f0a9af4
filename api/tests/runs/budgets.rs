//! Budgets as callers meet them: what is admitted, what is left, what comes back, and who may change them.

use std::io::Write as _;
use std::time::Duration;

use acm2_domain::money::Usd;
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::NamedTempFile;

use crate::harness::{Answer, Client, Process, World};
use crate::house::{House, ended, on_both, run, submit};

const RUNS: &str = "/api/v1/runs";
const BUDGETS: &str = "/api/v1/budgets";

on_both!(
    of_fifty_submissions_at_once_seven_fit_and_what_is_not_spent_is_free_again,
    a_cancelled_queued_run_gives_all_back,
    a_repeated_submission_reserves_once,
    a_budget_of_an_api_key_binds_that_key_alone,
    a_run_without_a_ceiling_reserves_its_worst_case_and_is_not_cut_short,
    answers_that_are_there_are_reserved_for_as_long_as_they_are,
    a_limit_can_be_lowered_below_what_is_spent,
    a_retry_reserves_anew_for_what_is_missing,
    what_cannot_be_a_budget_is_refused_with_its_place,
);

fn usd(value: &Value) -> Usd {
    value.as_str().unwrap_or_else(|| panic!("not an amount: {value}")).parse().unwrap()
}

/// Prices of some of the sandbox's models: one that never answers, one whose output has no known limit.
fn prices() -> NamedTempFile {
    let mut file = NamedTempFile::with_suffix(".csv").unwrap();
    let header =
        "provider,model,input_per_million,output_per_million,cached_input_per_million,context_window,max_output";
    let rows = "sandbox,echo,1,2,0.1,128000,4096\nsandbox,hang,1,2,0.1,128000,4096\nsandbox,fast,1,2,0.1,128000,";
    write!(file, "{header}\n{rows}\n").unwrap();
    file
}

fn open(house: &House, prices: &NamedTempFile, more: &[(&str, &str)]) -> Vec<Process> {
    let mut settings = vec![("ACM2_PRICES__FILE", prices.path().to_str().unwrap())];
    settings.extend(more);
    house.open_with(&settings)
}

fn run_of_a_dollar(model: &str) -> Value {
    json!({"prompt": "hi", "models": [model], "max_cost_usd": "1"})
}

async fn budget(client: &Client, body: Value) -> String {
    let made = client.post(BUDGETS, &body).await;
    let path = made.header("location");
    assert_eq!(client.get(&path).await.expect(200), made.expect(201));
    path
}

/// What is spent, reserved and left.
async fn standing(client: &Client, budget: &str) -> (Usd, Usd, Usd) {
    let budget = client.get(budget).await.expect(200);
    (usd(&budget["spent_usd"]), usd(&budget["reserved_usd"]), usd(&budget["left_usd"]))
}

fn dollars(amount: i64) -> Usd {
    Usd::from_pico(amount * 1_000_000_000_000)
}

async fn cancel(client: &Client, run: &str) {
    let answer = client.act(&format!("{RUNS}/{run}/cancel")).await;
    assert!(answer.status == 202 || answer.status == 409, "{}", answer.text);
}

/// Submits so many at once over these clients; the runs that were taken. The others are told that this is `left`.
async fn crowd(clients: &[&Client], count: usize, body: &Value, left: Usd) -> Vec<String> {
    let all = (0..count).map(|number| clients[number % clients.len()].post(RUNS, body));
    let mut taken = Vec::new();
    for answer in futures_util::future::join_all(all).await {
        if answer.status == 202 {
            taken.push(answer.json()["id"].as_str().unwrap().to_owned());
            continue;
        }
        answer.problem(402, "budget_exceeded");
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains("of 7 USD per month for the tenant"), "{detail}");
        assert!(detail.contains(&format!(" {left} USD is left")), "{detail}");
    }
    taken
}

async fn of_fifty_submissions_at_once_seven_fit_and_what_is_not_spent_is_free_again(house: &House) {
    let prices = prices();
    let processes = open(house, &prices, &[]);
    let client = house.tenant(&processes[0], "a").await;
    let path = budget(&client, json!({"period": "month", "limit_usd": "7"})).await;
    let taken = crowd(&[&client], 50, &run_of_a_dollar("sandbox/hang"), Usd::ZERO).await;
    assert_eq!(taken.len(), 7);
    assert_eq!(standing(&client, &path).await, (Usd::ZERO, dollars(7), Usd::ZERO));
    house.wait_for_calls(1).await;
    for run in &taken {
        cancel(&client, run).await;
    }
    let mut spent = Usd::ZERO;
    for run in &taken {
        let view = ended(&client, run, Duration::from_secs(30)).await;
        spent += usd(&view["known_cost_usd"]) + usd(&view["in_doubt_usd"]);
    }
    assert!(spent > Usd::ZERO && spent < dollars(1), "a call that was sent stays counted: {spent}");
    assert_eq!(standing(&client, &path).await, (spent, Usd::ZERO, dollars(7) - spent));
    let view = run(&client, &run_of_a_dollar("sandbox/echo")).await;
    assert_eq!(view["status"], "completed", "{view}");
    spent += usd(&view["cost_usd"]);
    assert_eq!(standing(&client, &path).await, (spent, Usd::ZERO, dollars(7) - spent));
    client.delete(&format!("{RUNS}/{}", view["id"].as_str().unwrap())).await.expect(204);
    assert_eq!(standing(&client, &path).await.0, spent, "a deleted run stays counted");
    let left = dollars(1) - spent;
    assert_eq!(crowd(&[&client], 50, &run_of_a_dollar("sandbox/hang"), left).await.len(), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_api_processes_admit_no_more_than_one() {
    let Some(world) = World::servers("two_api_processes_admit_no_more_than_one").await else { return };
    let house = House::of(world).await;
    let (first, second) = (house.world.start("api"), house.world.start("api"));
    let (tenant, client) = house.tenant_and_client(&first, "a").await;
    let other = house.world.client(&second, &tenant.key);
    let path = budget(&client, json!({"period": "month", "limit_usd": "7"})).await;
    let body = run_of_a_dollar("sandbox/echo");
    let taken = crowd(&[&client, &other], 50, &body, Usd::ZERO).await;
    assert_eq!(taken.len(), 7);
    assert_eq!(standing(&other, &path).await, (Usd::ZERO, dollars(7), Usd::ZERO));
    for run in &taken[..3] {
        cancel(&other, run).await;
    }
    assert_eq!(crowd(&[&client, &other], 50, &body, Usd::ZERO).await.len(), 3);
    drop((first, second));
    house.world.remove().await;
}

async fn a_cancelled_queued_run_gives_all_back(house: &House) {
    let prices = prices();
    let processes = open(house, &prices, &[("ACM2_WORKER__RUNS", "1")]);
    let (client, other) = (house.tenant(&processes[0], "a").await, house.tenant(&processes[0], "b").await);
    let blocking = submit(&other, &json!({"prompt": "hi", "models": ["sandbox/hang"]})).await;
    house.wait_for_calls(1).await;
    let path = budget(&client, json!({"period": "day", "limit_usd": "1"})).await;
    let queued = submit(&client, &run_of_a_dollar("sandbox/echo")).await;
    client.post(RUNS, &run_of_a_dollar("sandbox/echo")).await.problem(402, "budget_exceeded");
    cancel(&client, &queued).await;
    assert_eq!(standing(&client, &path).await, (Usd::ZERO, Usd::ZERO, dollars(1)));
    submit(&client, &run_of_a_dollar("sandbox/echo")).await;
    cancel(&other, &blocking).await;
}

async fn a_repeated_submission_reserves_once(house: &House) {
    let prices = prices();
    let processes = open(house, &prices, &[]);
    let client = house.tenant(&processes[0], "a").await;
    let path = budget(&client, json!({"period": "month", "limit_usd": "1"})).await;
    let body = run_of_a_dollar("sandbox/hang");
    let named = || Answer::of(client.request(Method::POST, RUNS).header("idempotency-key", "n").json(&body));
    let (one, two) = tokio::join!(named(), named());
    let (one, two) = (one.expect(202), two.expect(202));
    assert_eq!(one["id"], two["id"]);
    assert_eq!(standing(&client, &path).await, (Usd::ZERO, dollars(1), Usd::ZERO));
    cancel(&client, one["id"].as_str().unwrap()).await;
    // A refusal is not kept: the same name is free once there is room.
    let other = || Answer::of(client.request(Method::POST, RUNS).header("idempotency-key", "m").json(&body));
    ended(&client, one["id"].as_str().unwrap(), Duration::from_secs(30)).await;
    client.patch(&path, &json!({"limit_usd": "0.5"})).await.expect(200);
    other().await.problem(402, "budget_exceeded");
    client.patch(&path, &json!({"limit_usd": "2"})).await.expect(200);
    other().await.expect(202);
}

async fn a_budget_of_an_api_key_binds_that_key_alone(house: &House) {
    let prices = prices();
    let processes = open(house, &prices, &[]);
    let (tenant, client) = house.tenant_and_client(&processes[0], "a").await;
    let scopes = json!(["runs:read", "runs:write", "api-keys:read", "api-keys:write"]);
    let made = client.post("/api/v1/api-keys", &json!({"name": "bound", "scopes": scopes})).await.expect(201);
    let (id, bound) = (&made["api_key"]["id"], client.with_key(made["key"].as_str().unwrap()));
    let path = budget(&client, json!({"api_key_id": id, "period": "day", "limit_usd": "1"})).await;
    let body = run_of_a_dollar("sandbox/hang");
    let mine = submit(&bound, &body).await;
    let refused = bound.post(RUNS, &body).await;
    refused.problem(402, "budget_exceeded");
    assert!(refused.text.contains("of 1 USD per day for an API key"), "{}", refused.text);
    let free = submit(&client, &body).await;
    assert_eq!(standing(&client, &path).await, (Usd::ZERO, dollars(1), Usd::ZERO));

    // It can neither see nor raise its budget, nor make a key that has none.
    bound.get(&path).await.problem(403, "scope_missing");
    bound.patch(&path, &json!({"limit_usd": "9"})).await.problem(403, "scope_missing");
    bound.delete(&path).await.problem(403, "scope_missing");
    let another = json!({"name": "another", "scopes": ["runs:read"]});
    bound.post("/api/v1/api-keys", &another).await.problem(403, "scope_missing");
    let reader = client.with_key(&house.world.key(&tenant, "budgets:read"));
    assert_eq!(reader.get(BUDGETS).await.expect(200)["items"][0]["api_key_id"], *id);
    reader.patch(&path, &json!({"limit_usd": "9"})).await.problem(403, "scope_missing");

    // What ends counts for the key that submitted it, whoever ends it; a revoked key's budget hinders nobody.
    client.delete(&format!("/api/v1/api-keys/{}", id.as_str().unwrap())).await.expect(204);
    for run in [mine, free] {
        cancel(&client, &run).await;
        ended(&client, &run, Duration::from_secs(30)).await;
    }
    assert_eq!(standing(&client, &path).await.1, Usd::ZERO);
    client.delete(&path).await.expect(204);
    client.get(&path).await.problem(404, "not_found");
    let again = json!({"api_key_id": id, "period": "day", "limit_usd": "1"});
    assert_eq!(client.post(BUDGETS, &again).await.problem(422, "validation_failed"), ["/api_key_id"]);
}

async fn a_run_without_a_ceiling_reserves_its_worst_case_and_is_not_cut_short(house: &House) {
    let prices = prices();
    let processes = open(house, &prices, &[]);
    let client = house.tenant(&processes[0], "a").await;
    let path = budget(&client, json!({"period": "month", "limit_usd": "7"})).await;
    let hanging = json!({"prompt": "hi", "models": ["sandbox/hang"], "max_retries": 1});
    let hanging = submit(&client, &hanging).await;
    // Two tries of 2 bytes and 32 tokens of frame at 1.25, and 4,096 tokens of output at 2 USD a million.
    let worst = Usd::from_pico(2 * (34 * 1_250_000 + 4_096 * 2_000_000));
    assert_eq!(standing(&client, &path).await, (Usd::ZERO, worst, dollars(7) - worst));
    house.wait_for_calls(1).await;
    let seen = client.get(&format!("{RUNS}/{hanging}")).await.expect(200);
    assert_eq!(seen["max_cost_usd"], Value::Null, "nobody asked for a ceiling: {seen}");
    cancel(&client, &hanging).await;
    let seen = ended(&client, &hanging, Duration::from_secs(30)).await;
    assert_eq!(usd(&seen["in_doubt_usd"]), Usd::from_pico(worst.pico() / 2), "one try was sent: {seen}");

    // A dear task beside cheap ones takes what it needs, not an equal share.
    let models = json!([{"model": "sandbox/echo", "max_output_tokens": 5}, {"model": "sandbox/echo"}]);
    let done = run(&client, &json!({"prompt": "word ".repeat(3_000), "models": models, "max_retries": 0})).await;
    assert_eq!(done["status"], "completed", "{done}");
    assert_eq!(done["results"][1]["finish_reason"], "stop", "{}", done["results"][1]);

    let unpriced = json!({"prompt": "hi", "models": ["sandbox/echo", "sandbox/no-such"]});
    let refused = client.post(RUNS, &unpriced).await;
    assert_eq!(refused.problem(422, "price_unknown"), ["/models/1"]);
    let unbounded = json!({"prompt": "hi", "models": ["sandbox/fast"]});
    let refused = client.post(RUNS, &unbounded).await;
    assert_eq!(refused.problem(422, "cost_unbounded"), ["/models/0"]);
    run(&client, &json!({"prompt": "hi", "models": ["sandbox/fast"], "max_output_tokens": 100})).await;
    run(&client, &json!({"prompt": "hi", "models": ["sandbox/fast"], "max_cost_usd": "0.01"})).await;
    let dear = json!({"prompt": "hi", "models": ["sandbox/fast"], "max_output_tokens": 1_000_000, "iterations": 10});
    let refused = client.post(RUNS, &dear).await;
    refused.problem(402, "budget_exceeded");
    assert!(refused.text.contains("this run can cost 60.001275 USD"), "{}", refused.text);
    assert_eq!(standing(&client, &path).await.1, Usd::ZERO, "what was refused has reserved nothing");
}

async fn answers_that_are_there_are_reserved_for_as_long_as_they_are(house: &House) {
    let prices = prices();
    let processes = open(house, &prices, &[]);
    let client = house.tenant(&processes[0], "a").await;
    // Nobody knows how much this model may say, but what it has said.
    let source = run(&client, &json!({"prompt": "hi", "models": ["sandbox/fast"], "iterations": 2})).await;
    let path = budget(&client, json!({"period": "month", "limit_usd": "7"})).await;
    let judged = |judge: &str| json!({"answers_of": source["id"], "stages": {"evaluate": {"judges": [judge]}}});
    let estimate = client.post(&format!("{RUNS}/estimate"), &judged("sandbox/hang")).await.expect(200);
    assert!(estimate["high_usd"].is_string(), "{estimate}");
    let hanging = submit(&client, &judged("sandbox/hang")).await;
    let reserved = standing(&client, &path).await.1;
    assert!(reserved >= usd(&estimate["high_usd"]) && reserved < usd(&json!("0.2")), "{reserved}");
    cancel(&client, &hanging).await;
    ended(&client, &hanging, Duration::from_secs(30)).await;
    // Whoever is yet to write, and without a known limit, is refused at its place in the request, and so is who may read it.
    let endless = json!({"answers_of": source["id"], "council": {"chair": "sandbox/fast"}});
    assert_eq!(client.post(RUNS, &endless).await.problem(422, "cost_unbounded"), ["/council", "/council/chair"]);
}

async fn a_retry_reserves_anew_for_what_is_missing(house: &House) {
    let prices = prices();
    let processes = open(house, &prices, &[]);
    let client = house.tenant(&processes[0], "a").await;
    // The run was made before the budget, which counts it from its retry on.
    let body = json!({"prompt": "hi", "models": ["sandbox/echo", "sandbox/hang"], "max_retries": 0});
    let run = submit(&client, &body).await;
    let path = budget(&client, json!({"period": "month", "limit_usd": "0.01"})).await;
    house.wait_for_calls(2).await;
    let stop = async || {
        while client.get(&format!("{RUNS}/{run}")).await.expect(200)["progress"]["tasks_completed"] != 1 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        cancel(&client, &run).await;
        ended(&client, &run, Duration::from_secs(30)).await
    };
    let before = stop().await;
    assert_eq!(standing(&client, &path).await.0, Usd::ZERO);
    let retry = async || client.act(&format!("{RUNS}/{run}/retry")).await;
    retry().await.expect(202);
    let worst = Usd::from_pico(34 * 1_250_000 + 4_096 * 2_000_000);
    assert_eq!(standing(&client, &path).await.1, worst, "the answered task is not asked again");
    house.wait_for_calls(3).await;
    let after = stop().await;
    assert_eq!(usd(&after["in_doubt_usd"]) - usd(&before["in_doubt_usd"]), worst);
    assert_eq!(standing(&client, &path).await, (worst, Usd::ZERO, usd(&json!("0.01")) - worst));
    // A second one does not fit any more; the run stays as it ended, and no job of it is left.
    retry().await.problem(402, "budget_exceeded");
    assert_eq!(client.get(&format!("{RUNS}/{run}")).await.expect(200), after);
    client.delete(&path).await.expect(204);
    retry().await.expect(202);
    stop().await;
}

async fn a_limit_can_be_lowered_below_what_is_spent(house: &House) {
    let prices = prices();
    let processes = open(house, &prices, &[]);
    let client = house.tenant(&processes[0], "a").await;
    let path = budget(&client, json!({"period": "day", "limit_usd": "7"})).await;
    let spent = usd(&run(&client, &run_of_a_dollar("sandbox/echo")).await["cost_usd"]);
    let lowered = client.patch(&path, &json!({"limit_usd": "0"})).await.expect(200);
    assert_eq!((usd(&lowered["spent_usd"]), &lowered["left_usd"]), (spent, &json!("0")), "{lowered}");
    client.post(RUNS, &run_of_a_dollar("sandbox/echo")).await.problem(402, "budget_exceeded");
    let calls = house.calls().len();
    client.delete(&path).await.expect(204);
    run(&client, &run_of_a_dollar("sandbox/echo")).await;
    assert_eq!(house.calls().len(), calls + 1);
}

async fn what_cannot_be_a_budget_is_refused_with_its_place(house: &House) {
    let processes = house.open();
    let (client, other) = (house.tenant(&processes[0], "a").await, house.tenant(&processes[0], "b").await);
    let keys = other.get("/api/v1/api-keys").await.expect(200);
    for (body, places) in [
        (json!({"period": "week", "limit_usd": "1"}), vec!["/period"]),
        (json!({"period": "day", "limit_usd": "-1"}), vec!["/limit_usd"]),
        (json!({"period": "day", "limit_usd": "1000000.000000000001"}), vec!["/limit_usd"]),
        (json!({"period": "day", "limit_usd": "1", "api_key_id": keys["items"][0]["id"]}), vec!["/api_key_id"]),
        (json!({"limit": "1"}), vec!["/limit", "/period", "/limit_usd"]),
    ] {
        let mut found = client.post(BUDGETS, &body).await.problem(422, "validation_failed");
        let mut places: Vec<String> = places.into_iter().map(str::to_owned).collect();
        found.sort();
        places.sort();
        assert_eq!(found, places, "{body}");
    }
    let path = budget(&client, json!({"period": "month", "limit_usd": "1000000"})).await;
    client.post(BUDGETS, &json!({"period": "month", "limit_usd": "1"})).await.problem(409, "conflict");
    budget(&client, json!({"period": "day", "limit_usd": "1"})).await;
    let month = client.get(&path).await.expect(200);
    let (starts, resets) = (month["starts_at"].as_str().unwrap(), month["resets_at"].as_str().unwrap());
    assert!(starts.ends_with("-01T00:00:00Z") && resets.ends_with("-01T00:00:00Z") && starts < resets, "{month}");
    let page = client.get(&format!("{BUDGETS}?limit=1")).await.expect(200);
    let next = client.get(&format!("{BUDGETS}?cursor={}", page["next_cursor"].as_str().unwrap())).await.expect(200);
    assert_eq!((&next["items"], &next["next_cursor"]), (&json!([month]), &Value::Null));
    assert_eq!(other.get(BUDGETS).await.expect(200)["items"], json!([]));
}
