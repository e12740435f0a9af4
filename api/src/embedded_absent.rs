//! Stands in the place of `embedded.rs` in a build without the feature `worker`: the roles that need it say so.

use std::net::SocketAddr;
use std::path::PathBuf;

use acm2_store::control::NewWorker;
use url::Url;

use crate::app::App;
use crate::start_error::StartError;

fn absent() -> StartError {
    StartError::misused("this build has no worker: build acm2 with the feature `worker`, or run `acm2 api`")
}

/// Refuses.
#[expect(clippy::unused_async, reason = "the same form as with the feature")]
pub async fn work(_app: App, _process: NewWorker, _alone: bool) -> Result<(), StartError> {
    Err(absent())
}

/// Never made.
#[derive(Debug)]
pub struct RunningSandbox(std::convert::Infallible);

impl RunningSandbox {
    /// Never called.
    pub fn address(&self) -> SocketAddr {
        match self.0 {}
    }

    /// Never called.
    pub fn base_url(&self) -> Option<Url> {
        match self.0 {}
    }
}

/// Refuses.
#[expect(clippy::unused_async, reason = "the same form as with the feature")]
pub async fn start_sandbox(_bind: SocketAddr, _log_file: Option<PathBuf>) -> Result<RunningSandbox, StartError> {
    Err(absent())
}
