//! OpenAI's images (developers.openai.com/api/reference/resources/images/methods/generate), one image in base64. It has no
//! conversation, no system instruction and no limit of output. Pure.

use std::time::Duration;

use acm2_domain::call::{Answer, Call, CallError, FinishReason, Usage};
use acm2_domain::image::ImageSpec;
use acm2_domain::providers::Provider;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use url::Url;

use super::http_request::HttpRequest;
use super::{Format, failure, headers, images, json, openai_chat, usage};

pub(super) const FORMAT: Format = Format { encode, decode, authorize: openai_chat::authorize, fixed_headers: &[] };

fn encode(_: &Provider, call: &Call, base_url: &Url) -> HttpRequest {
    let ImageSpec { size, quality } = call.image.unwrap_or_default();
    let (width, height) = size.pixels();
    let prompt: Vec<&str> = call.messages.iter().map(|message| message.content.as_str()).collect();
    let body = json!({
        "model": call.model,
        "prompt": prompt.join("\n\n"),
        "n": 1,
        "size": format!("{width}x{height}"),
        "quality": quality.as_str(),
    });
    HttpRequest::post(base_url, ["images", "generations"], &body)
}

fn decode(provider: &Provider, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Result<Answer, CallError> {
    let answer = json::answer(status, body)?;
    if !answer["error"].is_null() {
        return Err(failure::inside_success(status, headers, &answer));
    }
    let data = answer["data"].as_array().map(Vec::as_slice).unwrap_or_default();
    let artifacts = images::artifacts(status, data.iter().filter_map(|image| json::text(&image["b64_json"])))?;
    if artifacts.is_empty() {
        return Err(images::missing(status));
    }
    Ok(Answer {
        text: data.iter().filter_map(|image| image["revised_prompt"].as_str()).collect(),
        artifacts,
        finish_reason: FinishReason::Stop,
        usage: tokens(&answer["usage"]),
        reported_cost: if provider.quirks.reports_cost { usage::reported_cost(&answer["usage"]) } else { None },
        // Not among the documented fields.
        provider_model: json::owned(&answer["model"]),
        provider_request_id: headers::request_id(headers),
        latency: Duration::ZERO,
        rates: None,
    })
}

/// Where the answer does not tell how many of the output tokens the image took, all of them were: texts are rare, and cheaper.
fn tokens(reported: &Value) -> Option<Usage> {
    let input = json::tokens(&reported["input_tokens"])?;
    let output = json::tokens(&reported["output_tokens"]).unwrap_or_default();
    Some(usage::consistent(Usage {
        input_tokens: input,
        cached_input_tokens: json::tokens(&reported["input_tokens_details"]["cached_tokens"]).unwrap_or_default(),
        output_tokens: output,
        image_tokens: json::tokens(&reported["output_tokens_details"]["image_tokens"]).unwrap_or(output),
        ..Usage::default()
    }))
}
