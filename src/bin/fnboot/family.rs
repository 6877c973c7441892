//! A program and all that it started: its process group, and whoever left the group and was started with
//! the mark in its environment.

use crate::proc;
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::thread;
use std::time::Duration;

/// A family that still has members after so many looks has some that start others faster.
const LOOK_COUNT_MAX: u32 = 1_000;

/// Between two looks. A process that is just being executed has no environment for a moment.
const LOOK_INTERVAL: Duration = Duration::from_millis(3);

/// Kills a group and whoever has the mark, until two looks in a row find nobody who can start another.
pub(crate) fn kill(group: Option<u32>, mark: &str) {
    let mut was_empty = false;
    for _ in 0..LOOK_COUNT_MAX {
        let members = members(group, mark);
        if members.is_empty() && was_empty {
            return;
        }
        was_empty = members.is_empty();
        let pids = members.into_iter();
        for pid in pids.filter_map(|id| Pid::from_raw(id.cast_signed())) {
            // It may be gone by now, which is what was wanted.
            let _ = kill_process(pid, Signal::KILL);
        }
        thread::sleep(LOOK_INTERVAL);
    }
}

/// Those that are no zombies.
fn members(group: Option<u32>, mark: &str) -> Vec<u32> {
    let is_member = |pid: &u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // One that is gone, or a zombie, starts nobody.
        let found = proc::parse_stat(&stat).filter(|(state, _)| !["Z", "X"].contains(state));
        found.is_some_and(|(_, found)| group == Some(found) || is_marked(*pid, mark))
    };
    proc::processes().into_iter().filter(is_member).collect()
}

fn is_marked(pid: u32, mark: &str) -> bool {
    let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    let mut variables = environment.split(|byte| *byte == 0);
    variables.any(|variable| variable == mark.as_bytes())
}
