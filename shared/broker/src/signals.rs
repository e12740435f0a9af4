//! News between processes, at most once: a lost signal costs latency, never correctness, because the stores are read again.

use std::sync::Arc;

use acm2_domain::ids::{RunId, TenantId};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast;

use crate::dispatch::BrokerError;

/// How many signals a receiver may lag behind before it loses the oldest.
pub(crate) const BACKLOG: usize = 1024;

/// A piece of news.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "signal", rename_all = "snake_case")]
pub enum Signal {
    /// A command stands on a run: its worker should look.
    Command {
        /// Whose run.
        tenant: TenantId,
        /// Which run.
        run: RunId,
    },
    /// A run ended: who waits for it should look.
    Ended {
        /// Whose run.
        tenant: TenantId,
        /// Which run.
        run: RunId,
    },
}

/// Runs whose timeline has grown.
pub type Grown = Arc<[RunId]>;

/// Publishes to all processes.
#[async_trait]
pub trait Signals: Send + Sync + std::fmt::Debug {
    /// Tells every process, this one too. On an error this process was told, the others were not.
    async fn publish(&self, signal: Signal) -> Result<(), BrokerError>;

    /// Everything published from now on. A receiver that lags loses the oldest.
    fn subscribe(&self) -> broadcast::Receiver<Signal>;

    /// Tells every process whose timelines have grown. Apart from the signals: there are many more of these, and they must
    /// push no command out of a receiver's backlog. Workers gather them first.
    async fn publish_grown(&self, runs: &[RunId]) -> Result<(), BrokerError>;

    /// The same of these. A process hears what others publish only once it has called this; from then on it goes on hearing.
    /// Must be called inside a tokio runtime.
    fn subscribe_grown(&self) -> broadcast::Receiver<Grown>;
}
