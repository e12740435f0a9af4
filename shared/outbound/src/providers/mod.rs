//! The wire formats: one file each, pure, from a neutral call to an HTTP request and from an HTTP answer to a neutral answer
//! or error. The sender and the key test use them; nothing here sends anything, and only `authorize` sees a key.
//!
//! A new wire is one file, one row in `acm2_domain::providers` and one arm of `format` below. A provider may have one wire for
//! texts and another for images.

mod anthropic_messages;
mod exa_search;
pub(crate) mod failure;
mod gemini_generate_content;
mod gemini_images;
mod headers;
mod http_request;
mod images;
mod json;
mod openai_chat;
mod openai_images;
mod openai_responses;
mod rates;
mod search;
mod serper_search;
mod tavily_search;
mod usage;

use acm2_domain::call::{Answer, Call, CallError};
use acm2_domain::judging::Expectation;
use acm2_domain::providers::{Provider, Wire};
use http::{HeaderMap, StatusCode};
use secrecy::SecretString;
use url::Url;

pub use anthropic_messages::DEFAULT_MAX_TOKENS as ANTHROPIC_DEFAULT_MAX_TOKENS;
pub use headers::UnusableKey;
pub(crate) use headers::text as text_header;
pub use http_request::HttpRequest;

/// What a wire file provides.
struct Format {
    encode: fn(&Provider, &Call, &Url) -> HttpRequest,
    decode: fn(&Provider, StatusCode, &HeaderMap, &[u8]) -> Result<Answer, CallError>,
    authorize: fn(&mut HeaderMap, &SecretString) -> Result<(), UnusableKey>,
    /// Headers that every request of the wire carries, the key test too.
    fixed_headers: &'static [(&'static str, &'static str)],
}

/// THE match on the wire format.
const fn format(wire: Wire) -> &'static Format {
    match wire {
        Wire::OpenaiChat => &openai_chat::FORMAT,
        Wire::OpenaiResponses => &openai_responses::FORMAT,
        Wire::AnthropicMessages => &anthropic_messages::FORMAT,
        Wire::GeminiGenerateContent => &gemini_generate_content::FORMAT,
        Wire::OpenaiImages => &openai_images::FORMAT,
        Wire::GeminiImages => &gemini_images::FORMAT,
        Wire::ExaSearch => &exa_search::FORMAT,
        Wire::TavilySearch => &tavily_search::FORMAT,
        Wire::SerperSearch => &serper_search::FORMAT,
    }
}

/// The wire that a call goes over: that of images where it wants one. `None` where the provider is not asked for images.
pub fn wire_of(provider: &Provider, call: &Call) -> Option<Wire> {
    match call.image {
        Some(_) => provider.image_wire,
        None => Some(provider.wire),
    }
}

/// The HTTP request of a call over a wire, without the key.
pub fn encode(provider: &Provider, wire: Wire, call: &Call, base_url: &Url) -> HttpRequest {
    with_fixed_headers((format(wire).encode)(provider, call, base_url), wire)
}

/// The cheap request that shows whether a key is accepted, without the key.
pub fn encode_key_test(provider: &Provider, base_url: &Url) -> HttpRequest {
    let path = provider.quirks.key_test_path;
    let request = match provider.quirks.key_test_body {
        Some(body) => HttpRequest::post_text(base_url, path.split('/'), body.to_owned()),
        None => HttpRequest::get(base_url, path),
    };
    with_fixed_headers(request, provider.wire)
}

/// What the provider is asked to hold the answer to. Where it takes no schema, nothing is sent: the prompt says what is wanted,
/// and the answer is read tolerantly.
fn enforced<'a>(provider: &Provider, call: &'a Call) -> Option<&'a Expectation> {
    call.expects.as_ref().filter(|expected| provider.takes_schema && expected.is_json())
}

fn with_fixed_headers(mut request: HttpRequest, wire: Wire) -> HttpRequest {
    for (name, value) in format(wire).fixed_headers {
        request.headers.insert(*name, http::HeaderValue::from_static(value));
    }
    request
}

/// Puts the key where the wire wants it: a header, marked sensitive, never the URL.
pub fn authorize(wire: Wire, headers: &mut HeaderMap, key: &SecretString) -> Result<(), UnusableKey> {
    (format(wire).authorize)(headers, key)
}

/// What an HTTP answer over a wire says. The latency of the answer is zero: the sender knows it. Texts of an error are as the provider
/// wrote them: the sender, which knows the key, scrubs and cuts them.
pub fn decode(
    provider: &Provider,
    wire: Wire,
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Answer, CallError> {
    let rates = rates::from_headers(headers);
    let decoded = if status.is_success() {
        (format(wire).decode)(provider, status, headers, body)
    } else {
        Err(failure::from_answer(status, headers, body))
    };
    match decoded {
        Ok(answer) => Ok(Answer { rates, ..answer }),
        Err(error) => Err(CallError { rates, ..error }),
    }
}

/// Whether a body is JSON that can be read.
pub(crate) fn is_json(body: &[u8]) -> bool {
    json::read(body).is_some()
}

/// Whether the cheap request of a key test was answered as one that carries an accepted key is.
pub fn decode_key_test(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Result<(), CallError> {
    if !status.is_success() {
        return Err(failure::from_answer(status, headers, body));
    }
    match json::read(body) {
        Some(answer) if answer["error"].is_null() => Ok(()),
        Some(answer) => Err(failure::inside_success(status, headers, &answer)),
        // A web page says yes to every key.
        None => Err(json::not_understood(status, "is not JSON; check the base URL")),
    }
}
