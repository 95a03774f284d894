//! A temporary PostgreSQL from the machine's own binaries.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use diesel::Connection as _;
use diesel::connection::SimpleConnection as _;
use diesel::pg::PgConnection;

use super::{free_port, missing};

const HOW: &str = "install it (Debian: apt-get install postgresql)";
const PATIENCE: Duration = Duration::from_secs(30);

/// A server and its folder.
pub struct Server {
    port: u16,
    folder: PathBuf,
    /// A shell that does as it is told on its standard input. That closes when this process ends, however it ends, and
    /// then the server ends too.
    keeper: Mutex<Child>,
}

/// A server of the caller's own, with these settings besides.
pub fn own_server(settings: &[&str]) -> Option<Server> {
    // Says so if there is none.
    server()?;
    binaries().map(|folder| Server::start(&folder, settings))
}

/// The server of this test binary; `None` where there is none to be had.
pub fn server() -> Option<&'static Server> {
    static SERVER: OnceLock<Option<Server>> = OnceLock::new();
    SERVER
        .get_or_init(|| {
            let found = binaries();
            if found.is_none() {
                missing("postgres", "there is no PostgreSQL server on this machine", HOW);
            }
            found.map(|folder| Server::start(&folder, &["fsync=off"]))
        })
        .as_ref()
}

/// The newest version's programs.
fn binaries() -> Option<PathBuf> {
    let mut folders: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
        .chain(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()))
        .filter(|folder| folder.join("initdb").exists() && folder.join("postgres").exists())
        .collect();
    let version = |folder: &PathBuf| -> u32 {
        let number = folder.parent().and_then(Path::file_name).and_then(|name| name.to_str());
        number.and_then(|number| number.parse().ok()).unwrap_or(0)
    };
    folders.sort_by_key(version);
    folders.pop()
}

/// A program of the server's version.
pub fn program(name: &str) -> Option<PathBuf> {
    binaries().map(|folder| folder.join(name)).filter(|program| program.exists())
}

impl Server {
    fn start(binaries: &Path, settings: &[&str]) -> Self {
        let port = free_port();
        let folder = std::env::temp_dir().join(format!("task-scheduler-postgres-{}-{port}", std::process::id()));
        // The server refuses to run as root.
        let root = std::env::var("USER").is_ok_and(|user| user == "root") || is_root();
        let script = format!(
            "set -e; trap 'rm -rf {folder}' EXIT; mkdir -m 700 {folder}; {own} \
             {run} {bin}/initdb -D {folder}/data -U postgres -A trust -E UTF8 --locale=C --no-sync --no-instructions >{folder}.log 2>&1; \
             start() {{ {run} {bin}/postgres -D {folder}/data -c listen_addresses=127.0.0.1 -c port={port} \
             -c unix_socket_directories= -c max_connections=300 -c shared_buffers=64MB \
             -c log_min_messages=fatal {settings} >>{folder}.log 2>&1 & server=$!; }}; start; \
             while read -r word; do case $word in \
             kill) kill -QUIT $server; wait $server || true;; start) start;; esac; done; \
             kill -INT $server || true; wait $server || true; rm -f {folder}.log",
            folder = folder.display(),
            bin = binaries.display(),
            settings = settings.iter().flat_map(|setting| ["-c", setting]).collect::<Vec<_>>().join(" "),
            own = if root { format!("chown postgres {};", folder.display()) } else { String::new() },
            run = if root { "setpriv --reuid=postgres --regid=postgres --clear-groups --" } else { "" },
        );
        let keeper = Command::new("sh")
            .args(["-c", &script])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("a shell");
        let server = Self { port, folder, keeper: Mutex::new(keeper) };
        server.wait();
        server
    }

    /// Ends it as a crash does: no session is asked, nothing is written any more.
    pub fn kill(&self) {
        self.tell("kill");
    }

    /// Starts it again; back when it accepts connections.
    pub fn restart(&self) {
        self.tell("start");
        self.wait();
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(format!("{}.log", self.folder.display())).unwrap_or_default()
    }

    fn tell(&self, word: &str) {
        let mut keeper = self.keeper.lock().unwrap();
        writeln!(keeper.stdin.as_mut().unwrap(), "{word}").unwrap();
    }

    fn wait(&self) {
        let began = Instant::now();
        while let Err(cause) = PgConnection::establish(&self.url()) {
            assert!(began.elapsed() < PATIENCE, "PostgreSQL does not start: {cause}\n{}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Its first process, the parent of all others.
    pub fn pid(&self) -> u32 {
        let file = std::fs::read_to_string(self.folder.join("data/postmaster.pid")).unwrap();
        file.lines().next().unwrap().parse().unwrap()
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    fn url(&self) -> String {
        self.url_of("postgres")
    }

    /// The URL of a database.
    pub fn url_of(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    /// The URL of a new and empty schema.
    pub fn schema(&self) -> String {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let schema = format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let mut connection = PgConnection::establish(&self.url()).unwrap();
        connection.batch_execute(&format!("CREATE SCHEMA {schema}")).unwrap();
        format!("{}?options=-csearch_path%3D{schema}", self.url())
    }
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().map(|output| output.stdout).unwrap_or_default();
    std::io::stdout().flush().unwrap();
    id.trim_ascii() == b"0"
}
