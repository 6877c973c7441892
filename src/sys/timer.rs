//! A moment that an epoll waits for (`timerfd_create(2)`).

use libc::{itimerspec, timespec};

use super::call::{call3, call6};
use super::epoll::Source;
use super::fd::{Errno, Fd, check};

/// Readable from the moment that was set until another is.
#[derive(Debug)]
pub struct Timer(pub(super) Fd);

/// [`monotonic_ms`](super::clock::monotonic_ms) is behind by up to a tick of the kernel's timer, which is
/// 10 ms at most.
const TICK_MS: u64 = 10;

impl Source for Timer {
    fn fd(&self) -> &Fd {
        &self.0
    }
}

impl Timer {
    /// `timerfd_create(2)`: no moment is set.
    ///
    /// # Errors
    /// Out of descriptors or memory.
    pub fn new() -> Result<Self, Errno> {
        let (clock, flags) = (
            libc::CLOCK_MONOTONIC,
            libc::TFD_NONBLOCK | libc::TFD_CLOEXEC,
        );
        // SAFETY: timerfd_create(2) takes no pointers.
        let fd = unsafe { call3(libc::SYS_timerfd_create, clock as usize, flags as usize, 0) };
        Fd::own(fd).map(Self)
    }

    /// `timerfd_settime(2)`: makes it readable once [`monotonic_ms`](super::clock::monotonic_ms) has come
    /// to `moment_ms`, which may be a tick later; not at all for zero. Until then it is not readable,
    /// whatever was set before, so nobody has to read it.
    ///
    /// # Errors
    /// None that a correct program can meet.
    pub fn set(&self, moment_ms: u64) -> Result<(), Errno> {
        let moment_ms = match moment_ms {
            0 => 0,
            _ => moment_ms.saturating_add(TICK_MS),
        };
        let nothing = timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        let moment = itimerspec {
            it_interval: nothing,
            it_value: timespec {
                tv_sec: (moment_ms / 1000).cast_signed(),
                tv_nsec: (moment_ms % 1000 * 1_000_000).cast_signed(),
            },
        };
        let place = (&raw const moment).expose_provenance();
        let arguments = [
            self.0.raw(),
            libc::TFD_TIMER_ABSTIME as usize,
            place,
            0,
            0,
            0,
        ];
        // SAFETY: `moment` lives through the call, and nobody asks for the old one.
        check(unsafe { call6(libc::SYS_timerfd_settime, arguments) }).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::super::clock::{NEVER, monotonic_ms};
    use super::super::epoll::{Epoll, Event, Interest};
    use super::*;

    #[test]
    fn it_is_readable_once_the_clock_has_come_there() {
        let (timer, epoll) = (Timer::new().unwrap(), Epoll::new().unwrap());
        epoll.add(&timer, 7, Interest::Read).unwrap();
        let is_readable = |timeout_ms| {
            let mut events = [Event::EMPTY];
            let events = epoll.wait(&mut events, timeout_ms).unwrap();
            events.first().map(Event::token) == Some(7)
        };
        assert!(!is_readable(0));
        for _ in 0..20 {
            let moment_ms = monotonic_ms() + 3;
            timer.set(moment_ms).unwrap();
            assert!(is_readable(NEVER));
            assert!(monotonic_ms() >= moment_ms);
        }
        assert!(is_readable(0), "until another moment is set");
        timer.set(NEVER).unwrap();
        assert!(!is_readable(30));
        timer.set(1).unwrap();
        assert!(is_readable(0), "the past");
        timer.set(0).unwrap();
        assert!(!is_readable(30));
    }
}
