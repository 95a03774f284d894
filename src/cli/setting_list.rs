//! Every setting of a node, once: flags, environment, file, `--help` and `check-config` all read this list.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

use super::setting::{Field, Setting};
use crate::config::{DatabaseUrl, KafkaProperty, KafkaTargetCluster, KafkaTargetTopic, is_broker};
use crate::domain::kafka_topics;
use crate::domain::time::millis_of;

const NODE: &str = "Node";
const API: &str = "REST API";
const KAFKA: &str = "Kafka";
const TARGETS: &str = "HTTP targets";
const TIMES: &str = "Times of the actors";

/// Longest name of a node, in characters.
const NAME_CHARS_MAX: usize = 255;
/// Room for one largest submission (1 MiB) and what it takes besides: with less, some would never be taken.
const QUEUE_BYTES_MIN: u64 = 1_049_600;
/// An hour, in milliseconds: the longest time of most settings.
const HOUR_MS: u64 = 3_600_000;

/// A time in milliseconds, and where it is kept.
macro_rules! millis {
    ($range:expr, $($place:ident).+) => {
        Field::Number {
            range: $range,
            put: |config, n| config.$($place).+ = Duration::from_millis(n),
            get: |config| millis_of(config.$($place).+),
        }
    };
}

/// A number of things in memory, and where it is kept.
macro_rules! count {
    ($range:expr, $($place:ident).+) => {
        Field::Number {
            range: $range,
            put: |config, n| config.$($place).+ = usize::try_from(n).unwrap_or(usize::MAX),
            get: |config| u64::try_from(config.$($place).+).unwrap_or(u64::MAX),
        }
    };
}

/// All of them, in the order of `--help`.
pub static SETTINGS: [Setting; 35] = [
    setting(
        NODE,
        "listen",
        "ADDR:PORT",
        "Where the REST API listens; beyond loopback only with --allow-unauthenticated",
        Field::Text {
            allowed: "an IP address and a port, like 127.0.0.1:8080 or [::1]:8080",
            put: |config, text| text.parse().map(|listen| config.api.listen = listen).is_ok(),
            get: |config| config.api.listen.to_string(),
        },
    ),
    Setting {
        default_words: Some("the host name"),
        ..setting(
            NODE,
            "name",
            "NAME",
            "The node's name, in /v1/cluster and beside every task it took",
            Field::Text {
                allowed: "1 to 255 characters without control characters",
                put: |config, text| {
                    let fits = (1..=NAME_CHARS_MAX).contains(&text.chars().count()) && !text.contains(char::is_control);
                    if fits {
                        text.clone_into(&mut config.name);
                    }
                    fits
                },
                get: |config| config.name.clone(),
            },
        )
    },
    setting(
        NODE,
        "data-dir",
        "FOLDER",
        "Where the database and its lock file are; one process per folder",
        Field::Text {
            allowed: "the path of a folder",
            put: |config, text| {
                let fits = !text.is_empty() && !text.contains('\0');
                if fits {
                    config.data_dir = PathBuf::from(text);
                }
                fits
            },
            get: |config| config.data_dir.display().to_string(),
        },
    ),
    Setting {
        default_words: Some("none: the embedded file in --data-dir"),
        ..setting(
            NODE,
            "database-url",
            "URL",
            "The PostgreSQL of a cluster; all nodes on it are one cluster",
            Field::Text {
                allowed: "nothing, or a URL like postgres://user:password@host:5432/database",
                put: |config, text| {
                    let url = DatabaseUrl::parse(text);
                    let fits = text.is_empty() || url.is_some();
                    if fits {
                        config.database_url = url;
                    }
                    fits
                },
                get: |config| config.database_url.as_ref().map(ToString::to_string).unwrap_or_default(),
            },
        )
    },
    setting(
        NODE,
        "slots",
        "N",
        "Calls of targets at once",
        Field::Number {
            range: 1..=10_000,
            put: |config, n| config.actors.slots = u32::try_from(n).unwrap_or(u32::MAX),
            get: |config| u64::from(config.actors.slots),
        },
    ),
    setting(
        NODE,
        "claim-buffer",
        "N",
        "Most claimed tasks that are not settled; what is above waits in the database, not in memory",
        Field::Number {
            range: 1..=100_000,
            put: |config, n| config.actors.claim_buffer = n,
            get: |config| config.actors.claim_buffer,
        },
    ),
    setting(
        NODE,
        "claim-lead-ms",
        "MS",
        "How long before its time a task is claimed (it is never fired before its time)",
        millis!(0..=250, actors.claim_lead),
    ),
    setting(NODE, "drain-ms", "MS", "How long a stop waits for calls in flight", millis!(0..=HOUR_MS, drain)),
    setting(
        NODE,
        "queue-bytes",
        "BYTES",
        "Most bytes of submissions that wait for their commit; more are answered 503",
        count!(QUEUE_BYTES_MIN..=1_099_511_627_776, queue.bytes_max),
    ),
    setting(
        NODE,
        "ingest-batch",
        "N",
        "Most submissions of several requests, or records of a topic, that share one commit; 1: each has its own",
        count!(1..=1_000, actors.ingest_batch),
    ),
    setting(
        NODE,
        "retention-hours",
        "H",
        "How long finished tasks (never an unknown one) and replayed dead letters are kept; 0: for ever",
        Field::Number {
            range: 0..=87_600,
            put: |config, n| config.actors.retention = Duration::from_hours(n),
            get: |config| config.actors.retention.as_secs() / 3_600,
        },
    ),
    Setting {
        default_words: Some("none: submissions wait in memory until they are stored"),
        ..setting(
            KAFKA,
            "kafka-brokers",
            "HOST:PORT,…",
            "The brokers of the submission topic and of the topics that tasks write to without naming a cluster",
            Field::Text {
                allowed: "nothing, or host:port pairs separated by commas",
                put: |config, text| {
                    let fits = text.is_empty() || text.split(',').all(|broker| is_broker(broker.trim()));
                    if fits {
                        text.clone_into(&mut config.kafka.brokers);
                    }
                    fits
                },
                get: |config| config.kafka.brokers.clone(),
            },
        )
    },
    setting(
        KAFKA,
        "submission-topic",
        "TOPIC",
        "Where submissions come from; what cannot be read goes to the topic of this name with .dead behind it",
        Field::Text {
            allowed: "1 to 244 characters of letters, digits, '.', '_' and '-'",
            put: |config, text| {
                let fits = kafka_topics::is_name(text) && text.len() <= 244;
                if fits {
                    text.clone_into(&mut config.kafka.submission_topic);
                }
                fits
            },
            get: |config| config.kafka.submission_topic.clone(),
        },
    ),
    setting(
        KAFKA,
        "kafka-create-topics",
        "BOOL",
        "Makes the submission topics if they do not exist; without it they must",
        Field::Switch { put: |config, on| config.kafka.create_topics = on, get: |config| config.kafka.create_topics },
    ),
    setting(
        KAFKA,
        "kafka-partitions",
        "N",
        "Partitions of a submission topic that is made; so many nodes at most read it at once",
        Field::Number {
            range: 1..=1_000,
            put: |config, n| config.kafka.partitions = i32::try_from(n).unwrap_or(i32::MAX),
            get: |config| u64::try_from(config.kafka.partitions).unwrap_or(0),
        },
    ),
    setting(
        KAFKA,
        "kafka-replication",
        "N",
        "Copies of each partition of a topic that is made; 0: what the brokers make by default",
        Field::Number {
            range: 0..=16,
            put: |config, n| config.kafka.replication = i32::try_from(n).unwrap_or(0),
            get: |config| u64::try_from(config.kafka.replication).unwrap_or(0),
        },
    ),
    setting(
        KAFKA,
        "kafka-target-cluster",
        "NAME=HOST:PORT;…",
        "A further cluster that tasks may write to, by its name; it needs no --kafka-brokers",
        Field::List {
            allowed: "each name once, of 1 to 64 characters of a-z, 0-9, '.', '_' and '-', and its brokers, like west=kafka-1:9092;kafka-2:9092",
            put: |config, items| {
                config.kafka.target_clusters = distinct(items, all(items, KafkaTargetCluster::parse)?)?;
                Ok(())
            },
            get: |config| config.kafka.target_clusters.iter().map(ToString::to_string).collect(),
        },
    ),
    setting(
        KAFKA,
        "kafka-target-topic",
        "TOPIC",
        "A topic that tasks may write to, or the beginning of such topics with * behind it; never the submission topics",
        Field::List {
            allowed: "names of topics, or beginnings with * behind them, like orders or reminders-*; of a named cluster: west/orders",
            put: |config, items| {
                config.kafka.target_topics = all(items, KafkaTargetTopic::parse)?;
                Ok(())
            },
            get: |config| config.kafka.target_topics.iter().map(ToString::to_string).collect(),
        },
    ),
    setting(
        KAFKA,
        "kafka-property",
        "NAME=VALUE",
        "How the brokers are to be reached, by the names of librdkafka: security.protocol, sasl.*, ssl.*, socket.*",
        Field::List {
            allowed: "like security.protocol=SASL_SSL or sasl.username=scheduler; of a named cluster: west/sasl.username=scheduler",
            put: |config, items| {
                config.kafka.properties = all(items, KafkaProperty::parse)?;
                Ok(())
            },
            get: |config| config.kafka.properties.iter().map(ToString::to_string).collect(),
        },
    ),
    setting(
        API,
        "allow-unauthenticated",
        "BOOL",
        "May listen beyond loopback though anyone who reaches it can submit; HTTP targets may then only be public addresses and those of --http-allow",
        Field::Switch {
            put: |config, on| config.api.allow_unauthenticated = on,
            get: |config| config.api.allow_unauthenticated,
        },
    ),
    setting(
        API,
        "allowed-host",
        "HOST",
        "A further host name under which clients may call the API, besides localhost and its addresses",
        Field::List {
            allowed: "host names without scheme, port and path, like tasks.example.org",
            put: |config, items| {
                config.api.allowed_hosts = all(items, host)?;
                Ok(())
            },
            get: |config| config.api.allowed_hosts.clone(),
        },
    ),
    setting(
        API,
        "client-timeout-ms",
        "MS",
        "Longest time for a request's head and body to come in",
        millis!(100..=600_000, api.client_timeout),
    ),
    setting(API, "api-threads", "N", "Threads that serve requests", count!(1..=256, api.threads)),
    setting(
        TARGETS,
        "http-allow",
        "CIDR",
        "A network that tasks may call in spite of the address guard",
        Field::List {
            allowed: "networks or addresses, like 10.0.0.0/8 or 192.168.1.7",
            put: |config, items| {
                config.http.allow = all(items, network)?;
                Ok(())
            },
            get: |config| config.http.allow.iter().map(ToString::to_string).collect(),
        },
    ),
    setting(
        TARGETS,
        "http-connect-timeout-ms",
        "MS",
        "Longest time for a connection to be made (name, TCP, TLS)",
        millis!(10..=60_000, http.connect_timeout),
    ),
    setting(
        TARGETS,
        "http-reuse-within-ms",
        "MS",
        "A kept connection is used again only this shortly after its last answer; 0 never",
        millis!(0..=999, http.reuse_within),
    ),
    setting(
        TARGETS,
        "http-ambiguous-status",
        "STATUS",
        "A status that leaves it open whether the target was reached (proxies answer so); replaces the defaults",
        Field::List {
            allowed: "statuses from 300 to 599",
            put: |config, items| {
                config.http.ambiguous_statuses = all(items, status)?;
                Ok(())
            },
            get: |config| config.http.ambiguous_statuses.iter().map(ToString::to_string).collect(),
        },
    ),
    setting(TIMES, "heartbeat-ms", "MS", "Time between heartbeats", millis!(10..=1_000, actors.heartbeat)),
    setting(TIMES, "resolve-ms", "MS", "Time between looks at who is master", millis!(10..=10_000, actors.resolve)),
    setting(TIMES, "lease-ms", "MS", "The master's lease", millis!(100..=60_000, actors.lease)),
    setting(
        TIMES,
        "renew-ms",
        "MS",
        "Time between renewals of the lease; at most half of it",
        millis!(10..=30_000, actors.renew),
    ),
    setting(
        TIMES,
        "dead-after-ms",
        "MS",
        "A node whose heartbeat stands still this long is dead; at least two heartbeats",
        millis!(100..=600_000, actors.dead_after),
    ),
    setting(
        TIMES,
        "stall-after-ms",
        "MS",
        "An actor that does not answer this long is restarted, and the others with it",
        millis!(100..=600_000, actors.stall_after),
    ),
    setting(
        TIMES,
        "restarts-max",
        "N",
        "Restarts within --restart-window-ms after which the process gives up (exit code 70)",
        count!(0..=1_000, actors.restarts_max),
    ),
    setting(
        TIMES,
        "restart-window-ms",
        "MS",
        "The time in which restarts are counted",
        millis!(1_000..=HOUR_MS, actors.restart_window),
    ),
];

const fn setting(
    heading: &'static str,
    flag: &'static str,
    placeholder: &'static str,
    about: &'static str,
    field: Field,
) -> Setting {
    Setting { flag, placeholder, heading, about, default_words: None, field }
}

/// Reads every item, or names the first that cannot be read.
fn all<T>(items: &[String], read: fn(&str) -> Option<T>) -> Result<Vec<T>, String> {
    items.iter().map(|item| read(item).ok_or_else(|| item.clone())).collect()
}

/// Each name once, or the item whose name was there before.
fn distinct(items: &[String], clusters: Vec<KafkaTargetCluster>) -> Result<Vec<KafkaTargetCluster>, String> {
    let mut names = BTreeSet::new();
    match items.iter().zip(&clusters).find(|(_, one)| !names.insert(&one.name)) {
        Some((item, _)) => Err(item.clone()),
        None => Ok(clusters),
    }
}

fn host(text: &str) -> Option<String> {
    let legal = text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'));
    legal.then(|| text.to_ascii_lowercase())
}

/// A single address is the network of itself alone. A network of IPv4 addresses in IPv6's clothes would never match: the
/// guard asks for an address in its plain form.
fn network(text: &str) -> Option<IpNet> {
    let net = text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(|address| address.to_canonical().into()))?;
    match net {
        IpNet::V6(v6) if v6.network().to_ipv4_mapped().is_some() => None,
        net => Some(net),
    }
}

fn status(text: &str) -> Option<u16> {
    text.parse().ok().filter(|status| (300..=599).contains(status))
}
