//! OpenAI chat completions (platform.openai.com/docs/api-reference/chat), and OpenRouter's additions to them.
//! Used through its `Form`.

use serde_json::{Map, Value, json};

use super::{Form, Question, Wire, list, schema, text_of};
use crate::{
    brand::Brand,
    fault::Fault,
    reply::{Asked, Finish, Reply, Usage},
};

pub(crate) const OPENAI_CHAT: Form = Form { wire: Wire::OpenaiChat, read, answer, failed: None };

fn read(question: &Question<'_>) -> Result<Asked, Fault> {
    let mut messages = Vec::new();
    for message in list(question.body, "messages")? {
        let Some(role) = message["role"].as_str() else {
            return Err(Fault::invalid("Missing required parameter: 'messages[].role'.", "messages"));
        };
        messages.push((Some(role), text_of(&message["content"])));
    }
    let format = &question.body["response_format"];
    let schema = match format["type"].as_str() {
        Some("json_schema") => Some(schema::named(&format["json_schema"], "response_format.json_schema")?),
        _ => None,
    };
    question.asked(messages, None, schema)
}

fn answer(reply: &Reply, brand: Brand) -> Value {
    let finish = match reply.finish {
        Finish::Stop | Finish::Refusal => "stop",
        Finish::Length => "length",
        Finish::Filter => "content_filter",
        Finish::Unknown => "sandbox_unheard_of",
    };
    let refused = reply.finish == Finish::Refusal;
    let mut message = json!({
        "role": "assistant",
        "content": if refused { Value::Null } else { json!(reply.text) },
        "refusal": if refused { json!(reply.text) } else { Value::Null },
        "annotations": [],
    });
    let mut choice = json!({"index": 0, "logprobs": null, "finish_reason": finish});
    let prefix = if brand == Brand::OpenRouter {
        choice["native_finish_reason"] = json!(finish);
        message["reasoning"] = if reply.reasoning { json!("The sandbox thought about it.") } else { Value::Null };
        "gen"
    } else {
        "chatcmpl"
    };
    choice["message"] = message;
    let mut answer = json!({
        "id": format!("{prefix}-{}", reply.id),
        "object": "chat.completion",
        "created": reply.created,
        "model": reply.model,
        "choices": [choice],
        "system_fingerprint": null,
    });
    if brand == Brand::OpenRouter {
        answer["provider"] = json!("Sandbox");
    } else {
        answer["service_tier"] = json!("default");
    }
    if let Some(usage) = reply.usage {
        answer["usage"] = tokens(usage);
        add_cost(&mut answer["usage"], reply.cost_micro_usd);
    }
    answer
}

fn tokens(usage: Usage) -> Value {
    json!({
        "prompt_tokens": usage.input,
        "completion_tokens": usage.output,
        "total_tokens": usage.input + usage.output,
        "prompt_tokens_details": {"cached_tokens": usage.cached, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    })
}

/// Adds the cost as OpenRouter reports it: US dollars as a JSON number.
pub(super) fn add_cost(usage: &mut Value, cost_micro_usd: Option<u64>) {
    if let Some(cost) = cost_micro_usd {
        let added = json!({
            "cost": cost as f64 / 1e6,
            "is_byok": false,
            "cost_details": {"upstream_inference_cost": null},
        });
        if let (Some(usage), Value::Object(added)) = (usage.as_object_mut(), added) {
            usage.extend::<Map<_, _>>(added);
        }
    }
}
