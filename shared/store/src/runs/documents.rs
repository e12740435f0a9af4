//! Which texts a run is about: named in the transaction that submits it, so that they stay whatever becomes of the documents,
//! and dropped with it.

use std::collections::{BTreeMap, BTreeSet};

use acm2_domain::content_hash::ContentHash;
use acm2_domain::ids::RunId;
use acm2_domain::run::DocumentSpec;
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter, QuerySelect};

use super::run_document_entity::{ActiveModel, Column, Entity};
use crate::column::from_hash;
use crate::library::texts;
use crate::{StoreError, TenantTx};

/// Names the texts of a run that this transaction has written. `given`: the texts that came with the request; the others are
/// held. The indexes of documents whose text has gone meanwhile: then the transaction must not be committed.
pub async fn name_texts(
    tx: &TenantTx,
    run: RunId,
    documents: &[DocumentSpec],
    given: &[&str],
) -> Result<Vec<usize>, StoreError> {
    if documents.is_empty() {
        return Ok(Vec::new());
    }
    let mut there = texts::hold(tx, &documents.iter().map(|document| document.hash).collect()).await?;
    // In the order of their hashes, so that two submissions never wait for each other.
    let given: BTreeMap<ContentHash, &str> = given.iter().map(|text| (ContentHash::of(text), *text)).collect();
    for (hash, text) in given {
        if there.insert(hash) {
            texts::keep(tx, text).await?;
        }
    }
    let gone = documents.iter().enumerate().filter(|(_, document)| !there.contains(&document.hash));
    let gone: Vec<usize> = gone.map(|(index, _)| index).collect();
    if gone.is_empty() {
        let rows = documents.iter().enumerate().map(|(index, document)| ActiveModel {
            run_id: Set(run.uuid()),
            position: Set(index as i32),
            text_hash: Set(document.hash.to_string()),
        });
        Entity::insert_many(rows).exec_without_returning(tx).await?;
    }
    Ok(gone)
}

/// The texts that a run names.
pub(super) async fn list_texts(tx: &TenantTx, run: RunId) -> Result<BTreeSet<ContentHash>, StoreError> {
    let hashes: Vec<String> = Entity::find()
        .select_only()
        .column(Column::TextHash)
        .filter(Column::RunId.eq(run.uuid()))
        .into_tuple()
        .all(tx)
        .await?;
    hashes.iter().map(|hash| from_hash("run_documents.text_hash", hash)).collect()
}
