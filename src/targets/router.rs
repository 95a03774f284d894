//! Sends each task to the adapter of its kind.

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use super::Target;
use super::http::HttpCaller;
use super::kafka::KafkaCaller;
use super::kafka_failure::never_sent;
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
                // Other nodes' settings may have one, and soon this one's too.
                let cause = format!("this node has no Kafka cluster for topic {}", kafka.topic);
                std::future::ready(never_sent(&cause, true)).boxed()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::HttpConfig;
    use crate::domain::KafkaTarget;
    use crate::targets::fake_http::task;

    #[tokio::test]
    async fn a_topic_is_left_to_a_node_that_has_a_cluster() {
        let router = Router::new(HttpCaller::new(&HttpConfig::default()).unwrap(), None, LogTarget);
        let mut task = task("http://unused/");
        let topic = "orders".to_owned();
        task.spec.target = Kind::Kafka(KafkaTarget { cluster: None, topic, key: None, headers: [].into() });
        let Outcome::Failed { retryable: true, error, .. } = router.call(&task).await else { panic!("final") };
        assert!(error.starts_with("never sent: ") && error.contains("orders"), "{error}");
    }
}
