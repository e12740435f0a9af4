//! `templates`: instructions with variables.

use acm2_domain::error::{Error, FieldError};
use acm2_domain::ids::TemplateId;
use acm2_domain::run::{DocumentChoice, InlineDocument, ModelChoice, NewRun};
use acm2_store::library::items::{self as store, ItemKind, NewItem};
use acm2_store::library::texts;
use poem_openapi::OpenApi;
use poem_openapi::param::{Header, Path, Query};

use super::Tag;
use super::library_names::taken;
use super::limits;
use super::page::Page;
use super::template_bodies::{NewPreview, NewTemplate, Preview, Template, TemplateList, TemplatePatch};
use crate::auth::{Allowed, LibraryRead, LibraryWrite};
use crate::body::Body;
use crate::idempotency::Idempotency;
use crate::material;
use crate::problem::Failure;
use crate::reply::{Created, NoContent, Reply};
use crate::template_body::TemplateBody;

const KIND: ItemKind = ItemKind::Template;

/// `templates`.
pub(super) struct Templates;

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Templates")]
impl Templates {
    /// Make a template.
    ///
    /// Needs the scope `library:write`.
    #[oai(path = "/templates", method = "post", operation_id = "templates.create")]
    async fn create(
        &self,
        caller: Allowed<LibraryWrite>,
        /// Your own name for this request, 1 to 255 characters.
        #[oai(name = "Idempotency-Key")]
        idempotency_key: Header<Option<String>>,
        body: Body<NewTemplate>,
    ) -> Result<Created<Template>, Failure> {
        let name = idempotency_key.0;
        let idempotency = Idempotency::of(&caller, "templates.create", name.as_deref(), &body.digest).await?;
        let NewTemplate { name, text, description, variables } = body.value;
        let now = caller.app.clock.now();
        let tx = caller.store().begin().await?;
        if let Some(earlier) = idempotency.begin(&tx, now).await? {
            return Ok(Created::again(earlier.text).location(&path_of(TemplateId::from(earlier.subject))));
        }
        limits::refuse_beyond(store::count(&tx, KIND).await?, limits::LIBRARY_ITEMS, "templates")?;
        let id = TemplateId::generate();
        let body = &TemplateBody { text, variables };
        let new = NewItem { kind: KIND, id: id.uuid(), name: &name, description: &description, body };
        let row = store::insert(&tx, new, now).await.map_err(|error| taken(error, "template"))?;
        let template = Template::from(row);
        idempotency.finish(&tx, id.uuid(), Some(&template)).await?;
        tx.commit().await?;
        Ok(Created::new(template).location(&path_of(id)))
    }

    /// List templates.
    ///
    /// Needs the scope `library:read`. Newest first, without their texts and variables.
    #[oai(path = "/templates", method = "get", operation_id = "templates.list")]
    async fn list(
        &self,
        caller: Allowed<LibraryRead>,
        /// `next_cursor` of the page before.
        cursor: Query<Option<String>>,
        /// How many templates a page has, 1 to 100; 20 where absent.
        limit: Query<Option<u32>>,
    ) -> Result<Reply<TemplateList>, Failure> {
        let page = Page::new(cursor.0.as_deref(), limit.0)?;
        let tx = caller.store().begin().await?;
        let mut rows = store::list(&tx, KIND, page.after, page.fetch()).await?;
        tx.commit().await?;
        let next_cursor = page.cut(&mut rows, |row| row.id);
        Ok(Reply::new(TemplateList { items: rows.into_iter().map(Template::in_list).collect(), next_cursor }))
    }

    /// Get a template.
    ///
    /// Needs the scope `library:read`.
    #[oai(path = "/templates/:template_id", method = "get", operation_id = "templates.get")]
    async fn get(
        &self,
        caller: Allowed<LibraryRead>,
        template_id: Path<TemplateId>,
    ) -> Result<Reply<Template>, Failure> {
        let tx = caller.store().begin().await?;
        let row = store::get(&tx, KIND, template_id.0.uuid()).await?;
        tx.commit().await?;
        Ok(Reply::new(row.into()))
    }

    /// Change a template.
    ///
    /// Needs the scope `library:write`. Runs that were submitted keep what they ask.
    #[oai(path = "/templates/:template_id", method = "patch", operation_id = "templates.update")]
    async fn update(
        &self,
        caller: Allowed<LibraryWrite>,
        template_id: Path<TemplateId>,
        body: Body<TemplatePatch>,
    ) -> Result<Reply<Template>, Failure> {
        let patch = body.value;
        let tx = caller.store().begin().await?;
        let mut row = store::lock::<TemplateBody>(&tx, KIND, template_id.0.uuid()).await?;
        patch.apply(&mut row);
        let row = store::update(&tx, row, caller.app.clock.now()).await.map_err(|error| taken(error, "template"))?;
        tx.commit().await?;
        Ok(Reply::new(row.into()))
    }

    /// Delete a template.
    ///
    /// Needs the scope `library:write`. Runs that were submitted keep what they ask; a preset that names it cannot be run.
    #[oai(path = "/templates/:template_id", method = "delete", operation_id = "templates.delete")]
    async fn delete(&self, caller: Allowed<LibraryWrite>, template_id: Path<TemplateId>) -> Result<NoContent, Failure> {
        let tx = caller.store().begin().await?;
        store::delete(&tx, KIND, template_id.0.uuid()).await?;
        tx.commit().await?;
        Ok(NoContent)
    }

    /// Fill in a template.
    ///
    /// Needs the scope `library:read`. Shows exactly what a model would be asked; nothing is stored and nobody is asked. Variables
    /// without a value are all told.
    #[oai(path = "/templates/:template_id/preview", method = "post", operation_id = "templates.preview")]
    async fn preview(
        &self,
        caller: Allowed<LibraryRead>,
        template_id: Path<TemplateId>,
        body: Body<NewPreview>,
    ) -> Result<Reply<Preview>, Failure> {
        let NewPreview { variables, document } = body.value;
        let tx = caller.store().begin().await?;
        // A run that is never submitted, so that what is shown is what a run would ask; which model does not matter.
        let run = NewRun {
            template_id: Some(template_id.0),
            variables,
            documents: document.into_iter().collect(),
            models: vec![ModelChoice { model: "sandbox/echo".to_owned(), ..ModelChoice::default() }],
            ..NewRun::default()
        };
        let found = material::find(&tx, &run).await?;
        if found.template.is_none() {
            return Err(Error::not_found("template").into());
        }
        let spec = run.compile_with(&caller.app.prices, &found).map_err(of_one_document)?;
        let text = match (spec.documents.first(), run.documents.first()) {
            (Some(document), Some(DocumentChoice::Stored(_))) => Some(texts::get(&tx, document.hash).await?),
            (_, Some(DocumentChoice::Inline(InlineDocument { text, .. }))) => {
                Some(acm2_domain::run::storable(text).into_owned())
            }
            _ => None,
        };
        tx.commit().await?;
        let call = spec.call(&spec.models[0], spec.documents.first().zip(text.as_deref()));
        let text = call.messages.into_iter().map(|message| message.content).collect();
        Ok(Reply::new(Preview { text }))
    }
}

/// The run has a list of documents where the preview has one.
fn of_one_document(errors: Vec<FieldError>) -> Error {
    let renamed = errors.into_iter().map(|error| {
        let pointer = error.pointer.replacen("/documents/0", "/document", 1);
        FieldError { pointer: if pointer == "/documents" { "/document".to_owned() } else { pointer }, ..error }
    });
    Error::invalid(renamed.collect())
}

fn path_of(template: TemplateId) -> String {
    format!("/api/v1/templates/{template}")
}
