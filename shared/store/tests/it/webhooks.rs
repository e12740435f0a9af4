//! Webhook endpoints and the tenant's default signing secret.

use acm2_domain::ids::WebhookEndpointId;
use acm2_domain::run::EventType;
use acm2_domain::webhook::PayloadStyle;
use acm2_store::webhook_endpoints::{
    NewWebhookEndpoint, PreviousSecret, WebhookEndpointChange, delete, disable, get, insert, list, list_for_event,
    record_failure, record_success, rotate_secret, update,
};
use acm2_store::{TenantTx, webhook_secret};
use chrono::TimeDelta;

use crate::fixture::{Fixture, is_not_found, now, on_both};

on_both!(
    an_endpoint_reads_back_whole_and_changes_as_told,
    only_enabled_endpoints_that_subscribed_hear_of_an_event,
    an_endpoint_that_fails_for_long_is_switched_off_once,
    a_success_forgets_failures,
    of_two_rotations_at_once_the_second_is_a_conflict,
    the_default_secret_is_made_once_and_rotates,
    endpoints_are_listed_newest_first_in_pages,
);

fn new_endpoint() -> NewWebhookEndpoint {
    NewWebhookEndpoint {
        id: WebhookEndpointId::generate(),
        url: "https://example.org/hooks".into(),
        description: String::new(),
        events: vec![EventType::RunCompleted, EventType::RunFailed],
        payload_style: PayloadStyle::Thin,
        secret: vec![1; 40],
    }
}

async fn begin(fixture: &Fixture) -> TenantTx {
    fixture.store.tenant(fixture.new_tenant().await).begin().await.unwrap()
}

async fn an_endpoint_reads_back_whole_and_changes_as_told(fixture: &Fixture) {
    let tx = begin(fixture).await;
    let new = new_endpoint();
    let made = insert(&tx, new.clone(), now()).await.unwrap();
    assert!(made.is_enabled);
    assert_eq!((&made.url, &made.events, made.payload_style), (&new.url, &new.events, PayloadStyle::Thin));
    let change = WebhookEndpointChange {
        events: Some(vec![EventType::RunStarted]),
        payload_style: Some(PayloadStyle::Full),
        ..WebhookEndpointChange::default()
    };
    let later = now() + TimeDelta::seconds(5);
    let changed = update(&tx, made.id, change, later).await.unwrap();
    assert_eq!((&changed.url, changed.payload_style, changed.updated_at), (&new.url, PayloadStyle::Full, later));
    assert_eq!(changed.events, [EventType::RunStarted]);
    delete(&tx, made.id).await.unwrap();
    assert!(is_not_found(&get(&tx, made.id).await));
    assert!(is_not_found(&delete(&tx, made.id).await));
    assert!(is_not_found(&update(&tx, made.id, WebhookEndpointChange::default(), now()).await));
}

async fn only_enabled_endpoints_that_subscribed_hear_of_an_event(fixture: &Fixture) {
    let tx = begin(fixture).await;
    let hears = insert(&tx, new_endpoint(), now()).await.unwrap();
    let off = insert(&tx, new_endpoint(), now()).await.unwrap();
    assert!(disable(&tx, off.id, "the endpoint answered 410", now()).await.unwrap());
    assert!(!disable(&tx, off.id, "again", now()).await.unwrap());
    assert_eq!(get(&tx, off.id).await.unwrap().disabled_reason.as_deref(), Some("the endpoint answered 410"));
    insert(&tx, NewWebhookEndpoint { events: vec![EventType::RunStarted], ..new_endpoint() }, now()).await.unwrap();
    let listed = list_for_event(&tx, EventType::RunCompleted).await.unwrap();
    assert_eq!(listed, [hears]);
    let on = WebhookEndpointChange { is_enabled: Some(true), ..WebhookEndpointChange::default() };
    assert_eq!(update(&tx, off.id, on, now()).await.unwrap().disabled_reason, None);
    assert_eq!(list_for_event(&tx, EventType::RunCompleted).await.unwrap().len(), 2);
}

async fn an_endpoint_that_fails_for_long_is_switched_off_once(fixture: &Fixture) {
    let tx = begin(fixture).await;
    let id = insert(&tx, new_endpoint(), now()).await.unwrap().id;
    let (start, limit) = (now(), TimeDelta::days(5));
    assert!(!record_failure(&tx, id, start, limit).await.unwrap());
    assert!(!record_failure(&tx, id, start + TimeDelta::days(4), limit).await.unwrap());
    assert_eq!(get(&tx, id).await.unwrap().first_failure_at, Some(start));
    assert!(record_failure(&tx, id, start + limit, limit).await.unwrap());
    assert!(!record_failure(&tx, id, start + limit, limit).await.unwrap());
    let row = get(&tx, id).await.unwrap();
    assert!(!row.is_enabled && row.disabled_reason.is_some());
}

async fn a_success_forgets_failures(fixture: &Fixture) {
    let tx = begin(fixture).await;
    let id = insert(&tx, new_endpoint(), now()).await.unwrap().id;
    let (start, limit) = (now(), TimeDelta::days(5));
    record_failure(&tx, id, start, limit).await.unwrap();
    record_success(&tx, id).await.unwrap();
    assert_eq!(get(&tx, id).await.unwrap().first_failure_at, None);
    assert!(!record_failure(&tx, id, start + limit, limit).await.unwrap());
    assert!(get(&tx, id).await.unwrap().is_enabled);
}

async fn of_two_rotations_at_once_the_second_is_a_conflict(fixture: &Fixture) {
    let tx = begin(fixture).await;
    let read = insert(&tx, new_endpoint(), now()).await.unwrap();
    let previous = PreviousSecret { sealed: vec![9; 40], until: now() + TimeDelta::hours(24) };
    let rotated = rotate_secret(&tx, &read, vec![2; 40], Some(previous.clone()), now()).await.unwrap();
    assert_eq!((&rotated.secret, &rotated.previous_secret), (&vec![2; 40], &Some(previous.clone())));
    let second = rotate_secret(&tx, &read, vec![3; 40], Some(previous.clone()), now()).await;
    assert!(second.unwrap_err().is_conflict());
    assert_eq!(get(&tx, read.id).await.unwrap().secret, vec![2; 40]);
    delete(&tx, read.id).await.unwrap();
    assert!(is_not_found(&rotate_secret(&tx, &rotated, vec![4; 40], Some(previous), now()).await));
}

async fn the_default_secret_is_made_once_and_rotates(fixture: &Fixture) {
    let tx = begin(fixture).await;
    assert!(webhook_secret::find(&tx).await.unwrap().is_none());
    let made = webhook_secret::find_or_insert(&tx, vec![1; 40], now()).await.unwrap();
    assert_eq!(webhook_secret::find_or_insert(&tx, vec![2; 40], now()).await.unwrap(), made);
    assert_eq!((&made.sealed, &made.previous), (&vec![1; 40], &None));
    let previous = PreviousSecret { sealed: vec![9; 40], until: now() + TimeDelta::hours(24) };
    webhook_secret::rotate(&tx, &made, vec![3; 40], Some(previous.clone())).await.unwrap();
    let rotated = webhook_secret::find(&tx).await.unwrap().unwrap();
    assert_eq!((&rotated.sealed, &rotated.previous), (&vec![3; 40], &Some(previous.clone())));
    assert!(webhook_secret::rotate(&tx, &made, vec![4; 40], Some(previous)).await.unwrap_err().is_conflict());
}

async fn endpoints_are_listed_newest_first_in_pages(fixture: &Fixture) {
    let tx = begin(fixture).await;
    let mut made = Vec::new();
    for _ in 0..3 {
        made.push(insert(&tx, new_endpoint(), now()).await.unwrap());
    }
    let first = list(&tx, None, 2).await.unwrap();
    assert_eq!(first, [made[2].clone(), made[1].clone()]);
    assert_eq!(list(&tx, Some(first[1].id), 2).await.unwrap(), [made[0].clone()]);
}
