//! Time, to the tick of the kernel's timer (1 to 4 ms), which costs no system call.

/// Milliseconds since the Unix epoch.
#[must_use]
pub fn epoch_ms() -> u64 {
    now_ms(libc::CLOCK_REALTIME_COARSE)
}

/// Milliseconds on a clock that is never set.
#[must_use]
pub fn monotonic_ms() -> u64 {
    now_ms(libc::CLOCK_MONOTONIC_COARSE)
}

fn now_ms(clock: libc::clockid_t) -> u64 {
    let mut now = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // clock_gettime(2) fails only for a clock that does not exist; then the time stays zero.
    // SAFETY: `now` is exclusively borrowed and lives through the call.
    unsafe { libc::clock_gettime(clock, &raw mut now) };
    now.tv_sec.cast_unsigned() * 1000 + now.tv_nsec.cast_unsigned() / 1_000_000
}
