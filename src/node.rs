//! The composition root: builds a node's parts, starts them, and drains them when it is told to stop.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use actix_web::dev::ServerHandle;
use actix_web::web;
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use crate::actors::supervisor::{Shutdown, Supervisor};
use crate::actors::timer::Timer;
use crate::actors::{NodeIdentity, Parts, Status};
use crate::api::{self, ApiState};
use crate::clock::{Clock, DatabaseClock};
use crate::config::{KafkaCluster, NodeConfig};
use crate::dashboard::{self, Dashboard};
use crate::domain::clock_map::ClockMap;
use crate::domain::kafka_topics::{ClusterTopics, KafkaTopics};
use crate::metrics::Metrics;
use crate::queue::Queue;
use crate::queue::embedded::EmbeddedQueue;
use crate::queue::kafka::{KafkaError, KafkaQueue};
use crate::store::postgres::PostgresStore;
use crate::store::sqlite::SqliteStore;
use crate::store::{Store, StoreError};
use crate::targets::http::HttpCaller;
use crate::targets::kafka::KafkaCaller;
use crate::targets::kafka_look::LOOKS_MAX;
use crate::targets::log::LogTarget;
use crate::targets::name_lookup::LOOKUPS_MAX;
use crate::targets::router::Router;

/// Connections of a node's actors to its cluster's database; half as many more are for people, and one each for the lease
/// and the listener.
const DATABASE_CONNECTIONS: u32 = 8;
/// How fast a server's clock may run apart from this machine's.
const DRIFT_PER_SECOND: Duration = Duration::from_micros(100);
/// How long a stop waits for requests that are being answered.
const API_DEADLINE: Duration = Duration::from_secs(2);

/// Why a node did not start, or ended by itself.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// Its address cannot be listened on.
    #[error("cannot listen on {address}: {cause}; stop whoever uses it, or choose another with --listen")]
    Address {
        /// As configured.
        address: SocketAddr,
        /// What the system said.
        cause: std::io::Error,
    },
    /// Its database cannot be used.
    #[error("{0}")]
    Database(#[from] StoreError),
    /// Kafka cannot be used with these settings.
    #[error("{0}; see --kafka-brokers and --kafka-property")]
    Kafka(#[from] KafkaError),
    /// The system refused something the node needs.
    #[error("the node cannot start: {0}")]
    Setup(String),
    /// It was told to stop twice.
    #[error("ended at once by a second signal; what was in flight is recovered at the next start")]
    CutOff,
    /// Its actors kept dying.
    #[error("{0}")]
    Broken(String),
}

impl NodeError {
    /// The process's exit code for it: 2 for what the settings can mend, 70 for an inner failure or a stop that was cut off.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Address { .. } | Self::Database(_) | Self::Kafka(_) => 2,
            Self::Setup(_) | Self::Broken(_) | Self::CutOff => 70,
        }
    }
}

/// Runs a node until it is told to stop.
///
/// # Errors
/// It cannot start, or its actors kept dying.
pub fn run(config: NodeConfig) -> Result<(), NodeError> {
    let listener = TcpListener::bind(config.api.listen)
        .map_err(|cause| NodeError::Address { address: config.api.listen, cause })?;
    let calls_runtime = calls_runtime(config.kafka.clusters().len())?;
    let parts = parts(&config, &listener, &calls_runtime)?;
    let ended = System::new().block_on(serve(config, parts, listener));
    // What is still running there was given its time; it is not waited for.
    calls_runtime.shutdown_background();
    ended
}

fn parts(config: &NodeConfig, listener: &TcpListener, calls_runtime: &Runtime) -> Result<Parts, NodeError> {
    let clock = Clock::new();
    let store = store(config, &clock)?;
    let metrics = Metrics::new(clock.clone()).map_err(setup)?;
    let http = HttpCaller::new(&config.http).map_err(setup)?;
    let address = listener.local_addr().map_err(setup)?;
    let kafka_caller = has_kafka(config).then(|| KafkaCaller::new(&config.kafka, topics(config), &clock));
    let database_clock = Arc::new(DatabaseClock::new(clock, clock_map(config)));
    let kafka = kafka(config, &database_clock)?;
    let queue: Arc<dyn Queue> = match &kafka {
        Some(kafka) => Arc::<KafkaQueue>::clone(kafka),
        None => Arc::new(EmbeddedQueue::new(&config.queue)),
    };
    Ok(Parts {
        store,
        queue,
        kafka,
        target: Arc::new(Router::new(http, kafka_caller, LogTarget)),
        database_clock,
        metrics: Arc::new(metrics),
        looks: Arc::default(),
        status: Arc::new(Status::default()),
        config: config.actors.clone(),
        node: NodeIdentity { name: config.name.clone(), address: address.to_string() },
        calls_runtime: calls_runtime.handle().clone(),
    })
}

/// The submission topic, if there is one. Brokers that are away are waited for, unready.
fn kafka(config: &NodeConfig, clock: &Arc<DatabaseClock>) -> Result<Option<Arc<KafkaQueue>>, NodeError> {
    if !config.kafka.is_there() {
        return Ok(None);
    }
    let queue = KafkaQueue::new(&config.kafka, &config.queue, Arc::clone(clock), topics(config))?;
    Ok(Some(Arc::new(queue)))
}

/// There is a cluster that tasks may write to: that of the submission topic, or a named one.
fn has_kafka(config: &NodeConfig) -> bool {
    !config.kafka.clusters().is_empty()
}

/// The topics that tasks may write to.
fn topics(config: &NodeConfig) -> KafkaTopics {
    let own = vec![config.kafka.submission_topic.clone(), config.kafka.dead_letter_topic()];
    let of = |cluster: KafkaCluster<'_>| ClusterTopics {
        cluster: cluster.name.map(str::to_owned),
        allowed: cluster.topics(),
    };
    KafkaTopics::new(config.kafka.clusters().into_iter().map(of).collect(), own)
}

/// The cluster's, or the embedded one. A server that is away is waited for, unready; one that cannot be used is not.
fn store(config: &NodeConfig, clock: &Clock) -> Result<Arc<dyn Store>, StoreError> {
    let Some(url) = &config.database_url else {
        return Ok(Arc::new(SqliteStore::open(&config.data_dir, clock.clone())?));
    };
    let store = PostgresStore::new(url.secret(), DATABASE_CONNECTIONS);
    match store.prepare() {
        Err(cause) if cause.is_passing() => log::warn!("the node waits for {url}: {cause}"),
        prepared => prepared?,
    }
    Ok(Arc::new(store))
}

/// Two clocks on one machine do not run apart; a server's may be on another.
fn clock_map(config: &NodeConfig) -> ClockMap {
    if config.database_url.is_some() { ClockMap::new(DRIFT_PER_SECOND) } else { ClockMap::default() }
}

async fn serve(config: NodeConfig, parts: Parts, listener: TcpListener) -> Result<(), NodeError> {
    let mut signals = Signals::listen()?;
    let timer = Timer::start(parts.metrics.clock().clone()).map_err(setup)?;
    let (fatal, mut broken) = mpsc::unbounded_channel();
    let supervisor = Supervisor::new(parts.clone(), timer, fatal).start();
    let data = config.database_url.as_ref().map_or_else(|| config.data_dir.display().to_string(), ToString::to_string);
    log::info!("node {} listens on {}, data in {data}", parts.node.name, parts.node.address);
    let status = Arc::clone(&parts.status);
    parts.store.listen(Box::new(move |hint| status.heard(&hint)));
    let state = api_state(&config, &parts);
    let pages = Dashboard::new(&state);
    let mount = move |routes: &mut web::ServiceConfig| dashboard::routes(routes, &pages);
    let server = api::serve(state, listener, mount).map_err(setup)?;
    let handle = server.handle();
    actix::spawn(server);
    tokio::select! {
        message = broken.recv() => {
            handle.stop(false).await;
            Err(NodeError::Broken(message.unwrap_or_else(|| "the supervisor has ended".to_owned())))
        }
        () = signals.next() => drain(&config, &parts, &supervisor, &handle, &mut signals).await,
    }
}

fn api_state(config: &NodeConfig, parts: &Parts) -> ApiState {
    ApiState {
        store: Arc::clone(&parts.store),
        queue: Arc::clone(&parts.queue),
        kafka: parts.kafka.clone(),
        topics: has_kafka(config).then(|| Arc::new(topics(config))),
        database_clock: Arc::clone(&parts.database_clock),
        metrics: Arc::clone(&parts.metrics),
        status: Arc::clone(&parts.status),
        config: config.api.clone(),
        node: config.name.clone(),
    }
}

/// Readiness red, no new submissions; what was taken is stored, what was started ends, the rest goes back.
async fn drain(
    config: &NodeConfig,
    parts: &Parts,
    supervisor: &Addr<Supervisor>,
    handle: &ServerHandle,
    signals: &mut Signals,
) -> Result<(), NodeError> {
    log::info!("stopping: calls in flight have {} ms; a second signal ends at once", config.drain.as_millis());
    parts.status.stop();
    parts.queue.close();
    let drained = async {
        if let Err(cause) = supervisor.send(Shutdown { deadline: config.drain }).await {
            log::error!("the supervisor did not shut its actors down: {cause}");
        }
        if tokio::time::timeout(API_DEADLINE, handle.stop(true)).await.is_err() {
            log::warn!("some requests were cut off");
        }
        log::info!("stopped");
        Ok(())
    };
    tokio::select! {
        drained = drained => drained,
        () = signals.next() => Err(NodeError::CutOff),
    }
}

/// A runtime of two threads for the calls of targets: they go on whatever becomes of the actors.
fn calls_runtime(kafka_clusters: usize) -> Result<Runtime, NodeError> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        // Outcomes are written there too: lookups of names and questions to brokers never take all of them.
        .max_blocking_threads(LOOKUPS_MAX + LOOKS_MAX * kafka_clusters + 48)
        .thread_name("calls")
        .enable_all()
        .build()
        .map_err(setup)
}

fn setup(cause: impl std::fmt::Display) -> NodeError {
    NodeError::Setup(cause.to_string())
}

/// SIGTERM and SIGINT.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> Result<Self, NodeError> {
        Ok(Self {
            terminate: signal(SignalKind::terminate()).map_err(setup)?,
            interrupt: signal(SignalKind::interrupt()).map_err(setup)?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
