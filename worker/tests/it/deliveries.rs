//! Webhooks: what a receiver gets, when it gets it again, and when no more.

use std::time::Duration;

use acm2_domain::job::Job;
use acm2_domain::run::EventType::{self, RunCompleted, RunStarted};
use acm2_domain::run::RunStatus;
use acm2_domain::timing::Timing;
use acm2_store::deliveries::{self, DeliveryStatus};
use acm2_store::webhook_endpoints;
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use standardwebhooks::Webhook;

use crate::account::Account;
use crate::house::{House, eventually, now, on_both};
use crate::process::{Start, Worker};
use crate::receiver::{Came, Receiver};

on_both!(
    a_signed_webhook_tells_of_the_end,
    the_beginning_is_told_to_those_who_ask,
    a_delivery_that_failed_comes_again_under_its_id,
    a_receiver_that_is_gone_is_sent_nothing_more,
    a_private_address_that_is_not_listed_is_not_connected_to,
    a_redelivery_during_a_try_is_not_lost,
    a_redelivery_that_is_committed_while_its_job_ends_keeps_it,
    a_dead_workers_delivery_is_made_by_another,
);

/// Lists the receiver for the tenant and stores an endpoint there.
async fn listen(
    account: &Account<'_>,
    receiver: &Receiver,
    events: &[EventType],
) -> (acm2_domain::ids::WebhookEndpointId, SecretString) {
    let hosts = [receiver.address.to_string()];
    account.house.store.tenants().set_private_hosts(account.id, &hosts).await.unwrap();
    account.add_endpoint(&receiver.url(), events).await
}

fn verify(secret: &SecretString, came: &Came) {
    Webhook::new(secret.expose_secret()).unwrap().verify(&came.body, &came.headers).unwrap();
}

async fn finished(account: &Account<'_>, count: usize) {
    eventually("the deliveries are finished", async || {
        let rows = account.deliveries().await;
        rows.len() == count && rows.iter().all(|row| row.status != DeliveryStatus::Pending)
    })
    .await;
}

fn echo() -> serde_json::Value {
    json!({"prompt": "hi", "models": ["sandbox/echo"]})
}

async fn a_signed_webhook_tells_of_the_end(house: &House) {
    let _worker = house.worker();
    let (account, receiver) = (house.account_with_key().await, Receiver::start(&[]).await);
    let (_, secret) = listen(&account, &receiver, &[RunCompleted]).await;
    let run = account.run(echo()).await;
    finished(&account, 1).await;
    let came = receiver.came();
    assert_eq!(came.len(), 1);
    verify(&secret, &came[0]);
    let delivery = &account.deliveries().await[0];
    assert_eq!((came[0].id(), delivery.status), (delivery.id.to_string().as_str(), DeliveryStatus::Delivered));
    assert_eq!(came[0].body, delivery.payload.as_bytes());
    let payload = came[0].json();
    assert_eq!(
        (payload["type"].as_str(), payload["data"]["id"].as_str()),
        (Some("run.completed"), Some(run.id.to_string().as_str()))
    );
    assert_eq!(payload["data"]["results"][0]["text"], "Echo: hi");
    let attempts = account.delivery_attempts(delivery).await;
    assert_eq!((attempts.len(), attempts[0].status_code, attempts[0].excerpt.as_deref()), (1, Some(200), None));
    house.idle().await;
}

async fn the_beginning_is_told_to_those_who_ask(house: &House) {
    let _worker = house.worker();
    let (account, receiver) = (house.account_with_key().await, Receiver::start(&[]).await);
    let (_, secret) = listen(&account, &receiver, &[RunStarted]).await;
    let run = account.submit(json!({"prompt": "hi", "models": ["sandbox/slow-10s"]})).await;
    eventually("the webhook comes", async || receiver.came().len() == 1).await;
    assert_eq!(account.row(run).await.status, RunStatus::Running, "it comes before the end");
    verify(&secret, &receiver.came()[0]);
    assert_eq!(receiver.came()[0].json()["type"], "run.started");
    account.ended(run).await;
    account.no_jobs(run).await;
    house.idle().await;
    assert_eq!(receiver.came().len(), 1);
}

async fn a_delivery_that_failed_comes_again_under_its_id(house: &House) {
    let _worker = house.worker();
    let (account, receiver) = (house.account_with_key().await, Receiver::start(&[500, 200]).await);
    let (id, secret) = listen(&account, &receiver, &[RunCompleted]).await;
    account.run(echo()).await;
    finished(&account, 1).await;
    let came = receiver.came();
    assert_eq!(came.len(), 2);
    assert_eq!((came[0].id(), &came[0].body), (came[1].id(), &came[1].body));
    for came in &came {
        verify(&secret, came);
    }
    let delivery = &account.deliveries().await[0];
    let attempts = account.delivery_attempts(delivery).await;
    let codes: Vec<_> = attempts.iter().map(|attempt| (attempt.number, attempt.status_code)).collect();
    assert_eq!((codes, delivery.status), (vec![(1, Some(500)), (2, Some(200))], DeliveryStatus::Delivered));
    let waited = (attempts[1].at - attempts[0].at).to_std().unwrap();
    assert!(waited >= house.timing.delivery_delays[0], "{waited:?}");
    let endpoint = webhook_endpoints::get(&account.begin().await, id).await.unwrap();
    assert!(endpoint.is_enabled && endpoint.first_failure_at.is_none());
    house.idle().await;
}

async fn a_receiver_that_is_gone_is_sent_nothing_more(house: &House) {
    let _worker = house.worker();
    let (account, receiver) = (house.account_with_key().await, Receiver::start(&[410]).await);
    let (id, _) = listen(&account, &receiver, &[RunCompleted]).await;
    account.run(echo()).await;
    finished(&account, 1).await;
    assert_eq!(account.deliveries().await[0].status, DeliveryStatus::Failed);
    let endpoint = webhook_endpoints::get(&account.begin().await, id).await.unwrap();
    assert!(!endpoint.is_enabled && endpoint.disabled_reason.is_some());
    let second = account.run(echo()).await;
    account.no_jobs(second.id).await;
    house.idle().await;
    assert_eq!((receiver.came().len(), account.deliveries().await.len()), (1, 1));
}

async fn a_private_address_that_is_not_listed_is_not_connected_to(house: &House) {
    let _worker = house.worker();
    let (account, receiver) = (house.account_with_key().await, Receiver::start(&[]).await);
    account.add_endpoint(&receiver.url(), &[RunCompleted]).await;
    let run = account.run(echo()).await;
    assert_eq!(run.status, RunStatus::Completed, "a run does not depend on its webhooks");
    eventually("the attempt is recorded", async || account.deliveries().await[0].attempts >= 1).await;
    let delivery = &account.deliveries().await[0];
    assert_eq!(delivery.status, DeliveryStatus::Pending);
    let attempts = account.delivery_attempts(delivery).await;
    assert!(attempts[0].status_code.is_none() && attempts[0].error.is_some(), "{attempts:?}");
    assert_eq!(receiver.connections(), 0);
}

/// The api's part of a redelivery falls between the worker's try and its note of it: the try's job is all the redelivery has.
async fn a_redelivery_during_a_try_is_not_lost(house: &House) {
    let timing = Timing { delivery_timeout: Duration::from_mins(1), ..house.timing.clone() };
    let _worker = Worker::start(house, Start { timing, ..Start::of(house) });
    let account = house.account_with_key().await;
    let receiver = Receiver::start_slowly(&[], Duration::from_secs(5)).await;
    listen(&account, &receiver, &[RunCompleted]).await;
    account.run(echo()).await;
    eventually("the first try is under way", async || receiver.came().len() == 1).await;
    let delivery = account.deliveries().await[0].id;
    let tx = account.begin().await;
    assert!(deliveries::redeliver(&tx, delivery, now()).await.unwrap());
    tx.commit().await.unwrap();
    finished(&account, 1).await;
    let ids: Vec<_> = receiver.came().iter().map(|came| came.id().to_owned()).collect();
    assert_eq!(ids, [delivery.to_string(), delivery.to_string()]);
    house.idle().await;
}

async fn a_redelivery_that_is_committed_while_its_job_ends_keeps_it(house: &House) {
    let _worker = house.worker();
    let (account, receiver) = (house.account_with_key().await, Receiver::start(&[]).await);
    listen(&account, &receiver, &[RunCompleted]).await;
    account.run(echo()).await;
    finished(&account, 1).await;
    house.idle().await;
    // As the api does it, which dies after the commit.
    let delivery = account.deliveries().await[0].id;
    let tx = account.begin().await;
    assert!(deliveries::redeliver(&tx, delivery, now()).await.unwrap());
    let job = Job::of_delivery(account.id, delivery);
    house.store.jobs().insert(&job, house.timing.job_due, None).await.unwrap();
    account.push(job).await;
    // Meanwhile a worker comes upon the job and sees a delivery that is through.
    tokio::time::sleep(house.timing.claim_wait * 3).await;
    tx.commit().await.unwrap();
    eventually("it is sent again", async || receiver.came().len() == 2).await;
    finished(&account, 1).await;
    house.idle().await;
}

async fn a_dead_workers_delivery_is_made_by_another(house: &House) {
    // So patient that only the worker's death ends the first try.
    let timing = Timing { delivery_timeout: Duration::from_hours(1), ..house.timing.clone() };
    let first = Worker::start(house, Start { timing, ..Start::of(house) });
    let account = house.account_with_key().await;
    let receiver = Receiver::start_slowly(&[], Duration::from_secs(5)).await;
    listen(&account, &receiver, &[RunCompleted]).await;
    account.run(echo()).await;
    eventually("the first try is under way", async || receiver.came().len() == 1).await;
    first.kill();
    let timing = Timing { delivery_timeout: Duration::from_mins(1), ..house.timing.clone() };
    let _second = Worker::start(house, Start { timing, ..Start::of(house) });
    finished(&account, 1).await;
    let delivery = &account.deliveries().await[0];
    assert_eq!((delivery.status, receiver.came().len()), (DeliveryStatus::Delivered, 2));
    assert_eq!(account.delivery_attempts(delivery).await.len(), 1, "the dead worker noted nothing");
}
