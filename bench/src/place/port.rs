//! Free ports, and waiting until someone listens.

use std::net::{Ipv4Addr, TcpListener};
use std::time::Duration;

use rand::Rng as _;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

use crate::outcome::Outcome;

/// A port of 127.0.0.1 that is free at this moment. It lies below the range of outgoing connections, so that a server that
/// stops for a while finds it free again.
pub(crate) fn free() -> Outcome<u16> {
    let free = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
    let port = (0..1_000).map(|_| rand::rng().random_range(20_000..32_000)).find(free);
    port.ok_or_else(|| "no free port".into())
}

/// Waits until something listens there.
pub(crate) async fn wait_for(port: u16, what: &str, patience: Duration) -> Outcome<()> {
    let until = Instant::now() + patience;
    while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.is_err() {
        if Instant::now() > until {
            return Err(format!("{what} does not listen on port {port} after {patience:?}").into());
        }
        sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}
