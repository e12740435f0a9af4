//! Whether the process lives, whether it can work, and its metrics. Public; nothing here tells anything of a tenant.

use acm2_domain::error::{Error, Kind};
use acm2_domain::job::Queue;
use poem::web::Data;
use poem_openapi::payload::PlainText;
use poem_openapi::{Object, OpenApi};
use serde::Serialize;

use super::Tag;
use crate::app::App;
use crate::problem::Failure;
use crate::reply::Reply;

/// The process is well.
#[derive(Debug, Serialize, Object)]
pub(super) struct Health {
    /// `ok`.
    pub status: String,
    /// Of the program.
    pub version: String,
}

/// Health.
pub(super) struct HealthApi;

#[OpenApi(tag = "Tag::Health")]
impl HealthApi {
    /// Is the process alive?
    ///
    /// Public. Asks nobody else.
    #[oai(path = "/healthz", method = "get", operation_id = "health.live")]
    #[expect(clippy::unused_async, reason = "poem-openapi takes async handlers only")]
    async fn live(&self) -> Reply<Health> {
        Reply::new(well())
    }

    /// Can the process work?
    ///
    /// Public. Asks the store and the broker; a 503 names what is away, or says that the process is about to end.
    #[oai(path = "/readyz", method = "get", operation_id = "health.ready")]
    async fn ready(&self, app: Data<&App>) -> Result<Reply<Health>, Failure> {
        if app.shutdown.soft().is_cancelled() {
            return Err(Error::new(Kind::Unavailable, "not_ready", "this process is about to end")
                .retry_after(1)
                .into());
        }
        let patience = app.timing.heartbeat_timeout;
        let store = async { matches!(tokio::time::timeout(patience, app.store.ping()).await, Ok(Ok(()))) };
        let broker = async { matches!(tokio::time::timeout(patience, app.broker.dispatch.ping()).await, Ok(Ok(()))) };
        let (store, broker) = tokio::join!(store, broker);
        let away: Vec<&str> = [("the store", store), ("the broker", broker)]
            .iter()
            .filter(|(_, well)| !well)
            .map(|(name, _)| *name)
            .collect();
        if away.is_empty() {
            return Ok(Reply::new(well()));
        }
        let detail = format!("no answer from {}", away.join(" and "));
        Err(Error::new(Kind::Unavailable, "not_ready", detail).retry_after(1).into())
    }

    /// Metrics.
    ///
    /// Public, in the text format of Prometheus; labels are route templates, nothing of any tenant.
    #[oai(path = "/metrics", method = "get", operation_id = "health.metrics")]
    async fn metrics(&self, app: Data<&App>) -> Result<PlainText<String>, Failure> {
        for queue in Queue::ALL {
            if let Ok(depth) = app.broker.dispatch.depth(queue).await {
                for (state, jobs) in [("ready", depth.ready), ("delayed", depth.delayed), ("leased", depth.leased)] {
                    app.metrics.set_queue(queue.as_str(), state, jobs);
                }
            }
        }
        let text = app.metrics.render().map_err(|error| Error::new(Kind::Internal, "internal", error.to_string()))?;
        Ok(PlainText(String::from_utf8_lossy(&text).into_owned()))
    }
}

fn well() -> Health {
    Health { status: "ok".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() }
}
