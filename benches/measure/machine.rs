//! The machine that measures: its name for the tables, and its cores.

use std::fs::read_to_string;

use rustix::thread::{CpuSet, sched_setaffinity};

use super::Outcome;

/// One line: processor, cores, kernel.
pub(crate) fn name() -> String {
    let processors = read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = processors
        .lines()
        .find_map(|line| line.strip_prefix("model name"));
    let model = model.map_or(std::env::consts::ARCH, |line| {
        line.trim_start_matches([' ', '\t', ':'])
    });
    // Not what this thread may use: it may be pinned.
    let cores = processors
        .lines()
        .filter(|line| line.starts_with("processor"))
        .count();
    let kernel = read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let version = kernel.split(['-', '\n']).next().unwrap_or_default();
    format!("{model}, {cores} cores, Linux {version}")
}

/// Keeps this thread, and what it starts from now on, on one core.
pub(crate) fn pin(core: usize) -> Outcome<()> {
    let mut cores = CpuSet::new();
    cores.set(core);
    sched_setaffinity(None, &cores)
        .map_err(|errno| format!("cannot run on core {core}: {errno}; see MEASURE_CORES"))?;
    Ok(())
}
