//! The paths, methods and query parameters of the specification: a wrong method gets a 405 with `Allow`, a query parameter
//! that does not exist is named instead of ignored (a mistyped filter would else show everything).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use acm2_domain::error::{Error, FieldError, Kind};
use poem::http::Method;
use poem::{Endpoint, PathPattern, Request, Response, Result};
use serde_json::Value;

use crate::problem::Failure;

/// What the process serves.
#[derive(Debug, Default)]
pub struct Paths(Vec<KnownPath>);

#[derive(Debug)]
struct KnownPath {
    /// As the router writes it: `/runs/:run_id`.
    template: String,
    /// `None` stands for a parameter.
    parts: Vec<Option<String>>,
    /// Query parameters by method.
    methods: BTreeMap<String, BTreeSet<String>>,
}

impl Paths {
    /// From the specification.
    pub fn of(specification: &Value) -> Self {
        let mut paths = Self::default();
        for (path, item) in specification["paths"].as_object().into_iter().flatten() {
            for (method, operation) in item.as_object().into_iter().flatten() {
                let parameters = operation["parameters"].as_array().into_iter().flatten();
                let query = parameters.filter(|parameter| parameter["in"] == "query");
                let names = query.filter_map(|parameter| parameter["name"].as_str().map(str::to_owned)).collect();
                paths.add(path, &method.to_ascii_uppercase(), names);
            }
        }
        paths
    }

    /// One more path that takes GET and is not in the specification.
    #[must_use]
    pub fn with_get(mut self, path: &str) -> Self {
        self.add(path, "GET", BTreeSet::new());
        self
    }

    fn add(&mut self, path: &str, method: &str, query: BTreeSet<String>) {
        let parts: Vec<_> = path.split('/').map(|part| (!part.starts_with('{')).then(|| part.to_owned())).collect();
        let index = self.0.iter().position(|known| known.parts == parts).unwrap_or_else(|| {
            let template = path.replace('{', ":").replace('}', "");
            self.0.push(KnownPath { template, parts, methods: BTreeMap::new() });
            self.0.len() - 1
        });
        self.0[index].methods.insert(method.to_owned(), query);
    }

    /// The path with the most literal parts that fits.
    fn find(&self, path: &str) -> Option<&KnownPath> {
        let parts: Vec<&str> = path.split('/').collect();
        let fits = |known: &&KnownPath| {
            known.parts.len() == parts.len()
                && known.parts.iter().zip(&parts).all(|(known, part)| known.as_ref().is_none_or(|name| name == part))
        };
        self.0.iter().filter(fits).max_by_key(|known| known.parts.iter().flatten().count())
    }

    fn check(&self, method: &Method, path: &str, query: Option<&str>) -> Result<(), Failure> {
        // A path that is not known is the router's to refuse.
        let Some(known) = self.find(path) else { return Ok(()) };
        let method = if method == Method::HEAD { "GET" } else { method.as_str() };
        let Some(parameters) = known.methods.get(method) else {
            let mut allow: Vec<&str> = known.methods.keys().map(String::as_str).collect();
            if allow.contains(&"GET") {
                allow.push("HEAD");
            }
            return Err(Failure::MethodNotAllowed { allow: allow.join(", ") });
        };
        let sent = url::form_urlencoded::parse(query.unwrap_or_default().as_bytes());
        let mut unknown = Vec::new();
        let mut seen = BTreeSet::new();
        for (name, _) in sent {
            let detail = if !parameters.contains(name.as_ref()) {
                match parameters.iter().map(String::as_str).collect::<Vec<_>>().join(", ") {
                    names if names.is_empty() => "is not known here; this path takes no query parameters".to_owned(),
                    names => format!("is not known here; known are {names}"),
                }
            } else if !seen.insert(name.to_string()) {
                "stands there twice".to_owned()
            } else {
                continue;
            };
            let shown: String = name.chars().take(64).collect();
            unknown.push(FieldError::new(format!("#query/{shown}"), detail));
        }
        unknown.truncate(20);
        if unknown.is_empty() {
            return Ok(());
        }
        let error = Error::new(Kind::Malformed, "bad_parameter", "a query parameter is not allowed; see errors");
        Err(Failure::Domain(Error { fields: unknown, ..error }))
    }
}

pub(super) async fn check<E>(next: Arc<E>, request: Request, paths: Arc<Paths>) -> Result<Response>
where
    E: Endpoint<Output = Response>,
{
    let checked = paths.check(request.method(), request.uri().path(), request.uri().query());
    // For the log, the metrics and the names of wrong path parameters: the router calls them `param0`.
    let template = paths.find(request.uri().path()).map(|known| PathPattern(known.template.as_str().into()));
    let mut outcome = match checked {
        Ok(()) => next.call(request).await,
        Err(failure) => Err(failure.into()),
    };
    if let Some(template) = template {
        match &mut outcome {
            Ok(response) => response.set_data(template),
            Err(error) => error.set_data(template),
        }
    }
    outcome
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn paths() -> Paths {
        let get = json!({"parameters": [{"in": "query", "name": "limit"}, {"in": "path", "name": "run_id"}]});
        Paths::of(&json!({"paths": {
            "/runs": {"get": get, "post": {}},
            "/runs/{run_id}": {"get": {}, "delete": {}},
            "/runs/estimate": {"post": {}},
        }}))
    }

    #[test]
    fn a_wrong_method_is_told_the_right_ones() {
        let allow = |method: Method, path| match paths().check(&method, path, None) {
            Err(Failure::MethodNotAllowed { allow }) => Some(allow),
            _ => None,
        };
        assert_eq!(allow(Method::PUT, "/runs").as_deref(), Some("GET, POST, HEAD"));
        assert_eq!(allow(Method::DELETE, "/runs/estimate").as_deref(), Some("POST"));
        assert_eq!(allow(Method::DELETE, "/runs/x"), None);
        assert_eq!(allow(Method::HEAD, "/runs"), None);
        assert_eq!(allow(Method::PUT, "/nowhere"), None);
    }

    #[test]
    fn a_query_parameter_that_does_not_exist_is_named() {
        let paths = paths();
        assert!(paths.check(&Method::GET, "/runs", Some("limit=5")).is_ok());
        let Err(Failure::Domain(error)) = paths.check(&Method::GET, "/runs", Some("limt=canary&limit=1&limit=2"))
        else {
            panic!("accepted");
        };
        let places: Vec<&str> = error.fields.iter().map(|field| field.pointer.as_str()).collect();
        assert_eq!(places, ["#query/limt", "#query/limit"]);
        assert!(!format!("{error:?}").contains("canary"));
    }
}
