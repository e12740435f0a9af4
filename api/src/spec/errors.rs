//! The error responses of every operation: they follow from what the operation takes, and all are problem documents.

use poem_openapi::registry::Registry;
use poem_openapi::types::Type;
use serde_json::{Map, Value, json};

use crate::problem::{CONTENT_TYPE, Problem};

/// Status, name of the component, code of the example, description.
const RESPONSES: [(&str, &str, &str, &str); 14] = [
    ("400", "Malformed", "malformed_json", "the request cannot be read: not JSON, a parameter that is not allowed"),
    ("401", "Unauthorized", "api_key_invalid", "no API key, or one that does not hold"),
    ("402", "PaymentRequired", "budget_exceeded", "a budget has not enough left: `detail` says which and how much"),
    ("403", "Forbidden", "scope_missing", "the API key lacks the scope that this needs"),
    ("404", "NotFound", "not_found", "there is no such thing, or it is another tenant's"),
    ("409", "Conflict", "conflict", "the thing is not in a state that allows this"),
    ("408", "TooSlow", "body_too_slow", "the body took too long to arrive"),
    ("413", "TooLarge", "body_too_large", "the body is too large, perhaps only after decompression"),
    (
        "415",
        "UnsupportedMediaType",
        "unsupported_media_type",
        "the body is of a type that is not taken here, or not plain or gzip",
    ),
    (
        "422",
        "Invalid",
        "validation_failed",
        "the body was read and says things that are not allowed: all of them are told",
    ),
    ("429", "TooMany", "queue_full", "too much: come back after Retry-After"),
    ("500", "Internal", "internal", "a defect on our side"),
    ("503", "Unavailable", "store_unavailable", "a part that this needs is away: come back after Retry-After"),
    ("405", "MethodNotAllowed", "method_not_allowed", "the path does not take this method"),
];

/// Adds to an operation what it can be refused with.
pub(super) fn describe(path: &str, method: &str, public: bool, operation: &mut Map<String, Value>) {
    let has_body = operation.contains_key("requestBody");
    let writes = method != "get";
    let id = operation.get("operationId").and_then(Value::as_str).unwrap_or_default().to_owned();
    let Some(responses) = operation.get_mut("responses").and_then(Value::as_object_mut) else { return };
    for (status, name, ..) in RESPONSES {
        let applies = match status {
            "401" | "403" => !public,
            "404" => path.contains('{'),
            // What judges said may be too much to be put together.
            "409" => writes || matches!(id.as_str(), "runs.judging" | "runs.report"),
            "408" | "413" | "415" => has_body,
            // A retry has no body, but under a budget its models need prices.
            "422" => has_body || id == "runs.retry",
            "402" => matches!(id.as_str(), "runs.create" | "runs.retry"),
            // Large answers are counted; what a stranger may see is small.
            "429" => !(public || writes) || matches!(id.as_str(), "runs.create" | "runs.resume" | "runs.retry"),
            "405" => false,
            _ => true,
        };
        if applies && !responses.contains_key(status) {
            responses.insert(status.to_owned(), json!({"$ref": format!("#/components/responses/{name}")}));
        }
    }
    for (_, response) in responses.iter_mut() {
        if let Some(response) = response.as_object_mut().filter(|response| !response.contains_key("$ref")) {
            let headers = response.entry("headers").or_insert(json!({}));
            headers["X-Request-Id"] = json!({"$ref": "#/components/headers/RequestId"});
        }
    }
}

/// Adds the responses that the operations refer to.
pub(super) fn add_components(document: &mut Value) {
    let mut registry = Registry::new();
    Problem::register(&mut registry);
    for (name, schema) in &registry.schemas {
        document["components"]["schemas"][name] = json!(schema);
    }
    let used = document["paths"].to_string();
    for (status, name, code, description) in RESPONSES {
        let reference = format!("#/components/responses/{name}");
        if !used.contains(&format!("\"{reference}\"")) {
            continue;
        }
        let title = poem::http::StatusCode::from_bytes(status.as_bytes()).ok().and_then(|code| code.canonical_reason());
        let mut headers = json!({"X-Request-Id": {"$ref": "#/components/headers/RequestId"}});
        if matches!(status, "429" | "503") {
            headers["Retry-After"] = json!({
                "description": "seconds after which trying again makes sense",
                "schema": {"type": "integer", "format": "int64", "minimum": 0},
            });
        }
        let mut example = json!({
            "type": format!("urn:acm2:problem:{code}"),
            "title": title,
            "status": status.parse::<u16>().unwrap_or(0),
            "detail": description,
            "code": code,
            "request_id": "req_01jd3v1m5zt0q8k6c2e4g6h8ja",
        });
        if status == "422" {
            example["errors"] = json!([{"pointer": "/models/0", "detail": "must be a string or an object"}]);
        }
        document["components"]["responses"][name] = json!({
            "description": description,
            "headers": headers,
            "content": {CONTENT_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}, "example": example}},
        });
    }
    document["components"]["headers"]["RequestId"] = json!({
        "description": "names this request in the logs",
        "schema": {"type": "string", "example": "req_01jd3v1m5zt0q8k6c2e4g6h8ja"},
    });
}
