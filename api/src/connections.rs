//! The connections of the HTTP server: how many there may be, and how long one may do nothing. Called by `server`. It knows bytes
//! only; requests are `middleware`'s part.

use std::io::{Error, ErrorKind, IoSlice, Result};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use poem::http::uri::Scheme;
use poem::listener::Acceptor;
use poem::web::{LocalAddr, RemoteAddr};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep, sleep, sleep_until};

/// The pause after a connection could not be accepted, such as for want of files: else the server would only ask again.
const PAUSE: Duration = Duration::from_millis(100);

/// Accepts connections while there are fewer than so many; more wait in the system's queue.
#[derive(Debug)]
pub(crate) struct Bounded<A> {
    inner: A,
    free: Arc<Semaphore>,
    idle: Duration,
}

impl<A> Bounded<A> {
    /// `idle`: how long a connection may last in which nothing is answered.
    pub(crate) fn new(inner: A, most: usize, idle: Duration) -> Self {
        Self { inner, free: Arc::new(Semaphore::new(most.clamp(1, Semaphore::MAX_PERMITS))), idle }
    }
}

impl<A: Acceptor> Acceptor for Bounded<A> {
    type Io = Watched<A::Io>;

    fn local_addr(&self) -> Vec<LocalAddr> {
        self.inner.local_addr()
    }

    async fn accept(&mut self) -> Result<(Self::Io, LocalAddr, RemoteAddr, Scheme)> {
        let permit = Arc::clone(&self.free).acquire_owned().await.map_err(Error::other)?;
        match self.inner.accept().await {
            Ok((io, local, remote, scheme)) => Ok((Watched::new(io, self.idle, permit), local, remote, scheme)),
            Err(error) => {
                tracing::warn!(%error, "a connection was not accepted");
                sleep(PAUSE).await;
                Err(error)
            }
        }
    }
}

/// A connection that fails once nothing was answered for too long: counted from the last byte that we sent, or from the first
/// that came after it. Heads and bodies that trickle in, answers that nobody fetches and idle connections thus all end.
#[derive(Debug)]
pub(crate) struct Watched<S> {
    stream: S,
    idle: Duration,
    end: Pin<Box<Sleep>>,
    /// Whether nothing has come since we sent something.
    is_our_turn_done: bool,
    _permit: OwnedSemaphorePermit,
}

impl<S> Watched<S> {
    fn new(stream: S, idle: Duration, permit: OwnedSemaphorePermit) -> Self {
        let end = Box::pin(sleep_until(Instant::now() + idle));
        Self { stream, idle, end, is_our_turn_done: true, _permit: permit }
    }

    fn put_off(&mut self) {
        let end = Instant::now() + self.idle;
        self.end.as_mut().reset(end);
    }

    fn check(&mut self, context: &mut Context<'_>) -> Result<()> {
        match self.end.as_mut().poll(context) {
            Poll::Pending => Ok(()),
            Poll::Ready(()) => Err(Error::from(ErrorKind::TimedOut)),
        }
    }

    fn sent(&mut self, count: Result<usize>) -> Result<usize> {
        let count = count?;
        if count > 0 {
            self.is_our_turn_done = true;
            self.put_off();
        }
        Ok(count)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<Result<()>> {
        let this = self.get_mut();
        this.check(context)?;
        let before = buffer.filled().len();
        ready!(Pin::new(&mut this.stream).poll_read(context, buffer))?;
        if buffer.filled().len() > before && this.is_our_turn_done {
            this.is_our_turn_done = false;
            this.put_off();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize>> {
        let this = self.get_mut();
        this.check(context)?;
        let count = ready!(Pin::new(&mut this.stream).poll_write(context, bytes));
        Poll::Ready(this.sent(count))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        let this = self.get_mut();
        this.check(context)?;
        let count = ready!(Pin::new(&mut this.stream).poll_write_vectored(context, slices));
        Poll::Ready(this.sent(count))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        let this = self.get_mut();
        this.check(context)?;
        Pin::new(&mut this.stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    use super::*;

    const IDLE: Duration = Duration::from_secs(100);

    fn connection() -> (Watched<DuplexStream>, DuplexStream) {
        let (ours, theirs) = duplex(64);
        let permit = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
        (Watched::new(ours, IDLE, permit), theirs)
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_that_trickles_in_ends_all_the_same() {
        let (mut ours, mut theirs) = connection();
        let began = Instant::now();
        let trickle = tokio::spawn(async move {
            while theirs.write_all(b"x").await.is_ok() {
                sleep(IDLE / 10).await;
            }
        });
        let mut byte = [0];
        let error = loop {
            if let Err(error) = ours.read_exact(&mut byte).await {
                break error;
            }
        };
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert!(began.elapsed() <= IDLE + IDLE / 10, "{:?}", began.elapsed());
        drop(ours);
        trickle.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_in_use_goes_on_and_each_request_has_its_whole_time() {
        let (mut ours, mut theirs) = connection();
        let mut byte = [0];
        for _ in 0..5 {
            sleep(IDLE * 9 / 10).await;
            theirs.write_all(b"?").await.unwrap();
            ours.read_exact(&mut byte).await.unwrap();
            sleep(IDLE * 9 / 10).await;
            ours.write_all(b"!").await.unwrap();
            theirs.read_exact(&mut byte).await.unwrap();
        }
        let began = Instant::now();
        assert_eq!(ours.read_exact(&mut byte).await.unwrap_err().kind(), ErrorKind::TimedOut);
        assert_eq!(began.elapsed(), IDLE);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_nobody_fetches_ends() {
        let (mut ours, _theirs) = connection();
        assert_eq!(ours.write_all(&[0; 1_000]).await.unwrap_err().kind(), ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn one_connection_too_many_waits_for_another_to_end() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut acceptor = Bounded::new(poem::listener::TcpAcceptor::from_tokio(listener).unwrap(), 1, IDLE);
        let _clients = [(); 2].map(|()| std::net::TcpStream::connect(address).unwrap());
        let first = acceptor.accept().await.unwrap();
        let second = tokio::spawn(async move { acceptor.accept().await.map(drop) });
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        assert!(!second.is_finished());
        drop(first);
        second.await.unwrap().unwrap();
    }
}
