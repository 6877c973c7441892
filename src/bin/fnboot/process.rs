//! The program as a process: a group of its own, its output in one pipe, its memory watched.
//!
//! Knows no platform. Dropping a `Process` kills the whole group, so no way out of the tool leaves one
//! behind, except a kill of the tool itself that it cannot catch.

use crate::function::Function;
use crate::log::Log;
use crate::memory;
use rustix::process::{Pid, Signal, kill_process_group};
use std::cell::Cell;
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::pin::pin;
use std::process::{ExitStatus, Stdio};
use std::rc::Rc;
use std::time::Duration;
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::task::spawn_local;
use tokio::time::{Instant, interval_at, sleep, timeout};

/// A dead process's memory cannot be read, nor that of a child that has come and gone.
const MEMORY_INTERVAL: Duration = Duration::from_millis(20);

/// How long a file that somebody is still writing may stay busy: a build that replaces it.
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);

/// How a platform ends a program that it needs no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Farewell {
    /// `SIGKILL`, without a word.
    Abrupt,
    /// `SIGTERM`, and after this time `SIGKILL`.
    Polite(Duration),
}

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
    /// Between a kill and the news of its effect.
    is_doomed: Cell<bool>,
}

impl Process {
    /// Starts the function's program in this tool's environment without those `absent`, and with
    /// `variables`.
    pub(crate) async fn start(
        function: &Function,
        variables: Vec<(&str, OsString)>,
        absent: &[&str],
    ) -> Result<Self, SpawnError> {
        Self::spawn(function, variables, absent)
            .await
            .map_err(|error| SpawnError {
                program: function.program(),
                error,
            })
    }

    async fn spawn(
        function: &Function,
        variables: Vec<(&str, OsString)>,
        absent: &[&str],
    ) -> io::Result<Self> {
        let (reader, writer) = io::pipe()?;
        let mut command = Command::new(function.program());
        command
            .args(function.args())
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(writer.try_clone()?)
            .stderr(writer);
        for name in absent {
            command.env_remove(name);
        }
        command.envs(variables);
        let child = spawn_when_written(&mut command).await?;
        // The command holds the writing ends; without them the pipe ends with the program.
        drop(command);
        let log = Log::read_from(reader.into())?;
        let pid = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        let pid = pid.ok_or_else(|| io::Error::other("the program has no process id"))?;
        spawn_local({
            let log = Rc::clone(&log);
            async move { log.pump().await }
        });
        Ok(Self {
            pid,
            log,
            exit: reap(child, pid),
            memory_peak_bytes: Cell::default(),
            is_doomed: Cell::default(),
        })
    }

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

    /// Waits for the end.
    pub(crate) async fn exited(&self) -> ExitStatus {
        let mut exit = self.exit.clone();
        // The sender lives until it has sent, so the wait cannot fail.
        exit.wait_for(Option::is_some)
            .await
            .ok()
            .and_then(|status| *status)
            .unwrap_or_default()
    }

    /// The most memory seen so far. A dead process has none to ask, so ask while it lives.
    pub(crate) fn memory_peak_bytes(&self) -> u64 {
        let peak = self
            .memory_peak_bytes
            .get()
            .max(memory::peak_bytes(self.id()));
        self.memory_peak_bytes.set(peak);
        peak
    }

    /// Ends the group at once.
    pub(crate) fn kill(&self) {
        self.is_doomed.set(true);
        self.signal(Signal::KILL);
    }

    /// Ends the group, and waits until it is gone.
    pub(crate) async fn stop(&self, farewell: Farewell) {
        if let Farewell::Polite(limit) = farewell {
            self.signal(Signal::TERM);
            // One that does not listen is killed below.
            let _ = timeout(limit, self.exited()).await;
        }
        self.kill();
        self.exited().await;
        self.log.drain();
    }

    /// Runs `step` and looks meanwhile how much memory the program uses.
    pub(crate) async fn watched<T>(&self, step: impl Future<Output = T>) -> T {
        let mut step = pin!(step);
        let mut memory = interval_at(Instant::now() + MEMORY_INTERVAL, MEMORY_INTERVAL);
        loop {
            tokio::select! {
                biased;
                done = &mut step => return done,
                _ = memory.tick() => { self.memory_peak_bytes(); }
            }
        }
    }

    fn signal(&self, signal: Signal) {
        if self.exit_status().is_none() {
            // It may be gone by now, which is what was wanted.
            let _ = kill_process_group(self.pid, signal);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

impl fmt::Display for SpawnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { program, error } = self;
        write!(f, "cannot start {}: {error}", program.display())?;
        match error.kind() {
            io::ErrorKind::NotFound if program.is_file() => write!(
                f,
                " (the file is there; its #! interpreter or dynamic loader is not)"
            ),
            io::ErrorKind::PermissionDenied if program.is_file() => {
                write!(f, " (mode 755 is needed)")
            }
            _ => Ok(()),
        }
    }
}

/// Spawns, and waits a little where the file is still open for writing.
async fn spawn_when_written(command: &mut Command) -> io::Result<Child> {
    let deadline = Instant::now() + BUSY_TIMEOUT;
    loop {
        match command.spawn() {
            Err(error)
                if error.kind() == io::ErrorKind::ExecutableFileBusy
                    && Instant::now() < deadline =>
            {
                sleep(Duration::from_millis(10)).await;
            }
            result => return result,
        }
    }
}

/// Waits for the program in the background; what it started and left behind ends with it.
fn reap(mut child: Child, pid: Pid) -> watch::Receiver<Option<ExitStatus>> {
    let (sender, receiver) = watch::channel(None);
    spawn_local(async move {
        // Waiting fails only if somebody else took the status: the program is gone all the same.
        let status = child.wait().await.unwrap_or_default();
        // An empty group is the usual case.
        let _ = kill_process_group(pid, Signal::KILL);
        sender.send_replace(Some(status));
    });
    receiver
}
