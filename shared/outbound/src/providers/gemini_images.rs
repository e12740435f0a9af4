//! Google's generateContent, asked for an image (ai.google.dev/gemini-api/docs/image-generation): the wire of texts with a
//! modality and a ratio, and images among the parts of the answer. Pure.

use acm2_domain::call::{Answer, Call, CallError, FinishReason, Usage};
use acm2_domain::providers::Provider;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use url::Url;

use super::http_request::HttpRequest;
use super::{Format, gemini_generate_content as texts, images, json, usage};

pub(super) const FORMAT: Format = Format { encode, decode, ..texts::FORMAT };

fn encode(provider: &Provider, call: &Call, base_url: &Url) -> HttpRequest {
    let (across, down) = call.image.unwrap_or_default().size.aspect_ratio();
    texts::request(provider, call, base_url, |body| {
        body["generationConfig"]["responseModalities"] = json!(["IMAGE"]);
        body["generationConfig"]["imageConfig"] = json!({"aspectRatio": format!("{across}:{down}")});
    })
}

fn decode(_: &Provider, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Result<Answer, CallError> {
    let json = json::answer(status, body)?;
    let answer = texts::understand(status, headers, &json)?;
    let parts = json["candidates"][0]["content"]["parts"].as_array().map(Vec::as_slice).unwrap_or_default();
    // Drafts that it made while it thought are not the answer. Google's JSON has both spellings of a field.
    let shown = parts.iter().filter(|part| part["thought"] != true);
    let inline = shown.filter_map(|part| part.get("inlineData").or_else(|| part.get("inline_data")));
    let artifacts = images::artifacts(status, inline.filter_map(|image| json::text(&image["data"])))?;
    if artifacts.is_empty() && answer.finish_reason != FinishReason::ContentFilter {
        return Err(images::missing(status));
    }
    let usage = answer.usage.map(|usage| of_images(usage, &json["usageMetadata"]));
    Ok(Answer { artifacts, usage, ..answer })
}

/// How many of the output tokens images took. Where the answer does not tell, all that were not thought: they are the dearest.
fn of_images(usage: Usage, reported: &Value) -> Usage {
    let details = reported["candidatesTokensDetails"].as_array().map(Vec::as_slice).unwrap_or_default();
    let count = |detail: &Value| json::tokens(&detail["tokenCount"]).unwrap_or_default();
    let told = details.iter().filter(|detail| detail["modality"] == "IMAGE").map(count).reduce(u64::saturating_add);
    let all = usage.output_tokens - usage.reasoning_tokens;
    let image_tokens = match told {
        Some(told) => told,
        // What it said in words alone took no image.
        None if details.is_empty() => all,
        None => 0,
    };
    usage::consistent(Usage { image_tokens, ..usage })
}
