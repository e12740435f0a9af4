//! The HTTP server: routes and middlewares on an address that was bound before. Called by `cli::serve`.

use std::net::SocketAddr;

use poem::listener::TcpAcceptor;
use poem::{Endpoint, EndpointExt, Response, Route, Server, get};

use crate::app::App;
use crate::middleware::{Paths, stack};
use crate::routes;
use crate::spec::{self, DocsPage};
use crate::start_error::StartError;

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
    let home = poem::endpoint::make_sync(|_| {
        Response::builder().status(poem::http::StatusCode::SEE_OTHER).header("location", "/docs").finish()
    });
    let routes = Route::new()
        .nest("/", routes::service())
        .at("/openapi.json", get(specification))
        .at("/docs", get(docs))
        .at("/", get(home))
        .map_to_response();
    stack(routes, app, paths)
}

/// Serves until the process is told to end: first it drains, then it stops at once.
pub async fn serve(app: App, bound: Bound) -> Result<(), StartError> {
    let failed = |error: std::io::Error| StartError::failed(format!("the HTTP server stopped: {error}"));
    let acceptor = TcpAcceptor::from_tokio(bound.listener).map_err(failed)?;
    let soft = app.shutdown.soft().cancelled_owned();
    let hard = app.shutdown.hard().cancelled_owned();
    let grace = app.timing.shutdown_grace;
    let server = Server::new_with_acceptor(acceptor).run_with_graceful_shutdown(endpoint(&app), soft, Some(grace));
    tokio::select! {
        served = server => served.map_err(failed),
        () = hard => Ok(()),
    }
}
