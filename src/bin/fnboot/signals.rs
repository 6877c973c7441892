//! The signals by which a person or a supervisor ends the tool.

use std::fs;
use std::future::poll_fn;
use std::io;
use std::process::ExitCode;
use std::task::Poll;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Caught from `listen` on, so that the tool ends its programs: they have process groups of their own,
/// and a terminal's Ctrl-C does not reach them.
pub(crate) struct Signals(Vec<(SignalKind, Signal)>);

impl Signals {
    pub(crate) fn listen() -> io::Result<Self> {
        let kinds = [
            SignalKind::interrupt(),
            SignalKind::terminate(),
            SignalKind::hangup(),
            SignalKind::quit(),
        ];
        // Whoever started the tool may not want it to end by some, as `nohup` does.
        let ignored = ignored();
        let is_wanted = |kind: &SignalKind| ignored >> (kind.as_raw_value() - 1) & 1 == 0;
        let kinds = kinds.into_iter().filter(is_wanted);
        let signals = kinds.map(|kind| Ok((kind, signal(kind)?)));
        signals.collect::<io::Result<_>>().map(Self)
    }

    /// Waits for the first of them.
    pub(crate) async fn next(&mut self) -> SignalKind {
        poll_fn(|context| {
            for (kind, signal) in &mut self.0 {
                if signal.poll_recv(context).is_ready() {
                    return Poll::Ready(*kind);
                }
            }
            Poll::Pending
        })
        .await
    }
}

/// The signals that were ignored when the tool started, each a bit.
fn ignored() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mut lines = status.lines();
    let ignored = lines.find_map(|line| line.strip_prefix("SigIgn:"));
    ignored.map_or(0, |bits| u64::from_str_radix(bits.trim(), 16).unwrap_or(0))
}

/// The shell's convention: 128 and the number of the signal.
pub(crate) fn exit_code(kind: SignalKind) -> ExitCode {
    ExitCode::from(u8::try_from(128 + kind.as_raw_value()).unwrap_or(u8::MAX))
}
