//! `acm2 sandbox`: the sandbox provider alone, for tests of clients and for the containers of a developer.

use std::net::SocketAddr;
use std::path::PathBuf;

use acm2_runtime::shutdown::Shutdown;
use clap::Args;

use super::say;
use crate::embedded;
use crate::start_error::StartError;

#[derive(Debug, Args)]
pub(super) struct SandboxArgs {
    /// Address and port to listen on.
    #[arg(long, default_value = "127.0.0.1:8090")]
    bind: SocketAddr,
    /// Also append the log of calls to this file, one JSON object per line.
    #[arg(long)]
    log_file: Option<PathBuf>,
    /// Write the address to this file once it listens.
    #[arg(long)]
    addr_file: Option<PathBuf>,
}

pub(super) async fn run(arguments: SandboxArgs) -> Result<(), StartError> {
    let shutdown = Shutdown::on_signals().map_err(|error| StartError::failed(format!("no signals: {error}")))?;
    let sandbox = embedded::start_sandbox(arguments.bind, arguments.log_file).await?;
    let address = sandbox.address();
    super::serve::write_address(arguments.addr_file.as_deref(), address)?;
    say::line(&format!("sandbox provider on http://{address}"));
    say::line(&format!("for acm2: ACM2_PROVIDERS__SANDBOX__BASE_URL=http://{address}/openrouter/api/v1"));
    shutdown.soft().cancelled().await;
    Ok(())
}
