//! OpenAI images (developers.openai.com/api/reference/resources/images/methods/generate): one PNG in base64. As with the GPT
//! image models, `response_format` is refused. Used through its `Form`.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::{Form, Question, Wire, openai_chat::add_cost};
use crate::{
    brand::Brand,
    fault::Fault,
    picture::Picture,
    reply::{Asked, Reply},
};

pub(crate) const OPENAI_IMAGES: Form =
    Form { wire: Wire::OpenaiImages, read, answer: |reply, _: Brand| answer(reply), failed: None };

fn read(question: &Question<'_>) -> Result<Asked, Fault> {
    let body = question.body;
    let prompt = body["prompt"].as_str().filter(|prompt| !prompt.is_empty());
    let prompt = prompt.ok_or_else(|| Fault::invalid("Missing required parameter: 'prompt'.", "prompt"))?;
    if !body["response_format"].is_null() {
        return Err(Fault::invalid("Unknown parameter: 'response_format'.", "response_format"));
    }
    if !matches!(body["n"].as_u64().unwrap_or(1), 1) {
        return Err(Fault::invalid("The sandbox makes one image at a time.", "n"));
    }
    let asked = question.asked(vec![(Some("user"), prompt.to_owned())], None, None)?;
    Ok(Asked { picture: Some(picture(body)?), ..asked })
}

/// The published tokens of gpt-image-1 and its next versions, by quality and size.
fn picture(body: &Value) -> Result<Picture, Fault> {
    let (width, height, tokens) = match body["size"].as_str().unwrap_or("auto") {
        "1024x1024" | "auto" => (1_024, 1_024, [272, 1_056, 4_160]),
        "1024x1536" => (1_024, 1_536, [408, 1_584, 6_240]),
        "1536x1024" => (1_536, 1_024, [400, 1_568, 6_208]),
        _ => {
            let message =
                "Invalid value for 'size'. Supported values are: '1024x1024', '1024x1536', '1536x1024', and 'auto'.";
            return Err(Fault::invalid(message, "size"));
        }
    };
    let tokens = match body["quality"].as_str().unwrap_or("auto") {
        "low" => tokens[0],
        "medium" => tokens[1],
        "high" | "auto" => tokens[2],
        _ => {
            let message = "Invalid value for 'quality'. Supported values are: 'low', 'medium', 'high', and 'auto'.";
            return Err(Fault::invalid(message, "quality"));
        }
    };
    Ok(Picture { width, height, tokens })
}

fn answer(reply: &Reply) -> Value {
    let image = match &reply.picture {
        Some(picture) => STANDARD.encode(picture),
        // Of `huge`.
        None => reply.text.clone(),
    };
    let data = if image.is_empty() { Vec::new() } else { vec![json!({"b64_json": image})] };
    let mut answer = json!({"created": reply.created, "background": "opaque", "output_format": "png", "data": data});
    if let Some(usage) = reply.usage {
        answer["usage"] = json!({
            "input_tokens": usage.input,
            "input_tokens_details": {"image_tokens": 0, "text_tokens": usage.input, "cached_tokens": usage.cached},
            "output_tokens": usage.output,
            "output_tokens_details": {
                "image_tokens": usage.output - usage.reasoning, "text_tokens": usage.reasoning,
            },
            "total_tokens": usage.input + usage.output,
        });
        add_cost(&mut answer["usage"], reply.cost_micro_usd);
    }
    answer
}
