//! A worker process, as near as a test can come to one: a runtime of its own with its own store, clients and (over Redis)
//! connections to the broker. To kill it, its runtime is thrown away in the middle of whatever it does.

use std::sync::Arc;

use acm2_domain::clock::{SharedClock, SystemClock};
use acm2_domain::ids::WorkerId;
use acm2_domain::timing::Timing;
use acm2_extract::FileType;
use acm2_outbound::{Outbound, PageKind};
use acm2_store::Store;
use acm2_store::control::NewWorker;
use acm2_worker::consume::ShutdownTokens;
use acm2_worker::{PageReader, Parts, Permits};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;

use crate::house::House;

/// How to start a worker.
#[derive(Debug, Clone)]
pub(crate) struct Start {
    pub(crate) id: WorkerId,
    /// As the one process of a data folder.
    pub(crate) alone: bool,
    pub(crate) timing: Timing,
    pub(crate) clock: SharedClock,
    pub(crate) permits: Permits,
    /// A queue that has just been opened instead of the house's: what the one process of a folder has after a restart.
    pub(crate) new_broker: bool,
}

impl Start {
    pub(crate) fn of(house: &House) -> Self {
        Self {
            id: WorkerId::generate(),
            alone: false,
            timing: house.timing.clone(),
            clock: Arc::new(SystemClock),
            permits: Permits {
                runs: 8,
                calls: 32,
                calls_of_one_tenant: 32,
                calls_per_provider_key: 100,
                deliveries: 8,
                held_answers: 64 << 20,
            },
            new_broker: false,
        }
    }
}

/// Reads pages in this process: those of the tests are ours. The api has them read in another one.
fn page_reader() -> PageReader {
    PageReader::new(|_, kind, body| {
        let file_type = match kind {
            PageKind::Html => FileType::Html,
            _ => FileType::Pdf,
        };
        let text = acm2_extract::extract(file_type, &body, 1_000_000).map_err(|refusal| refusal.to_string());
        Box::pin(std::future::ready(text))
    })
}

/// A running worker process.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) id: WorkerId,
    pub(crate) shutdown: ShutdownTokens,
    working: JoinHandle<()>,
    /// `None` once it has ended.
    runtime: Option<Runtime>,
}

impl Worker {
    pub(crate) fn start(house: &House, start: Start) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (id, shutdown) = (start.id, ShutdownTokens::default());
        let (options, outbound) = (house.back_ends.store_options(), house.outbound_options());
        let broker = if start.new_broker || !house.back_ends.is_memory() {
            let _inside = runtime.enter();
            house.back_ends.open_broker(&start.timing)
        } else {
            house.broker.clone()
        };
        let (keyring, prices) = (Arc::clone(&house.keyring), Arc::clone(&house.prices));
        let tokens = shutdown.clone();
        let working = runtime.spawn(async move {
            let store = Store::open(options).await.unwrap();
            let process = NewWorker {
                id,
                role: "worker".to_owned(),
                host: "here".to_owned(),
                pid: std::process::id(),
                version: "0.0.0".to_owned(),
                master_key_ids: keyring.master_keys().ids().map(str::to_owned).collect(),
            };
            let parts = Parts {
                store: store.clone(),
                keyring,
                broker,
                outbound: Arc::new(Outbound::new(outbound).unwrap()),
                page_reader: page_reader(),
                prices,
                clock: start.clock,
                timing: start.timing,
                permits: start.permits,
                process,
                alone: start.alone,
            };
            acm2_worker::run(parts, tokens).await.unwrap();
            store.close().await;
        });
        Self { id, shutdown, working, runtime: Some(runtime) }
    }

    /// The first SIGTERM: waits until all is drained.
    pub(crate) async fn stop(mut self) {
        self.shutdown.soft.cancel();
        (&mut self.working).await.unwrap();
    }

    /// The second SIGTERM.
    pub(crate) async fn stop_hard(mut self) {
        self.shutdown.hard.cancel();
        (&mut self.working).await.unwrap();
    }

    /// The power goes: nothing of it runs any more, and it said goodbye to nobody.
    pub(crate) fn kill(mut self) {
        self.end();
    }

    fn end(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.end();
    }
}
