//! Reads request bodies, at most so many bytes, also after decompression, and for so long. Later layers find the plain body in memory.

use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use acm2_domain::error::{Error, Kind};
use acm2_runtime::config::Library;
use flate2::read::MultiGzDecoder;
use poem::error::ReadBodyError;
use poem::http::{Method, header};
use poem::{Body, Endpoint, Request, Response, Result};
use tokio::io::AsyncReadExt as _;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use super::in_flight::overloaded;
use crate::app::App;
use crate::auth;
use crate::body::is_form;
use crate::problem::Failure;
use crate::waiters::{Place, Waiters};

/// Uploads that may be on their way or read at once: they are larger than other bodies.
const UPLOADS: usize = 32;
/// Those of one tenant.
const UPLOADS_OF_ONE: usize = 8;
/// Bytes of a document in JSON that are not its text.
const AROUND_A_TEXT: usize = 16 * 1024;
/// Where documents are uploaded.
const UPLOAD_PATH: &str = "/api/v1/documents";

/// How much of a body that nobody reads is let pass, and for how long.
const MOST_PASSED_BY: u64 = 16 * 1024 * 1024;
const PASSING: Duration = Duration::from_secs(5);

/// Bodies that may be on their way at once, for each request that may be answered at once: they hold memory only.
const READERS: usize = 4;

/// What a body may be.
#[derive(Debug, Clone)]
pub(super) struct Limits {
    most_bytes: usize,
    readers: Arc<Semaphore>,
    library: Library,
    uploads: Arc<Waiters>,
    longest: Duration,
}

impl Limits {
    /// `most_bytes`: as it comes and as it is after decompression, of all but uploaded documents, whose limits are the library's.
    /// `longest`: how long it may take to arrive.
    pub(super) fn new(most_bytes: usize, library: Library, concurrency: usize, longest: Duration) -> Self {
        let readers = concurrency.saturating_mul(READERS).min(Semaphore::MAX_PERMITS);
        let uploads = Arc::new(Waiters::with_share(UPLOADS, UPLOADS_OF_ONE));
        Self { most_bytes, readers: Arc::new(Semaphore::new(readers)), library, uploads, longest }
    }

    /// The most that a request may have.
    fn most(&self, request: &Request) -> Most {
        let Library { upload_limit, text_limit } = self.library;
        if !is_upload(request) {
            let way_out = "upload long texts with POST /api/v1/documents, and name their ids in a run";
            Most { bytes: self.most_bytes, way_out }
        } else if is_form(request.content_type()) {
            Most { bytes: upload_limit, way_out: "make several documents of the file" }
        } else {
            // As JSON a text is a little longer than it is. Whatever else is in there takes many times its bytes when it is read.
            let bytes = upload_limit.min((text_limit / 5).saturating_mul(6).saturating_add(AROUND_A_TEXT));
            Most { bytes, way_out: "send the text as a file in a form, or make several documents of it" }
        }
    }

    /// A place among those whose bodies are read. One for an upload is a tenant's, so that nobody without a key takes one, and
    /// it is kept until the upload is answered: what waits for its turn to be read lies in memory.
    async fn place(&self, app: &App, request: &Request) -> Result<Held<'_>, Failure> {
        if is_upload(request) {
            let tenant = auth::tenant_of(app, request.headers()).await?;
            self.uploads.enter(tenant).map(Held::Upload).ok_or_else(overloaded)
        } else {
            self.readers.try_acquire().map(Held::Reader).map_err(|_| overloaded())
        }
    }
}

/// How long a body may be.
#[derive(Debug, Clone, Copy)]
struct Most {
    bytes: usize,
    /// What the caller of a longer one can do.
    way_out: &'static str,
}

impl Most {
    const fn exceeded(self) -> Failure {
        Failure::TooLarge { limit: self.bytes, way_out: self.way_out }
    }
}

/// A place among those whose bodies are read.
enum Held<'a> {
    /// Until the body is read.
    Reader(#[expect(dead_code, reason = "held for its drop")] SemaphorePermit<'a>),
    /// Until the answer.
    Upload(Place),
}

fn is_upload(request: &Request) -> bool {
    request.method() == Method::POST && request.uri().path() == UPLOAD_PATH
}

/// Lets a body pass by that nobody reads, as far as that is worth while: a client that is still sending when the connection closes
/// would not see the answer.
async fn pass_by(body: Body) {
    let passing =
        async { tokio::io::copy(&mut body.into_async_read().take(MOST_PASSED_BY), &mut tokio::io::sink()).await };
    // Whatever becomes of it, the answer is the same.
    let _ = timeout(PASSING, passing).await;
}

pub(super) async fn limit<E>(next: Arc<E>, mut request: Request, app: App, limits: Limits) -> Result<Response>
where
    E: Endpoint<Output = Response>,
{
    let most = limits.most(&request);
    let declared = request.header("content-length").and_then(|text| text.parse::<usize>().ok());
    if declared.is_some_and(|length| length > most.bytes) {
        pass_by(request.take_body()).await;
        return Err(most.exceeded().into());
    }
    let encoding = encoding_of(&request)?;
    let body = request.take_body();
    if body.is_empty() {
        return next.call(request).await;
    }
    let place = limits.place(&app, &request).await?;
    let packed = match timeout(limits.longest, body.into_bytes_limit(most.bytes)).await {
        Ok(Ok(bytes)) => bytes,
        Err(_) => return Err(Failure::TooSlow.into()),
        Ok(Err(ReadBodyError::PayloadTooLarge)) => return Err(most.exceeded().into()),
        Ok(Err(_)) => return Err(Failure::from(unreadable("the body ended before its announced length")).into()),
    };
    match encoding {
        Encoding::Plain => request.set_body(packed),
        Encoding::Gzip => {
            request.headers_mut().remove(header::CONTENT_ENCODING);
            request.headers_mut().remove(header::CONTENT_LENGTH);
            request.set_body(unpack(&packed, most)?);
        }
    }
    let _until_the_answer = match place {
        Held::Reader(_) => None,
        Held::Upload(place) => Some(place),
    };
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

fn unpack(packed: &[u8], most: Most) -> Result<Vec<u8>, Failure> {
    let mut plain = Vec::new();
    let enough = u64::try_from(most.bytes).unwrap_or(u64::MAX).saturating_add(1);
    match MultiGzDecoder::new(packed).take(enough).read_to_end(&mut plain) {
        Ok(_) if plain.len() > most.bytes => Err(most.exceeded()),
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

    fn most(bytes: usize) -> Most {
        Most { bytes, way_out: "pack less" }
    }

    #[test]
    fn a_bomb_is_stopped_at_the_limit() {
        let bomb = packed(&vec![b' '; 10_000_000]);
        assert!(bomb.len() < 20_000);
        assert_eq!(unpack(&bomb, most(1_000_000)), Err(most(1_000_000).exceeded()));
        assert_eq!(unpack(&packed(b"{}"), most(2)), Ok(b"{}".to_vec()));
        assert_eq!(unpack(&packed(b"{ }"), most(2)), Err(most(2).exceeded()));
    }

    #[test]
    fn only_a_form_may_have_as_much_as_a_file() {
        let library = Library { upload_limit: 16 << 20, text_limit: 4 << 20 };
        let limits = Limits::new(1 << 20, library, 1, Duration::from_secs(1));
        let most = |method: Method, path: &str, content_type: &str| {
            let request = Request::builder().method(method).uri_str(path).header("Content-Type", content_type);
            limits.most(&request.finish()).bytes
        };
        assert_eq!(most(Method::POST, UPLOAD_PATH, "Multipart/Form-Data; boundary=x"), 16 << 20);
        for content_type in ["application/json", "text/plain", "application/json; x=multipart/form-data"] {
            let json = most(Method::POST, UPLOAD_PATH, content_type);
            assert!(json > 4 << 20 && json < 6 << 20, "{content_type}: {json}");
        }
        assert_eq!(most(Method::PUT, UPLOAD_PATH, "multipart/form-data"), 1 << 20);
        assert_eq!(most(Method::POST, "/api/v1/runs", "multipart/form-data"), 1 << 20);
    }

    #[test]
    fn what_is_not_gzip_is_malformed() {
        for wrong in [&b"{}"[..], &[], &packed(b"{\"a\": 1}")[..15]] {
            let Err(Failure::Domain(error)) = unpack(wrong, most(100)) else { panic!("accepted") };
            assert_eq!(error.kind, Kind::Malformed);
        }
    }
}
