//! When a connection goes on that nothing wakes.

use crate::limits::{GRACE_MS_MAX, GRACE_MS_MIN};
use crate::sys::clock::{self, NEVER};

/// When a call fails that has no answer: so long before the platform ends it that the platform still takes
/// that.
pub fn deadline_ms(remaining_ms: Option<u64>) -> u64 {
    remaining_ms.map_or(NEVER, |left_ms| {
        let grace_ms = (left_ms / 20).clamp(GRACE_MS_MIN, GRACE_MS_MAX);
        later_ms(left_ms.saturating_sub(grace_ms))
    })
}

/// The moment that is so many milliseconds from now.
pub fn later_ms(time_ms: u64) -> u64 {
    // Rounded up by one: the clock is one that ticks.
    clock::monotonic_ms()
        .saturating_add(time_ms)
        .saturating_add(1)
        .min(NEVER - 1)
}
