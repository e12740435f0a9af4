//! A run from POST to results and cost.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use crate::harness::Answer;
use crate::house::{House, ended, on_both, run};

on_both!(
    a_prompt_is_answered_over_all_four_wires,
    a_failed_model_leaves_the_others_and_is_listed_as_missing,
    the_same_idempotency_key_makes_one_run,
    a_tenant_without_a_key_is_told_and_nothing_is_called,
);

async fn a_prompt_is_answered_over_all_four_wires(house: &House) {
    let processes = house.open();
    let client = house.tenant(&processes[0], "a").await;
    let models = json!(["sandbox/echo", "openai/echo", "anthropic/echo", "google/echo"]);
    let request = client
        .request(Method::POST, "/api/v1/runs")
        .header("prefer", "wait=20")
        .json(&json!({"prompt": "hello there", "models": models}));
    let run = Answer::of(request).await.expect(200);
    assert_eq!(run["status"], "completed", "{run}");
    assert_eq!(run["models"], models);
    for result in run["results"].as_array().unwrap() {
        assert_eq!(result["text"], "Echo: hello there", "{result}");
        assert_eq!(result["usage"]["output_tokens"], 3, "{result}");
    }
    // The sandbox reports what its own models cost; of the others no price is known under this name.
    assert_eq!(run["results"][0]["cost_source"], "reported");
    assert_eq!(run["results"][1]["cost_usd"], json!(null));
    assert_eq!(run["cost_usd"], json!(null));
    assert_eq!(run["known_cost_usd"], run["results"][0]["cost_usd"]);
    assert_eq!(house.calls().len(), 4);
    let events = client.get(&format!("/api/v1/runs/{}/events", run["id"].as_str().unwrap())).await.expect(200);
    let numbers: Vec<u64> =
        events["items"].as_array().unwrap().iter().map(|event| event["number"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (1..=run["last_event"].as_u64().unwrap()).collect::<Vec<_>>());
}

async fn a_failed_model_leaves_the_others_and_is_listed_as_missing(house: &House) {
    let processes = house.open();
    let client = house.tenant(&processes[0], "a").await;
    let run = run(&client, &json!({"prompt": "hi", "models": ["sandbox/fail-400", "sandbox/fail-500-then-ok"]})).await;
    assert_eq!(run["status"], "completed_with_errors", "{run}");
    assert_eq!(run["missing"].as_array().unwrap().len(), 1);
    assert_eq!(run["missing"][0]["class"], "provider_request");
    assert_eq!(run["results"][1]["attempts"], 2);
}

async fn the_same_idempotency_key_makes_one_run(house: &House) {
    let processes = house.open();
    let client = house.tenant(&processes[0], "a").await;
    let submit = |prompt: &str| {
        let request = client.request(Method::POST, "/api/v1/runs").header("idempotency-key", "order-7");
        Answer::of(request.json(&json!({"prompt": prompt, "models": ["sandbox/echo"]})))
    };
    let (first, second) = tokio::join!(submit("hi"), submit("hi"));
    assert_eq!(first.expect(202)["id"], second.expect(202)["id"]);
    let third = submit("hi").await;
    assert_eq!(third.header("idempotent-replayed"), "true");
    submit("something else").await.problem(422, "idempotency_key_reused");
    ended(&client, third.expect(202)["id"].as_str().unwrap(), Duration::from_secs(20)).await;
    assert_eq!(house.calls().len(), 1);
}

async fn a_tenant_without_a_key_is_told_and_nothing_is_called(house: &House) {
    let processes = house.open();
    let tenant = house.world.tenant("keyless");
    let client = house.world.client(&processes[0], &tenant.key);
    let run = run(&client, &json!({"prompt": "hi", "models": ["openai/echo"]})).await;
    assert_eq!(
        (run["status"].as_str(), run["missing"][0]["class"].as_str()),
        (Some("failed"), Some("provider_key_missing"))
    );
    assert!(house.calls().is_empty());
}
