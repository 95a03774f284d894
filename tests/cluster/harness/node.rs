//! A real node: a process of the program, in its own folder, on its own port.

use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::http;

/// The program under test.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_task-scheduler");

/// Longest wait for a node to be ready, or to end.
const PATIENCE: Duration = Duration::from_secs(30);

const SILENT: [(&str, &str); 1] = [("RUST_LOG", "off")];

/// Killed when it is dropped; its log is shown if the test has failed.
pub struct Node {
    child: Child,
    address: SocketAddr,
    folder: PathBuf,
    arguments: Vec<String>,
    /// Of its process, besides the test's own.
    environment: Vec<(String, String)>,
    log: PathBuf,
    _own: Option<tempfile::TempDir>,
}

impl Node {
    /// In a new folder.
    pub fn start() -> Self {
        Self::with(&[])
    }

    /// The same with further flags.
    pub fn with(flags: &[&str]) -> Self {
        let own = tempfile::tempdir().unwrap();
        let folder = own.path().join("data");
        let mut node = Self::launched(&folder, flags);
        node._own = Some(own);
        node.until_ready();
        node
    }

    /// The same, not ready yet.
    pub fn starting(flags: &[&str]) -> Self {
        let own = tempfile::tempdir().unwrap();
        let mut node = Self::launched(&own.path().join("data"), flags);
        node._own = Some(own);
        node
    }

    /// The same with these variables in its environment.
    pub fn starting_in(environment: &[(&str, &str)], flags: &[&str]) -> Self {
        let own = tempfile::tempdir().unwrap();
        let mut node = Self::launched_with(&own.path().join("data"), flags, environment);
        node._own = Some(own);
        node
    }

    /// In a folder of the test's.
    pub fn in_folder(folder: &Path, flags: &[&str]) -> Self {
        let mut node = Self::launched(folder, flags);
        node.until_ready();
        node
    }

    /// With a silent log, in a folder of the caller's.
    pub fn silent(folder: &Path) -> Self {
        let mut node = Self::launched_with(folder, &[], &SILENT);
        node.until_ready();
        node
    }

    /// The same with further flags, in a folder of its own.
    pub fn silent_with(flags: &[&str]) -> Self {
        let own = tempfile::tempdir().unwrap();
        let mut node = Self::launched_with(&own.path().join("data"), flags, &SILENT);
        node._own = Some(own);
        node.until_ready();
        node
    }

    fn launched(folder: &Path, flags: &[&str]) -> Self {
        Self::launched_with(folder, flags, &[])
    }

    fn launched_with(folder: &Path, flags: &[&str], environment: &[(&str, &str)]) -> Self {
        let address = free_address();
        let listens = flags.contains(&"--listen");
        let mut arguments: Vec<String> = vec!["node".to_owned(), "--data-dir".to_owned(), folder.display().to_string()];
        if !listens {
            arguments.extend(["--listen".to_owned(), address.to_string()]);
        }
        arguments.extend(flags.iter().map(|flag| (*flag).to_owned()));
        let address = flags
            .iter()
            .position(|flag| *flag == "--listen")
            .map_or(address, |at| format!("127.0.0.1:{}", flags[at + 1].rsplit(':').next().unwrap()).parse().unwrap());
        let log =
            std::env::temp_dir().join(format!("task-scheduler-test-{}-{}.log", std::process::id(), address.port()));
        let environment: Vec<(String, String)> =
            environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let child = launch(&arguments, &environment, &log);
        Self { child, address, folder: folder.to_owned(), arguments, environment, log, _own: None }
    }

    /// The URL of a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its data folder.
    pub fn data_dir(&self) -> &Path {
        &self.folder
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Ends it at once, as a power cut would.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again after its end, in the same place; how long it took until it was ready.
    pub fn restart(&mut self) -> Duration {
        let began = Instant::now();
        self.launch_again();
        self.until_ready();
        began.elapsed()
    }

    /// The same, not ready yet.
    pub fn launch_again(&mut self) {
        self.child = launch(&self.arguments, &self.environment, &self.log);
    }

    /// Sends a signal, like "TERM".
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.pid().to_string()]).status().unwrap();
        assert!(sent.success(), "kill -{name}");
    }

    /// SIGTERM, and how it ended.
    pub fn stop(mut self) -> ExitStatus {
        self.signal("TERM");
        self.wait()
    }

    /// How it ended.
    pub fn wait(&mut self) -> ExitStatus {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < until, "the node does not end\n{}", self.log());
            pause();
        }
    }

    /// Waits until it takes submissions.
    pub fn until_ready(&mut self) {
        let until = Instant::now() + PATIENCE;
        let url = self.url("/readyz");
        while !http::try_request("GET", &url, &[], b"").is_ok_and(|answer| answer.status == 200) {
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("the node ended with {status}\n{}", self.log());
            }
            assert!(Instant::now() < until, "the node does not get ready\n{}", self.log());
            pause();
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- log of the node on {}\n{}", self.address, self.log());
        }
        let _ended_already = self.child.kill();
        let _reaped = self.child.wait();
        let _gone = std::fs::remove_file(&self.log);
    }
}

fn launch(arguments: &[String], environment: &[(String, String)], log: &Path) -> Child {
    let log = File::options().create(true).append(true).open(log).unwrap();
    Command::new(PROGRAM)
        .args(arguments)
        .env_remove("TASK_SCHEDULER_CONFIG")
        .env("RUST_LOG", "info")
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap()
}

/// Waits until `what` holds, which only a process outside can tell.
pub fn until(what: &str, within: Duration, mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + within;
    while !holds() {
        assert!(Instant::now() < until, "not within {within:?}: {what}");
        pause();
    }
}

/// Between two looks at another process.
fn pause() {
    std::thread::sleep(Duration::from_millis(5));
}

/// An address that was free a moment ago.
pub fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}
