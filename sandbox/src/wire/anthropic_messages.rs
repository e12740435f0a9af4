//! Anthropic messages (platform.claude.com/docs/en/api/messages), versions 2023-06-01 and 2026-10-21.
//! Used through its `Form`.

use serde_json::{Value, json};

use super::{Form, Question, Wire, list, schema, text_of};
use crate::{
    brand::{Brand, anthropic},
    fault::Fault,
    reply::{Asked, Finish, Reply},
};

pub(crate) const ANTHROPIC_MESSAGES: Form =
    Form { wire: Wire::AnthropicMessages, read, answer: |reply, _: Brand| answer(reply), failed: None };

fn read(question: &Question<'_>) -> Result<Asked, Fault> {
    let version = anthropic::version(question.headers)?;
    if question.body["max_tokens"].as_u64().is_none_or(|tokens| tokens == 0) {
        return Err(Fault::invalid("max_tokens: Field required", "max_tokens"));
    }
    if version == anthropic::CURRENT_VERSION {
        for field in ["temperature", "top_p", "top_k"] {
            if !question.body[field].is_null() {
                return Err(Fault::invalid(format!("{field}: Extra inputs are not permitted"), field));
            }
        }
    }
    let mut messages = Vec::new();
    for message in list(question.body, "messages")? {
        match message["role"].as_str() {
            Some(role @ ("user" | "assistant")) => messages.push((Some(role), text_of(&message["content"]))),
            _ => return Err(Fault::invalid("messages: role must be one of user, assistant", "messages")),
        }
    }
    let system = &question.body["system"];
    let format = &question.body["output_config"]["format"];
    let schema = if format.is_null() { None } else { Some(schema::strict(format, "output_config.format")?) };
    question.asked(messages, (!system.is_null()).then(|| text_of(system)), schema)
}

fn answer(reply: &Reply) -> Value {
    let stop = match reply.finish {
        Finish::Stop => "end_turn",
        Finish::Length => "max_tokens",
        // The wire has one name for both.
        Finish::Filter | Finish::Refusal => "refusal",
        Finish::Unknown => "sandbox_unheard_of",
    };
    let mut content = Vec::new();
    if reply.reasoning {
        content.push(
            json!({"type": "thinking", "thinking": "The sandbox thought about it.", "signature": "c2FuZGJveA=="}),
        );
    }
    if !reply.text.is_empty() {
        content.push(json!({"type": "text", "text": reply.text}));
    }
    let mut answer = json!({
        "id": format!("msg_{}", reply.id),
        "type": "message",
        "role": "assistant",
        "model": reply.model,
        "content": content,
        "stop_reason": stop,
        "stop_sequence": null,
    });
    if let Some(usage) = reply.usage {
        answer["usage"] = json!({
            // Here, unlike on the other wires, without what the cache gave.
            "input_tokens": usage.input - usage.cached,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": usage.cached,
            "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
            "output_tokens": usage.output,
            "output_tokens_details": {"thinking_tokens": usage.reasoning},
            "service_tier": "standard",
        });
    }
    answer
}
