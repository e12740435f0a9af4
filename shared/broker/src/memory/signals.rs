//! News within the process.

use async_trait::async_trait;
use tokio::sync::broadcast;

use crate::dispatch::BrokerError;
use crate::signals::{BACKLOG, Signal, Signals};

/// One broadcast channel.
#[derive(Debug)]
pub(crate) struct MemorySignals(broadcast::Sender<Signal>);

impl MemorySignals {
    pub(crate) fn new() -> Self {
        Self(broadcast::channel(BACKLOG).0)
    }
}

#[async_trait]
impl Signals for MemorySignals {
    async fn publish(&self, signal: Signal) -> Result<(), BrokerError> {
        // Nobody listening is no error.
        let _ = self.0.send(signal);
        Ok(())
    }

    fn subscribe(&self) -> broadcast::Receiver<Signal> {
        self.0.subscribe()
    }
}
