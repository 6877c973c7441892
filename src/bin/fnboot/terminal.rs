//! What people read: standard error, so that standard output is the result and nothing else.
//!
//! A reader that went away must not end a call, so failures to write are ignored here and only here.

use std::fmt::Arguments;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};

/// False while the function's last output ended in the middle of a line.
static AT_LINE_START: AtomicBool = AtomicBool::new(true);

/// One line of the tool's own, never glued to an unfinished line of the function.
pub(crate) fn say(line: Arguments<'_>) {
    let start = if AT_LINE_START.swap(true, Ordering::Relaxed) {
        ""
    } else {
        "\n"
    };
    // One buffer, so that one write reaches the terminal; see the module for why it may fail.
    let _ = io::stderr()
        .lock()
        .write_all(format!("{start}{line}\n").as_bytes());
}

/// The function's own output, as it came.
pub(crate) fn relay(output: &[u8]) {
    let Some(last) = output.last() else { return };
    AT_LINE_START.store(*last == b'\n', Ordering::Relaxed);
    // See the module for why it may fail.
    let _ = io::stderr().lock().write_all(output);
}
