//! `Retry-After` of a run that has not ended: gathers what run and queue say, `domain` makes the number of it. Called by
//! `routes::runs`.

use std::time::Duration;

use acm2_broker::dispatch::{BrokerError, Load};
use acm2_domain::ids::TenantId;
use acm2_domain::job::Queue;
use acm2_domain::run::{Outlook, Run, RunStatus, poll_hint};
use chrono::{DateTime, Utc};

use crate::app::App;
use crate::queue_place;

/// After how many seconds looking again makes sense. Asks the broker only about a run that waits; while it is away, the run
/// alone counts.
pub(crate) async fn seconds(app: &App, tenant: TenantId, run: &Run) -> u64 {
    let load = match run.status {
        RunStatus::Queued => told(app.broker.dispatch.load(Queue::Runs, tenant)).await.unwrap_or_default(),
        _ => Load::default(),
    };
    seconds_with(app, run, load)
}

/// What the broker tells, if it does so in time.
async fn told<T>(answer: impl Future<Output = Result<T, BrokerError>>) -> Option<T> {
    tokio::time::timeout(queue_place::PATIENCE, answer).await.ok()?.ok()
}

/// The same where it is known what the queue is like.
pub(crate) fn seconds_with(app: &App, run: &Run, load: Load) -> u64 {
    let now = app.clock.now();
    let passed = |since: DateTime<Utc>| (now - since).to_std().unwrap_or_default();
    let outlook = match run.status {
        RunStatus::Queued => {
            Outlook::Queued { waited: passed(run.created_at), waiting: load.waiting, at_once: load.leased }
        }
        RunStatus::Paused => Outlook::Paused,
        _ => Outlook::Running {
            took: run.started_at.map_or(Duration::ZERO, passed),
            settled: run.progress.tasks_completed.saturating_add(run.progress.tasks_failed),
            expected: run.progress.tasks_expected,
        },
    };
    poll_hint(outlook, (run.deadline_at - now).to_std().unwrap_or_default())
}
