//! Examples of requests and answers, by operation. A test holds each against the schema that it illustrates.

use serde_json::{Map, Value, json};

const RUN: &str = "run_01jd3v1m5zt0q8k6c2e4g6h8ja";

/// Adds an operation's examples.
pub(super) fn add(operation: &mut Map<String, Value>) {
    let id = operation.get("operationId").and_then(Value::as_str).unwrap_or_default().to_owned();
    if let Some(example) = request(&id)
        && let Some(media) =
            operation.get_mut("requestBody").and_then(|body| body.pointer_mut("/content/application~1json"))
    {
        media["example"] = example;
    }
    if let Some((status, example)) = answer(&id)
        && let Some(media) = operation
            .get_mut("responses")
            .and_then(|responses| responses.get_mut(status))
            .and_then(|response| response.pointer_mut("/content/application~1json"))
    {
        media["example"] = example;
    }
}

fn request(id: &str) -> Option<Value> {
    Some(match id {
        "runs.create" | "runs.estimate" => json!({
            "prompt": "Explain the CAP theorem in two sentences.",
            "models": ["sandbox/echo", {"model": "openai/gpt-4o", "temperature": 0.2}],
            "iterations": 1,
            "max_cost_usd": "0.50",
            "tags": ["example"],
        }),
        "documents.create" => {
            json!({"name": "notes.md", "text": "# Notes\n\nSome text.", "content_type": "text/markdown"})
        }
        "documents.update" => json!({"name": "notes, second edition"}),
        "templates.create" => json!({
            "name": "review",
            "text": "Review the document for {{audience}}, in a {{tone}} tone.\n\n{{document}}",
            "variables": {"tone": "friendly"},
        }),
        "templates.update" => json!({"variables": {"tone": "calm"}}),
        "templates.preview" => json!({
            "variables": {"audience": "beginners", "tone": "calm"},
            "document": {"name": "notes", "text": "Some text."},
        }),
        "criteriaSets.create" => json!({
            "name": "report",
            "description": "What makes a report good.",
            "criteria": ["clarity", {"name": "factuality", "description": "Nothing is invented.", "weight": 2}],
        }),
        "criteriaSets.update" => json!({"criteria": ["clarity", "depth"]}),
        "presets.create" => json!({
            "name": "compare",
            "description": "What two models say.",
            "spec": {"prompt": "Explain the CAP theorem.", "models": ["sandbox/echo", "openai/gpt-4o"], "iterations": 2},
        }),
        "presets.update" => json!({"spec": {"prompt": "Explain the CAP theorem.", "models": ["sandbox/echo"]}}),
        "conversations.create" => json!({"title": "CAP", "messages": [{"role": "user", "content": "What is CAP?"}]}),
        "conversations.update" => json!({"title": "The CAP theorem"}),
        "conversations.append" => json!({"messages": [{"role": "assistant", "content": "A theorem."}]}),
        "runs.bulkDelete" => json!({"ids": [RUN]}),
        "runs.skip" => json!({"task_keys": ["generate/prompt/m0/1"]}),
        "providerKeys.create" => json!({"provider": "openai", "key": "sk-proj-your-key", "label": "team"}),
        "providerKeys.put" => json!({"key": "sk-proj-your-key"}),
        "providerKeys.update" => json!({"label": "team", "is_default": true}),
        "apiKeys.create" => json!({"name": "ci", "scopes": ["runs:read", "runs:write"]}),
        "apiKeys.update" => json!({"name": "ci, read only", "scopes": ["runs:read"]}),
        "budgets.create" => json!({"period": "month", "limit_usd": "100"}),
        "budgets.update" => json!({"limit_usd": "150"}),
        "webhookEndpoints.create" => json!({
            "url": "https://example.org/hooks/acm2",
            "events": ["run.completed", "run.failed"],
            "payload_style": "thin",
        }),
        "webhookEndpoints.update" => json!({"is_enabled": true}),
        _ => return None,
    })
}

fn answer(id: &str) -> Option<(&'static str, Value)> {
    Some(match id {
        "runs.create" => ("202", run()),
        "runs.get" => ("200", run()),
        "runs.estimate" => (
            "200",
            json!({
                "calls": 2, "low_usd": "0.002", "high_usd": "0.16", "unpriced_models": [],
                "prices_date": "2026-11-20",
            }),
        ),
        "health.live" | "health.ready" => ("200", json!({"status": "ok", "version": "0.1.0"})),
        "providerKeys.test" => ("200", json!({"status": "valid", "detail": "key accepted", "latency_ms": 210})),
        "budgets.create" => ("201", budget("0", "0", "100")),
        "budgets.get" => ("200", budget("12.5", "1", "86.5")),
        "apiKeys.create" => (
            "201",
            json!({
                "api_key": {
                    "id": "key_01jd3v1m5zt0q8k6c2e4g6h8ja", "name": "ci", "prefix": "acm2_8fKq2LmZ", "last4": "x7Qa",
                    "scopes": ["runs:read", "runs:write"], "expires_at": null, "revoked_at": null,
                    "last_used_at": null, "created_at": "2026-11-20T12:00:00Z",
                },
                "key": "acm2_…",
            }),
        ),
        _ => return None,
    })
}

fn budget(spent: &str, reserved: &str, left: &str) -> Value {
    json!({
        "id": "bud_01jd3v1m5zt0q8k6c2e4g6h8ja",
        "api_key_id": null,
        "period": "month",
        "limit_usd": "100",
        "spent_usd": spent,
        "reserved_usd": reserved,
        "left_usd": left,
        "starts_at": "2026-11-01T00:00:00Z",
        "resets_at": "2026-12-01T00:00:00Z",
        "created_at": "2026-11-20T12:00:00Z",
        "updated_at": "2026-11-20T12:00:00Z",
    })
}

fn run() -> Value {
    json!({
        "id": RUN,
        "status": "running",
        "priority": "normal",
        "models": ["sandbox/echo"],
        "progress": {"tasks_expected": 1, "tasks_completed": 0, "tasks_failed": 0},
        "cost_usd": "0",
        "cost": "$0",
        "known_cost_usd": "0",
        "in_doubt_usd": "0",
        "max_cost_usd": "0.5",
        "metadata": {},
        "tags": ["example"],
        "last_event": 2,
        "created_at": "2026-11-20T12:00:00Z",
        "started_at": "2026-11-20T12:00:01Z",
        "finished_at": null,
        "deadline_at": "2026-11-20T18:00:00Z",
    })
}
