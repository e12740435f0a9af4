//! Everything but generation: lists of models, the status of a key, and the sandbox's own pages.
//! Called by `server`'s routes.

use poem::{
    Request, Response,
    http::{Method, StatusCode},
};
use serde_json::json;

use crate::{
    behaviour::BEHAVIOURS,
    brand::{About, Brand, anthropic, key_status},
    fault::Fault,
    generate::{Service, attempt_id, judged},
    key::Key,
    log::{Arrival, OpenCall},
    send,
    wire::Wire,
};

const HOME: &str = "This is the ACM2 sandbox: a server that behaves as an LLM provider and costs nothing.
Any key is accepted, but for keys that contain `bad`, `revoked` or `quota`. The model name chooses the behaviour.

GET  /sandbox/behaviours   what the model names do
GET  /sandbox/calls        the log of calls (?since=N: only records with a seq above N)

Base URLs: /v1 and /openai/v1 (OpenAI), /openrouter/api/v1, /anthropic/v1, /gemini/v1beta

curl -H 'authorization: Bearer any' -H 'content-type: application/json' \\
  -d '{\"model\":\"echo\",\"messages\":[{\"role\":\"user\",\"content\":\"hello\"}]}' http://ADDRESS/v1/chat/completions
";

/// The list of models, by which a client also tests a key.
pub(crate) fn models(service: &Service, brand: Brand, request: &Request) -> Response {
    let call = arrived(service, Wire::KeyTest, brand.key(request.headers()).as_ref(), request);
    let query: Vec<(String, String)> = request.params().unwrap_or_default();
    match may_list(brand, request) {
        Ok(()) => send::value(brand.headers(&call.number().to_string(), None), &brand.models(&query), call),
        Err(fault) => refuse(brand, &fault, call),
    }
}

fn may_list(brand: Brand, request: &Request) -> Result<(), Fault> {
    if brand.lists_models_without_a_key() {
        return Ok(());
    }
    judged(brand.key(request.headers()))?;
    if brand == Brand::Anthropic {
        anthropic::version(request.headers())?;
    }
    Ok(())
}

/// OpenRouter's status of the key that asks.
pub(crate) fn openrouter_key(service: &Service, request: &Request) -> Response {
    let key = Brand::OpenRouter.key(request.headers());
    let call = arrived(service, Wire::KeyTest, key.as_ref(), request);
    match judged(key) {
        Ok(key) => send::value(Vec::new(), &key_status(&key), call),
        Err(fault) => refuse(Brand::OpenRouter, &fault, call),
    }
}

/// Where `redirect` points: the log shows who came, and with which key.
pub(crate) fn redirect_target(service: &Service, request: &Request) -> Response {
    let key = Key::anywhere(request.headers());
    let call = arrived(service, Wire::RedirectTarget, key.as_ref(), request);
    send::value(Vec::new(), &json!({"followed": true, "with_a_key": key.is_some()}), call)
}

/// The call log as a JSON array.
pub(crate) fn calls(service: &Service, request: &Request) -> Response {
    let query: Vec<(String, String)> = request.params().unwrap_or_default();
    let since = query.iter().find(|(name, _)| name == "since").map_or(Ok(0), |(_, since)| since.parse::<u64>());
    match since {
        Ok(since) => page(&json!(service.log.since(since))),
        Err(_) => Response::builder().status(StatusCode::BAD_REQUEST).body("since must be a whole number\n"),
    }
}

/// The registry as a JSON array.
pub(crate) fn behaviours() -> Response {
    page(&json!(BEHAVIOURS))
}

/// What this server is, in plain text.
fn home(service: &Service) -> Response {
    Response::builder()
        .content_type("text/plain; charset=utf-8")
        .body(HOME.replace("ADDRESS", &service.address.to_string()))
}

/// Whatever no other route takes: the home page, or an error worded as OpenAI does, for want of knowing who is played.
pub(crate) fn other(service: &Service, request: &Request) -> Response {
    if request.uri().path() == "/" && request.method() == Method::GET { home(service) } else { not_found(request) }
}

/// No such route.
pub(crate) fn not_found(request: &Request) -> Response {
    let message = format!("Invalid URL ({} {})", request.method(), request.uri().path());
    let body = json!({"error": {"message": message, "type": "invalid_request_error", "param": null, "code": null}});
    Response::builder().status(StatusCode::NOT_FOUND).content_type("application/json").body(body.to_string())
}

fn page(value: &serde_json::Value) -> Response {
    Response::builder().content_type("application/json").body(value.to_string())
}

fn arrived(service: &Service, wire: Wire, key: Option<&Key>, request: &Request) -> OpenCall {
    service.log.received(Arrival {
        wire,
        path: request.uri().path().to_owned(),
        model: None,
        attempt_id: attempt_id(request.headers(), wire),
        key_fingerprint: key.map(Key::fingerprint),
        prompt_fingerprint: None,
    })
}

fn refuse(brand: Brand, fault: &Fault, call: OpenCall) -> Response {
    let id = call.number().to_string();
    send::refusal(brand.refusal(fault, About { wire: Wire::KeyTest, request_id: &id, model: "" }), call)
}
