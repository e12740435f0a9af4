//! Tavily's search (docs.tavily.com/documentation/api-reference/endpoint/search), at the depth that costs one credit. Pure.

use acm2_domain::call::{Answer, Call, CallError};
use acm2_domain::providers::Provider;
use acm2_domain::web::MOST_RESULTS;
use http::{HeaderMap, StatusCode};
use serde_json::json;
use url::Url;

use super::http_request::HttpRequest;
use super::search::{self, Names};
use super::{Format, failure, headers, json, openai_chat};

pub(super) const FORMAT: Format = Format { encode, decode, authorize: openai_chat::authorize, fixed_headers: &[] };

const NAMES: Names = Names { title: "title", url: "url", snippet: "content" };

/// Longer queries are refused with a 400.
const MOST_QUERY_BYTES: usize = 400;

fn encode(_: &Provider, call: &Call, base_url: &Url) -> HttpRequest {
    let query = acm2_domain::web::cut(search::query(call), MOST_QUERY_BYTES);
    let body = json!({"query": query, "search_depth": "basic", "max_results": MOST_RESULTS});
    HttpRequest::post(base_url, ["search"], &body)
}

fn decode(_: &Provider, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Result<Answer, CallError> {
    let answer = json::answer(status, body)?;
    if !answer["error"].is_null() || !answer["detail"].is_null() {
        return Err(failure::inside_success(status, headers, &answer));
    }
    let Some(results) = answer["results"].as_array() else {
        return Err(json::not_understood(status, "holds no results"));
    };
    // What a credit costs depends on the account's plan, so the cost is the price table's.
    let id = headers::request_id(headers).or_else(|| json::owned(&answer["request_id"]));
    Ok(search::answer(results, &NAMES, None, id))
}
