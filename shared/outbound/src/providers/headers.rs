//! Headers of requests that carry a key, and headers of answers that carry an id. Used by the wire files.

use http::{HeaderMap, HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

/// The key has characters that no HTTP header can carry, so no provider can have made it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the provider key has characters that a header cannot carry; paste it again without spaces or line breaks")]
pub struct UnusableKey;

/// `name: {prefix}{key}`, marked sensitive. An empty key (servers that need none) sets no header.
pub(super) fn insert_key(
    headers: &mut HeaderMap,
    name: HeaderName,
    prefix: &str,
    key: &SecretString,
) -> Result<(), UnusableKey> {
    if key.expose_secret().is_empty() {
        return Ok(());
    }
    let text = Zeroizing::new([prefix, key.expose_secret()].concat());
    let mut value = HeaderValue::from_str(&text).map_err(|_| UnusableKey)?;
    value.set_sensitive(true);
    headers.insert(name, value);
    Ok(())
}

/// The provider's id of the request (`x-request-id` of OpenAI and its copies, `request-id` of Anthropic).
pub(super) fn request_id(headers: &HeaderMap) -> Option<String> {
    ["x-request-id", "request-id"].iter().find_map(|name| text(headers, name)).map(str::to_owned)
}

/// A header's text; `None` where it is absent, empty or not ASCII.
pub(crate) fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim).filter(|text| !text.is_empty())
}
