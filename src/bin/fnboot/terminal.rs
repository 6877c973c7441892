//! What people read: standard error, so that standard output is the result and nothing else.
//!
//! A reader that went away must not end a call, so failures to write are ignored here and only here.

use std::fmt::Arguments;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::{AtomicBool, Ordering};

/// False while what was last written, by the function or to standard output, ends in the middle of a
/// line.
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

/// What was written to standard output, which must stay as it is: if standard error goes to the same
/// place, the next line there has to begin with the end of this one.
pub(crate) fn beside(output: &[u8]) {
    if let Some(last) = output.last()
        && is_one_place().unwrap_or(false)
    {
        AT_LINE_START.store(*last == b'\n', Ordering::Relaxed);
    }
}

/// Whether standard output and standard error are the same file, pipe or terminal.
fn is_one_place() -> io::Result<bool> {
    let out = File::from(io::stdout().as_fd().try_clone_to_owned()?).metadata()?;
    let error = File::from(io::stderr().as_fd().try_clone_to_owned()?).metadata()?;
    Ok((out.dev(), out.ino()) == (error.dev(), error.ino()))
}
