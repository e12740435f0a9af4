//! Gemini generateContent (ai.google.dev/api/generate-content).
//! Used through its `Form`.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::{Form, Question, Wire, list, schema, text_of};
use crate::{
    brand::Brand,
    fault::Fault,
    picture::Picture,
    reply::{Asked, Finish, Reply},
};

pub(crate) const GEMINI_GENERATE_CONTENT: Form =
    Form { wire: Wire::GeminiGenerateContent, read, answer: |reply, _: Brand| answer(reply), failed: None };

fn read(question: &Question<'_>) -> Result<Asked, Fault> {
    let contents = list(question.body, "contents")?;
    let messages = contents.iter().map(|item| (item["role"].as_str(), text_of(&item["parts"]))).collect();
    // Google's JSON takes both spellings of a field.
    let system = ["systemInstruction", "system_instruction"].iter().find_map(|field| question.body.get(field));
    let schema = schema::with_mime_type(&question.body["generationConfig"])?;
    let asked = question.asked(messages, system.map(|system| text_of(&system["parts"])), schema)?;
    Ok(Asked { picture: picture(&question.body["generationConfig"])?, ..asked })
}

/// The image that is wanted, with the pixels and tokens that gemini-2.5-flash-image documents.
fn picture(config: &Value) -> Result<Option<Picture>, Fault> {
    let modalities = config["responseModalities"].as_array().map(Vec::as_slice).unwrap_or_default();
    let is_image = |modality: &Value| modality.as_str().is_some_and(|word| word.eq_ignore_ascii_case("image"));
    if !modalities.iter().any(is_image) {
        return Ok(None);
    }
    let (width, height) = match config["imageConfig"]["aspectRatio"].as_str().unwrap_or("1:1") {
        "1:1" => (1_024, 1_024),
        "2:3" => (832, 1_248),
        "3:2" => (1_248, 832),
        _ => return Err(Fault::invalid("The sandbox makes images of 1:1, 2:3 and 3:2.", "aspectRatio")),
    };
    Ok(Some(Picture { width, height, tokens: 1_290 }))
}

fn answer(reply: &Reply) -> Value {
    let mut answer = json!({"modelVersion": reply.model, "responseId": reply.id});
    if reply.finish == Finish::Filter {
        // A blocked prompt has no candidates at all.
        answer["promptFeedback"] = json!({"blockReason": "PROHIBITED_CONTENT"});
    } else {
        answer["candidates"] = json!([candidate(reply)]);
    }
    if let Some(usage) = reply.usage {
        let visible = usage.output - usage.reasoning;
        let mut tokens = json!({
            "promptTokenCount": usage.input,
            "totalTokenCount": usage.input + usage.output,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": usage.input}],
        });
        if visible > 0 {
            tokens["candidatesTokenCount"] = json!(visible);
        }
        if reply.picture.is_some() {
            tokens["candidatesTokensDetails"] = json!([{"modality": "IMAGE", "tokenCount": visible}]);
        }
        if usage.reasoning > 0 {
            tokens["thoughtsTokenCount"] = json!(usage.reasoning);
        }
        if usage.cached > 0 {
            tokens["cachedContentTokenCount"] = json!(usage.cached);
        }
        answer["usageMetadata"] = tokens;
    }
    answer
}

fn candidate(reply: &Reply) -> Value {
    let finish = match reply.finish {
        Finish::Stop => "STOP",
        Finish::Length => "MAX_TOKENS",
        Finish::Filter | Finish::Refusal => "SAFETY",
        Finish::Unknown => "SANDBOX_UNHEARD_OF",
    };
    let mut candidate = json!({"finishReason": finish, "index": 0});
    // Google leaves empty fields out, and what was stopped for safety has no content.
    if reply.finish == Finish::Refusal {
        candidate["safetyRatings"] =
            json!([{"category": "HARM_CATEGORY_DANGEROUS_CONTENT", "probability": "HIGH", "blocked": true}]);
    } else if let Some(picture) = &reply.picture {
        let image = json!({"inlineData": {"mimeType": "image/png", "data": STANDARD.encode(picture)}});
        candidate["content"] = json!({"parts": [image], "role": "model"});
    } else if !reply.text.is_empty() {
        candidate["content"] = json!({"parts": [{"text": reply.text}], "role": "model"});
    }
    candidate
}
