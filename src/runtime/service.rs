//! What connections are served with.

use super::call::Caller;
use crate::limits::SCRATCH_BYTES;
use crate::net::pool::Pool;
use crate::sys::memory::Zeros;

/// Where requests that come in one piece are served from.
pub type Scratch = Zeros<SCRATCH_BYTES>;

/// Handler and memory, which all connections share.
pub struct Service<H> {
    pub caller: Caller<H>,
    pub pool: &'static mut Pool,
    pub scratch: &'static mut Scratch,
    /// Whether more of the scratch buffer was touched than an idle process should hold.
    scratch_is_warm: bool,
}

/// How much of the scratch buffer stays in memory: short calls need no more.
const SCRATCH_KEPT_BYTES: usize = 8 * 1024;

impl<H> Service<H> {
    pub fn new(caller: Caller<H>, scratch: &'static mut Scratch, pool: &'static mut Pool) -> Self {
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
            self.scratch.give_back(SCRATCH_KEPT_BYTES);
            self.scratch_is_warm = false;
        }
    }
}
