//! The one place that chooses between Redis and memory.

use std::sync::Arc;
use std::time::Duration;

use acm2_domain::clock::Clock;

use crate::address::BrokerUrl;
use crate::dispatch::{BrokerError, Dispatch};
use crate::finding::Finding;
use crate::limits::Limits;
use crate::memory::{MemoryDispatch, MemoryLimits, MemorySignals};
use crate::redis::{Link, RedisDispatch, RedisLimits, RedisSignals, diagnose};
use crate::signals::Signals;

/// How the broker behaves. All processes that share one must agree on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokerOptions {
    /// How long a claim holds without being renewed.
    pub lease: Duration,
    /// How much of all workers' permits one tenant may hold, in percent (1 to 100); at least one job always.
    pub tenant_share_percent: u8,
    /// What the names of all keys and channels begin with: letters, digits, `-`, `_`, `.` and `:`.
    pub namespace: String,
}

impl BrokerOptions {
    /// The usual: a tenant may hold 75 % of the permits, names begin with `acm2`.
    pub fn new(lease: Duration) -> Self {
        Self { lease, tenant_share_percent: 75, namespace: "acm2".to_owned() }
    }

    fn check(&self) -> Result<(), BrokerError> {
        let fault = |text: &str| Err(BrokerError(text.to_owned()));
        // Redis counts in milliseconds.
        if self.lease < Duration::from_millis(1) {
            return fault("a lease must last at least a millisecond");
        }
        if !(1..=100).contains(&self.tenant_share_percent) {
            return fault("the share of a tenant must be 1 to 100 percent");
        }
        // A brace would change the hash tag, and with it the slot.
        let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_.:".contains(letter);
        if self.namespace.is_empty() || !self.namespace.chars().all(plain) {
            return fault("the broker's namespace must be of letters, digits and - _ . :");
        }
        Ok(())
    }
}

/// The fair queue, the lanes and the signals; cheap to clone.
#[derive(Debug, Clone)]
pub struct Broker {
    /// The fair queue.
    pub dispatch: Arc<dyn Dispatch>,
    /// The lanes.
    pub limits: Arc<dyn Limits>,
    /// News between processes.
    pub signals: Arc<dyn Signals>,
    server: Option<Arc<Link>>,
}

impl Broker {
    /// What a person should change about the server; empty for memory. A server that is away is a finding too.
    pub async fn diagnose(&self, clock: &dyn Clock) -> Vec<Finding> {
        match &self.server {
            Some(link) => diagnose(link, clock).await,
            None => Vec::new(),
        }
    }
}

/// Opens the broker. Connects to nothing yet, so a server that is away is no error here; options that cannot work are.
/// Must be called inside a tokio runtime, which then runs the listener for signals until the last clone is dropped.
pub fn open(url: &BrokerUrl, options: BrokerOptions) -> Result<Broker, BrokerError> {
    options.check()?;
    Ok(match url {
        BrokerUrl::Memory => Broker {
            dispatch: Arc::new(MemoryDispatch::new(&options)),
            limits: Arc::new(MemoryLimits::new()),
            signals: Arc::new(MemorySignals::new()),
            server: None,
        },
        BrokerUrl::Redis(url) => {
            let link = Arc::new(Link::new(url)?);
            Broker {
                signals: Arc::new(RedisSignals::new(Arc::clone(&link), &options.namespace)),
                limits: Arc::new(RedisLimits::new(Arc::clone(&link), &options.namespace)),
                dispatch: Arc::new(RedisDispatch::new(Arc::clone(&link), options)),
                server: Some(link),
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn options_that_cannot_work_are_refused() {
        let good = BrokerOptions::new(Duration::from_secs(15));
        assert!(open(&BrokerUrl::Memory, good.clone()).is_ok());
        for bad in [
            BrokerOptions { lease: Duration::ZERO, ..good.clone() },
            BrokerOptions { tenant_share_percent: 0, ..good.clone() },
            BrokerOptions { tenant_share_percent: 101, ..good.clone() },
            BrokerOptions { namespace: String::new(), ..good.clone() },
            BrokerOptions { namespace: "a{b}".to_owned(), ..good.clone() },
        ] {
            assert!(open(&BrokerUrl::Memory, bad.clone()).is_err(), "{bad:?}");
        }
    }
}
