//! What all connections of a server share.

use super::caller::Caller;
use crate::net::pool::Pool;
use crate::sys::memory;

/// Handler and memory.
pub struct Shared<H> {
    pub caller: Caller<H>,
    pub pool: &'static mut Pool,
    /// Requests that come in one piece are served from here.
    pub scratch: &'static mut [u8],
    /// Whether more of the scratch buffer was touched than an idle process should hold.
    scratch_is_warm: bool,
}

/// How much of the scratch buffer stays in memory: short calls need no more.
const SCRATCH_KEPT_BYTES: usize = 8 * 1024;

impl<H> Shared<H> {
    pub fn new(caller: Caller<H>, scratch: &'static mut [u8], pool: &'static mut Pool) -> Self {
        Self {
            caller,
            pool,
            scratch,
            scratch_is_warm: false,
        }
    }

    /// Notes that so many bytes came into the scratch buffer.
    pub fn note_scratch(&mut self, count: usize) {
        self.scratch_is_warm |= count > SCRATCH_KEPT_BYTES;
    }

    /// Whether there is memory to give back once calls stop.
    pub fn is_warm(&self) -> bool {
        self.scratch_is_warm || !self.pool.is_empty()
    }

    /// Gives that memory back.
    pub fn cool_down(&mut self) {
        self.pool.clear();
        if self.scratch_is_warm {
            let rest = self.scratch.get_mut(SCRATCH_KEPT_BYTES..);
            memory::give_back(rest.unwrap_or_default());
            self.scratch_is_warm = false;
        }
    }
}
