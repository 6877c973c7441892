//! Answers that come from other threads: [`Answers`], which a handler with std answers calls later with.
//!
//! A queue, and a pair of sockets of which one end is readable while there may be something in it. Nothing
//! here knows which calls there are: an answer that nobody waits for is dropped when the next one is taken.

use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::vec::Vec;

use crate::handler::Error;

/// Answers to calls that were put off, from whatever thread or task they come.
///
/// A handler owns it, gives every call a [`sender`](Answers::sender), and hands the questions of the loop on
/// to it. `T` is what an answer is: bytes, or for an HTTP function whatever a response is made of.
///
/// ```
/// use std::thread;
/// use fnboot::{Answers, Context, Error, Handler};
///
/// struct Shout {
///     answers: Answers,
/// }
///
/// impl Handler for Shout {
///     const DEFERS: bool = true;
///
///     fn invoke<'a>(&'a mut self, event: &'a [u8], cx: &Context<'_>) -> Result<&'a [u8], Error> {
///         let (call, event, sender) = (cx.defer(), event.to_vec(), self.answers.sender());
///         // A thread that takes its time, or `runtime.spawn(async move { … })`.
///         thread::spawn(move || sender.send(call, Ok(event.to_ascii_uppercase())));
///         Ok(b"")
///     }
///
///     fn waker(&mut self) -> Option<i32> {
///         self.answers.waker()
///     }
///
///     fn woken(&mut self) -> Option<u64> {
///         self.answers.woken()
///     }
///
///     fn resume<'a>(&'a mut self, call: u64, _: &Context<'_>) -> Result<&'a [u8], Error> {
///         Ok(self.answers.take(call)?)
///     }
/// }
///
/// fn main() -> std::io::Result<()> {
/// #   if false {
///     fnboot::run(Shout { answers: Answers::new()? })
/// #   }
/// #   Ok(())
/// }
/// ```
///
/// A call whose sender is never used, for instance because its thread panics, ends with its time limit.
#[derive(Debug)]
pub struct Answers<T = Vec<u8>> {
    queue: Receiver<(u64, Result<T, Error>)>,
    sender: AnswerSender<T>,
    /// Readable while there may be something in the queue.
    wakes: UnixStream,
    /// What [`Answers::woken`] has told last.
    current: Option<(u64, Result<T, Error>)>,
    /// The answer that is lent, until the next one is asked for.
    lent: Option<T>,
}

/// Answers calls, from any thread: see [`Answers::sender`].
#[derive(Debug)]
pub struct AnswerSender<T = Vec<u8>> {
    queue: Sender<(u64, Result<T, Error>)>,
    wake: Arc<UnixStream>,
}

impl<T> Answers<T> {
    /// No answers yet.
    ///
    /// # Errors
    /// Out of descriptors.
    pub fn new() -> io::Result<Self> {
        let (wakes, wake) = UnixStream::pair()?;
        wakes.set_nonblocking(true)?;
        wake.set_nonblocking(true)?;
        let (sender, queue) = mpsc::channel();
        let sender = AnswerSender {
            queue: sender,
            wake: Arc::new(wake),
        };
        Ok(Self {
            queue,
            sender,
            wakes,
            current: None,
            lent: None,
        })
    }

    /// What answers a call: to be moved to whoever works on it.
    #[must_use]
    pub fn sender(&self) -> AnswerSender<T> {
        self.sender.clone()
    }

    /// For [`Handler::waker`](crate::Handler::waker).
    #[must_use]
    pub fn waker(&self) -> Option<i32> {
        Some(self.wakes.as_raw_fd())
    }

    /// For [`Handler::woken`](crate::Handler::woken).
    pub fn woken(&mut self) -> Option<u64> {
        self.lent = None;
        self.current = self.queue.try_recv().ok();
        if self.current.is_none() {
            self.drain();
            // Looked at again, because a sender may have come between the look and the drain: whatever
            // is put into the queue from here on makes the socket readable again.
            self.current = self.queue.try_recv().ok();
        }
        self.current.as_ref().map(|(call, _)| *call)
    }

    /// The answer to the call that [`woken`](Answers::woken) has told last, for
    /// [`Handler::resume`](crate::Handler::resume) and [`resume_http`](crate::Handler::resume_http).
    ///
    /// # Errors
    /// The error that was sent in place of an answer; or there is none, because `woken` did not tell this call.
    pub fn take(&mut self, call: u64) -> Result<&T, Error> {
        match self.current.take() {
            Some((of, answer)) if of == call => Ok(self.lent.insert(answer?)),
            _ => Err(Error::fixed("NoAnswer", "the call was not told by `woken`")),
        }
    }

    /// Reads what made the socket readable.
    fn drain(&mut self) {
        let mut place = [0; 512];
        // It ends with `WouldBlock`: both ends live as long as this does.
        while let Ok(1..) = self.wakes.read(&mut place) {}
    }
}

impl<T> AnswerSender<T> {
    /// Answers a call, or fails it. An answer to a call that is over (its client has gone, or its time has
    /// passed) is dropped.
    pub fn send(&self, call: u64, answer: Result<T, Error>) {
        // Without a receiver the handler is gone, and the process ends.
        let _ = self.queue.send((call, answer));
        // If the socket is full it is readable, which is all that is needed.
        let _ = (&*self.wake).write(b"w");
    }
}

impl<T> Clone for AnswerSender<T> {
    fn clone(&self) -> Self {
        Self {
            queue: self.queue.clone(),
            wake: Arc::clone(&self.wake),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    /// Everything that is told until there is no more.
    fn all(answers: &mut Answers<u64>) -> Vec<u64> {
        std::iter::from_fn(|| answers.woken()).collect()
    }

    fn is_readable(answers: &Answers<u64>) -> bool {
        let mut place = [0];
        // A copy of the socket looks at the same queue, and this one takes a byte of it.
        let mut wakes = answers.wakes.try_clone().expect("a copy");
        wakes.read(&mut place).is_ok()
    }

    #[test]
    fn answers_are_told_and_taken_once() {
        let mut answers = Answers::new().expect("sockets");
        assert_eq!(answers.woken(), None);
        let sender = answers.sender();
        sender.send(7, Ok(70));
        sender.send(8, Err(Error::fixed("Own", "of the sender")));
        assert_eq!(answers.woken(), Some(7));
        assert_eq!(answers.take(7).expect("an answer"), &70);
        assert_eq!(answers.take(7).expect_err("taken").kind(), "NoAnswer");
        assert_eq!(answers.woken(), Some(8));
        assert_eq!(answers.take(8).expect_err("its error").kind(), "Own");
        // What nobody takes is dropped.
        sender.send(9, Ok(90));
        sender.send(10, Ok(100));
        assert_eq!(answers.woken(), Some(9));
        assert_eq!(answers.woken(), Some(10));
        assert_eq!(answers.take(9).expect_err("dropped").kind(), "NoAnswer");
        assert_eq!(answers.woken(), None);
    }

    #[test]
    fn the_waker_is_readable_while_there_is_something() {
        let mut answers = Answers::new().expect("sockets");
        assert!(!is_readable(&answers));
        answers.sender().send(1, Ok(1));
        answers.sender().send(2, Ok(2));
        assert!(is_readable(&answers));
        assert_eq!(all(&mut answers), [1, 2]);
        assert!(!is_readable(&answers), "drained");
    }

    /// More than the socket takes: none is lost, and nobody waits.
    #[test]
    fn many_senders_at_once() {
        let mut answers = Answers::new().expect("sockets");
        let threads = (0..8_u64).map(|thread| {
            let sender = answers.sender();
            thread::spawn(move || (0..1000).for_each(|n| sender.send(thread * 1000 + n, Ok(n))))
        });
        for thread in threads.collect::<Vec<_>>() {
            thread.join().expect("a sender");
        }
        let mut told = all(&mut answers);
        told.sort_unstable();
        assert!(told.into_iter().eq(0..8000));
    }
}
