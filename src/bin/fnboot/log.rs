//! What the program prints: shown as it comes, and its end kept for whoever asks for the tail.

use crate::terminal;
use rustix::io::Errno;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use tokio::net::unix::pipe::Receiver;
use tokio::task::spawn_local;

/// The most that a platform hands back as a tail.
pub(crate) const TAIL_BYTES: usize = 4 * 1024;

/// A pipe's capacity, so `drain` need not read more.
const PIPE_BYTES: usize = 64 * 1024;

/// One pipe for both of the program's streams, which keeps their order.
pub(crate) struct Log {
    pipe: Receiver,
    /// The last [`TAIL_BYTES`] of everything printed.
    tail: RefCell<VecDeque<u8>>,
    /// All that was ever printed.
    printed_bytes: Cell<u64>,
}

impl Log {
    /// Takes the reading end of the program's output and shows what comes, until every writer is gone.
    pub(crate) fn follow(pipe: OwnedFd) -> io::Result<Rc<Self>> {
        let log = Rc::new(Self {
            pipe: Receiver::from_owned_fd(pipe)?,
            tail: RefCell::default(),
            printed_bytes: Cell::default(),
        });
        spawn_local(Rc::clone(&log).pump());
        Ok(log)
    }

    async fn pump(self: Rc<Self>) {
        let mut buffer = [0; 8 * 1024];
        while self.pipe.readable().await.is_ok() {
            match self.pipe.try_read(&mut buffer) {
                Ok(0) => return,
                Ok(count) => self.take(&buffer[..count]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return,
            }
            terminal::room().await;
        }
    }

    /// Shows what is in the pipe now: a program prints before it answers, so after an answer this is
    /// all that belongs to the call. The reactor's view may lag, so the kernel is asked.
    pub(crate) fn drain(&self) {
        let mut buffer = [0; 8 * 1024];
        let mut read_bytes = 0;
        while read_bytes < PIPE_BYTES {
            match rustix::io::read(&self.pipe, &mut buffer) {
                Ok(0) => return,
                Ok(count) => self.take(&buffer[..count]),
                Err(Errno::INTR) => continue,
                Err(_) => return,
            }
            read_bytes += buffer.len();
        }
    }

    /// Where the log stands, for [`Log::tail_since`].
    pub(crate) fn position(&self) -> u64 {
        self.printed_bytes.get()
    }

    /// The last [`TAIL_BYTES`] of what was printed after `position`.
    pub(crate) fn tail_since(&self, position: u64) -> Vec<u8> {
        let tail = self.tail.borrow();
        let since = usize::try_from(self.printed_bytes.get() - position).unwrap_or(usize::MAX);
        let skipped = tail.len().saturating_sub(since);
        tail.iter().skip(skipped).copied().collect()
    }

    fn take(&self, output: &[u8]) {
        terminal::show(output);
        self.printed_bytes
            .update(|bytes| bytes + output.len() as u64);
        let mut tail = self.tail.borrow_mut();
        tail.extend(output);
        let excess = tail.len().saturating_sub(TAIL_BYTES);
        tail.drain(..excess);
    }
}
