//! The searches of the web: how each reads a query, and words results, errors and accounts.
//! Called by `server`'s routes. What is found are pages of `web`.

use poem::{Request, Response, http::HeaderMap};
use serde_json::{Value, json};

use crate::{
    brand::Refusal,
    fault::Fault,
    generate::{Service, attempt_id, judged},
    key::{Key, Standing, fingerprint},
    log::Arrival,
    send,
    web::{self, Found},
    wire::Wire,
};

/// Largest body that is read.
const LARGEST_BODY: usize = 1024 * 1024;
/// How long a query with the word `slow-search` waits.
const SLOW: std::time::Duration = std::time::Duration::from_secs(2);
/// What a search costs at Exa, in millionths of a US dollar.
const EXA_PRICE: u64 = 7_000;

/// Who the sandbox plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Engine {
    Exa,
    Tavily,
    Serper,
}

impl Engine {
    fn wire(self) -> Wire {
        match self {
            Self::Exa => Wire::ExaSearch,
            Self::Tavily => Wire::TavilySearch,
            Self::Serper => Wire::SerperSearch,
        }
    }

    fn key(self, headers: &HeaderMap) -> Option<Key> {
        match self {
            Self::Tavily => Key::bearer(headers),
            Self::Exa | Self::Serper => Key::header(headers, "x-api-key"),
        }
    }

    fn query(self, body: &Value) -> Result<String, Fault> {
        let field = if self == Self::Serper { "q" } else { "query" };
        let query = body[field].as_str().filter(|query| !query.trim().is_empty());
        query.map(str::to_owned).ok_or_else(|| Fault::invalid("Missing query parameter", field))
    }

    fn answer(self, query: &str, found: &[Found], request_id: &str) -> Value {
        let results = |fields: fn(&Found) -> Value| found.iter().map(fields).collect::<Vec<_>>();
        match self {
            Self::Exa => json!({
                "requestId": request_id,
                "resolvedSearchType": "neural",
                "results": results(|page| json!({"title": page.title, "id": page.url, "url": page.url, "highlights": [page.snippet]})),
                "costDollars": {"total": 0.007, "search": {"neural": 0.007}},
            }),
            Self::Tavily => json!({
                "query": query,
                "answer": null,
                "images": [],
                "results": results(|page| json!({"title": page.title, "url": page.url, "content": page.snippet, "score": 0.5})),
                "response_time": 0.1,
                "request_id": request_id,
            }),
            Self::Serper => json!({
                "searchParameters": {"q": query, "type": "search", "engine": "google"},
                "organic": results(|page| json!({"title": page.title, "link": page.url, "snippet": page.snippet})),
                "credits": 1,
            }),
        }
    }

    fn refusal(self, fault: &Fault, request_id: &str) -> Refusal {
        let (status, message, tag) = match fault {
            Fault::KeyMissing | Fault::KeyWrong(_) | Fault::KeyRevoked if self == Self::Serper => {
                (403, "Unauthorized.", "")
            }
            Fault::KeyMissing | Fault::KeyWrong(_) | Fault::KeyRevoked => {
                (401, "Unauthorized: missing or invalid API key.", "INVALID_API_KEY")
            }
            Fault::NoCredit => match self {
                Self::Exa => (402, "You have exceeded your credits limit.", "NO_MORE_CREDITS"),
                Self::Tavily => (432, "This request exceeds your plan's set usage limit.", ""),
                Self::Serper => (400, "Not enough credits", ""),
            },
            Fault::Status { status, .. } => (*status, "Internal server error", "INTERNAL_ERROR"),
            Fault::Invalid(message, _) => (400, message.as_str(), "INVALID_REQUEST_BODY"),
            _ => (400, "Bad request", "INVALID_REQUEST"),
        };
        let body = match self {
            Self::Exa => json!({"requestId": request_id, "error": message, "tag": tag}),
            Self::Tavily => json!({"detail": {"error": message}}),
            Self::Serper => json!({"message": message, "statusCode": status}),
        };
        Refusal { status, headers: Vec::new(), body }
    }
}

/// Answers one search.
pub(crate) async fn search(service: &Service, engine: Engine, mut request: Request) -> Response {
    let body = request.take_body().into_bytes_limit(LARGEST_BODY).await;
    let body = body.ok().and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok()).unwrap_or_default();
    let query = engine.query(&body);
    let key = engine.key(request.headers());
    let mut call = service.log.received(Arrival {
        wire: engine.wire(),
        path: request.uri().path().to_owned(),
        model: None,
        attempt_id: attempt_id(request.headers(), engine.wire()),
        key_fingerprint: key.as_ref().map(Key::fingerprint),
        prompt_fingerprint: query.as_ref().ok().map(|query| fingerprint(query)),
    });
    let gone = service.connections.gone(request.remote_addr());
    let answered = async {
        let id = call.number().to_string();
        match settle(key, query).await {
            Ok(query) => {
                let found = web::find(service.address, &query);
                call.reports(None, (engine == Engine::Exa).then_some(EXA_PRICE));
                send::value(Vec::new(), &engine.answer(&query, &found, &id), call)
            }
            Err(fault) => send::refusal(engine.refusal(&fault, &id), call),
        }
    };
    tokio::select! {
        biased;
        // The open call is dropped, which its log notes; what is returned reaches nobody.
        () = gone.cancelled() => Response::default(),
        response = answered => response,
    }
}

/// The query that is to be answered, or why it is not.
async fn settle(key: Option<Key>, query: Result<String, Fault>) -> Result<String, Fault> {
    let key = judged(key)?;
    if key.standing() == Standing::NoCredit {
        return Err(Fault::NoCredit);
    }
    let query = query?;
    let asks = |wanted: &str| query.split_whitespace().any(|word| word == wanted);
    if asks("slow-search") {
        tokio::time::sleep(SLOW).await;
    }
    if asks("broken") { Err(Fault::Status { status: 500, passes: false }) } else { Ok(query) }
}

/// How the account of a key stands, by which a client also tests it.
pub(crate) fn account(service: &Service, engine: Engine, request: &Request) -> Response {
    let key = engine.key(request.headers());
    let call = service.log.received(Arrival {
        wire: Wire::KeyTest,
        path: request.uri().path().to_owned(),
        model: None,
        attempt_id: attempt_id(request.headers(), Wire::KeyTest),
        key_fingerprint: key.as_ref().map(Key::fingerprint),
        prompt_fingerprint: None,
    });
    match judged(key) {
        Ok(_) if engine == Engine::Serper => send::value(Vec::new(), &json!({"balance": 2_500, "rateLimit": 5}), call),
        Ok(_) => {
            let account = json!({"key": {"usage": 0, "limit": null}, "account": {"current_plan": "Sandbox"}});
            send::value(Vec::new(), &account, call)
        }
        Err(fault) => {
            let id = call.number().to_string();
            send::refusal(engine.refusal(&fault, &id), call)
        }
    }
}
