//! `criteria-sets`: what judges score, kept under a name, in JSON and in YAML.

use acm2_domain::error::{Error, Kind};
use acm2_domain::ids::CriteriaSetId;
use acm2_store::library::items::{self as store, ItemKind, NewItem};
use poem_openapi::OpenApi;
use poem_openapi::param::{Header, Path, Query};

use super::Tag;
use super::criteria_set_bodies::{CriteriaSet, CriteriaSetList, CriteriaSetPatch, NewCriteriaSet};
use super::library_names::taken;
use super::limits;
use super::page::Page;
use crate::auth::{Allowed, LibraryRead, LibraryWrite};
use crate::body::{Body, JsonOrYaml};
use crate::criteria_set_body::CriteriaSetBody;
use crate::download::{Download, Yaml};
use crate::idempotency::Idempotency;
use crate::problem::Failure;
use crate::reply::{Created, NoContent, Reply};

const KIND: ItemKind = ItemKind::CriteriaSet;
const WHAT: &str = "criteria set";

/// `criteria-sets`.
pub(super) struct CriteriaSets;

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::CriteriaSets")]
impl CriteriaSets {
    /// Make a criteria set.
    ///
    /// Needs the scope `library:write`. As JSON, or as YAML with `Content-Type: application/yaml` and the same names; what a set
    /// is exported to can be sent here.
    #[oai(path = "/criteria-sets", method = "post", operation_id = "criteriaSets.create")]
    async fn create(
        &self,
        caller: Allowed<LibraryWrite>,
        /// Your own name for this request, 1 to 255 characters.
        #[oai(name = "Idempotency-Key")]
        idempotency_key: Header<Option<String>>,
        body: JsonOrYaml<NewCriteriaSet>,
    ) -> Result<Created<CriteriaSet>, Failure> {
        let Body { value, digest } = body.0;
        let name = idempotency_key.0;
        let idempotency = Idempotency::of(&caller, "criteriaSets.create", name.as_deref(), &digest).await?;
        let NewCriteriaSet { name, description, criteria } = value;
        let now = caller.app.clock.now();
        let tx = caller.store().begin().await?;
        if let Some(earlier) = idempotency.begin(&tx, now).await? {
            return Ok(Created::again(earlier.text).location(&path_of(CriteriaSetId::from(earlier.subject))));
        }
        limits::refuse_beyond(store::count(&tx, KIND).await?, limits::LIBRARY_ITEMS, "criteria sets")?;
        let id = CriteriaSetId::generate();
        let body = &CriteriaSetBody { criteria };
        let new = NewItem { kind: KIND, id: id.uuid(), name: &name, description: &description, body };
        let row = store::insert(&tx, new, now).await.map_err(|error| taken(error, WHAT))?;
        let set = CriteriaSet::from(row);
        idempotency.finish(&tx, id.uuid(), Some(&set)).await?;
        tx.commit().await?;
        Ok(Created::new(set).location(&path_of(id)))
    }

    /// List criteria sets.
    ///
    /// Needs the scope `library:read`. Newest first, without their criteria.
    #[oai(path = "/criteria-sets", method = "get", operation_id = "criteriaSets.list")]
    async fn list(
        &self,
        caller: Allowed<LibraryRead>,
        /// `next_cursor` of the page before.
        cursor: Query<Option<String>>,
        /// How many criteria sets a page has, 1 to 100; 20 where absent.
        limit: Query<Option<u32>>,
    ) -> Result<Reply<CriteriaSetList>, Failure> {
        let page = Page::new(cursor.0.as_deref(), limit.0)?;
        let tx = caller.store().begin().await?;
        let mut rows = store::list(&tx, KIND, page.after, page.fetch()).await?;
        tx.commit().await?;
        let next_cursor = page.cut(&mut rows, |row| row.id);
        Ok(Reply::new(CriteriaSetList { items: rows.into_iter().map(CriteriaSet::in_list).collect(), next_cursor }))
    }

    /// Get a criteria set.
    ///
    /// Needs the scope `library:read`.
    #[oai(path = "/criteria-sets/:criteria_set_id", method = "get", operation_id = "criteriaSets.get")]
    async fn get(
        &self,
        caller: Allowed<LibraryRead>,
        criteria_set_id: Path<CriteriaSetId>,
    ) -> Result<Reply<CriteriaSet>, Failure> {
        let tx = caller.store().begin().await?;
        let row = store::get(&tx, KIND, criteria_set_id.0.uuid()).await?;
        tx.commit().await?;
        Ok(Reply::new(row.into()))
    }

    /// Export a criteria set.
    ///
    /// Needs the scope `library:read`. As YAML, which can be imported anywhere.
    #[oai(path = "/criteria-sets/:criteria_set_id/yaml", method = "get", operation_id = "criteriaSets.export")]
    async fn export(
        &self,
        caller: Allowed<LibraryRead>,
        criteria_set_id: Path<CriteriaSetId>,
    ) -> Result<Download<Yaml>, Failure> {
        let tx = caller.store().begin().await?;
        let row = store::get::<CriteriaSetBody>(&tx, KIND, criteria_set_id.0.uuid()).await?;
        tx.commit().await?;
        let CriteriaSetBody { criteria } = row.body;
        to_yaml(&NewCriteriaSet { name: row.name, description: row.description, criteria }).map(Download::new)
    }

    /// Change a criteria set.
    ///
    /// Needs the scope `library:write`.
    #[oai(path = "/criteria-sets/:criteria_set_id", method = "patch", operation_id = "criteriaSets.update")]
    async fn update(
        &self,
        caller: Allowed<LibraryWrite>,
        criteria_set_id: Path<CriteriaSetId>,
        body: Body<CriteriaSetPatch>,
    ) -> Result<Reply<CriteriaSet>, Failure> {
        let CriteriaSetPatch { name, description, criteria } = body.value;
        let tx = caller.store().begin().await?;
        let mut row = store::lock::<CriteriaSetBody>(&tx, KIND, criteria_set_id.0.uuid()).await?;
        row.name = name.unwrap_or(row.name);
        row.description = description.unwrap_or(row.description);
        row.body.criteria = criteria.unwrap_or(row.body.criteria);
        let row = store::update(&tx, row, caller.app.clock.now()).await.map_err(|error| taken(error, WHAT))?;
        tx.commit().await?;
        Ok(Reply::new(row.into()))
    }

    /// Delete a criteria set.
    ///
    /// Needs the scope `library:write`.
    #[oai(path = "/criteria-sets/:criteria_set_id", method = "delete", operation_id = "criteriaSets.delete")]
    async fn delete(
        &self,
        caller: Allowed<LibraryWrite>,
        criteria_set_id: Path<CriteriaSetId>,
    ) -> Result<NoContent, Failure> {
        let tx = caller.store().begin().await?;
        store::delete(&tx, KIND, criteria_set_id.0.uuid()).await?;
        tx.commit().await?;
        Ok(NoContent)
    }
}

fn to_yaml(set: &NewCriteriaSet) -> Result<String, Failure> {
    yaml_serde::to_string(set).map_err(|error| {
        Error::new(Kind::Internal, "internal", format!("failed to write a criteria set as YAML: {error}")).into()
    })
}

fn path_of(set: CriteriaSetId) -> String {
    format!("/api/v1/criteria-sets/{set}")
}

#[cfg(test)]
mod tests {
    use acm2_domain::criteria::Criterion;
    use proptest::prelude::*;

    use super::*;
    use crate::body::read_yaml;

    /// Texts that YAML might take for something else.
    fn text() -> impl Strategy<Value = String> {
        prop_oneof![
            ".{0,20}",
            "[ \n\t:#\"'|>&*!%@`{}\\[\\],?-]{0,12}",
            prop::sample::select(vec![
                "yes",
                "null",
                "~",
                "1e3",
                "0x1F",
                "2026-11-28",
                "- a",
                "a: b",
                "---",
                "...",
                "\u{2028}\u{85}é"
            ])
            .prop_map(str::to_owned),
        ]
    }

    proptest! {
        #[test]
        fn what_is_exported_can_be_imported(
            name in text(), description in text(),
            criteria in prop::collection::vec((text(), text(), 1_u32..1_000_000), 0..5),
        ) {
            let criteria = criteria.into_iter().map(|(name, description, weight)| {
                Criterion { name, description, weight: f64::from(weight) / 1_000.0 }
            });
            let set = NewCriteriaSet { name, description, criteria: criteria.collect() };
            let yaml = to_yaml(&set).unwrap();
            prop_assert_eq!(read_yaml::<NewCriteriaSet>(yaml.as_bytes()).unwrap(), set, "{}", yaml);
        }
    }
}
