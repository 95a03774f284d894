//! A temporary chromedriver from the machine's own binaries; it starts a Chromium for every session.

use std::net::TcpStream;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use super::{free_port, missing};

const PROGRAM: &str = "TASK_SCHEDULER_CHROMEDRIVER";
const HOW: &str = "install both (Debian: apt-get install chromium chromium-driver), \
    or name chromedriver by TASK_SCHEDULER_CHROMEDRIVER";
const BROWSERS: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
const PATIENCE: Duration = Duration::from_secs(30);

/// Ends the driver and the browsers that it has started when its standard input closes. Signals sent to the whole process
/// group (as by an interrupt from the terminal) must not end it before them. All that they write is in the folder.
const KEEPER: &str = r#"
    folder=$1; mkdir -m 700 "$folder" || exit
    trap '' INT TERM HUP PIPE; trap 'rm -rf "$folder"' EXIT
    HOME="$folder" TMPDIR="$folder" XDG_CONFIG_HOME="$folder" XDG_CACHE_HOME="$folder" \
        "$2" --port="$3" >"$folder/log" 2>&1 </dev/null & driver=$!
    read -r _
    kill -KILL $(cat /proc/$driver/task/*/children) $driver
    wait $driver
    # What a browser leaves behind ends by itself a moment later, and may still write.
    rm -rf "$folder" || sleep 1
"#;

/// A driver and its folder.
pub struct Driver {
    port: u16,
    browser: Option<PathBuf>,
    folder: PathBuf,
    /// A shell whose standard input closes when this process ends, however it ends.
    _keeper: Mutex<Child>,
}

/// The driver of this test binary; `None` where there is none to be had.
pub fn driver() -> Option<&'static Driver> {
    static DRIVER: OnceLock<Option<Driver>> = OnceLock::new();
    DRIVER
        .get_or_init(|| match found() {
            Ok((driver, browser)) => Some(Driver::start(&driver, browser)),
            Err(why) => {
                missing("chromium", why, HOW);
                None
            }
        })
        .as_ref()
}

/// The driver, and the browser unless a driver that was named is to look for it itself.
fn found() -> Result<(PathBuf, Option<PathBuf>), &'static str> {
    let named = std::env::var_os(PROGRAM).map(PathBuf::from);
    let browser = BROWSERS.iter().find_map(|name| in_path(name));
    if named.is_none() && browser.is_none() {
        return Err("there is no Chromium in PATH");
    }
    let driver = named.or_else(|| in_path("chromedriver")).ok_or("there is no chromedriver in PATH")?;
    let runs = Command::new(&driver).arg("--version").stdin(Stdio::null()).output();
    if !runs.is_ok_and(|output| output.status.success()) {
        return Err("chromedriver does not run");
    }
    Ok((driver, browser))
}

fn in_path(name: &str) -> Option<PathBuf> {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&folders).map(|folder| folder.join(name)).find(|program| program.is_file())
}

impl Driver {
    fn start(driver: &Path, browser: Option<PathBuf>) -> Self {
        let port = free_port();
        let folder = std::env::temp_dir().join(format!("task-scheduler-chromium-{}-{port}", std::process::id()));
        let keeper = Command::new("sh")
            .args(["-c", KEEPER, "chromium"])
            .arg(&folder)
            .arg(driver)
            .arg(port.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("a shell");
        let driver = Self { port, browser, folder, _keeper: Mutex::new(keeper) };
        let began = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(began.elapsed() < PATIENCE, "chromedriver does not start\n{}", driver.log());
            std::thread::sleep(Duration::from_millis(20));
        }
        driver
    }

    /// The URL of a call.
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// The browser that it is to start.
    pub fn browser(&self) -> Option<&Path> {
        self.browser.as_deref()
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }
}

/// A browser refuses to keep its own sandbox then.
pub fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}
