//! News over Redis pub/sub: one subscription per process that reconnects by itself, spread within the process by one
//! broadcast channel. The own process is told at once, not by way of the server, so that it misses nothing while the
//! subscription is down; the echo is known by its sender and dropped.

use std::sync::Arc;
use std::time::Duration;

use ::redis::cmd;
use async_trait::async_trait;
use futures_util::StreamExt;
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast;
use tokio::time::{interval, sleep, timeout};
use tokio_util::task::AbortOnDropHandle;
use tracing::{debug, warn};
use uuid::Uuid;

use super::link::{ANSWER, Link, silent};
use crate::dispatch::BrokerError;
use crate::signals::{BACKLOG, Signal, Signals};

/// The first and the longest pause before subscribing again.
const PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));
/// How often a silent subscription is asked whether it still lives.
const PROBE: Duration = Duration::from_secs(10);

/// A signal on the wire.
#[derive(Debug, Serialize, Deserialize)]
struct Envelope {
    /// The process that sent it.
    from: Uuid,
    #[serde(flatten)]
    signal: Signal,
}

/// Signals over Redis pub/sub.
#[derive(Debug)]
pub(crate) struct RedisSignals {
    link: Arc<Link>,
    channel: String,
    own: Uuid,
    sender: broadcast::Sender<Signal>,
    _listener: AbortOnDropHandle<()>,
}

impl RedisSignals {
    /// Starts to listen; needs a tokio runtime.
    pub(crate) fn new(link: Arc<Link>, namespace: &str) -> Self {
        let channel = format!("{namespace}:signals");
        let own = Uuid::now_v7();
        let (sender, _) = broadcast::channel(BACKLOG);
        let listener = tokio::spawn(listen(Arc::clone(&link), channel.clone(), own, sender.clone()));
        Self { link, channel, own, sender, _listener: AbortOnDropHandle::new(listener) }
    }
}

#[async_trait]
impl Signals for RedisSignals {
    async fn publish(&self, signal: Signal) -> Result<(), BrokerError> {
        // Nobody listening here is no error.
        let _ = self.sender.send(signal);
        let text = serde_json::to_string(&Envelope { from: self.own, signal })
            .map_err(|error| BrokerError(format!("a signal cannot be written: {error}")))?;
        let mut command = cmd("PUBLISH");
        command.arg(&self.channel).arg(text);
        self.link.query::<u64>(&command).await.map(drop)
    }

    fn subscribe(&self) -> broadcast::Receiver<Signal> {
        self.sender.subscribe()
    }
}

async fn listen(link: Arc<Link>, channel: String, own: Uuid, sender: broadcast::Sender<Signal>) {
    let mut pause = PAUSE.0;
    loop {
        let subscribed = subscription(&link, &channel, own, &sender).await;
        if subscribed.lived {
            pause = PAUSE.0;
        }
        // Said once per outage; the tries that follow are of no interest.
        if pause == PAUSE.0 {
            warn!(error = %subscribed.end, "signals are not heard until the broker is back");
        } else {
            debug!(error = %subscribed.end, "signals are still not heard");
        }
        sleep(pause).await;
        pause = (pause * 2).min(PAUSE.1);
    }
}

struct Subscribed {
    /// Whether the subscription stood for a while.
    lived: bool,
    end: BrokerError,
}

/// Hears until the connection ends.
async fn subscription(link: &Link, channel: &str, own: Uuid, sender: &broadcast::Sender<Signal>) -> Subscribed {
    let never = |end| Subscribed { lived: false, end };
    let mut pubsub = match link.connect_pubsub().await {
        Ok(pubsub) => pubsub,
        Err(error) => return never(error),
    };
    match timeout(ANSWER, pubsub.subscribe(channel)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => return never(link.told(&error)),
        Err(_) => return never(silent()),
    }
    let (mut sink, mut messages) = pubsub.split();
    let mut probe = interval(PROBE);
    let end = loop {
        tokio::select! {
            message = messages.next() => match message {
                None => break BrokerError("the connection was closed".to_owned()),
                Some(message) => forward(message.get_payload_bytes(), own, sender),
            },
            // A connection that was cut silently would stay silent for ever.
            _ = probe.tick() => match timeout(ANSWER, sink.ping::<::redis::Value>()).await {
                Ok(Ok(_)) => {}
                Ok(Err(error)) => break link.told(&error),
                Err(_) => break silent(),
            },
        }
    };
    Subscribed { lived: true, end }
}

fn forward(payload: &[u8], own: Uuid, sender: &broadcast::Sender<Signal>) {
    match serde_json::from_slice::<Envelope>(payload) {
        Ok(envelope) if envelope.from == own => {}
        Ok(envelope) => {
            let _ = sender.send(envelope.signal);
        }
        // A process of a later version may know more signals.
        Err(error) => debug!(%error, "a signal was not understood"),
    }
}
