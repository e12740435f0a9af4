//! What only Redis can show: which keys are left, what is repaired, how large a job is, what the doctor sees.

use std::time::Duration;

use acm2_broker::dispatch::{Depth, Used};
use acm2_broker::{BrokerUrl, Severity, open};
use acm2_domain::clock::{FixedClock, SystemClock};
use acm2_domain::ids::TenantId;
use acm2_domain::job::{Job, Queue, Work};
use redis::cmd;

use crate::home::{HOUR, Home, NOW, claimant, job, jobs, of};

#[tokio::test]
async fn nothing_is_left_per_job_or_tenant_when_all_is_done() {
    let Some(home) = Home::redis().await else { return };
    let worker = claimant(50);
    for _ in 0..100 {
        home.push(&jobs(TenantId::generate(), 5)).await;
    }
    let delivery = Job { work: Work::DeliverV1(acm2_domain::ids::DeliveryId::generate()), ..job(TenantId::generate()) };
    home.queue().push(&[delivery], HOUR).await.unwrap();
    home.queue().remove(Queue::Deliveries, delivery.tenant, delivery.id).await.unwrap();
    let mut done = 0;
    while done < 500 {
        let leases = home.claim(worker, 50).await;
        home.queue().renew(&leases).await.unwrap();
        for (number, lease) in leases.iter().enumerate() {
            if number == 7 && done < 400 {
                home.queue().give_back(lease, NOW, Used::default()).await.unwrap();
            } else {
                home.queue().ack(lease, Used::default()).await.unwrap();
                done += 1;
            }
        }
    }
    let left: Vec<String> = home.keys().await;
    let mut bounded: Vec<String> =
        ["mark", "state", "workers", "wake"].map(|name| home.key(Queue::Runs, name)).to_vec();
    bounded.push(home.key(Queue::Deliveries, "wake"));
    bounded.sort();
    assert!(left.iter().all(|key| bounded.contains(key)), "{left:?}");
    let wakes: u64 = cmd("LLEN").arg(home.key(Queue::Runs, "wake")).query_async(&mut home.server()).await.unwrap();
    assert!(wakes <= 4, "{wakes} wakes");
}

#[tokio::test]
async fn an_entry_that_stands_in_no_set_is_repaired_by_a_push() {
    let Some(home) = Home::redis().await else { return };
    let lost = job(TenantId::generate());
    home.push(&[lost]).await;
    for set in [format!("ready:{}", lost.tenant), "ring".to_owned(), "state".to_owned()] {
        cmd("DEL").arg(home.key(Queue::Runs, &set)).exec_async(&mut home.server()).await.unwrap();
    }
    assert_eq!(home.claim(claimant(4), 4).await, []);
    home.push(&[lost]).await;
    let leases = home.claim(claimant(4), 4).await;
    assert_eq!(of(&leases), [lost]);
    // Lost while it was leased: the old token is worth nothing any more.
    for set in ["leases".to_owned(), format!("account:{}", lost.tenant)] {
        cmd("DEL").arg(home.key(Queue::Runs, &set)).exec_async(&mut home.server()).await.unwrap();
    }
    home.push(&[lost]).await;
    home.queue().ack(&leases[0], Used::default()).await.unwrap();
    assert_eq!(home.queue().depth(Queue::Runs).await.unwrap(), Depth { ready: 1, ..Depth::default() });
    assert_eq!(of(&home.claim(claimant(4), 4).await), [lost]);
}

#[tokio::test]
async fn a_set_that_names_a_job_without_an_entry_stops_nobody() {
    let Some(home) = Home::redis().await else { return };
    let tenant = TenantId::generate();
    let [first, second, third] = [job(tenant), job(tenant), job(tenant)];
    home.push(&[first, second]).await;
    home.queue().push(&[third], Duration::from_millis(1)).await.unwrap();
    for gone in [first, third] {
        let key = home.key(Queue::Runs, &format!("job:{}", gone.id));
        cmd("DEL").arg(key).exec_async(&mut home.server()).await.unwrap();
    }
    home.pass(HOUR).await;
    assert_eq!(of(&home.claim(claimant(10), 10).await), [second]);
}

#[tokio::test]
async fn a_job_of_a_later_version_is_left_to_others() {
    let Some(home) = Home::redis().await else { return };
    let tenant = TenantId::generate();
    let [strange, known] = [job(tenant), job(tenant)];
    home.push(&[strange, known]).await;
    let key = home.key(Queue::Runs, &format!("job:{}", strange.id));
    cmd("HSET").arg(&key).arg("kind").arg("run_v9").exec_async(&mut home.server()).await.unwrap();
    assert_eq!(of(&home.claim(claimant(10), 10).await), [known]);
    assert_eq!(home.queue().depth(Queue::Runs).await.unwrap().leased, 2);
    home.pass(home.options.lease).await;
    cmd("HSET").arg(&key).arg("kind").arg("run_v1").exec_async(&mut home.server()).await.unwrap();
    assert_eq!(of(&home.claim(claimant(10), 10).await), [strange, known]);
}

#[tokio::test]
async fn scripts_are_loaded_again_when_the_server_forgot_them() {
    let Some(home) = Home::redis().await else { return };
    cmd("SCRIPT").arg("FLUSH").exec_async(&mut home.server()).await.unwrap();
    home.push(&[job(TenantId::generate())]).await;
    assert_eq!(home.claim(claimant(10), 10).await.len(), 1);
}

#[tokio::test]
async fn ten_thousand_jobs_take_few_bytes_each() {
    const JOBS: usize = 10_000;
    let Some(home) = Home::redis().await else { return };
    let pushed = jobs(TenantId::generate(), JOBS);
    home.push(&pushed).await;
    let usage = async |name: String| -> usize {
        let mut command = cmd("MEMORY");
        command.arg("USAGE").arg(home.key(Queue::Runs, &name)).arg("SAMPLES").arg(0);
        command.query_async(&mut home.server()).await.unwrap()
    };
    let entry = usage(format!("job:{}", pushed[0].id)).await;
    let place = usage(format!("ready:{}", pushed[0].tenant)).await / JOBS;
    println!("bytes per queued job: {entry} for the entry, {place} for its place, {} in all", entry + place);
    assert!(entry + place < 2_048, "a job costs {entry} + {place} bytes: its payload must be ids only");
}

#[tokio::test]
async fn a_server_that_keeps_nothing_on_disk_is_a_warning() {
    let Some(home) = Home::redis().await else { return };
    let appends: (String, String) =
        cmd("CONFIG").arg("GET").arg("appendonly").query_async(&mut home.server()).await.unwrap();
    let findings = home.broker.diagnose(&SystemClock).await;
    assert!(findings.iter().all(|finding| finding.severity == Severity::Warning), "{findings:?}");
    let told = findings.iter().any(|finding| finding.text.contains("appendonly"));
    assert_eq!(told, appends.1 == "no", "{findings:?}");
}

#[tokio::test]
async fn a_clock_that_is_wrong_is_a_warning() {
    let Some(home) = Home::redis().await else { return };
    let clock = FixedClock::new(chrono::DateTime::from_timestamp(1_000_000_000, 0).unwrap());
    let findings = home.broker.diagnose(&clock).await;
    assert!(findings.iter().any(|finding| finding.text.contains("ahead of this machine's")), "{findings:?}");
}

#[tokio::test]
async fn the_doctor_has_nothing_to_say_about_memory() {
    assert_eq!(Home::memory().broker.diagnose(&SystemClock).await, []);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_one_error_without_the_password() {
    let url: BrokerUrl = "redis://:hunter2@127.0.0.1:1".parse().unwrap();
    let broker = open(&url, Home::memory().options.clone()).unwrap();
    let findings = broker.diagnose(&SystemClock).await;
    assert_eq!(findings.len(), 1);
    assert_eq!(findings[0].severity, Severity::Error);
    let error = broker.dispatch.ping().await.unwrap_err();
    let shown = format!("{findings:?} {error} {error:?} {url} {url:?} {broker:?}");
    assert!(!shown.contains("hunter2"), "{shown}");
}
