//! Reading the texts that a run is about, when their calls begin. Waits for a store that is away.

use std::sync::Arc;

use acm2_domain::content_hash::ContentHash;
use acm2_domain::journal::{SharedText, Stopped};
use acm2_store::library::texts;
use futures_util::FutureExt;

use super::journal::RunCalls;
use crate::context::Trouble;

/// One of the run's texts, once there is room for the bytes that it will take. Where it cannot be read the run stops.
pub(super) async fn read(run: &RunCalls, hash: ContentHash, held: u64) -> Result<SharedText, Stopped> {
    let room = tokio::select! {
        biased;
        () = run.control.drain.cancelled() => return Err(Stopped),
        room = run.context.text_room.take(run.tenant_id(), held) => room.ok_or(Stopped)?,
    };
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
