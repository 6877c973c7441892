//! The head of a response (RFC 9112 §4, §6).

use super::Persist;
use crate::bytes::Writer;

/// The interim reply to `Expect: 100-continue` (RFC 9110 §15.2.1).
pub const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// The status line.
pub fn status(head: &mut Writer<'_>, status: u16) {
    head.put(b"HTTP/1.1 ");
    head.put_decimal(u64::from(status));
    head.put(b" ");
    head.put(reason(status).as_bytes());
    head.put(b"\r\n");
}

/// One field.
pub fn field(head: &mut Writer<'_>, name: &[u8], value: &[u8]) {
    head.put(name);
    head.put(b": ");
    head.put(value);
    head.put(b"\r\n");
}

/// `Content-Length`.
pub fn content_length(head: &mut Writer<'_>, len: usize) {
    head.put(b"Content-Length: ");
    head.put_decimal(len as u64);
    head.put(b"\r\n");
}

/// The last fields and the empty line. A client of HTTP/1.0 is told that the connection persists,
/// as is any that it does not (RFC 9112 §9.3).
pub fn end(head: &mut Writer<'_>, persist: Persist, is_http10: bool) {
    match persist {
        Persist::Close => head.put(b"Connection: close\r\n\r\n"),
        Persist::Keep if is_http10 => head.put(b"Connection: keep-alive\r\n\r\n"),
        Persist::Keep => head.put(b"\r\n"),
    }
}

/// Whether a response of that status has a body at all (RFC 9110 §6.4.1).
#[must_use]
pub fn has_body(status: u16) -> bool {
    status >= 200 && status != 204 && status != 304
}

/// Whether the bytes can stand as a field name (RFC 9110 §5.6.2).
#[must_use]
pub fn is_name(name: &str) -> bool {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.bytes().all(is_token)
}

/// Whether the bytes can stand as a field value: nothing that could end the line, or the head
/// (RFC 9110 §5.5).
#[must_use]
pub fn is_value(value: &[u8]) -> bool {
    value
        .iter()
        .all(|&byte| byte == b'\t' || (byte >= b' ' && byte != 0x7f))
}

/// The phrase for a status; none for one that is rare. Clients ignore it (RFC 9112 §4).
#[must_use]
pub fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        206 => "Partial Content",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        409 => "Conflict",
        413 => "Content Too Large",
        414 => "URI Too Long",
        417 => "Expectation Failed",
        422 => "Unprocessable Content",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        505 => "HTTP Version Not Supported",
        _ => "",
    }
}

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
        end(&mut head, Persist::Close, false);
        let want = "HTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 42\r\nConnection: close\r\n\r\n";
        assert_eq!(head.finish(), want.as_bytes());
    }

    #[test]
    fn nothing_can_split_a_head() {
        for bad in ["a\r\nb", "a\nb", "a\0", "a\x7f"] {
            assert!(!is_value(bad.as_bytes()), "{bad:?}");
            assert!(!is_name(bad), "{bad:?}");
        }
        assert!(is_value("a \t\u{e9}".as_bytes()));
        assert!(is_name("x-a_b") && !is_name("") && !is_name("a b") && !is_name("a:"));
    }
}
