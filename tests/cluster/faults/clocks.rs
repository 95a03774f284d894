//! Nodes whose wall clocks are wrong: only the database's clock counts.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use super::{Field, Layout, NODES, is_long, reigns, shapes};
use crate::harness::judge::{Bars, Fault};
use crate::services::missing;

/// Seconds, as `faketime` reads them.
const WRONG: [&str; NODES] = ["+3600", "-3600", "+30"];
/// Far more than a task takes, far less than a clock is wrong.
const IN_TIME: Duration = Duration::from_secs(1);
const BARS: Bars = Bars { starts: IN_TIME, stored: IN_TIME, held: IN_TIME, new: IN_TIME };

/// What shifts a process's clocks; says so if it is not to be had.
fn library() -> Option<PathBuf> {
    let folders = std::fs::read_dir("/usr/lib").into_iter().flatten().flatten().map(|entry| entry.path());
    let found = folders.chain([PathBuf::from("/usr/lib"), PathBuf::from("/usr/local/lib")]);
    let library = found.map(|folder| folder.join("faketime/libfaketimeMT.so.1")).find(|path| Path::exists(path));
    if library.is_none() {
        missing("faketime", "there is no libfaketime on this machine", "install it (Debian: apt-get install faketime)");
    }
    library
}

/// libfaketime does not know the C11 way to wait, by which librdkafka waits: its instant would be of the wrong clock and
/// the wait by the right one. This leads it to the way that is known.
const WAITS: &str = "#include <errno.h>\n#include <pthread.h>\n#include <threads.h>\n\
    int cnd_timedwait(cnd_t *c, mtx_t *m, const struct timespec *until) {\
        int how = pthread_cond_timedwait((pthread_cond_t *)c, (pthread_mutex_t *)m, until);\
        return how == 0 ? thrd_success : how == ETIMEDOUT ? thrd_timedout : thrd_error; }";

/// Built by the compiler that the program itself needs.
fn waits(folder: &Path) -> PathBuf {
    let (source, library) = (folder.join("waits.c"), folder.join("waits.so"));
    std::fs::write(&source, WAITS).unwrap();
    let built = Command::new("cc").args(["-shared", "-fPIC", "-o"]).args([&library, &source]).status().unwrap();
    assert!(built.success());
    library
}

#[test]
fn nodes_whose_wall_clocks_are_wrong_call_in_time_and_have_one_master() {
    let Some(library) = library() else { return };
    let folder = tempfile::tempdir().unwrap();
    let preload = format!("{}:{}", library.display(), waits(folder.path()).display());
    let environments =
        WRONG.map(|by| [("LD_PRELOAD", preload.as_str()), ("FAKETIME", by), ("FAKETIME_DONT_FAKE_MONOTONIC", "1")]);
    for shape in shapes() {
        let Some(mut field) = Field::start(&Layout { environments: &environments, ..Layout::of(*shape) }) else {
            return;
        };
        field.swing();
        field.was(Fault::of_nobody(SystemTime::now(), BARS));
        std::thread::sleep(Duration::from_secs(if is_long() { 20 } else { 3 }));
        let seen = field.cluster.seen_by(0);
        for node in seen["nodes"].as_array().unwrap() {
            let name: usize = node["name"].as_str().unwrap().strip_prefix("node-").unwrap().parse().unwrap();
            let wrong_ms = 1_000.0 * WRONG[name].parse::<f64>().unwrap();
            // What the database's clock is ahead of the node's.
            let offset_ms = node["clock_offset_ms"].as_f64().unwrap();
            println!(
                "node-{name}: its clock is wrong by {wrong_ms} ms, the database's is ahead of it by {offset_ms} ms"
            );
            assert!((offset_ms + wrong_ms).abs() < 1_000.0, "{node}");
        }
        let reigning = field.cluster.nodes.iter().filter(|node| reigns(node) == Some(true)).count();
        assert_eq!((reigning, field.look.number("SELECT count(*) FROM master_term")), (1, 1));
        field.end().judge(&format!("wrong wall clocks ({shape:?})"));
    }
}
