//! The running server: start, routes, stop.
//! Called by whoever wants a sandbox: tests, benches, the CLI.

use std::{io, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use poem::{
    Endpoint, EndpointExt, Request, Response, Route, RouteMethod, Server,
    endpoint::{BoxEndpoint, make, make_sync},
    get, post,
};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::{
    brand::Brand,
    connection::{Connections, Gate},
    generate::{InPath, Service, generate},
    log::{CallLog, CallRecord, now},
    own_pages,
    plan::Repeats,
    rate::Rates,
    search::{self, Engine},
    web,
    wire::{ANTHROPIC_MESSAGES, Form, GEMINI_GENERATE_CONTENT, OPENAI_CHAT, OPENAI_IMAGES, OPENAI_RESPONSES},
};

/// How to start a sandbox.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where to listen; port 0 takes a free one.
    pub bind: SocketAddr,
    /// The call log is also appended to this file, one JSON object per line.
    pub log_file: Option<PathBuf>,
}

/// A running server. Dropping it stops it too, without waiting.
#[derive(Debug)]
pub struct Sandbox {
    address: SocketAddr,
    log: Arc<CallLog>,
    stopping: CancellationToken,
    server: JoinHandle<()>,
}

impl Sandbox {
    /// Listens and serves until it is stopped. Fails when the address is taken or the log file cannot be opened.
    /// Must be called within a tokio runtime.
    // It waits for nothing today; callers should not have to care.
    #[expect(clippy::unused_async, reason = "listening may wait one day, and the caller is in a runtime anyway")]
    pub async fn start(options: Options) -> io::Result<Self> {
        let log = CallLog::open(options.log_file.as_deref())?;
        let connections = Connections::default();
        let gate = Gate::bind(options.bind, connections.clone())?;
        let address = gate.address();
        let started = now().timestamp_micros();
        let service = Service {
            log: Arc::clone(&log),
            connections,
            address,
            repeats: Repeats::default(),
            rates: Rates::default(),
            started,
        };
        let routes = routes(&Arc::new(service));
        let stopping = CancellationToken::new();
        let stop = stopping.clone().cancelled_owned();
        let server = tokio::spawn(async move {
            let run = Server::new_with_acceptor(gate).name("sandbox").run_with_graceful_shutdown(
                routes,
                stop,
                Some(Duration::ZERO),
            );
            if let Err(error) = run.await {
                tracing::error!(error = %error, "sandbox stopped");
            }
        });
        Ok(Self { address, log, stopping, server })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The latest 100,000 records of the call log, oldest first.
    pub fn calls(&self) -> Vec<CallRecord> {
        self.log.since(0)
    }

    /// Stops listening and ends open calls at once; they are not logged as lost by their client.
    pub async fn stop(mut self) {
        self.end();
        // A failed join means that serving panicked, which tokio has already reported.
        let _ = (&mut self.server).await;
    }

    fn end(&self) {
        self.log.stop();
        self.stopping.cancel();
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.end();
    }
}

fn routes(service: &Arc<Service>) -> impl Endpoint + use<> {
    let openai = |routes: Route, base: &str, brand: Brand| {
        routes
            .at(format!("{base}/chat/completions"), form(service, brand, OPENAI_CHAT))
            .at(format!("{base}/responses"), form(service, brand, OPENAI_RESPONSES))
            .at(format!("{base}/images/generations"), form(service, brand, OPENAI_IMAGES))
            .at(format!("{base}/models"), models(service, brand))
    };
    let mut routes = Route::new();
    routes = openai(routes, "/v1", Brand::OpenAi);
    routes = openai(routes, "/openai/v1", Brand::OpenAi);
    routes = openai(routes, "/openrouter/api/v1", Brand::OpenRouter);
    // Both versions are in use by Google's own SDKs.
    for version in ["v1", "v1beta"] {
        routes = routes
            .at(format!("/gemini/{version}/models"), models(service, Brand::Gemini))
            .at(format!("/gemini/{version}/models/*call"), gemini(service));
    }
    routes
        .at("/openrouter/api/v1/key", get(sync(service, own_pages::openrouter_key)))
        .at("/anthropic/v1/messages", form(service, Brand::Anthropic, ANTHROPIC_MESSAGES))
        .at("/anthropic/v1/models", models(service, Brand::Anthropic))
        .at("/exa/search", searched(service, Engine::Exa))
        .at("/tavily/search", searched(service, Engine::Tavily))
        .at("/tavily/usage", get(sync(service, |service, request| search::account(service, Engine::Tavily, request))))
        .at("/serper/search", searched(service, Engine::Serper))
        .at("/serper/account", get(sync(service, |service, request| search::account(service, Engine::Serper, request))))
        .at("/robots.txt", get(sync(service, web::robots)))
        .at("/pages/:name", page(service))
        .at("/sandbox/calls", get(sync(service, own_pages::calls)))
        .at("/sandbox/behaviours", get(sync(service, |_, _| own_pages::behaviours())))
        .at("/sandbox/redirect-target", sync(service, own_pages::redirect_target))
        // This takes the path `/` as well, whether or not it has a route of its own.
        .at("/*other", sync(service, own_pages::other))
}

fn sync(
    service: &Arc<Service>,
    page: impl Fn(&Service, &Request) -> Response + Send + Sync + 'static,
) -> BoxEndpoint<'static, Response> {
    let service = Arc::clone(service);
    make_sync(move |request| page(&service, &request)).boxed()
}

fn models(service: &Arc<Service>, brand: Brand) -> RouteMethod {
    get(sync(service, move |service, request| own_pages::models(service, brand, request)))
}

fn form(service: &Arc<Service>, brand: Brand, form: Form) -> RouteMethod {
    let service = Arc::clone(service);
    post(make(move |request: Request| {
        let service = Arc::clone(&service);
        async move { generate(&service, brand, form, InPath::default(), request).await }
    }))
}

fn searched(service: &Arc<Service>, engine: Engine) -> RouteMethod {
    let service = Arc::clone(service);
    post(make(move |request: Request| {
        let service = Arc::clone(&service);
        async move { search::search(&service, engine, request).await }
    }))
}

fn page(service: &Arc<Service>) -> RouteMethod {
    let service = Arc::clone(service);
    get(make(move |request: Request| {
        let service = Arc::clone(&service);
        async move { web::page(&service, &request).await }
    }))
}

/// `…/models/{model}:generateContent`, where the model may hold slashes.
fn gemini(service: &Arc<Service>) -> RouteMethod {
    let service = Arc::clone(service);
    post(make(move |request: Request| {
        let service = Arc::clone(&service);
        async move {
            let call = request.path_params::<String>().unwrap_or_default();
            let (model, stream) = match call.rsplit_once(':') {
                Some((model, "generateContent")) => (model, false),
                Some((model, "streamGenerateContent")) => (model, true),
                _ => return own_pages::not_found(&request),
            };
            let in_path = InPath { model: Some(model.to_owned()), stream };
            generate(&service, Brand::Gemini, GEMINI_GENERATE_CONTENT, in_path, request).await
        }
    }))
}
