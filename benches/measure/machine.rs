//! The machine that measures: its name for the tables, its cores, and whose their time was.

use std::fs::read_to_string;

use rustix::thread::{CpuSet, sched_setaffinity};

use super::stats::float;
use super::{Outcome, process};

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

/// Time of all cores, in ticks since the machine started.
#[derive(Clone, Copy)]
pub(crate) struct Ticks {
    all: u64,
    /// What programs ran, and what the host of a virtual machine kept from them.
    busy: u64,
    /// Of it this process and those that it started and that have ended.
    own: u64,
}

pub(crate) fn ticks() -> Outcome<Ticks> {
    let own = process::own_processor_ticks()?;
    parse(&read_to_string("/proc/stat")?, own).ok_or_else(|| "cannot read /proc/stat".into())
}

impl Ticks {
    /// The part of all time since then that others had, here or on the host.
    pub(crate) fn others_percent(self, since: Self) -> f64 {
        let busy = self.busy.saturating_sub(since.busy);
        let others = busy.saturating_sub(self.own.saturating_sub(since.own));
        float(others) / float(self.all.saturating_sub(since.all).max(1)) * 100.0
    }
}

/// The first line of `/proc/stat`; what follows on it counts guests a second time.
///
/// Interrupts are nobody's: some kernels count them to whom they interrupt as well, and most are
/// the network's, which is the measurement's own. With such a kernel others seem to have had less,
/// by up to a tenth under load.
fn parse(stat: &str, own: u64) -> Option<Ticks> {
    let words = stat.lines().next()?.strip_prefix("cpu ")?;
    let ticks: Vec<u64> = words
        .split_whitespace()
        .take(8)
        .map(|word| word.parse().ok())
        .collect::<Option<_>>()?;
    let [user, nice, system, _idle, _wait, _irq, _softirq, stolen] = ticks[..] else {
        return None;
    };
    Some(Ticks {
        all: ticks.iter().sum(),
        busy: user + nice + system + stolen,
        own,
    })
}

/// Keeps this thread, and what it starts from now on, on one core.
pub(crate) fn pin(core: usize) -> Outcome<()> {
    let mut cores = CpuSet::new();
    cores.set(core);
    sched_setaffinity(None, &cores)
        .map_err(|errno| format!("cannot run on core {core}: {errno}; see MEASURE_CORES"))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_others_had_is_a_part_of_all() {
        let parse = |line, own| super::parse(line, own).ok_or(line);
        let since = parse("cpu  100 0 50 800 10 0 10 30 7 0\ncpu0 1 2 3", 20);
        let others_percent = |own| {
            let now = parse("cpu  600 0 250 1000 10 0 60 80 9 0\n", own)?;
            Ok::<_, &str>(now.others_percent(since?))
        };
        assert_eq!(others_percent(20), Ok(75.0));
        assert_eq!(others_percent(720), Ok(5.0));
        assert_eq!(others_percent(800), Ok(0.0));
        assert!(parse("cpu  100 0 50 800", 0).is_err());
        assert!(parse("", 0).is_err());
    }
}
