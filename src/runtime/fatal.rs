//! The end of a program that cannot start, or not go on: one line on standard error, and a status.
//! And a line about what is odd, which ends nothing.

use super::settings;
use crate::bytes;
#[cfg(feature = "std")]
use crate::handler::Error;
use crate::log;
use crate::sys::fd::Errno;
use crate::sys::process;

/// So much of somebody's bytes is shown: what they should have been must still fit the line.
const VALUE_BYTES_MAX: usize = 200;

/// Status of a process that could not start, or not go on.
pub const STATUS: i32 = 1;

/// Status of a process that was started with arguments it does not understand.
const USAGE_STATUS: i32 = 2;

/// Status of a process that panicked, as Rust's own.
const PANIC_STATUS: i32 = 101;

/// Ends the process. In `text`, `$` stands for the value.
pub fn value(text: &'static str, value: &[u8]) -> ! {
    end(STATUS, text, value, 0, Errno(0))
}

/// Says why the process is about to end. In `text`, `$` stands for the value.
pub fn tell_value(text: &'static str, value: &[u8]) {
    say(b"FATAL", text, value, 0, Errno(0));
}

/// The same. In `text`, `#` stands for the number.
pub fn tell_number(text: &'static str, number: u64) {
    say(b"FATAL", text, b"", number, Errno(0));
}

/// Ends the process. In `text`, `#` stands for the port, and `!` for what the kernel said.
pub fn port(text: &'static str, port: u16, errno: Errno) -> ! {
    end(STATUS, text, b"", u64::from(port), errno)
}

/// Ends the process over an argument, for which `$` stands.
pub fn usage(text: &'static str, argument: &[u8]) -> ! {
    end(USAGE_STATUS, text, argument, 0, Errno(0))
}

/// Ends the process over a panic in that line of that file.
pub fn panic(file: &str, line: u32) -> ! {
    let number = u64::from(line);
    end(
        PANIC_STATUS,
        "panic at $:#",
        file.as_bytes(),
        number,
        Errno(0),
    )
}

/// What the kernel gave, or the end of the process if it refused what it never should.
pub fn kernel<T>(text: &'static str, result: Result<T, Errno>) -> T {
    result.unwrap_or_else(|errno| end(STATUS, text, b"", 0, errno))
}

/// Says something that ends nothing. In `text`, `$` stands for the value.
pub fn warn(text: &'static str, value: &[u8]) {
    say(b"WARN", text, value, 0, Errno(0));
}

/// Says that a handler panicked, of which only that call fails.
#[cfg(feature = "std")]
pub fn caught(panic: &Error) {
    log::complain(b"ERROR", |line| {
        line.put(b"panic at ");
        log::quote(panic.place_bytes(), line);
        line.put(b": ");
        log::quote(panic.message_bytes(), line);
    });
}

#[cold]
#[inline(never)]
fn end(status: i32, text: &'static str, value: &[u8], number: u64, errno: Errno) -> ! {
    say(b"FATAL", text, value, number, errno);
    process::exit(status)
}

#[cold]
#[inline(never)]
fn say(level: &[u8], text: &'static str, value: &[u8], number: u64, errno: Errno) {
    // The line may come before the settings are read, and a filter of JSON drops all others.
    settings::configure_log();
    let value = value
        .get(..VALUE_BYTES_MAX)
        .map_or(value, |part| bytes::text(part).as_bytes());
    log::complain(level, |line| {
        for &byte in text.as_bytes() {
            match byte {
                b'$' => log::quote(value, line),
                b'#' => line.put_decimal(number),
                b'!' => match errno {
                    Errno::ADDRINUSE => line.put(b"address already in use"),
                    Errno::ACCES => line.put(b"permission denied"),
                    Errno::CONNREFUSED => line.put(b"connection refused"),
                    Errno(number) => {
                        line.put(b"error ");
                        line.put_decimal(u64::from(number.unsigned_abs()));
                    }
                },
                _ => line.put(&[byte]),
            }
        }
    });
}
