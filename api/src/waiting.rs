//! `Prefer: wait=N` (RFC 7240): answers when the run has ended, or after N seconds with what there is. Called by `routes::runs`.

use std::time::Duration;

use acm2_broker::signals::Signal;
use acm2_domain::ids::{JobId, RunId};
use acm2_domain::run::Run;
use acm2_store::runs;
use poem::{FromRequest, Request, RequestBody};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Instant, timeout_at};

use crate::auth::Caller;
use crate::problem::Failure;

/// The longest wait, in seconds; also of those who ask for more.
const LONGEST: u64 = 60;

/// How long the caller is willing to wait, in seconds; 0 where it did not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wait(u64);

impl Wait {
    /// Not at all.
    pub(crate) const NONE: Self = Self(0);

    /// What stands in a `Prefer` header. What is not understood is ignored, as RFC 7240 asks.
    fn parse(header: &str) -> Self {
        let seconds = header
            .split([',', ';'])
            .filter_map(|part| part.split_once('='))
            .find(|(name, _)| name.trim().eq_ignore_ascii_case("wait"))
            .and_then(|(_, value)| value.trim().trim_matches('"').parse::<u64>().ok());
        Self(seconds.unwrap_or(0).min(LONGEST))
    }

    /// Whether the caller waits at all.
    pub(crate) const fn is_wanted(self) -> bool {
        self.0 > 0
    }

    /// For `Preference-Applied`.
    pub(crate) fn applied(self) -> String {
        format!("wait={}", self.0)
    }
}

impl<'a> FromRequest<'a> for Wait {
    async fn from_request(request: &'a Request, _body: &mut RequestBody) -> poem::Result<Self> {
        Ok(request.header("prefer").map_or(Self(0), Self::parse))
    }
}

/// The run, with results; waits for its end as long as `wait` says, unless too many wait already.
pub(crate) async fn get_run(caller: &Caller, run: RunId, wait: Wait) -> Result<Run, Failure> {
    get_run_and_job(caller, run, wait).await.map(|(run, _)| run)
}

/// The same, with the job by which the queue knows it.
pub(crate) async fn get_run_and_job(caller: &Caller, run: RunId, wait: Wait) -> Result<(Run, JobId), Failure> {
    if wait.is_wanted() {
        until_ended(caller, run, wait).await?;
    }
    read(caller, run).await
}

/// Waits without the request's place among those that are answered, and looks at the status only: the results are read once.
async fn until_ended(caller: &Caller, run: RunId, wait: Wait) -> Result<(), Failure> {
    // Listening begins before the first look, so that an end in between is not missed.
    let mut signals = caller.app.broker.signals.subscribe();
    let deadline = Instant::now() + Duration::from_secs(wait.0);
    if has_ended(caller, run).await? {
        return Ok(());
    }
    let Some(_place) = caller.app.waiters.enter(caller.tenant) else { return Ok(()) };
    caller.in_flight.release();
    let waited = wait_for_end(caller, run, &mut signals, deadline).await;
    caller.in_flight.take_again().await;
    waited
}

async fn wait_for_end(
    caller: &Caller,
    run: RunId,
    signals: &mut Receiver<Signal>,
    deadline: Instant,
) -> Result<(), Failure> {
    let ending = caller.app.shutdown.soft();
    loop {
        // A signal may be lost, so look again now and then.
        let look_again = (Instant::now() + caller.app.timing.command_poll).min(deadline);
        let ended = async {
            loop {
                match signals.recv().await {
                    Ok(Signal::Ended { tenant, run: ended }) if tenant == caller.tenant && ended == run => return,
                    Ok(_) => {}
                    Err(RecvError::Lagged(_)) => return,
                    Err(RecvError::Closed) => std::future::pending().await,
                }
            }
        };
        tokio::select! {
            _ = timeout_at(look_again, ended) => {}
            // A process that ends keeps nobody waiting.
            () = ending.cancelled() => return Ok(()),
        }
        if Instant::now() >= deadline || has_ended(caller, run).await? {
            return Ok(());
        }
    }
}

async fn has_ended(caller: &Caller, run: RunId) -> Result<bool, Failure> {
    let tx = caller.store().begin().await?;
    let mark = runs::find_mark(&tx, run).await?.ok_or_else(|| acm2_domain::Error::not_found("run"))?;
    tx.commit().await?;
    Ok(mark.status.is_terminal())
}

async fn read(caller: &Caller, run: RunId) -> Result<(Run, JobId), Failure> {
    let tx = caller.store().look().await?;
    let row = runs::find(&tx, run).await?.ok_or_else(|| acm2_domain::Error::not_found("run"))?;
    let tasks = runs::list_results(&tx, &row).await?;
    tx.commit().await?;
    Ok((runs::assemble(&row, Some(&tasks)), row.job))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_read_bounded_and_else_ignored() {
        assert_eq!(Wait::parse("wait=10"), Wait(10));
        assert_eq!(Wait::parse("respond-async, Wait = \"5\""), Wait(5));
        assert_eq!(Wait::parse("wait=100000"), Wait(60));
        assert_eq!(Wait::parse("wait=-1"), Wait(0));
        assert_eq!(Wait::parse("return=minimal"), Wait(0));
    }
}
