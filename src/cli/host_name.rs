//! The name of this machine: a node's name unless it is given one.

use std::ffi::OsString;

/// Files that hold it on Linux, the running system's own first.
const FILES: [&str; 2] = ["/proc/sys/kernel/hostname", "/etc/hostname"];

/// The host name; `node` where the system does not tell.
pub fn host_name(environment: &[(OsString, OsString)]) -> String {
    let of_files = FILES.iter().filter_map(|path| std::fs::read_to_string(path).ok());
    let of_environment = environment
        .iter()
        .filter(|(name, _)| name == "HOSTNAME")
        .map(|(_, value)| value.to_string_lossy().into_owned());
    of_files
        .chain(of_environment)
        .map(|name| name.trim().to_owned())
        .find(|name| !name.is_empty() && !name.contains(char::is_control))
        .unwrap_or_else(|| "node".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_always_a_name() {
        assert!(!host_name(&[]).is_empty());
    }
}
