//! What the kernel counted for a process: `/proc/PID/*`. The tests ask for it, too.

use std::fs::{read_dir, read_to_string};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// Minor faults so far.
pub(crate) fn minor_faults(id: u32) -> Outcome<u64> {
    stat_field(id, 10)
}

/// Processor time so far, of all threads that live, in ns.
///
/// From `schedstat`, which counts ns; `stat` counts ticks of 4 or 10 ms.
pub(crate) fn processor_ns(id: u32) -> Outcome<u64> {
    let mut total_ns = 0;
    for thread in read_dir(format!("/proc/{id}/task"))? {
        let times = read_to_string(thread?.path().join("schedstat"))?;
        let running_ns = times.split(' ').next().ok_or("an empty schedstat")?;
        total_ns += running_ns.parse::<u64>()?;
    }
    Ok(total_ns)
}

/// Processor time so far in ticks: user mode, kernel mode.
pub(crate) fn processor_ticks(id: u32) -> Outcome<(u64, u64)> {
    Ok((stat_field(id, 14)?, stat_field(id, 15)?))
}

/// Processor time so far in ticks of this process, and of those that it waited for to end.
pub(crate) fn own_processor_ticks() -> Outcome<u64> {
    let ticks = (14..=17).map(|field| stat_field(std::process::id(), field));
    ticks.sum()
}

/// True if this process has a real-time priority, which what it starts inherits: `sched(7)`.
pub(crate) fn is_real_time() -> Outcome<bool> {
    const FIFO: u64 = 1;
    const ROUND_ROBIN: u64 = 2;
    let policy = stat_field(std::process::id(), 41)?;
    Ok([FIFO, ROUND_ROBIN].contains(&policy))
}

/// A figure of `/proc/PID/status`, if it has a unit in KiB: `VmRSS` is the resident size, `VmHWM` the
/// largest so far.
pub(crate) fn status(id: u32, field: &str) -> Outcome<u64> {
    let status = read_to_string(format!("/proc/{id}/status"))?;
    let mut lines = status.lines().filter_map(|line| line.split_once(':'));
    let value = lines.find_map(|(name, value)| (name == field).then_some(value));
    let number = value.and_then(|value| value.split_whitespace().next());
    Ok(number
        .ok_or_else(|| format!("a process without {field}"))?
        .parse()?)
}

/// A field of `/proc/PID/stat`, counted from one as `proc_pid_stat(5)` does.
fn stat_field(id: u32, field: usize) -> Outcome<u64> {
    let stat = read_to_string(format!("/proc/{id}/stat"))?;
    // The second field is the program's name in parentheses, and may contain anything.
    let (_, rest) = stat.rsplit_once(')').ok_or("a stat without a name")?;
    let value = rest
        .split_whitespace()
        .nth(field - 3)
        .ok_or("a stat that is too short")?;
    Ok(value.parse()?)
}
