//! What people read: standard error, so that standard output is the result and nothing else.
//!
//! A thread of its own writes it, because a reader that is slow, or stopped, must not stop the calls.
//! What the function prints is taken only as fast as it can be shown ([`room`] waits), so that the
//! function is slowed down and nothing is lost. A reader that went away ends nothing: failures to
//! write are ignored here, and only here.

use std::fmt::Display;
use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::sync::{Condvar, LazyLock, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;
use tokio::sync::{Notify, oneshot};
use tokio::time::timeout;

/// From so much on, the function's output waits in its pipe.
const QUEUE_BYTES: usize = 256 * 1024;

/// What comes beyond this is dropped, because nobody has read for a long time.
const QUEUE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// How long [`flush`] waits for a reader that takes nothing.
const FLUSH_TIMEOUT: Duration = Duration::from_millis(300);

struct Terminal {
    has_thread: bool,
    queue: Mutex<Queue>,
    /// Something is in the queue.
    filled: Condvar,
    /// Something has left it.
    written: Notify,
}

#[derive(Default)]
struct Queue {
    waiting: Vec<u8>,
    /// What the thread is writing now.
    writing_bytes: usize,
    /// What was last queued, or written to standard output, ends in the middle of a line.
    is_inside_line: bool,
}

static TERMINAL: LazyLock<Terminal> = LazyLock::new(|| {
    // Where there are no more threads, lines are written at once.
    let has_thread = thread::Builder::new().spawn(write_queue).is_ok();
    Terminal {
        has_thread,
        queue: Mutex::default(),
        filled: Condvar::new(),
        written: Notify::const_new(),
    }
});

/// One line of the tool's own, never glued to an unfinished line of the function.
pub(crate) fn say(line: impl Display) {
    let mut queue = queue();
    let start = if queue.is_inside_line { "\n" } else { "" };
    let line = format!("{start}{line}\n");
    queue.push(line.as_bytes());
}

/// The function's own output, as it came.
pub(crate) fn show(output: &[u8]) {
    queue().push(output);
}

/// Waits until the function's output can be shown without being piled up.
pub(crate) async fn room() {
    shrunk_to(QUEUE_BYTES, Duration::MAX).await;
}

/// Waits until everything is written, as long as somebody reads.
pub(crate) async fn flush() {
    shrunk_to(0, FLUSH_TIMEOUT).await;
}

/// Waits until so little is queued, or until nothing was written for some time.
async fn shrunk_to(bytes: usize, limit: Duration) {
    loop {
        // Made before the look, so that no write falls between.
        let written = TERMINAL.written.notified();
        if queue().bytes() <= bytes || timeout(limit, written).await.is_err() {
            return;
        }
    }
}

/// Writes the function's answer to standard output as it is, and for people who read it on a terminal
/// the line end that it lacks. A reader that has seen enough, as `head` does, is no error.
pub(crate) async fn print(answer: &[u8]) -> io::Result<()> {
    let mut output = answer.to_vec();
    if io::stdout().is_terminal() && !output.ends_with(b"\n") {
        output.push(b'\n');
    }
    flush().await;
    // Not on the one thread, because a reader that stops would stop the signals, too.
    let ends_inside_line = output.last().is_some_and(|last| *last != b'\n');
    let (sender, written) = oneshot::channel();
    thread::Builder::new().spawn(move || {
        let mut out = io::stdout().lock();
        sender.send(out.write_all(&output).and_then(|()| out.flush()))
    })?;
    match written.await.map_err(io::Error::other)? {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
        result => result?,
    }
    // If standard error goes to the same place, the next line there has to end this one.
    if !answer.is_empty() && is_one_place().unwrap_or(false) {
        queue().is_inside_line = ends_inside_line;
    }
    Ok(())
}

/// Whether standard output and standard error are the same file, pipe or terminal.
fn is_one_place() -> io::Result<bool> {
    let out = File::from(io::stdout().as_fd().try_clone_to_owned()?).metadata()?;
    let error = File::from(io::stderr().as_fd().try_clone_to_owned()?).metadata()?;
    Ok((out.dev(), out.ino()) == (error.dev(), error.ino()))
}

/// The queue is whole even if a thread panicked with it, because each change is one call.
fn queue() -> MutexGuard<'static, Queue> {
    let queue = TERMINAL.queue.lock();
    queue.unwrap_or_else(PoisonError::into_inner)
}

impl Queue {
    fn push(&mut self, output: &[u8]) {
        let Some(last) = output.last() else { return };
        if self.bytes() > QUEUE_BYTES_MAX {
            return;
        }
        self.is_inside_line = *last != b'\n';
        if !TERMINAL.has_thread {
            let _ = io::stderr().write_all(output);
            return;
        }
        self.waiting.extend_from_slice(output);
        TERMINAL.filled.notify_one();
    }

    fn bytes(&self) -> usize {
        self.waiting.len() + self.writing_bytes
    }
}

/// The thread: this loop ends with the process.
fn write_queue() {
    loop {
        let waiting = TERMINAL
            .filled
            .wait_while(queue(), |queue| queue.waiting.is_empty());
        let mut queue = waiting.unwrap_or_else(PoisonError::into_inner);
        let output = std::mem::take(&mut queue.waiting);
        queue.writing_bytes = output.len();
        drop(queue);
        // In pieces, so that a slow reader is told from one that takes nothing.
        for piece in output.chunks(16 * 1024) {
            let _ = io::stderr().write_all(piece);
            self::queue().writing_bytes -= piece.len();
            TERMINAL.written.notify_waiters();
        }
    }
}
