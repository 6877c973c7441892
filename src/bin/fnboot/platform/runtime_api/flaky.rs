//! A platform with a bad day, for tests: connections break where a program must be able to bear it.
//!
//! After an answer was accepted, without a word; and within an event, at a place that moves through
//! head and body from one break to the next. The event is then delivered again.

use std::cell::Cell;
use std::io;
use std::num::NonZeroU64;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// Far from any usual length, so that the place of the break seems random and is not.
const STRIDE_BYTES: u64 = 97;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaky {
    Off,
    Every(NonZeroU64),
}

impl Flaky {
    pub(crate) fn new(every: Option<NonZeroU64>) -> Self {
        every.map_or(Self::Off, Self::Every)
    }

    /// Whether the connection breaks after this answer, the first being 1.
    pub(crate) fn breaks_after(self, answer: u64) -> bool {
        matches!(self, Self::Every(every) if answer.is_multiple_of(every.get()))
    }

    /// How much of this delivery, the first being 1, the program still gets of at least `bytes_min`.
    /// Never two in a row, or no event would ever arrive.
    pub(crate) fn breaks_within(self, delivery: u64, bytes_min: usize) -> Option<usize> {
        match self {
            Self::Every(every) if (delivery % (every.get() + 1)) == every.get() => {
                let place = delivery * STRIDE_BYTES % (bytes_min.max(1) as u64);
                usize::try_from(place).ok()
            }
            _ => None,
        }
    }
}

/// What is to become of a connection.
#[derive(Debug, Default)]
pub(crate) struct Fate {
    is_over: Cell<bool>,
    write_bytes_left: Cell<Option<usize>>,
}

impl Fate {
    /// Nothing is read any more: the connection ends as soon as what is being written is out.
    pub(crate) fn end(&self) {
        self.is_over.set(true);
    }

    /// The connection breaks after so many bytes.
    pub(crate) fn break_after(&self, bytes: usize) {
        self.write_bytes_left.set(Some(bytes));
    }
}

/// A connection with a fate.
pub(crate) struct Wire {
    pub(crate) stream: TcpStream,
    pub(crate) fate: Rc<Fate>,
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.fate.is_over.get() {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let Some(left) = self.fate.write_bytes_left.get() else {
            return Pin::new(&mut self.stream).poll_write(context, bytes);
        };
        if left == 0 {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        let bytes = &bytes[..bytes.len().min(left)];
        let written = std::task::ready!(Pin::new(&mut self.stream).poll_write(context, bytes))?;
        self.fate.break_after(left - written);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn off_breaks_nothing() {
        for count in 1..100 {
            assert!(!Flaky::Off.breaks_after(count));
            assert_eq!(Flaky::Off.breaks_within(count, 1000), None);
        }
    }

    #[test]
    fn every_nth_answer_and_never_two_deliveries_in_a_row() {
        for every in 1..10 {
            let flaky = Flaky::new(NonZeroU64::new(every));
            let breaks: Vec<_> = (1..100).filter(|&n| flaky.breaks_after(n)).collect();
            assert_eq!(breaks[..3], [every, 2 * every, 3 * every]);
            for delivery in 1..100 {
                let [this, next] = [delivery, delivery + 1].map(|n| flaky.breaks_within(n, 300));
                assert!(this.is_none() || next.is_none(), "{every} at {delivery}");
                assert!(this.is_none_or(|place| place < 300));
            }
        }
    }
}
