//! The end of a program that cannot start, or not go on: one line on standard error, and status 1.

use crate::log;
use crate::sys::fd::Errno;
use crate::sys::process;

/// So much of somebody's bytes is shown: what they should have been must still fit the line.
const VALUE_BYTES_MAX: usize = 200;

/// Status of a process that could not start.
const STATUS: i32 = 1;

/// Status of a process that was started with arguments it does not understand.
pub const USAGE_STATUS: i32 = 2;

/// Status of a process that panicked, as Rust's own.
pub const PANIC_STATUS: i32 = 101;

/// Why a program ends.
#[derive(Clone, Copy, Debug)]
pub struct Why<'a> {
    /// Text, in parts; each is cut at some length.
    pub parts: [&'a [u8]; 5],
    /// What comes after it, if it is a number.
    pub number: Option<u64>,
    /// And what the kernel said.
    pub errno: Option<Errno>,
    pub status: i32,
}

impl<'a> Why<'a> {
    /// A text with up to five parts.
    pub fn text<const COUNT: usize>(parts: [&'a [u8]; COUNT]) -> Self {
        let mut all = [&b""[..]; 5];
        for (place, part) in all.iter_mut().zip(parts) {
            *place = part;
        }
        Self {
            parts: all,
            number: None,
            errno: None,
            status: STATUS,
        }
    }
}

/// What the kernel refused that it never should.
pub fn kernel<T>(doing: &'static [u8], result: Result<T, Errno>) -> T {
    result.unwrap_or_else(|errno| {
        end(Why {
            errno: Some(errno),
            ..Why::text([doing])
        })
    })
}

/// Says why, and ends the process.
#[cold]
#[inline(never)]
pub fn end(why: Why<'_>) -> ! {
    log::complain(|line| {
        for part in why.parts {
            line.put(part.get(..VALUE_BYTES_MAX).unwrap_or(part));
        }
        if let Some(number) = why.number {
            line.put_decimal(number);
        }
        match why.errno {
            None => {}
            Some(Errno::ADDRINUSE) => line.put(b": address already in use"),
            Some(Errno::ACCES) => line.put(b": permission denied"),
            Some(Errno::CONNREFUSED) => line.put(b": connection refused"),
            Some(Errno(number)) => {
                line.put(b": error ");
                line.put_decimal(u64::from(number.unsigned_abs()));
            }
        }
    });
    process::exit(why.status)
}
