//! A way to a server that a test can cut, stall and have swallow what is sent.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use url::Url;

/// What becomes of bytes on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// They arrive.
    Open,
    /// Connections are closed, new ones too.
    Cut,
    /// They are lost, and so is all that follows on the same connection, also later; neither end is told.
    Swallow,
    /// They wait until the way is open again.
    Stall,
}

/// The way from one process to one server.
#[derive(Debug)]
pub(crate) struct Proxy {
    /// The server's URL by this way.
    pub(crate) url: String,
    way: watch::Sender<Way>,
}

impl Proxy {
    /// An open way to the server of a URL.
    pub(crate) async fn to(url: &str) -> Self {
        let mut url = Url::parse(url).unwrap();
        let port = url.port().unwrap_or(if url.scheme() == "redis" { 6379 } else { 5432 });
        let server: SocketAddr = format!("{}:{port}", url.host_str().unwrap()).parse().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        url.set_port(Some(listener.local_addr().unwrap().port())).unwrap();
        let way = watch::Sender::new(Way::Open);
        let watched = way.clone();
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                tokio::spawn(carry(near, server, watched.subscribe()));
            }
        });
        Self { url: url.to_string(), way }
    }

    pub(crate) fn set(&self, way: Way) {
        self.way.send_replace(way);
    }
}

async fn carry(mut near: TcpStream, server: SocketAddr, mut way: watch::Receiver<Way>) {
    let Ok(mut far) = TcpStream::connect(server).await else { return };
    let (mut near_in, mut near_out) = near.split();
    let (mut far_in, mut far_out) = far.split();
    let (mut there, mut back) = (vec![0; 16_384], vec![0; 16_384]);
    let (mut near_lives, mut far_lives) = (true, true);
    let mut is_lost = false;
    while near_lives || far_lives {
        let now = *way.borrow_and_update();
        if now == Way::Cut {
            return;
        }
        is_lost |= now == Way::Swallow;
        let flows = now != Way::Stall;
        tokio::select! {
            changed = way.changed() => if changed.is_err() { return },
            read = near_in.read(&mut there), if near_lives && flows => match read {
                Ok(count @ 1..) if is_lost || far_out.write_all(&there[..count]).await.is_ok() => {}
                _ if !is_lost => return,
                _ => near_lives = false,
            },
            read = far_in.read(&mut back), if far_lives && flows => match read {
                Ok(count @ 1..) if is_lost || near_out.write_all(&back[..count]).await.is_ok() => {}
                _ if !is_lost => return,
                _ => far_lives = false,
            },
        }
    }
}
