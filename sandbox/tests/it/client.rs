//! A tiny HTTP/1.1 client that sees what a library would hide: cut bodies, resets, raw headers.

use std::{
    fmt::Write,
    io,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use acm2_sandbox::{CallRecord, Options, Sandbox};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// A key that the sandbox accepts.
pub(crate) const KEY: &str = "sk-test-0123456789";

pub(crate) async fn start() -> Sandbox {
    Sandbox::start(Options { bind: (Ipv4Addr::LOCALHOST, 0).into(), log_file: None }).await.unwrap()
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: Vec<u8>,
    /// The promised end of the body was seen.
    pub(crate) whole: bool,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }

    pub(crate) fn json(&self) -> Value {
        assert!(self.whole, "the body was cut: {self:?}");
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// One request on a connection of its own.
pub(crate) struct Call {
    pub(crate) method: &'static str,
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Call {
    pub(crate) fn get(path: &str) -> Self {
        Self { method: "GET", path: path.to_owned(), headers: Vec::new(), body: String::new() }
    }

    pub(crate) fn post(path: &str, body: &Value) -> Self {
        Self { method: "POST", path: path.to_owned(), headers: Vec::new(), body: body.to_string() }
    }

    pub(crate) fn chat(model: &str, prompt: &str) -> Self {
        let body = json!({"model": model, "messages": [{"role": "user", "content": prompt}]});
        Self::post("/v1/chat/completions", &body)
    }

    pub(crate) fn responses(model: &str, prompt: &str) -> Self {
        Self::post("/v1/responses", &json!({"model": model, "input": prompt, "store": false}))
    }

    pub(crate) fn anthropic(model: &str, prompt: &str) -> Self {
        let body = json!({"model": model, "max_tokens": 100, "messages": [{"role": "user", "content": prompt}]});
        Self::post("/anthropic/v1/messages", &body).header("anthropic-version", "2026-10-21")
    }

    pub(crate) fn gemini(model: &str, prompt: &str) -> Self {
        let body = json!({"contents": [{"role": "user", "parts": [{"text": prompt}]}]});
        Self::post(&format!("/gemini/v1beta/models/{model}:generateContent"), &body)
    }

    pub(crate) fn openrouter(model: &str, prompt: &str) -> Self {
        Self { path: "/openrouter/api/v1/chat/completions".to_owned(), ..Self::chat(model, prompt) }
    }

    /// The same question on every wire and brand, without a key.
    pub(crate) fn everywhere(model: &str, prompt: &str) -> [(&'static str, Self); 5] {
        [
            ("openai chat", Self::chat(model, prompt)),
            ("openai responses", Self::responses(model, prompt)),
            ("openrouter", Self::openrouter(model, prompt)),
            ("anthropic", Self::anthropic(model, prompt)),
            ("gemini", Self::gemini(model, prompt)),
        ]
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Puts the key where the path's brand wants it.
    pub(crate) fn key(self, key: &str) -> Self {
        if self.path.starts_with("/anthropic") {
            self.header("x-api-key", key)
        } else if self.path.starts_with("/gemini") {
            self.header("x-goog-api-key", key)
        } else {
            self.header("authorization", &format!("Bearer {key}"))
        }
    }

    /// Sends the request with a good key, which must be answered.
    pub(crate) async fn to(self, sandbox: &Sandbox) -> Answer {
        self.key(KEY).send(sandbox.address()).await.unwrap()
    }

    /// Sends the request as it is and returns the connection.
    pub(crate) async fn open(self, address: SocketAddr) -> io::Result<TcpStream> {
        let mut stream = TcpStream::connect(address).await?;
        let mut head = format!("{} {} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n", self.method, self.path);
        for (name, value) in &self.headers {
            write!(head, "{name}: {value}\r\n").unwrap();
        }
        let length = self.body.len();
        write!(head, "content-type: application/json\r\ncontent-length: {length}\r\n\r\n").unwrap();
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(self.body.as_bytes()).await?;
        Ok(stream)
    }

    /// Sends the request as it is; an error when the connection ends before a whole head.
    pub(crate) async fn send(self, address: SocketAddr) -> io::Result<Answer> {
        let mut stream = self.open(address).await?;
        let mut bytes = Vec::new();
        let ended = tokio::time::timeout(Duration::from_mins(1), stream.read_to_end(&mut bytes)).await;
        let read = ended.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?;
        let Some(split) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else {
            read?;
            assert!(bytes.is_empty(), "a part of a head: {bytes:?}");
            return Err(io::ErrorKind::UnexpectedEof.into());
        };
        let head = String::from_utf8(bytes[..split].to_vec()).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let mut answer = Answer { status, head, body: bytes[split + 4..].to_vec(), whole: false };
        if answer.header("transfer-encoding") == Some("chunked") {
            (answer.body, answer.whole) = dechunked(&answer.body);
        } else {
            let promised: usize = answer.header("content-length").unwrap().parse().unwrap();
            answer.whole = answer.body.len() == promised;
        }
        Ok(answer)
    }
}

fn dechunked(mut rest: &[u8]) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    loop {
        let Some(line) = rest.windows(2).position(|window| window == b"\r\n") else { return (body, false) };
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..line]).unwrap(), 16).unwrap();
        rest = &rest[line + 2..];
        if size == 0 {
            return (body, true);
        }
        if rest.len() < size + 2 {
            return (body, false);
        }
        body.extend_from_slice(&rest[..size]);
        rest = &rest[size + 2..];
    }
}

/// Waits until the log satisfies `seen`; for events that the server writes after the client has moved on.
pub(crate) async fn log_when(sandbox: &Sandbox, seen: impl Fn(&[CallRecord]) -> bool) -> Vec<CallRecord> {
    for _ in 0..1_000 {
        let calls = sandbox.calls();
        if seen(&calls) {
            return calls;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let calls = sandbox.calls();
    panic!("not in the log of {} records, which ends with {:?}", calls.len(), calls.last());
}
