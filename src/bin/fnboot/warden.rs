//! A second process of the tool, which ends its programs when the tool itself was killed.
//!
//! Nothing can catch `SIGKILL` or an abort, and the kernel does not end a program with its parent, so
//! programs would live on. The warden reads a pipe that nobody but the tool holds: its end is the tool's end. A tool
//! that ends in order has no program left by then.

use crate::family;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::process::{ChildStdin, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// The word on the command line that makes a process of the tool a warden.
pub(crate) const ARGUMENT: &str = "--warden";

/// How long the warden looks for programs of a tool that is gone.
const LOOK_COUNT: u32 = 20;
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// The tool's end of the pipe.
static PIPE: Mutex<Option<ChildStdin>> = Mutex::new(None);

/// From now on the warden ends whoever has the mark, and the process group. An error if there is no
/// warden: it cannot be started, or somebody killed it.
pub(crate) fn guard(mark: &str, group: Option<u32>) -> io::Result<()> {
    tell(format_args!("{} {mark}", group.unwrap_or(0)))
}

/// The program has ended.
pub(crate) fn release(mark: &str) {
    // Without a warden there is nobody to be told.
    let _ = tell(format_args!("{mark}"));
}

fn tell(line: std::fmt::Arguments<'_>) -> io::Result<()> {
    let mut pipe = PIPE.lock().unwrap_or_else(PoisonError::into_inner);
    if pipe.is_none() {
        *pipe = Some(start()?);
    }
    let warden = pipe.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
    let told = warden.write_all(format!("{line}\n").as_bytes());
    told.map_err(|error| io::Error::new(error.kind(), "the tool's second process was killed"))
}

/// Without the tool's environment and output, so that nothing of the tool's is held by it.
fn start() -> io::Result<ChildStdin> {
    let mut warden = Command::new("/proc/self/exe");
    warden.arg(ARGUMENT).env_clear().process_group(0);
    warden.stdin(Stdio::piped()).stdout(Stdio::null());
    let warden = warden.stderr(Stdio::null()).spawn()?;
    warden.stdin.ok_or(io::ErrorKind::BrokenPipe.into())
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
