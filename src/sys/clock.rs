//! Time, by a system call, though the kernel offers a way without (vdso(7)): to find that costs two
//! page faults at the first call of a cold start, and the time is asked for only once a tick of the
//! loop, for a line of the log, and where a handler asks how long it has left.

use super::call::call3;

/// A moment, or a time to wait, that does not end.
pub const NEVER: u64 = u64::MAX;

/// Milliseconds since the Unix epoch. To the millisecond, not to the tick of the kernel's timer (up
/// to 4 ms): else a line of the log could seem to be older than the call that it is about.
pub fn epoch_ms() -> u64 {
    now_ms(libc::CLOCK_REALTIME)
}

/// Milliseconds on a clock that is never set, to the tick of the kernel's timer.
pub fn monotonic_ms() -> u64 {
    now_ms(libc::CLOCK_MONOTONIC_COARSE)
}

#[inline(never)]
fn now_ms(clock: libc::clockid_t) -> u64 {
    let mut now = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // clock_gettime(2) fails only for a clock that does not exist; then the time stays zero.
    // SAFETY: `now` is exclusively borrowed and lives through the call.
    unsafe {
        call3(
            libc::SYS_clock_gettime,
            clock as usize,
            (&raw mut now).expose_provenance(),
            0,
        )
    };
    now.tv_sec.cast_unsigned() * 1000 + now.tv_nsec.cast_unsigned() / 1_000_000
}
