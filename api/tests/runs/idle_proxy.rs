//! A proxy that cuts connections over which nothing comes from the server for a while, as the ones between a browser and a
//! server do.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;
use tokio::time::timeout;

/// The proxy; it stops taking connections when dropped.
#[derive(Debug)]
pub(crate) struct IdleProxy {
    address: SocketAddr,
    cuts: Arc<AtomicUsize>,
    accepting: AbortHandle,
}

impl IdleProxy {
    /// In front of `http://host:port`.
    pub(crate) async fn start(server: &str, idle: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = server.trim_start_matches("http://").to_owned();
        let cuts = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&cuts);
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(pass(client, server.clone(), idle, Arc::clone(&counted)));
            }
        });
        Self { address, cuts, accepting: accepting.abort_handle() }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How many connections were cut while an answer was under way.
    pub(crate) fn cuts(&self) -> usize {
        self.cuts.load(Ordering::SeqCst)
    }
}

impl Drop for IdleProxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn pass(client: TcpStream, server: String, idle: Duration, cuts: Arc<AtomicUsize>) {
    let Ok(server) = TcpStream::connect(server).await else { return };
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let asking = tokio::spawn(async move { copy(&mut from_client, &mut to_server).await });
    let mut buffer = [0; 8_192];
    loop {
        match timeout(idle, from_server.read(&mut buffer)).await {
            Ok(Ok(count)) if count > 0 => {
                if to_client.write_all(&buffer[..count]).await.is_err() {
                    break;
                }
            }
            Ok(_) => break,
            Err(_) => {
                cuts.fetch_add(1, Ordering::SeqCst);
                break;
            }
        }
    }
    asking.abort();
}
