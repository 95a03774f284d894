//! axe-core, which tells what keeps people from reading a page.

use std::path::PathBuf;
use std::sync::OnceLock;

use super::missing;

const FILE: &str = "TASK_SCHEDULER_AXE";
const HOW: &str = "`npm pack axe-core`, and name its axe.min.js by TASK_SCHEDULER_AXE";

/// Its script; `None` where there is none to be had.
pub fn script() -> Option<&'static str> {
    static SCRIPT: OnceLock<Option<String>> = OnceLock::new();
    SCRIPT
        .get_or_init(|| {
            let read = named().or_else(kept).and_then(|file| std::fs::read_to_string(file).ok());
            if read.is_none() {
                missing("axe", "there is no axe.min.js", HOW);
            }
            read
        })
        .as_deref()
}

fn named() -> Option<PathBuf> {
    std::env::var_os(FILE).map(PathBuf::from)
}

/// As continuous integration keeps it.
fn kept() -> Option<PathBuf> {
    let variable = |name| std::env::var_os(name).map(PathBuf::from);
    let caches = variable("XDG_CACHE_HOME").or_else(|| Some(variable("HOME")?.join(".cache")))?;
    let entries = std::fs::read_dir(caches.join("task-scheduler")).ok()?;
    let folders = entries.flatten().filter(|entry| entry.file_name().to_string_lossy().starts_with("axe-core-"));
    folders.map(|folder| folder.path().join("axe.min.js")).filter(|file| file.is_file()).max()
}
