//! What a handler of programs waits for: what they write, that one has ended, and moments.

use crate::sys::child;
use crate::sys::clock::NEVER;
use crate::sys::epoll::{Epoll, Event, Interest, Source};
use crate::sys::fd::Errno;
use crate::sys::timer::Timer;
use crate::sys::wait::Ends;

/// What is ready: of the process at an index of its table, or of all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ready {
    Output(usize),
    Log(usize),
    Control(usize),
    /// A child may have ended.
    Ends,
    /// The moment that was set has come.
    Moment,
}

/// One descriptor for all of it, which the loop waits for.
#[derive(Debug)]
pub struct Supervisor {
    epoll: Epoll,
    ends: Ends,
    timer: Timer,
    /// The moment that is set.
    moment_ms: u64,
}

/// Events taken from the kernel at once.
const EVENT_COUNT_MAX: usize = 16;

/// What was ready, of which each is told once.
pub type Events = [Option<Ready>; EVENT_COUNT_MAX];

impl Supervisor {
    /// Nothing is watched but ends and moments. From now on what leaves the group of a program, and is left
    /// behind by its parent, becomes a child of this process.
    ///
    /// # Errors
    /// Out of descriptors or memory.
    pub fn new() -> Result<Self, Errno> {
        // A kernel that does not know it leaves such processes to the first of all.
        let _ = child::become_subreaper();
        // First, so that no pipe gets the number of a standard stream.
        let epoll = Epoll::above_standard()?;
        let (ends, timer) = (Ends::new()?, Timer::new()?);
        epoll.add(&ends, token(Ready::Ends), Interest::Read)?;
        epoll.add(&timer, token(Ready::Moment), Interest::Read)?;
        Ok(Self {
            epoll,
            ends,
            timer,
            moment_ms: NEVER,
        })
    }

    /// The number of the one descriptor.
    pub fn number(&self) -> i32 {
        self.epoll.fd().number()
    }

    /// Watches a descriptor until it is closed.
    ///
    /// # Errors
    /// Out of memory or watches.
    pub fn watch(&self, source: &impl Source, ready: Ready) -> Result<(), Errno> {
        self.epoll.add(source, token(ready), Interest::Read)
    }

    /// What is ready by now.
    pub fn ready(&mut self) -> Events {
        let mut events = [Event::EMPTY; EVENT_COUNT_MAX];
        let mut ready = [None; EVENT_COUNT_MAX];
        // An error is none that a correct program can meet.
        let found = self.epoll.wait(&mut events, 0).unwrap_or_default();
        for (ready, event) in ready.iter_mut().zip(found) {
            *ready = what(event.token());
            if *ready == Some(Ready::Ends) {
                self.ends.forget();
            }
            if *ready == Some(Ready::Moment) {
                self.set(NEVER);
            }
        }
        ready
    }

    /// Waits for something to become ready, for so many milliseconds at most, or until a signal comes.
    pub fn wait(&self, timeout_ms: u64) {
        // What is ready is asked for afterwards.
        let _ = self.epoll.wait(&mut [Event::EMPTY], timeout_ms);
    }

    /// Sets the moment that is told next, unless an earlier one is set. On the monotonic clock.
    pub fn alarm(&mut self, moment_ms: u64) {
        if moment_ms < self.moment_ms {
            self.set(moment_ms);
        }
    }

    fn set(&mut self, moment_ms: u64) {
        self.moment_ms = moment_ms;
        // An error is none that a correct program can meet.
        let _ = self.timer.set(if moment_ms == NEVER {
            0
        } else {
            moment_ms.max(1)
        });
    }
}

const KIND_BITS: u32 = 32;

fn token(ready: Ready) -> u64 {
    let (kind, index) = match ready {
        Ready::Output(index) => (0, index),
        Ready::Log(index) => (1, index),
        Ready::Control(index) => (2, index),
        Ready::Ends => (3, 0),
        Ready::Moment => (4, 0),
    };
    kind << KIND_BITS | index as u64
}

fn what(token: u64) -> Option<Ready> {
    let index = usize::try_from(token & u64::from(u32::MAX)).unwrap_or(0);
    match token >> KIND_BITS {
        0 => Some(Ready::Output(index)),
        1 => Some(Ready::Log(index)),
        2 => Some(Ready::Control(index)),
        3 => Some(Ready::Ends),
        4 => Some(Ready::Moment),
        _ => None,
    }
}
