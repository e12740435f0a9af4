//! Finds the API key in a request: `X-ACM2-API-Key`, `X-API-Key`, or `Authorization: Bearer`. Two different credentials are
//! refused, since nobody could tell which one counts.

use acm2_domain::error::{Error, Kind};
use poem::http::{HeaderMap, header};
use secrecy::{ExposeSecret, SecretString};

/// The one credential of a request.
pub(super) fn find(headers: &HeaderMap) -> Result<SecretString, Error> {
    let mut found: Option<SecretString> = None;
    let keys = ["x-acm2-api-key", "x-api-key"].into_iter().flat_map(|name| headers.get_all(name)).map(|value| {
        // Spaces around a header's value are not part of it (RFC 9110 §5.5).
        value.to_str().map(str::trim).map_err(|_| invalid())
    });
    let bearers = headers.get_all(header::AUTHORIZATION).iter().map(|value| {
        let text = value.to_str().map_err(|_| invalid())?;
        let (scheme, token) = text.split_once(' ').ok_or_else(invalid)?;
        if scheme.eq_ignore_ascii_case("bearer") { Ok(token.trim()) } else { Err(invalid()) }
    });
    for credential in keys.chain(bearers) {
        let credential = credential?;
        match &found {
            Some(other) if other.expose_secret() != credential => {
                let detail = "the request carries two different credentials; send one";
                return Err(Error::new(Kind::Malformed, "several_credentials", detail));
            }
            Some(_) => {}
            None => found = Some(SecretString::from(credential)),
        }
    }
    found.ok_or_else(|| {
        let detail = "send an API key in the header X-ACM2-API-Key, or as Authorization: Bearer acm2_…";
        Error::new(Kind::Unauthorized, "api_key_missing", detail)
    })
}

/// The answer to every key that does not hold, whatever the reason: a stranger learns nothing.
pub(super) fn invalid() -> Error {
    Error::new(
        Kind::Unauthorized,
        "api_key_invalid",
        "the API key does not hold: mistyped, unknown, expired or revoked",
    )
}

#[cfg(test)]
mod tests {
    use poem::http::{HeaderName, HeaderValue};

    use super::*;

    fn found(headers: &[(&'static str, &'static str)]) -> Result<String, &'static str> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        find(&map).map(|secret| secret.expose_secret().to_owned()).map_err(|error| error.code)
    }

    #[test]
    fn each_header_is_taken() {
        assert_eq!(found(&[("x-acm2-api-key", " a ")]), Ok("a".to_owned()));
        assert_eq!(found(&[("x-api-key", "a")]), Ok("a".to_owned()));
        assert_eq!(found(&[("authorization", "bearer a")]), Ok("a".to_owned()));
        assert_eq!(found(&[]), Err("api_key_missing"));
        assert_eq!(found(&[("authorization", "Basic a")]), Err("api_key_invalid"));
    }

    #[test]
    fn two_different_credentials_are_refused_and_the_same_twice_is_not() {
        assert_eq!(found(&[("x-api-key", "a"), ("authorization", "Bearer b")]), Err("several_credentials"));
        assert_eq!(found(&[("x-api-key", "a"), ("x-api-key", "b")]), Err("several_credentials"));
        assert_eq!(found(&[("x-api-key", "a"), ("authorization", "Bearer a")]), Ok("a".to_owned()));
    }
}
