//! The timelines that are streamed from this process: one look at the store for each run, however many stream it, when a
//! signal tells of news and now and then without one. Called by `event_stream`, which reads the events themselves.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use acm2_broker::Broker;
use acm2_broker::signals::{Grown, Signal};
use acm2_domain::ids::{RunId, TenantId};
use acm2_store::StoreError;
use acm2_store::runs::{self, Mark};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{Notify, watch};
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use crate::app::App;

/// The streamed runs of this process.
#[derive(Debug, Default)]
pub struct Timelines {
    streamed: Arc<Streamed>,
    /// Begins with the first stream.
    listening: OnceLock<AbortOnDropHandle<()>>,
}

/// They leave by themselves once nobody follows them; what is left of them goes when another comes.
#[derive(Debug, Default)]
struct Streamed(Mutex<HashMap<RunId, Weak<Timeline>>>);

/// One run that is looked at until nobody follows it any more.
#[derive(Debug)]
struct Timeline {
    hint: Arc<Notify>,
    news: watch::Receiver<News>,
    _looking: AbortOnDropHandle<()>,
}

/// How far a run has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct News {
    /// The number of the last event.
    pub(crate) last_event: u64,
    /// Whether no event follows.
    pub(crate) is_over: bool,
}

impl From<Mark> for News {
    fn from(mark: Mark) -> Self {
        Self { last_event: mark.last_event, is_over: mark.status.is_terminal() }
    }
}

/// Hears of one run.
#[derive(Debug)]
pub(crate) struct Follower {
    news: watch::Receiver<News>,
    _timeline: Arc<Timeline>,
}

impl Follower {
    /// What is known.
    pub(crate) fn known(&self) -> News {
        *self.news.borrow()
    }

    /// Waits until there are events after that number, or until none will follow.
    pub(crate) async fn beyond(&mut self, number: u64) {
        // Where nobody looks any more, the last look has found the end.
        let _ = self.news.wait_for(|news| news.last_event > number || news.is_over).await;
    }
}

impl Timelines {
    /// Follows a run that was found to have come so far.
    pub(crate) fn follow(&self, app: &App, tenant: TenantId, run: RunId, found: News) -> Follower {
        self.listening.get_or_init(|| {
            let listening = Arc::clone(&self.streamed).listen(&app.broker);
            AbortOnDropHandle::new(tokio::spawn(listening))
        });
        let mut streamed = self.streamed.lock();
        let known = streamed.get(&run).and_then(Weak::upgrade);
        // One that was over goes on where the run was taken up again.
        let known = known.filter(|timeline| found.is_over || !timeline.news.borrow().is_over);
        let timeline = known.unwrap_or_else(|| {
            streamed.retain(|_, timeline| timeline.strong_count() > 0);
            let (sender, news) = watch::channel(found);
            let hint = Arc::new(Notify::new());
            let looking = tokio::spawn(look_on(app.clone(), tenant, run, Arc::clone(&hint), sender));
            let timeline = Arc::new(Timeline { hint, news, _looking: AbortOnDropHandle::new(looking) });
            streamed.insert(run, Arc::downgrade(&timeline));
            timeline
        });
        Follower { news: timeline.news.clone(), _timeline: timeline }
    }
}

impl Streamed {
    /// Hears what all processes tell of runs, and looks at those that are streamed.
    fn listen(self: Arc<Self>, broker: &Broker) -> impl Future<Output = ()> + Send + use<> {
        let (signals, grown) = (broker.signals.subscribe(), broker.signals.subscribe_grown());
        async move {
            tokio::join!(self.hear_signals(signals), self.hear_grown(grown));
        }
    }

    async fn hear_signals(&self, mut signals: Receiver<Signal>) {
        loop {
            match signals.recv().await {
                Ok(Signal::Ended { run, .. } | Signal::Command { run, .. }) => self.hint(&[run]),
                Err(RecvError::Lagged(_)) => self.hint_all(),
                Err(RecvError::Closed) => return,
            }
        }
    }

    async fn hear_grown(&self, mut grown: Receiver<Grown>) {
        loop {
            match grown.recv().await {
                Ok(runs) => self.hint(&runs),
                Err(RecvError::Lagged(_)) => self.hint_all(),
                Err(RecvError::Closed) => return,
            }
        }
    }

    fn hint(&self, runs: &[RunId]) {
        let streamed = self.lock();
        for timeline in runs.iter().filter_map(|run| streamed.get(run)?.upgrade()) {
            timeline.hint.notify_one();
        }
    }

    fn hint_all(&self) {
        self.lock().values().filter_map(Weak::upgrade).for_each(|timeline| timeline.hint.notify_one());
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<RunId, Weak<Timeline>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Looks at a run until it has ended, or is gone.
async fn look_on(app: App, tenant: TenantId, run: RunId, hint: Arc<Notify>, news: watch::Sender<News>) {
    loop {
        match look(&app, tenant, run).await {
            Ok(found) => {
                news.send_if_modified(|known| {
                    let found = found.map_or(News { is_over: true, ..*known }, News::from);
                    std::mem::replace(known, found) != found
                });
            }
            Err(error) => tracing::debug!(%error, run.id = %run, "a run that is streamed could not be looked at"),
        }
        if news.borrow().is_over {
            return;
        }
        // A signal may be lost, so look again now and then.
        let _ = timeout(app.timing.command_poll, hint.notified()).await;
    }
}

/// `None` where there is no such run any more.
async fn look(app: &App, tenant: TenantId, run: RunId) -> Result<Option<Mark>, StoreError> {
    let looked = async {
        let tx = app.store.tenant(tenant).begin().await?;
        runs::find_mark(&tx, run).await
    };
    match looked.await {
        Err(StoreError::NotFound(_)) => Ok(None),
        looked => looked,
    }
}
