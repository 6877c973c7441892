//! The head of a response (RFC 9112 §4, §6).

use super::{Persist, Version};
use crate::bytes::{self, Writer, is_text};

/// The interim reply to `Expect: 100-continue` (RFC 9110 §15.2.1).
pub const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// The status line.
pub fn status(head: &mut Writer<'_>, status: u16) {
    head.put(b"HTTP/1.1 ");
    head.put_decimal(u64::from(status));
    head.put(b" ");
    head.put(reason(status));
    head.put(b"\r\n");
}

/// The status that three digits are, if a response may have it.
#[cfg(feature = "command")]
#[must_use]
#[inline(never)]
pub fn status_of(digits: &[u8]) -> Option<u16> {
    let status = u16::try_from(bytes::decimal(digits)?).ok()?;
    (digits.len() == 3 && (200..=599).contains(&status)).then_some(status)
}

/// One field.
pub fn field(head: &mut Writer<'_>, name: &[u8], value: &[u8]) {
    head.put(name);
    head.put(b": ");
    head.put(value);
    head.put(b"\r\n");
}

/// Room for what follows the fields that a handler gave: `Date` (37), `Content-Length` (38),
/// `Connection` (24) and the empty line.
pub const END_BYTES_MAX: usize = 37 + 38 + 24 + 2;

/// `Content-Length`.
pub fn content_length(head: &mut Writer<'_>, len: u64) {
    head.put(b"Content-Length: ");
    head.put_decimal(len);
    head.put(b"\r\n");
}

/// The last fields and the empty line. A client of HTTP/1.0 is told that the connection persists,
/// as is any that it does not (RFC 9112 §9.3).
pub fn end(head: &mut Writer<'_>, persist: Persist, version: Version) {
    head.put(match (persist, version) {
        (Persist::Close, _) => b"Connection: close\r\n\r\n",
        (Persist::Keep, Version::Http10) => b"Connection: keep-alive\r\n\r\n",
        (Persist::Keep, Version::Http11) => b"\r\n",
    });
}

/// Whether a response of that status has a body at all (RFC 9110 §6.4.1).
#[must_use]
#[inline(never)]
pub fn has_body(status: u16) -> bool {
    status >= 200 && status != 204 && status != 304
}

/// Whether that body is empty whatever the handler says (RFC 9110 §15.3.6).
#[must_use]
pub fn is_empty_body(status: u16) -> bool {
    status == 205
}

/// Whether a field can be sent: nothing in it ends the line, or the head (RFC 9110 §5.1, §5.5).
pub fn is_field(name: &str, value: &[u8]) -> bool {
    !name.is_empty() && name.bytes().all(bytes::is_token) && value.iter().all(|&byte| is_text(byte))
}

/// The phrase for a status; none for one that is rare. Clients ignore it (RFC 9112 §4).
#[must_use]
pub fn reason(status: u16) -> &'static [u8] {
    // One text, not a table of slices: those would need an address each, and so a relocation.
    let mut lines = bytes::split(REASONS, b'\n');
    let found = lines.find_map(|line| {
        let (code, phrase) = line.split_at_checked(3)?;
        (bytes::decimal(code) == Some(u64::from(status))).then_some(phrase)
    });
    found.unwrap_or_default()
}

const REASONS: &[u8] = b"200OK
201Created
202Accepted
204No Content
206Partial Content
301Moved Permanently
302Found
303See Other
304Not Modified
307Temporary Redirect
308Permanent Redirect
400Bad Request
401Unauthorized
403Forbidden
404Not Found
405Method Not Allowed
409Conflict
413Content Too Large
414URI Too Long
417Expectation Failed
422Unprocessable Content
429Too Many Requests
431Request Header Fields Too Large
500Internal Server Error
501Not Implemented
502Bad Gateway
503Service Unavailable
505HTTP Version Not Supported";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_head() {
        let mut place = [0; 128];
        let mut head = Writer::new(&mut place);
        status(&mut head, 200);
        field(&mut head, b"A", b"b");
        content_length(&mut head, 42);
        end(&mut head, Persist::Close, Version::Http11);
        let want = "HTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 42\r\nConnection: close\r\n\r\n";
        assert_eq!(head.finish(), want.as_bytes());
    }

    #[test]
    fn nothing_can_split_a_head() {
        for bad in ["a\r\nb", "a\nb", "a\0", "a\x7f"] {
            assert!(!is_field("a", bad.as_bytes()), "{bad:?}");
            assert!(!is_field(bad, b""), "{bad:?}");
        }
        assert!(is_field("x-a_b", "a \t\u{e9}".as_bytes()));
        assert!(!is_field("", b"") && !is_field("a b", b"") && !is_field("a:", b""));
    }

    #[test]
    fn reasons_are_found() {
        assert_eq!(reason(200), b"OK");
        assert_eq!(reason(404), b"Not Found");
        assert_eq!(reason(505), b"HTTP Version Not Supported");
        assert_eq!(reason(599), b"");
    }
}
