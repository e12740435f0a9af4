//! Room for images: what an answer with one takes in memory, from its first byte until it is written, is bounded for the process
//! by how many such calls may be under way. A call waits for that before it waits for its lane, so that it keeps nobody from one.

use acm2_domain::call::Call;
use tokio_util::sync::CancellationToken;

use super::journal::RunCalls;
use crate::call_permits::CallPermit;

/// Room for what a call brings; held until that is written. A call that wants no image needs none.
pub(super) type Room = Option<CallPermit>;

/// Waits for the room that a call needs; `None` where the run stops or the task is skipped first.
pub(super) async fn room(run: &RunCalls, call: &Call, skipped: &CancellationToken) -> Option<Room> {
    if call.image.is_none() {
        return Some(None);
    }
    let permits = run.context.image_calls.of(run.tenant_id());
    tokio::select! {
        biased;
        () = run.control.drain.cancelled() => None,
        () = skipped.cancelled() => None,
        permit = permits.acquire() => permit.map(Some),
    }
}
