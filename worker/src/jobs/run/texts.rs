//! Reading the texts that a run is about, when their calls begin. Waits for a store that is away.

use std::sync::Arc;

use acm2_domain::content_hash::ContentHash;
use acm2_domain::journal::{SharedText, Stopped};
use acm2_store::library::texts;
use futures_util::FutureExt;
use tokio::time::sleep;

use super::journal::RunCalls;
use crate::context::Trouble;
use crate::text_room::Room;

/// A wait for room that has lasted a fourth of what a task may hold its run for is taken for a long one: nobody knows how long it
/// will be, and a run that is given back loses its turn. So the first of a tenant's that waits so long is not given back.
const PATIENCE: u32 = 4;

/// One of the run's texts, once there is room for the bytes that it will take. Where it cannot be read the run stops.
pub(super) async fn read(run: &RunCalls, hash: ContentHash, held: u64) -> Result<SharedText, Stopped> {
    let room = take_room(run, held).await.ok_or(Stopped)?;
    let reading = run.context.stored(|_| {
        async move {
            let tx = run.context.store.tenant(run.tenant_id()).begin().await?;
            Ok(texts::get(&tx, hash).await?)
        }
        .boxed()
    });
    let text: String = reading.await.map_err(|trouble: Trouble| {
        run.control.trouble(&trouble);
        Stopped
    })?;
    Ok(Arc::new(room.hold(text)))
}

/// Waits for room; `None` where the run stops first.
async fn take_room(run: &RunCalls, held: u64) -> Option<Room> {
    let taking = run.context.text_room.take(run.tenant_id(), held);
    tokio::pin!(taking);
    tokio::select! {
        biased;
        () = run.control.drain.cancelled() => return None,
        room = &mut taking => return room,
        () = sleep(run.context.timing.release_after / PATIENCE) => {}
    }
    let patience = run.context.text_room.patience(run.tenant_id());
    let _long = run.waits_for_room(patience.is_some());
    tokio::select! {
        biased;
        () = run.control.drain.cancelled() => None,
        room = taking => room,
    }
}
