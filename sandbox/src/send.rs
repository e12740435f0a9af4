//! Putting an answer on the connection: whole, cut, endless, or not at all.
//! Called by `generate` and `own_pages`. Whoever sends closes the call in the log.

use std::{convert::Infallible, io, time::Duration};

use futures_util::stream;
use poem::{Body, Request, Response, http::StatusCode};
use serde_json::Value;

use crate::{
    brand::{About, Brand, Refusal},
    fault::Fault,
    generate::Service,
    log::OpenCall,
    plan::{Plan, Shape},
    rate::Counted,
    reply::{Asked, Reply},
    wire::Form,
};

/// A chunk of the text of `huge`: 64 KiB of words.
const HUGE_CHUNK: &[u8] = &{
    let mut chunk = [b' '; 65_536];
    let mut at = 0;
    while at < chunk.len() {
        let word = b"sandbox ";
        chunk[at] = word[at % word.len()];
        at += 1;
    }
    chunk
};
/// How many of them: 64 MiB.
const HUGE_CHUNKS: usize = 1024;
const HUGE_WORDS: u64 = (HUGE_CHUNKS * HUGE_CHUNK.len() / 8) as u64;
/// Where the text of `huge` goes in the rendered answer.
const HUGE_PLACE: &str = "@@text@@";

/// An answer that is ready to be sent.
pub(crate) struct Outgoing<'a> {
    pub(crate) service: &'a Service,
    pub(crate) brand: Brand,
    pub(crate) form: Form,
    pub(crate) plan: Plan,
    pub(crate) asked: Asked,
    pub(crate) reply: Reply,
    pub(crate) rates: Option<Counted>,
    pub(crate) request_id: String,
    pub(crate) request: &'a Request,
}

/// Sends an answer in the shape that its plan wants.
pub(crate) async fn answer(out: Outgoing<'_>, mut call: OpenCall) -> Response {
    call.reports(out.reply.usage, out.reply.cost_micro_usd);
    let headers = out.brand.headers(&out.request_id, out.rates);
    let render = |reply: &Reply| (out.form.answer)(reply, out.brand).to_string();
    match out.plan.shape() {
        Shape::Whole => json(200, headers, render(&out.reply).into_bytes(), call),
        Shape::ErrorIn200 => {
            call.reports(None, None);
            json(200, headers, error_in_200(&out).to_string().into_bytes(), call)
        }
        Shape::Malformed => {
            let whole = render(&out.reply);
            json(200, headers, whole.as_bytes()[..whole.len() / 2].to_vec(), call)
        }
        Shape::Cut => cut(headers, render(&out.reply).into_bytes(), call),
        Shape::Huge => {
            let reply = out.reply.with_text_of(&out.plan, &out.asked, HUGE_PLACE, HUGE_WORDS);
            call.reports(reply.usage, reply.cost_micro_usd);
            huge(headers, &(out.form.answer)(&reply, out.brand).to_string(), call)
        }
        Shape::Html => {
            call.reports(None, None);
            call.answered(Some(200));
            let page = "<!DOCTYPE html>\n<html><head><title>Just a moment...</title></head><body><h1>Checking your browser</h1></body></html>\n";
            Response::builder().content_type("text/html; charset=utf-8").body(page)
        }
        Shape::Redirect => {
            call.reports(None, None);
            call.answered(Some(307));
            let location =
                format!("http://{}:{}/sandbox/redirect-target", other_host(&out), out.service.address.port());
            Response::builder().status(StatusCode::TEMPORARY_REDIRECT).header("location", location).finish()
        }
        Shape::CutBefore | Shape::Reset => {
            let client = out.request.remote_addr();
            if out.plan.shape() == Shape::Reset {
                out.service.connections.reset(client);
            } else {
                out.service.connections.close(client);
            }
            call.reports(None, None);
            call.answered(None);
            // Never sent: the connection refuses to write it.
            Response::default()
        }
        Shape::Hang => {
            // The caller drops this future, and the open call with it, when the client goes away.
            let never: Infallible = std::future::pending().await;
            match never {}
        }
    }
}

/// Sends an error.
pub(crate) fn refusal(refusal: Refusal, call: OpenCall) -> Response {
    json(refusal.status, refusal.headers, refusal.body.to_string().into_bytes(), call)
}

/// Sends a JSON value.
pub(crate) fn value(headers: Vec<(&'static str, String)>, value: &Value, call: OpenCall) -> Response {
    json(200, headers, value.to_string().into_bytes(), call)
}

fn json(status: u16, headers: Vec<(&'static str, String)>, body: Vec<u8>, call: OpenCall) -> Response {
    call.answered(Some(status));
    respond(status, headers, Body::from_vec(body))
}

fn respond(status: u16, headers: Vec<(&'static str, String)>, body: Body) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let response = Response::builder().status(status).content_type("application/json");
    headers.into_iter().fold(response, |response, (name, value)| response.header(name, value)).body(body)
}

fn error_in_200(out: &Outgoing<'_>) -> Value {
    if let Some(failed) = out.form.failed {
        return failed(&out.reply);
    }
    let status = match out.brand {
        Brand::OpenAi => 500,
        Brand::OpenRouter => 502,
        Brand::Anthropic => 529,
        Brand::Gemini => 503,
    };
    let about = About { wire: out.form.wire, request_id: &out.request_id, model: &out.asked.model };
    out.brand.refusal(&Fault::Status { status, passes: false }, about).body
}

/// A name of this machine other than the one that the client used.
fn other_host(out: &Outgoing<'_>) -> &'static str {
    let used = out.request.header("host").unwrap_or_default();
    if used.starts_with("localhost") { "127.0.0.1" } else { "localhost" }
}

/// Half of the body, although its whole length was promised; then the connection ends.
fn cut(mut headers: Vec<(&'static str, String)>, whole: Vec<u8>, call: OpenCall) -> Response {
    headers.push(("content-length", whole.len().to_string()));
    let mut half = whole;
    half.truncate(half.len() / 2);
    let body = stream::unfold(Some((Some(half), call)), |state| async move {
        let (half, call) = state?;
        if let Some(half) = half {
            return Some((Ok(half), Some((None, call))));
        }
        // An error drops what is not yet written, so give the first half time to leave.
        tokio::time::sleep(Duration::from_millis(50)).await;
        call.answered(Some(200));
        Some((Err(io::Error::from(io::ErrorKind::BrokenPipe)), None))
    });
    respond(200, headers, Body::from_bytes_stream(body))
}

/// A whole, valid answer with the text in many chunks.
fn huge(headers: Vec<(&'static str, String)>, rendered: &str, call: OpenCall) -> Response {
    let (head, tail) = rendered.split_once(HUGE_PLACE).unwrap_or((rendered, ""));
    let (head, tail) = (head.as_bytes().to_vec(), tail.as_bytes().to_vec());
    let body = stream::unfold(Some((0, head, tail, call)), |state| async move {
        let (sent, head, tail, call) = state?;
        let chunk = match sent {
            0 => head.clone(),
            1..=HUGE_CHUNKS => HUGE_CHUNK.to_vec(),
            _ => {
                call.answered(Some(200));
                return Some((Ok::<_, io::Error>(tail), None));
            }
        };
        Some((Ok(chunk), Some((sent + 1, head, tail, call))))
    });
    respond(200, headers, Body::from_bytes_stream(body))
}
