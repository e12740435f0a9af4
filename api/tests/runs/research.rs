//! Research through the public door: a key for a search, an estimate, and a report whose pages were read by the program itself in
//! a process of its own.

use std::time::Duration;

use acm2_sandbox::Wire;
use serde_json::json;

use crate::house::{House, ended, on_both, submit};

const RUNS: &str = "/api/v1/runs";
const KEYS: &str = "/api/v1/settings/provider-keys";

on_both!(a_report_is_asked_for_estimated_and_read, a_search_without_a_key_is_refused_before_anything_is_paid_for);

async fn a_report_is_asked_for_estimated_and_read(house: &House) {
    let address = house.address();
    let base_url = format!("http://{address}/tavily");
    let processes = house.open_with(&[("ACM2_PROVIDERS__TAVILY__BASE_URL", &base_url)]);
    let (tenant, client) = house.tenant_and_client(&processes[0], "reader").await;
    let key = client.put(&format!("{KEYS}/tavily"), &json!({"key": "tvly-of-the-tests-0123456789"})).await.expect(200);
    let test = client.act(&format!("{KEYS}/{}/test", key["id"].as_str().unwrap())).await.expect(200);
    assert_eq!(test["status"], "valid", "{test}");
    house.world.cli(&["tenants", "allow-host", &tenant.id, &format!("page:{address}")]);

    let body = json!({
        "prompt": "why pdf cats purr", "models": ["sandbox/researcher"], "generator": "research",
        "research": {"provider": "tavily", "breadth": 1, "pages": 2},
    });
    // A plan, a search, notes and the writing.
    assert_eq!(client.post(&format!("{RUNS}/estimate"), &body).await.expect(200)["calls"], 4);
    let run = submit(&client, &body).await;
    let run = ended(&client, &run, Duration::from_mins(1)).await;
    assert_eq!(run["status"], "completed", "{run}");
    assert_eq!((run["results"].as_array().unwrap().len(), &run["progress"]["tasks_completed"]), (1, &json!(7)));
    let report = run["results"][0]["text"].as_str().unwrap();
    assert!(
        report.contains("[1]") && report.contains(&format!("- [1] Page pdf: <http://{address}/pages/pdf>")),
        "{report}"
    );
    let tasks = client.get(&format!("{RUNS}/{}/tasks", run["id"].as_str().unwrap())).await.expect(200);
    let text_of = |step: &str| {
        let key = format!("generate/prompt/m0/1/{step}");
        let task = tasks["items"].as_array().unwrap().iter().find(|task| task["key"] == key).unwrap();
        task["text"].as_str().unwrap().to_owned()
    };
    assert!(text_of("page/1.1.1").contains("A page of a PDF."), "{}", text_of("page/1.1.1"));
    assert!(text_of("page/1.1.2").contains("says so."), "{}", text_of("page/1.1.2"));
    assert_eq!(house.calls().iter().filter(|call| call.wire == Wire::TavilySearch).count(), 1);

    // A key that is not there is told when the run is submitted.
    let mut unknown = body.clone();
    unknown["research"]["provider_key_id"] = json!("pkey_00000000000000000000000000");
    let refused = client.post(RUNS, &unknown).await;
    assert_eq!(refused.problem(422, "validation_failed"), ["/research/provider_key_id"]);

    // What is wrong is told at its place.
    let wrong = json!({"prompt": "x", "models": ["tavily/search"], "generator": "research"});
    assert_eq!(client.post(RUNS, &wrong).await.problem(422, "validation_failed"), ["/models/0", "/research"]);
}

async fn a_search_without_a_key_is_refused_before_anything_is_paid_for(house: &House) {
    let base_url = format!("http://{}/exa", house.address());
    let processes = house.open_with(&[("ACM2_PROVIDERS__EXA__BASE_URL", &base_url)]);
    let client = house.tenant(&processes[0], "keyless").await;
    let mut body = json!({
        "prompt": "why cats purr", "models": ["sandbox/researcher"], "generator": "research", "research": {"provider": "exa"},
    });
    let refused = client.post(RUNS, &body).await;
    assert_eq!(refused.problem(422, "validation_failed"), ["/research/provider"]);
    assert_eq!(client.get(RUNS).await.expect(200)["items"], json!([]));
    // A key that is switched off is none, by default or by name.
    let key = client.put(&format!("{KEYS}/exa"), &json!({"key": "exa-of-the-tests-0123456789"})).await.expect(200);
    let key = key["id"].as_str().unwrap();
    client.patch(&format!("{KEYS}/{key}"), &json!({"is_active": false})).await.expect(200);
    assert_eq!(client.post(RUNS, &body).await.problem(422, "validation_failed"), ["/research/provider"]);
    body["research"]["provider_key_id"] = json!(key);
    assert_eq!(client.post(RUNS, &body).await.problem(422, "validation_failed"), ["/research/provider_key_id"]);
    let preset = client.post("/api/v1/presets", &json!({"name": "p", "spec": body})).await.expect(201);
    let places: Vec<&str> =
        preset["missing"].as_array().unwrap().iter().map(|missing| missing["pointer"].as_str().unwrap()).collect();
    assert_eq!(places, ["/research/provider"]);
    client.patch(&format!("{KEYS}/{key}"), &json!({"is_active": true})).await.expect(200);
    client.post(RUNS, &body).await.expect(202);
}
