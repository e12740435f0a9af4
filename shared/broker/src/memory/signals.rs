//! News within the process.

use acm2_domain::ids::RunId;
use async_trait::async_trait;
use tokio::sync::broadcast;

use crate::dispatch::BrokerError;
use crate::signals::{BACKLOG, Grown, Signal, Signals};

/// Two broadcast channels.
#[derive(Debug)]
pub(crate) struct MemorySignals {
    signals: broadcast::Sender<Signal>,
    grown: broadcast::Sender<Grown>,
}

impl MemorySignals {
    pub(crate) fn new() -> Self {
        Self { signals: broadcast::channel(BACKLOG).0, grown: broadcast::channel(BACKLOG).0 }
    }
}

#[async_trait]
impl Signals for MemorySignals {
    async fn publish(&self, signal: Signal) -> Result<(), BrokerError> {
        // Nobody listening is no error.
        let _ = self.signals.send(signal);
        Ok(())
    }

    fn subscribe(&self) -> broadcast::Receiver<Signal> {
        self.signals.subscribe()
    }

    async fn publish_grown(&self, runs: &[RunId]) -> Result<(), BrokerError> {
        let _ = self.grown.send(runs.into());
        Ok(())
    }

    fn subscribe_grown(&self) -> broadcast::Receiver<Grown> {
        self.grown.subscribe()
    }
}
