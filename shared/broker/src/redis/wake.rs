//! Waiting for work without polling: BLPOP on the wake list, each wait on a connection of its own, because a blocking
//! command holds up whatever else goes over its connection.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ::redis::aio::MultiplexedConnection;
use ::redis::{RedisResult, cmd};
use tokio::time::timeout;

use super::link::{ANSWER, Link, silent};
use crate::dispatch::BrokerError;

/// How many connections are kept for the next waits; a process waits on two queues, more is for bursts.
const KEPT: usize = 8;

/// Connections for waiting.
#[derive(Debug)]
pub(super) struct Waits {
    link: Arc<Link>,
    idle: Mutex<Vec<Idle>>,
}

struct Idle(MultiplexedConnection);

impl std::fmt::Debug for Idle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Idle")
    }
}

impl Waits {
    pub(super) fn new(link: Arc<Link>) -> Self {
        Self { link, idle: Mutex::default() }
    }

    /// Waits until `list` wakes somebody, at most `longest`; an error within [`ANSWER`] after that if the server is away.
    /// A caller that goes away closes the connection, so that it takes no wake from others.
    pub(super) async fn wait(&self, list: &str, longest: Duration) -> Result<(), BrokerError> {
        let kept = self.idle().pop();
        if let Some(Idle(mut connection)) = kept {
            match pop(&mut connection, list, longest).await {
                Some(Ok(())) => {
                    self.keep(connection);
                    return Ok(());
                }
                // The server may have restarted since: none of those kept is trusted, a new one tells.
                Some(Err(_)) => self.idle().clear(),
                None => return Err(silent()),
            }
        }
        let mut connection = self.link.connect().await?;
        match pop(&mut connection, list, longest).await {
            Some(Ok(())) => {
                self.keep(connection);
                Ok(())
            }
            Some(Err(error)) => Err(self.link.told(&error)),
            None => Err(silent()),
        }
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&self, connection: MultiplexedConnection) {
        let mut idle = self.idle();
        if idle.len() < KEPT {
            idle.push(Idle(connection));
        }
    }
}

/// `None` is a time-out of the server, not of the wait.
async fn pop(connection: &mut MultiplexedConnection, list: &str, longest: Duration) -> Option<RedisResult<()>> {
    // Zero would mean for ever; less than a millisecond is rounded to it.
    let seconds = longest.max(Duration::from_millis(1)).as_secs_f64();
    let mut command = cmd("BLPOP");
    command.arg(list).arg(format!("{seconds:.3}"));
    let answer = timeout(longest + ANSWER, command.query_async::<Option<(String, String)>>(connection)).await;
    answer.ok().map(|answer| answer.map(drop))
}
