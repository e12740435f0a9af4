//! Webhooks under stress: receivers that fail in every way, three days of schedule, one that hangs beside others, workers that
//! die. Whatever happens, every delivery comes at least once, under its id and with its bytes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use acm2_domain::clock::{Clock, FixedClock};
use acm2_domain::ids::{DeliveryId, JobId, WebhookEndpointId};
use acm2_domain::job::{Job, Queue, Work};
use acm2_domain::run::EventType::RunCompleted;
use acm2_domain::timing::Timing;
use acm2_store::deliveries::{self, DeliveryRow, DeliveryStatus};
use acm2_store::webhook_endpoints;
use chrono::{DateTime, TimeDelta, Utc};

use crate::account::Account;
use crate::house::{House, eventually, now, on_both};
use crate::process::{Start, Worker};
use crate::receiver::{Receiver, Reply};

on_both!(
    a_receiver_that_fails_in_every_way_gets_its_webhook_in_the_end,
    a_receiver_that_was_not_there_gets_its_webhook_when_it_is,
    the_schedule_lasts_for_three_days_and_then_the_delivery_has_failed,
    an_endpoint_that_fails_for_five_days_is_switched_off,
    a_success_in_between_begins_the_five_days_anew,
    a_receiver_that_hangs_delays_no_other,
    deliveries_amid_dying_workers_come_at_least_once,
);

/// Retries come soon; a receiver may ask for up to ten seconds.
fn quick(house: &House) -> Timing {
    let mut delays = vec![Duration::from_millis(50); 8];
    delays.push(Duration::from_secs(10));
    Timing { delivery_delays: delays, delivery_timeout: Duration::from_secs(2), ..house.timing.clone() }
}

async fn endpoint(account: &Account<'_>, receivers: &[&Receiver]) -> Vec<WebhookEndpointId> {
    let hosts: Vec<_> = receivers.iter().map(|receiver| receiver.address.to_string()).collect();
    account.house.store.tenants().set_private_hosts(account.id, &hosts).await.unwrap();
    let mut ids = Vec::new();
    for receiver in receivers {
        ids.push(account.add_endpoint(&receiver.url(), &[RunCompleted]).await.0);
    }
    ids
}

/// Writes a delivery and its job, as the end of a run does.
async fn deliver(account: &Account<'_>, to: WebhookEndpointId, url: &str, at: DateTime<Utc>) -> DeliveryId {
    let payload = format!("{{\"type\":\"run.completed\",\"for\":\"{to}\"}}");
    let tx = account.begin().await;
    let id = deliveries::insert(&tx, Some(to), None, "run.completed", url, payload, at).await.unwrap();
    tx.commit().await.unwrap();
    let job = job_of(account, id);
    account.house.store.jobs().insert(&job, account.house.timing.job_due, None).await.unwrap();
    account.push(job).await;
    id
}

fn job_of(account: &Account<'_>, delivery: DeliveryId) -> Job {
    Job {
        id: JobId::from(delivery.uuid()),
        tenant: account.id,
        work: Work::DeliverV1(delivery),
        priority: 0,
        weight: None,
    }
}

async fn look(account: &Account<'_>, delivery: DeliveryId) -> DeliveryRow {
    deliveries::find(&account.begin().await, delivery).await.unwrap().unwrap()
}

async fn delivered(account: &Account<'_>, delivery: DeliveryId) {
    eventually("it is delivered", async || look(account, delivery).await.status == DeliveryStatus::Delivered).await;
}

async fn a_receiver_that_fails_in_every_way_gets_its_webhook_in_the_end(house: &House) {
    let _worker = Worker::start(house, Start { timing: quick(house), ..Start::of(house) });
    let account = house.account().await;
    let date = |at: DateTime<Utc>| at.format("%a, %d %b %Y %H:%M:%S GMT").to_string();
    let dates = format!("date: {}\r\nretry-after: {}\r\n", date(now()), date(now() + TimeDelta::seconds(2)));
    let receiver = Receiver::start_with([
        Reply::Status(500),
        Reply::With(429, "retry-after: 1\r\n".to_owned()),
        Reply::Cut,
        Reply::With(503, dates),
        Reply::Hang,
        Reply::With(301, "location: http://127.0.0.1:1/\r\n".to_owned()),
        Reply::With(503, "retry-after: soon\r\n".to_owned()),
    ])
    .await;
    let id = endpoint(&account, &[&receiver]).await[0];
    let delivery = deliver(&account, id, &receiver.url(), now()).await;
    delivered(&account, delivery).await;

    let row = look(&account, delivery).await;
    let attempts = account.delivery_attempts(&row).await;
    let codes: Vec<_> = attempts.iter().map(|attempt| attempt.status_code).collect();
    assert_eq!(codes, [Some(500), Some(429), None, Some(503), None, Some(301), Some(503), Some(200)]);
    assert!(attempts.iter().all(|attempt| attempt.error.is_some() == (attempt.status_code != Some(200))));
    let waited: Vec<_> = attempts.windows(2).map(|pair| (pair[1].at - pair[0].at).num_milliseconds()).collect();
    eprintln!("milliseconds between the tries: {waited:?}");
    assert!(waited[1] >= 1_000 && waited[3] >= 2_000 && waited[4] >= 2_000, "{waited:?}");
    let came = receiver.came();
    assert_eq!(came.len(), 8);
    assert!(came.iter().all(|came| came.id() == delivery.to_string() && came.body == row.payload.as_bytes()));
    let endpoint = webhook_endpoints::get(&account.begin().await, id).await.unwrap();
    assert!(endpoint.is_enabled && endpoint.first_failure_at.is_none());
    house.idle().await;
}

async fn a_receiver_that_was_not_there_gets_its_webhook_when_it_is(house: &House) {
    let _worker = Worker::start(house, Start { timing: quick(house), ..Start::of(house) });
    let account = house.account().await;
    let gone = Receiver::start(&[]).await;
    let (address, url) = (gone.address.to_string(), gone.url());
    let id = endpoint(&account, &[&gone]).await[0];
    drop(gone);
    // The port is free once the server's task is gone.
    eventually("nobody listens", async || tokio::net::TcpStream::connect(&address).await.is_err()).await;
    let delivery = deliver(&account, id, &url, now()).await;
    eventually("it is tried in vain", async || look(&account, delivery).await.attempts >= 2).await;
    let receiver = Receiver::start_at(&address, [], Duration::ZERO).await;
    delivered(&account, delivery).await;
    assert_eq!(receiver.came().len(), 1);
    let attempts = account.delivery_attempts(&look(&account, delivery).await).await;
    assert!(attempts[0].error.as_ref().unwrap().contains("no connection"), "{attempts:?}");
}

/// A worker whose clock stands still, with the real schedule but for its first `left_out` delays.
fn at_rest(house: &House, clock: &Arc<FixedClock>, left_out: usize) -> Worker {
    let real = Timing::default();
    let timing = Timing {
        delivery_delays: real.delivery_delays[left_out..].to_vec(),
        endpoint_disable: real.endpoint_disable,
        ..house.timing.clone()
    };
    Worker::start(house, Start { timing, clock: Arc::clone(clock) as _, ..Start::of(house) })
}

/// Makes the job ready now, wherever it waits, as the sweeper does when it is due.
async fn wake(account: &Account<'_>, delivery: DeliveryId) {
    let job = job_of(account, delivery);
    let dispatch = &account.house.broker.dispatch;
    dispatch.remove(Queue::Deliveries, account.id, job.id).await.unwrap();
    account.push(job).await;
}

/// The delivery once so many tries have failed, and its job has been given back or is done.
async fn failed(account: &Account<'_>, delivery: DeliveryId, tries: usize) -> DeliveryRow {
    let dispatch = &account.house.broker.dispatch;
    eventually(&format!("try {tries} is recorded"), async || {
        let row = look(account, delivery).await;
        let depth = dispatch.depth(Queue::Deliveries).await.unwrap();
        account.delivery_attempts(&row).await.len() == tries && (depth.leased, depth.ready) == (0, 0)
    })
    .await;
    look(account, delivery).await
}

async fn the_schedule_lasts_for_three_days_and_then_the_delivery_has_failed(house: &House) {
    let clock = Arc::new(FixedClock::new(now()));
    let _worker = at_rest(house, &clock, 0);
    let account = house.account().await;
    let receiver = Receiver::start(&[500; 20]).await;
    let id = endpoint(&account, &[&receiver]).await[0];
    let began = clock.now();
    let delivery = deliver(&account, id, &receiver.url(), began).await;
    let hours = |hours: u64| Duration::from_hours(hours);
    let schedule = [
        Duration::from_secs(5),
        Duration::from_mins(5),
        Duration::from_mins(30),
        hours(2),
        hours(5),
        hours(10),
        hours(14),
        hours(20),
        hours(24),
    ];
    for (index, delay) in schedule.into_iter().enumerate() {
        let row = failed(&account, delivery, index + 1).await;
        assert_eq!((row.status, row.attempts), (DeliveryStatus::Pending, u32::try_from(index + 1).unwrap()));
        let wait = (row.next_attempt_at - clock.now()).to_std().unwrap();
        assert!(delay <= wait && wait <= delay + delay / 10, "after try {}: {wait:?}", index + 1);
        // Not a moment before its time, whoever asks.
        clock.advance(TimeDelta::from_std(wait).unwrap() - TimeDelta::milliseconds(500));
        wake(&account, delivery).await;
        failed(&account, delivery, index + 1).await;
        assert_eq!(receiver.came().len(), index + 1);
        clock.advance(TimeDelta::milliseconds(500));
        wake(&account, delivery).await;
    }
    failed(&account, delivery, 10).await;
    house.idle().await;
    let row = look(&account, delivery).await;
    assert_eq!((row.status, row.finished_at), (DeliveryStatus::Failed, Some(clock.now())));
    let lasted = (clock.now() - began).num_hours();
    assert!((75..=84).contains(&lasted), "{lasted} hours");
    let came = receiver.came();
    assert!(came.len() == 10 && came.iter().all(|came| came.id() == delivery.to_string()));
    assert!(webhook_endpoints::get(&account.begin().await, id).await.unwrap().is_enabled, "not for three days alone");
}

async fn an_endpoint_that_fails_for_five_days_is_switched_off(house: &House) {
    let clock = Arc::new(FixedClock::new(now()));
    let _worker = at_rest(house, &clock, 0);
    let account = house.account().await;
    let receiver = Receiver::start(&[500; 20]).await;
    let id = endpoint(&account, &[&receiver]).await[0];
    let is_enabled = async || webhook_endpoints::get(&account.begin().await, id).await.unwrap().is_enabled;
    let first = deliver(&account, id, &receiver.url(), clock.now()).await;
    failed(&account, first, 1).await;
    clock.advance(TimeDelta::days(5) - TimeDelta::seconds(1));
    let second = deliver(&account, id, &receiver.url(), clock.now()).await;
    failed(&account, second, 1).await;
    assert!(is_enabled().await, "a second is missing");
    clock.advance(TimeDelta::seconds(1));
    let third = deliver(&account, id, &receiver.url(), clock.now()).await;
    failed(&account, third, 1).await;
    let endpoint = webhook_endpoints::get(&account.begin().await, id).await.unwrap();
    assert!(!endpoint.is_enabled, "five days have passed");
    assert_eq!(endpoint.disabled_reason.as_deref(), Some("it failed for too long without a success"));
    // What still waits is given up with its reason, and nothing more is sent.
    let sent = receiver.came().len();
    clock.advance(TimeDelta::days(1));
    wake(&account, first).await;
    eventually("it is given up", async || look(&account, first).await.status == DeliveryStatus::Failed).await;
    let attempts = account.delivery_attempts(&look(&account, first).await).await;
    assert!(attempts.last().unwrap().error.as_ref().unwrap().contains("disabled"), "{attempts:?}");
    assert_eq!(receiver.came().len(), sent);
}

async fn a_success_in_between_begins_the_five_days_anew(house: &House) {
    let clock = Arc::new(FixedClock::new(now()));
    // The first delay is so short that it may pass in real time: its retry would take the reply to another delivery.
    let _worker = at_rest(house, &clock, 1);
    let account = house.account().await;
    let receiver = Receiver::start(&[500, 200, 500]).await;
    let id = endpoint(&account, &[&receiver]).await[0];
    for day in 0..3 {
        let delivery = deliver(&account, id, &receiver.url(), clock.now()).await;
        if day == 1 {
            delivered(&account, delivery).await;
        } else {
            failed(&account, delivery, 1).await;
        }
        clock.advance(TimeDelta::days(3));
    }
    let endpoint = webhook_endpoints::get(&account.begin().await, id).await.unwrap();
    assert!(endpoint.is_enabled);
    assert_eq!(endpoint.first_failure_at, Some(clock.now() - TimeDelta::days(3)));
}

async fn a_receiver_that_hangs_delays_no_other(house: &House) {
    // So patient that a place at the one that hangs never becomes free.
    let timing = Timing { delivery_timeout: Duration::from_hours(1), ..house.timing.clone() };
    let _worker = Worker::start(house, Start { timing, ..Start::of(house) });
    let (account, other) = (house.account().await, house.account().await);
    let (hangs, good) = (Receiver::start_with(vec![Reply::Hang; 200]).await, Receiver::start(&[]).await);
    let [bad_id, good_id] = endpoint(&account, &[&hangs, &good]).await[..] else { panic!("two endpoints") };
    let other_id = endpoint(&other, &[&good]).await[0];
    let mut waiting = Vec::new();
    for _ in 0..100 {
        waiting.push(deliver(&account, bad_id, &hangs.url(), now()).await);
    }
    eventually("it hangs", async || hangs.came().len() == 2).await;
    let began = std::time::Instant::now();
    for _ in 0..10 {
        let same = deliver(&account, good_id, &good.url(), now()).await;
        let others = deliver(&other, other_id, &good.url(), now()).await;
        delivered(&account, same).await;
        delivered(&other, others).await;
    }
    eprintln!("20 deliveries beside 100 to one that hangs took {:?}", began.elapsed());
    assert_eq!(hangs.connections(), 2, "a quarter of the worker's 8 places");
    for delivery in waiting {
        assert_eq!(look(&account, delivery).await.status, DeliveryStatus::Pending, "nothing is given up for it");
    }
}

async fn deliveries_amid_dying_workers_come_at_least_once(house: &House) {
    let start = || Worker::start(house, Start { timing: quick(house), ..Start::of(house) });
    let mut worker = start();
    let account = house.account().await;
    let flapping = (0..40).map(|number| Reply::Status(if number % 3 == 0 { 503 } else { 200 }));
    let receiver = Receiver::start_at("127.0.0.1:0", flapping, Duration::from_millis(150)).await;
    let id = endpoint(&account, &[&receiver]).await[0];
    let mut made = BTreeSet::new();
    for _ in 0..40 {
        made.insert(deliver(&account, id, &receiver.url(), now()).await.to_string());
    }
    for kill in 1..4 {
        eventually("it delivers", async || receiver.came().len() >= kill * 8).await;
        worker.kill();
        worker = start();
    }
    eventually("all are delivered", async || {
        account.deliveries().await.iter().all(|row| row.status == DeliveryStatus::Delivered)
    })
    .await;
    let mut came = BTreeMap::<String, usize>::new();
    for one in receiver.came() {
        *came.entry(one.id().to_owned()).or_default() += 1;
    }
    eprintln!("{} webhooks came for {} deliveries", came.values().sum::<usize>(), made.len());
    assert_eq!(came.into_keys().collect::<BTreeSet<_>>(), made);
    drop(worker);
}
