//! A temporary Apache Kafka, one process of broker and controller, from jars that Maven fetches once.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::metadata::MetadataTopic;

use super::missing;

const HOW: &str =
    "install Java 17 and Maven (Debian: apt-get install default-jre-headless maven), and let Maven fetch it";
const PATIENCE: Duration = Duration::from_mins(1);
const OLDEST_JAVA: u32 = 17;

/// What Maven fetches; continuous integration has it do so while the tests compile.
const POM: &str = include_str!("kafka.xml");
const FETCH: &str = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies";

/// Formats the storage, then does as it is told, and says when it has. Signals sent to the whole process group (as by
/// an interrupt from the terminal) must not end it before the server; `exec`, so that the server's id is known.
const KEEPER: &str = r#"
    folder=$1 jars=$2; mkdir -m 700 "$folder" || exit
    trap '' INT TERM HUP PIPE; trap 'rm -rf "$folder"' EXIT; printf '%s' "$3" >"$folder/server.properties"
    run() {
        exec java -Xmx512m -XX:TieredStopAtLevel=1 -Dorg.slf4j.simpleLogger.defaultLogLevel=warn \
            -cp "$jars/*" "$@" >>"$folder/log" 2>&1
    }
    end() { kill -KILL $server; wait $server; server=; } 2>/dev/null
    (run kafka.tools.StorageTool format -t "$4" -c "$folder/server.properties")
    while read -r word; do
        case $word in
        start) run kafka.Kafka "$folder/server.properties" & server=$!;;
        kill) end;;
        stop) kill -STOP $server;;
        cont) kill -CONT $server;;
        esac
        echo 2>/dev/null
    done
    end
"#;

/// A server and its folder.
pub struct Server {
    port: u16,
    proxied: u16,
    folder: PathBuf,
    /// A shell that does as it is told on its standard input. That closes when this process ends, however it ends, and
    /// then the server ends too.
    keeper: Mutex<Child>,
}

/// A server of the caller's own; where its second listener is reached through this proxy.
pub fn own_server(proxy: Option<SocketAddr>) -> Option<Server> {
    jars().map(|jars| Server::start(jars, proxy))
}

/// The server of this test binary; `None` where there is none to be had.
pub fn server() -> Option<&'static Server> {
    static SERVER: OnceLock<Option<Server>> = OnceLock::new();
    SERVER.get_or_init(|| own_server(None)).as_ref()
}

/// The folder of its jars; says so once if there are none to be had.
pub fn jars() -> Option<&'static Path> {
    static JARS: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    static SAID: OnceLock<()> = OnceLock::new();
    match JARS.get_or_init(fetch) {
        Ok(jars) => Some(jars),
        Err(why) => {
            SAID.get_or_init(|| missing("kafka", why, HOW));
            None
        }
    }
}

/// The jars are kept for later runs. They are fetched into a folder of this process's own, so that nobody sees a part.
fn fetch() -> Result<PathBuf, String> {
    if java().is_none_or(|version| version < OLDEST_JAVA) {
        return Err(format!("there is no Java {OLDEST_JAVA} on this machine"));
    }
    let all = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let folder = all.join("kafka-4.4.0-with-tools");
    if folder.exists() {
        return Ok(folder);
    }
    let unfinished = all.join(format!("kafka-4.4.0-with-tools-unfinished-{}", std::process::id()));
    std::fs::create_dir_all(&unfinished).unwrap();
    std::fs::write(unfinished.join("pom.xml"), POM).unwrap();
    let maven = Command::new("mvn")
        .args(["-q", "-B", FETCH, "-DoutputDirectory=."])
        .current_dir(&unfinished)
        .stdin(Stdio::null())
        .output();
    let fetched = match maven {
        Err(_) => Err("there is no Maven on this machine".to_owned()),
        Ok(output) if !output.status.success() => {
            let said = String::from_utf8_lossy(&output.stdout);
            let error = said.lines().find_map(|line| Some(line.split_once("[ERROR] ")?.1)).unwrap_or_default();
            Err(format!("Maven cannot fetch it: {error}"))
        }
        // Where another process was quicker, its folder stands.
        Ok(_) => match std::fs::rename(&unfinished, &folder) {
            Err(cause) if !folder.exists() => Err(cause.to_string()),
            _ => Ok(()),
        },
    };
    // Gone already if all went well.
    let _ = std::fs::remove_dir_all(&unfinished);
    fetched.map(|()| folder)
}

fn java() -> Option<u32> {
    let output = Command::new("java").args(["-XshowSettings:properties", "-version"]).output().ok()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    said.lines().find_map(|line| line.trim().strip_prefix("java.specification.version = ")?.parse().ok())
}

impl Server {
    fn start(jars: &Path, proxy: Option<SocketAddr>) -> Self {
        // All at once, so that no port is given twice.
        let [port, proxied, controller] = [(); 3]
            .map(|()| TcpListener::bind("127.0.0.1:0").unwrap())
            .map(|listener| listener.local_addr().unwrap().port());
        let folder = std::env::temp_dir().join(format!("task-scheduler-kafka-{}-{port}", std::process::id()));
        let advertised = proxy.unwrap_or(SocketAddr::from(([127, 0, 0, 1], proxied)));
        // After a crash it waits until its earlier self's session has ended: 9 s by default.
        let properties = format!(
            "process.roles=broker,controller\n\
             node.id=1\n\
             controller.quorum.voters=1@127.0.0.1:{controller}\n\
             listeners=CLIENT://127.0.0.1:{port},PROXIED://127.0.0.1:{proxied},CONTROLLER://127.0.0.1:{controller}\n\
             advertised.listeners=CLIENT://127.0.0.1:{port},PROXIED://{advertised}\n\
             listener.security.protocol.map=CLIENT:PLAINTEXT,PROXIED:PLAINTEXT,CONTROLLER:PLAINTEXT\n\
             inter.broker.listener.name=CLIENT\n\
             controller.listener.names=CONTROLLER\n\
             broker.heartbeat.interval.ms=500\n\
             broker.session.timeout.ms=2000\n\
             log.dirs={folder}/data\n\
             num.partitions=3\n\
             auto.create.topics.enable=false\n\
             group.initial.rebalance.delay.ms=0\n\
             offsets.topic.num.partitions=1\n\
             offsets.topic.replication.factor=1\n\
             transaction.state.log.num.partitions=1\n\
             transaction.state.log.replication.factor=1\n\
             transaction.state.log.min.isr=1\n\
             share.coordinator.state.topic.num.partitions=1\n\
             share.coordinator.state.topic.replication.factor=1\n\
             share.coordinator.state.topic.min.isr=1\n",
            folder = folder.display(),
        );
        let keeper = Command::new("sh")
            .args(["-c", KEEPER, "kafka"])
            .args([folder.as_path(), jars])
            // The cluster's id: 16 bytes in base64, another for every server.
            .args([properties, format!("{port:0>21}A")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("a shell");
        let server = Self { port, proxied, folder, keeper: Mutex::new(keeper) };
        server.restart();
        server
    }

    /// Ends it as a crash does: no client is told, nothing is written any more.
    pub fn kill(&self) {
        self.tell("kill");
    }

    /// Starts it again; back when it accepts connections and all its partitions can be used.
    pub fn restart(&self) {
        self.tell("start");
        self.wait();
    }

    /// Lets it stand still: connections stay open, nothing is answered.
    pub fn stop(&self) {
        self.tell("stop");
    }

    /// Lets it go on after a `stop`.
    pub fn cont(&self) {
        self.tell("cont");
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    /// The file with the first records of a topic's first partition.
    pub fn records_of(&self, topic: &str) -> PathBuf {
        self.folder.join(format!("data/{topic}-0/{:0>20}.log", 0))
    }

    /// Back when it is done.
    fn tell(&self, word: &str) {
        let mut keeper = self.keeper.lock().unwrap();
        writeln!(keeper.stdin.as_mut().unwrap(), "{word}").unwrap();
        keeper.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
    }

    fn wait(&self) {
        let began = Instant::now();
        let client: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", self.brokers())
            .set("reconnect.backoff.max.ms", "100")
            .create()
            .unwrap();
        let answers = || {
            let metadata = client.fetch_metadata(None, Duration::from_secs(1)).ok()?;
            let mut partitions = metadata.topics().iter().flat_map(MetadataTopic::partitions);
            (metadata.brokers().len() == 1 && partitions.all(|partition| partition.leader() >= 0)).then_some(())
        };
        while answers().is_none() {
            assert!(began.elapsed() < PATIENCE, "Kafka does not start:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// Where it listens, as clients are told.
    pub fn brokers(&self) -> String {
        self.address().to_string()
    }

    /// Where the proxy finds it.
    pub fn proxied_listener(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.proxied))
    }

    /// The name of a topic that nobody else uses; it is not made.
    pub fn topic(&self) -> String {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        format!("test-{}-{}", NEXT.fetch_add(1, Ordering::Relaxed), self.port)
    }
}
