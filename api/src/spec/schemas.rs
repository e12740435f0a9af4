//! Mends of schemas: request bodies refuse unknown names, what may be null in answers says so, formats are standard ones.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::mend::operations;

/// Every object of a request body is read with `deny_unknown_fields`.
pub(super) fn close_request_bodies(document: &mut Value) {
    for name in reachable(document, "requestBody") {
        close(&mut document["components"]["schemas"][&name]);
    }
}

fn close(schema: &mut Value) {
    let Some(object) = schema.as_object_mut() else { return };
    if object.contains_key("properties") && !object.contains_key("additionalProperties") {
        object.insert("additionalProperties".to_owned(), json!(false));
    }
    for child in object.values_mut() {
        match child {
            Value::Object(_) => close(child),
            Value::Array(items) => items.iter_mut().for_each(close),
            _ => {}
        }
    }
}

/// Answers write what is not known as `null`, so that names never come and go. A member that is not required may be null.
pub(super) fn allow_null_in_answers(document: &mut Value) {
    let requests = reachable(document, "requestBody");
    let schemas = document["components"]["schemas"].clone();
    for name in reachable(document, "responses").difference(&requests) {
        let Some(schema) = document["components"]["schemas"].get_mut(name) else { continue };
        let required: Vec<Value> = schema["required"].as_array().cloned().unwrap_or_default();
        for (property, schema) in schema.get_mut("properties").and_then(Value::as_object_mut).into_iter().flatten() {
            if required.iter().any(|name| name.as_str() == Some(property)) {
                continue;
            }
            if let Some(reference) = schema.get("$ref").cloned() {
                // A reference has no members beside it in 3.0.
                *schema = json!({"allOf": [{"$ref": reference}]});
            }
            let name = schema.pointer("/allOf/0/$ref").and_then(Value::as_str).and_then(|text| text.rsplit('/').next());
            if let Some(name) = name.map(str::to_owned) {
                // `nullable` needs a type beside it.
                schema["type"] = schemas[&name]["type"].clone();
            }
            if let Some(object) = schema.as_object_mut() {
                object.insert("nullable".to_owned(), json!(true));
            }
        }
    }
}

/// Rust's unsigned formats become the standard signed ones with a minimum, whole limits lose their `.0`, and a default of
/// null is no default.
pub(super) fn standard_formats(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(standard_formats),
        Value::Object(object) => {
            standard_format(object);
            object.values_mut().for_each(standard_formats);
        }
        _ => {}
    }
}

fn standard_format(object: &mut Map<String, Value>) {
    if object.get("default") == Some(&Value::Null) && (object.contains_key("type") || object.contains_key("$ref")) {
        object.remove("default");
    }
    let unsigned = match object.get("format").and_then(Value::as_str) {
        Some("uint8" | "uint16" | "int16" | "int8") => Some("int32"),
        Some("uint32" | "uint64") => Some("int64"),
        _ => None,
    };
    if let Some(format) = unsigned {
        object.insert("format".to_owned(), json!(format));
        object.entry("minimum").or_insert(json!(0));
    }
    if object.get("type").and_then(Value::as_str) == Some("integer") {
        for limit in ["minimum", "maximum"] {
            if let Some(number) = object.get_mut(limit)
                && let Some(float) = number.as_f64()
            {
                *number = json!(float as i64);
            }
        }
    }
}

/// The names of the schemas that a part of the operations leads to.
fn reachable(document: &mut Value, part: &str) -> BTreeSet<String> {
    let mut open = BTreeSet::new();
    for operation in operations(document) {
        if let Some(part) = operation.object.get(part) {
            references(part, &mut open);
        }
    }
    let mut found = BTreeSet::new();
    while let Some(name) = open.pop_first() {
        let mut next = BTreeSet::new();
        references(&document["components"]["schemas"][&name], &mut next);
        found.insert(name);
        open.extend(next.difference(&found).cloned());
    }
    found
}

fn references(value: &Value, names: &mut BTreeSet<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| references(item, names)),
        Value::Object(object) => {
            let name = object.get("$ref").and_then(Value::as_str);
            names.extend(name.and_then(|name| name.strip_prefix("#/components/schemas/")).map(str::to_owned));
            object.values().for_each(|value| references(value, names));
        }
        _ => {}
    }
}
