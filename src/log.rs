//! The function's log: one line, one `write(2)` to standard output; a line longer than a page takes
//! one for each page, as that much is what a pipe can be asked for.
//!
//! A log must never cost a call. A reader that is gone is noticed and nothing is written; one that
//! does not read is waited for once, for a moment, and then lines are dropped until it reads again.

use core::fmt::{self, Write as _};
#[cfg(feature = "command")]
use core::sync::atomic::AtomicU32;
use core::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};

use crate::bytes::{self, Writer};
use crate::calendar::civil;
use crate::limits::{
    ERROR_BYTES_MAX, ERROR_KIND_BYTES_MAX, ERROR_PLACE_BYTES_MAX, LOG_LINE_BYTES_MAX,
};
use crate::sys::clock;
use crate::sys::process::Stream;
use crate::sys::signal;

/// How much a line of a log matters. Every line is written, unless the platform's own setting says
/// from which level on (Lambda: `AWS_LAMBDA_LOG_LEVEL`).
///
/// ```
/// use fnboot::{Context, Level, log};
///
/// fn report(took_ms: u64, cx: &Context<'_>) {
///     let level = if took_ms > 500 { Level::Warn } else { Level::Debug };
///     log!(level, cx, "took {took_ms} ms");
/// }
/// assert!(Level::Debug < Level::Info && Level::Warn < Level::Error);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// For whoever looks for a fault.
    Debug,
    /// What a function does.
    Info,
    /// What it can go on with, but should not have to.
    Warn,
    /// What it cannot go on with.
    Error,
}

impl Level {
    /// The level that Lambda calls so (TRACE, DEBUG, INFO, WARN, ERROR or FATAL), told by its first
    /// letter: a program without entries then has no code for it.
    pub(crate) fn named(name: &[u8]) -> Self {
        match name.first().map(u8::to_ascii_uppercase) {
            Some(b'I') => Self::Info,
            Some(b'W') => Self::Warn,
            Some(b'E' | b'F') => Self::Error,
            _ => Self::Debug,
        }
    }

    fn name(self) -> &'static [u8] {
        match self {
            Self::Debug => b"DEBUG",
            Self::Info => b"INFO",
            Self::Warn => b"WARN",
            Self::Error => b"ERROR",
        }
    }
}

/// Logs a line of a call at [`Level::Debug`]. See [`log!`](crate::log!).
///
/// ```
/// # fn handle(event: &[u8], cx: &fnboot::Context<'_>) {
/// fnboot::debug!(cx, "the event begins with {:?}", event.first());
/// # }
/// ```
#[macro_export]
macro_rules! debug {
    ($cx:expr, $($text:tt)+) => { $crate::log!($crate::Level::Debug, $cx, $($text)+) };
}

/// Logs a line of a call at [`Level::Info`]. See [`log!`](crate::log!).
///
/// ```
/// # fn handle(event: &[u8], cx: &fnboot::Context<'_>) {
/// fnboot::info!(cx, "{} bytes", event.len());
/// # }
/// ```
#[macro_export]
macro_rules! info {
    ($cx:expr, $($text:tt)+) => { $crate::log!($crate::Level::Info, $cx, $($text)+) };
}

/// Logs a line of a call at [`Level::Warn`]. See [`log!`](crate::log!).
///
/// ```
/// # fn handle(event: &[u8], cx: &fnboot::Context<'_>) {
/// fnboot::warn!(cx, "{} bytes are many", event.len());
/// # }
/// ```
#[macro_export]
macro_rules! warn {
    ($cx:expr, $($text:tt)+) => { $crate::log!($crate::Level::Warn, $cx, $($text)+) };
}

/// Logs a line of a call at [`Level::Error`]. See [`log!`](crate::log!).
///
/// ```
/// # fn handle(event: &[u8], cx: &fnboot::Context<'_>) {
/// fnboot::error!(cx, "{} bytes are too many", event.len());
/// # }
/// ```
#[macro_export]
macro_rules! error {
    ($cx:expr, $($text:tt)+) => { $crate::log!($crate::Level::Error, $cx, $($text)+) };
}

/// Logs a line of a call: level, context, and what `format!` takes.
///
/// The line has the form that FC recommends: UTC with milliseconds, request id, level, message. It
/// is cut at 32 KiB, FC's own limit, and is in the hands of the kernel before the answer is.
///
/// ```
/// use fnboot::{Context, Level, log};
///
/// fn handle(event: &[u8], cx: &Context<'_>) {
///     // 2026-11-21T08:29:53.013Z 1-6b015681-851d3021-e23269c78e48 [INFO] 12 bytes
///     log!(Level::Info, cx, "{} bytes", event.len());
/// }
/// ```
#[macro_export]
macro_rules! log {
    ($level:expr, $cx:expr, $($text:tt)+) => {
        $crate::log_entry($cx.id(), $level, ::core::format_args!($($text)+))
    };
}

/// What the lines look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// As FC recommends.
    Text,
    /// The same, but a line break in an entry is a CR, because Lambda ends an event at every LF.
    OneEvent,
    /// One JSON object a line, as Lambda reads it.
    Json,
}

/// The form of all lines, and the lowest level of the entries that are written: both are settings of
/// the process, made before the first call.
static FORM: AtomicU8 = AtomicU8::new(Form::Text as u8);
static LEVEL_MIN: AtomicU8 = AtomicU8::new(Level::Debug as u8);

/// Sets the form of all lines, and the lowest level of the entries that are written.
pub fn configure(form: Form, level_min: Level) {
    FORM.store(form as u8, Ordering::Relaxed);
    LEVEL_MIN.store(level_min as u8, Ordering::Relaxed);
}

/// Whether the lines have that form. Only Lambda has others than `Form::Text`: no other build has the
/// code of them.
fn is(form: Form) -> bool {
    cfg!(feature = "lambda") && FORM.load(Ordering::Relaxed) == form as u8
}

/// Whether lines are JSON.
pub fn is_json() -> bool {
    is(Form::Json)
}

/// Writes one entry; what the macros call.
pub fn entry(request_id: &[u8], level: Level, message: fmt::Arguments<'_>) {
    if (level as u8) < LEVEL_MIN.load(Ordering::Relaxed) {
        return;
    }
    let mut place = [0; SHORT_LINE_BYTES];
    let mut line = Writer::new(&mut place);
    render(request_id, level, message, &mut line);
    line.put(end());
    if line.is_cut() {
        long_entry(request_id, level, message);
    } else {
        write(line.written());
    }
}

const SHORT_LINE_BYTES: usize = 1024;

/// The rare long line gets a large place of its own, so that the others touch little of the stack.
#[allow(clippy::large_stack_arrays, reason = "there is no allocator")]
#[cold]
#[inline(never)]
fn long_entry(request_id: &[u8], level: Level, message: fmt::Arguments<'_>) {
    let mut place = [0; LOG_LINE_BYTES_MAX];
    let end = end();
    let mut line = Writer::new(&mut place[..LOG_LINE_BYTES_MAX - end.len()]);
    render(request_id, level, message, &mut line);
    // Half a character would spoil what reads the line.
    let len = bytes::text(line.written()).len();
    let mut line = Writer::new(&mut place);
    line.skip(len);
    line.put(end);
    write(line.written());
}

/// An entry, but for its end.
fn render(request_id: &[u8], level: Level, message: fmt::Arguments<'_>, line: &mut Writer<'_>) {
    prefix(request_id, level.name(), line);
    // A `Display` that fails leaves what it wrote before: better than no line.
    let _ = Message(line).write_fmt(message);
}

/// Formatted text as part of the message.
struct Message<'a, 'b>(&'a mut Writer<'b>);

impl fmt::Write for Message<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let line = &mut *self.0;
        if is_json() {
            line.put_json(text.as_bytes());
        } else if is(Form::OneEvent) {
            for (index, part) in bytes::split(text.as_bytes(), b'\n').enumerate() {
                line.put(if index > 0 { b"\r" } else { b"" });
                line.put(part);
            }
        } else {
            line.put(text.as_bytes());
        }
        Ok(())
    }
}

/// Room for the line of a failure. In JSON, every byte of an error's type, message and place may need
/// six.
const FAILURE_LINE_BYTES: usize =
    6 * (ERROR_KIND_BYTES_MAX + ERROR_BYTES_MAX + ERROR_PLACE_BYTES_MAX) + 512;

/// Room for a line about the program itself: a panic's message and place, or the value of a setting. It
/// is less than a page, which one `write(2)` takes as a whole.
const COMPLAINT_BYTES: usize = 6 * (ERROR_BYTES_MAX + ERROR_PLACE_BYTES_MAX) + 128;

/// Appends to a line of fnboot's own what somebody sent: it cannot end the line. In JSON, whatever is
/// not UTF-8, and what follows it, is left out.
#[inline(never)]
pub fn quote(text: &[u8], line: &mut Writer<'_>) {
    if is_json() {
        return line.put_json(bytes::text(text).as_bytes());
    }
    for &byte in text {
        line.put(&[if byte.is_ascii_control() { b' ' } else { byte }]);
    }
}

/// Why a call failed: an entry made without formatting, which would be most of a small program.
#[cold]
#[inline]
pub fn failure(request_id: &[u8], kind: &str, message: &[u8], place_of_error: &[u8]) {
    let mut place = [0; FAILURE_LINE_BYTES];
    let mut line = Writer::new(&mut place);
    prefix(request_id, b"ERROR", &mut line);
    quote(kind.as_bytes(), &mut line);
    line.put(b": ");
    quote(message, &mut line);
    if !place_of_error.is_empty() {
        line.put(b" (at ");
        quote(place_of_error, &mut line);
        line.put(b")");
    }
    write(ended(&mut line));
}

/// A line of fnboot's own with its end.
#[inline(never)]
fn ended<'a>(line: &'a mut Writer<'_>) -> &'a [u8] {
    line.put(end());
    debug_assert!(!line.is_cut(), "a line that does not fit");
    line.written()
}

/// What every line ends with.
fn end() -> &'static [u8] {
    if is_json() { b"\"}\n" } else { b"\n" }
}

/// What every line begins with; as text, `2020-03-13T04:06:49.099Z <request id> [INFO] `.
fn prefix(request_id: &[u8], level: &[u8], line: &mut Writer<'_>) {
    let now_ms = clock::epoch_ms();
    let now = civil(now_ms / 1000);
    let numbers = [
        now.year,
        now.month,
        now.day,
        now.hour,
        now.minute,
        now.second,
        (now_ms % 1000) as u32,
    ];
    let form: &[u8] = if is_json() {
        b"{\"timestamp\":\"@\",\"requestId\":\"#\",\"level\":\"!\",\"message\":\""
    } else {
        b"@ # [!] "
    };
    for &byte in form {
        match byte {
            b'@' => line.put_numbers(b"4-2-2T2:2:2.3Z", &numbers),
            b'#' => line.put(request_id),
            b'!' => line.put(level),
            _ => line.push(byte),
        }
    }
}

/// How many bytes standard output is known to take without waiting.
///
/// `poll(2)` says that a pipe is writable when it has a free page. As long as only this process
/// writes, that many bytes can be written without asking again: no call per line.
static CREDIT_BYTES: AtomicUsize = AtomicUsize::new(0);

/// Whether the reader has let a whole wait pass.
static STALLED: AtomicBool = AtomicBool::new(false);

/// Whether what was written last does not end its line.
static LINE_IS_OPEN: AtomicBool = AtomicBool::new(false);

/// Whether writing to a closed pipe is already an error and not the end of the process.
static PIPE_IS_SAFE: AtomicBool = AtomicBool::new(false);

const PAGE_BYTES: usize = 4096;

/// How long a reader that does not read is waited for, once.
const STALL_MS_MAX: u32 = 50;

/// Does what the first line would have to wait for, while nobody waits for an answer yet.
pub fn prepare() {
    let is_safe = signal::ignore_broken_pipe().is_ok();
    PIPE_IS_SAFE.store(is_safe, Ordering::Relaxed);
    if is_safe && is_writable() {
        CREDIT_BYTES.store(PAGE_BYTES, Ordering::Relaxed);
    }
}

/// Writes whole lines. What cannot be written is dropped: nobody is left to be told.
pub fn write(lines: &[u8]) {
    if !PIPE_IS_SAFE.swap(true, Ordering::Relaxed) && signal::ignore_broken_pipe().is_err() {
        return;
    }
    // If the last line was cut off, end it first: this one must not continue it.
    let is_open = LINE_IS_OPEN.load(Ordering::Relaxed);
    if !is_open || write_piece(b"\n") {
        write_pieces(lines);
    }
}

/// Writes page by page. The first piece that is dropped ends it.
fn write_pieces(text: &[u8]) {
    let mut done = 0;
    while let Some(rest @ [_, ..]) = text.get(done..) {
        let piece = rest.get(..PAGE_BYTES).unwrap_or(rest);
        if !write_piece(piece) {
            return;
        }
        done += piece.len();
    }
}

/// Whose line it is that does not end, if it is one that was passed on.
#[cfg(feature = "command")]
static LINE_OWNER: AtomicU32 = AtomicU32::new(0);

/// Passes on what `owner`, which is not zero, has written to its log, as it is: whole lines, or a part of one.
/// What others write meanwhile stands on lines of its own.
#[cfg(feature = "command")]
pub fn pass(text: &[u8], owner: u32) {
    if LINE_OWNER.swap(owner, Ordering::Relaxed) == owner {
        // It goes on with its own line, which others have ended if they wrote since.
        write_pieces(text);
    } else {
        write(text);
        LINE_OWNER.store(owner, Ordering::Relaxed);
    }
}

/// A line of a program's log, as an entry. Out of line, because its place is nothing that lines which are passed on
/// should touch.
#[cfg(feature = "command")]
#[inline(never)]
pub fn line(request_id: &[u8], text: &[u8]) {
    let mut place = [0; PASSED_LINE_BYTES];
    let len = place.len() - end().len();
    let mut line = Writer::new(bytes::slice_mut(&mut place, 0..len));
    prefix(request_id, b"INFO", &mut line);
    quote(text, &mut line);
    let len = line.written().len();
    let mut line = Writer::new(&mut place);
    line.skip(len);
    line.put(end());
    write(line.written());
}

/// Longest line of a program's log as an entry; the rest is cut.
#[cfg(feature = "command")]
const PASSED_LINE_BYTES: usize = 8 * 1024;

/// Writes up to a page; whether it was taken.
fn write_piece(piece: &[u8]) -> bool {
    let mut credit = CREDIT_BYTES.load(Ordering::Relaxed);
    if credit < piece.len() {
        if !is_writable() {
            return false;
        }
        credit = PAGE_BYTES;
    }
    let is_taken = Stream::Stdout.write(piece).is_ok();
    let left = if is_taken { credit - piece.len() } else { 0 };
    CREDIT_BYTES.store(left, Ordering::Relaxed);
    if is_taken {
        LINE_IS_OPEN.store(!matches!(piece, [.., b'\n']), Ordering::Relaxed);
    }
    is_taken
}

fn is_writable() -> bool {
    let patience_ms = if STALLED.load(Ordering::Relaxed) {
        0
    } else {
        STALL_MS_MAX
    };
    let is_writable = Stream::Stdout.is_writable(patience_ms);
    STALLED.store(!is_writable, Ordering::Relaxed);
    is_writable
}

/// One line about the program itself, to standard error: why it does not start, where it broke.
pub fn complain(level: &[u8], write: impl FnOnce(&mut Writer<'_>)) {
    let mut place = [0; COMPLAINT_BYTES];
    let mut line = Writer::new(&mut place);
    begin_complaint(level, &mut line);
    write(&mut line);
    end_complaint(&mut line);
}

fn begin_complaint(level: &[u8], line: &mut Writer<'_>) {
    if is_json() {
        prefix(b"", level, line);
    }
    line.put(b"fnboot: ");
}

fn end_complaint(line: &mut Writer<'_>) {
    let line = ended(line);
    // Or a closed stream would end the process before its own exit status could.
    let _ = signal::ignore_broken_pipe();
    // A reader that does not read must not keep a process that is about to end.
    if Stream::Stderr.is_writable(STALL_MS_MAX) {
        // An error, such as a full disk, can be reported nowhere.
        let _ = Stream::Stderr.write(line);
    }
}
