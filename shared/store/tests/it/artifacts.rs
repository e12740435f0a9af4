//! Files that tasks made: written with their answer, told of without their bytes, gone with their run.

use acm2_domain::artifact::{Artifact, ArtifactType};
use acm2_domain::call::Usage;
use acm2_domain::content_hash::ContentHash;
use acm2_domain::ids::{ArtifactId, RunId};
use acm2_store::StoreError;
use acm2_store::runs::{
    self, AttemptOutcome, Change, DeleteOutcome, Ending, StoredAnswer, StoredArtifact, TaskOutcome,
};

use crate::fixture::{Fixture, now, on_both};
use crate::runs::{Bench, stored, task, two_models};

on_both!(
    an_answer_is_written_with_its_artifacts,
    a_late_answer_keeps_its_artifacts_and_writes_them_once,
    artifacts_go_with_their_run,
);

/// The beginning of a PNG, and zeros that a text could not hold.
fn image() -> Vec<u8> {
    let mut data = b"\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR".to_vec();
    data.resize(300_000, 0);
    data
}

fn with_image() -> StoredAnswer {
    let artifact = Artifact::new(image()).unwrap();
    let usage = Usage { output_tokens: 1_100, image_tokens: 1_000, ..Usage::default() };
    StoredAnswer { artifacts: vec![StoredArtifact::new(&artifact)], usage: Some(usage), ..stored(300) }
}

/// A run whose first task is answered with an image; which one.
async fn answered(bench: &Bench<'_>) -> (runs::Claimed, ArtifactId) {
    let run = two_models();
    bench.submit(&run).await;
    let claimed = bench.claim(run.id, false).await;
    let attempt = bench.open(claimed.fence, &task(0), 500).await;
    let answer = with_image();
    let tx = bench.begin().await;
    runs::write(&tx, claimed.fence, Change { completed: 1, ..Change::default() }, &[], now()).await.unwrap();
    assert!(runs::settle_attempt(&tx, attempt, &AttemptOutcome::default(), now()).await.unwrap());
    runs::insert_task(&tx, run.id, &task(0), &TaskOutcome::Answered(answer.clone()), 1, now()).await.unwrap();
    tx.commit().await.unwrap();
    (claimed, answer.artifacts[0].id)
}

async fn read(bench: &Bench<'_>, run: RunId, artifact: ArtifactId) -> Result<Vec<u8>, StoreError> {
    let tx = bench.begin().await;
    let (content_type, sha256) = runs::get_artifact(&tx, run, artifact).await?;
    assert_eq!((content_type, sha256), (ArtifactType::Png, ContentHash::of(image())));
    runs::read_artifact(&tx, artifact).await
}

async fn an_answer_is_written_with_its_artifacts(fixture: &Fixture) {
    let bench = Bench::new(fixture).await;
    let (claimed, id) = answered(&bench).await;
    let run = claimed.run.id;
    assert_eq!(read(&bench, run, id).await.unwrap(), image());
    let other = two_models();
    bench.submit(&other).await;
    assert!(matches!(read(&bench, other.id, id).await, Err(StoreError::NotFound(_))), "it is of another run");
    let tx = bench.begin().await;
    let tasks = runs::list_tasks(&tx, run).await.unwrap();
    let row = runs::find(&tx, run).await.unwrap().unwrap();
    let seen = runs::assemble(&row, Some(&tasks.into())).results.unwrap();
    assert_eq!(seen[0].usage.unwrap().image_tokens, 1_000);
    let [artifact] = &seen[0].artifacts[..] else { panic!("one artifact") };
    assert_eq!((artifact.id, artifact.bytes), (id, 300_000));
    assert_eq!(artifact.path, format!("/api/v1/runs/{run}/artifacts/{id}"));
    assert_eq!(seen[1].artifacts, []);
}

async fn a_late_answer_keeps_its_artifacts_and_writes_them_once(fixture: &Fixture) {
    let bench = Bench::new(fixture).await;
    let run = two_models();
    bench.submit(&run).await;
    let first = bench.claim(run.id, false).await;
    let attempt = bench.open(first.fence, &task(0), 500).await;
    let second = bench.claim(run.id, true).await;
    let answer = with_image();
    let id = answer.artifacts[0].id;
    let tx = bench.begin().await;
    assert!(runs::settle_late(&tx, run.id, attempt, &answer, None, now()).await.unwrap());
    tx.commit().await.unwrap();

    let tx = bench.begin().await;
    let (_, number, kept) = runs::find_late_answer(&tx, run.id, &task(0), None, 0).await.unwrap().unwrap();
    assert_eq!((kept.artifacts[0].id, kept.artifacts[0].bytes), (id, 300_000));
    runs::write(&tx, second.fence, Change { completed: 1, ..Change::default() }, &[], now()).await.unwrap();
    runs::insert_task(&tx, run.id, &task(0), &TaskOutcome::Answered(kept), number, now()).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(read(&bench, run.id, id).await.unwrap(), image());
    let tx = bench.begin().await;
    let settled = runs::find_task(&tx, run.id, &task(0)).await.unwrap().unwrap();
    let TaskOutcome::Answered(used) = settled.outcome else { panic!("an answer") };
    assert_eq!(used.artifacts[0].id, id);
}

async fn artifacts_go_with_their_run(fixture: &Fixture) {
    let bench = Bench::new(fixture).await;
    let (claimed, id) = answered(&bench).await;
    bench.end(claimed.fence, Ending::Cancelled).await;
    let tx = bench.begin().await;
    assert_eq!(runs::delete(&tx, claimed.run.id).await.unwrap(), DeleteOutcome::Deleted);
    tx.commit().await.unwrap();
    let tx = bench.begin().await;
    assert!(matches!(runs::read_artifact(&tx, id).await, Err(StoreError::NotFound(_))));
}
