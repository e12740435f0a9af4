//! Every failure and every panic becomes a problem document; also those of the framework, whose own texts may show values.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use acm2_domain::error::{Error, FieldError, Kind};
use futures_util::FutureExt;
use poem::error::{NotFoundError, ReadBodyError};
use poem::{Endpoint, PathPattern, Request, Response, Result};
use poem_openapi::error::{ParseParamError, ParsePathError};

use super::observe::RequestContext;
use crate::problem::{Failure, respond};

pub(super) async fn convert<E>(next: Arc<E>, request: Request) -> Result<Response>
where
    E: Endpoint<Output = Response>,
{
    let id = RequestContext::of(&request).id;
    let outcome = AssertUnwindSafe(next.call(request)).catch_unwind().await;
    let (failure, pattern) = match outcome {
        Ok(Ok(response)) if response.status().is_client_error() || response.status().is_server_error() => {
            // Only /readyz and our own problems answer with a body of their own.
            if response.content_type().is_some() {
                return Ok(response);
            }
            let pattern = response.data::<PathPattern>().cloned();
            let error = Error::new(Kind::Internal, "internal", "an answer without a body");
            (Failure::Domain(error), pattern)
        }
        Ok(Ok(response)) => return Ok(response),
        Ok(Err(error)) => {
            let pattern = error.data::<PathPattern>().cloned();
            (to_failure(&error, pattern.as_ref()), pattern)
        }
        Err(_) => {
            // The panic hook has logged the place; the message may hold anything.
            (Failure::Domain(Error::new(Kind::Internal, "internal", "panic")), None)
        }
    };
    if let Failure::Domain(error) = &failure
        && error.kind == Kind::Internal
    {
        tracing::error!(request.id = %id, code = error.code, error = %error.detail, "a request failed by our fault");
    }
    let mut response = respond(&failure, id);
    if let Some(pattern) = pattern {
        response.set_data(pattern);
    }
    Ok(response)
}

fn to_failure(error: &poem::Error, pattern: Option<&PathPattern>) -> Failure {
    if let Some(failure) = error.downcast_ref::<Failure>() {
        return failure.clone();
    }
    let domain = if let Some(parameter) = error.downcast_ref::<ParseParamError>() {
        parameter_error(parameter.name, &parameter.reason)
    } else if let Some(path) = error.downcast_ref::<ParsePathError>() {
        let name = pattern.and_then(|pattern| path_parameter(&pattern.0, path.name)).unwrap_or("id").to_owned();
        let place = FieldError::new(format!("#path/{name}"), plain_reason(&path.reason));
        Error { fields: vec![place], ..Error::new(Kind::NotFound, "not_found", "there is no such thing: not an id") }
    } else if error.is::<NotFoundError>() || error.is::<poem::error::ParsePathError>() {
        Error::new(Kind::NotFound, "not_found", "there is no such path; the specification is at /openapi.json")
    } else if error.is::<ReadBodyError>() || error.status().is_client_error() {
        Error::new(Kind::Malformed, "malformed_request", "the request cannot be read")
    } else {
        Error::new(Kind::Internal, "internal", error.to_string())
    };
    Failure::Domain(domain)
}

/// A query parameter or header that cannot be read.
fn parameter_error(name: &str, reason: &str) -> Error {
    // Header parameters of ours are the ones with a capital letter.
    let place = if name.starts_with(|letter: char| letter.is_ascii_uppercase()) { "header" } else { "query" };
    let field = FieldError::new(format!("#{place}/{name}"), plain_reason(reason));
    let detail = "a parameter of the request is missing or not allowed; see errors";
    Error { fields: vec![field], ..Error::new(Kind::Malformed, "bad_parameter", detail) }
}

/// poem-openapi's reason without the type's inner name and without the value that it may show.
fn plain_reason(reason: &str) -> String {
    let reason = reason.split_once(", found ").map_or(reason, |(before, _)| before);
    let reason = reason.split_once(" (occurred while parsing ").map_or(reason, |(before, _)| before);
    let reason = match reason.split_once("\": ") {
        Some((start, rest)) if start.starts_with("failed to parse \"") => rest,
        _ => reason,
    };
    match reason {
        "invalid digit found in string" | "cannot parse integer from empty string" => {
            "must be a whole number, not negative".to_owned()
        }
        "number too large to fit in target type" => "is too large".to_owned(),
        "Expect a valid enumeration value." => "must be one of the values that the specification lists".to_owned(),
        other => other.to_owned(),
    }
}

/// poem-openapi calls path parameters `param0`, `param1`, …; the route's template has their names.
fn path_parameter<'a>(pattern: &'a str, name: &str) -> Option<&'a str> {
    let index: usize = name.strip_prefix("param")?.parse().ok()?;
    pattern.split('/').filter_map(|part| part.strip_prefix(':')).nth(index)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_a_problem_that_says_nothing_of_it() {
        let handler = poem::endpoint::make_sync(|_| -> Response { panic!("canary") });
        let mut response = convert(Arc::new(handler), Request::default()).await.unwrap();
        assert_eq!(response.status().as_u16(), 500);
        assert_eq!(response.content_type(), Some("application/problem+json"));
        let text = response.take_body().into_string().await.unwrap();
        assert!(text.contains("\"code\":\"internal\"") && !text.contains("canary"), "{text}");
    }

    #[tokio::test]
    async fn an_error_of_the_framework_keeps_its_text_to_itself() {
        let handler = poem::endpoint::make(|_| async {
            Err::<Response, _>(poem::Error::from_string("canary", poem::http::StatusCode::BAD_GATEWAY))
        });
        let mut response = convert(Arc::new(handler), Request::default()).await.unwrap();
        assert_eq!(response.status().as_u16(), 500);
        assert!(!response.take_body().into_string().await.unwrap().contains("canary"));
    }

    #[test]
    fn the_frameworks_reason_loses_type_and_value() {
        assert_eq!(plain_reason("failed to parse \"string_run\": not an id"), "not an id");
        let echo = "Expected input type \"string\", found {\"api_key\":\"sk-canary\"}";
        assert_eq!(plain_reason(echo), "Expected input type \"string\"");
    }

    #[test]
    fn a_path_parameter_gets_its_name_back() {
        assert_eq!(path_parameter("/api/v1/runs/:run_id/tasks/:task", "param1"), Some("task"));
        assert_eq!(path_parameter("/api/v1/runs", "param0"), None);
    }
}
