//! `presets`: whole run specifications, kept under a name, with all their versions.

use acm2_domain::error::Error;
use acm2_domain::ids::PresetId;
use acm2_store::TenantTx;
use acm2_store::library::items::{self as store, ItemKind, ItemRow, NewItem};
use acm2_store::library::versions;
use poem_openapi::OpenApi;
use poem_openapi::param::{Header, Path, Query};
use uuid::Uuid;

use super::Tag;
use super::library_names::taken;
use super::limits;
use super::page::Page;
use super::preset_bodies::{NewPreset, Preset, PresetList, PresetPatch, PresetVersion, PresetVersionList};
use crate::auth::{Allowed, Caller, LibraryRead, LibraryWrite};
use crate::body::Body;
use crate::idempotency::Idempotency;
use crate::preset_body::{KeptSpec, PresetBody};
use crate::problem::Failure;
use crate::reply::{Created, NoContent, Reply};
use crate::runnable;

const KIND: ItemKind = ItemKind::Preset;
const WHAT: &str = "preset";

/// `presets`.
pub(super) struct Presets;

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Presets")]
impl Presets {
    /// Make a preset.
    ///
    /// Needs the scope `library:write`. What is kept need not be complete: the answer says whether a run from it could do all that it asks for
    /// and what is missing. Start one with `preset_id` in a submission.
    #[oai(path = "/presets", method = "post", operation_id = "presets.create")]
    async fn create(
        &self,
        caller: Allowed<LibraryWrite>,
        /// Your own name for this request, 1 to 255 characters.
        #[oai(name = "Idempotency-Key")]
        idempotency_key: Header<Option<String>>,
        body: Body<NewPreset>,
    ) -> Result<Created<Preset>, Failure> {
        let name = idempotency_key.0;
        let idempotency = Idempotency::of(&caller, "presets.create", name.as_deref(), &body.digest).await?;
        let NewPreset { name, description, spec } = body.value;
        let now = caller.app.clock.now();
        let tx = caller.store().begin().await?;
        if let Some(earlier) = idempotency.begin(&tx, now).await? {
            return Ok(Created::again(earlier.text).location(&path_of(PresetId::from(earlier.subject))));
        }
        limits::refuse_beyond(store::count(&tx, KIND).await?, limits::LIBRARY_ITEMS, "presets")?;
        let id = PresetId::generate();
        let body = &PresetBody { spec: KeptSpec::from(&spec) };
        let new = NewItem { kind: KIND, id: id.uuid(), name: &name, description: &description, body };
        let row = store::insert(&tx, new, now).await.map_err(|error| taken(error, WHAT))?;
        versions::add(&tx, &row, limits::PRESET_VERSIONS).await?;
        let preset = whole(&tx, &caller, row).await?;
        idempotency.finish(&tx, id.uuid(), Some(&preset)).await?;
        tx.commit().await?;
        Ok(Created::new(preset).location(&path_of(id)))
    }

    /// List presets.
    ///
    /// Needs the scope `library:read`. Newest first, without their specifications.
    #[oai(path = "/presets", method = "get", operation_id = "presets.list")]
    async fn list(
        &self,
        caller: Allowed<LibraryRead>,
        /// `next_cursor` of the page before.
        cursor: Query<Option<String>>,
        /// How many presets a page has, 1 to 100; 20 where absent.
        limit: Query<Option<u32>>,
    ) -> Result<Reply<PresetList>, Failure> {
        let page = Page::new(cursor.0.as_deref(), limit.0)?;
        let tx = caller.store().begin().await?;
        let mut rows = store::list(&tx, KIND, page.after, page.fetch()).await?;
        tx.commit().await?;
        let next_cursor = page.cut(&mut rows, |row| row.id);
        Ok(Reply::new(PresetList { items: rows.into_iter().map(Preset::in_list).collect(), next_cursor }))
    }

    /// Get a preset.
    ///
    /// Needs the scope `library:read`. With what stands in the way of a run at this moment: models without a provider key,
    /// documents that were deleted, values that are not allowed.
    #[oai(path = "/presets/:preset_id", method = "get", operation_id = "presets.get")]
    async fn get(
        &self,
        caller: Allowed<LibraryRead>,
        preset_id: Path<PresetId>,
        /// Which version; the newest where absent.
        version: Query<Option<u32>>,
    ) -> Result<Reply<Preset>, Failure> {
        let tx = caller.store().begin().await?;
        let mut row = store::get::<PresetBody>(&tx, KIND, preset_id.0.uuid()).await?;
        if let Some(version) = version.0.filter(|version| *version != row.version) {
            let older = versions::find::<PresetBody>(&tx, row.id, version).await?;
            let older = older.ok_or_else(|| Error::not_found("version of the preset"))?;
            row = ItemRow {
                version,
                name: older.name,
                description: older.description,
                body: older.body,
                updated_at: older.created_at,
                ..row
            };
        }
        let preset = whole(&tx, &caller, row).await?;
        tx.commit().await?;
        Ok(Reply::new(preset))
    }

    /// List the versions of a preset.
    ///
    /// Needs the scope `library:read`. Newest first, without their specifications.
    #[oai(path = "/presets/:preset_id/versions", method = "get", operation_id = "presets.versions")]
    async fn versions(
        &self,
        caller: Allowed<LibraryRead>,
        preset_id: Path<PresetId>,
        /// `next_cursor` of the page before.
        cursor: Query<Option<String>>,
        /// How many versions a page has, 1 to 100; 20 where absent.
        limit: Query<Option<u32>>,
    ) -> Result<Reply<PresetVersionList>, Failure> {
        let page = Page::new(cursor.0.as_deref(), limit.0)?;
        let tx = caller.store().begin().await?;
        let row = store::get::<PresetBody>(&tx, KIND, preset_id.0.uuid()).await?;
        let before = page.after.map(|after| u32::try_from(after.as_u128()).unwrap_or(u32::MAX));
        let mut rows = versions::list(&tx, row.id, before, page.fetch()).await?;
        tx.commit().await?;
        // A version's place in the list is its number.
        let next_cursor = page.cut(&mut rows, |row| Uuid::from_u128(u128::from(row.version)));
        Ok(Reply::new(PresetVersionList { items: rows.into_iter().map(PresetVersion::from).collect(), next_cursor }))
    }

    /// Change a preset.
    ///
    /// Needs the scope `library:write`. Makes a new version; the 1000 newest ones stay as they are, and so do all runs.
    #[oai(path = "/presets/:preset_id", method = "patch", operation_id = "presets.update")]
    async fn update(
        &self,
        caller: Allowed<LibraryWrite>,
        preset_id: Path<PresetId>,
        body: Body<PresetPatch>,
    ) -> Result<Reply<Preset>, Failure> {
        let PresetPatch { name, description, spec } = body.value;
        let tx = caller.store().begin().await?;
        let mut row = store::lock::<PresetBody>(&tx, KIND, preset_id.0.uuid()).await?;
        row.name = name.unwrap_or(row.name);
        row.description = description.unwrap_or(row.description);
        row.body.spec = spec.as_ref().map_or(row.body.spec, KeptSpec::from);
        let row = store::update(&tx, row, caller.app.clock.now()).await.map_err(|error| taken(error, WHAT))?;
        versions::add(&tx, &row, limits::PRESET_VERSIONS).await?;
        let preset = whole(&tx, &caller, row).await?;
        tx.commit().await?;
        Ok(Reply::new(preset))
    }

    /// Delete a preset.
    ///
    /// Needs the scope `library:write`. With all its versions; runs that were started from it stay.
    #[oai(path = "/presets/:preset_id", method = "delete", operation_id = "presets.delete")]
    async fn delete(&self, caller: Allowed<LibraryWrite>, preset_id: Path<PresetId>) -> Result<NoContent, Failure> {
        let tx = caller.store().begin().await?;
        store::delete(&tx, KIND, preset_id.0.uuid()).await?;
        tx.commit().await?;
        Ok(NoContent)
    }
}

async fn whole(tx: &TenantTx, caller: &Caller, row: ItemRow<PresetBody>) -> Result<Preset, Failure> {
    let missing = runnable::missing(tx, &caller.app, &row.body.spec).await?;
    Ok(Preset::whole(row, missing))
}

fn path_of(preset: PresetId) -> String {
    format!("/api/v1/presets/{preset}")
}
