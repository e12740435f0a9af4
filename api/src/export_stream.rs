//! An export on its way: it is written while it is fetched (`export_writer`). What goes wrong on the way cuts the connection: a ZIP
//! without its end is no ZIP. Called by `routes::run_outcome`.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};

use acm2_domain::error::{Error, Kind};
use acm2_domain::ids::RunId;
use futures_util::stream;
use poem::http::{HeaderValue, StatusCode, header};
use poem::{Body, IntoResponse, Response};
use poem_openapi::ApiResponse;
use poem_openapi::registry::{MetaMediaType, MetaResponse, MetaResponses, MetaSchema, MetaSchemaRef, Registry};
use tokio::sync::mpsc::{self, Receiver};

use crate::auth::Caller;
use crate::export_writer::{Piece, Writer};
use crate::outcome::ToExport;
use crate::waiters::{Place, Waiters};

/// Those who fetch an export: each holds what is short of a run in memory, and a few of its texts.
static EXPORTS: LazyLock<Waiters> = LazyLock::new(|| Waiters::with_share(32, 4));
/// When one who had too many may come back, in seconds.
const RETRY_AFTER: u64 = 5;
const CONTENT_TYPE: &str = "application/zip";

/// A place among those who fetch an export.
///
/// # Errors
/// `too_many_exports` where there is none.
pub(crate) fn enter(caller: &Caller) -> Result<Place, Error> {
    EXPORTS.enter(caller.tenant).ok_or_else(|| {
        let detail = "too many exports are being fetched; wait for some to end";
        Error::new(Kind::TooMany, "too_many_exports", detail).retry_after(RETRY_AFTER)
    })
}

/// An export that is sent as it is made.
#[derive(Debug)]
pub(crate) struct ExportStream {
    run: RunId,
    pieces: Receiver<Piece>,
    whole: Arc<AtomicBool>,
}

impl ExportStream {
    /// The whole of an export.
    pub(crate) fn new(caller: &Caller, export: ToExport, place: Place) -> Self {
        let run = export.export.run.id;
        let (sender, pieces) = mpsc::channel(1);
        let whole = Arc::new(AtomicBool::new(false));
        tokio::spawn(Writer::write(caller.clone(), export, sender, place, Arc::clone(&whole)));
        Self { run, pieces, whole }
    }
}

impl IntoResponse for ExportStream {
    fn into_response(self) -> Response {
        let name = format!("attachment; filename=\"acm2-{}.zip\"", self.run);
        let pieces = stream::unfold((self.pieces, self.whole), |(mut pieces, whole)| async move {
            let piece = pieces.recv().await.or_else(|| {
                // What was given up in the middle must not look as if it were complete; said once.
                let is_cut = !whole.swap(true, Ordering::AcqRel);
                is_cut.then(|| Err(io::Error::other("the export was given up")))
            });
            Some((piece?, (pieces, whole)))
        });
        Response::builder()
            .status(StatusCode::OK)
            .content_type(CONTENT_TYPE)
            .header(
                header::CONTENT_DISPOSITION,
                HeaderValue::from_str(&name).unwrap_or(HeaderValue::from_static("attachment")),
            )
            .header(header::X_CONTENT_TYPE_OPTIONS, "nosniff")
            .header(header::CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox")
            .body(Body::from_bytes_stream(pieces))
    }
}

impl ApiResponse for ExportStream {
    fn meta() -> MetaResponses {
        let schema = MetaSchemaRef::Inline(Box::new(MetaSchema::new_with_format("string", "binary")));
        let response = MetaResponse {
            description: "the archive",
            status: Some(200),
            status_range: None,
            content: vec![MetaMediaType { content_type: CONTENT_TYPE, schema }],
            headers: Vec::new(),
        };
        MetaResponses { responses: vec![response] }
    }

    fn register(_registry: &mut Registry) {}
}
