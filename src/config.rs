//! The settings of each component, typed and with their units. Where they come from is `cli::settings`'s matter.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use url::Url;

use crate::domain::kafka_topics;

/// Taken off a lease before it is trusted: clocks that run apart, and the way of a claim to the database.
pub const LEASE_MARGIN: Duration = Duration::from_millis(500);

/// Everything a node is started with.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeConfig {
    /// The node's name, in `/v1/cluster` and in every claim; the host name unless said.
    pub name: String,
    /// Where the embedded database and its lock file are.
    pub data_dir: PathBuf,
    /// The cluster's database; without one, the embedded is used.
    pub database_url: Option<DatabaseUrl>,
    /// The REST API.
    pub api: ApiConfig,
    /// The embedded queue.
    pub queue: QueueConfig,
    /// The clusters of Kafka, if there are any.
    pub kafka: KafkaConfig,
    /// The actors.
    pub actors: ActorsConfig,
    /// HTTP targets.
    pub http: HttpConfig,
    /// How long a stop waits for calls in flight.
    pub drain: Duration,
}

/// A database's URL. Its password is never shown.
#[derive(Clone, PartialEq)]
pub struct DatabaseUrl(Url);

impl DatabaseUrl {
    /// Reads one: `postgres://…`. `None` if it is none.
    pub fn parse(text: &str) -> Option<Self> {
        let url = Url::parse(text).ok()?;
        (matches!(url.scheme(), "postgres" | "postgresql") && url.has_host()).then_some(Self(url))
    }

    /// With its password, for the client library alone.
    pub fn secret(&self) -> &str {
        self.0.as_str()
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = self.0.clone();
        if shown.password().is_some() && shown.set_password(Some("***")).is_err() {
            return f.write_str("postgres://***");
        }
        f.write_str(shown.as_str())
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DatabaseUrl({self})")
    }
}

/// The REST API.
#[derive(Debug, Clone, PartialEq)]
pub struct ApiConfig {
    /// Where it listens.
    pub listen: SocketAddr,
    /// It may listen beyond loopback though there is no authentication.
    pub allow_unauthenticated: bool,
    /// Further names by which browsers and clients may call it (`Host`), besides its addresses and `localhost`.
    pub allowed_hosts: Vec<String>,
    /// Longest time for a request's head and body to come in.
    pub client_timeout: Duration,
    /// Threads that serve requests.
    pub threads: usize,
}

/// The embedded queue.
#[derive(Debug, Clone, PartialEq)]
pub struct QueueConfig {
    /// Most bytes of submissions that wait for their commit; more are answered `503`.
    pub bytes_max: usize,
    /// Longest wait of a publisher for its commit; then it is told to repeat.
    pub publish_timeout: Duration,
}

/// The clusters of Kafka: that of the submission topic, and further ones that tasks write to.
#[derive(Debug, Clone, PartialEq)]
pub struct KafkaConfig {
    /// The brokers of the submission topic: `host:port`, separated by commas; empty: there is none.
    pub brokers: String,
    /// Further clusters, which only tasks write to.
    pub target_clusters: Vec<KafkaTargetCluster>,
    /// Further settings of the client library, of all clusters: TLS, SASL.
    pub properties: Vec<KafkaProperty>,
    /// Where submissions come from.
    pub submission_topic: String,
    /// Topics that do not exist are made.
    pub create_topics: bool,
    /// Partitions of a submission topic that is made.
    pub partitions: i32,
    /// Copies of each partition of a topic that is made; 0: as many as the brokers make by default.
    pub replication: i32,
    /// Topics that tasks may write to, of all clusters.
    pub target_topics: Vec<KafkaTargetTopic>,
}

impl KafkaConfig {
    /// There is a submission topic.
    pub fn is_there(&self) -> bool {
        !self.brokers.is_empty()
    }

    /// What every client of the submission topic is set up with, whatever it does.
    pub fn client(&self) -> impl Iterator<Item = (String, String)> + use<'_> {
        self.cluster(None, &self.brokers).client()
    }

    /// All clusters that tasks may write to.
    pub fn clusters(&self) -> Vec<KafkaCluster<'_>> {
        let nameless = self.is_there().then(|| self.cluster(None, &self.brokers));
        let named = self.target_clusters.iter().map(|one| self.cluster(Some(&one.name), &one.brokers));
        nameless.into_iter().chain(named).collect()
    }

    fn cluster<'a>(&'a self, name: Option<&'a str>, brokers: &'a str) -> KafkaCluster<'a> {
        KafkaCluster { name, brokers, config: self }
    }

    /// Where records go that could not be read.
    pub fn dead_letter_topic(&self) -> String {
        format!("{}.dead", self.submission_topic)
    }
}

/// One cluster, with what the settings say of it.
#[derive(Debug, Clone, Copy)]
pub struct KafkaCluster<'a> {
    /// By which tasks know it; `None`: that of the submission topic.
    pub name: Option<&'a str>,
    brokers: &'a str,
    config: &'a KafkaConfig,
}

impl<'a> KafkaCluster<'a> {
    /// What every client of it is set up with.
    pub fn client(self) -> impl Iterator<Item = (String, String)> + use<'a> {
        let its = self.config.properties.iter().filter(move |property| property.cluster.as_deref() == self.name);
        let given = its.map(|property| (property.name.as_str(), property.value.as_str()));
        // What must hold comes last. Brokers that are back are found again within a second.
        let fixed = [
            ("bootstrap.servers", self.brokers),
            ("client.id", "task-scheduler"),
            ("allow.auto.create.topics", "false"),
            ("reconnect.backoff.max.ms", "1000"),
            ("topic.metadata.refresh.interval.ms", "5000"),
        ];
        given.chain(fixed).map(|(name, value)| (name.to_owned(), value.to_owned()))
    }

    /// The topics that tasks may write to there.
    pub fn topics(self) -> Vec<String> {
        let all = self.config.target_topics.iter();
        all.filter(|topic| topic.cluster.as_deref() == self.name).map(|topic| topic.pattern.clone()).collect()
    }
}

/// A cluster that only tasks write to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KafkaTargetCluster {
    /// By which tasks, topics and properties name it.
    pub name: String,
    /// `host:port`, separated by commas.
    pub brokers: String,
}

impl KafkaTargetCluster {
    /// Reads `name=host:port;host:port`. `None` if it is none.
    pub fn parse(text: &str) -> Option<Self> {
        let (name, brokers) = text.split_once('=')?;
        let brokers: Vec<&str> = brokers.split(';').map(str::trim).collect();
        let fits = kafka_topics::is_cluster_name(name) && brokers.iter().all(|broker| is_broker(broker));
        fits.then(|| Self { name: name.to_owned(), brokers: brokers.join(",") })
    }
}

impl fmt::Display for KafkaTargetCluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.name, self.brokers.replace(',', ";"))
    }
}

/// `host:port` of a broker.
pub fn is_broker(text: &str) -> bool {
    let port = |port: &str| port.parse::<u16>().is_ok_and(|port| port > 0);
    let host = |host: &str| !host.is_empty() && !host.contains([' ', ',', ';']);
    text.rsplit_once(':').is_some_and(|(name, number)| host(name) && port(number))
}

/// A topic that tasks may write to, or with `*` behind it all that begin so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KafkaTargetTopic {
    /// The cluster; `None`: that of the submission topic.
    pub cluster: Option<String>,
    /// Its name, or its beginning with `*`.
    pub pattern: String,
}

impl KafkaTargetTopic {
    /// Reads `topic`, `beginning*` or one of them behind `name/`. `None` if it is none.
    pub fn parse(text: &str) -> Option<Self> {
        let (cluster, pattern) = of_cluster(text)?;
        let beginning = pattern.strip_suffix('*').unwrap_or(pattern);
        let fits = kafka_topics::is_name(beginning) || pattern == "*";
        fits.then(|| Self { cluster, pattern: pattern.to_owned() })
    }
}

impl fmt::Display for KafkaTargetTopic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", prefix(self.cluster.as_deref()), self.pattern)
    }
}

/// What stands behind `name/` is that cluster's, without it the submission topic's. `None`: that is no name.
fn of_cluster(text: &str) -> Option<(Option<String>, &str)> {
    let Some((name, rest)) = text.split_once('/') else { return Some((None, text)) };
    kafka_topics::is_cluster_name(name).then(|| (Some(name.to_owned()), rest))
}

fn prefix(cluster: Option<&str>) -> String {
    cluster.map_or_else(String::new, |name| format!("{name}/"))
}

/// One setting of the Kafka client library. A secret is never shown.
#[derive(Clone, PartialEq)]
pub struct KafkaProperty {
    /// The cluster whose clients it is for; `None`: that of the submission topic.
    pub cluster: Option<String>,
    /// Its name, like `sasl.username`.
    pub name: String,
    /// Its value.
    pub value: String,
}

impl KafkaProperty {
    /// Reads `name=value`, behind `cluster/` or not; only what says how to reach the brokers and who is asking. `None` if
    /// it is none of these.
    pub fn parse(text: &str) -> Option<Self> {
        let (name, value) = text.split_once('=')?;
        let (cluster, name) = of_cluster(name.trim())?;
        let may = ["security.protocol", "broker.address.family", "client.rack"].contains(&name)
            || ["ssl.", "sasl.", "enable.ssl.", "socket.", "reconnect."].iter().any(|part| name.starts_with(part));
        may.then(|| Self { cluster, name: name.to_owned(), value: value.trim().to_owned() })
    }

    fn is_secret(&self) -> bool {
        ["password", "secret", "key.pem", "oauthbearer.config"].iter().any(|part| self.name.contains(part))
    }
}

impl fmt::Display for KafkaProperty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = if self.is_secret() { "***" } else { &self.value };
        write!(f, "{}{}={shown}", prefix(self.cluster.as_deref()), self.name)
    }
}

impl fmt::Debug for KafkaProperty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KafkaProperty({self})")
    }
}

/// The actors' times and sizes.
#[derive(Debug, Clone, PartialEq)]
pub struct ActorsConfig {
    /// Calls at once.
    pub slots: u32,
    /// Most submissions of several requests, or records of a topic, in one transaction.
    pub ingest_batch: usize,
    /// Most claims of this node that are not settled.
    pub claim_buffer: u64,
    /// How long before `due_at` the master claims.
    pub claim_lead: Duration,
    /// Time between heartbeats.
    pub heartbeat: Duration,
    /// Time between looks of the resolver.
    pub resolve: Duration,
    /// The master's lease.
    pub lease: Duration,
    /// Time between its renewals.
    pub renew: Duration,
    /// A generation whose counter stands still this long is dead.
    pub dead_after: Duration,
    /// No answer within this time is a stall.
    pub stall_after: Duration,
    /// How long finished tasks are kept; zero: for ever.
    pub retention: Duration,
    /// Restarts within [`ActorsConfig::restart_window`] after which the process gives up.
    pub restarts_max: usize,
    /// See [`ActorsConfig::restarts_max`].
    pub restart_window: Duration,
}

/// HTTP targets.
#[derive(Debug, Clone, PartialEq)]
pub struct HttpConfig {
    /// Only public addresses may be called (and those of `allow`): on by itself as soon as others than this machine's
    /// own users can submit.
    pub guard: bool,
    /// Networks that may be called in spite of the guard.
    pub allow: Vec<IpNet>,
    /// Longest time for a connection to be made (name, TCP, TLS).
    pub connect_timeout: Duration,
    /// A kept connection is used again only this shortly after its last answer: later, the server may be closing it.
    pub reuse_within: Duration,
    /// Statuses that proxies answer when nobody knows whether the request got through: ambiguous.
    pub ambiguous_statuses: Vec<u16>,
}

impl Default for ApiConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            allow_unauthenticated: false,
            allowed_hosts: Vec::new(),
            client_timeout: Duration::from_secs(5),
            threads: 2,
        }
    }
}

impl Default for QueueConfig {
    fn default() -> Self {
        Self { bytes_max: 64 * 1024 * 1024, publish_timeout: Duration::from_secs(10) }
    }
}

impl Default for KafkaConfig {
    fn default() -> Self {
        Self {
            brokers: String::new(),
            target_clusters: Vec::new(),
            properties: Vec::new(),
            submission_topic: "task-submissions".to_owned(),
            create_topics: true,
            partitions: 12,
            replication: 0,
            target_topics: Vec::new(),
        }
    }
}

impl Default for ActorsConfig {
    fn default() -> Self {
        Self {
            slots: 256,
            ingest_batch: 1_000,
            claim_buffer: 2_000,
            claim_lead: Duration::from_millis(50),
            heartbeat: Duration::from_millis(500),
            resolve: Duration::from_millis(250),
            lease: Duration::from_secs(3),
            renew: Duration::from_millis(750),
            dead_after: Duration::from_secs(3),
            stall_after: Duration::from_secs(5),
            retention: Duration::from_hours(168),
            restarts_max: 5,
            restart_window: Duration::from_mins(1),
        }
    }
}

impl Default for HttpConfig {
    fn default() -> Self {
        let mut ambiguous_statuses = vec![408, 502, 504];
        ambiguous_statuses.extend(520..=527);
        Self {
            guard: false,
            allow: Vec::new(),
            connect_timeout: Duration::from_secs(5),
            reuse_within: Duration::from_millis(900),
            ambiguous_statuses,
        }
    }
}

impl NodeConfig {
    /// The defaults, under this name.
    pub fn named(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            data_dir: PathBuf::from("./data"),
            database_url: None,
            api: ApiConfig::default(),
            queue: QueueConfig::default(),
            kafka: KafkaConfig::default(),
            actors: ActorsConfig::default(),
            http: HttpConfig::default(),
            drain: Duration::from_secs(20),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_for_a_cluster_is_set_for_no_other() {
        let property = |text| KafkaProperty::parse(text).unwrap();
        let topic = |text| KafkaTargetTopic::parse(text).unwrap();
        let config = KafkaConfig {
            brokers: "own:1".to_owned(),
            target_clusters: vec![KafkaTargetCluster::parse("west=w1:1; w2:2").unwrap()],
            properties: vec![property("sasl.username=me"), property("west/ssl.ca.location=/etc/ca=1.pem")],
            target_topics: vec![topic("a-*"), topic("west/*")],
            ..KafkaConfig::default()
        };
        let of = |cluster: KafkaCluster<'_>, name: &str| {
            cluster.client().find(|(known, _)| known == name).map(|(_, value)| value)
        };
        let [own, west] = config.clusters()[..] else { panic!("two clusters") };
        assert_eq!((own.name, west.name), (None, Some("west")));
        assert_eq!(of(own, "bootstrap.servers").as_deref(), Some("own:1"));
        assert_eq!(of(west, "bootstrap.servers").as_deref(), Some("w1:1,w2:2"));
        assert_eq!((of(own, "sasl.username").as_deref(), of(west, "sasl.username")), (Some("me"), None));
        assert_eq!(of(west, "ssl.ca.location").as_deref(), Some("/etc/ca=1.pem"), "only the first = divides");
        assert_eq!(of(own, "ssl.ca.location"), None);
        assert_eq!((own.topics(), west.topics()), (vec!["a-*".to_owned()], vec!["*".to_owned()]));
        assert!(config.client().any(|pair| pair == ("sasl.username".to_owned(), "me".to_owned())));
    }

    #[test]
    fn named_clusters_need_no_submission_topic() {
        let named = KafkaTargetCluster::parse("west=w:1").unwrap();
        let config = KafkaConfig { target_clusters: vec![named], ..KafkaConfig::default() };
        assert_eq!(config.clusters().iter().map(|one| one.name).collect::<Vec<_>>(), [Some("west")]);
        assert!(!config.is_there() && KafkaConfig::default().clusters().is_empty());
    }

    #[test]
    fn a_clusters_secret_is_not_shown() {
        let secret = KafkaProperty::parse("west/sasl.password=hush").unwrap();
        assert_eq!(secret.to_string(), "west/sasl.password=***");
        assert!(!format!("{secret:?}").contains("hush"));
    }
}
