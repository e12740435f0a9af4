//! The resolver of the guarded client: it looks a name up once and hands on only public addresses, and the client connects to
//! exactly these, so that a name cannot change its meaning between check and connection. Knows no tenant and no allow-list.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::address::is_public;

/// The host stands for no public address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the host has no public address, and private hosts are only reached where the operator has listed them")]
pub struct Refused;

/// How a name becomes addresses; a seam for tests.
pub(crate) trait Lookup: Send + Sync + 'static {
    /// The addresses of a name, with port 0.
    fn lookup(&self, name: &str) -> impl Future<Output = io::Result<Vec<SocketAddr>>> + Send;
}

/// The machine's resolver.
#[derive(Debug)]
pub(crate) struct SystemLookup;

impl Lookup for SystemLookup {
    async fn lookup(&self, name: &str) -> io::Result<Vec<SocketAddr>> {
        Ok(tokio::net::lookup_host((name, 0)).await?.collect())
    }
}

/// Resolves names to public addresses only.
#[derive(Debug)]
pub(crate) struct GuardedResolver<L>(pub(crate) Arc<L>);

impl<L: Lookup> Resolve for GuardedResolver<L> {
    fn resolve(&self, name: Name) -> Resolving {
        let lookup = Arc::clone(&self.0);
        Box::pin(async move {
            let mut addresses = lookup.lookup(name.as_str()).await?;
            // Not "refuse if any is private": networks with DNS64 add a NAT64 address to every name.
            addresses.retain(|address| is_public(address.ip()));
            if addresses.is_empty() {
                return Err(Refused.into());
            }
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed(Vec<&'static str>);

    impl Lookup for Fixed {
        async fn lookup(&self, _: &str) -> io::Result<Vec<SocketAddr>> {
            Ok(self.0.iter().map(|text| SocketAddr::new(text.parse().unwrap(), 0)).collect())
        }
    }

    async fn resolve(addresses: &[&'static str]) -> Result<Vec<String>, String> {
        let resolver = GuardedResolver(Arc::new(Fixed(addresses.to_vec())));
        let found = resolver.resolve("evil.example".parse().unwrap()).await.map_err(|error| error.to_string())?;
        Ok(found.map(|address| address.ip().to_string()).collect())
    }

    #[tokio::test]
    async fn a_name_of_private_addresses_is_refused() {
        for address in ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "fd00::1", "::ffff:127.0.0.1"] {
            assert_eq!(resolve(&[address]).await, Err(Refused.to_string()), "{address}");
        }
        assert_eq!(resolve(&[]).await, Err(Refused.to_string()));
    }

    #[tokio::test]
    async fn only_the_public_addresses_of_a_name_are_connected_to() {
        assert_eq!(resolve(&["127.0.0.1", "8.8.8.8", "::1"]).await, Ok(vec!["8.8.8.8".to_owned()]));
    }

    #[tokio::test]
    async fn a_client_does_not_connect_to_a_name_that_stands_for_loopback() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let clients =
            crate::clients::Clients::open_with(&crate::OutboundOptions::default(), Fixed(vec!["127.0.0.1"])).unwrap();
        let sent = clients.guarded.get(format!("http://evil.example:{port}/")).send();
        tokio::select! {
            answer = sent => assert!(answer.is_err()),
            _ = listener.accept() => panic!("the guarded client connected to loopback"),
        }
    }
}
