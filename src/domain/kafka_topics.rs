//! Which topics a task may write to: what the node's settings name, cluster by cluster, and never the topics that
//! submissions come from.
//!
//! Those are refused by their names on every cluster: another name may lead to the same brokers.

use std::time::Duration;

use super::invalid::Invalid;
use super::target::{KafkaTarget, Target};
use super::time::millis_of;

/// Shortest `timeout_ms` of a task that writes to a topic: within less, the client library cannot be made to give a
/// record up and to say so before the task's time is over.
const TIMEOUT_MIN: Duration = Duration::from_secs(2);
/// Kafka's longest name of a topic, in characters.
const NAME_CHARS_MAX: usize = 249;
/// Longest name of a cluster, in characters.
const CLUSTER_CHARS_MAX: usize = 64;

/// A legal name, by Kafka's own rule.
pub fn is_name(text: &str) -> bool {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    !text.is_empty() && text.len() <= NAME_CHARS_MAX && text.chars().all(legal) && !matches!(text, "." | "..")
}

/// A legal name of a cluster in the settings.
pub fn is_cluster_name(text: &str) -> bool {
    let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '_' | '-');
    (1..=CLUSTER_CHARS_MAX).contains(&text.len()) && text.chars().all(legal)
}

/// What is allowed as the name of a topic, as a phrase.
pub const NAMES: &str = "1 to 249 characters of a-z, A-Z, 0-9, '.', '_' and '-'";
/// What is allowed as the name of a cluster, as a phrase.
pub const CLUSTER_NAMES: &str = "1 to 64 characters of a-z, 0-9, '.', '_' and '-'";

/// The time-out leaves enough for a record's delivery, if the target is a topic.
///
/// # Errors
/// It does not.
pub fn check_timeout(target: &Target, timeout: Duration) -> Result<(), Invalid> {
    if matches!(target, Target::Kafka(_)) && timeout < TIMEOUT_MIN {
        let allowed = format!("at least {} for a target of type kafka", millis_of(TIMEOUT_MIN));
        return Err(Invalid::new("/timeout_ms", millis_of(timeout), allowed));
    }
    Ok(())
}

/// The topics of one cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterTopics {
    /// The cluster's name; `None`: that of the submission topic.
    pub cluster: Option<String>,
    /// Names of topics, or with `*` behind it all that begin so.
    pub allowed: Vec<String>,
}

impl ClusterTopics {
    fn has(&self, topic: &str) -> bool {
        self.allowed.iter().any(|pattern| match pattern.strip_suffix('*') {
            Some(beginning) => topic.starts_with(beginning),
            None => topic == pattern,
        })
    }
}

/// The topics that tasks may write to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KafkaTopics {
    clusters: Vec<ClusterTopics>,
    own: Vec<String>,
}

impl KafkaTopics {
    /// Of these clusters; `own` are the topics that no task may write to, on any of them.
    pub fn new(clusters: Vec<ClusterTopics>, own: Vec<String>) -> Self {
        Self { clusters, own }
    }

    /// A task may write to this one by the settings of this node. Another node's may differ for a while, when they are
    /// changed one after the other: a task that was accepted may still be refused here.
    ///
    /// # Errors
    /// It may not: the field of the document, and what is allowed.
    pub fn check(&self, target: &KafkaTarget) -> Result<(), Invalid> {
        let cluster = self.clusters.iter().find(|one| one.cluster == target.cluster);
        let cluster = cluster.ok_or_else(|| self.no_cluster(target))?;
        self.check_own(target)?;
        if cluster.has(&target.topic) {
            return Ok(());
        }
        let allowed = match cluster.allowed.as_slice() {
            [] => "no topic: this node has none that tasks may write to there (--kafka-target-topic)".to_owned(),
            some => format!("one of {} (--kafka-target-topic)", some.join(", ")),
        };
        Err(Invalid::new("/target/topic", &target.topic, allowed))
    }

    /// No submissions come from this topic.
    ///
    /// # Errors
    /// They do: no task may write to it, whatever the settings are.
    pub fn check_own(&self, target: &KafkaTarget) -> Result<(), Invalid> {
        if self.own.contains(&target.topic) {
            return Err(Invalid::new("/target/topic", &target.topic, "no topic that submissions come from"));
        }
        Ok(())
    }

    fn no_cluster(&self, target: &KafkaTarget) -> Invalid {
        let names: Vec<&str> = self.clusters.iter().filter_map(|one| one.cluster.as_deref()).collect();
        let nameless = self.clusters.iter().any(|one| one.cluster.is_none());
        let allowed = match (names.as_slice(), nameless) {
            ([], true) => "no name: this node has only the cluster of --kafka-brokers".to_owned(),
            ([], false) => "nothing: this node has no cluster (--kafka-target-cluster)".to_owned(),
            (names, true) => format!("no name, or one of {} (--kafka-target-cluster)", names.join(", ")),
            (names, false) => format!("one of {} (--kafka-target-cluster)", names.join(", ")),
        };
        Invalid::new("/target/cluster", target.cluster.as_deref().unwrap_or("missing"), allowed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(cluster: Option<&str>, topic: &str) -> KafkaTarget {
        let cluster = cluster.map(str::to_owned);
        KafkaTarget { cluster, topic: topic.to_owned(), key: None, headers: [].into() }
    }

    fn of(cluster: Option<&str>, allowed: &[&str]) -> ClusterTopics {
        let allowed = allowed.iter().map(|one| (*one).to_owned()).collect();
        ClusterTopics { cluster: cluster.map(str::to_owned), allowed }
    }

    #[test]
    fn only_what_is_named_may_be_written_to() {
        let topics = KafkaTopics::new(vec![of(None, &["orders", "mail-*"])], vec!["mail-in".into()]);
        for allowed in ["orders", "mail-", "mail-out"] {
            assert_eq!(topics.check(&to(None, allowed)), Ok(()), "{allowed}");
        }
        for refused in ["order", "orders2", "mail-in", "other", ""] {
            assert_eq!(topics.check(&to(None, refused)).unwrap_err().pointer, "/target/topic", "{refused}");
        }
        assert!(KafkaTopics::new(vec![of(None, &[])], vec![]).check(&to(None, "orders")).is_err());
    }

    #[test]
    fn each_cluster_has_its_own_topics() {
        let topics = KafkaTopics::new(vec![of(None, &["here"]), of(Some("b"), &["there"])], vec![]);
        for (cluster, topic) in [(None, "here"), (Some("b"), "there")] {
            assert_eq!(topics.check(&to(cluster, topic)), Ok(()));
        }
        for (cluster, topic) in [(None, "there"), (Some("b"), "here")] {
            assert_eq!(topics.check(&to(cluster, topic)).unwrap_err().pointer, "/target/topic");
        }
    }

    #[test]
    fn a_cluster_that_is_not_there_is_named_with_those_that_are() {
        let refused = |clusters: &[Option<&str>], asked: Option<&str>| {
            let clusters = clusters.iter().map(|name| of(*name, &["*"])).collect();
            KafkaTopics::new(clusters, vec![]).check(&to(asked, "t")).unwrap_err().to_string()
        };
        for (clusters, asked, says) in [
            (&[None, Some("a"), Some("b")][..], Some("c"), "/target/cluster is c; allowed: no name, or one of a, b"),
            (&[None], Some("c"), "/target/cluster is c; allowed: no name: "),
            (&[Some("a")], None, "/target/cluster is missing; allowed: one of a"),
            (&[], None, "/target/cluster is missing; allowed: nothing"),
        ] {
            let error = refused(clusters, asked);
            assert!(error.starts_with(says), "{error}");
        }
    }

    #[test]
    fn submissions_topics_are_refused_on_every_cluster() {
        let clusters = vec![of(None, &["*"]), of(Some("same-brokers"), &["*"])];
        let topics = KafkaTopics::new(clusters, vec!["in".into(), "in.dead".into()]);
        for cluster in [None, Some("same-brokers")] {
            for topic in ["in", "in.dead"] {
                assert!(topics.check(&to(cluster, topic)).is_err() && topics.check_own(&to(cluster, topic)).is_err());
            }
            assert_eq!(topics.check(&to(cluster, "out")), Ok(()));
        }
        assert_eq!(KafkaTopics::default().check_own(&to(Some("unknown"), "out")), Ok(()), "only its own");
    }

    #[test]
    fn names_are_kafkas() {
        assert!(is_name("a.B_c-9") && is_name(&"x".repeat(249)));
        for wrong in ["", ".", "..", "a b", "ä", &"x".repeat(250)] {
            assert!(!is_name(wrong), "{wrong}");
        }
    }

    #[test]
    fn names_of_clusters_are_short_and_lower_case() {
        assert!(is_cluster_name("a.b_c-9") && is_cluster_name(&"x".repeat(64)));
        for wrong in ["", "A", "a/b", "a b", "ä", &"x".repeat(65)] {
            assert!(!is_cluster_name(wrong), "{wrong}");
        }
    }
}
