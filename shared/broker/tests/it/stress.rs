//! Many claimants at once: no job is held twice, and none is lost.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use acm2_broker::dispatch::{Depth, Used};
use acm2_domain::ids::{JobId, TenantId};
use acm2_domain::job::Queue;

use crate::home::{Home, claimant, jobs};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_job_is_held_twice_or_lost_in_memory() {
    no_job_is_held_twice_or_lost(Home::memory()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_job_is_held_twice_or_lost_on_redis() {
    if let Some(home) = Home::redis().await {
        no_job_is_held_twice_or_lost(home).await;
    }
}

async fn no_job_is_held_twice_or_lost(home: Home) {
    const JOBS: usize = 600;
    let held = Arc::new(Mutex::new(HashSet::<JobId>::new()));
    let done = Arc::new(Mutex::new(HashSet::<JobId>::new()));
    for _ in 0..6 {
        home.push(&jobs(TenantId::generate(), JOBS / 6)).await;
    }
    let workers: Vec<_> = (0..8)
        .map(|number| {
            let broker = if number % 2 == 0 { home.broker.clone() } else { home.other_process() };
            let (held, done, me) = (Arc::clone(&held), Arc::clone(&done), claimant(5));
            tokio::spawn(async move {
                let queue = broker.dispatch.as_ref();
                while done.lock().unwrap().len() < JOBS {
                    let leases = queue.claim(Queue::Runs, me, 5, Duration::from_millis(50)).await.unwrap();
                    for lease in &leases {
                        assert!(held.lock().unwrap().insert(lease.job.id), "{} is held twice", lease.job.id);
                        assert!(!done.lock().unwrap().contains(&lease.job.id), "{} came back", lease.job.id);
                    }
                    for lease in leases {
                        tokio::task::yield_now().await;
                        // Before the broker is told: from then on another may have it.
                        held.lock().unwrap().remove(&lease.job.id);
                        match rand::random_range(0..4) {
                            0 => queue.give_back(&lease, Duration::ZERO, Used::default()).await.unwrap(),
                            1 => queue.give_back(&lease, Duration::from_millis(3), Used::default()).await.unwrap(),
                            _ => {
                                done.lock().unwrap().insert(lease.job.id);
                                queue.ack(&lease, Used::default()).await.unwrap();
                            }
                        }
                    }
                }
            })
        })
        .collect();
    for worker in workers {
        worker.await.unwrap();
    }
    assert_eq!(home.queue().depth(Queue::Runs).await.unwrap(), Depth::default());
}
