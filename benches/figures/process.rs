//! What Linux tells about a process.

/// User and system time of a process so far, in seconds.
pub fn cpu_seconds(pid: u32) -> f64 {
    seconds(&stat(pid).unwrap()[11..13])
}

/// The same of a process and all its children, also of those that have ended.
pub fn family_cpu_seconds(pid: u32) -> f64 {
    let folders = std::fs::read_dir("/proc").unwrap().flatten();
    let processes = folders.filter_map(|folder| folder.file_name().to_str()?.parse().ok());
    let children = processes.filter_map(stat).filter(|fields| fields[1] == pid.to_string());
    seconds(&stat(pid).unwrap()[11..15]) + children.map(|fields| seconds(&fields[11..13])).sum::<f64>()
}

/// Resident memory in MB.
pub fn resident_mb(pid: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1_024.0
}

/// Fields of `/proc/…/stat` from its third on; `None` if the process is gone.
fn stat(pid: u32) -> Option<Vec<String>> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    Some(stat.rsplit_once(')')?.1.split_whitespace().map(str::to_owned).collect())
}

/// Linux counts in hundredths of a second on every common build (`USER_HZ`).
fn seconds(ticks: &[String]) -> f64 {
    ticks.iter().map(|field| field.parse::<f64>().unwrap()).sum::<f64>() / 100.0
}
