//! A second process of the tool, which ends its programs when the tool itself was killed.
//!
//! Nothing can catch `SIGKILL` or an abort, and the kernel does not end a program with its parent, so
//! programs would live on. The warden reads a pipe that nobody but the tool holds: its end is the tool's end. A tool
//! that ends in order has no program left by then.

use crate::family;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// The word on the command line that makes a process of the tool a warden.
pub(crate) const ARGUMENT: &str = "--warden";

/// How long the warden looks for programs of a tool that is gone.
const LOOK_COUNT: u32 = 20;
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

static WARDEN: Mutex<Warden> = Mutex::new(Warden {
    process: None,
    pipe: None,
    guarded: BTreeMap::new(),
});

struct Warden {
    process: Option<u32>,
    /// The tool's end.
    pipe: Option<ChildStdin>,
    /// Group by mark; 0 while it is not known.
    guarded: BTreeMap<String, u32>,
}

/// From now on the warden ends whoever has the mark, and the process group. An error if there can be no
/// warden.
pub(crate) fn guard(mark: &str, group: Option<u32>) -> io::Result<()> {
    let mut warden = WARDEN.lock().unwrap_or_else(PoisonError::into_inner);
    let group = group.unwrap_or(0);
    warden.guarded.insert(mark.to_owned(), group);
    warden.tell(&format!("{group} {mark}\n"))
}

/// The program has ended, with its family.
pub(crate) fn release(mark: &str) {
    let mut warden = WARDEN.lock().unwrap_or_else(PoisonError::into_inner);
    warden.guarded.remove(mark);
    // Without a warden there is nobody to be told.
    let _ = warden.tell(&format!("{mark}\n"));
}

impl Warden {
    fn tell(&mut self, line: &str) -> io::Result<()> {
        if let Some(pipe) = &mut self.pipe
            && pipe.write_all(line.as_bytes()).is_ok()
        {
            return Ok(());
        }
        // There is none yet, or somebody killed it: a new one is told everything.
        let guarded = self.guarded.iter();
        let all: String = guarded
            .map(|(mark, group)| format!("{group} {mark}\n"))
            .collect();
        let process = start()?;
        self.process = Some(process.id());
        let pipe = process.stdin.ok_or(io::ErrorKind::BrokenPipe)?;
        self.pipe.insert(pipe).write_all(all.as_bytes())
    }
}

/// The warden's process, if there is one.
pub(crate) fn id() -> Option<u32> {
    let warden = WARDEN.lock().unwrap_or_else(PoisonError::into_inner);
    warden.process
}

/// Without the tool's environment and output, so that nothing of the tool's is held by it.
fn start() -> io::Result<Child> {
    let mut warden = Command::new("/proc/self/exe");
    warden.arg(ARGUMENT).env_clear().process_group(0);
    warden.stdin(Stdio::piped()).stdout(Stdio::null());
    warden.stderr(Stdio::null()).spawn()
}

/// What the warden does.
pub(crate) fn run() {
    let mut groups = BTreeMap::new();
    for line in io::stdin().lines().map_while(Result::ok) {
        match line.split_once(' ') {
            Some((group, mark)) => groups.insert(mark.to_owned(), group.parse().ok()),
            None => groups.remove(&line),
        };
    }
    if groups.is_empty() {
        return;
    }
    // A program that was just being started shows its mark a little later.
    for _ in 0..LOOK_COUNT {
        for (mark, group) in &groups {
            family::kill(group.filter(|group| *group > 0), mark);
        }
        thread::sleep(LOOK_INTERVAL);
    }
}
