//! News over Redis pub/sub: a subscription per process and kind of news that reconnects by itself, spread within the process
//! by a broadcast channel. The own process is told at once, not by way of the server, so that it misses nothing while the
//! subscription is down; the echo is known by its sender and dropped.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use ::redis::cmd;
use acm2_domain::ids::RunId;
use async_trait::async_trait;
use futures_util::StreamExt;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast;
use tokio::time::{interval, sleep, timeout};
use tokio_util::task::AbortOnDropHandle;
use tracing::{debug, warn};
use uuid::Uuid;

use super::link::{ANSWER, Link, silent};
use crate::dispatch::BrokerError;
use crate::signals::{BACKLOG, Grown, Signal, Signals};

/// The first and the longest pause before subscribing again.
const PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));
/// How often a silent subscription is asked whether it still lives.
const PROBE: Duration = Duration::from_secs(10);

/// A piece of news on the wire.
#[derive(Debug, Serialize, Deserialize)]
struct Envelope<T> {
    /// The process that sent it.
    from: Uuid,
    #[serde(flatten)]
    news: T,
}

/// Runs whose timeline has grown, on the wire.
#[derive(Debug, Serialize, Deserialize)]
struct Runs {
    runs: Vec<RunId>,
}

/// Signals over Redis pub/sub.
#[derive(Debug)]
pub(crate) struct RedisSignals {
    link: Arc<Link>,
    own: Uuid,
    signals: broadcast::Sender<Signal>,
    signals_channel: String,
    grown: broadcast::Sender<Grown>,
    grown_channel: String,
    _listener: AbortOnDropHandle<()>,
    /// Only in processes where somebody wants to know.
    grown_listener: OnceLock<AbortOnDropHandle<()>>,
}

impl RedisSignals {
    /// Starts to listen; needs a tokio runtime.
    pub(crate) fn new(link: Arc<Link>, namespace: &str) -> Self {
        let (signals_channel, grown_channel) = (format!("{namespace}:signals"), format!("{namespace}:grown"));
        let own = Uuid::now_v7();
        let (signals, _) = broadcast::channel(BACKLOG);
        let (grown, _) = broadcast::channel(BACKLOG);
        let to_signals = signals.clone();
        let listener = listen(Arc::clone(&link), signals_channel.clone(), own, move |signal: Signal| {
            let _ = to_signals.send(signal);
        });
        Self {
            link,
            own,
            signals,
            signals_channel,
            grown,
            grown_channel,
            _listener: AbortOnDropHandle::new(tokio::spawn(listener)),
            grown_listener: OnceLock::new(),
        }
    }

    async fn send<T: Serialize + Sync>(&self, channel: &str, news: T) -> Result<(), BrokerError> {
        let text = serde_json::to_string(&Envelope { from: self.own, news })
            .map_err(|error| BrokerError(format!("a signal cannot be written: {error}")))?;
        let mut command = cmd("PUBLISH");
        command.arg(channel).arg(text);
        self.link.query::<u64>(&command).await.map(drop)
    }
}

#[async_trait]
impl Signals for RedisSignals {
    async fn publish(&self, signal: Signal) -> Result<(), BrokerError> {
        // Nobody listening here is no error.
        let _ = self.signals.send(signal);
        self.send(&self.signals_channel, signal).await
    }

    fn subscribe(&self) -> broadcast::Receiver<Signal> {
        self.signals.subscribe()
    }

    async fn publish_grown(&self, runs: &[RunId]) -> Result<(), BrokerError> {
        let _ = self.grown.send(runs.into());
        self.send(&self.grown_channel, Runs { runs: runs.to_vec() }).await
    }

    fn subscribe_grown(&self) -> broadcast::Receiver<Grown> {
        self.grown_listener.get_or_init(|| {
            let to_grown = self.grown.clone();
            let listener = listen(Arc::clone(&self.link), self.grown_channel.clone(), self.own, move |news: Runs| {
                let _ = to_grown.send(news.runs.into());
            });
            AbortOnDropHandle::new(tokio::spawn(listener))
        });
        self.grown.subscribe()
    }
}

async fn listen<T: DeserializeOwned>(link: Arc<Link>, channel: String, own: Uuid, hear: impl Fn(T) + Send + Sync) {
    let mut pause = PAUSE.0;
    loop {
        let subscribed = subscription(&link, &channel, own, &hear).await;
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
async fn subscription<T: DeserializeOwned>(
    link: &Link,
    channel: &str,
    own: Uuid,
    hear: &(impl Fn(T) + Send + Sync),
) -> Subscribed {
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
                Some(message) => forward(message.get_payload_bytes(), own, hear),
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

fn forward<T: DeserializeOwned>(payload: &[u8], own: Uuid, hear: &impl Fn(T)) {
    match serde_json::from_slice::<Envelope<T>>(payload) {
        Ok(envelope) if envelope.from == own => {}
        Ok(envelope) => hear(envelope.news),
        // A process of a later version may know more signals.
        Err(error) => debug!(%error, "a signal was not understood"),
    }
}
