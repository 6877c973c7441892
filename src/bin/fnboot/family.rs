//! A program and all that it started: its process group, and whoever left the group and was started with
//! the mark in its environment.

use crate::proc;
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::thread;
use std::time::Duration;

/// After so many looks the tool gives up, because the family starts processes faster than they are killed.
const LOOK_COUNT_MAX: u32 = 1_000;

/// Between two looks. A process that is just being executed has no environment for a moment.
const LOOK_INTERVAL: Duration = Duration::from_millis(3);

/// Kills a group and whoever has the mark, until two looks in a row find none alive.
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

/// The members that are alive.
fn members(group: Option<u32>, mark: &str) -> Vec<u32> {
    let is_member = |pid: &u32| {
        let found = proc::group_alive(*pid);
        found.is_some_and(|found| group == Some(found) || is_marked(*pid, mark))
    };
    proc::processes().into_iter().filter(is_member).collect()
}

fn is_marked(pid: u32, mark: &str) -> bool {
    let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    let mut variables = environment.split(|byte| *byte == 0);
    variables.any(|variable| variable == mark.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;
    use std::process::Command;

    /// The kernel cuts a name after 15 bytes, here within a character.
    #[test]
    fn a_name_that_is_no_text_hides_nobody() {
        let folder = std::env::temp_dir().join(format!("fnboot-family-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let program = folder.join("a名字名字名字");
        fs::copy("/bin/sleep", &program).unwrap();
        let mut child = Command::new(&program);
        let mut child = child.arg("60").env("NAME", "value").spawn().unwrap();
        kill(None, "NAME=value");
        assert_eq!(child.wait().unwrap().signal(), Some(9));
        fs::remove_dir_all(folder).unwrap();
    }
}
