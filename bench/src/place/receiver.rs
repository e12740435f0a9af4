//! A receiver of webhooks: writes every request to a file, one JSON object per line, before it answers. Paths that begin with
//! `/flaky` answer 503 to the first attempt of every fourth delivery.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Write as _};
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::outcome::Outcome;

/// A request as it came.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Received {
    /// The `webhook-id`.
    pub(crate) id: String,
    pub(crate) path: String,
    pub(crate) body: String,
    /// What was answered.
    pub(crate) status: u16,
}

/// The receiver; it stops when dropped.
#[derive(Debug)]
pub(crate) struct Receiver {
    pub(crate) port: u16,
    accepting: JoinHandle<()>,
}

#[derive(Debug)]
struct State {
    file: File,
    seen: HashSet<String>,
}

impl Receiver {
    /// Listens, and appends what comes to a file.
    pub(crate) async fn start(file: &Path, port: u16) -> Outcome<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let file = File::options().create(true).append(true).open(file)?;
        let state = Arc::new(Mutex::new(State { file, seen: HashSet::new() }));
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let state = Arc::clone(&state);
                // A sender that goes away in the middle was killed.
                tokio::spawn(async move { serve(stream, &state).await });
            }
        });
        Ok(Self { port, accepting })
    }

    /// A URL of it.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn serve(stream: TcpStream, state: &Mutex<State>) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    while let Some(received) = read(&mut stream).await? {
        let status = keep(received, &mut state.lock().unwrap_or_else(PoisonError::into_inner))?;
        let reason = if status == 204 { "No Content\r\n" } else { "Unavailable\r\ncontent-length: 0\r\n" };
        stream.write_all(format!("HTTP/1.1 {status} {reason}\r\n").as_bytes()).await?;
    }
    Ok(())
}

fn keep(mut received: Received, state: &mut State) -> io::Result<u16> {
    let first = state.seen.insert(received.id.clone());
    let unlucky = received.id.bytes().last().is_some_and(|letter| letter % 4 == 0);
    received.status = if received.path.starts_with("/flaky") && first && unlucky { 503 } else { 204 };
    let mut line = serde_json::to_vec(&received)?;
    line.push(b'\n');
    state.file.write_all(&line)?;
    Ok(received.status)
}

async fn read(stream: &mut BufReader<TcpStream>) -> io::Result<Option<Received>> {
    let mut line = String::new();
    if stream.read_line(&mut line).await? == 0 {
        return Ok(None);
    }
    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
    let (mut id, mut length) = (String::new(), 0);
    loop {
        line.clear();
        stream.read_line(&mut line).await?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        match name.to_ascii_lowercase().as_str() {
            "webhook-id" => id = value.to_owned(),
            "content-length" => length = value.parse().map_err(io::Error::other)?,
            _ => {}
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    Ok(Some(Received { id, path, body: String::from_utf8_lossy(&body).into_owned(), status: 0 }))
}
