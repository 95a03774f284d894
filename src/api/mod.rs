//! The REST API: checks what comes in, hands submissions to the queue, reads the store, and says in words what is wrong.
//!
//! Nothing here decides about a task. Every call of the store runs on a blocking thread; everything a caller can make
//! grow (connections, bodies, batches, pages) is bounded.

mod batch;
mod body;
mod browser;
mod cluster;
mod cursor;
mod health;
mod list;
mod problem;
mod rates;
mod stats;
mod submission;
mod tasks;
mod view;

#[cfg(test)]
mod fake;
#[cfg(test)]
mod serve_test;

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::middleware::from_fn;
use actix_web::{App, Handler, HttpRequest, HttpServer, Resource, Responder, web};

use crate::actors::Status;
use crate::clock::DatabaseClock;
use crate::config::ApiConfig;
use crate::metrics::Metrics;
use crate::queue::Queue;
use crate::store::{Result as StoreResult, Store};

use body::BodyReader;
use browser::Hosts;
use problem::{Kind, Problem};
use rates::Rates;

/// Most connections of one thread; more wait to be accepted.
const CONNECTIONS_MAX: usize = 1_024;
/// Most calls of the store that one thread has under way; more wait.
const BLOCKING_THREADS_MAX: usize = 32;
/// How long a connection stays open after its last byte, so that an early answer (413, 408) is read before it closes.
const LINGER: Duration = Duration::from_secs(1);
/// actix takes a connection's beginning from a clock that it reads twice a second: without this much more, a prompt
/// client would be timed out where the setting is short.
const CLOCK_STEP: Duration = Duration::from_millis(500);
/// How long a stop waits for answers under way, in seconds.
const SHUTDOWN_S: u64 = 1;

/// What the API works with.
#[derive(Clone)]
pub struct ApiState {
    /// The task database.
    pub store: Arc<dyn Store>,
    /// Where submissions go.
    pub queue: Arc<dyn Queue>,
    /// What `delay_ms` counts by.
    pub database_clock: Arc<DatabaseClock>,
    /// What the node reports.
    pub metrics: Arc<Metrics>,
    /// Readiness, and whispers to the actors.
    pub status: Arc<Status>,
    /// Its settings.
    pub config: ApiConfig,
    /// The node's name.
    pub node: String,
}

impl ApiState {
    /// Calls the store on a blocking thread.
    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&dyn Store) -> StoreResult<T> + Send + 'static,
    ) -> Result<T, Problem> {
        let store = Arc::clone(&self.store);
        Ok(crate::actors::blocking(move || question(store.as_ref())).await?)
    }
}

/// Serves the API on `listener`; `mount` adds pages of others. It runs as soon as the server is awaited.
///
/// # Errors
/// The listener cannot be used.
pub fn serve(
    state: ApiState,
    listener: TcpListener,
    mount: impl Fn(&mut web::ServiceConfig) + Clone + Send + 'static,
) -> std::io::Result<Server> {
    let (threads, client_timeout) = (state.config.threads, state.config.client_timeout);
    let shared = Shared::new(state, &listener)?;
    let server = HttpServer::new(move || {
        let (shared, mount) = (shared.clone(), mount.clone());
        // The last one wrapped is the first one asked.
        App::new()
            .wrap(from_fn(browser::guard))
            .wrap(from_fn(problem::in_words))
            .configure(move |config| routes(config, shared))
            .configure(mount)
            .default_service(web::to(unknown_path))
    });
    let server = server
        .workers(threads)
        .worker_max_blocking_threads(BLOCKING_THREADS_MAX)
        .max_connections(CONNECTIONS_MAX)
        .client_request_timeout(client_timeout.saturating_add(CLOCK_STEP))
        .client_disconnect_timeout(LINGER)
        .shutdown_timeout(SHUTDOWN_S)
        .disable_signals()
        .listen(listener)?;
    Ok(server.run())
}

/// One for all threads.
#[derive(Clone)]
struct Shared {
    state: web::Data<ApiState>,
    bodies: web::Data<BodyReader>,
    hosts: web::Data<Hosts>,
    rates: web::Data<Rates>,
}

impl Shared {
    fn new(state: ApiState, listener: &TcpListener) -> std::io::Result<Self> {
        let hosts = Hosts::new(listener.local_addr()?, &state.node, &state.config.allowed_hosts);
        Ok(Self {
            bodies: web::Data::new(BodyReader::new(state.config.client_timeout)),
            hosts: web::Data::new(hosts),
            rates: web::Data::new(Rates::default()),
            state: web::Data::new(state),
        })
    }
}

fn routes(config: &mut web::ServiceConfig, shared: Shared) {
    config
        .app_data(web::Data::from(Arc::clone(&shared.state.metrics)))
        .app_data(web::Data::from(Arc::clone(&shared.state.status)))
        .app_data(shared.state)
        .app_data(shared.bodies)
        .app_data(shared.hosts)
        .app_data(shared.rates)
        .service(reading(web::resource("/v1/tasks"), list::list).route(web::post().to(tasks::submit)))
        .service(web::resource(browser::BATCH_PATH).route(web::post().to(batch::submit)))
        .service(reading(web::resource("/v1/tasks/{id}"), tasks::get).route(web::delete().to(tasks::cancel)))
        .service(reading(web::resource("/v1/tasks/{id}/attempts"), tasks::attempts))
        .service(web::resource("/v1/tasks/{id}/resolve").route(web::post().to(tasks::resolve)))
        .service(reading(web::resource("/v1/cluster"), cluster::cluster))
        .service(reading(web::resource("/v1/stats"), stats::stats))
        .service(reading(web::resource("/healthz"), health::healthz))
        .service(reading(web::resource("/readyz"), health::readyz))
        .service(reading(web::resource("/metrics"), health::metrics));
}

/// `GET`, and `HEAD`, which is the same without the body.
fn reading<F, Args>(resource: Resource, handler: F) -> Resource
where
    F: Handler<Args> + Clone,
    Args: actix_web::FromRequest + 'static,
    F::Output: Responder + 'static,
{
    resource.route(web::get().to(handler.clone())).route(web::head().to(handler))
}

async fn unknown_path(request: HttpRequest) -> Problem {
    Problem::new(Kind::UnknownPath, format!("there is nothing at {}; the calls are under /v1", request.path()))
}

impl Responder for Problem {
    type Body = actix_web::body::BoxBody;

    fn respond_to(self, _request: &HttpRequest) -> actix_web::HttpResponse {
        actix_web::ResponseError::error_response(&self)
    }
}
