//! The reply of a CGI program (RFC 3875 §6): header lines, an empty line, a body.
//!
//! ```text
//!  Status: 404 Not Found⏎            the status of the response, and no field of it
//!  Content-Type: text/plain⏎         fields of the response, with their spelling and in their order
//!  Set-Cookie: a=b⏎
//!  X-CGI-Anything: …⏎                meant for the server: dropped
//!  ⏎
//!  the body, whatever it is
//! ```
//!
//! A line ends with LF or CR LF. Nothing is copied: the response borrows all that it is made of from the output.
//! A program that writes anything else is at fault, so the client is told of a bad gateway.

use super::failure;
use crate::bytes::{self, Writer};
use crate::handler::{Error, Response};
use crate::http::write;
use crate::limits::RESPONSE_HEAD_BYTES_MAX;

/// The status of the answer to an HTTP request whose program has not sent a reply.
pub const BAD_REPLY_STATUS: u16 = 502;

/// Headers that mean something to the server: at least one of them is there, and none twice (RFC 3875 §6.3).
const OWN: &[u8] = b"status location content-type";
const STATUS: usize = 0;
const LOCATION: usize = 1;
const CONTENT_TYPE: usize = 2;

/// Headers that are for the server alone (RFC 3875 §6.3.5).
const DROPPED: &[u8] = b"x-cgi-*";

/// Puts the answer that a reply is into `response`, which is an empty one. A body whose type is not told has
/// `content_type`. An event that is no HTTP request fails by its status, which nobody else would see.
///
/// # Errors
/// `BadReply`: the output is no reply. `HttpStatus`: the event fails.
#[inline(never)]
pub fn answer<'a>(
    output: &'a [u8],
    content_type: &'a [u8],
    is_http: bool,
    response: &mut Response<'a>,
) -> Result<(), Error> {
    read(output, content_type, response)?;
    if is_http || response.status < 500 {
        return Ok(());
    }
    let mut place = [0; 8];
    let mut digits = Writer::new(&mut place);
    digits.put_decimal(u64::from(response.status));
    Err(Error::of("HttpStatus", &[b"status ", digits.written()]))
}

fn read<'a>(
    output: &'a [u8],
    content_type: &'a [u8],
    response: &mut Response<'a>,
) -> Result<(), Error> {
    if output.is_empty() {
        return Err(bad("the program has written nothing", b""));
    }
    let head = output.get(..RESPONSE_HEAD_BYTES_MAX).unwrap_or(output);
    // A bit for each of `OWN` that was there.
    let (mut len, mut seen) = (0, 0);
    loop {
        let mut line = bytes::before(bytes::slice(head, len..head.len()), b'\n');
        len += line.len() + 1;
        if let [before @ .., b'\r'] = line {
            line = before;
        }
        let is_last = line.is_empty();
        if !is_last {
            read_line(line, &mut seen, response)?;
        }
        if len > head.len() {
            return Err(bad("no empty line behind the headers, 10 KiB at most", b""));
        }
        if is_last {
            break;
        }
    }
    response.body = bytes::slice(output, len..output.len());
    let has = |own: usize| seen & 1 << own > 0;
    if seen == 0 {
        return Err(bad("neither Content-Type nor Location nor Status", b""));
    }
    if has(LOCATION) && !has(STATUS) {
        response.status = 302;
    }
    if !has(CONTENT_TYPE) && !response.body.is_empty() {
        response.put("Content-Type", content_type);
    }
    if response.has_too_many_fields() {
        return Err(bad("more than 32 headers", b""));
    }
    Ok(())
}

/// Reads a header line.
#[inline(never)]
fn read_line<'a>(
    line: &'a [u8],
    seen: &mut usize,
    response: &mut Response<'a>,
) -> Result<(), Error> {
    let Some((name, value)) = field(line) else {
        return Err(bad("not a header: '$'", line));
    };
    let is = |own| bytes::is_word_ignore_case(own, name);
    let own = bytes::split(OWN, b' ').position(is);
    if let Some(own) = own {
        if *seen & 1 << own > 0 || value.is_empty() {
            return Err(bad("once, and with a value: '$'", line));
        }
        *seen |= 1 << own;
    }
    if own == Some(STATUS) {
        // Behind a blank is its reason.
        let Some(status) = write::status_of(bytes::before(value, b' ')) else {
            return Err(bad("not a status from 200 to 599: '$'", line));
        };
        response.status = status;
    } else if !bytes::is_listed(DROPPED, name) {
        response.put(name, value);
    }
    Ok(())
}

/// Name and value of a header line, if it is one.
fn field(line: &[u8]) -> Option<(&str, &[u8])> {
    let name = bytes::before(line, b':');
    let value = bytes::trim(line.get(name.len() + 1..)?);
    let text = bytes::text(name);
    (text.len() == name.len() && write::is_field(text, value)).then_some((text, value))
}

#[cold]
fn bad(text: &'static str, value: &[u8]) -> Error {
    failure::about("BadReply", text, value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::format;
    use std::string::{String, ToString};
    use std::vec::Vec;

    /// Status, fields and body as text; or type and message.
    type Read = Result<(u16, Vec<String>, String), (&'static str, String)>;

    fn read_bytes(output: &[u8]) -> Read {
        let mut response = Response::new(200);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        match read(output, b"the/default", &mut response) {
            Ok(()) => {
                let (status, fields, body) = response.parts().expect("a valid response");
                let field = |(name, value): &(&str, &[u8])| format!("{name}={}", text(value));
                Ok((status, fields.iter().map(field).collect(), text(body)))
            }
            Err(error) => Err((error.kind(), error.message().to_string())),
        }
    }

    /// The reply has line ends of Unix, and must be read alike with the other ones in front of its body.
    #[track_caller]
    fn check(head: &str, body: &str, status: u16, fields: &[&str]) {
        let fields = fields.iter().copied().map(String::from).collect();
        let want: Read = Ok((status, fields, body.into()));
        for end in ["\n", "\r\n"] {
            let output = [&head.replace('\n', end), end, body].concat();
            assert_eq!(read_bytes(output.as_bytes()), want, "{output:?}");
        }
    }

    #[track_caller]
    fn check_bad(output: impl AsRef<[u8]>, message: &str) {
        let want: Read = Err(("BadReply", message.into()));
        let output = output.as_ref();
        assert_eq!(read_bytes(output), want, "{:?}", output.escape_ascii());
    }

    const TYPE: &str = "Content-Type: a/b\n";

    #[test]
    fn documents() {
        check(TYPE, "x", 200, &["Content-Type=a/b"]);
        check(TYPE, "", 200, &["Content-Type=a/b"]);
        // Of the body not even the beginning is looked at.
        for body in ["\n", "\r\n\r\n", "Status: 404\n\n", "a\nb\r\n", "\0\u{e9}"] {
            check(TYPE, body, 200, &["Content-Type=a/b"]);
        }
        check(
            "status:404\ncontent-TYPE:a/b\n",
            "x",
            404,
            &["content-TYPE=a/b"],
        );
        check(
            "Content-Type: a/b; c=\"d\"\t\nStatus: 503 Any Reason: 404\n",
            "x",
            503,
            &["Content-Type=a/b; c=\"d\""],
        );
        check("Status: 204 No Content\n", "", 204, &[]);
        check("Status: 404\n", "x", 404, &["Content-Type=the/default"]);
    }

    #[test]
    fn redirects() {
        check("Location: /a?b\n", "", 302, &["Location=/a?b"]);
        let url = "https://example.com/a:b#c";
        let field = format!("Location={url}");
        check(
            &format!("LOCATION: {url}\n"),
            "",
            302,
            &[&field.replace("Location", "LOCATION")],
        );
        check(
            &format!("Location: {url}\nStatus: 301\n"),
            "",
            301,
            &[&field],
        );
        check(
            &format!("Status: 201 Created\nLocation: {url}\n{TYPE}"),
            "x",
            201,
            &[&field, "Content-Type=a/b"],
        );
        check(
            &format!("Location: {url}\n"),
            "x",
            302,
            &[&field, "Content-Type=the/default"],
        );
    }

    #[test]
    fn other_fields_are_passed_on_as_they_are() {
        check(
            "sEt-cookie: a=b; Path=/\nStatus: 200\nSet-Cookie: c=d\nX-Empty:\nx-CGI-a: b\nX-CGI-: c\n\
             X-CGIs: d\nX-Utf8: \u{e9}\nA:b:c\n",
            "",
            200,
            &[
                "sEt-cookie=a=b; Path=/",
                "Set-Cookie=c=d",
                "X-Empty=",
                "X-CGIs=d",
                "X-Utf8=\u{e9}",
                "A=b:c",
            ],
        );
    }

    #[test]
    fn what_is_no_reply() {
        check_bad("", "the program has written nothing");
        let no_end = "no empty line behind the headers, 10 KiB at most";
        for output in [
            "Status: 200",
            "Status: 200\n",
            "Status: 200\r\n",
            "Status: 200\n\r",
            "\r",
        ] {
            check_bad(output, no_end);
        }
        let none = "neither Content-Type nor Location nor Status";
        for output in [
            "\n",
            "\r\n",
            "\nStatus: 200\n\n",
            "X: y\n\n",
            "X-CGI-Status: 200\n\n",
        ] {
            check_bad(output, none);
        }
        for line in [
            "Hello World",
            "HTTP/1.1 200 OK",
            ": x",
            "Status : 200",
            "Sta\ttus: 200",
            " Status: 200",
            "\tfolded: x",
            "Stat\u{fc}s: 200",
            "X: a\u{7f}b",
            "X: a\rb",
            "X: a\0b",
            "<p>a: b</p>",
        ] {
            let output = format!("{TYPE}{line}\n\n");
            check_bad(output, &format!("not a header: '{line}'"));
        }
        // Also where it is the whole output, and does not end.
        check_bad("Hello World", "not a header: 'Hello World'");
        check_bad(b"Status\xff: 200\n\n", "not a header: 'Status?: 200'");
        check_bad(b"\x7fELF\x02\x01", "not a header: '\x7fELF\x02\x01'");
    }

    #[test]
    fn bad_statuses() {
        for value in [
            "OK",
            "20",
            "2000",
            "0200",
            "+20",
            "2e2",
            "199",
            "100",
            "600",
            "999",
            "000",
            "-200",
            "200OK",
            "200\tOK",
            "\u{662}00",
        ] {
            let line = format!("Status: {value}");
            let want = format!("not a status from 200 to 599: '{line}'");
            check_bad(format!("{line}\n\n"), &want);
        }
    }

    #[test]
    fn what_is_the_servers_comes_once_and_has_a_value() {
        for [first, line] in [
            ["Status: 200", "status: 200"],
            ["Location: /", "LOCATION: /a"],
            ["Content-Type: a/b", "Content-type: a/b"],
            ["X: y", "Status:"],
            ["X: y", "Location: \t "],
            ["X: y", "Content-Type: "],
        ] {
            let want = format!("once, and with a value: '{line}'");
            check_bad(format!("{first}\n{line}\n\n"), &want);
        }
    }

    #[test]
    fn heads_have_bounds() {
        let fields = |count: usize| "a: b\n".repeat(count);
        let count = crate::limits::RESPONSE_FIELD_COUNT_MAX;
        check("Status: 200\n", "", 200, &[]);
        for (text, is_good) in [
            (format!("Status: 200\n{}\n", fields(count)), true),
            (
                format!("X-CGI-a: b\nStatus: 200\n{}\n", fields(count)),
                true,
            ),
            (format!("Status: 200\n{}\n", fields(count + 1)), false),
            (format!("{TYPE}{}\n", fields(count)), false),
            // The default type is one, too.
            (format!("Status: 200\n{}\nx", fields(count)), false),
        ] {
            if is_good {
                assert!(read_bytes(text.as_bytes()).is_ok(), "{text:?}");
            } else {
                check_bad(text, "more than 32 headers");
            }
        }
        let rest = "Status: 200\nX: \n\n".len();
        let long = |len: usize| format!("Status: 200\nX: {}\n\n", "y".repeat(len - rest));
        let body = "z".repeat(100_000);
        for body in ["", &body] {
            let longest = long(RESPONSE_HEAD_BYTES_MAX) + body;
            assert!(read_bytes(longest.as_bytes()).is_ok());
            check_bad(
                long(RESPONSE_HEAD_BYTES_MAX + 1) + body,
                "no empty line behind the headers, 10 KiB at most",
            );
        }
    }

    #[test]
    fn a_body_is_not_copied() {
        let output = b"Content-Type: a/b\n\nbody";
        let mut response = Response::new(200);
        read(output, b"", &mut response).expect("a reply");
        assert_eq!(bytes::position(output, response.body), Some(19));
    }

    #[test]
    fn an_event_fails_by_its_status() {
        for (status, is_http, want) in [
            (499, false, Ok(())),
            (500, true, Ok(())),
            (500, false, Err("status 500")),
            (599, false, Err("status 599")),
        ] {
            let output = format!("Status: {status}\n\nx");
            let mut response = Response::new(200);
            let got = answer(output.as_bytes(), b"a/b", is_http, &mut response);
            let got = got.map_err(|error| (error.kind(), error.message().to_string()));
            assert_eq!(got, want.map_err(|text| ("HttpStatus", text.to_string())));
        }
    }

    proptest! {
        /// Whatever a program writes is a response that can be sent, or a failure; and a body is the end of it.
        #[test]
        fn anything_is_answered(
            lines in proptest::collection::vec(
                prop_oneof![
                    Just("Status: 404 x"), Just("Content-Type: a/b"), Just("Location: /"), Just("X: y"),
                    Just("X-CGI-A: b"), Just(""), Just("x"), Just("\r"), Just("\u{e9}: a"), Just("a\0: b"),
                ],
                0..40,
            ),
            end in prop_oneof![Just("\n"), Just("\r\n"), Just("\r")],
            tail in proptest::collection::vec(any::<u8>(), 0..20),
        ) {
            let mut output = Vec::new();
            for line in lines {
                output.extend_from_slice(line.as_bytes());
                output.extend_from_slice(end.as_bytes());
            }
            output.extend_from_slice(&tail);
            let mut response = Response::new(200);
            match read(&output, b"a/b", &mut response) {
                Ok(()) => {
                    response.parts().expect("a valid response");
                    prop_assert!(output.ends_with(response.body));
                }
                Err(error) => prop_assert_eq!(error.kind(), "BadReply"),
            }
        }
    }
}
