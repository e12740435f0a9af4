//! Reading pages of the web for research. A page costs nothing, so there is no intent: one that was read and is not written down
//! is read again. What was written down is never read again, so that a report can be traced to what its model was shown.

use acm2_domain::call::ErrorClass;
use acm2_domain::content_hash::ContentHash;
use acm2_domain::journal::{TaskAnswer, TaskFailure, TaskKey};
use acm2_domain::web::Page;
use acm2_outbound::PageLimits;

use super::journal::RunCalls;
use super::uncalled;
use crate::context::Trouble;

/// The most bytes of a page as it comes.
const MOST_BYTES: usize = 4 * 1024 * 1024;

/// Reads a page and settles its task.
pub(super) async fn read(run: &RunCalls, key: TaskKey, url: &str) -> Result<Result<TaskAnswer, TaskFailure>, Trouble> {
    let question = Some(ContentHash::of(url));
    if let Some(settled) = run.find_settled(&key, question) {
        return Ok(settled);
    }
    let skipped = run.control.skips.of(&key);
    let gone = || if skipped.is_cancelled() { TaskFailure::Failed(ErrorClass::Skipped) } else { TaskFailure::Stopped };
    let Some(_permit) = run.permit(&skipped).await else { return Ok(Err(gone())) };
    let running = run.meter.run();
    let page = tokio::select! {
        biased;
        // Nothing is lost that was paid for.
        () = run.control.drain.cancelled() => return Ok(Err(TaskFailure::Stopped)),
        () = skipped.cancelled() => return Ok(Err(gone())),
        page = fetch(run, url) => page,
    };
    drop(running);
    uncalled::keep(run, vec![key.clone()], question, page.to_text()).await?;
    Ok(run.find_settled(&key, question).unwrap_or(Err(TaskFailure::Stopped)))
}

async fn fetch(run: &RunCalls, url: &str) -> Page {
    let context = &run.context;
    let limits = PageLimits { deadline: context.timing.page_read, bytes: MOST_BYTES };
    let fetched = match context.outbound.fetch_page(url, &run.tenant.private_hosts, limits).await {
        Ok(fetched) => fetched,
        Err(unavailable) => return Page::Unavailable { reason: unavailable.to_string() },
    };
    match context.page_reader.text(run.tenant_id(), fetched.kind, fetched.body).await {
        Ok(text) => Page::read(fetched.url.as_str(), &text),
        Err(reason) => Page::Unavailable { reason },
    }
}
