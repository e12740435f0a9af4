//! gzip for JSON answers of 2 KiB and more, where the caller takes it: what fits into a packet or two comes no sooner for being
//! smaller. Nothing else is compressed: streams must not wait.

use std::io::Write;
use std::sync::Arc;

use flate2::Compression;
use flate2::write::GzEncoder;
use poem::http::{HeaderMap, HeaderValue, header};
use poem::{Endpoint, Request, Response, Result};

const SMALLEST: usize = 2_048;
/// What is longer is packed where it keeps no other request waiting: it takes some milliseconds.
const LARGE: usize = 256 * 1024;

pub(super) async fn gzip<E>(next: Arc<E>, request: Request) -> Result<Response>
where
    E: Endpoint<Output = Response>,
{
    let wanted = takes_gzip(request.headers());
    let mut response = next.call(request).await?;
    let json = response.content_type().is_some_and(|kind| kind.starts_with("application/") && kind.contains("json"));
    if !json || response.headers().contains_key(header::CONTENT_ENCODING) {
        return Ok(response);
    }
    response.headers_mut().append(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    if !wanted {
        return Ok(response);
    }
    let bytes = response.take_body().into_bytes().await?;
    if bytes.len() < SMALLEST {
        response.set_body(bytes);
        return Ok(response);
    }
    let packed = if bytes.len() < LARGE {
        pack(&bytes)
    } else {
        let bytes = bytes.clone();
        tokio::task::spawn_blocking(move || pack(&bytes)).await.ok().flatten()
    };
    match packed {
        Some(packed) => {
            response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            response.set_body(packed);
        }
        None => response.set_body(bytes),
    }
    Ok(response)
}

fn pack(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(bytes.len() / 4), Compression::fast());
    encoder.write_all(bytes).and_then(|()| encoder.finish()).ok()
}

/// RFC 9110 §12.5.3: `gzip` or `*` is named and not with a weight of 0.
fn takes_gzip(headers: &HeaderMap) -> bool {
    let lines = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|line| line.to_str().ok());
    let mut any = false;
    for item in lines.flat_map(|line| line.split(',')) {
        let mut parts = item.split(';').map(str::trim);
        let coding = parts.next().unwrap_or_default();
        let weight = parts.find_map(|part| part.strip_prefix("q=")).map_or(Some(1.0), |text| text.parse::<f32>().ok());
        let allowed = weight.is_some_and(|weight| weight > 0.0);
        if coding.eq_ignore_ascii_case("gzip") {
            return allowed;
        }
        any |= coding == "*" && allowed;
    }
    any
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_used_only_where_it_is_taken() {
        let takes = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(text));
            takes_gzip(&headers)
        };
        assert!(takes("gzip"));
        assert!(takes("br, GZIP;q=0.5"));
        assert!(takes("*"));
        assert!(!takes("gzip;q=0, *"));
        assert!(!takes("identity"));
        assert!(!takes("xgzip"));
    }
}
