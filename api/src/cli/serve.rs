//! `acm2 serve`, `acm2 api`, `acm2 worker`: one process in its role, from start to drained end.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use acm2_runtime::config::{Config, Mode, Role};
use acm2_runtime::file_limit;
use acm2_runtime::shutdown::Shutdown;
use acm2_store::control::NewWorker;
use clap::Args;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::{greeting, say};
use crate::admin::AdminSocket;
use crate::app::App;
use crate::embedded::{self, RunningSandbox};
use crate::first_start::{self, Prepared};
use crate::server::{self, Bound};
use crate::start_error::StartError;
use crate::{open, presence, timekeeping};

#[derive(Debug, Default, Args)]
pub(super) struct Serve {
    /// Write the address to this file once it listens; for port 0.
    #[arg(long)]
    addr_file: Option<PathBuf>,
}

pub(super) async fn run(config: Config, role: Role, arguments: Serve) -> Result<(), StartError> {
    config.check_role(role)?;
    let shutdown = Shutdown::on_signals().map_err(|error| StartError::failed(format!("no signals: {error}")))?;
    if let Err(error) = file_limit::raise() {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
    // A busy port shows before anything is made.
    let bound = if role == Role::Worker { None } else { Some(server::bind(config.http.bind).await?) };
    let sandbox = embedded_sandbox(&config, role).await?;
    let base_urls: BTreeMap<_, _> = sandbox
        .as_ref()
        .and_then(RunningSandbox::base_url)
        .map(|url| ("sandbox".to_owned(), url))
        .into_iter()
        .collect();
    let app = open::open(config, base_urls, shutdown, true).await?;
    let lock = app.store.lock_data_dir()?;
    open::check_master_keys(&app).await?;
    let me = presence::register(&app, word_of(role)).await?;
    if let Some(bound) = &bound {
        greet(&app, role, bound.address).await?;
        write_address(arguments.addr_file.as_deref(), bound.address)?;
    }
    let socket = admin_socket(&app);
    let _keeping_time = AbortOnDropHandle::new(tokio::spawn(timekeeping::keep(
        Arc::clone(&app.clock),
        app.store.clone(),
        app.timing.clone(),
    )));
    let ended = Box::pin(work_and_serve(&app, role, me, bound, lock.is_some())).await;
    // Whatever ended first, the others are to end too.
    if let Some(socket) = socket {
        socket.abort();
    }
    // A database that says nothing does not keep the process.
    let leave = async {
        if let Err(error) = app.store.workers().remove(app.me).await {
            tracing::debug!(%error, "the row of this process goes stale by itself");
        }
        app.store.close().await;
    };
    if tokio::time::timeout(app.timing.heartbeat_timeout, leave).await.is_err() {
        tracing::debug!("the database did not answer in time to the end of this process");
    }
    drop(lock);
    tracing::info!("ended");
    ended
}

async fn work_and_serve(
    app: &App,
    role: Role,
    me: NewWorker,
    bound: Option<Bound>,
    alone: bool,
) -> Result<(), StartError> {
    let serving = async {
        let Some(bound) = bound else { return Ok(()) };
        ending_all(app, server::serve(app.clone(), bound).await)
    };
    let at_work = me.clone();
    let working = async {
        if role == Role::Api {
            return Ok(());
        }
        ending_all(app, embedded::work(app.clone(), at_work, alone).await)
    };
    let stopped = CancellationToken::new();
    // A worker keeps its own row.
    let present = async {
        if role == Role::Api {
            ending_all(app, presence::keep(app.clone(), me, stopped.clone()).await.map_err(StartError::from))
        } else {
            Ok(())
        }
    };
    let both = async {
        let ended = tokio::join!(serving, working);
        stopped.cancel();
        ended
    };
    let ((served, worked), kept) = tokio::join!(both, present);
    served.and(worked).and(kept)
}

const fn word_of(role: Role) -> &'static str {
    match role {
        Role::Serve => "serve",
        Role::Api => "api",
        Role::Worker => "worker",
    }
}

/// A part that failed takes the others with it, softly.
fn ending_all(app: &App, ended: Result<(), StartError>) -> Result<(), StartError> {
    if ended.is_err() && !app.shutdown.soft().is_cancelled() {
        app.shutdown.request();
    }
    ended
}

/// On a local machine the sandbox is offered, so that a newcomer without any key sees a whole run.
async fn embedded_sandbox(config: &Config, role: Role) -> Result<Option<RunningSandbox>, StartError> {
    let wanted =
        role == Role::Serve && config.mode == Mode::Local && !config.outbound.base_urls.contains_key("sandbox");
    if !wanted {
        return Ok(None);
    }
    let bind = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    embedded::start_sandbox(bind, None).await.map(Some)
}

async fn greet(app: &App, role: Role, address: SocketAddr) -> Result<(), StartError> {
    let url = match &app.config.http.public_url {
        Some(url) => url.as_str().trim_end_matches('/').to_owned(),
        None => format!("http://{address}"),
    };
    let prepared = if role == Role::Serve && app.config.mode == Mode::Local {
        first_start::prepare(app).await.map_err(|failure| StartError::failed(failure.to_string()))?
    } else {
        Prepared::default()
    };
    say::text(&greeting::text(&url, role, &prepared));
    Ok(())
}

/// The CLI's way to this process; only a process that serves from a folder has one.
fn admin_socket(app: &App) -> Option<tokio::task::JoinHandle<()>> {
    if !app.config.database.url.is_files() {
        return None;
    }
    match AdminSocket::bind(&app.config.data_dir) {
        Ok(socket) => Some(tokio::spawn(socket.serve(app.clone()))),
        Err(error) => {
            tracing::warn!(%error, "no admin socket: admin commands work only while this process does not serve");
            None
        }
    }
}

/// Writes the address whole or not at all, so that a reader never sees half of it.
pub(super) fn write_address(file: Option<&Path>, address: SocketAddr) -> Result<(), StartError> {
    let Some(path) = file else { return Ok(()) };
    let draft = path.with_extension("draft");
    std::fs::File::create(&draft)
        .and_then(|mut file| writeln!(file, "{address}"))
        .and_then(|()| std::fs::rename(&draft, path))
        .map_err(|error| StartError::failed(format!("cannot write {}: {error}", path.display())))
}
