//! What an operator sets about calls that leave. The runtime's configuration fills it; nothing here reads the environment.

use std::collections::BTreeMap;
use std::time::Duration;

use url::Url;

/// Limits of outgoing calls, and where providers are.
#[derive(Debug, Clone)]
pub struct OutboundOptions {
    /// How long a connection may take to come about, TLS included. Default 10 s.
    pub connect_timeout: Duration,
    /// The longest silence once an answer has begun. The wait for its first byte is bounded by the call's deadline alone,
    /// because reasoning models are silent for minutes. Default 120 s.
    pub idle_read_timeout: Duration,
    /// How long an unused connection stays open; below what load balancers allow. Default 75 s.
    pub pool_idle_timeout: Duration,
    /// How long the test of a provider key may take. Default 15 s.
    pub key_test_timeout: Duration,
    /// The most bytes of an answer, after decompression. Default 32 MiB; of hosts that tenants have chosen, 4 MiB where this is more.
    pub max_response_bytes: usize,
    /// Base URLs that the operator sets, by the slug of the provider: other places of known providers, and the place of those
    /// that have none of their own (the sandbox). Plain `http` and private addresses are allowed here.
    pub base_urls: BTreeMap<String, Url>,
    /// The hosts that base URLs of provider keys may name: `host`, `host:port`, or `*` for every public one. Empty: none.
    /// They must have public addresses, unless the tenant's private hosts list them.
    pub base_url_hosts: Vec<String>,
}

impl Default for OutboundOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            idle_read_timeout: Duration::from_mins(2),
            pool_idle_timeout: Duration::from_secs(75),
            key_test_timeout: Duration::from_secs(15),
            max_response_bytes: 32 * 1024 * 1024,
            base_urls: BTreeMap::new(),
            base_url_hosts: Vec::new(),
        }
    }
}
