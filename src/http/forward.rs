//! What is passed on of a message (RFC 9110 §7.6): its fields, but for those that are about one connection.

use super::head::{self, Fields, Headers};
use super::{Kind, Parsed};
use crate::bytes::{self, Writer};
use crate::limits::FIELD_COUNT_MAX;

/// Names and values of fields.
pub type Pairs<'a> = [(&'a str, &'a [u8]); FIELD_COUNT_MAX];

/// Room for the fields of a message.
#[must_use]
pub const fn pairs<'a>() -> Pairs<'a> {
    [("", b""); FIELD_COUNT_MAX]
}

/// Fields that are about one connection, or that whoever sends a message has to write himself. What this side says of
/// its own connection it writes behind them.
const OF_HOP: &[u8] =
    b"connection content-length keep-alive proxy-connection te trailer transfer-encoding upgrade";

/// Whether a field is not passed on: it is about the connection that the message came on, or a `Connection` field
/// names it; `Host` never is, without which no request is one (RFC 9112 §3.2).
#[must_use]
pub fn is_of_hop(headers: Headers<'_>, name: &str) -> bool {
    let is_host = bytes::is_word_ignore_case(name.as_bytes(), "host");
    bytes::is_listed(OF_HOP, name) || !is_host && names(headers, "connection", name)
}

/// Whether one of the fields `field` has `word` in its list.
#[must_use]
#[inline(never)]
pub fn names(headers: Headers<'_>, field: &str, word: &str) -> bool {
    let fields = headers
        .iter()
        .filter(|(name, _)| bytes::is_word_ignore_case(name.as_bytes(), field));
    fields
        .flat_map(|(_, value)| bytes::split(value, b','))
        .any(|item| bytes::is_word_ignore_case(bytes::trim(item), word))
}

/// The fields of a response that was read before: `bytes` is its head.
pub fn headers<'h, 'b: 'h>(bytes: &'b [u8], fields: &'h mut Fields<'b>) -> Headers<'h> {
    match head::parse(Kind::Response, bytes, fields) {
        Ok(Parsed::Done(head)) => head.headers,
        _ => Headers::default(),
    }
}

/// Those fields that are passed on.
pub fn end_to_end<'p, 'a>(
    headers: Headers<'a>,
    pairs: &'p mut Pairs<'a>,
) -> &'p [(&'a str, &'a [u8])] {
    let mut count = 0;
    let kept = headers.iter().filter(|(name, _)| !is_of_hop(headers, name));
    for (place, field) in pairs.iter_mut().zip(kept) {
        *place = field;
        count += 1;
    }
    pairs.get(..count).unwrap_or_default()
}

/// The status line of a response that was read before, with the words that it came with.
pub fn put_status(response: &[u8], head: &mut Writer<'_>) {
    let mut response = response;
    // RFC 9112 §2.2: an empty line before it is none.
    while let [b'\r', b'\n', rest @ ..] = response {
        response = rest;
    }
    let line = bytes::before(response, b'\r');
    let version = bytes::before(line, b' ');
    head.put(b"HTTP/1.1");
    head.put(bytes::slice(line, version.len()..line.len()));
    head.put(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    const RESPONSE: &[u8] = b"HTTP/1.0 418 I'm a teapot\r\nA: 1\r\nConnection: close, B, content-type\r\n\
        b: 2\r\nContent-Type: t\r\nset-Cookie: x\r\nContent-Length: 3\r\nSet-cookie: y\r\nTE: z\r\n\r\n";

    #[test]
    fn what_is_about_one_connection_stays_there() {
        let mut rows = head::fields();
        let headers = headers(RESPONSE, &mut rows);
        let mut pairs = pairs();
        let passed = end_to_end(headers, &mut pairs);
        let names: Vec<&str> = passed.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, ["A", "set-Cookie", "Set-cookie"]);
        assert!(names_word(headers) && !super::names(headers, "connection", "clos"));
    }

    fn names_word(headers: Headers<'_>) -> bool {
        super::names(headers, "CONNECTION", "b") && super::names(headers, "connection", "Close")
    }

    #[test]
    fn a_status_keeps_its_words() {
        let mut place = [0; 64];
        let mut head = Writer::new(&mut place);
        put_status(RESPONSE, &mut head);
        put_status(b"\r\n\r\nHTTP/1.1 200 \r\n\r\n", &mut head);
        let want = "HTTP/1.1 418 I'm a teapot\r\nHTTP/1.1 200 \r\n";
        assert_eq!(head.finish(), want.as_bytes());
    }
}
