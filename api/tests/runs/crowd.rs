//! Submissions that come at the same time: those of one tenant are written together, and none of them makes up for another.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::database::{Of, bytes, execute, id_literal};
use crate::harness::{Answer, World};
use crate::house::{House, ended, on_both};

const RUNS: &str = "/api/v1/runs";
const MANY: usize = 60;

on_both!(of_many_submissions_at_once_each_is_answered_for_itself);

/// Every sixth is refused for what it names, every seventh is large; some come with a name, some for a webhook.
fn body(number: usize) -> Value {
    let prompt = format!("number {number}{}", " word".repeat(if number % 7 == 6 { 20_000 } else { 0 }));
    let mut body = json!({"prompt": prompt, "models": ["sandbox/echo"], "metadata": {"number": number.to_string()}});
    if number % 6 == 5 {
        let model = json!({"model": "sandbox/echo", "provider_key_id": "pkey_00000000000000000000000000"});
        body["models"] = json!([model]);
    }
    body
}

async fn of_many_submissions_at_once_each_is_answered_for_itself(house: &House) {
    let processes = house.open();
    let clients = [house.tenant(&processes[0], "a").await, house.tenant(&processes[0], "b").await];
    let submit = |number: usize| {
        let mut request = clients[number % 2].request(Method::POST, RUNS).json(&body(number));
        if number % 5 == 4 {
            request = request.header("idempotency-key", format!("order-{number}"));
        }
        request
    };
    // Some are gone before they are answered.
    let gone = (MANY..MANY + 20).map(|number| submit(number).timeout(Duration::from_millis(2)).send());
    let (answers, gone) = tokio::join!(join_all((0..MANY).map(|number| Answer::of(submit(number)))), join_all(gone));
    let mut runs = BTreeSet::new();
    for (number, answer) in answers.iter().enumerate() {
        if number % 6 == 5 {
            let status = answer.json()["status"].clone();
            assert!(status == 404 || status == 422, "{status}");
            continue;
        }
        let run = answer.expect(202);
        assert_eq!((&run["status"], &run["metadata"]["number"]), (&json!("queued"), &json!(number.to_string())));
        assert!(runs.insert(run["id"].as_str().unwrap().to_owned()), "each has its own");
    }
    for (number, answer) in answers.iter().enumerate().filter(|(number, _)| number % 6 != 5) {
        let id = answer.json()["id"].as_str().unwrap().to_owned();
        let run = ended(&clients[number % 2], &id, Duration::from_mins(1)).await;
        assert_eq!(run["status"], "completed", "{run}");
        let text = run["results"][0]["text"].as_str().unwrap();
        assert!(text.starts_with(&format!("Echo: number {number}")), "{text}");
    }
    // Nobody's run is called for twice, and of those who left there is a run or none.
    let calls = house.calls().len();
    assert!((runs.len()..=runs.len() + gone.len()).contains(&calls), "{calls} calls for {} runs", runs.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_run_that_the_database_could_not_write_no_job_stays() {
    let Some(world) = World::servers("of_a_run_that_the_database_could_not_write").await else { return };
    let house = House::of(world).await;
    let api = house.world.start("api");
    let (tenant, client) = house.tenant_and_client(&api, "a").await;
    let full = "CREATE FUNCTION no_space() RETURNS trigger LANGUAGE plpgsql \
                AS $$BEGIN RAISE EXCEPTION 'full' USING ERRCODE = '53100'; END$$; \
                CREATE TRIGGER no_space BEFORE INSERT ON runs FOR EACH ROW EXECUTE FUNCTION no_space()";
    execute(&house.world, Of::Tenant(&tenant), full).await;
    client.post(RUNS, &body(0)).await.problem(503, "store_unavailable");
    let id = id_literal(&house.world, &tenant.id);
    let jobs = format!("SELECT convert_to(count(*)::text, 'UTF8') FROM jobs WHERE tenant_id = {id}");
    assert_eq!(bytes(&house.world, Of::Control, &jobs).await, b"0");
    house.world.remove().await;
}
