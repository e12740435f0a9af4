//! A receiver of webhooks: a small HTTP server that answers as it was told, and remembers what came.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::task::AbortOnDropHandle;

/// A request that came.
#[derive(Debug, Clone)]
pub(crate) struct Came {
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Came {
    pub(crate) fn id(&self) -> &str {
        self.headers["webhook-id"].to_str().unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// How a request is answered.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    Status(u16),
    /// With these lines of the head, each ended by a line break.
    With(u16, String),
    /// The connection ends in the middle of the head.
    Cut,
    /// Not at all, until the sender goes away.
    Hang,
}

#[derive(Debug, Default)]
struct Seen {
    came: Mutex<Vec<Came>>,
    replies: Mutex<VecDeque<Reply>>,
    connections: AtomicUsize,
}

#[derive(Debug)]
pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    seen: Arc<Seen>,
    _serving: AbortOnDropHandle<()>,
}

impl Receiver {
    /// Answers with `statuses` in turn, then with 200.
    pub(crate) async fn start(statuses: &[u16]) -> Self {
        Self::start_slowly(statuses, Duration::ZERO).await
    }

    /// The same, each answer after a pause.
    pub(crate) async fn start_slowly(statuses: &[u16], pause: Duration) -> Self {
        Self::start_at("127.0.0.1:0", statuses.iter().copied().map(Reply::Status), pause).await
    }

    /// Answers with `replies` in turn, then with 200.
    pub(crate) async fn start_with(replies: impl IntoIterator<Item = Reply>) -> Self {
        Self::start_at("127.0.0.1:0", replies, Duration::ZERO).await
    }

    /// The same at an address, each answer after a pause.
    pub(crate) async fn start_at(address: &str, replies: impl IntoIterator<Item = Reply>, pause: Duration) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Seen { replies: Mutex::new(replies.into_iter().collect()), ..Seen::default() });
        let serving = tokio::spawn({
            let seen = Arc::clone(&seen);
            async move {
                while let Ok((stream, _)) = listener.accept().await {
                    seen.connections.fetch_add(1, Ordering::SeqCst);
                    tokio::spawn(answer(stream, Arc::clone(&seen), pause));
                }
            }
        });
        Self { address, seen, _serving: AbortOnDropHandle::new(serving) }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    /// What came so far.
    pub(crate) fn came(&self) -> Vec<Came> {
        self.seen.came.lock().unwrap().clone()
    }

    /// How many connections were made, with or without a request.
    pub(crate) fn connections(&self) -> usize {
        self.seen.connections.load(Ordering::SeqCst)
    }
}

/// One request per connection.
async fn answer(mut stream: TcpStream, seen: Arc<Seen>, pause: Duration) {
    let mut bytes = Vec::new();
    let head = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
        if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
            return;
        }
    };
    let text = String::from_utf8(bytes[..head].to_vec()).unwrap();
    let mut headers = HeaderMap::new();
    for line in text.lines().skip(1) {
        let (name, value) = line.split_once(':').unwrap();
        let name: HeaderName = name.parse().unwrap();
        headers.insert(name, HeaderValue::from_str(value.trim()).unwrap());
    }
    let length: usize = headers["content-length"].to_str().unwrap().parse().unwrap();
    while bytes.len() < head + 4 + length {
        if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
            return;
        }
    }
    seen.came.lock().unwrap().push(Came { headers, body: bytes[head + 4..].to_vec() });
    let reply = seen.replies.lock().unwrap().pop_front().unwrap_or(Reply::Status(200));
    let whole =
        |status, lines| format!("HTTP/1.1 {status} x\r\n{lines}content-length: 2\r\nconnection: close\r\n\r\nok");
    let answer = match reply {
        Reply::Status(status) => whole(status, String::new()),
        Reply::With(status, lines) => whole(status, lines),
        Reply::Cut => "HTTP/1.1 200 x\r\ncontent-le".to_owned(),
        Reply::Hang => {
            let _ = stream.read_buf(&mut bytes).await;
            return;
        }
    };
    tokio::time::sleep(pause).await;
    let _ = stream.write_all(answer.as_bytes()).await;
}
