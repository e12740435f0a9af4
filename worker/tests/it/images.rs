//! Tasks that make images, and the late answer of one.

use acm2_domain::artifact::ArtifactType;
use acm2_domain::ids::ArtifactId;
use acm2_domain::money::Usd;
use acm2_domain::run::{RunStatus, Task};
use acm2_sandbox::Event;
use acm2_store::runs;
use serde_json::json;

use crate::account::Account;
use crate::house::{House, on_both};

on_both!(
    an_image_is_kept_with_its_bytes_and_its_cost,
    a_late_image_of_a_worker_that_lost_the_run_is_used,
    many_images_at_once_are_all_made,
);

/// The image that the only artifact of a task is.
async fn image(account: &Account<'_>, run: acm2_domain::ids::RunId, task: &Task) -> (ArtifactId, Vec<u8>) {
    let [artifact] = &task.artifacts[..] else { panic!("one artifact: {task:?}") };
    let tx = account.begin().await;
    let (content_type, sha256) = runs::get_artifact(&tx, run, artifact.id).await.unwrap();
    assert_eq!((content_type, artifact.content_type), (ArtifactType::Png, ArtifactType::Png));
    let data = runs::read_artifact(&tx, artifact.id).await.unwrap();
    assert_eq!((artifact.bytes, artifact.sha256), (data.len() as u64, sha256));
    assert!(data.starts_with(b"\x89PNG") && data.ends_with(b"IEND\xaeB`\x82"));
    (artifact.id, data)
}

async fn an_image_is_kept_with_its_bytes_and_its_cost(house: &House) {
    let _worker = house.worker();
    let account = house.account_with_key().await;
    let run = account.run(json!({"prompt": "a fox", "models": ["sandbox/image"], "generator": "image"})).await;
    assert_eq!(run.status, RunStatus::Completed);
    let task = &run.results.as_ref().unwrap()[0];
    image(&account, run.id, task).await;
    let call = &house.records(Event::Answered)[0];
    let (mine, theirs) = (task.usage.unwrap(), call.usage.unwrap());
    assert_eq!((mine.output_tokens, mine.image_tokens), (theirs.output, theirs.output));
    let reported = Usd::from_pico(i64::try_from(call.cost_micro_usd.unwrap()).unwrap() * 1_000_000);
    assert_eq!(run.cost_usd, Some(reported));
}

async fn a_late_image_of_a_worker_that_lost_the_run_is_used(house: &House) {
    let _worker = house.worker();
    let account = house.account_with_key().await;
    let body = json!({"prompt": "a fox", "models": ["sandbox/image+slow-6s"], "generator": "image"});
    let run = account.submit(body).await;
    house.called("image+slow-6s").await;
    account.steal(run).await;
    let view = account.ended(run).await;
    assert_eq!((view.status, house.calls()), (RunStatus::Completed, 1));
    assert_eq!(account.attempts_of(run, 0).await, ["late"]);
    image(&account, run, &view.results.as_ref().unwrap()[0]).await;
}

/// More than there is room for at once, of two tenants.
async fn many_images_at_once_are_all_made(house: &House) {
    let _worker = house.worker();
    let (one, other) = (house.account_with_key().await, house.account_with_key().await);
    let body = json!({
        "prompt": "a fox", "models": vec!["sandbox/image+slow-250ms"; 4], "generator": "image", "iterations": 5,
        "concurrency": 20,
    });
    let runs = [(&one, one.submit(body.clone()).await), (&other, other.submit(body).await)];
    for (account, run) in runs {
        let view = account.ended(run).await;
        assert_eq!(view.status, RunStatus::Completed);
        for task in view.results.as_ref().unwrap() {
            image(account, run, task).await;
        }
    }
    assert_eq!(house.calls(), 40);
}
