//! Criteria sets: kept, changed, exported and imported.

use std::fmt::Write as _;

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, Client, World, on_both};

const SETS: &str = "/api/v1/criteria-sets";

on_both! {
    a_set_is_kept_changed_and_deleted,
    a_set_survives_its_export_and_import,
    what_cannot_be_a_set_is_refused_with_its_place,
    hostile_yaml_is_refused_at_once,
}

fn path_of(set: &Value) -> String {
    format!("{SETS}/{}", set["id"].as_str().unwrap())
}

async fn import(client: &Client, content_type: &str, yaml: &str) -> Answer {
    let request = client.request(Method::POST, SETS).header("Content-Type", content_type).body(yaml.to_owned());
    Answer::of(request).await
}

async fn a_set_is_kept_changed_and_deleted(world: &World) {
    let (_process, _tenant, client) = world.ready();
    let new = json!({"name": "report", "criteria": ["clarity", {"name": "depth", "description": "d", "weight": 0.5}]});
    let made = client.post(SETS, &new).await;
    let set = made.expect(201);
    assert_eq!(made.header("location"), path_of(&set));
    let clarity = json!({"name": "clarity", "description": "", "weight": 1.0});
    assert_eq!(set["criteria"], json!([clarity, {"name": "depth", "description": "d", "weight": 0.5}]));
    assert_eq!(client.get(&path_of(&set)).await.expect(200), set);
    let changed = client.patch(&path_of(&set), &json!({"description": "for reports"})).await.expect(200);
    assert_eq!((&changed["criteria"], &changed["description"]), (&set["criteria"], &json!("for reports")));
    let changed = client.patch(&path_of(&set), &json!({"criteria": ["style"]})).await.expect(200);
    assert_eq!((&changed["criteria"][0]["name"], &changed["description"]), (&json!("style"), &json!("for reports")));
    let mut listed = changed.clone();
    listed["criteria"] = serde_json::Value::Null;
    assert_eq!(client.get(SETS).await.expect(200)["items"], json!([listed]));
    client.post(SETS, &new).await.problem(409, "name_taken");
    client.delete(&path_of(&set)).await.expect(204);
    client.get(&path_of(&set)).await.problem(404, "not_found");
    // What is one kind of thing is no other.
    let template = client.post("/api/v1/templates", &json!({"name": "report", "text": "x"})).await.expect(201);
    let as_set = template["id"].as_str().unwrap().replace("tpl_", "crs_");
    client.get(&format!("{SETS}/{as_set}")).await.problem(404, "not_found");
    client.delete(&format!("{SETS}/{as_set}")).await.problem(404, "not_found");
}

async fn a_set_survives_its_export_and_import(world: &World) {
    let (_process, _tenant, client) = world.ready();
    let new = json!({
        "name": "yes: \"no\"", "description": "- one\n# two\u{202e}",
        "criteria": ["null", {"name": "1e3", "description": "{{x}} &a *a", "weight": 2.5}],
    });
    let set = client.post(SETS, &new).await.expect(201);
    let exported = client.get(&format!("{}/yaml", path_of(&set))).await;
    assert_eq!((exported.status, &*exported.header("content-type")), (200, "application/yaml"));
    client.delete(&path_of(&set)).await.expect(204);
    let imported = import(&client, "application/yaml", &exported.text).await.expect(201);
    for name in ["name", "description", "criteria"] {
        assert_eq!(imported[name], set[name], "{}", exported.text);
    }
    // The short form that people write.
    let short = "name: short\ncriteria:\n  - clarity\n  - name: depth\n    weight: 2\n";
    let imported = import(&client, "text/yaml; charset=utf-8", short).await.expect(201);
    assert_eq!(
        (&imported["criteria"][0]["name"], &imported["criteria"][1]["weight"]),
        (&json!("clarity"), &json!(2.0))
    );
}

async fn what_cannot_be_a_set_is_refused_with_its_place(world: &World) {
    let (_process, _tenant, client) = world.ready();
    for (body, places) in [
        (json!({"name": "a", "criteria": []}), vec!["/criteria"]),
        (json!({"name": "", "criteria": ["Depth", "depth"]}), vec!["/name", "/criteria/1/name"]),
        (
            json!({"name": "a", "criteria": [{"name": "b", "weight": 0}, {"name": "c", "weight": -1}]}),
            vec!["/criteria/0/weight", "/criteria/1/weight"],
        ),
        (json!({"name": "a", "criteria": [{"name": "b", "wieght": 1}]}), vec!["/criteria/0/wieght"]),
        (json!({"name": "a", "criteria": vec!["x"; 51]}), vec!["/criteria"]),
    ] {
        let answer = client.post(SETS, &body).await;
        let told = answer.problem(422, "validation_failed");
        assert_eq!(told[..places.len()], places, "{body}");
    }
    // YAML is told the same places.
    let wrong = "name: a\ncriteria:\n  - {name: b, weight: many}\n  - {nmae: c}\nextra: 1\n";
    let mut told = import(&client, "application/yaml", wrong).await.problem(422, "validation_failed");
    told.sort();
    assert!(told.contains(&"/extra".to_owned()) && told.contains(&"/criteria/0/weight".to_owned()), "{told:?}");
}

async fn hostile_yaml_is_refused_at_once(world: &World) {
    let (_process, _tenant, client) = world.ready();
    let mut laughs = String::from("name: &n0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..12 {
        let names = vec![format!("*n{}", level - 1); 10].join(", ");
        writeln!(laughs, "n{level}: &n{level} [{names}]").unwrap();
    }
    let deep = "[".repeat(50_000);
    for hostile in [
        &*laughs,
        &deep,
        "a: &a [*a]",
        "!!python/object/apply:os.system [ls]",
        "\u{0}",
        "name: a\nname: b",
        "a: 1\n--- \nb: 1",
    ] {
        let answer = import(&client, "application/yaml", hostile).await;
        assert!([400, 422].contains(&answer.status), "{}: {}", answer.status, answer.text);
    }
    assert_eq!(client.get(SETS).await.expect(200)["items"], json!([]));
}
