//! What `consume` promises, against a broker that fails and lies.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use acm2_broker::dispatch::Renewal;
use futures_util::FutureExt;
use futures_util::stream;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::fake::Fake;
use super::*;

const QUICK: Duration = Duration::from_millis(20);
const LONG: Duration = Duration::from_secs(30);

fn options(permits: usize) -> ConsumerOptions {
    let timing = Timing {
        claim_retry: QUICK,
        lease: LONG,
        lease_renew: QUICK,
        claim_wait: QUICK,
        broker_retry: QUICK / 4,
        shutdown_grace: LONG,
        ..Timing::default()
    };
    ConsumerOptions { worker: WorkerId::generate(), queue: Queue::Deliveries, permits, timing, liveness: None }
}

/// A handler made of a function.
struct Do<F>(F);

impl<F: Fn(Job, Held) -> BoxFuture<'static, Outcome> + Send + Sync + 'static> Handler for Do<F> {
    fn handle(&self, job: Job, held: Held) -> BoxFuture<'static, Outcome> {
        (self.0)(job, held)
    }
}

struct Consumer {
    fake: Arc<Fake>,
    shutdown: ShutdownTokens,
    running: JoinHandle<()>,
}

impl Consumer {
    fn start(
        fake: Arc<Fake>,
        options: ConsumerOptions,
        handle: impl Fn(Job, Held) -> BoxFuture<'static, Outcome> + Send + Sync + 'static,
    ) -> Self {
        let shutdown = ShutdownTokens::default();
        let dispatch: Arc<dyn Dispatch> = fake.clone();
        let running = tokio::spawn(consume(dispatch, Arc::new(Do(handle)), options, shutdown.clone()));
        Self { fake, shutdown, running }
    }

    async fn until_acked(&self, count: usize) {
        until(|| self.fake.ledger().acked.len() >= count).await;
    }

    async fn stopped(self) -> Arc<Fake> {
        self.shutdown.soft.cancel();
        self.ended().await
    }

    async fn ended(self) -> Arc<Fake> {
        timeout(LONG, self.running).await.expect("consume returns").expect("consume does not panic");
        self.fake
    }
}

async fn until(mut condition: impl FnMut() -> bool) {
    timeout(LONG, async {
        while !condition() {
            sleep(Duration::from_millis(2)).await;
        }
    })
    .await
    .expect("what the test waits for happens");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_job_is_handled_once_and_never_more_at_a_time_than_permitted() {
    let (now, most, handled) = <(Arc<AtomicUsize>, Arc<AtomicUsize>, Arc<AtomicUsize>)>::default();
    let (at_once, peak, count) = (now.clone(), most.clone(), handled.clone());
    let consumer = Consumer::start(Arc::new(Fake::with_jobs(300)), options(4), move |_, _| {
        let (at_once, peak, count) = (at_once.clone(), peak.clone(), count.clone());
        async move {
            peak.fetch_max(at_once.fetch_add(1, SeqCst) + 1, SeqCst);
            tokio::task::yield_now().await;
            at_once.fetch_sub(1, SeqCst);
            count.fetch_add(1, SeqCst);
            Outcome::Done
        }
        .boxed()
    });
    consumer.until_acked(300).await;
    let fake = consumer.stopped().await;
    assert_eq!(handled.load(SeqCst), 300);
    assert!((1..=4).contains(&most.load(SeqCst)), "{most:?} at once");
    let ledger = fake.ledger();
    assert!(ledger.asked.iter().all(|asked| (1..=4).contains(asked)), "no claim exceeds the free permits");
    assert!(ledger.given_back.is_empty());
}

#[tokio::test]
async fn as_many_handlers_run_at_once_as_there_are_permits() {
    let together = Arc::new(tokio::sync::Barrier::new(40));
    let consumer = Consumer::start(Arc::new(Fake::with_jobs(40)), options(40), move |_, _| {
        let together = together.clone();
        async move {
            together.wait().await;
            Outcome::Done
        }
        .boxed()
    });
    consumer.until_acked(40).await;
    let fake = consumer.stopped().await;
    assert!(fake.ledger().asked.iter().all(|asked| *asked <= 32), "a claim stays within a batch");
}

#[tokio::test]
async fn a_panicking_handler_gives_its_job_back_and_the_worker_lives() {
    let tries = Arc::new(AtomicUsize::new(0));
    let consumer = Consumer::start(Arc::new(Fake::with_jobs(1)), options(1), move |_, _| {
        let tries = tries.clone();
        async move {
            assert!(tries.fetch_add(1, SeqCst) >= 2, "this panic is part of the test");
            Outcome::Done
        }
        .boxed()
    });
    consumer.until_acked(1).await;
    let fake = consumer.stopped().await;
    let ledger = fake.ledger();
    assert_eq!(ledger.given_back.iter().map(|(_, delay)| *delay).collect::<Vec<_>>(), [QUICK; 2]);
}

#[tokio::test]
async fn a_job_that_a_handler_gives_back_comes_again_after_its_delay() {
    let delay = Duration::from_millis(7);
    let tries = Arc::new(AtomicUsize::new(0));
    let consumer = Consumer::start(Arc::new(Fake::with_jobs(1)), options(1), move |_, _| {
        let first = tries.fetch_add(1, SeqCst) == 0;
        async move { if first { Outcome::GiveBack(delay) } else { Outcome::Done } }.boxed()
    });
    consumer.until_acked(1).await;
    let fake = consumer.stopped().await;
    assert_eq!(fake.ledger().given_back.iter().map(|(_, delay)| *delay).collect::<Vec<_>>(), [delay]);
}

#[tokio::test]
async fn a_broker_that_fails_for_a_while_loses_nothing() {
    let consumer = Consumer::start(Arc::new(Fake::with_jobs(100)), options(3), |_, _| {
        async {
            sleep(Duration::from_millis(3)).await;
            Outcome::Done
        }
        .boxed()
    });
    for round in 1..=3 {
        consumer.until_acked(round * 20).await;
        let failures = consumer.fake.ledger().failures;
        consumer.fake.ledger().away = true;
        until(|| consumer.fake.ledger().failures > failures + 5).await;
        consumer.fake.ledger().away = false;
    }
    consumer.until_acked(100).await;
    let fake = consumer.stopped().await;
    let mut acked = fake.ledger().acked.clone();
    acked.sort_unstable();
    acked.dedup();
    assert_eq!(acked.len(), 100);
    assert_eq!(fake.leased(), 0);
}

#[tokio::test]
async fn an_ack_is_repeated_until_the_broker_takes_it_and_keeps_its_permit_till_then() {
    let fake = Arc::new(Fake::with_jobs(2));
    fake.ledger().refused_acks = usize::MAX;
    let begun = Arc::new(AtomicUsize::new(0));
    let counter = begun.clone();
    let consumer = Consumer::start(fake, options(1), move |_, _| {
        counter.fetch_add(1, SeqCst);
        async { Outcome::Done }.boxed()
    });
    until(|| consumer.fake.ledger().failures > 5).await;
    assert_eq!(begun.load(SeqCst), 1, "the permit is not free yet");
    consumer.fake.ledger().refused_acks = 0;
    consumer.until_acked(2).await;
    assert_eq!(consumer.stopped().await.leased(), 0);
}

#[tokio::test]
async fn a_soft_shutdown_finishes_what_is_in_flight_and_gives_back_what_had_not_begun() {
    let begun = Arc::new(AtomicUsize::new(0));
    let go_on = CancellationToken::new();
    let (counter, gate) = (begun.clone(), go_on.clone());
    let fake = Arc::new(Fake::with_jobs(2));
    let consumer = Consumer::start(fake.clone(), options(3), move |_, held| {
        let gate = gate.clone();
        counter.fetch_add(1, SeqCst);
        async move {
            held.shutting_down().cancelled().await;
            gate.cancelled().await;
            Outcome::Done
        }
        .boxed()
    });
    until(|| begun.load(SeqCst) == 2).await;
    fake.held_back.send_replace(true);
    let late = Fake::with_jobs(1).claim(Queue::Deliveries, claimant(), 1, QUICK).await.unwrap()[0].job;
    fake.push(&[late], Duration::ZERO).await.unwrap();
    until(|| fake.leased() == 3).await;

    consumer.shutdown.soft.cancel();
    fake.held_back.send_replace(false);
    until(|| fake.ledger().given_back == [(late.id, Duration::ZERO)]).await;
    let claims = fake.ledger().asked.len();
    let renewals = fake.ledger().renewed.len();
    until(|| fake.ledger().renewed.len() > renewals + 2).await;
    assert_eq!(fake.ledger().renewed.last(), Some(&2), "leases are renewed while draining, in one call");
    assert!(!consumer.running.is_finished());

    go_on.cancel();
    consumer.ended().await;
    assert_eq!(begun.load(SeqCst), 2);
    assert_eq!(fake.ledger().acked.len(), 2);
    assert_eq!(fake.ledger().asked.len(), claims, "nothing more is claimed");
}

fn claimant() -> acm2_broker::dispatch::Claimant {
    acm2_broker::dispatch::Claimant { worker: WorkerId::generate(), permits: 1 }
}

/// Starts two handlers that never end, and tells whether they were dropped.
async fn two_that_never_end(options: ConsumerOptions) -> (Consumer, Arc<AtomicUsize>) {
    struct Counted(Arc<AtomicUsize>);
    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.fetch_add(1, SeqCst);
        }
    }
    let (begun, dropped) = <(Arc<AtomicUsize>, Arc<AtomicUsize>)>::default();
    let (counter, drops) = (begun.clone(), dropped.clone());
    let consumer = Consumer::start(Arc::new(Fake::with_jobs(2)), options, move |_, _| {
        let counted = Counted(drops.clone());
        counter.fetch_add(1, SeqCst);
        async move {
            let _counted = counted;
            std::future::pending().await
        }
        .boxed()
    });
    until(|| begun.load(SeqCst) == 2).await;
    (consumer, dropped)
}

#[tokio::test]
async fn a_hard_stop_drops_handlers_and_gives_their_jobs_back() {
    let (consumer, dropped) = two_that_never_end(options(2)).await;
    consumer.shutdown.soft.cancel();
    sleep(QUICK).await;
    assert_eq!(dropped.load(SeqCst), 0);
    consumer.shutdown.hard.cancel();
    let fake = consumer.ended().await;
    assert_eq!(dropped.load(SeqCst), 2);
    let given_back = fake.ledger().given_back.clone();
    assert_eq!(given_back.iter().map(|(_, delay)| *delay).collect::<Vec<_>>(), [Duration::ZERO; 2]);
}

#[tokio::test]
async fn a_grace_that_is_over_drops_handlers_and_gives_their_jobs_back() {
    let mut options = options(2);
    options.timing.shutdown_grace = QUICK;
    let (consumer, dropped) = two_that_never_end(options).await;
    let fake = consumer.stopped().await;
    assert_eq!(dropped.load(SeqCst), 2);
    assert_eq!(fake.ledger().given_back.len(), 2);
}

#[tokio::test]
async fn a_hard_stop_does_not_wait_for_a_broker_that_is_away() {
    let (consumer, dropped) = two_that_never_end(options(2)).await;
    consumer.fake.ledger().away = true;
    consumer.shutdown.hard.cancel();
    let fake = consumer.ended().await;
    assert_eq!(dropped.load(SeqCst), 2);
    assert!(fake.ledger().failures >= 2, "each was tried");
}

#[tokio::test]
async fn dropping_the_consumer_drops_its_handlers() {
    let (consumer, dropped) = two_that_never_end(options(2)).await;
    consumer.running.abort();
    until(|| dropped.load(SeqCst) == 2).await;
    let claims = consumer.fake.ledger().asked.len();
    sleep(QUICK * 3).await;
    assert!(consumer.fake.ledger().asked.len() <= claims + 1, "nothing claims any more");
}

#[tokio::test]
async fn a_lease_that_the_broker_forgot_is_restored() {
    let fake = Arc::new(Fake::with_jobs(1));
    let go_on = CancellationToken::new();
    let gate = go_on.clone();
    let consumer = Consumer::start(fake.clone(), options(1), move |_, _| {
        let gate = gate.clone();
        async move {
            gate.cancelled().await;
            Outcome::Done
        }
        .boxed()
    });
    until(|| fake.leased() == 1).await;
    fake.ledger().renewal = Some(Renewal::Unknown);
    until(|| !fake.ledger().restored.is_empty()).await;
    fake.ledger().renewal = None;
    go_on.cancel();
    consumer.until_acked(1).await;
    consumer.stopped().await;
}

#[tokio::test]
async fn a_job_whose_outcome_is_under_way_is_not_restored() {
    let fake = Arc::new(Fake::with_jobs(1));
    fake.ledger().refused_acks = usize::MAX;
    fake.ledger().renewal = Some(Renewal::Unknown);
    let consumer = Consumer::start(fake.clone(), options(1), |_, _| async { Outcome::Done }.boxed());
    until(|| fake.ledger().failures > 1).await;
    let restored = fake.ledger().restored.len();
    let renewals = fake.ledger().renewed.len();
    until(|| fake.ledger().renewed.len() > renewals + 3).await;
    assert_eq!(fake.ledger().restored.len(), restored);
    fake.ledger().refused_acks = 0;
    consumer.until_acked(1).await;
    consumer.stopped().await;
}

#[tokio::test]
async fn a_taken_lease_is_hinted_to_its_handler_which_may_take_it_back() {
    let fake = Arc::new(Fake::with_jobs(1));
    fake.ledger().renewal = Some(Renewal::Taken);
    let consumer = Consumer::start(fake.clone(), options(1), |_, held| {
        async move {
            held.taken_hint().await;
            held.taken_hint().await;
            held.restore().await;
            Outcome::Done
        }
        .boxed()
    });
    consumer.until_acked(1).await;
    consumer.stopped().await;
    let ledger = fake.ledger();
    assert_eq!(ledger.restored, ledger.acked);
    assert!(ledger.renewed.len() >= 2, "a hint is repeated by the next renewal");
}

#[tokio::test]
async fn a_worker_that_ends_by_itself_is_replaced() {
    let fake = Arc::new(Fake::with_jobs(3));
    let handler: Arc<dyn Handler> = Arc::new(Do(|_, _| async { Outcome::Done }.boxed()));
    let shutdown = ShutdownTokens::default();
    let built = AtomicUsize::new(0);
    let desk = Arc::new(Desk::new(fake.clone(), options(2)));
    let panicked = Arc::new(AtomicBool::new(false));
    let panics = panicked.clone();
    let running = tokio::spawn(consume_with(desk, shutdown.clone(), move |source| match built.fetch_add(1, SeqCst) {
        0 => stream::empty().boxed(),
        1 => {
            let panics = panics.clone();
            stream::once(async move {
                // Holds jobs that it never begins.
                sleep(QUICK).await;
                panics.store(true, SeqCst);
                drop(source);
                panic!("this panic is part of the test")
            })
            .boxed()
        }
        _ => worker(source, Arc::clone(&handler)),
    }));
    let consumer = Consumer { fake, shutdown, running };
    consumer.until_acked(3).await;
    let fake = consumer.stopped().await;
    assert!(panicked.load(SeqCst));
    assert!(fake.ledger().given_back.iter().all(|(_, delay)| delay.is_zero()));
    assert_eq!(fake.leased(), 0);
}
