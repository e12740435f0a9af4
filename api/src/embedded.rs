//! The embedded roles: the only file that names the worker and the sandbox. Absent from a build without the feature `worker`
//! (then `embedded_absent.rs` stands in its place).

use std::net::SocketAddr;
use std::path::PathBuf;

use acm2_domain::ids::TenantId;
use acm2_extract::FileType;
use acm2_outbound::PageKind;
use acm2_sandbox::{Options, Sandbox};
use acm2_store::control::NewWorker;
use acm2_worker::consume::ShutdownTokens;
use acm2_worker::{PageReader, Parts, Permits};
use futures_util::FutureExt;
use url::Url;

use crate::app::App;
use crate::extraction::{self, Unread};
use crate::start_error::StartError;

/// Takes runs and deliveries until the process is told to end and all is drained. `process`: its row, which is registered. `alone`: this process holds the lock on the
/// data folder.
pub async fn work(app: App, process: NewWorker, alone: bool) -> Result<(), StartError> {
    let parts = Parts {
        store: app.store.clone(),
        keyring: app.keyring.clone(),
        broker: app.broker.clone(),
        outbound: app.outbound.clone(),
        page_reader: PageReader::new(|tenant, kind, body| read_page(tenant, kind, body).boxed()),
        prices: app.prices.clone(),
        clock: app.clock.clone(),
        timing: app.timing.clone(),
        permits: Permits {
            runs: app.config.worker.runs,
            calls: app.config.worker.calls,
            calls_of_one_tenant: app.config.worker.calls * usize::from(app.config.queue.tenant_share_percent) / 100,
            calls_per_provider_key: app.config.lanes.calls_per_provider_key,
            deliveries: app.config.worker.deliveries,
            held_answers: app.config.worker.held_answers as u64,
        },
        process,
        alone,
    };
    let shutdown = ShutdownTokens { soft: app.shutdown.soft(), hard: app.shutdown.hard() };
    Ok(acm2_worker::run(parts, shutdown).await?)
}

/// The most bytes of a page's text before it is cut to what research takes of it.
const MOST_PAGE_TEXT: usize = 4 * 1024 * 1024;

/// The text of a page, found in a process of its own.
async fn read_page(tenant: TenantId, kind: PageKind, body: Vec<u8>) -> Result<String, String> {
    let file_type = match kind {
        PageKind::Html => FileType::Html,
        PageKind::Pdf => FileType::Pdf,
        PageKind::Text => return Ok(String::from_utf8_lossy(&body).into_owned()),
    };
    extraction::extract_page(tenant, file_type, body, MOST_PAGE_TEXT).await.map_err(|unread| match unread {
        Unread::Busy => "too many files are being read at the moment".to_owned(),
        Unread::Unreadable(why) => why,
    })
}

/// A running sandbox provider; it stops when dropped.
#[derive(Debug)]
pub struct RunningSandbox {
    sandbox: Sandbox,
}

impl RunningSandbox {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.sandbox.address()
    }

    /// What the provider `sandbox` takes as its base URL: a wire that reports its cost.
    pub fn base_url(&self) -> Option<Url> {
        Url::parse(&format!("http://{}/openrouter/api/v1", self.address())).ok()
    }
}

/// Starts a sandbox provider.
pub async fn start_sandbox(bind: SocketAddr, log_file: Option<PathBuf>) -> Result<RunningSandbox, StartError> {
    match Sandbox::start(Options { bind, log_file }).await {
        Ok(sandbox) => Ok(RunningSandbox { sandbox }),
        Err(error) => Err(StartError::failed(format!("the sandbox cannot listen on {bind}: {error}"))),
    }
}
