//! What a job took reaches the broker, however the job ends.

use std::time::Duration;

use acm2_domain::job::Job;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::time::sleep;

use super::fake::Fake;
use super::*;

const CALL: Duration = Duration::from_millis(20);

/// Makes two calls side by side; then one job after another is done, given back, and panics.
struct TwoCalls(std::sync::atomic::AtomicUsize);

impl Handler for TwoCalls {
    fn handle(&self, _: Job, held: Held) -> BoxFuture<'static, Outcome> {
        let number = self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        async move {
            let _running = (held.meter().run(), held.meter().run());
            sleep(CALL).await;
            match number {
                0 => Outcome::Done,
                1 => Outcome::GiveBack(Duration::from_hours(1)),
                _ => panic!("a panic of the test's own"),
            }
        }
        .boxed()
    }
}

#[tokio::test]
async fn a_job_is_charged_for_its_calls_however_it_ends() {
    let fake = Arc::new(Fake::with_jobs(3));
    let shutdown = ShutdownTokens::default();
    let timing = Timing { claim_wait: CALL, claim_retry: Duration::from_hours(1), ..Timing::default() };
    let options =
        ConsumerOptions { worker: WorkerId::generate(), queue: Queue::Deliveries, permits: 1, timing, liveness: None };
    let dispatch: Arc<dyn Dispatch> = fake.clone();
    let running = tokio::spawn(consume(dispatch, Arc::new(TwoCalls(0.into())), options, shutdown.clone()));
    while fake.ledger().used.len() < 3 {
        sleep(Duration::from_millis(2)).await;
    }
    shutdown.soft.cancel();
    running.await.unwrap();
    let ledger = fake.ledger();
    assert_eq!((ledger.acked.len(), ledger.given_back.len()), (1, 2));
    for used in &ledger.used {
        assert!(used.held >= CALL && used.calls >= 2 * CALL && used.calls <= 2 * used.held, "{used:?}");
    }
}
