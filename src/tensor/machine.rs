//! How much memory the process can have at most.
//!
//! Linux overcommits: it grants nearly any allocation, and kills the process that writes to more
//! memory than exists. Large sizes are therefore checked before the memory is written.

use crate::error::{Error, Result};

/// Smaller requests are not checked.
const LARGE: usize = 1 << 30;

/// Returns an error if `bytes` exceeds what this process can ever have: the machine's memory and
/// swap, and the limits of its control groups. Memory that other processes use is not considered.
///
/// # Errors
/// [`Error::OutOfMemory`], naming `what` the bytes are for.
pub fn check_room(bytes: usize, what: &'static str) -> Result<()> {
    if bytes >= LARGE && most().is_some_and(|most| bytes > most) {
        return Err(Error::OutOfMemory { bytes, what });
    }
    Ok(())
}

/// The largest number of bytes that this process can have, if the system tells.
fn most() -> Option<usize> {
    let read = |path: String| std::fs::read_to_string(path).ok();
    let machine = read("/proc/meminfo".into()).and_then(|text| of_machine(&text));
    let groups = read("/proc/self/cgroup".into()).unwrap_or_default();
    let limits = limit_files(&groups).into_iter().filter_map(|path| read(path)?.trim().parse().ok());
    limits.chain(machine).min()
}

/// Memory and swap in bytes, from the text of `/proc/meminfo`.
fn of_machine(meminfo: &str) -> Option<usize> {
    let bytes = |name: &str| -> Option<usize> {
        let line = meminfo.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().strip_suffix("kB")?.trim().parse::<usize>().ok()?.checked_mul(1024)
    };
    Some(bytes("MemTotal:")? + bytes("SwapTotal:").unwrap_or(0))
}

/// The files with the limits of a process's control groups, from the text of `/proc/self/cgroup`:
/// version 2 (the word `max` means no limit) and version 1. In a container, its own group is the
/// root.
fn limit_files(groups: &str) -> Vec<String> {
    let own = groups.lines().filter_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, path) = (parts.next()?, parts.next()?);
        match controllers {
            "" => Some(format!("/sys/fs/cgroup{path}/memory.max")),
            _ if controllers.split(',').any(|name| name == "memory") => {
                Some(format!("/sys/fs/cgroup/memory{path}/memory.limit_in_bytes"))
            }
            _ => None,
        }
    });
    let root = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];
    own.chain(root.map(String::from)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_never_be_had_is_an_error() {
        assert!(check_room(LARGE - 1, "test").is_ok());
        if most().is_some() {
            assert!(matches!(check_room(1 << 60, "test"), Err(Error::OutOfMemory { .. })));
        }
    }

    #[test]
    fn what_linux_says() {
        let meminfo =
            "MemTotal:       16318480 kB\nMemFree:         123 kB\nSwapTotal:             1024 kB\n";
        assert_eq!(of_machine(meminfo), Some((16_318_480 + 1024) * 1024));
        assert_eq!(of_machine("nothing"), None);
        let files = limit_files("12:cpu,memory:/docker/1\n11:cpuset:/x\n0::/user.slice\n");
        assert_eq!(files[0], "/sys/fs/cgroup/memory/docker/1/memory.limit_in_bytes");
        assert_eq!(files[1], "/sys/fs/cgroup/user.slice/memory.max");
        assert_eq!(files.len(), 4);
    }
}
