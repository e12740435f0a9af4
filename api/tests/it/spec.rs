//! The committed specification: that it is the present one, its structure, and that every example fits its schema.

use acm2_api::spec;
use serde_json::{Value, json};

fn document() -> Value {
    spec::document()
}

fn operations(document: &Value) -> Vec<(String, &Value)> {
    let items = document["paths"].as_object().unwrap();
    items
        .iter()
        .flat_map(|(path, item)| {
            item.as_object().unwrap().iter().map(move |(method, operation)| (format!("{method} {path}"), operation))
        })
        .collect()
}

#[test]
fn the_committed_specification_is_the_present_one() {
    let committed = include_str!("../../openapi.json");
    assert!(
        committed == spec::text(),
        "the API has changed: run `make openapi` and look at what changed in api/openapi.json"
    );
}

#[test]
fn every_operation_is_whole() {
    let document = document();
    assert_eq!(document["openapi"], "3.0.3");
    let mut ids = Vec::new();
    for (name, operation) in operations(&document) {
        let id = operation["operationId"].as_str().unwrap_or_else(|| panic!("{name} has no operationId"));
        assert!(!ids.contains(&id), "{id} twice");
        ids.push(id);
        assert_eq!(operation["tags"].as_array().map(Vec::len), Some(1), "{name}");
        assert!(operation["summary"].is_string() && operation["description"].is_string(), "{name}");
        let public = ["health.", "providers.list"].iter().any(|start| id.starts_with(start));
        let schemes =
            operation["security"].as_array().unwrap_or_else(|| panic!("{name} says nothing of security")).len();
        assert_eq!(schemes, if public { 0 } else { 3 }, "{name}");
        let responses = operation["responses"].as_object().unwrap();
        assert!(responses.contains_key("400") && responses.contains_key("500"), "{name}");
        assert_eq!(responses.contains_key("401"), !public, "{name}");
        let can_be_invalid = operation["requestBody"].is_object() || id == "runs.retry";
        assert_eq!(responses.contains_key("422"), can_be_invalid, "{name}");
        if operation["requestBody"].is_object() {
            assert!(
                operation.pointer("/requestBody/content/application~1json/example").is_some(),
                "{name} has no example"
            );
        }
    }
    // A path that two files share would lose all but the last one's operations.
    assert_eq!(ids.len(), 82, "operations: {ids:?}");
}

#[test]
fn every_reference_leads_somewhere_and_nothing_is_half_done() {
    fn walk(value: &Value, root: &Value, place: &str) {
        match value {
            Value::Object(object) => {
                if let Some(reference) = object.get("$ref") {
                    let pointer = reference.as_str().unwrap().trim_start_matches('#');
                    assert!(root.pointer(pointer).is_some(), "{place}: {pointer}");
                    assert_eq!(object.len(), 1, "{place}: a reference with something beside it");
                }
                if object.get("nullable").is_some_and(Value::is_boolean) {
                    assert!(object.contains_key("type"), "{place}: nullable without a type");
                }
                for (name, child) in object {
                    assert!(!(name == "default" && child.is_null()), "{place}: a default of null");
                    assert!(!name.contains("; charset"), "{place}: {name}");
                    walk(child, root, &format!("{place}/{name}"));
                }
            }
            Value::Array(items) => items.iter().for_each(|item| walk(item, root, place)),
            _ => {}
        }
    }
    let document = document();
    walk(&document, &document, "#");
}

#[test]
fn request_bodies_refuse_unknown_names() {
    let document = document();
    for (name, operation) in operations(&document) {
        let Some(reference) = operation.pointer("/requestBody/content/application~1json/schema/$ref") else { continue };
        let schema = document.pointer(reference.as_str().unwrap().trim_start_matches('#')).unwrap();
        assert_eq!(schema["additionalProperties"], json!(false), "{name}");
    }
}

#[test]
fn every_example_fits_its_schema() {
    let document = document();
    let mut checked = 0;
    for (name, operation) in operations(&document) {
        let bodies = operation["responses"].as_object().unwrap().values().chain([&operation["requestBody"]]);
        for body in bodies {
            let body = body.get("$ref").map_or(body, |reference| {
                document.pointer(reference.as_str().unwrap().trim_start_matches('#')).unwrap()
            });
            for media in body["content"].as_object().into_iter().flat_map(|content| content.values()) {
                if let Some(example) = media.get("example") {
                    fits(example, &media["schema"], &document).unwrap_or_else(|why| panic!("{name}: {why}"));
                    checked += 1;
                }
            }
        }
    }
    assert!(checked > 100, "{checked}");
    let schema = json!({"type": "object", "properties": {"a": {"type": "integer"}}, "additionalProperties": false});
    assert!(fits(&json!({"b": 1}), &schema, &document).is_err(), "the check can fail");
}

/// As much of JSON Schema as our document uses.
fn fits(value: &Value, schema: &Value, root: &Value) -> Result<(), String> {
    if let Some(reference) = schema.get("$ref") {
        return fits(value, root.pointer(reference.as_str().unwrap().trim_start_matches('#')).unwrap(), root);
    }
    if value.is_null() && schema["nullable"] == true {
        return Ok(());
    }
    for part in schema["allOf"].as_array().into_iter().flatten() {
        fits(value, part, root)?;
    }
    if let Some(choices) = schema["oneOf"].as_array() {
        let fitting = choices.iter().filter(|choice| fits(value, choice, root).is_ok()).count();
        return if fitting == 1 { Ok(()) } else { Err(format!("{value} fits {fitting} of oneOf")) };
    }
    if let Some(words) = schema["enum"].as_array()
        && !words.contains(value)
    {
        return Err(format!("{value} is none of {words:?}"));
    }
    let right = match schema["type"].as_str() {
        Some("string") => value.is_string(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("number") => value.is_number(),
        Some("boolean") => value.is_boolean(),
        Some("array") => value.is_array(),
        Some("object") => value.is_object(),
        _ => true,
    };
    if !right {
        return Err(format!("{value} is not of type {}", schema["type"]));
    }
    for item in value.as_array().into_iter().flatten() {
        fits(item, &schema["items"], root)?;
    }
    let Some(object) = value.as_object() else { return Ok(()) };
    for name in schema["required"].as_array().into_iter().flatten() {
        if !object.contains_key(name.as_str().unwrap()) {
            return Err(format!("{name} is missing"));
        }
    }
    for (name, child) in object {
        match schema["properties"].get(name) {
            Some(property) => fits(child, property, root).map_err(|why| format!("{name}: {why}"))?,
            None if schema["additionalProperties"] == false => return Err(format!("{name} is not known")),
            None => {}
        }
    }
    Ok(())
}
