//! The figures of this process that Prometheus expects under the same names of every program, from Linux's `/proc`.
//!
//! Not the `prometheus` crate's own: that counts the processor's time in whole seconds, and brings three crates.

use std::fs;

use prometheus::Error;

use super::maker::{Maker, number};

/// Ticks a second in `/proc`, whatever the kernel's own are.
const TICKS_PER_SECOND: f64 = 100.0;

/// One look.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Process {
    cpu_s: f64,
    started_s: f64,
    resident: f64,
    virt: f64,
    threads: f64,
    open: f64,
    most_open: f64,
}

impl Process {
    /// Reads a handful of small files. `None` where they are not Linux's.
    pub fn look() -> Option<Self> {
        let read = |path: &str| fs::read_to_string(path).ok();
        let open = fs::read_dir("/proc/self/fd").ok()?.count();
        let files = Files {
            stat: &read("/proc/self/stat")?,
            status: &read("/proc/self/status")?,
            limits: &read("/proc/self/limits")?,
            system: &read("/proc/stat")?,
        };
        // One of them is the folder itself.
        files.read(open.saturating_sub(1))
    }

    /// Adds it to what is shown.
    pub(super) fn show(&self, maker: &Maker<'_>) -> Result<(), Error> {
        maker.risen("process_cpu_seconds_total", "Time of the processor, user and system.", self.cpu_s)?;
        maker.shown("process_resident_memory_bytes", "Memory that is resident.", self.resident)?;
        maker.shown("process_virtual_memory_bytes", "Virtual memory.", self.virt)?;
        maker.shown("process_threads", "Threads that there are.", self.threads)?;
        maker.shown("process_open_fds", "File descriptors that are open.", self.open)?;
        maker.shown("process_max_fds", "Most file descriptors that may be open.", self.most_open)?;
        maker.shown("process_start_time_seconds", "When the process began, since 1970.", self.started_s)
    }
}

struct Files<'a> {
    stat: &'a str,
    status: &'a str,
    limits: &'a str,
    system: &'a str,
}

impl Files<'_> {
    fn read(&self, open: usize) -> Option<Process> {
        // The program's name comes second, in parentheses, and may hold anything.
        let (_, fields) = self.stat.rsplit_once(") ")?;
        // Counted as in proc(5), where the state is the third.
        let field = |number: usize| fields.split(' ').nth(number - 3)?.trim().parse::<f64>().ok();
        let status = |name: &str| behind(self.status, name)?.trim_end_matches("kB").trim().parse::<f64>().ok();
        let limit = behind(self.limits, "Max open files")?.split_whitespace().next()?;
        let booted: f64 = behind(self.system, "btime")?.parse().ok()?;
        Some(Process {
            cpu_s: (field(14)? + field(15)?) / TICKS_PER_SECOND,
            started_s: booted + field(22)? / TICKS_PER_SECOND,
            resident: status("VmRSS:")? * 1_024.0,
            virt: status("VmSize:")? * 1_024.0,
            threads: field(20)?,
            open: number(open),
            most_open: limit.parse().unwrap_or(f64::INFINITY),
        })
    }
}

/// What stands behind a name in its line.
fn behind<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_are_read_as_linux_writes_them() {
        let files = Files {
            stat: "42 (a) b (c) S 1 42 42 0 -1 4194304 100 0 0 0 250 50 0 0 20 0 9 0 1200 1000 50 18446744073709551615\n",
            status: "Name:\ta\nVmSize:\t    2048 kB\nVmRSS:\t     16 kB\nThreads:\t9\n",
            limits: "Limit  Soft Limit  Hard Limit  Units\nMax open files            1024                 4096    files\n",
            system: "cpu  1 2 3\nbtime 1790000000\n",
        };
        let process = files.read(7).unwrap();
        let expected = Process {
            cpu_s: 3.0,
            started_s: 1_790_000_012.0,
            resident: 16_384.0,
            virt: 2_097_152.0,
            threads: 9.0,
            open: 7.0,
            most_open: 1_024.0,
        };
        assert_eq!(process, expected);
        assert_eq!(Files { status: "", ..files }.read(7), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_is_seen() {
        let process = Process::look().unwrap();
        assert!(process.resident > 1e6 && process.virt >= process.resident, "{process:?}");
        assert!(process.open >= 3.0 && process.most_open >= process.open, "{process:?}");
        assert!(process.threads >= 1.0 && process.started_s > 1.7e9, "{process:?}");
    }
}
