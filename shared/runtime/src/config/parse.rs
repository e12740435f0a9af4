//! From text to value, one function per sort of setting. Errors complete the sentence "ACM2_X …" and never repeat the text.

use std::net::SocketAddr;
use std::ops::RangeInclusive;

use url::Url;

pub(super) fn address(text: &str) -> Result<SocketAddr, String> {
    // `localhost` is what people write; which of its addresses is meant would depend on the machine.
    let text = text.strip_prefix("localhost:").map_or_else(|| text.to_owned(), |port| format!("127.0.0.1:{port}"));
    text.parse().map_err(|_| "is not an IP address with a port, such as 127.0.0.1:8080 or [::1]:8080".to_owned())
}

pub(super) fn number(text: &str, allowed: RangeInclusive<u64>) -> Result<u64, String> {
    match text.parse() {
        Ok(number) if allowed.contains(&number) => Ok(number),
        _ => Err(format!("must be a whole number from {} to {}", allowed.start(), allowed.end())),
    }
}

/// Bytes, `KiB` or `MiB`.
pub(super) fn size(text: &str, allowed: RangeInclusive<u64>) -> Result<u64, String> {
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "" | "B" => Some(1),
        "KiB" => Some(1 << 10),
        "MiB" => Some(1 << 20),
        _ => None,
    };
    let bytes = unit.and_then(|unit| digits.trim_end().parse::<u64>().ok()?.checked_mul(unit));
    match bytes {
        Some(bytes) if allowed.contains(&bytes) => Ok(bytes),
        _ => Err(format!(
            "must be a number of bytes from {} to {}, or one with a unit: 512KiB, 2MiB",
            allowed.start(),
            allowed.end()
        )),
    }
}

/// The parts between commas, without empty ones.
pub(super) fn list(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty())
}

/// An HTTP URL without user, query and fragment; a path that ends in `/` is cut, so that callers can append `/path`.
pub(super) fn http_url(text: &str) -> Result<Url, String> {
    let Ok(mut url) = Url::parse(text) else {
        return Err("is not a URL such as https://acm2.example.com".to_owned());
    };
    if !matches!(url.scheme(), "http" | "https") {
        return Err("must begin with http:// or https://".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
        return Err("must not have a user, a password, a query or a fragment".to_owned());
    }
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&path);
    Ok(url)
}

/// A web origin: scheme, host and port alone, as browsers send it.
pub(super) fn origin(text: &str) -> Result<String, String> {
    let why = "must list origins such as https://app.example.com, without a path; `*` is not allowed";
    let url = http_url(text).map_err(|_| why.to_owned())?;
    let exact = url.path() == "/" && !text.contains('*');
    if exact { Ok(url.origin().ascii_serialization()) } else { Err(why.to_owned()) }
}

/// A host with or without a port, lower case.
pub(super) fn host(text: &str) -> Result<String, String> {
    let why = || "must list hosts such as llm.example.com or 10.0.0.5:8000, without scheme or path".to_owned();
    let url = Url::parse(&format!("tcp://{text}")).map_err(|_| why())?;
    let bare = url.path().is_empty() && url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
    match url.host_str() {
        Some(host) if bare && url.password().is_none() && !host.contains('*') => {
            let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
            Ok(format!("{}{port}", host.to_ascii_lowercase()))
        }
        _ => Err(why()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units_and_bounds() {
        assert_eq!(size("1MiB", 1..=u64::MAX), Ok(1_048_576));
        assert_eq!(size("512 KiB", 1..=u64::MAX), Ok(524_288));
        assert_eq!(size("2048", 1..=u64::MAX), Ok(2_048));
        for wrong in ["", "MiB", "1MB", "1GiB", "-1", "1.5MiB", "99999999999999999999MiB", "17592186044416MiB"] {
            assert!(size(wrong, 1..=1 << 30).is_err(), "{wrong}");
        }
    }

    #[test]
    fn origins_are_exact() {
        assert_eq!(origin("https://App.example.com:8443").unwrap(), "https://app.example.com:8443");
        assert_eq!(origin("https://app.example.com:443/").unwrap(), "https://app.example.com");
        for wrong in ["*", "https://*.example.com", "app.example.com", "https://app.example.com/path", "null"] {
            assert!(origin(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn hosts_are_bare() {
        assert_eq!(host("LLM.example.com").unwrap(), "llm.example.com");
        assert_eq!(host("10.0.0.5:8000").unwrap(), "10.0.0.5:8000");
        assert_eq!(host("[::1]:8000").unwrap(), "[::1]:8000");
        for wrong in ["http://llm", "llm/path", "*.example.com", "user@llm", "", "a b"] {
            assert!(host(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_public_url_can_be_appended_to() {
        assert_eq!(http_url("https://example.com/acm2/").unwrap().as_str(), "https://example.com/acm2");
        for wrong in
            ["example.com", "ftp://example.com", "https://ann:hunter2@example.com", "https://example.com?key=1"]
        {
            assert!(http_url(wrong).is_err(), "{wrong}");
        }
    }
}
