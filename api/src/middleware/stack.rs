//! The middlewares in their order. Called once, by `server`.

use std::sync::Arc;

use poem::{Endpoint, EndpointExt, Response};

use super::{bodies, compress, cors, in_flight, large_answers, leave, observe, paths, problems};
use crate::app::App;

/// Wraps the routes in everything that every request passes.
pub fn stack<E>(routes: E, app: &App, known_paths: paths::Paths) -> impl Endpoint<Output = Response> + 'static
where
    E: Endpoint<Output = Response> + 'static,
{
    let known_paths = Arc::new(known_paths);
    let (http, library) = (&app.config.http, app.config.library);
    let limits = bodies::Limits::new(http.body_limit, library, http.concurrency, app.timing.body_read);
    let keys = app.clone();
    let in_flight = in_flight::InFlight::new(app.config.http.concurrency);
    let large_answers = large_answers::LargeAnswers::new();
    let cors = Arc::new(cors::Cors::new(&app.config.http.cors_origins));
    let metrics = Arc::clone(&app.metrics);
    let ending = app.shutdown.soft();
    routes
        .data(app.clone())
        .around(move |next, request| in_flight::limit(next, request, in_flight.clone()))
        .around(move |next, request| bodies::limit(next, request, keys.clone(), limits.clone()))
        .around(move |next, request| paths::check(next, request, Arc::clone(&known_paths)))
        .around(problems::convert)
        .around(compress::gzip)
        // Else the type of all of them nests deeper than the compiler goes.
        .boxed()
        .around(move |next, request| large_answers::limit(next, request, large_answers.clone()))
        .around(move |next, request| cors::answer(next, request, Arc::clone(&cors)))
        .around(move |next, request| observe::observe(next, request, Arc::clone(&metrics)))
        .around(move |next, request| leave::leave(next, request, ending.clone()))
}
