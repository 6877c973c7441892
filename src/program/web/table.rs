//! The connections to the server, in places that are known by their numbers.

use core::mem::MaybeUninit;

use super::upstream::{Call, Upstream};
use crate::limits::{IDLE_MS_MAX, UPSTREAM_COUNT_MAX};
use crate::program::supervisor::{Ready, Supervisor};
use crate::sys::clock::{self, NEVER};
use crate::sys::fd::Errno;
use crate::sys::memory::List;
use crate::sys::socket::{LOOPBACK, Socket};

/// All of them.
#[derive(Debug)]
pub struct Upstreams {
    list: List<Option<Upstream>>,
    port: u16,
    /// Whether the server has answered on a new connection while another was open: it does not take one after the other.
    accepts_many: bool,
    /// Whether the server ends connections that it promised to keep: then only those requests are sent on such a one
    /// that may be sent again.
    pub ends_idle: bool,
}

/// Where they are.
pub type Table = [MaybeUninit<Option<Upstream>>; UPSTREAM_COUNT_MAX];
#[allow(clippy::large_const_arrays, reason = "the initial value of one static")]
pub const EMPTY_TABLE: Table = [const { MaybeUninit::uninit() }; UPSTREAM_COUNT_MAX];

/// So long of a server that may take one connection after the other, and so long of one that takes many.
const UNHEARD_MS: u64 = 20;
const UNHEARD_OF_MANY_MS: u64 = 1000;

impl Upstreams {
    /// None yet, of a server that listens on `port`.
    pub fn new(place: &'static mut Table, port: u16) -> Self {
        let list = List::new(place);
        Self {
            list,
            port,
            accepts_many: false,
            ends_idle: false,
        }
    }

    /// How many places were used so far.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    #[inline(never)]
    pub fn at(&mut self, index: usize) -> Option<&mut Upstream> {
        self.list.get_mut(index)?.as_mut()
    }

    #[inline(never)]
    pub fn call(&mut self, index: usize) -> Option<&mut Call> {
        self.at(index)?.call.as_mut()
    }

    /// Every call.
    pub fn calls(&mut self) -> impl Iterator<Item = &mut Call> {
        let upstreams = self.list.iter_mut().flatten();
        upstreams.filter_map(|upstream| upstream.call.as_mut())
    }

    /// Where the call of that number is.
    #[inline(never)]
    pub fn position(&self, number: u64) -> Option<usize> {
        let has_it = |place: &Option<Upstream>| {
            let call = place.as_ref().and_then(|upstream| upstream.call.as_ref());
            call.is_some_and(|call| call.number == number)
        };
        self.list.iter().position(has_it)
    }

    /// A place for a call: with a connection that is idle, or a free one. `may_repeat` says whether its request may be
    /// sent again.
    ///
    /// # Errors
    /// There is none.
    pub fn place(&mut self, may_repeat: bool) -> Result<usize, Errno> {
        let may_reuse = may_repeat || !self.ends_idle;
        // What was used last is the least likely to have ended.
        while let Some(index) = self.idle().filter(|_| may_reuse) {
            let now_ms = clock::monotonic_ms();
            let is_usable = |upstream: &mut Upstream| {
                now_ms <= upstream.since_ms + IDLE_MS_MAX && upstream.is_usable()
            };
            if self.at(index).is_some_and(is_usable) {
                return Ok(index);
            }
            self.close(index);
        }
        let (index, place) = self.list.vacancy().ok_or(Errno::AGAIN)?;
        *place = Some(Upstream::FREE);
        Ok(index)
    }

    /// The idle connection that was used last.
    #[inline(never)]
    fn idle(&self) -> Option<usize> {
        let places = self.list.iter().enumerate();
        let idle = places.filter_map(|(index, place)| {
            let upstream = place.as_ref().filter(|upstream| upstream.call.is_none())?;
            Some((upstream.since_ms, index))
        });
        idle.max().map(|(_, index)| index)
    }

    /// Opens a connection for the place at `index`.
    ///
    /// # Errors
    /// What the kernel says at once.
    #[inline(never)]
    pub fn connect(&mut self, index: usize, supervisor: &mut Supervisor) -> Result<(), Errno> {
        let port = self.port;
        if let Some(upstream) = self.at(index) {
            upstream.socket = None;
            let socket = Socket::connect(LOOPBACK, port)?;
            supervisor.watch_edges(&socket, Ready::Upstream(index))?;
            (upstream.socket, upstream.is_reused) = (Some(socket), false);
            upstream.since_ms = clock::monotonic_ms();
            let heard_ms = upstream.since_ms + self.patience_ms();
            supervisor.alarm(heard_ms);
        }
        Ok(())
    }

    /// Frees the place at `index`, and closes its connection.
    #[inline(never)]
    pub fn close(&mut self, index: usize) {
        if let Some(place) = self.list.get_mut(index) {
            *place = None;
        }
    }

    /// The call at `index` is over: its connection is kept, if another request may follow on it.
    pub fn finish(&mut self, index: usize, supervisor: &mut Supervisor) {
        let now_ms = clock::monotonic_ms();
        // A server that serves one connection after the other sees the next only after this one has ended.
        let is_heard = self.unheard_ms() > now_ms;
        let ends_idle = self.ends_idle;
        match self.at(index) {
            Some(upstream) if is_heard && upstream.may_stay(ends_idle) => {
                upstream.stay(now_ms);
                supervisor.alarm(now_ms + IDLE_MS_MAX + 1);
            }
            _ => self.close(index),
        }
    }

    /// When the first of the connections looks as if nobody has accepted it; `NEVER` if none does.
    fn unheard_ms(&self) -> u64 {
        let upstreams = self.list.iter().flatten();
        let since_ms = upstreams.map(Upstream::unheard_since_ms).min();
        since_ms.unwrap_or(NEVER).saturating_add(self.patience_ms())
    }

    /// How long a first answer may take before it is thought that nobody has accepted the connection, because the server
    /// is busy with others.
    fn patience_ms(&self) -> u64 {
        if self.accepts_many {
            UNHEARD_OF_MANY_MS
        } else {
            UNHEARD_MS
        }
    }

    /// An answer has begun on the connection at `index`.
    pub fn note_answer(&mut self, index: usize) {
        if self.accepts_many || self.at(index).is_none_or(|upstream| upstream.is_reused) {
            return;
        }
        let mut places = self.list.iter().enumerate();
        let is_other = |(other, place): (usize, &Option<Upstream>)| {
            other != index && place.as_ref().is_some_and(Upstream::is_heard)
        };
        self.accepts_many = places.any(is_other);
    }

    /// Closes connections that have been idle for too long; all that are idle, if there is another that nobody seems to
    /// accept. Returns when to look again, or `NEVER`.
    pub fn tidy(&mut self, now_ms: u64) -> u64 {
        let unheard_ms = self.unheard_ms();
        if unheard_ms <= now_ms {
            self.close_idle(NEVER);
            return NEVER;
        }
        self.close_idle(now_ms.saturating_sub(IDLE_MS_MAX));
        let idle = self.list.iter().flatten();
        let idle = idle.filter(|upstream| upstream.call.is_none());
        let first_ms = idle
            .map(|upstream| upstream.since_ms + IDLE_MS_MAX + 1)
            .min();
        unheard_ms.min(first_ms.unwrap_or(NEVER))
    }

    /// Closes connections that have been idle since before that moment.
    pub fn close_idle(&mut self, before_ms: u64) {
        for place in self.list.iter_mut() {
            let is_old =
                |upstream: &Upstream| upstream.call.is_none() && upstream.since_ms < before_ms;
            if place.as_ref().is_some_and(is_old) {
                *place = None;
            }
        }
    }
}
