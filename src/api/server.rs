//! The HTTP server: its threads, its limits, its connections.
//!
//! Built from actix-web's own parts and not by its `HttpServer`, which lets nobody at a connection: see [`super::headless`].

use std::net::TcpListener;
use std::time::Duration;

use actix_http::{Extensions, HttpService, KeepAlive, Protocol};
use actix_server::Server;
use actix_service::{ServiceFactoryExt as _, fn_service, map_config};
use actix_web::dev::AppConfig;
use actix_web::middleware::from_fn;
use actix_web::rt::net::TcpStream;
use actix_web::{App, web};

use super::headless::Worded;
use super::{ApiState, Shared, browser, compress, for_people, measured, problem, request_id, routes, unknown_path};

/// Most connections of one thread; more wait to be accepted.
const CONNECTIONS_MAX: usize = 1_024;
/// Most calls of the store that one thread has under way; more wait.
const BLOCKING_THREADS_MAX: usize = 32;
/// A connection on which nothing comes in is closed after this.
const KEEP_ALIVE: Duration = Duration::from_secs(5);
/// How long a connection stays open after its last byte, so that an early answer (413, 408) is read before it closes.
const LINGER: Duration = Duration::from_secs(1);
/// actix takes a connection's beginning from a clock that it reads twice a second: without this much more, a prompt
/// client would be timed out where the setting is short.
const CLOCK_STEP: Duration = Duration::from_millis(500);
/// How long a stop waits for answers under way, in seconds.
const SHUTDOWN_S: u64 = 1;

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
    let server = Server::build()
        .workers(threads)
        .worker_max_blocking_threads(BLOCKING_THREADS_MAX)
        .max_concurrent_connections(CONNECTIONS_MAX)
        .shutdown_timeout(SHUTDOWN_S)
        .disable_signals();
    let stopping = server.graceful_shutdown_signal();
    let server = server.listen("api", listener, move || {
        let (shared, mount, stopping) = (shared.clone(), mount.clone(), stopping.clone());
        // The last one wrapped is the first one asked.
        let app = App::new()
            .wrap(from_fn(browser::guard))
            .wrap(from_fn(problem::in_words))
            .wrap(from_fn(for_people::worded))
            .wrap(from_fn(measured::measured))
            .wrap(from_fn(compress::answers))
            .wrap(from_fn(request_id::name))
            .configure(move |config| routes(config, shared))
            .configure(mount)
            .default_service(web::to(unknown_path));
        let http = HttpService::build()
            .keep_alive(KeepAlive::Timeout(KEEP_ALIVE))
            .client_request_timeout(client_timeout.saturating_add(CLOCK_STEP))
            .client_disconnect_timeout(LINGER)
            .on_connect_ext(|connection: &Worded<TcpStream>, data: &mut Extensions| {
                data.insert(connection.gone());
            })
            .graceful_shutdown_signal(move || {
                let stopping = stopping.clone();
                async move { stopping.notified().await }
            })
            .finish(map_config(app, |()| AppConfig::default()));
        fn_service(move |connection: TcpStream| async move {
            let peer = connection.peer_addr().ok();
            Ok((Worded::new(connection, client_timeout), Protocol::Http1, peer))
        })
        .and_then(http)
    })?;
    Ok(server.run())
}
