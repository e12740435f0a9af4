//! A run with much text: read in parts, refused where it cannot be, exported whole, and never in memory at once.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::database::{Of, change_one, id_literal};
use crate::harness::{Answer, Client};
use crate::house::{House, on_both, run};
use crate::outcome::zip_of;

on_both!(the_tasks_of_a_run_come_in_pages, a_run_with_much_text_is_exported_and_not_put_together);

const MIB: usize = 1024 * 1024;

fn keys(tasks: &Value) -> Vec<String> {
    tasks["items"].as_array().unwrap().iter().map(|task| task["key"].as_str().unwrap().to_owned()).collect()
}

/// All pages of a run's tasks.
async fn pages(client: &Client, path: &str, limit: &str) -> Vec<Value> {
    let mut pages = vec![client.get(&format!("{path}?{limit}")).await.expect(200)];
    while let Some(cursor) = pages[pages.len() - 1]["next_cursor"].as_str() {
        let next = client.get(&format!("{path}?{limit}&cursor={cursor}")).await.expect(200);
        pages.push(next);
    }
    pages
}

async fn the_tasks_of_a_run_come_in_pages(house: &House) {
    let processes = house.open();
    let client = house.tenant(&processes[0], "owner").await;
    let run = run(&client, &json!({"prompt": "hi", "models": ["sandbox/echo"], "iterations": 5})).await;
    let path = format!("/api/v1/runs/{}/tasks", run["id"].as_str().unwrap());
    let whole = client.get(&path).await.expect(200);
    assert_eq!((&whole["items"], &whole["next_cursor"]), (&run["results"], &Value::Null));
    let pages = pages(&client, &path, "limit=2").await;
    let counts: Vec<usize> = pages.iter().map(|page| page["items"].as_array().unwrap().len()).collect();
    assert_eq!(counts, [2, 2, 1]);
    let paged: Vec<&Value> = pages.iter().flat_map(|page| page["items"].as_array().unwrap()).collect();
    assert_eq!(json!(paged), whole["items"]);
    for wrong in ["limit=0", "limit=1001", "cursor=canary!", "cursor=AAAA"] {
        let places = client.get(&format!("{path}?{wrong}")).await.problem(400, "bad_parameter");
        assert_eq!(places, [format!("#query/{}", wrong.split('=').next().unwrap())]);
    }
}

async fn a_run_with_much_text_is_exported_and_not_put_together(house: &House) {
    let world = &house.world;
    let processes = house.open();
    let (tenant, client) = house.tenant_and_client(&processes[0], "owner").await;
    let body = json!({
        "prompt": "hi", "models": ["sandbox/echo", "openai/echo"], "iterations": 2,
        "stages": {"evaluate": {"judges": ["sandbox/judge"], "criteria": ["depth"], "iterations": 10}},
    });
    let run = run(&client, &body).await;
    let id = run["id"].as_str().unwrap();
    let tasks = client.get(&format!("/api/v1/runs/{id}/tasks")).await.expect(200);
    let said: Vec<String> = keys(&tasks).into_iter().filter(|key| key.starts_with("evaluate/")).collect();
    assert_eq!((said.len(), keys(&tasks).len()), (40, 44));
    for process in processes {
        assert_eq!(process.stop(), Some(0));
    }

    // A judge that talks much: 160 MiB in all.
    let text = if world.is_shared() { "repeat('xy', 2097152)" } else { "replace(hex(zeroblob(2097152)), '00', 'xy')" };
    for key in &said {
        let of = format!("run_id = {} AND key = '{key}'", id_literal(world, id));
        change_one(world, Of::Tenant(&tenant), &format!("UPDATE tasks SET text = {text} WHERE {of}")).await;
    }
    let processes = house.open();
    let client = world.client(&processes[0], &tenant.key);
    for what in ["judging", "report"] {
        let answer = client.get(&format!("/api/v1/runs/{id}/{what}")).await;
        answer.problem(409, "judging_too_large");
        assert!(answer.text.contains("export"), "{}", answer.text);
    }
    let pages = pages(&client, &format!("/api/v1/runs/{id}/tasks"), "").await;
    for page in &pages {
        let texts = page["items"].as_array().unwrap().iter().filter_map(|task| task["text"].as_str());
        assert!(texts.map(str::len).sum::<usize>() <= 16 * MIB);
    }
    assert_eq!(pages.iter().flat_map(keys).collect::<Vec<_>>(), keys(&tasks));

    let files = zip_of(&client, id).await;
    assert!(!files.contains_key("judging.json") && !files.contains_key("report.html"), "{:?}", files.keys());
    assert!(files["README.txt"].contains("too long to be put together"));
    let exported: Value = serde_json::from_str(&files["tasks.json"]).unwrap();
    let paged: Vec<&Value> = pages.iter().flat_map(|page| page["items"].as_array().unwrap()).collect();
    assert!(exported["items"].as_array().unwrap().iter().eq(paged), "the export has every text");
    let peak = processes[0].peak_memory();
    assert!(peak.is_none_or(|peak| peak < 320 * MIB as u64), "{peak:?}");
    what_is_not_fetched_is_counted(&client, &format!("/api/v1/runs/{id}/tasks")).await;
    let other = house.tenant(&processes[0], "other").await;
    other.get("/api/v1/runs").await.expect(200);
}

/// Pages that are asked for and not fetched fill the memory of a process no further than told, and give it back.
async fn what_is_not_fetched_is_counted(client: &Client, path: &str) {
    // Packed, these texts are short.
    let ask = || client.request(Method::GET, path).header("accept-encoding", "identity").send();
    let mut unread = Vec::new();
    let refused = loop {
        let answer = ask().await.unwrap();
        if answer.status() != 200 {
            break Answer::read(answer).await;
        }
        unread.push(answer);
        assert!(unread.len() < 20, "answers of more than 256 MiB are under way");
    };
    refused.problem(429, "too_many_large_answers");
    assert!(!refused.header("retry-after").is_empty());
    assert!(unread.len() >= 4, "{}", unread.len());
    drop(unread);
    while ask().await.unwrap().status() != 200 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
