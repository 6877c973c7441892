//! Types of failures that are only known once a program has failed.
//!
//! An [`Error`](crate::handler::Error) has a type that lives as long as the program, because a handler that
//! is Rust has one in its code. [`Kinds`] keeps those of programs as long: there are few of them, and the
//! same one always is the same place. [`failure_line`] finds them in what a program wrote.

use core::mem::{self, MaybeUninit};

use crate::bytes;
use crate::limits::ERROR_KIND_BYTES_MAX;
use crate::sys::memory::List;

/// How many types are kept.
const KIND_COUNT_MAX: usize = 32;

/// How long all of them may be together.
const KINDS_BYTES: usize = 4096;

/// What a failure has for a type whose own cannot be kept.
const OTHER: &str = "Error";

/// Where types are kept.
#[derive(Debug)]
pub struct Place {
    bytes: [u8; KINDS_BYTES],
    seen: [MaybeUninit<&'static str>; KIND_COUNT_MAX],
}

impl Place {
    pub const EMPTY: Self = Self {
        bytes: [0; KINDS_BYTES],
        seen: [MaybeUninit::uninit(); KIND_COUNT_MAX],
    };
}

/// Types that were seen, in a place of their own.
#[derive(Debug)]
pub struct Kinds {
    seen: List<&'static str>,
    /// What of the place is not taken.
    free: &'static mut [u8],
}

impl Kinds {
    /// None seen yet.
    pub fn new(place: &'static mut Place) -> Self {
        Self {
            seen: List::new(&mut place.seen),
            free: &mut place.bytes,
        }
    }

    /// The type `text`, cut at the bound of a type and where it is no longer UTF-8. `Error` if nothing is
    /// left of it, or if there is no room for one more.
    pub fn keep(&mut self, text: &[u8]) -> &'static str {
        let text = text.get(..ERROR_KIND_BYTES_MAX).unwrap_or(text);
        let text = bytes::text(text);
        if text.is_empty() {
            return OTHER;
        }
        if let Some(seen) = self.seen.iter().find(|seen| **seen == text) {
            return seen;
        }
        if text.len() > self.free.len() {
            return OTHER;
        }
        let free = mem::take(&mut self.free);
        let (place, rest) = free.split_at_mut_checked(text.len()).unwrap_or_default();
        bytes::copy(place, text.as_bytes());
        self.free = rest;
        self.seen
            .push(bytes::text(place))
            .map_or(OTHER, |seen| *seen)
    }
}

/// Type and message of a failure, if the last line that `written` has, and that is not empty, has the form
/// `Type: message`.
///
/// A program rather begins that line with its name than with a type: `cat: x: No such file or directory`.
/// So what counts as a type looks like one. It is a name of ASCII letters, digits, `_` and `$`, or several
/// of them joined by `.`, `\` or `::`, and begins with a letter. And one of these is true:
///
/// - It ends with `Error` or `error`.
/// - There is a `::` in it.
/// - Its last name begins with a capital letter and has a small one (`NotFound`; not the levels of a log,
///   `ERROR`), and is none of the [`WORDS`] that people write there for other reasons.
pub fn failure_line(written: &[u8]) -> Option<(&[u8], &[u8])> {
    let line = last_line(written)?;
    let (mut len, mut start) = (0, 0);
    loop {
        len += match line.get(len..)? {
            [b':', b' ', ..] => break,
            [b':', b':', ..] => 2,
            [b'.' | b'\\', ..] => 1,
            [byte, ..] if byte.is_ascii_alphanumeric() || bytes::has(b"_$", *byte) => {
                len += 1;
                continue;
            }
            _ => return None,
        };
        start = len;
    }
    let kind = bytes::slice(line, 0..len);
    let last = bytes::slice(line, start..len);
    let is_name = || {
        last.first().is_some_and(u8::is_ascii_uppercase)
            && last.iter().any(u8::is_ascii_lowercase)
            && !bytes::is_listed(WORDS, bytes::text(last))
    };
    let is_type = kind.ends_with(b"rror") || bytes::has(kind, b':') || is_name();
    let message = bytes::slice(line, len + 2..line.len());
    (is_type && kind.first()?.is_ascii_alphabetic()).then_some((kind, bytes::trim(message)))
}

/// Type and message of a line that a shim writes: it has both.
pub fn parts(line: &[u8]) -> (&[u8], &[u8]) {
    let mut rest = line;
    let kind = bytes::take_part(&mut rest, b':').unwrap_or_default();
    (kind, bytes::trim(rest))
}

/// What looks like a type and is none.
const WORDS: &[u8] = b"debug deprecated fatal hint info note notice usage warning";

/// The last line that is not blank, without blanks at its ends.
fn last_line(text: &[u8]) -> Option<&[u8]> {
    let text = text.trim_ascii_end();
    let line = text.rsplit(|&byte| byte == b'\n').next();
    line.map(bytes::trim).filter(|line| !line.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::format;
    use std::string::String;
    use std::vec;

    /// None yet, with room for so many bytes.
    fn kinds(len: usize) -> Kinds {
        let seen = vec![MaybeUninit::uninit(); KIND_COUNT_MAX];
        Kinds {
            seen: List::new(seen.leak()),
            free: vec![0; len].leak(),
        }
    }

    #[test]
    fn the_same_text_is_the_same_place() {
        let mut kinds = kinds(64);
        let first = kinds.keep(b"ValueError");
        let other = kinds.keep(b"KeyError");
        let again = kinds.keep(b"ValueError");
        assert_eq!((first, other), ("ValueError", "KeyError"));
        assert_eq!(first.as_ptr(), again.as_ptr());
        assert_ne!(first.as_ptr(), other.as_ptr());
        // The beginning of another is one of its own.
        assert_eq!(kinds.keep(b"Value"), "Value");
        assert_eq!(kinds.keep(b"ValueErrors"), "ValueErrors");
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let mut small = kinds(10);
        assert_eq!(small.keep(b"12345678901"), "Error");
        assert_eq!(small.keep(b"123456"), "123456");
        assert_eq!(small.keep(b"12345"), "Error");
        assert_eq!(small.keep(b"1234"), "1234");
        assert_eq!(small.keep(b"1"), "Error");
        assert_eq!(small.keep(b"123456"), "123456");
        let mut large = kinds(4096);
        for number in 0..KIND_COUNT_MAX + 2 {
            let name = format!("E{number}");
            let want = if number < KIND_COUNT_MAX {
                &name
            } else {
                "Error"
            };
            assert_eq!(large.keep(name.as_bytes()), want);
        }
        assert_eq!(large.keep(b"E0"), "E0");
        assert_eq!(large.keep(b"E31"), "E31");
        assert_eq!(kinds(0).keep(b"E"), "Error");
    }

    #[test]
    fn what_is_no_type_is_cut() {
        let mut kinds = kinds(4096);
        assert_eq!(kinds.keep(b""), "Error");
        assert_eq!(kinds.keep(b"\xff"), "Error");
        assert_eq!(kinds.keep(b"Value\xffError"), "Value");
        let long = "x".repeat(ERROR_KIND_BYTES_MAX);
        assert_eq!(kinds.keep(format!("{long}y").as_bytes()), long);
        let cut = String::from(&long[1..]);
        assert_eq!(kinds.keep(format!("{cut}\u{e9}").as_bytes()), cut);
    }

    #[track_caller]
    fn check(written: &str, want: Option<(&str, &str)>) {
        let want = want.map(|(kind, message)| (kind.as_bytes(), message.as_bytes()));
        assert_eq!(failure_line(written.as_bytes()), want, "{written:?}");
    }

    #[test]
    fn types_are_found() {
        for (line, kind, message) in [
            ("Error: x", "Error", "x"),
            ("ValueError: bad", "ValueError", "bad"),
            ("error: could not compile", "error", "could not compile"),
            ("socket.error: timed out", "socket.error", "timed out"),
            ("NotFound: no such user", "NotFound", "no such user"),
            ("Timeout: 5 s: over", "Timeout", "5 s: over"),
            ("Errno2: x", "Errno2", "x"),
            ("KeyError: 'a: b'", "KeyError", "'a: b'"),
            ("Foo\\Bar: y", "Foo\\Bar", "y"),
            ("std::runtime_error: z", "std::runtime_error", "z"),
            (
                "std::bad_alloc: std::bad_alloc",
                "std::bad_alloc",
                "std::bad_alloc",
            ),
            ("Net::HTTP::Bad: z", "Net::HTTP::Bad", "z"),
            (
                "java.lang.RuntimeException: x",
                "java.lang.RuntimeException",
                "x",
            ),
            ("a.Outer$Inner: x", "a.Outer$Inner", "x"),
            (
                "subprocess.TimeoutExpired: Command 'x'",
                "subprocess.TimeoutExpired",
                "Command 'x'",
            ),
            ("my_error: x", "my_error", "x"),
            ("Error:   x  ", "Error", "x"),
            ("Error: \u{e9}", "Error", "\u{e9}"),
        ] {
            check(line, Some((kind, message)));
        }
    }

    #[test]
    fn other_lines_are_none() {
        for line in [
            "",
            ":",
            ": ",
            ": x",
            "Error",
            "Error:",
            "Error: ",
            "Error:x",
            "bash: line 1: foo: command not found",
            "./Hello.sh: line 1: foo: command not found",
            "Hello.sh: line 1: foo: command not found",
            "cat: x: No such file or directory",
            "sh: 1: foo: not found",
            "curl: (6) Could not resolve host: Example",
            "http://example.com: x",
            "Http://example.com: x",
            "C:\\Program: x",
            "12:30: x",
            "2026-11-27 Error: x",
            "5xx: x",
            "_Error: x",
            "ERROR: x",
            "FATAL: x",
            "E: Unable to locate package",
            "INFO: done",
            "Usage: x [y]",
            "Warning: x",
            "fatal: not a git repository",
            "npm ERR! code: E404",
            "PHP Fatal error:  Uncaught Exception: x",
            "Exception in thread \"main\" java.lang.Error: x",
            "Main.java:3: error: x",
            "node:internal/modules/cjs/loader:1143",
            "  what():  x",
            "Segmentation fault (core dumped)",
            "Error\u{e9}: x",
            "(Error): x",
            "-Error: x",
        ] {
            check(line, None);
        }
    }

    #[test]
    fn parts_of_a_reply() {
        for (line, kind, message) in [
            ("ValueError: a: b", "ValueError", "a: b"),
            ("Foo\\Bar: y ", "Foo\\Bar", "y"),
            ("Error:", "Error", ""),
            ("Error", "Error", ""),
            ("", "", ""),
        ] {
            assert_eq!(
                parts(line.as_bytes()),
                (kind.as_bytes(), message.as_bytes())
            );
        }
    }

    #[test]
    fn the_last_line_counts() {
        let want = Some(("KeyError", "'b'"));
        check("Traceback:\n  File \"a\"\nKeyError: 'b'\n", want);
        check("ValueError: a\nKeyError: 'b'\r\n\r\n \t\n", want);
        check("KeyError: 'b'", want);
        check("  KeyError: 'b'", want);
        check("KeyError: 'b'\nbye", None);
        check("KeyError: 'b'\n\tat main()\n", None);
    }
}
