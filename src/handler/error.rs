//! Why a call failed: [`Error`], the one error that a handler makes.
//!
//! It holds its message itself, because nothing allocates here. It never decides how the caller is
//! told: that is the dialect of a platform.

use core::fmt::{self, Write as _};
use core::panic::Location;

use crate::bytes::{self, Writer};
use crate::limits::{ERROR_BYTES_MAX, ERROR_KIND_BYTES_MAX, ERROR_PLACE_BYTES_MAX};

/// Why a call failed: a type, a message, and where it was made.
///
/// It needs no allocation: a message longer than 512 bytes is cut, and so is a type longer than 320.
/// `?` turns every [`core::error::Error`] into one; its type is then the name of that error's Rust type.
///
/// ```
/// use fnboot::Error;
///
/// fn parse(event: &[u8]) -> Result<u32, Error> {
///     if event.is_empty() {
///         return Err(Error::new("EmptyEvent", "an event must have a number in it"));
///     }
///     let number = core::str::from_utf8(event)?.parse::<u32>()?;
///     if number > 100 {
///         return Err(Error::new("TooLarge", format_args!("{number} is over 100")));
///     }
///     Ok(number)
/// }
///
/// assert_eq!(parse(b"42").unwrap(), 42);
/// assert_eq!(parse(b"101").unwrap_err().message(), "101 is over 100");
/// assert_eq!(parse(b"x").unwrap_err().kind(), "core::num::error::ParseIntError");
/// ```
#[derive(Clone)]
pub struct Error {
    kind: &'static str,
    text: Text,
}

#[derive(Clone)]
enum Text {
    /// A message that is there already, made nowhere in particular.
    Fixed(&'static str),
    Written {
        bytes: [u8; ERROR_BYTES_MAX + ERROR_PLACE_BYTES_MAX],
        /// Invariant: `bytes[..message_len]` is UTF-8.
        message_len: usize,
        /// Invariant: `bytes[message_len..][..trace_len]` is UTF-8.
        trace_len: usize,
    },
}

impl Error {
    /// An error of that type with a message: text, or `format_args!(…)`, or anything that can be
    /// displayed.
    #[must_use]
    #[track_caller]
    pub fn new(kind: &'static str, message: impl fmt::Display) -> Self {
        let place = Location::caller();
        Self::at(kind, message, format_args!("{place}"))
    }

    /// An error with a message that needs no formatting, which would be most of a small binary.
    pub(crate) fn fixed(kind: &'static str, message: &'static str) -> Self {
        let text = Text::Fixed(message);
        Self { kind, text }
    }

    /// An error whose message is made of `parts`, without formatting, and made nowhere in particular. Where they
    /// are not UTF-8, each byte that is not ASCII becomes a question mark.
    #[cfg(feature = "command")]
    #[cold]
    pub(crate) fn of(kind: &'static str, parts: &[&[u8]]) -> Self {
        let mut bytes = [0; ERROR_BYTES_MAX + ERROR_PLACE_BYTES_MAX];
        let mut message = Writer::new(&mut bytes[..ERROR_BYTES_MAX]);
        for part in parts {
            message.put(part);
        }
        let (len, is_cut) = (message.written().len(), message.is_cut());
        let message = bytes::slice_mut(&mut bytes, 0..len);
        let mut message_len = bytes::text(message).len();
        // Whatever a cut has left of a character is at most three bytes.
        if message_len + if is_cut { 3 } else { 0 } < len {
            for byte in message.iter_mut().filter(|byte| !byte.is_ascii()) {
                *byte = b'?';
            }
            message_len = len;
        }
        let text = Text::Written {
            bytes,
            message_len,
            trace_len: 0,
        };
        Self { kind, text }
    }

    /// An error that was made at `place`.
    #[cold]
    #[inline(never)]
    pub(crate) fn at(
        kind: &'static str,
        message: impl fmt::Display,
        place: impl fmt::Display,
    ) -> Self {
        let mut bytes = [0; ERROR_BYTES_MAX + ERROR_PLACE_BYTES_MAX];
        let message_len = display(message, &mut bytes[..ERROR_BYTES_MAX]);
        let room = &mut bytes[message_len..];
        let room_len = room.len().min(ERROR_PLACE_BYTES_MAX);
        let trace_len = display(place, &mut room[..room_len]);
        let text = Text::Written {
            bytes,
            message_len,
            trace_len,
        };
        let kind = kind.as_bytes();
        let kind = bytes::text(kind.get(..ERROR_KIND_BYTES_MAX).unwrap_or(kind));
        Self { kind, text }
    }

    /// The error's type: `errorType` in the answer.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        self.kind
    }

    /// What is wrong: `errorMessage` in the answer.
    #[must_use]
    pub fn message(&self) -> &str {
        bytes::text(self.message_bytes())
    }

    /// Where it was made, `file:line:column`: the one line of `stackTrace` in the answer.
    #[must_use]
    pub fn place(&self) -> &str {
        bytes::text(self.place_bytes())
    }

    /// [`message`](Error::message), where nobody needs to be told again that it is UTF-8.
    pub(crate) fn message_bytes(&self) -> &[u8] {
        match &self.text {
            Text::Fixed(message) => message.as_bytes(),
            Text::Written {
                bytes, message_len, ..
            } => bytes::slice(bytes, 0..*message_len),
        }
    }

    /// The same of [`place`](Error::place).
    pub(crate) fn place_bytes(&self) -> &[u8] {
        match &self.text {
            Text::Fixed(_) => b"",
            Text::Written {
                bytes,
                message_len,
                trace_len,
            } => bytes::slice(bytes, *message_len..*message_len + *trace_len),
        }
    }
}

/// What there is to say of a call that is answered later, beside its response or its error.
#[derive(Clone, Copy, Debug)]
pub struct Report<'a> {
    /// The failure as JSON, which is sent as it is; it is made of the error where this is empty.
    pub json: &'a [u8],
    /// The status of a failure, to an HTTP request.
    pub status: u16,
    /// The head of another server's response, which is passed on; empty if there is none.
    pub(crate) passed: &'a [u8],
    /// How long the body is that the response's is the beginning of, if that is known; or, for `HEAD`, would be.
    body_bytes: Option<u64>,
    /// Whether the head that was written has a `Date`.
    has_date: bool,
}

impl Report<'_> {
    /// Nothing.
    pub const NONE: Self = Self {
        json: b"",
        status: 500,
        passed: b"",
        body_bytes: None,
        has_date: false,
    };
}

/// What only a response that is passed on needs: other builds have no code for it.
impl Report<'_> {
    pub(crate) fn body_bytes(&self) -> Option<u64> {
        self.body_bytes.filter(|_| cfg!(feature = "web"))
    }

    #[cfg(feature = "web")]
    pub(crate) fn set_body_bytes(&mut self, body_bytes: Option<u64>) {
        self.body_bytes = body_bytes;
    }

    pub(crate) fn has_date(&self) -> bool {
        cfg!(feature = "web") && self.has_date
    }

    pub(crate) fn set_has_date(&mut self, has_date: bool) {
        self.has_date = has_date;
    }
}

/// Writes `text` to the front of `place` and returns its length, cut where a character ends.
fn display(text: impl fmt::Display, place: &mut [u8]) -> usize {
    let mut writer = Writer::new(place);
    // A `Display` that fails leaves what it wrote before: better than no message.
    let _ = write!(writer, "{text}");
    bytes::text(writer.finish()).len()
}

impl<E: core::error::Error> From<E> for Error {
    #[track_caller]
    fn from(error: E) -> Self {
        let place = Location::caller();
        Self::at(core::any::type_name::<E>(), error, format_args!("{place}"))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.kind, self.message())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{self} (at {})", self.place())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::borrow::ToOwned;
    use std::format;

    #[test]
    fn messages_are_cut_between_characters() {
        let error = Error::new("Long", "é".repeat(ERROR_BYTES_MAX));
        assert_eq!(error.message().len(), ERROR_BYTES_MAX);
        let error = Error::new("Long", format!("x{}", "é".repeat(ERROR_BYTES_MAX)));
        assert_eq!(error.message().len(), ERROR_BYTES_MAX - 1);
        assert!(error.place().contains("error.rs:"), "{}", error.place());
    }

    #[test]
    fn types_are_cut_between_characters() {
        let name: &str = "x".repeat(ERROR_KIND_BYTES_MAX - 1).leak();
        for (kind, want) in [
            ("", name.to_owned()),
            ("y", format!("{name}y")),
            ("yz", format!("{name}y")),
            ("é", name.to_owned()),
        ] {
            let kind = format!("{name}{kind}").leak();
            assert_eq!(Error::new(kind, "").kind(), want);
        }
    }

    #[test]
    fn conversion_names_type_and_place() {
        fn parse() -> Result<u8, Error> {
            Ok("x".parse::<u8>()?)
        }
        let error = parse().expect_err("not a number");
        assert_eq!(error.kind(), "core::num::error::ParseIntError");
        assert_eq!(error.message(), "invalid digit found in string");
        assert!(error.place().contains("error.rs:"), "{}", error.place());
    }
}
