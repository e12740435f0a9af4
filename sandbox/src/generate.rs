//! The life of one generation call: read, log, judge the key, plan, wait, answer.
//! Called by `server`'s routes. It must not know how a wire or a brand words anything.

use std::net::SocketAddr;

use poem::{Request, Response, error::ReadBodyError, http::HeaderMap};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::{
    brand::{About, Brand},
    connection::Connections,
    fault::Fault,
    judge::{Judge, question_of},
    key::{Key, Standing, fingerprint, hex},
    log::{Arrival, CallLog, now},
    plan::{FailureKind, Plan, Repeats, Text},
    rate::{Counted, Rates},
    reply::{Asked, Reply},
    send::{self, Outgoing},
    wire::{Form, Question, Wire},
};

/// Largest body that is read; providers allow about as much.
const LARGEST_BODY: usize = 32 * 1024 * 1024;

/// What all calls share.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) log: std::sync::Arc<CallLog>,
    pub(crate) connections: Connections,
    pub(crate) address: SocketAddr,
    pub(crate) repeats: Repeats,
    pub(crate) rates: Rates,
    /// Makes ids differ between two starts of the server.
    pub(crate) started: i64,
}

impl Service {
    /// A hexadecimal id, the same for the whole of a call.
    fn id(&self, call: u64) -> String {
        hex(&Sha256::digest(format!("{} {} {call}", self.started, self.address))[..12])
    }
}

/// The model and the wish for a stream, where the path holds them.
#[derive(Debug, Default)]
pub(crate) struct InPath {
    pub(crate) model: Option<String>,
    pub(crate) stream: bool,
}

/// Answers one generation call.
pub(crate) async fn generate(
    service: &Service,
    brand: Brand,
    form: Form,
    in_path: InPath,
    mut request: Request,
) -> Response {
    let body = request.take_body().into_bytes_limit(LARGEST_BODY).await;
    let body = match body {
        Ok(bytes) => serde_json::from_slice::<Value>(&bytes).map_err(|error| {
            Fault::Invalid(format!("We could not parse the JSON body of your request: {error}"), None)
        }),
        Err(ReadBodyError::PayloadTooLarge) => Err(Fault::TooLarge),
        Err(error) => Err(Fault::Invalid(format!("The body of your request could not be read: {error}"), None)),
    };
    let headers = request.headers();
    let key = brand.key(headers);
    let model = in_path.model.or_else(|| body.as_ref().ok()?["model"].as_str().map(str::to_owned));
    let asked = body.and_then(|body| {
        (form.read)(&Question { headers, model: model.as_deref(), stream: in_path.stream, body: &body })
    });
    let prompt = asked.as_ref().ok().map(|asked| fingerprint(&asked.texts.join("\n")));
    let call = service.log.received(Arrival {
        wire: form.wire,
        path: request.uri().path().to_owned(),
        model: model.clone(),
        attempt_id: attempt_id(headers, form.wire),
        key_fingerprint: key.as_ref().map(Key::fingerprint),
        prompt_fingerprint: prompt.clone(),
    });
    let gone = service.connections.gone(request.remote_addr());
    let answered = async {
        let id = service.id(call.number());
        match settle(service, key, asked, prompt).await {
            Ok((plan, asked, rates)) => {
                let out = Outgoing { rates, ..outgoing(service, brand, form, plan, asked, id, &request) };
                send::answer(out, call).await
            }
            Err(Refused(fault, counted)) => {
                let about = About { wire: form.wire, request_id: &id, model: model.as_deref().unwrap_or_default() };
                let refusal = brand.refusal(&fault, about);
                let refusal = match counted {
                    Some(counted) => brand.one_too_many(refusal, counted),
                    None => refusal,
                };
                send::refusal(refusal, call)
            }
        }
    };
    tokio::select! {
        biased;
        // The open call is dropped, which its log notes; what is returned reaches nobody.
        () = gone.cancelled() => Response::default(),
        response = answered => response,
    }
}

fn outgoing<'a>(
    service: &'a Service,
    brand: Brand,
    form: Form,
    mut plan: Plan,
    asked: Asked,
    request_id: String,
    request: &'a Request,
) -> Outgoing<'a> {
    // Only these wires have a place for a cost, and OpenRouter always fills it.
    plan.cost = form.wire.is_openai() && (plan.cost || brand == Brand::OpenRouter);
    let reply = Reply::new(&plan, &asked, request_id.clone(), now().timestamp());
    Outgoing { service, brand, form, plan, asked, reply, rates: None, request_id, request }
}

/// Why a call is refused, and how its limit stands where it was one too many.
struct Refused(Fault, Option<Counted>);

impl From<Fault> for Refused {
    fn from(fault: Fault) -> Self {
        Self(fault, None)
    }
}

/// Follows the plan up to the answer: what to answer with, or why not.
async fn settle(
    service: &Service,
    key: Option<Key>,
    asked: Result<Asked, Fault>,
    prompt: Option<String>,
) -> Result<(Plan, Asked, Option<Counted>), Refused> {
    let key = judged(key)?;
    if key.standing() == Standing::NoCredit {
        return Err(Fault::NoCredit.into());
    }
    let asked = asked?;
    if asked.stream {
        return Err(Fault::streaming().into());
    }
    let plan = Plan::of(&asked.model).ok_or(Fault::ModelUnknown)?;
    // Counted on arrival, so that of two equal calls at once the first to come is the one that fails.
    let failure = plan.failure().filter(|failure| {
        let same = (key.fingerprint(), asked.model.clone(), prompt.unwrap_or_default());
        failure.times.is_none_or(|times| service.repeats.count(same) <= times)
    });
    let counted = plan.rate.map(|rate| service.rates.count(key.fingerprint(), asked.model.clone(), rate));
    if counted.is_some_and(|counted| counted.retry_after.is_some()) {
        return Err(Refused(Fault::Status { status: 429, passes: true }, counted));
    }
    // A call that fails is no answer, so it does not count as the malformed one.
    let plan = if failure.is_none() && plan.text() == Text::Judge(Judge::MalformedThenFair) {
        let question = fingerprint(&format!("judged\n{}", question_of(&asked)));
        let times = service.repeats.count((key.fingerprint(), asked.model.clone(), question));
        plan.judging(if times == 1 { Judge::Malformed } else { Judge::Fair })
    } else {
        plan
    };
    if !plan.wait().is_zero() {
        tokio::time::sleep(plan.wait()).await;
    }
    match failure {
        None => Ok((plan, asked, counted)),
        Some(failure) => Err(Refused::from(match failure.kind {
            FailureKind::Plain => Fault::Status { status: failure.status, passes: failure.times.is_some() },
            FailureKind::Quota => Fault::QuotaSpent,
            FailureKind::EchoKey => Fault::KeyRepeated(key),
        })),
    }
}

/// The key, when it is one that may ask; whether it may spend is not asked here.
pub(crate) fn judged(key: Option<Key>) -> Result<Key, Fault> {
    let key = key.ok_or(Fault::KeyMissing)?;
    match key.standing() {
        Standing::Bad => Err(Fault::KeyWrong(key)),
        Standing::Revoked => Err(Fault::KeyRevoked),
        Standing::Good | Standing::NoCredit => Ok(key),
    }
}

/// The id by which the caller knows this call.
pub(crate) fn attempt_id(headers: &HeaderMap, wire: Wire) -> Option<String> {
    ["x-acm2-attempt-id", "x-client-request-id", "idempotency-key"]
        .into_iter()
        .filter(|name| *name != "idempotency-key" || wire.is_openai())
        .find_map(|name| headers.get(name)?.to_str().ok().map(str::to_owned))
}
