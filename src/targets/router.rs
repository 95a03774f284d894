//! Sends each task to the adapter of its kind.

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use super::Target;
use super::http::HttpCaller;
use super::kafka::KafkaCaller;
use super::log::LogTarget;
use crate::domain::{ClaimedTask, Outcome, Target as Kind};

/// All kinds of targets that this node can call.
pub struct Router {
    http: HttpCaller,
    kafka: Option<KafkaCaller>,
    log: LogTarget,
}

impl Router {
    /// With these adapters.
    pub fn new(http: HttpCaller, kafka: Option<KafkaCaller>, log: LogTarget) -> Self {
        Self { http, kafka, log }
    }
}

impl Target for Router {
    fn call<'a>(&'a self, task: &'a ClaimedTask) -> BoxFuture<'a, Outcome> {
        match &task.spec.target {
            Kind::Http(_) => self.http.call(task),
            Kind::Log => self.log.call(task),
            Kind::Kafka(kafka) => {
                if let Some(caller) = &self.kafka {
                    return caller.call(task);
                }
                let error = format!("this node has no Kafka cluster for topic {}", kafka.topic);
                std::future::ready(Outcome::Failed { retryable: false, retry_after: None, error }).boxed()
            }
        }
    }
}
