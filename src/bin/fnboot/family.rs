//! A program and all that it started: its process group, and whoever left the group and was started with
//! the mark in its environment.

use crate::proc;
use rustix::process::{Pid, Signal, getpid, kill_process, kill_process_group, set_child_subreaper};
use std::io;
use std::thread;
use std::time::Duration;

/// After so many looks the tool gives up, because the family starts processes faster than they are killed.
const LOOK_COUNT_MAX: u32 = 1_000;

/// Between two looks. A process that is just being executed has no environment for a moment.
const LOOK_INTERVAL: Duration = Duration::from_millis(3);

/// Kills a group and whoever has the mark, until two looks in a row find none alive. False if there was no
/// end of them, or no look.
pub(crate) fn kill(group: Option<u32>, mark: &str) -> bool {
    let group_pid = group.and_then(|group| Pid::from_raw(group.cast_signed()));
    let mut was_empty = false;
    for _ in 0..LOOK_COUNT_MAX {
        // Needs no descriptor, of which there may be none for a look.
        let _ = group_pid.map(|group| kill_process_group(group, Signal::KILL));
        let members = members(group, mark);
        let is_empty = members.as_ref().is_ok_and(Vec::is_empty);
        if is_empty && was_empty {
            return true;
        }
        was_empty = is_empty;
        let pids = members.into_iter().flatten();
        for pid in pids.filter_map(|id| Pid::from_raw(id.cast_signed())) {
            // It may be gone by now, which is what was wanted.
            let _ = kill_process(pid, Signal::KILL);
        }
        thread::sleep(LOOK_INTERVAL);
    }
    false
}

/// From now on whoever loses its parent becomes the tool's own child, so that [`kill_orphans`] finds it.
pub(crate) fn adopt() {
    // Kernels before 3.4 have no such thing.
    let _ = set_child_subreaper(Some(getpid()));
}

/// At the tool's end: kills all that is left of what it started, also what has left its group and cleaned its
/// environment, but for the one process.
pub(crate) fn kill_orphans(spared: Option<u32>) {
    for _ in 0..LOOK_COUNT_MAX {
        let mut alive = Vec::new();
        let mut waiting = proc::children(std::process::id());
        while let Some(pid) = waiting.pop().filter(|_| alive.len() < 10_000) {
            if Some(pid) != spared && proc::group_alive(pid).is_ok_and(|group| group.is_some()) {
                alive.extend(Pid::from_raw(pid.cast_signed()));
                waiting.extend(proc::children(pid));
            }
        }
        if alive.is_empty() {
            return;
        }
        for pid in alive {
            let _ = kill_process(pid, Signal::KILL);
        }
        thread::sleep(LOOK_INTERVAL);
    }
}

/// The members that are alive.
fn members(group: Option<u32>, mark: &str) -> io::Result<Vec<u32>> {
    let mut members = Vec::new();
    for pid in proc::processes()? {
        let found = proc::group_alive(pid)?;
        if found.is_some_and(|found| group == Some(found))
            || (found.is_some() && is_marked(pid, mark)?)
        {
            members.push(pid);
        }
    }
    Ok(members)
}

/// The environment of any thread: that of a first thread which has ended is empty.
fn is_marked(pid: u32, mark: &str) -> io::Result<bool> {
    for thread in proc::threads(pid)? {
        let environment = proc::file(&format!("{pid}/task/{thread}/environ"))?;
        if !environment.is_empty() {
            return Ok(environment.split('\0').any(|variable| variable == mark));
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
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
        assert!(kill(None, "NAME=value"));
        assert_eq!(child.wait().unwrap().signal(), Some(9));
        fs::remove_dir_all(folder).unwrap();
    }
}
