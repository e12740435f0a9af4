//! A connection that comes back by itself, and errors that tell no password. Everything of `redis/` goes through it.
//!
//! The redis crate's own `ConnectionManager` keeps a connection whose answers time out, and one whose handshake was
//! refused, for ever; here whatever looks dead is dropped, and the next command connects anew.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ::redis::aio::MultiplexedConnection;
use ::redis::io::tcp::TcpSettings;
use ::redis::{
    AsyncConnectionConfig, Client, Cmd, ErrorKind, FromRedisValue, IntoConnectionInfo as _, Pipeline, RedisError,
    RedisResult, ScriptInvocation, ServerErrorKind,
};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::{Instant, timeout, timeout_at};

use crate::dispatch::BrokerError;

/// How long a command may take, connecting included. A server under load answers late; one that takes longer is away.
pub(crate) const ANSWER: Duration = Duration::from_secs(5);
/// How long connecting may take: shorter, so that those who wait for the same connection hear of it in time.
const CONNECT: Duration = Duration::from_secs(3);

/// The shared connection to the server.
pub(crate) struct Link {
    client: Client,
    password: Option<SecretString>,
    current: Mutex<Current>,
    connecting: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Current {
    /// Counts connections, so that a late failure of an old one does not cost the new one.
    number: u64,
    connection: Option<MultiplexedConnection>,
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").finish_non_exhaustive()
    }
}

impl Link {
    /// Connects to nothing yet.
    pub(crate) fn new(url: &SecretString) -> Result<Self, BrokerError> {
        let unusable = |_| BrokerError("its URL cannot be used".to_owned());
        let info = url.expose_secret().into_connection_info().map_err(unusable)?;
        let password = info.redis_settings().password().map(SecretString::from);
        let info = info.set_tcp_settings(TcpSettings::default().set_nodelay(true));
        let client = Client::open(info).map_err(unusable)?;
        Ok(Self { client, password, current: Mutex::default(), connecting: tokio::sync::Mutex::default() })
    }

    /// A connection of one's own, for commands that block. Its answers have no time-out.
    pub(crate) async fn connect(&self) -> Result<MultiplexedConnection, BrokerError> {
        let config = AsyncConnectionConfig::new().set_connection_timeout(Some(CONNECT)).set_response_timeout(None);
        self.client.get_multiplexed_async_connection_with_config(&config).await.map_err(|error| self.told(&error))
    }

    /// A connection for subscriptions.
    pub(crate) async fn connect_pubsub(&self) -> Result<::redis::aio::PubSub, BrokerError> {
        match timeout(CONNECT, self.client.get_async_pubsub()).await {
            Ok(connected) => connected.map_err(|error| self.told(&error)),
            Err(_) => Err(silent()),
        }
    }

    /// Sends a command; an error within [`ANSWER`] if the server is away.
    pub(crate) async fn query<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, BrokerError> {
        let deadline = Instant::now() + ANSWER;
        let (number, mut connection) = self.connected(deadline).await?;
        self.judged(number, timeout_at(deadline, command.query_async(&mut connection)).await.ok())
    }

    /// Sends commands that only read, in one round trip; an error within [`ANSWER`] if the server is away. Others' commands may come
    /// between them.
    pub(crate) async fn query_all<T: FromRedisValue>(&self, commands: &Pipeline) -> Result<T, BrokerError> {
        let deadline = Instant::now() + ANSWER;
        let (number, mut connection) = self.connected(deadline).await?;
        self.judged(number, timeout_at(deadline, commands.query_async(&mut connection)).await.ok())
    }

    /// Runs a script, loading it where the server does not know it; an error within [`ANSWER`] if the server is away.
    pub(crate) async fn invoke<T: FromRedisValue>(&self, script: &ScriptInvocation<'_>) -> Result<T, BrokerError> {
        let deadline = Instant::now() + ANSWER;
        let (number, mut connection) = self.connected(deadline).await?;
        self.judged(number, timeout_at(deadline, script.invoke_async(&mut connection)).await.ok())
    }

    /// An error in words that hold no password.
    pub(crate) fn told(&self, error: &RedisError) -> BrokerError {
        let mut text = error.to_string();
        if let Some(password) = &self.password
            && !password.expose_secret().is_empty()
        {
            text = text.replace(password.expose_secret(), "…");
        }
        BrokerError(text)
    }

    async fn connected(&self, deadline: Instant) -> Result<(u64, MultiplexedConnection), BrokerError> {
        if let Some(found) = self.found() {
            return Ok(found);
        }
        let Ok(_turn) = timeout_at(deadline, self.connecting.lock()).await else { return Err(silent()) };
        if let Some(found) = self.found() {
            return Ok(found);
        }
        let connection = timeout_at(deadline, self.connect()).await.unwrap_or_else(|_| Err(silent()))?;
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        current.number += 1;
        current.connection = Some(connection.clone());
        Ok((current.number, connection))
    }

    fn found(&self) -> Option<(u64, MultiplexedConnection)> {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        current.connection.clone().map(|connection| (current.number, connection))
    }

    /// `None` is a time-out.
    fn judged<T>(&self, number: u64, answer: Option<RedisResult<T>>) -> Result<T, BrokerError> {
        let fault = match answer {
            Some(Ok(value)) => return Ok(value),
            Some(Err(error)) if !is_lost(&error) => return Err(self.told(&error)),
            Some(Err(error)) => self.told(&error),
            None => silent(),
        };
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.number == number {
            current.connection = None;
        }
        Err(fault)
    }
}

/// Whether a new connection may do better. A read-only server was demoted: its name may lead to another one now.
pub(crate) fn is_lost(error: &RedisError) -> bool {
    error.is_io_error()
        || error.is_unrecoverable_error()
        || matches!(error.kind(), ErrorKind::Server(ServerErrorKind::ReadOnly | ServerErrorKind::MasterDown))
}

/// The error of a server that takes too long.
pub(crate) fn silent() -> BrokerError {
    BrokerError(format!("no answer within {} s", ANSWER.as_secs()))
}
