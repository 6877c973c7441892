//! The program as a process: a group of its own, its output in one pipe, its memory watched.
//!
//! Knows no platform. When the program ends, a thread kills its family, which is the group and whoever
//! left it with the mark in its environment. When the tool ends, it kills whatever else it has started and is
//! left; when the tool itself is killed, the warden kills the families. Only then can a process live on
//! that has left its group and cleaned its environment.

use crate::function::Function;
use crate::log::Log;
use crate::{family, proc, warden};
use rustix::io::Errno;
use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, kill_process, kill_process_group, waitid,
};
use std::cell::Cell;
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::pin::pin;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

/// A dead process's memory cannot be read, nor that of a child that has come and gone.
const MEMORY_INTERVAL: Duration = Duration::from_millis(20);

/// After a look none follows for so many times as long as it took.
const LOOK_SHARE: u32 = 10;

/// How long a file that somebody is still writing may stay busy: a build that replaces it.
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);

/// The variable that marks a program and what it starts, with a value of each instance's own.
const MARK: &str = "_FNBOOT_INSTANCE";

/// How long the tool waits at its end for its programs'.
const GONE_TIMEOUT: Duration = Duration::from_secs(3);

/// Reapers that have a program.
static REAPER_COUNT: AtomicUsize = AtomicUsize::new(0);

/// A program that cannot be started.
#[derive(Debug)]
pub(crate) struct SpawnError {
    pub(crate) program: PathBuf,
    pub(crate) error: io::Error,
}

/// A started program.
pub(crate) struct Process {
    pid: Pid,
    log: Rc<Log>,
    exit: watch::Receiver<Option<ExitStatus>>,
    memory_peak_bytes: Cell<u64>,
    /// When memory may be looked at during a step.
    next_look: Cell<Instant>,
    /// Between a kill and the news of its effect.
    is_doomed: Cell<bool>,
}

impl Process {
    /// Starts the function's program. It inherits the tool's environment, less `absent`, plus `variables`,
    /// plus the function's own, which win.
    pub(crate) async fn start(
        function: &Function,
        instance_id: &str,
        variables: Vec<(&str, OsString)>,
        absent: &[&str],
    ) -> io::Result<Self> {
        let mut command = Command::new(function.program());
        command.args(&function.args).process_group(0);
        if let Some(folder) = &function.code {
            command.current_dir(folder);
        }
        for name in absent {
            command.env_remove(name);
        }
        let own = function.environment.iter();
        command.envs(variables);
        command.envs(own.map(|(name, value)| (name, value)));
        command.env(MARK, instance_id);
        let (reader, writer) = io::pipe()?;
        command.stdin(Stdio::null()).stdout(writer.try_clone()?);
        command.stderr(writer);
        let (mark, log) = (format!("{MARK}={instance_id}"), Log::follow(reader.into())?);
        let (to_reaper, exit) = reap(mark.clone())?;
        // The program is guarded from its first moment, and with its group once that is known.
        warden::guard(&mark, None)?;
        let child = spawn_when_written(&mut command).await;
        let child = child.inspect_err(|_| warden::release(&mark))?;
        // The command holds the writing ends; without them the pipe ends with the program.
        drop(command);
        let pid = Pid::from_child(&child);
        // Told before the reaper releases it.
        let guarded = warden::guard(&mark, Some(child.id()));
        REAPER_COUNT.fetch_add(1, Ordering::SeqCst);
        // The reaper waits for nothing else.
        let _ = to_reaper.send(child);
        let process = Self {
            pid,
            exit,
            log,
            memory_peak_bytes: Cell::default(),
            next_look: Cell::new(Instant::now()),
            is_doomed: Cell::default(),
        };
        // An unguarded program ends with `process`.
        guarded.map(|()| process)
    }

    /// Of the process, and of its group.
    pub(crate) fn id(&self) -> u32 {
        self.pid.as_raw_nonzero().get().cast_unsigned()
    }

    pub(crate) fn log(&self) -> &Log {
        &self.log
    }

    /// How it ended, if it did.
    pub(crate) fn exit_status(&self) -> Option<ExitStatus> {
        *self.exit.borrow()
    }

    /// Whether it may be given work.
    pub(crate) fn is_alive(&self) -> bool {
        !self.is_doomed.get() && self.exit_status().is_none()
    }

    /// Waits until the program has ended and the reaper has killed its family.
    pub(crate) async fn exited(&self) -> ExitStatus {
        let mut exit = self.exit.clone();
        // The sender lives until it has sent, so the wait cannot fail.
        let exit = exit.wait_for(Option::is_some).await;
        exit.ok().and_then(|status| *status).unwrap_or_default()
    }

    /// The most memory seen so far. A dead process has none to ask, so ask while it lives.
    pub(crate) fn memory_peak_bytes(&self) -> u64 {
        let seen = self.memory_peak_bytes.get();
        let peak = seen.max(proc::memory_peak_bytes(self.id()));
        self.memory_peak_bytes.set(peak);
        peak
    }

    /// Ends the group at once.
    pub(crate) fn kill(&self) {
        self.is_doomed.set(true);
        self.signal(Signal::KILL);
    }

    /// Ends the program and its family, and waits until they are gone. With a `limit`, the program first
    /// gets `SIGTERM` and that much time.
    pub(crate) async fn stop(&self, limit: Option<Duration>) {
        if let Some(limit) = limit {
            self.signal(Signal::TERM);
            // One that does not listen is killed below.
            let _ = timeout(limit, self.exited()).await;
        }
        self.kill();
        self.exited().await;
        self.log.drain();
    }

    /// Runs `step` and looks meanwhile how much memory the program uses; once, however many calls do.
    pub(crate) async fn watched<T>(&self, step: impl Future<Output = T>) -> T {
        let mut step = pin!(step);
        loop {
            if let Ok(done) = timeout(MEMORY_INTERVAL, &mut step).await {
                return done;
            }
            let started = Instant::now();
            if started >= self.next_look.get() {
                self.memory_peak_bytes();
                // A look at thousands of processes takes long, and must not take all of the time.
                let rest = MEMORY_INTERVAL.max(started.elapsed() * LOOK_SHARE);
                self.next_look.set(Instant::now() + rest);
            }
        }
    }

    fn signal(&self, signal: Signal) {
        if self.exit_status().is_none() {
            // The program itself, too, because it may have gone over to another group. Either may be gone
            // by now, which is what was wanted.
            let _ = kill_process_group(self.pid, signal);
            let _ = kill_process(self.pid, signal);
        }
    }
}

impl Drop for Process {
    /// The reaper does the rest; [`gone`] waits for it.
    fn drop(&mut self) {
        self.kill();
    }
}

/// Waits until the reapers of all programs are done, before the tool ends, and kills what is left. A
/// program that the kernel does not let go of is left to the warden.
pub(crate) fn gone() {
    let deadline = Instant::now() + GONE_TIMEOUT;
    while REAPER_COUNT.load(Ordering::SeqCst) > 0 && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(1));
    }
    family::kill_orphans(warden::id());
}

impl fmt::Display for SpawnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { program, error } = self;
        write!(f, "cannot start {}: {error}", program.display())?;
        let why = match error.kind() {
            io::ErrorKind::PermissionDenied | io::ErrorKind::NotFound if program.is_dir() => {
                " (it is a folder: --code takes one)"
            }
            io::ErrorKind::PermissionDenied if program.is_file() => " (mode 755 is needed)",
            io::ErrorKind::NotFound if program.is_file() => {
                " (the file is there; its #! interpreter or dynamic loader is not)"
            }
            _ => "",
        };
        f.write_str(why)
    }
}

/// Spawns, and waits a little where the file is still open for writing.
async fn spawn_when_written(command: &mut Command) -> io::Result<Child> {
    let deadline = Instant::now() + BUSY_TIMEOUT;
    loop {
        let child = command.spawn();
        let kind = child.as_ref().map_err(io::Error::kind).err();
        if kind != Some(io::ErrorKind::ExecutableFileBusy) || Instant::now() > deadline {
            return child;
        }
        sleep(Duration::from_millis(10)).await;
    }
}

/// The reaper: a thread that waits for the program and kills its family. It kills before it takes the
/// status, because until then the group's number cannot be used again. It is started before the program,
/// because a thread may fail to start, and the program would then have no reaper.
fn reap(mark: String) -> io::Result<(Sender<Child>, watch::Receiver<Option<ExitStatus>>)> {
    let (to_reaper, started) = channel::<Child>();
    let (sender, receiver) = watch::channel(None);
    thread::Builder::new().spawn(move || {
        // Without a program it ends.
        let Ok(mut child) = started.recv() else {
            return;
        };
        let pid = WaitId::Pid(Pid::from_child(&child));
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        while waitid(pid.clone(), options).is_err_and(|error| error == Errno::INTR) {}
        if family::kill(Some(child.id()), &mark) {
            warden::release(&mark);
        }
        // Waiting fails only if somebody else took the status: the program is gone all the same.
        sender.send_replace(Some(child.wait().unwrap_or_default()));
        REAPER_COUNT.fetch_sub(1, Ordering::SeqCst);
    })?;
    Ok((to_reaper, receiver))
}
