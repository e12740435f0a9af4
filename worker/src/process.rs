//! One worker process: what it is started with, what it runs side by side, and how it ends.

use std::sync::Arc;

use acm2_broker::Broker;
use acm2_domain::clock::SharedClock;
use acm2_domain::ids::WorkerId;
use acm2_domain::job::Queue;
use acm2_domain::prices::Prices;
use acm2_domain::timing::Timing;
use acm2_outbound::Outbound;
use acm2_store::control::NewWorker;
use acm2_store::{Gather, Store, StoreError};
use acm2_vault::keyring::Keyring;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::accounts::Accounts;
use crate::answer_room::AnswerRoom;
use crate::call_permits::CallPermits;
use crate::consume::{ConsumerOptions, Handler, ShutdownTokens, consume};
use crate::context::{Context, Live};
use crate::jobs::Jobs;
use crate::lanes::Lanes;
use crate::liveness::{Liveness, beat};
use crate::page_reader::PageReader;
use crate::progress::{self, Progress};
use crate::receivers::Receivers;
use crate::sweeper::{push_all, sweep};
use crate::text_room::TextRoom;

/// How much a worker process does at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Permits {
    /// Runs.
    pub runs: usize,
    /// Calls of providers, over all runs.
    pub calls: usize,
    /// How many of them one tenant may have, so that its slow models do not stop the others.
    pub calls_of_one_tenant: usize,
    /// How many calls with one provider key may be under way, over all processes.
    pub calls_per_provider_key: usize,
    /// Deliveries of webhooks.
    pub deliveries: usize,
    /// Bytes of answers that runs hold for later stages to read; half of it may be one tenant's, an eighth is each tenant's.
    pub held_answers: u64,
}

/// What a worker process is made of.
#[derive(Debug)]
pub struct Parts {
    /// The stores.
    pub store: Store,
    /// Opens tenants' secrets.
    pub keyring: Arc<Keyring>,
    /// The fair queue and the signals.
    pub broker: Broker,
    /// Calls providers, webhook endpoints and pages.
    pub outbound: Arc<Outbound>,
    /// Finds the text of pages.
    pub page_reader: PageReader,
    /// What tokens cost.
    pub prices: Arc<Prices>,
    /// The time.
    pub clock: SharedClock,
    /// The durations of the protocol.
    pub timing: Timing,
    /// How much at once.
    pub permits: Permits,
    /// How the process names itself to the others.
    pub process: NewWorker,
    /// No other process can serve from this store (the folder's lock is held): whatever was held before is free.
    pub alone: bool,
}

/// Works until shutdown; returns when all is drained. Dropping the future is like the death of the process: heartbeats stop, and
/// others take over once the last one is stale.
///
/// # Errors
/// Where the store refuses the process's own row at the start. Nothing ends it afterwards but shutdown.
pub async fn run(parts: Parts, shutdown: ShutdownTokens) -> Result<(), StoreError> {
    let liveness = Liveness::new(parts.timing.clone(), parts.alone);
    if parts.alone {
        parts.store.workers().delete_all().await?;
    }
    parts.store.workers().register(&parts.process).await?;
    let me: WorkerId = parts.process.id;
    let lanes = Lanes::new(&parts.broker, &parts.timing, parts.permits.calls_per_provider_key);
    let context = Arc::new(Context {
        store: parts.store.clone(),
        keyring: parts.keyring,
        broker: parts.broker,
        outbound: parts.outbound,
        page_reader: parts.page_reader,
        prices: parts.prices,
        clock: parts.clock,
        timing: parts.timing.clone(),
        me,
        liveness: Arc::clone(&liveness),
        calls: CallPermits::new(parts.permits.calls, parts.permits.calls_of_one_tenant),
        image_calls: CallPermits::of_images(),
        text_room: TextRoom::default(),
        answer_room: AnswerRoom::new(parts.permits.held_answers, parts.permits.runs),
        accounts: Accounts::new(parts.timing.command_poll),
        receivers: Receivers::new(parts.permits.deliveries, parts.timing.delivery_timeout),
        lanes,
        first_claims: Gather::for_callers(),
        live_runs: Live::default(),
        progress: Progress::default(),
        live_deliveries: Live::default(),
        hard_stop: shutdown.hard.clone(),
    });
    if parts.alone
        && let Err(error) = push_all(&context).await
    {
        tracing::warn!(%error, "the sweeper will push what is left");
    }

    let ended = CancellationToken::new();
    let beating = beat(parts.store, parts.process, liveness, parts.timing.clone(), ended.clone());
    let beating = AbortOnDropHandle::new(tokio::spawn(beating));
    let sweeping = AbortOnDropHandle::new(tokio::spawn(sweep(Arc::clone(&context), shutdown.soft.clone())));
    let telling = AbortOnDropHandle::new(tokio::spawn(progress::tell(Arc::clone(&context))));
    let jobs: Arc<dyn Handler> = Arc::new(Jobs(Arc::clone(&context)));
    let consumer = |queue, permits| {
        let timing = parts.timing.clone();
        let liveness = (!parts.alone).then(|| Arc::clone(&context.liveness));
        let options = ConsumerOptions { worker: me, queue, permits, timing, liveness };
        consume(Arc::clone(&context.broker.dispatch), Arc::clone(&jobs), options, shutdown.clone())
    };
    tokio::join!(consumer(Queue::Runs, parts.permits.runs), consumer(Queue::Deliveries, parts.permits.deliveries));
    // The heartbeat outlives the last handler: nobody may steal what is still being finished.
    ended.cancel();
    drop((sweeping, telling));
    let _ = beating.await;
    Ok(())
}
