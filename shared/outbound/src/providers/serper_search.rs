//! Serper's search by Google (serper.dev): ten results for one credit. Pure.

use acm2_domain::call::{Answer, Call, CallError};
use acm2_domain::providers::Provider;
use acm2_domain::web::MOST_RESULTS;
use http::{HeaderMap, HeaderName, StatusCode};
use secrecy::SecretString;
use serde_json::{Value, json};
use url::Url;

use super::http_request::HttpRequest;
use super::search::{self, Names};
use super::{Format, UnusableKey, failure, headers, json};

pub(super) const FORMAT: Format = Format { encode, decode, authorize, fixed_headers: &[] };

const NAMES: Names = Names { title: "title", url: "link", snippet: "snippet" };

fn authorize(headers: &mut HeaderMap, key: &SecretString) -> Result<(), UnusableKey> {
    headers::insert_key(headers, HeaderName::from_static("x-api-key"), "", key)
}

fn encode(_: &Provider, call: &Call, base_url: &Url) -> HttpRequest {
    HttpRequest::post(base_url, ["search"], &json!({"q": search::query(call), "num": MOST_RESULTS}))
}

fn decode(_: &Provider, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Result<Answer, CallError> {
    let answer = json::answer(status, body)?;
    if !answer["error"].is_null() {
        return Err(failure::inside_success(status, headers, &answer));
    }
    let results = match (&answer["organic"], &answer["searchParameters"]) {
        (Value::Array(results), _) => results.as_slice(),
        // A query that Google finds nothing for has no list.
        (Value::Null, Value::Object(_)) => &[],
        _ => return Err(json::not_understood(status, "holds no results")),
    };
    Ok(search::answer(results, &NAMES, None, headers::request_id(headers)))
}
