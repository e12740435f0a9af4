//! Connections that a handler can end without an answer, and whose end a handler can see.
//! `server` accepts through `Gate`; `send` and `generate` name a connection by the client's address. HTTP libraries
//! always answer, so this sits below them: the next write on a marked connection fails, before any byte of it is sent.
//! And the server polls a connection on until its handler returns, although the client has left: so the reader of the
//! connection has to tell.

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
use tokio_util::sync::CancellationToken;

const OPEN: u8 = 0;
const CLOSE: u8 = 1;
const RESET: u8 = 2;

/// How many connections may wait to be accepted; the kernel may allow fewer.
const BACKLOG: u32 = 4096;

/// The open connections, by the client's address.
#[derive(Clone, Debug, Default)]
pub(crate) struct Connections(Arc<Mutex<HashMap<SocketAddr, Arc<State>>>>);

#[derive(Debug)]
struct State {
    ending: AtomicU8,
    /// The client has closed its side, or the connection is no more.
    gone: CancellationToken,
}

impl Connections {
    /// The connection of this client ends, in order (FIN), when something is to be written to it.
    pub(crate) fn close(&self, client: &RemoteAddr) {
        self.mark(client, CLOSE);
    }

    /// The same with a reset (RST).
    pub(crate) fn reset(&self, client: &RemoteAddr) {
        self.mark(client, RESET);
    }

    /// Is cancelled when this client goes away.
    pub(crate) fn gone(&self, client: &RemoteAddr) -> CancellationToken {
        self.state(client).map_or_else(
            || {
                let gone = CancellationToken::new();
                gone.cancel();
                gone
            },
            |state| state.gone.clone(),
        )
    }

    fn mark(&self, client: &RemoteAddr, ending: u8) {
        if let Some(state) = self.state(client) {
            state.ending.store(ending, Ordering::SeqCst);
        }
    }

    fn state(&self, client: &RemoteAddr) -> Option<Arc<State>> {
        let connections = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        connections.get(client.as_socket_addr()?).cloned()
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
        let state = Arc::new(State { ending: AtomicU8::new(OPEN), gone: CancellationToken::new() });
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
    state: Arc<State>,
    connections: Connections,
}

impl Connection {
    fn writable(&self) -> io::Result<()> {
        match self.state.ending.load(Ordering::SeqCst) {
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
        self.state.gone.cancel();
        let mut open = self.connections.0.lock().unwrap_or_else(PoisonError::into_inner);
        // The same address may have come back on a new connection by now.
        if open.get(&self.client).is_some_and(|state| Arc::ptr_eq(state, &self.state)) {
            open.remove(&self.client);
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        let ended = match &read {
            Poll::Pending => false,
            Poll::Ready(Ok(())) => buf.filled().len() == before && buf.remaining() > 0,
            Poll::Ready(Err(_)) => true,
        };
        if ended {
            self.state.gone.cancel();
        }
        read
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
