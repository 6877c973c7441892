//! How much memory a program uses: the kernel's own high-water marks, read from `/proc`.

use std::fs;

/// Peak resident memory of `pid` and its living descendants, added up; zero once it is gone.
///
/// A sum of peaks: the descendants need not have peaked together, so it errs upwards, and shared
/// pages count once per process.
pub(crate) fn peak_bytes(pid: u32) -> u64 {
    let mut total = 0;
    let mut waiting = vec![pid];
    while let Some(pid) = waiting.pop() {
        total += high_water_bytes(pid);
        waiting.extend(children(pid));
    }
    total
}

/// `VmHWM` of one process. A process that ended has none.
fn high_water_bytes(pid: u32) -> u64 {
    fs::read_to_string(format!("/proc/{pid}/status")).map_or(0, |status| parse_high_water(&status))
}

fn parse_high_water(status: &str) -> u64 {
    status
        .lines()
        .find_map(|line| {
            line.strip_prefix("VmHWM:")?
                .trim()
                .strip_suffix(" kB")?
                .parse::<u64>()
                .ok()
        })
        .map_or(0, |kib| kib * 1024)
}

/// Children of every thread: each thread has a list of those it started.
fn children(pid: u32) -> Vec<u32> {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else {
        return Vec::new();
    };
    threads
        .flatten()
        .filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok())
        .flat_map(|list| {
            list.split_whitespace()
                .filter_map(|id| id.parse().ok())
                .collect::<Vec<_>>()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn high_water_is_in_kib() {
        assert_eq!(
            parse_high_water("Name:\tx\nVmHWM:\t      72 kB\nVmRSS:\t 70 kB\n"),
            72 * 1024
        );
        assert_eq!(parse_high_water("Name:\tzombie\n"), 0);
    }

    #[test]
    fn this_process_has_memory() {
        assert!(peak_bytes(std::process::id()) > 0);
    }
}
