//! An export on its way: each file is made when the one before has been fetched, so that whoever reads slowly holds one file, and
//! no thread. What goes wrong on the way cuts the connection: a ZIP without its end is no ZIP. Called by `routes::run_outcome`.

use std::io;
use std::sync::{Arc, LazyLock};

use acm2_domain::error::{Error, Kind};
use acm2_domain::run::DocumentSpec;
use acm2_report::archive::{Content, Entry, Export, ZipStream};
use acm2_report::images::Images;
use acm2_store::library::texts;
use acm2_store::{StoreError, Tenant, runs};
use futures_util::stream;
use poem::http::{HeaderValue, StatusCode, header};
use poem::{Body, IntoResponse, Response};
use poem_openapi::ApiResponse;
use poem_openapi::registry::{MetaMediaType, MetaResponse, MetaResponses, MetaSchema, MetaSchemaRef, Registry};

use crate::auth::Caller;
use crate::outcome::{broken, read_images};
use crate::waiters::{Place, Waiters};

/// Those who fetch an export: each holds a run in memory meanwhile.
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
    store: Tenant,
    export: Arc<Export>,
    entries: std::vec::IntoIter<Entry>,
    /// None at the end.
    zip: Option<ZipStream>,
    /// Held by whatever is under way, too: nobody ends that where the caller goes.
    place: Arc<Place>,
}

impl ExportStream {
    /// The whole of an export.
    pub(crate) fn new(caller: &Caller, export: Export, documents: &[DocumentSpec], place: Place) -> Self {
        Self {
            store: caller.store(),
            entries: export.entries(documents).into_iter(),
            zip: Some(ZipStream::new(export.made_at)),
            export: Arc::new(export),
            place: Arc::new(place),
        }
    }

    /// What is sent next; `None` at the end.
    async fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        while let Some(mut zip) = self.zip.take() {
            let Some(entry) = self.entries.next() else {
                return zip.finish().map(Some).map_err(|error| broken(&error));
            };
            let (stored, held) = self.stored(entry.content).await.map_err(|error| {
                tracing::warn!(error = %error, "a file of an export could not be read");
                io::Error::other("a file of the export could not be read")
            })?;
            let (export, place) = (Arc::clone(&self.export), Arc::clone(&self.place));
            let add = move || {
                let _place = place;
                let bytes = stored.map_or_else(|| export.bytes(entry.content, &held), |bytes| Ok(Some(bytes)))?;
                let piece = zip.add(&entry.name, &bytes.unwrap_or_default())?;
                Ok((zip, piece))
            };
            let added = tokio::task::spawn_blocking(add).await.map_err(io::Error::other)?;
            let (zip, piece) = added.map_err(|error| broken(&error))?;
            self.zip = Some(zip);
            if !piece.is_empty() {
                return Ok(Some(piece));
            }
        }
        Ok(None)
    }

    /// What only the store has: a file, or the images that the page holds. It is gone where the run was deleted meanwhile.
    async fn stored(&self, content: Content) -> Result<(Option<Vec<u8>>, Images), StoreError> {
        let file = match content {
            Content::Report => return Ok((None, read_images(&self.store, &self.export.tasks).await?)),
            Content::Document(hash) => {
                let tx = self.store.begin().await?;
                let text = texts::get(&tx, hash).await?;
                tx.commit().await?;
                Some(text.into_bytes())
            }
            Content::Image(id) => {
                let tx = self.store.begin().await?;
                let image = runs::read_artifact(&tx, id).await?;
                tx.commit().await?;
                Some(image)
            }
            _ => None,
        };
        Ok((file, Images::new()))
    }
}

impl IntoResponse for ExportStream {
    fn into_response(self) -> Response {
        let name = format!("attachment; filename=\"acm2-{}.zip\"", self.export.run.id);
        let pieces = stream::try_unfold(self, |mut export| async move {
            Ok::<_, io::Error>(Box::pin(export.next()).await?.map(|piece| (piece, export)))
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
