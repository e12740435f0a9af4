//! Where a queued run stands, for whoever looks at it. Costs one call of the broker, whatever the length of the queue.

use std::time::Duration;

use acm2_domain::ids::JobId;
use acm2_domain::job::Queue;
use acm2_domain::standing::QueuePlace;
use tokio::time::timeout;

use crate::auth::Caller;

/// A broker that takes longer is away: who only looks at a run does not wait for it.
pub(crate) const PATIENCE: Duration = Duration::from_millis(250);

/// The place of a job of the caller; `None` where it is not ready, or the broker does not tell.
pub(crate) async fn find(caller: &Caller, job: JobId) -> Option<QueuePlace> {
    let standing = caller.app.broker.dispatch.standing(Queue::Runs, caller.tenant, job);
    match timeout(PATIENCE, standing).await {
        Ok(Ok(standing)) => standing.map(|standing| standing.place()),
        Ok(Err(error)) => {
            tracing::debug!(%error, "the broker does not tell where a run stands");
            None
        }
        Err(_) => None,
    }
}
