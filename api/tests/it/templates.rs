//! Templates: kept, changed, filled in.

use serde_json::{Value, json};

use crate::harness::{World, on_both};

const TEMPLATES: &str = "/api/v1/templates";

on_both! {
    a_template_is_kept_changed_and_deleted,
    a_preview_fills_in_once,
    a_run_asks_what_the_preview_showed,
    what_cannot_be_a_template_is_refused_with_its_place,
}

fn path_of(template: &Value) -> String {
    format!("{TEMPLATES}/{}", template["id"].as_str().unwrap())
}

async fn a_template_is_kept_changed_and_deleted(world: &World) {
    let (_process, _tenant, client) = world.ready();
    let new =
        json!({"name": "review", "text": "Review {{document}} as {{who}} in {{tone}}", "variables": {"tone": "calm"}});
    let made = client.post(TEMPLATES, &new).await;
    let template = made.expect(201);
    assert_eq!(made.header("location"), path_of(&template));
    assert_eq!((&template["missing_variables"], &template["has_document"]), (&json!(["who"]), &json!(true)));
    assert_eq!(client.get(&path_of(&template)).await.expect(200), template);
    let changed = client.patch(&path_of(&template), &json!({"description": "short"})).await.expect(200);
    for (name, value) in new.as_object().unwrap() {
        assert_eq!(&changed[name], value, "{name}");
    }
    assert_eq!(changed["description"], "short");
    let changed = client.patch(&path_of(&template), &json!({"name": "r", "text": "{{a}}", "variables": {}})).await;
    assert_eq!(changed.expect(200)["missing_variables"], json!(["a"]));
    let mut listed = changed.json();
    for left_out in ["text", "variables", "missing_variables", "has_document"] {
        listed[left_out] = Value::Null;
    }
    assert_eq!(client.get(TEMPLATES).await.expect(200)["items"], json!([listed]));
    // A name is taken once.
    let second = client.post(TEMPLATES, &json!({"name": "other", "text": "x"})).await.expect(201);
    client.post(TEMPLATES, &json!({"name": "r", "text": "x"})).await.problem(409, "name_taken");
    client.patch(&path_of(&second), &json!({"name": "r"})).await.problem(409, "name_taken");
    client.delete(&path_of(&template)).await.expect(204);
    client.get(&path_of(&template)).await.problem(404, "not_found");
    client.patch(&path_of(&second), &json!({"name": "r"})).await.expect(200);
}

async fn a_preview_fills_in_once(world: &World) {
    let (_process, _tenant, client) = world.ready();
    let text = "{{kept}} {{given}} {criteria} {{no variable}} \\{{kept}}";
    let new = json!({"name": "t", "text": text, "variables": {"kept": "{{given}}", "given": "no"}});
    let template = client.post(TEMPLATES, &new).await.expect(201);
    let preview = format!("{}/preview", path_of(&template));
    let shown = client.post(&preview, &json!({"variables": {"given": "{{kept}} {{document}}"}})).await.expect(200);
    assert_eq!(shown["text"], "{{given}} {{kept}} {{document}} {criteria} {{no variable}} {{kept}}");
    let document = client.post("/api/v1/documents", &json!({"name": "d", "text": "stored"})).await.expect(201);
    for document in [document["id"].clone(), json!({"name": "d", "text": "stored"})] {
        let shown = client.post(&preview, &json!({"document": document})).await.expect(200);
        let text = shown["text"].as_str().unwrap();
        assert!(text.contains("The document \"d\" stands") && text.contains("-----\nstored\n-----"), "{text}");
    }
    // What is missing is all told at once.
    let template = client.post(TEMPLATES, &json!({"name": "u", "text": "{{b}} {{a}} {{document}}"})).await.expect(201);
    let preview = format!("{}/preview", path_of(&template));
    let places = client.post(&preview, &json!({"variables": {"typo": "x"}})).await.problem(422, "validation_failed");
    assert_eq!(places, ["/variables/typo", "/variables/a", "/variables/b"]);
    let values = json!({"a": "1", "b": "2"});
    let places = client.post(&preview, &json!({"variables": values})).await.problem(422, "validation_failed");
    assert_eq!(places, ["/document"]);
    let gone = json!({"variables": values, "document": "doc_01jd3v1m5zt0q8k6c2e4g6h8ja"});
    assert_eq!(client.post(&preview, &gone).await.problem(422, "validation_failed"), ["/document"]);
}

async fn a_run_asks_what_the_preview_showed(world: &World) {
    let (_process, _tenant, client) = world.ready();
    let new = json!({"name": "t", "text": "About {{document}}: {{what}}"});
    let template = client.post(TEMPLATES, &new).await.expect(201);
    let document = json!({"name": "d", "text": "four"});
    let values = json!({"what": "{{document}}"});
    let preview = format!("{}/preview", path_of(&template));
    let shown = client.post(&preview, &json!({"variables": values, "document": document})).await;
    let bytes = shown.expect(200)["text"].as_str().unwrap().len();
    let run = json!({"template_id": template["id"], "variables": values, "documents": [document], "models": ["openai/gpt-4o"]});
    let asked = client.post("/api/v1/runs/estimate", &run).await.expect(200);
    // A prompt of as many bytes costs the same.
    let same = json!({"prompt": "x".repeat(bytes), "models": ["openai/gpt-4o"]});
    assert_eq!(client.post("/api/v1/runs/estimate", &same).await.expect(200), asked);
    let wrong = json!({"template_id": template["id"], "models": ["openai/gpt-4o"]});
    let places = client.post("/api/v1/runs", &wrong).await.problem(422, "validation_failed");
    assert_eq!(places, ["/variables/what"]);
    let none = json!({"template_id": "tpl_01jd3v1m5zt0q8k6c2e4g6h8ja", "models": ["openai/gpt-4o"]});
    assert_eq!(client.post("/api/v1/runs", &none).await.problem(422, "validation_failed"), ["/template_id"]);
}

async fn what_cannot_be_a_template_is_refused_with_its_place(world: &World) {
    let (_process, _tenant, client) = world.ready();
    let many = (0..101).map(|number| format!("{{{{v{number}}}}}")).collect::<Vec<_>>().join(" ");
    for (body, places) in [
        (json!({"name": "", "text": " "}), vec!["/name", "/text"]),
        (json!({"name": "a", "text": "a\0b"}), vec!["/text"]),
        (json!({"name": "a", "text": "x".repeat(262_145)}), vec!["/text"]),
        (json!({"name": "a", "text": "{{document}} {{document}}"}), vec!["/text"]),
        (json!({"name": "a", "text": many}), vec!["/text"]),
        (
            json!({"name": "a", "text": "x", "variables": {"document": "x", "a b": "x"}}),
            vec!["/variables/a b", "/variables/document"],
        ),
        (json!({"name": "a", "text": "x", "description": "x".repeat(2_001)}), vec!["/description"]),
    ] {
        assert_eq!(client.post(TEMPLATES, &body).await.problem(422, "validation_failed"), places);
    }
}
