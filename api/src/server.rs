//! The HTTP server: routes and middlewares on an address that was bound before. Called by `cli::serve`.

use std::net::SocketAddr;

use acm2_runtime::config::Config;
use acm2_runtime::file_limit;
use poem::listener::TcpAcceptor;
use poem::{Endpoint, EndpointExt, Response, Route, Server, get};

use crate::app::App;
use crate::connections::Bounded;
use crate::middleware::{Paths, stack};
use crate::routes;
use crate::spec::{self, DocsPage};
use crate::start_error::StartError;

/// Requests at once on one HTTP/2 connection.
const STREAMS: u32 = 100;
/// Connections that may be open, for each request that may be answered at once: most of them are idle or wait.
const CONNECTIONS: usize = 4;

/// An address that is bound and not served yet.
#[derive(Debug)]
pub struct Bound {
    listener: tokio::net::TcpListener,
    /// Where it is; with the real port where 0 was asked for.
    pub address: SocketAddr,
}

/// Takes the address, so that a busy port shows before anything else is done.
pub async fn bind(address: SocketAddr) -> Result<Bound, StartError> {
    let refused = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::AddrInUse => StartError::failed(format!(
            "{address} is in use by another process; stop it, or set ACM2_HTTP__BIND to another address"
        )),
        _ => StartError::failed(format!("cannot listen on {address}: {error}; set ACM2_HTTP__BIND to another address")),
    };
    let listener = tokio::net::TcpListener::bind(address).await.map_err(refused)?;
    let address = listener.local_addr().map_err(refused)?;
    Ok(Bound { listener, address })
}

/// Everything that is served.
pub fn endpoint(app: &App) -> impl Endpoint<Output = Response> + 'static {
    let document = spec::document();
    let paths = Paths::of(&document).with_get("/openapi.json").with_get("/docs").with_get("/");
    let text = spec::text();
    let docs = DocsPage::new(&text);
    let specification =
        poem::endpoint::make_sync(move |_| Response::builder().content_type("application/json").body(text.clone()));
    let routes = Route::new()
        .nest("/", routes::service())
        .at("/openapi.json", get(specification))
        .at("/docs", get(docs))
        .map_to_response();
    // poem gives "/" to the nested routes, whatever stands beside them.
    let routes = routes.around(|routes, request| async move {
        if request.uri().path() == "/" && request.method() == poem::http::Method::GET {
            return Ok(home());
        }
        routes.call(request).await
    });
    stack(routes, app, paths)
}

/// Never so many that none of the process's files are left for the database and the providers.
fn most_connections(config: &Config) -> usize {
    let wanted = config.http.concurrency.saturating_mul(CONNECTIONS);
    file_limit::current().map_or(wanted, |limit| wanted.min(usize::try_from(limit.soft / 2).unwrap_or(usize::MAX)))
}

/// How many callers may wait, and how many may stream: so many that they leave half of the connections to others.
pub fn most_waiting(config: &Config) -> usize {
    (most_connections(config) / CONNECTIONS).max(1)
}

/// What a person meets who opens the printed address: the documentation.
fn home() -> Response {
    Response::builder().status(poem::http::StatusCode::SEE_OTHER).header("location", "/docs").finish()
}

/// Serves until the process is told to end: then it goes on for the configured while, with `/readyz` saying no and connections
/// closed after their answer, so that a load balancer turns away; then it takes nothing more and drains. Told twice, it stops at
/// once.
pub async fn serve(app: App, bound: Bound) -> Result<(), StartError> {
    let failed = |error: std::io::Error| StartError::failed(format!("the HTTP server stopped: {error}"));
    let acceptor = TcpAcceptor::from_tokio(bound.listener).map_err(failed)?;
    let acceptor = Bounded::new(acceptor, most_connections(&app.config), app.timing.connection_idle);
    let told = app.shutdown.soft().cancelled_owned();
    let drain = app.config.http.drain;
    let soft = async move {
        told.await;
        tokio::time::sleep(drain).await;
    };
    let hard = app.shutdown.hard().cancelled_owned();
    let grace = app.timing.shutdown_grace;
    let server = Server::new_with_acceptor(acceptor).http2_max_concurrent_streams(STREAMS).run_with_graceful_shutdown(
        endpoint(&app),
        soft,
        Some(grace),
    );
    tokio::select! {
        served = server => served.map_err(failed),
        () = hard => Ok(()),
    }
}
