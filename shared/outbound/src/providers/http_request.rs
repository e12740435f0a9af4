//! An HTTP request as the wire files make it and the sender sends it. Knows no wire.

use std::fmt;

use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method};
use serde_json::Value;
use url::Url;

/// A request without its key.
#[derive(Clone)]
pub struct HttpRequest {
    /// The method.
    pub method: Method,
    /// The whole URL; carries no secret.
    pub url: Url,
    /// The headers, without the key.
    pub headers: HeaderMap,
    /// The body; empty for GET.
    pub body: Vec<u8>,
}

/// Without the body: it holds the tenant's prompt.
impl fmt::Debug for HttpRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpRequest")
            .field("method", &self.method)
            .field("url", &self.url.as_str())
            .field("body_bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

impl HttpRequest {
    /// A GET of a path, and perhaps a query, below the base URL.
    pub(super) fn get(base_url: &Url, path: &str) -> Self {
        let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
        let mut url = below(base_url, path.split('/'));
        url.set_query(query);
        let headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static("application/json"))]);
        Self { method: Method::GET, url, headers, body: Vec::new() }
    }

    /// A POST of JSON to path segments below the base URL; each segment is percent-encoded, so that a model's name cannot
    /// change the path.
    pub(super) fn post<'a>(base_url: &Url, segments: impl IntoIterator<Item = &'a str>, body: &Value) -> Self {
        Self::post_text(base_url, segments, body.to_string())
    }

    /// The same with the JSON as text.
    pub(super) fn post_text<'a>(base_url: &Url, segments: impl IntoIterator<Item = &'a str>, body: String) -> Self {
        let json = HeaderValue::from_static("application/json");
        Self {
            method: Method::POST,
            url: below(base_url, segments),
            headers: HeaderMap::from_iter([(ACCEPT, json.clone()), (CONTENT_TYPE, json)]),
            body: body.into_bytes(),
        }
    }
}

fn below<'a>(base_url: &Url, segments: impl IntoIterator<Item = &'a str>) -> Url {
    let mut url = base_url.clone();
    // Fails only for URLs that cannot be a base (`mailto:`), which no check of base URLs lets through.
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(segments);
    }
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_joined_with_one_slash_and_segments_stay_one() {
        for base in ["https://a.example/v1", "https://a.example/v1/"] {
            let base = Url::parse(base).unwrap();
            let request = HttpRequest::post(&base, ["models", "../x?y#z:go"], &Value::Null);
            assert_eq!(request.url.as_str(), "https://a.example/v1/models/..%2Fx%3Fy%23z:go");
            assert_eq!(
                HttpRequest::get(&base, "models?pageSize=1").url.as_str(),
                "https://a.example/v1/models?pageSize=1"
            );
        }
        let root = Url::parse("https://a.example").unwrap();
        assert_eq!(HttpRequest::get(&root, "models").url.as_str(), "https://a.example/models");
    }

    #[test]
    fn the_prompt_is_not_in_the_debug_text() {
        let base = Url::parse("https://a.example").unwrap();
        let request = HttpRequest::post(&base, ["x"], &Value::from("the prompt"));
        assert!(!format!("{request:?}").contains("the prompt"));
    }
}
