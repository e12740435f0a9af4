//! A TCP proxy before a server: it can cut, go silent, delay, and be fair again.

use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::outcome::Outcome;

/// What happens to what passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Weather {
    /// It passes.
    Fair,
    /// Connections are closed, and new ones at once.
    Cut,
    /// Nothing passes and nothing is closed; what was sent arrives when it is fair again.
    Stall,
    /// Each piece waits.
    Slow(Duration),
}

/// The proxy; it stops when dropped.
#[derive(Debug)]
pub(crate) struct Proxy {
    pub(crate) port: u16,
    weather: watch::Sender<Weather>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    /// Listens on a port of its own, before `target` of 127.0.0.1.
    pub(crate) async fn start(target: u16) -> Outcome<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = listener.local_addr()?.port();
        let (weather, seen) = watch::channel(Weather::Fair);
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(connect(client, target, seen.clone()));
            }
        });
        Ok(Self { port, weather, accepting })
    }

    pub(crate) fn set(&self, weather: Weather) {
        self.weather.send_replace(weather);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn connect(client: TcpStream, target: u16, mut weather: watch::Receiver<Weather>) {
    if *weather.borrow() == Weather::Cut {
        return;
    }
    let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, target)).await else { return };
    // Small answers shall not wait for others.
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let (there, back) = (weather.clone(), weather.clone());
    // Whichever ends first drops, and so closes, both connections.
    tokio::select! {
        _ = weather.wait_for(|weather| *weather == Weather::Cut) => {}
        () = carry(from_client, to_server, there) => {}
        () = carry(from_server, to_client, back) => {}
    }
}

async fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut weather: watch::Receiver<Weather>) {
    let mut bytes = vec![0; 16 * 1024];
    loop {
        let Ok(read @ 1..) = from.read(&mut bytes).await else { return };
        let now = match weather.wait_for(|weather| *weather != Weather::Stall).await {
            Ok(now) => *now,
            Err(_) => return,
        };
        if let Weather::Slow(delay) = now {
            sleep(delay).await;
        }
        if to.write_all(&bytes[..read]).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_passes_goes_silent_and_cuts() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let proxy = Proxy::start(listener.local_addr().unwrap().port()).await.unwrap();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (mut read, mut write) = stream.into_split();
                tokio::spawn(async move { tokio::io::copy(&mut read, &mut write).await });
            }
        });
        let mut client = TcpStream::connect((Ipv4Addr::LOCALHOST, proxy.port)).await.unwrap();
        let mut byte = [0];
        client.write_all(b"a").await.unwrap();
        client.read_exact(&mut byte).await.unwrap();
        assert_eq!(&byte, b"a");

        proxy.set(Weather::Stall);
        client.write_all(b"b").await.unwrap();
        tokio::time::timeout(Duration::from_millis(200), client.read_exact(&mut byte)).await.unwrap_err();
        proxy.set(Weather::Fair);
        client.read_exact(&mut byte).await.unwrap();
        assert_eq!(&byte, b"b");

        proxy.set(Weather::Cut);
        assert_eq!(client.read(&mut byte).await.unwrap_or(0), 0);
    }
}
