//! Exa's search (exa.ai/docs/reference/search): results with the passages that fit the query, and the cost of the request. Pure.

use acm2_domain::call::{Answer, Call, CallError};
use acm2_domain::providers::Provider;
use acm2_domain::web::MOST_RESULTS;
use http::{HeaderMap, HeaderName, StatusCode};
use secrecy::SecretString;
use serde_json::json;
use url::Url;

use super::http_request::HttpRequest;
use super::search::{self, Names};
use super::{Format, UnusableKey, failure, headers, json, usage};

pub(super) const FORMAT: Format = Format { encode, decode, authorize, fixed_headers: &[] };

const NAMES: Names = Names { title: "title", url: "url", snippet: "highlights" };

fn authorize(headers: &mut HeaderMap, key: &SecretString) -> Result<(), UnusableKey> {
    headers::insert_key(headers, HeaderName::from_static("x-api-key"), "", key)
}

fn encode(_: &Provider, call: &Call, base_url: &Url) -> HttpRequest {
    let body = json!({
        "query": search::query(call),
        "type": "auto",
        "numResults": MOST_RESULTS,
        "contents": {"highlights": true},
    });
    HttpRequest::post(base_url, ["search"], &body)
}

fn decode(_: &Provider, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Result<Answer, CallError> {
    let answer = json::answer(status, body)?;
    if !answer["error"].is_null() {
        return Err(failure::inside_success(status, headers, &answer));
    }
    let Some(results) = answer["results"].as_array() else {
        return Err(json::not_understood(status, "holds no results"));
    };
    let cost = usage::amount(&answer["costDollars"]["total"]);
    let id = headers::request_id(headers).or_else(|| json::owned(&answer["requestId"]));
    Ok(search::answer(results, &NAMES, cost, id))
}
