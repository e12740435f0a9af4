//! What a run names of the tenant's library: found before the run is compiled, and its texts named in the transaction that writes
//! it. Called by `submit` and by the estimate. A run that names nothing of it costs no statement.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use acm2_domain::call::Message;
use acm2_domain::error::{Error, FieldError, Kind};
use acm2_domain::ids::{ConversationId, PresetId, RunId};
use acm2_domain::run::{
    DocumentChoice, Material, NewRun, PresetRef, RunSpec, StoredDocument, StoredTemplate, storable,
};
use acm2_store::library::items::{self, ItemKind};
use acm2_store::library::{documents, versions};
use acm2_store::{StoreError, TenantTx, conversations, runs};

use crate::answers;
use crate::auth::{Caller, Scope};
use crate::criteria_set_body::CriteriaSetBody;
use crate::preset_body::{KeptSpec, PresetBody};
use crate::problem::Failure;
use crate::reading;
use crate::template_body::TemplateBody;

/// Of a conversation that a run goes on, so many messages at most are shown to the models.
const MOST_TURNS: u64 = 199;
/// And so many bytes of them: every task carries them.
const MOST_HISTORY: u64 = 1024 * 1024;

/// A request that was compiled.
#[derive(Debug)]
pub(crate) struct Compiled<'a> {
    /// The request, over its preset.
    pub(crate) body: Cow<'a, NewRun>,
    /// What it is compiled to.
    pub(crate) spec: RunSpec,
}

/// Compiles a request with what it names of the library, for which the caller's key needs `library:read`.
pub(crate) async fn compile<'a>(caller: &Caller, body: &'a NewRun) -> Result<Compiled<'a>, Failure> {
    if let Some(source) = body.answers_of {
        return answers::compile(caller, body, source).await;
    }
    let (body, material) = gather(caller, body).await?;
    let long = long_documents(&body, caller.app.config.library.text_limit);
    if !long.is_empty() {
        return Err(Error::invalid(long).into());
    }
    let spec = body.compile_with(&caller.app.prices, &material).map_err(Error::invalid)?;
    Ok(Compiled { body, spec })
}

/// Names the texts of a run that this transaction has written. On a failure nothing of it may be committed.
pub(crate) async fn name_texts(tx: &TenantTx, run: RunId, body: &NewRun, spec: &RunSpec) -> Result<(), Failure> {
    let given: Vec<Cow<'_, str>> = body
        .documents
        .iter()
        .filter_map(|document| match document {
            DocumentChoice::Inline(document) => Some(storable(&document.text)),
            DocumentChoice::Stored(_) => None,
        })
        .collect();
    let given: Vec<&str> = given.iter().map(AsRef::as_ref).collect();
    let gone = runs::name_texts(tx, run, &spec.documents, &given).await?;
    if gone.is_empty() {
        return Ok(());
    }
    let deleted = |index: usize| FieldError::new(format!("/documents/{index}"), "was deleted at this moment");
    Err(Error::invalid(gone.into_iter().map(deleted).collect()).into())
}

async fn gather<'a>(caller: &Caller, body: &'a NewRun) -> Result<(Cow<'a, NewRun>, Material), Failure> {
    let mut body = Cow::Borrowed(body);
    let of_library = body.preset_id.is_some() || names_library(&body);
    if !of_library && body.conversation_id.is_none() {
        return Ok((body, Material::default()));
    }
    if of_library {
        require(caller, Scope::LibraryRead)?;
    }
    if body.conversation_id.is_some() {
        require(caller, Scope::ConversationsRead)?;
        require(caller, Scope::ConversationsWrite)?;
    }
    let tx = caller.store().begin().await?;
    let mut preset = None;
    if let Some(id) = body.preset_id {
        let (found, base) = get_preset(&tx, id, body.preset_version).await?;
        preset = Some(found);
        body = Cow::Owned(body.into_owned().over(base));
    }
    let history = match body.conversation_id {
        Some(id) => history(&tx, caller, id).await?,
        None => None,
    };
    let material = Material { preset, history, ..find(&tx, &body).await? };
    tx.commit().await?;
    Ok((body, material))
}

pub(crate) fn require(caller: &Caller, scope: Scope) -> Result<(), Failure> {
    if caller.scopes.allow(scope) {
        return Ok(());
    }
    let detail = format!("the API key lacks the scope {scope}, which this run's material needs");
    Err(Error::new(Kind::Forbidden, "scope_missing", detail).into())
}

/// The newest messages of a conversation that the caller sees.
async fn history(tx: &TenantTx, caller: &Caller, id: ConversationId) -> Result<Option<Vec<Message>>, Failure> {
    match conversations::get(tx, caller.conversations_of(), id).await {
        Ok(row) => Ok(Some(conversations::messages::newest(tx, row.id, MOST_TURNS, MOST_HISTORY).await?)),
        Err(StoreError::NotFound(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The documents given with their texts that are longer than one in the library may be.
fn long_documents(body: &NewRun, most: usize) -> Vec<FieldError> {
    let is_long = |document: &DocumentChoice| match document {
        // What it is stored as may be longer: U+0000 becomes three bytes.
        DocumentChoice::Inline(document) => storable(&document.text).len() > most,
        DocumentChoice::Stored(_) => false,
    };
    let long = body.documents.iter().enumerate().filter(|(_, document)| is_long(document));
    long.map(|(at, _)| FieldError::new(format!("/documents/{at}/text"), reading::too_long(most))).collect()
}

pub(crate) fn names_library(body: &NewRun) -> bool {
    let is_stored = |document: &DocumentChoice| matches!(document, DocumentChoice::Stored(_));
    body.template_id.is_some() || body.stages.criteria_set_id().is_some() || body.documents.iter().any(is_stored)
}

/// What there is of what a request names; neither its preset nor its conversation is looked for.
pub(crate) async fn find(tx: &TenantTx, body: &NewRun) -> Result<Material, Failure> {
    let ids: BTreeSet<_> = body
        .documents
        .iter()
        .filter_map(|document| match document {
            DocumentChoice::Stored(id) => Some(*id),
            DocumentChoice::Inline(_) => None,
        })
        .collect();
    let found = documents::find_all(tx, &ids).await?;
    let stored = found
        .into_iter()
        .map(|row| (row.id, StoredDocument { name: row.name, hash: row.text_hash, bytes: row.text_bytes }));
    let template = match body.template_id {
        Some(id) => items::find::<TemplateBody>(tx, ItemKind::Template, id.uuid()).await?,
        None => None,
    };
    let template = template.map(|row| StoredTemplate { text: row.body.text, variables: row.body.variables });
    let mut criteria_sets = BTreeMap::new();
    if let Some(id) = body.stages.criteria_set_id()
        && let Some(row) = items::find::<CriteriaSetBody>(tx, ItemKind::CriteriaSet, id.uuid()).await?
    {
        criteria_sets.insert(id, row.body.criteria);
    }
    Ok(Material { documents: stored.collect(), template, criteria_sets, ..Material::default() })
}

/// A preset and what it says, in the version that is wanted or the newest.
async fn get_preset(tx: &TenantTx, id: PresetId, version: Option<u32>) -> Result<(PresetRef, NewRun), Failure> {
    let wrong = |pointer: &str, detail: &str| Error::invalid(vec![FieldError::new(pointer, detail)]);
    let newest = items::find::<PresetBody>(tx, ItemKind::Preset, id.uuid()).await?;
    let newest = newest.ok_or_else(|| wrong("/preset_id", "there is no such preset"))?;
    let (version, body) = match version.filter(|version| *version != newest.version) {
        None => (newest.version, newest.body),
        Some(version) => {
            let older = versions::find::<PresetBody>(tx, id.uuid(), version).await?;
            (version, older.ok_or_else(|| wrong("/preset_version", "the preset has no such version"))?.body)
        }
    };
    let spec = body.spec.read().ok_or_else(|| wrong("/preset_id", KeptSpec::UNREADABLE))?;
    Ok((PresetRef { id, version }, spec))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_text_given_with_a_run_is_no_longer_than_one_in_the_library() {
        let texts = [json!({"name": "a", "text": "1234"}), json!({"name": "b", "text": "12345"})];
        let texts =
            [&texts[..], &[json!({"name": "c", "text": "12\0"}), json!(acm2_domain::ids::DocumentId::generate())]];
        let run = json!({"prompt": "a", "models": ["sandbox/echo"], "documents": texts.concat()});
        let long = long_documents(&serde_json::from_value(run).unwrap(), 4);
        assert_eq!(
            long.iter().map(|place| &*place.pointer).collect::<Vec<_>>(),
            ["/documents/1/text", "/documents/2/text"]
        );
    }
}
