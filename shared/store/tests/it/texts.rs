//! Texts: stored once, there as long as a document or a run names them, and gone with their last name, also where names come and
//! go at the same moment.

use acm2_domain::content_hash::ContentHash;
use acm2_domain::ids::DocumentId;
use acm2_domain::run::RunStatus;
use acm2_store::library::documents::{self, NewDocument};
use acm2_store::library::texts;
use acm2_store::runs::{self, DeleteOutcome, Ending, NewRunRow};
use serde_json::json;

use crate::fixture::{Fixture, is_not_found, now, on_both};
use crate::runs::{Bench, new_run};

on_both!(
    a_text_is_there_as_long_as_it_is_named,
    a_text_that_went_is_not_named_by_a_new_run,
    a_submission_and_a_deletion_at_once_leave_every_run_its_text,
    two_who_hold_a_text_and_keep_it_do_not_wait_for_each_other_forever,
);

async fn document(bench: &Bench<'_>, text: &str) -> DocumentId {
    let tx = bench.begin().await;
    let new = NewDocument {
        id: DocumentId::generate(),
        name: "a".to_owned(),
        text: text.to_owned(),
        content_type: "text/plain".to_owned(),
        bytes: text.len() as u64,
        sha256: ContentHash::of(text),
    };
    documents::insert(&tx, &new, now()).await.unwrap();
    tx.commit().await.unwrap();
    new.id
}

async fn delete(bench: &Bench<'_>, document: DocumentId) {
    let tx = bench.begin().await;
    documents::delete(&tx, document).await.unwrap();
    tx.commit().await.unwrap();
}

/// A run about these texts, each under the name of its hash.
fn about(texts: &[&str]) -> NewRunRow {
    let documents: Vec<_> = texts.iter().map(|text| json!({"name": "a", "text": text})).collect();
    new_run(json!({"prompt": "hi", "models": ["sandbox/echo"], "documents": documents}))
}

/// Submits it; `given`: the texts that come with the request. Whether it was taken.
async fn submit(bench: &Bench<'_>, run: &NewRunRow, given: &[&str]) -> bool {
    let tx = bench.begin().await;
    runs::insert(&tx, run, now()).await.unwrap();
    if !runs::name_texts(&tx, run.id, &run.spec.documents, given).await.unwrap().is_empty() {
        return false;
    }
    tx.commit().await.unwrap();
    true
}

async fn is_there(bench: &Bench<'_>, text: &str) -> bool {
    let found = texts::get(&bench.begin().await, ContentHash::of(text)).await;
    assert!(found.is_ok() || is_not_found(&found), "{found:?}");
    found.is_ok_and(|found| found == text)
}

async fn delete_run(bench: &Bench<'_>, run: &NewRunRow) {
    let tx = bench.begin().await;
    runs::end_waiting_run(&tx, run.id, Ending::Cancelled, now()).await.unwrap().unwrap();
    assert_eq!(runs::delete(&tx, run.id).await.unwrap(), DeleteOutcome::Deleted);
    tx.commit().await.unwrap();
}

async fn a_text_is_there_as_long_as_it_is_named(fixture: &Fixture) {
    let bench = Bench::new(fixture).await;
    let large = "é".repeat(1_000_000);
    let (one, twin) = (document(&bench, &large).await, document(&bench, &large).await);
    delete(&bench, one).await;
    assert!(is_there(&bench, &large).await, "the twin has it");
    let run = about(&[&large, "given", "given"]);
    assert!(submit(&bench, &run, &["given", "given"]).await);
    delete(&bench, twin).await;
    assert!(is_there(&bench, &large).await && is_there(&bench, "given").await, "the run has them");
    let second = about(&["given"]);
    assert!(submit(&bench, &second, &["given"]).await);
    delete_run(&bench, &run).await;
    assert!(!is_there(&bench, &large).await && is_there(&bench, "given").await, "the second run has one of them");
    assert_eq!(bench.find(second.id).await.status, RunStatus::Queued);
    delete_run(&bench, &second).await;
    assert!(!is_there(&bench, "given").await);
    // Another tenant's text of the same hash is another text.
    let other = Bench::new(fixture).await;
    document(&other, "given").await;
    assert!(is_there(&other, "given").await && !is_there(&bench, "given").await);
}

async fn a_text_that_went_is_not_named_by_a_new_run(fixture: &Fixture) {
    let bench = Bench::new(fixture).await;
    let stored = document(&bench, "stored").await;
    let run = about(&["given", "stored"]);
    delete(&bench, stored).await;
    let tx = bench.begin().await;
    runs::insert(&tx, &run, now()).await.unwrap();
    assert_eq!(runs::name_texts(&tx, run.id, &run.spec.documents, &["given"]).await.unwrap(), [1]);
}

async fn a_submission_and_a_deletion_at_once_leave_every_run_its_text(fixture: &Fixture) {
    let bench = Bench::new(fixture).await;
    for round in 0..30 {
        let text = format!("text {round}");
        let stored = document(&bench, &text).await;
        let (first, second) = (about(&[&text]), about(&[&text]));
        let given = [text.as_str()];
        let (by_id, by_text, ()) =
            tokio::join!(submit(&bench, &first, &[]), submit(&bench, &second, &given), delete(&bench, stored));
        assert!(by_text, "a text that is given is always there");
        assert!(is_there(&bench, &text).await);
        if by_id {
            delete_run(&bench, &first).await;
            assert!(is_there(&bench, &text).await, "the other run has it");
        }
        delete_run(&bench, &second).await;
        assert!(!is_there(&bench, &text).await);
    }
}

async fn two_who_hold_a_text_and_keep_it_do_not_wait_for_each_other_forever(fixture: &Fixture) {
    let bench = Bench::new(fixture).await;
    document(&bench, "text").await;
    let hold_and_keep = async || {
        let tx = bench.begin().await;
        let held = texts::hold(&tx, &[ContentHash::of("text")].into()).await.unwrap();
        assert_eq!(held.len(), 1);
        // Long enough for the other one to hold it too, where two can write at once.
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        texts::keep(&tx, "text").await.unwrap();
        tx.commit().await.unwrap();
    };
    tokio::join!(hold_and_keep(), hold_and_keep());
}
