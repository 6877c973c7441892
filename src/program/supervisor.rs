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
    /// The connection at that index of its table.
    Upstream(usize),
    /// The listener of the worker at that index.
    Listener(usize),
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

/// Events taken from the kernel at once: each tells of one thing that is ready ([`Ready::told`]), or of none.
pub type Events = [Event; EVENT_COUNT_MAX];

const EVENT_COUNT_MAX: usize = 16;

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

    /// Watches a descriptor no more.
    #[cfg(feature = "worker")]
    pub fn unwatch(&self, source: &impl Source) {
        // An error would mean that it is not watched.
        let _ = self.epoll.remove(source);
    }

    /// Watches a socket until it is closed: each time that something comes, or can be sent, that is told once.
    ///
    /// # Errors
    /// Out of memory or watches.
    #[cfg(any(feature = "web", feature = "worker"))]
    pub fn watch_edges(&self, source: &impl Source, ready: Ready) -> Result<(), Errno> {
        self.epoll.add_edges(source, token(ready))
    }

    /// What is ready by now.
    pub fn ready(&self) -> Events {
        self.ready_within(0)
    }

    /// What is ready within so many milliseconds; nothing if a signal comes.
    fn ready_within(&self, timeout_ms: u64) -> Events {
        let mut events = [Event::EMPTY; EVENT_COUNT_MAX];
        // An error is none that a correct program can meet.
        let _ = self.epoll.wait(&mut events, timeout_ms);
        events
    }

    /// Forgets that a child has ended: whatever ends from now on is told again.
    pub fn forget_ends(&self) {
        self.ends.forget();
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

    /// Sets the moment that is told next, whatever is set.
    pub fn set(&mut self, moment_ms: u64) {
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

/// Zero is the token of none.
fn token(ready: Ready) -> u64 {
    let (kind, index) = match ready {
        Ready::Output(index) => (1, index),
        Ready::Log(index) => (2, index),
        Ready::Control(index) => (3, index),
        Ready::Ends => (4, 0),
        Ready::Moment => (5, 0),
        Ready::Upstream(index) => (6, index),
        Ready::Listener(index) => (7, index),
    };
    kind << KIND_BITS | index as u64
}

impl Ready {
    /// What an event tells of, if it is one.
    pub fn told(event: &Event) -> Option<Self> {
        let token = event.token();
        let index = usize::try_from(token & u64::from(u32::MAX)).unwrap_or(0);
        match token >> KIND_BITS {
            1 => Some(Self::Output(index)),
            2 => Some(Self::Log(index)),
            3 => Some(Self::Control(index)),
            4 => Some(Self::Ends),
            5 => Some(Self::Moment),
            6 => Some(Self::Upstream(index)),
            7 => Some(Self::Listener(index)),
            _ => None,
        }
    }
}

/// What was ready at one time, looked at one by one.
#[cfg(any(feature = "web", feature = "worker"))]
#[derive(Debug)]
pub struct Batch {
    events: Events,
    next: usize,
    is_there: bool,
}

#[cfg(any(feature = "web", feature = "worker"))]
impl Batch {
    /// Nothing.
    pub const EMPTY: Self = Self {
        events: [Event::EMPTY; EVENT_COUNT_MAX],
        next: 0,
        is_there: false,
    };

    /// Waits for something to become ready, for so many milliseconds at most, or until a signal comes.
    pub fn wait(&mut self, supervisor: &Supervisor, timeout_ms: u64) {
        // What is told only once must not be lost.
        self.events = supervisor.ready_within(timeout_ms);
        (self.next, self.is_there) = (0, true);
    }

    /// The next that is ready; nothing once for each batch, so that whoever always has something does not starve
    /// others.
    pub fn next(&mut self, supervisor: &Supervisor) -> Option<Ready> {
        if !self.is_there {
            self.wait(supervisor, 0);
        }
        let ready = self.events.get(self.next).and_then(Ready::told);
        self.next += 1;
        self.is_there = ready.is_some();
        ready
    }

    /// Whether the last that was ready is a connection on which no more comes.
    #[cfg(feature = "worker")]
    pub fn tells_end(&self) -> bool {
        let last = self.next.checked_sub(1);
        let event = last.and_then(|last| self.events.get(last));
        event.is_some_and(Event::is_end)
    }
}
