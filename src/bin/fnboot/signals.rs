//! The signals by which a person or a supervisor ends the tool.

use std::io;
use std::process::ExitCode;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Caught from `listen` on, so that no instance can outlive the tool by accident: the instance has
/// a process group of its own, and a terminal's Ctrl-C does not reach it.
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    pub(crate) fn listen() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for the first of them.
    pub(crate) async fn next(&mut self) -> SignalKind {
        tokio::select! {
            _ = self.interrupt.recv() => SignalKind::interrupt(),
            _ = self.terminate.recv() => SignalKind::terminate(),
            _ = self.hangup.recv() => SignalKind::hangup(),
        }
    }
}

/// The shell's convention: 128 and the number of the signal.
pub(crate) fn exit_code(kind: SignalKind) -> ExitCode {
    ExitCode::from(u8::try_from(128 + kind.as_raw_value()).unwrap_or(u8::MAX))
}
