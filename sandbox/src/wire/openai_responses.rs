//! OpenAI responses (platform.openai.com/docs/api-reference/responses).
//! Used through its `Form`.

use serde_json::{Value, json};

use super::{Form, Question, Wire, list, openai_chat::add_cost, schema, text_of};
use crate::{
    brand::Brand,
    fault::Fault,
    reply::{Asked, Finish, Reply},
};

pub(crate) const OPENAI_RESPONSES: Form =
    Form { wire: Wire::OpenaiResponses, read, answer: |reply, _: Brand| answer(reply), failed: Some(failed) };

fn read(question: &Question<'_>) -> Result<Asked, Fault> {
    let instructions = question.body["instructions"].as_str().map(str::to_owned);
    let messages = if let Some(text) = question.body["input"].as_str() {
        vec![(Some("user"), text.to_owned())]
    } else {
        list(question.body, "input")?.iter().map(|item| (item["role"].as_str(), text_of(&item["content"]))).collect()
    };
    let format = &question.body["text"]["format"];
    let schema = match format["type"].as_str() {
        Some("json_schema") => Some(schema::named(format, "text.format")?),
        _ => None,
    };
    question.asked(messages, instructions, schema)
}

fn answer(reply: &Reply) -> Value {
    let (status, reason) = match reply.finish {
        Finish::Stop | Finish::Refusal => ("completed", None),
        Finish::Length => ("incomplete", Some("max_output_tokens")),
        Finish::Filter => ("incomplete", Some("content_filter")),
        Finish::Unknown => ("incomplete", Some("sandbox_unheard_of")),
    };
    let mut output = Vec::new();
    if reply.reasoning {
        output.push(json!({"id": format!("rs_{}", reply.id), "type": "reasoning", "summary": []}));
    }
    if !reply.text.is_empty() {
        let content = if reply.finish == Finish::Refusal {
            json!({"type": "refusal", "refusal": reply.text})
        } else {
            json!({"type": "output_text", "text": reply.text, "annotations": [], "logprobs": []})
        };
        output.push(json!({
            "id": format!("msg_{}", reply.id),
            "type": "message",
            "status": status,
            "role": "assistant",
            "content": [content],
        }));
    }
    let mut answer = frame(reply);
    answer["status"] = json!(status);
    answer["incomplete_details"] = reason.map_or(Value::Null, |reason| json!({"reason": reason}));
    answer["output"] = json!(output);
    if let Some(usage) = reply.usage {
        answer["usage"] = json!({
            "input_tokens": usage.input,
            "input_tokens_details": {"cached_tokens": usage.cached},
            "output_tokens": usage.output,
            "output_tokens_details": {"reasoning_tokens": usage.reasoning},
            "total_tokens": usage.input + usage.output,
        });
        add_cost(&mut answer["usage"], reply.cost_micro_usd);
    }
    answer
}

fn failed(reply: &Reply) -> Value {
    let mut answer = frame(reply);
    answer["status"] = json!("failed");
    answer["error"] = json!({
        "code": "server_error",
        "message": "The server had an error while processing your request. Sorry about that!",
    });
    answer
}

/// The fields that every response has.
fn frame(reply: &Reply) -> Value {
    json!({
        "id": format!("resp_{}", reply.id),
        "object": "response",
        "created_at": reply.created,
        "status": null,
        "background": false,
        "error": null,
        "incomplete_details": null,
        "instructions": null,
        "max_output_tokens": null,
        "model": reply.model,
        "output": [],
        "parallel_tool_calls": true,
        "previous_response_id": null,
        "reasoning": {"effort": null, "summary": null},
        "service_tier": "default",
        "store": false,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": null,
        "user": null,
        "metadata": {},
    })
}
