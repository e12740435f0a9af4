//! What a worker does: one file for each kind of job.

mod deliver;
mod run;
mod tail;

use std::sync::Arc;

use acm2_domain::job::{Job, Work};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

pub(crate) use self::run::Started;
use crate::consume::{Handler, Held, Outcome};
use crate::context::Context;

/// Hands each job to its file.
#[derive(Debug)]
pub(crate) struct Jobs(pub(crate) Arc<Context>);

impl Handler for Jobs {
    fn handle(&self, job: Job, held: Held) -> BoxFuture<'static, Outcome> {
        let context = Arc::clone(&self.0);
        match job.work {
            Work::RunV1(id) => run::work(context, job, id, held).boxed(),
            Work::DeliverV1(id) => async move {
                // One call at most, and little beside it.
                let _running = held.meter().run();
                deliver::work(context, job, id).await
            }
            .boxed(),
        }
    }
}
