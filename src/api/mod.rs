//! The REST API: checks what comes in, hands submissions to the queue, reads the store, and says in words what is wrong.
//!
//! Nothing here decides about a task. Every call of the store runs on a blocking thread; everything a caller can make
//! grow (connections, bodies, batches, pages) is bounded.

mod act;
mod batch;
mod body;
mod browser;
mod changes;
mod cluster;
mod compress;
pub mod cursor;
pub mod dead_letters;
mod docs;
mod for_people;
mod gzip;
mod headless;
mod health;
mod known;
mod lines;
mod list;
mod measured;
mod openapi;
mod operations;
pub mod pauses;
mod problem;
pub mod request_id;
mod revision;
mod scrape;
mod server;
mod stats;
mod submission;
mod tasks;
mod view;

#[cfg(test)]
mod dead_letters_test;
#[cfg(test)]
pub(crate) mod fake;
#[cfg(test)]
mod serve_test;

use std::net::TcpListener;
use std::sync::Arc;

use actix_web::{Handler, HttpRequest, Resource, Responder, web};

use crate::actors::Status;
use crate::clock::DatabaseClock;
use crate::config::ApiConfig;
use crate::domain::TaskId;
use crate::domain::kafka_topics::KafkaTopics;
use crate::metrics::Metrics;
use crate::queue::Queue;
use crate::queue::kafka::{KafkaQueue, Unstored};
use crate::store::{Result as StoreResult, Store};

use browser::Hosts;
use openapi::Description;

pub use act::act;
pub use body::BodyReader;
pub use browser::from_own_page;
pub use for_people::ForPeople;
pub use known::KnownIds;
pub use list::filter;
pub use operations::{Tally, Turn, Work, again, meant, operation};
pub use problem::{Kind, Problem};
pub use server::serve;
pub use submission::{refuse_while_stopping, trace_parent};
pub use tasks::task_id;

/// What the API works with.
#[derive(Clone)]
pub struct ApiState {
    /// The task database.
    pub store: Arc<dyn Store>,
    /// Where submissions go.
    pub queue: Arc<dyn Queue>,
    /// The same, where they go through a topic.
    pub kafka: Option<Arc<KafkaQueue>>,
    /// The topics that tasks may write to, where there is a cluster of Kafka.
    pub topics: Option<Arc<KafkaTopics>>,
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
    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&dyn Store) -> StoreResult<T> + Send + 'static,
    ) -> Result<T, Problem> {
        let store = Arc::clone(&self.store);
        Ok(crate::actors::blocking(move || question(store.as_ref())).await?)
    }

    /// How a task stands that was accepted here and is perhaps not stored yet.
    pub(crate) fn remembered(&self, id: TaskId) -> Option<Unstored> {
        self.kafka.as_ref()?.remembered(id)
    }
}

/// One for all threads.
#[derive(Clone)]
struct Shared {
    state: web::Data<ApiState>,
    bodies: web::Data<BodyReader>,
    hosts: web::Data<Hosts>,
    known: web::Data<KnownIds>,
    turn: web::Data<operations::Turn>,
    description: web::Data<Description>,
    page: web::Data<docs::Page>,
    scrape: web::Data<scrape::Turn>,
}

impl Shared {
    fn new(state: ApiState, listener: &TcpListener) -> std::io::Result<Self> {
        let document = openapi::document();
        let hosts = Hosts::new(listener.local_addr()?, &state.node, &state.config.allowed_hosts);
        Ok(Self {
            bodies: web::Data::new(BodyReader::new(state.config.client_timeout)),
            hosts: web::Data::new(hosts),
            known: web::Data::new(KnownIds::new(state.database_clock.clock().clone())),
            turn: web::Data::default(),
            description: web::Data::new(Description::of(&document)),
            page: web::Data::new(docs::Page::of(&document)),
            scrape: web::Data::default(),
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
        .app_data(shared.known)
        .app_data(shared.turn)
        .app_data(shared.description)
        .app_data(shared.page)
        .app_data(shared.scrape)
        .service(reading(web::resource("/v1/tasks"), list::list).route(web::post().to(tasks::submit)))
        .service(web::resource(browser::BATCH_PATH).route(web::post().to(lines::submit)))
        .service(web::resource(operations::PATH).route(web::post().to(operations::operate)))
        .service(
            reading(web::resource("/v1/tasks/{id}"), tasks::get)
                .route(web::patch().to(changes::patch))
                .route(web::delete().to(tasks::cancel)),
        )
        .service(reading(web::resource("/v1/tasks/{id}/attempts"), tasks::attempts))
        .service(web::resource("/v1/tasks/{id}/run").route(web::post().to(changes::run)))
        .service(web::resource("/v1/tasks/{id}/retry").route(web::post().to(changes::retry)))
        .service(web::resource("/v1/tasks/{id}/resolve").route(web::post().to(tasks::resolve)))
        .service(reading(web::resource("/v1/pauses"), pauses::list).route(web::post().to(pauses::pause)))
        .service(web::resource("/v1/pauses/{id}/resume").route(web::post().to(pauses::resume)))
        .service(reading(web::resource("/v1/dead-letters"), dead_letters::list))
        .service(reading(web::resource("/v1/dead-letters/{id}"), dead_letters::get))
        .service(web::resource("/v1/dead-letters/{id}/replay").route(web::post().to(dead_letters::replay)))
        .service(reading(web::resource("/v1/cluster"), cluster::cluster))
        .service(reading(web::resource("/v1/stats"), stats::stats))
        .service(reading(web::resource("/healthz"), health::healthz))
        .service(reading(web::resource("/readyz"), health::readyz))
        .service(reading(web::resource("/metrics"), scrape::metrics))
        .service(reading(web::resource("/openapi.json"), openapi::description))
        .service(reading(web::resource("/docs"), docs::docs));
}

/// `GET`, and `HEAD`, which is the same without the body.
pub fn reading<F, Args>(resource: Resource, handler: F) -> Resource
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
