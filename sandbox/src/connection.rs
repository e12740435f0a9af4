//! Connections that a handler can end without an answer.
//! `server` accepts through `Gate`; `send` marks a connection by the client's address. HTTP libraries always answer, so
//! this sits below them: the next write on a marked connection fails, before any byte of it is sent.

use std::{
    collections::HashMap,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU8, Ordering},
    },
    task::{Context, Poll},
};

use poem::{
    http::uri::Scheme,
    listener::Acceptor,
    web::{LocalAddr, RemoteAddr},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpSocket, TcpStream},
};

const OPEN: u8 = 0;
const CLOSE: u8 = 1;
const RESET: u8 = 2;

/// How many connections may wait to be accepted; the kernel may allow fewer.
const BACKLOG: u32 = 4096;

/// The open connections, by the client's address.
#[derive(Clone, Debug, Default)]
pub(crate) struct Connections(Arc<Mutex<HashMap<SocketAddr, Arc<AtomicU8>>>>);

impl Connections {
    /// The connection of this client ends, in order (FIN), when something is to be written to it.
    pub(crate) fn close(&self, client: &RemoteAddr) {
        self.mark(client, CLOSE);
    }

    /// The same with a reset (RST).
    pub(crate) fn reset(&self, client: &RemoteAddr) {
        self.mark(client, RESET);
    }

    fn mark(&self, client: &RemoteAddr, ending: u8) {
        let connections = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(state) = client.as_socket_addr().and_then(|client| connections.get(client)) {
            state.store(ending, Ordering::SeqCst);
        }
    }
}

/// Listens, and wraps what it accepts.
#[derive(Debug)]
pub(crate) struct Gate {
    listener: TcpListener,
    address: SocketAddr,
    connections: Connections,
}

impl Gate {
    pub(crate) fn bind(address: SocketAddr, connections: Connections) -> io::Result<Self> {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        let listener = socket.listen(BACKLOG)?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address, connections })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Acceptor for Gate {
    type Io = Connection;

    fn local_addr(&self) -> Vec<LocalAddr> {
        vec![LocalAddr(self.address.into())]
    }

    async fn accept(&mut self) -> io::Result<(Connection, LocalAddr, RemoteAddr, Scheme)> {
        let (stream, client) = self.listener.accept().await?;
        stream.set_nodelay(true)?;
        let state = Arc::new(AtomicU8::new(OPEN));
        let mut open = self.connections.0.lock().unwrap_or_else(PoisonError::into_inner);
        open.insert(client, Arc::clone(&state));
        drop(open);
        let connection = Connection { stream, client, state, connections: self.connections.clone() };
        Ok((connection, LocalAddr(self.address.into()), RemoteAddr(client.into()), Scheme::HTTP))
    }
}

/// One accepted connection.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    client: SocketAddr,
    state: Arc<AtomicU8>,
    connections: Connections,
}

impl Connection {
    fn writable(&self) -> io::Result<()> {
        match self.state.load(Ordering::SeqCst) {
            OPEN => Ok(()),
            RESET => {
                // Without lingering, closing the socket sends RST instead of FIN.
                self.stream.set_zero_linger()?;
                Err(io::ErrorKind::ConnectionReset.into())
            }
            _ => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let mut open = self.connections.0.lock().unwrap_or_else(PoisonError::into_inner);
        // The same address may have come back on a new connection by now.
        if open.get(&self.client).is_some_and(|state| Arc::ptr_eq(state, &self.state)) {
            open.remove(&self.client);
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.writable()?;
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.writable()?;
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
