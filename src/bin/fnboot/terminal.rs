//! What people read: standard error, so that standard output is the result and nothing else.
//!
//! A thread of its own writes both, because a reader that is slow, or stopped, must not stop the calls.
//! What the function prints is taken only as fast as it can be shown ([`room`] waits), so that the
//! function is slowed down and nothing is lost, as long as somebody reads. A reader that went away ends nothing: failures to
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

/// Between two tries of what would block.
const WRITE_PAUSE: Duration = Duration::from_millis(5);

struct Terminal {
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
    /// An answer for standard output, and who waits until it is there.
    answer: Option<(Vec<u8>, oneshot::Sender<io::Result<()>>)>,
    dropped_bytes: usize,
    /// What was last queued, or written to standard output, ends in the middle of a line.
    is_inside_line: bool,
}

static TERMINAL: LazyLock<Terminal> = LazyLock::new(|| Terminal {
    queue: Mutex::default(),
    filled: Condvar::new(),
    written: Notify::const_new(),
});

/// Starts the thread, before any function can have used up the machine's.
pub(crate) fn open() -> io::Result<()> {
    thread::Builder::new().spawn(write_queue).map(drop)
}

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
    queue().answer = Some((output, sender));
    TERMINAL.filled.notify_one();
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
            self.dropped_bytes += output.len();
            return;
        }
        if self.dropped_bytes > 0 {
            let bytes = std::mem::take(&mut self.dropped_bytes);
            let line = format!("\nfnboot: {bytes} bytes are not shown, because nobody read\n");
            self.waiting.extend_from_slice(line.as_bytes());
        }
        self.is_inside_line = *last != b'\n';
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
        let is_empty = |queue: &mut Queue| queue.waiting.is_empty() && queue.answer.is_none();
        let waiting = TERMINAL.filled.wait_while(queue(), is_empty);
        let mut queue = waiting.unwrap_or_else(PoisonError::into_inner);
        let output = std::mem::take(&mut queue.waiting);
        queue.writing_bytes = output.len();
        let answer = queue.answer.take();
        drop(queue);
        // In pieces, so that a slow reader is told from one that takes nothing.
        for piece in output.chunks(16 * 1024) {
            let _ = write(&mut io::stderr(), piece);
            self::queue().writing_bytes -= piece.len();
            TERMINAL.written.notify_waiters();
        }
        if let Some((answer, sender)) = answer {
            let mut out = io::stdout().lock();
            // Who no longer waits has been ended by a signal.
            let _ = sender.send(write(&mut out, &answer).and_then(|()| out.flush()));
        }
    }
}

/// Writes all, also where whoever shares the pipe has made it non-blocking.
fn write(to: &mut impl Write, mut output: &[u8]) -> io::Result<()> {
    while !output.is_empty() {
        match to.write(output) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => output = &output[count..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => thread::sleep(WRITE_PAUSE),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
