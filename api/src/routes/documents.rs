//! `documents`: the texts that runs are about.

use acm2_domain::ids::DocumentId;
use acm2_store::library::{documents as store, texts};
use poem_openapi::OpenApi;
use poem_openapi::param::{Header, Path, Query};

use super::Tag;
use super::document_bodies::{self, Document, DocumentList, DocumentPatch, NewDocument};
use super::limits;
use super::page::Page;
use crate::auth::{Allowed, LibraryRead, LibraryWrite};
use crate::body::{Body, JsonOrFile};
use crate::download::{Download, PlainText};
use crate::idempotency::{Earlier, Idempotency};
use crate::problem::Failure;
use crate::reply::{Created, NoContent, Reply};

/// `documents`.
pub(super) struct Documents;

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Documents")]
impl Documents {
    /// Upload a document.
    ///
    /// Needs the scope `library:write`. As JSON with the text, or as a form with a `file`. Text and Markdown in UTF-8 are kept as
    /// they are; of HTML (in UTF-8), PDF and DOCX the text is taken. What was uploaded is not kept, only its type, size and SHA-256.
    #[oai(path = "/documents", method = "post", operation_id = "documents.create")]
    async fn create(
        &self,
        caller: Allowed<LibraryWrite>,
        /// Your own name for this request, 1 to 255 characters.
        #[oai(name = "Idempotency-Key")]
        idempotency_key: Header<Option<String>>,
        body: JsonOrFile<NewDocument>,
    ) -> Result<Created<Document>, Failure> {
        let name = idempotency_key.0;
        let idempotency = Idempotency::of(&caller, "documents.create", name.as_deref(), body.digest()).await?;
        let now = caller.app.clock.now();
        if idempotency.is_named() {
            // Reading a file costs much: not for one that was read before.
            let tx = caller.store().begin().await?;
            let earlier = idempotency.look_up(&tx, now).await?;
            tx.commit().await?;
            if let Some(earlier) = earlier {
                return Ok(again(earlier));
            }
        }
        let new = match body {
            JsonOrFile::Json(body) => document_bodies::of_json(&caller.app, body.value)?,
            JsonOrFile::File(file) => document_bodies::of_file(&caller, file).await?,
        };
        let now = caller.app.clock.now();
        let tx = caller.store().begin().await?;
        if let Some(earlier) = idempotency.begin(&tx, now).await? {
            return Ok(again(earlier));
        }
        limits::refuse_beyond(store::count(&tx).await?, limits::DOCUMENTS, "documents")?;
        let document = Document::from(store::insert(&tx, &new, now).await?);
        idempotency.finish(&tx, document.id.uuid(), Some(&document)).await?;
        tx.commit().await?;
        let location = path_of(document.id);
        Ok(Created::new(document).location(&location))
    }

    /// List documents.
    ///
    /// Needs the scope `library:read`. Newest first, without their texts.
    #[oai(path = "/documents", method = "get", operation_id = "documents.list")]
    async fn list(
        &self,
        caller: Allowed<LibraryRead>,
        /// `next_cursor` of the page before.
        cursor: Query<Option<String>>,
        /// How many documents a page has, 1 to 100; 20 where absent.
        limit: Query<Option<u32>>,
    ) -> Result<Reply<DocumentList>, Failure> {
        let page = Page::new(cursor.0.as_deref(), limit.0)?;
        let tx = caller.store().begin().await?;
        let mut rows = store::list(&tx, page.after.map(DocumentId::from), page.fetch()).await?;
        tx.commit().await?;
        let next_cursor = page.cut(&mut rows, |row| row.id.uuid());
        Ok(Reply::new(DocumentList { items: rows.into_iter().map(Document::from).collect(), next_cursor }))
    }

    /// Get a document.
    ///
    /// Needs the scope `library:read`. Without its text.
    #[oai(path = "/documents/:document_id", method = "get", operation_id = "documents.get")]
    async fn get(
        &self,
        caller: Allowed<LibraryRead>,
        document_id: Path<DocumentId>,
    ) -> Result<Reply<Document>, Failure> {
        let tx = caller.store().begin().await?;
        let row = store::get(&tx, document_id.0).await?;
        tx.commit().await?;
        Ok(Reply::new(row.into()))
    }

    /// Get a document's text.
    ///
    /// Needs the scope `library:read`. Exactly the text that models are shown, as a file.
    #[oai(path = "/documents/:document_id/text", method = "get", operation_id = "documents.text")]
    async fn text(
        &self,
        caller: Allowed<LibraryRead>,
        document_id: Path<DocumentId>,
    ) -> Result<Download<PlainText>, Failure> {
        let tx = caller.store().begin().await?;
        let row = store::get(&tx, document_id.0).await?;
        let text = texts::get(&tx, row.text_hash).await?;
        tx.commit().await?;
        Ok(Download::new(text))
    }

    /// Rename a document.
    ///
    /// Needs the scope `library:write`. Runs keep the name that it had when they were submitted. What is in it never changes.
    #[oai(path = "/documents/:document_id", method = "patch", operation_id = "documents.update")]
    async fn update(
        &self,
        caller: Allowed<LibraryWrite>,
        document_id: Path<DocumentId>,
        body: Body<DocumentPatch>,
    ) -> Result<Reply<Document>, Failure> {
        let tx = caller.store().begin().await?;
        let row = store::rename(&tx, document_id.0, &body.value.name, caller.app.clock.now()).await?;
        tx.commit().await?;
        Ok(Reply::new(row.into()))
    }

    /// Delete a document.
    ///
    /// Needs the scope `library:write`. Runs that are about it keep its text and go on; a preset that names it cannot be run.
    #[oai(path = "/documents/:document_id", method = "delete", operation_id = "documents.delete")]
    async fn delete(&self, caller: Allowed<LibraryWrite>, document_id: Path<DocumentId>) -> Result<NoContent, Failure> {
        let tx = caller.store().begin().await?;
        store::delete(&tx, document_id.0).await?;
        tx.commit().await?;
        Ok(NoContent)
    }
}

/// The answer that an earlier request with the same name was given.
fn again(earlier: Earlier) -> Created<Document> {
    Created::again(earlier.text).location(&path_of(DocumentId::from(earlier.subject)))
}

fn path_of(document: DocumentId) -> String {
    format!("/api/v1/documents/{document}")
}
