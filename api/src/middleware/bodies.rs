//! Reads request bodies, at most so many bytes, also after decompression, and for so long. Later layers find the plain body in memory.

use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use acm2_domain::error::{Error, Kind};
use flate2::read::MultiGzDecoder;
use poem::error::ReadBodyError;
use poem::http::header;
use poem::{Endpoint, Request, Response, Result};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::in_flight::overloaded;
use crate::problem::Failure;

/// Uploads that may be on their way or read at once: they are larger than other bodies.
const UPLOADS: usize = 32;
/// Where documents are uploaded.
const UPLOAD_PATH: &str = "/api/v1/documents";

/// Bodies that may be on their way at once, for each request that may be answered at once: they hold memory only.
const READERS: usize = 4;

/// What a body may be.
#[derive(Debug, Clone)]
pub(super) struct Limits {
    most_bytes: usize,
    readers: Arc<Semaphore>,
    most_upload_bytes: usize,
    uploads: Arc<Semaphore>,
    longest: Duration,
}

impl Limits {
    /// `most_bytes`: as it comes and as it is after decompression; `most_upload_bytes` of an uploaded document. `longest`: how
    /// long it may take to arrive.
    pub(super) fn new(most_bytes: usize, most_upload_bytes: usize, concurrency: usize, longest: Duration) -> Self {
        let readers = concurrency.saturating_mul(READERS).min(Semaphore::MAX_PERMITS);
        let (readers, uploads) = (Arc::new(Semaphore::new(readers)), Arc::new(Semaphore::new(UPLOADS)));
        Self { most_bytes, readers, most_upload_bytes, uploads, longest }
    }

    /// What holds for a request: the most bytes, and who counts those that are read.
    fn of(&self, request: &Request) -> (usize, &Semaphore) {
        if request.uri().path() == UPLOAD_PATH {
            (self.most_upload_bytes, &self.uploads)
        } else {
            (self.most_bytes, &self.readers)
        }
    }
}

pub(super) async fn limit<E>(next: Arc<E>, mut request: Request, limits: Limits) -> Result<Response>
where
    E: Endpoint<Output = Response>,
{
    let (limit, readers) = limits.of(&request);
    let declared = request.header("content-length").and_then(|text| text.parse::<usize>().ok());
    if declared.is_some_and(|length| length > limit) {
        return Err(Failure::TooLarge { limit }.into());
    }
    let encoding = encoding_of(&request)?;
    let body = request.take_body();
    if body.is_empty() {
        return next.call(request).await;
    }
    let reader = readers.try_acquire().map_err(|_| overloaded())?;
    let packed = match timeout(limits.longest, body.into_bytes_limit(limit)).await {
        Ok(Ok(bytes)) => bytes,
        Err(_) => return Err(Failure::TooSlow.into()),
        Ok(Err(ReadBodyError::PayloadTooLarge)) => return Err(Failure::TooLarge { limit }.into()),
        Ok(Err(_)) => return Err(Failure::from(unreadable("the body ended before its announced length")).into()),
    };
    match encoding {
        Encoding::Plain => request.set_body(packed),
        Encoding::Gzip => {
            request.headers_mut().remove(header::CONTENT_ENCODING);
            request.headers_mut().remove(header::CONTENT_LENGTH);
            request.set_body(unpack(&packed, limit)?);
        }
    }
    drop(reader);
    next.call(request).await
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encoding {
    Plain,
    Gzip,
}

fn encoding_of(request: &Request) -> Result<Encoding, Failure> {
    let mut lines = request.headers().get_all(header::CONTENT_ENCODING).iter();
    let refused = Failure::UnsupportedMediaType("Content-Encoding may be gzip or left out");
    let (first, more) = (lines.next(), lines.next());
    match (first.map(|line| line.to_str().map(str::trim)), more) {
        (None, _) => Ok(Encoding::Plain),
        (Some(Ok(coding)), None) if coding.eq_ignore_ascii_case("identity") => Ok(Encoding::Plain),
        (Some(Ok(coding)), None) if coding.eq_ignore_ascii_case("gzip") || coding.eq_ignore_ascii_case("x-gzip") => {
            Ok(Encoding::Gzip)
        }
        _ => Err(refused),
    }
}

fn unpack(packed: &[u8], limit: usize) -> Result<Vec<u8>, Failure> {
    let mut plain = Vec::new();
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    match MultiGzDecoder::new(packed).take(most).read_to_end(&mut plain) {
        Ok(_) if plain.len() > limit => Err(Failure::TooLarge { limit }),
        Ok(_) => Ok(plain),
        Err(_) => Err(Failure::from(unreadable("the body is not gzip, though Content-Encoding says so"))),
    }
}

fn unreadable(detail: &str) -> Error {
    Error::new(Kind::Malformed, "malformed_body", detail)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn packed(plain: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(plain).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn a_bomb_is_stopped_at_the_limit() {
        let bomb = packed(&vec![b' '; 10_000_000]);
        assert!(bomb.len() < 20_000);
        assert_eq!(unpack(&bomb, 1_000_000), Err(Failure::TooLarge { limit: 1_000_000 }));
        assert_eq!(unpack(&packed(b"{}"), 2), Ok(b"{}".to_vec()));
        assert_eq!(unpack(&packed(b"{ }"), 2), Err(Failure::TooLarge { limit: 2 }));
    }

    #[test]
    fn what_is_not_gzip_is_malformed() {
        for wrong in [&b"{}"[..], &[], &packed(b"{\"a\": 1}")[..15]] {
            let Err(Failure::Domain(error)) = unpack(wrong, 100) else { panic!("accepted") };
            assert_eq!(error.kind, Kind::Malformed);
        }
    }
}
