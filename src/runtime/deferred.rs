//! Calls that are put off: their numbers, and the descriptor that tells that one can be answered.
//!
//! What is kept here is in statics, because then a program whose handler never puts a call off has none of
//! it. The number of a call leads to its connection: the connection's index in the table is its lower end.
//! Each number is used once, so one that comes late names no other call.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::limits::CONN_COUNT_MAX;

const _: () = assert!(
    CONN_COUNT_MAX.is_power_of_two(),
    "an index must fit below the counter"
);

/// The last number that was given.
static LAST: AtomicU64 = AtomicU64::new(0);

/// Whether the handler's waker is waited for.
static IS_WATCHED: AtomicBool = AtomicBool::new(false);

/// Whether there may be calls that can be answered.
static IS_WOKEN: AtomicBool = AtomicBool::new(false);

/// Notes which connection is served from now on.
pub fn serving(index: usize) {
    let count = LAST.load(Ordering::Relaxed) / CONN_COUNT_MAX as u64;
    LAST.store(number(count, index), Ordering::Relaxed);
}

/// The number of the next call of the connection that is served. It is never zero.
pub fn next_call() -> u64 {
    let call = LAST.load(Ordering::Relaxed) + CONN_COUNT_MAX as u64;
    LAST.store(call, Ordering::Relaxed);
    call
}

/// The connection whose call has that number.
pub fn index(call: u64) -> usize {
    usize::try_from(call % CONN_COUNT_MAX as u64).unwrap_or(0)
}

fn number(count: u64, index: usize) -> u64 {
    count * CONN_COUNT_MAX as u64 + (index % CONN_COUNT_MAX) as u64
}

/// Whether the handler's waker is waited for.
pub fn is_watched() -> bool {
    IS_WATCHED.load(Ordering::Relaxed)
}

/// Notes that the handler's waker is waited for.
pub fn set_watched() {
    IS_WATCHED.store(true, Ordering::Relaxed);
}

/// Whether there may be calls that can be answered: the waker was readable, and the handler has not said
/// since that there are no more.
pub fn is_woken() -> bool {
    IS_WOKEN.load(Ordering::Relaxed)
}

/// Notes whether there may be calls that can be answered.
pub fn set_woken(is_woken: bool) {
    IS_WOKEN.store(is_woken, Ordering::Relaxed);
}
