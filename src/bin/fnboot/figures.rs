//! What a call cost, in the words of FC's summary line, which the tool uses for every platform.

use std::fmt;
use std::time::Duration;

/// The figures of one call.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Figures {
    /// Measured around the call: from the first byte sent to the last byte received.
    pub(crate) duration: Duration,
    /// What the function may use.
    pub(crate) memory_mb: u32,
    /// Most resident memory that the instance held so far.
    pub(crate) memory_peak_bytes: u64,
}

impl Figures {
    pub(crate) fn duration_ms(&self) -> f64 {
        self.duration.as_secs_f64() * 1e3
    }

    /// The platform bills by the millisecond, rounded up.
    pub(crate) fn billed_ms(&self) -> u128 {
        self.duration.as_nanos().div_ceil(1_000_000)
    }

    #[expect(clippy::cast_precision_loss, reason = "shown with two decimals")]
    pub(crate) fn memory_peak_mb(&self) -> f64 {
        self.memory_peak_bytes as f64 / f64::from(1 << 20)
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Duration: {:.2} ms, Billed Duration: {} ms, Memory Size: {} MB, Max Memory Used: {:.2} MB",
            self.duration_ms(),
            self.billed_ms(),
            self.memory_mb,
            self.memory_peak_mb(),
        )
    }
}
