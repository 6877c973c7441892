//! The head of a message (RFC 9112 §2 to §5). Its first line is read here, its fields by httparse,
//! and what httparse is lenient about is checked, so that no two readers of the same bytes can see
//! different requests.

use core::str;

use httparse::{Error, Header, Status};

use super::{Kind, Parsed, Reject, Version, host};
use crate::bytes;
use crate::limits::{FIELD_COUNT_MAX, HEAD_BYTES_MAX, TARGET_BYTES_MAX};

/// Where the fields of one head are put.
pub type Fields<'b> = [Header<'b>; FIELD_COUNT_MAX];

/// Room for the fields of one head.
#[must_use]
pub const fn fields<'b>() -> Fields<'b> {
    [httparse::EMPTY_HEADER; FIELD_COUNT_MAX]
}

/// The head of one message. Everything in it is borrowed from the bytes it was parsed from.
#[derive(Clone, Copy, Debug, Default)]
pub struct Head<'a> {
    /// Empty in a response.
    pub method: &'a str,
    /// As it stands in the request line (RFC 9112 §3.2); empty in a response.
    pub target: &'a str,
    /// Zero in a request.
    pub status: u16,
    pub version: Version,
    pub headers: Headers<'a>,
    /// Bytes up to and including the empty line.
    pub len: usize,
}

/// The header fields of a message, in the order in which they came.
#[derive(Clone, Copy, Debug, Default)]
pub struct Headers<'a>(&'a [Header<'a>]);

impl<'a> Headers<'a> {
    /// Names and values, as many as there is room for.
    pub fn from_pairs(pairs: &[(&'a str, &'a str)], rows: &'a mut Fields<'a>) -> Self {
        for (row, &(name, value)) in rows.iter_mut().zip(pairs) {
            let value = value.as_bytes();
            *row = Header { name, value };
        }
        Self(rows.get(..pairs.len()).unwrap_or(rows))
    }

    /// The first `count` of these fields.
    pub(crate) fn first(rows: &'a Fields<'a>, count: usize) -> Self {
        Self(rows.get(..count).unwrap_or_default())
    }

    /// The value of the first field of that name, whatever its case.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&'a [u8]> {
        let is_it = |field: &&Header<'_>| {
            field.name.len() == name.len()
                && bytes::is_word_ignore_case(field.name.as_bytes(), name)
        };
        self.0.iter().find(is_it).map(|field| field.value)
    }

    /// The value of the first field of that name, if it is UTF-8.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&'a str> {
        self.get(name).and_then(|value| str::from_utf8(value).ok())
    }

    /// Every field: name and value.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, &'a [u8])> + use<'a> {
        self.0.iter().map(|field| (field.name, field.value))
    }
}

/// Whether the bytes from `from` on can complete a head: whether there is an empty line, however
/// its end is spelt. Cheaper than parsing, for a head that trickles in.
#[must_use]
pub fn may_end(bytes: &[u8], from: usize) -> bool {
    let tail = bytes.get(from.saturating_sub(3)..).unwrap_or_default();
    tail.windows(2).any(|pair| pair == b"\n\n") || tail.windows(3).any(|three| three == b"\n\r\n")
}

/// Parses the head of the message at the front of `bytes`.
///
/// # Errors
/// Whatever RFC 9112 calls invalid; a head or a part of it that is longer than its limit.
pub fn parse<'h, 'b: 'h>(
    kind: Kind,
    bytes: &'b [u8],
    fields: &'h mut Fields<'b>,
) -> Result<Parsed<Head<'h>>, Reject> {
    // How much has come beyond the longest head must not matter.
    let (bytes, more) = match bytes.get(..HEAD_BYTES_MAX) {
        Some(longest) => (longest, Err(Reject::HeadTooLarge)),
        None => (bytes, Ok(Parsed::More)),
    };
    let Parsed::Done((line, start)) = first_line(bytes)? else {
        return more;
    };
    let mut head: Head<'b> = Head::default();
    match kind {
        Kind::Request => head.read_request_line(line)?,
        Kind::Response => head.read_status_line(line)?,
    }
    let rest = bytes::slice(bytes, start..bytes.len());
    let mut count = match httparse::parse_headers(rest, fields) {
        Ok(Status::Complete((len, fields))) => {
            head.len = start + len;
            check_lines(bytes::slice(bytes, 0..head.len), fields)?;
            fields.len()
        }
        Ok(Status::Partial) => return more,
        Err(Error::TooManyHeaders) => return Err(Reject::TooManyFields),
        Err(Error::NewLine) => return Err(Reject::LineEnd),
        Err(_) => return Err(Reject::Field),
    };
    if let Some((authority, _)) = absolute(head.target.as_bytes()) {
        count = replace_host(fields, count, authority, head.version);
    }
    Ok(Parsed::Done(Head {
        headers: Headers(fields.get(..count).unwrap_or_default()),
        ..head
    }))
}

/// What a response that comes before its request is whole means for the rest of the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Early {
    /// The rest is sent: too little has come to tell.
    GoOn,
    /// The request is taken. The rest is sent if the connection goes on, because it is still read.
    Taken,
    /// The rest is sent: these many bytes are an empty line, or a response that only informs (RFC 9110
    /// §15.2).
    Skip(usize),
    /// The rest need not be sent.
    Stop,
}

/// Looks at the status of the response at the front of `bytes`, and nothing else of it.
#[must_use]
pub fn early(bytes: &[u8]) -> Early {
    const STATUS_AT: usize = "HTTP/1.1 ".len();
    if bytes.starts_with(b"\r\n") {
        return Early::Skip(2);
    }
    match bytes.get(STATUS_AT) {
        None => Early::GoOn,
        Some(b'2') => Early::Taken,
        Some(b'1') => {
            let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
            end.map_or(Early::GoOn, |end| Early::Skip(end + 4))
        }
        Some(_) => Early::Stop,
    }
}

/// Replaces the obsolete line breaks within the fields of a response by blanks (RFC 9112 §5.2): of the
/// one at the front of `bytes`, whether or not its head is complete. Returns whether there was any.
#[cold]
#[inline(never)]
pub fn unfold(bytes: &mut [u8]) -> bool {
    let mut is_folded = false;
    for at in 0..bytes.len() {
        match bytes.get_mut(at..) {
            Some([b'\r', b'\n', b'\r', b'\n', ..]) => break,
            Some([cr @ b'\r', lf @ b'\n', b' ' | b'\t', ..]) => {
                (*cr, *lf) = (b' ', b' ');
                is_folded = true;
            }
            _ => {}
        }
    }
    is_folded
}

/// RFC 9112 §3.2.2: a target in absolute form overrides `Host`. `Host` must still be there and valid;
/// only HTTP/1.0 may omit it, and then it is added. Returns how many fields there are then.
#[cold]
#[inline(never)]
fn replace_host<'b>(
    fields: &mut Fields<'b>,
    count: usize,
    authority: &'b [u8],
    version: Version,
) -> usize {
    let mut hosts = 0;
    for field in fields.iter_mut().take(count) {
        if bytes::is_word_ignore_case(field.name.as_bytes(), "host") {
            hosts += 1;
            // One that is not valid stays, and is refused with the other fields.
            if field.value.is_empty() || host::is_authority(field.value) {
                field.value = authority;
            }
        }
    }
    match fields.get_mut(count) {
        Some(free) if hosts == 0 && version == Version::Http10 => {
            let (name, value) = ("Host", authority);
            *free = Header { name, value };
            count + 1
        }
        _ => count,
    }
}

/// A request line and its CR: room for a method, two spaces and a version around the longest target.
const LINE_BYTES_MAX: usize = TARGET_BYTES_MAX + 64 + 1;

/// The first line that is not empty (RFC 9112 §2.2), without its end, and where the next begins.
/// Whatever is no text is refused where it is seen, whether or not the line ever ends.
fn first_line(bytes: &[u8]) -> Result<Parsed<(&[u8], usize)>, Reject> {
    let mut start = 0;
    loop {
        let rest = bytes::slice(bytes, start..bytes.len());
        let is_end = |&byte: &u8| !bytes::is_text(byte);
        let Some(len) = rest.iter().take(LINE_BYTES_MAX).position(is_end) else {
            return if rest.len() < LINE_BYTES_MAX {
                Ok(Parsed::More)
            } else {
                Err(Reject::TargetTooLong)
            };
        };
        match bytes::slice(rest, len..rest.len()) {
            [b'\r'] => return Ok(Parsed::More),
            [b'\r', b'\n', ..] => start += len + 2,
            [b'\n', ..] => return Err(Reject::LineEnd),
            _ => return Err(Reject::RequestLine),
        }
        if len > 0 {
            return Ok(Parsed::Done((bytes::slice(rest, 0..len), start)));
        }
    }
}

impl<'a> Head<'a> {
    /// RFC 9112 §3: a method, a target and a version, with one space between them.
    fn read_request_line(&mut self, line: &'a [u8]) -> Result<(), Reject> {
        let mut words = bytes::split(line, b' ');
        let mut word = || words.next().unwrap_or_default();
        self.method = text(word())?;
        self.target = text(word())?;
        let last = word();
        if words.next().is_some() || !self.method.bytes().all(bytes::is_token) {
            return Err(Reject::RequestLine);
        }
        self.version = version(last)?;
        check_target(self.method, self.target)
    }

    /// RFC 9112 §4: a version, a status, and maybe words about it.
    fn read_status_line(&mut self, line: &'a [u8]) -> Result<(), Reject> {
        let mut words = bytes::split(line, b' ');
        self.version = version(words.next().unwrap_or_default())?;
        let code = words.next().filter(|word| word.len() == 3);
        let status = code
            .and_then(bytes::decimal)
            .filter(|&status| status >= 100);
        self.status = status
            .and_then(|status| u16::try_from(status).ok())
            .ok_or(Reject::RequestLine)?;
        Ok(())
    }
}

/// A word of a request line: not empty, and UTF-8.
fn text(word: &[u8]) -> Result<&str, Reject> {
    let text = bytes::text(word);
    if text.is_empty() || text.len() < word.len() {
        return Err(Reject::RequestLine);
    }
    Ok(text)
}

/// RFC 9112 §2.3: what has the form of a version is another one, and the rest is none.
fn version(word: &[u8]) -> Result<Version, Reject> {
    match word {
        b"HTTP/1.1" => Ok(Version::Http11),
        b"HTTP/1.0" => Ok(Version::Http10),
        [b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', b'.', b'0'..=b'9'] => Err(Reject::Version),
        _ => Err(Reject::RequestLine),
    }
}

/// httparse takes a bare LF for the end of a line. Where lines end is known from where fields
/// begin: every field and the empty line must come right after CR LF (RFC 9112 §2.2).
fn check_lines(head: &[u8], fields: &[Header<'_>]) -> Result<(), Reject> {
    let follows_line_end = |field: &Header<'_>| {
        let start = bytes::position(head, field.name.as_bytes());
        let before = start.and_then(|start| head.get(..start));
        matches!(before, Some([.., b'\r', b'\n']))
    };
    if head.ends_with(b"\r\n\r\n") && fields.iter().all(follows_line_end) {
        Ok(())
    } else {
        Err(Reject::LineEnd)
    }
}

/// The forms of a target (RFC 9112 §3.2). A tunnel is nothing that a function could offer.
#[inline(never)]
fn check_target(method: &str, target: &str) -> Result<(), Reject> {
    if target.len() > TARGET_BYTES_MAX {
        return Err(Reject::TargetTooLong);
    }
    if method == "CONNECT" {
        return Err(Reject::Method);
    }
    let bytes = target.as_bytes();
    let is_form = match bytes.first() {
        Some(b'/') => true,
        Some(b'*') => target == "*" && method == "OPTIONS",
        _ => absolute(bytes).is_some_and(|(authority, _)| host::is_authority(authority)),
    };
    if is_form && !bytes::has(bytes, b'#') && !bytes::has(bytes, b'\t') {
        Ok(())
    } else {
        Err(Reject::Target)
    }
}

/// The two parts of a target in absolute form behind its scheme: `host:port` and `/path?query` of
/// `http://host:port/path?query`.
fn absolute(target: &[u8]) -> Option<(&[u8], &[u8])> {
    if target.first() == Some(&b'/') {
        return None;
    }
    let rest = ["http://", "https://"].iter().find_map(|scheme| {
        let (start, rest) = target.split_at_checked(scheme.len())?;
        bytes::is_word_ignore_case(start, scheme).then_some(rest)
    })?;
    let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?'));
    rest.split_at_checked(end.unwrap_or(rest.len()))
}

/// Path and query of a target: the path begins with `/` (or is `*`), the query has no `?`.
#[must_use]
pub fn split_target(target: &str) -> (&str, Option<&str>) {
    let path_start = absolute(target.as_bytes()).map_or(0, |(_, rest)| target.len() - rest.len());
    let rest = target.get(path_start..).unwrap_or_default();
    let mark = rest.bytes().position(|byte| byte == b'?');
    let path = rest.get(..mark.unwrap_or(rest.len())).unwrap_or_default();
    let query = mark.and_then(|mark| rest.get(mark + 1..));
    (if path.is_empty() { "/" } else { path }, query)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::format;
    use std::string::String;

    /// Parses `head` as it comes, and cut at every byte: a part of it must not be an error that
    /// the whole is not, and must never be taken for the whole.
    #[track_caller]
    fn check(head: &str, want: Result<usize, Reject>) {
        let got = parse(Kind::Request, head.as_bytes(), &mut fields()).map(|parsed| match parsed {
            Parsed::Done(head) => head.len,
            Parsed::More => 0,
        });
        assert_eq!(got, want, "{head:?}");
        for cut in 0..want.unwrap_or(0) {
            let mut fields = fields();
            let got = parse(Kind::Request, &head.as_bytes()[..cut], &mut fields);
            assert!(
                matches!(got, Ok(Parsed::More)),
                "{head:?} cut at {cut}: {got:?}"
            );
        }
    }

    #[test]
    fn takes_status_lines() {
        for (line, status, version) in [
            ("HTTP/1.1 200 OK", 200, Version::Http11),
            ("HTTP/1.0 404 Not Found at all", 404, Version::Http10),
            ("HTTP/1.1 202 ", 202, Version::Http11),
            ("HTTP/1.1 500", 500, Version::Http11),
            ("HTTP/1.1 599 \u{e9}\t", 599, Version::Http11),
        ] {
            let text = format!("{line}\r\nContent-Length: 0\r\n\r\n");
            for cut in 0..text.len() {
                let mut fields = fields();
                let got = parse(Kind::Response, &text.as_bytes()[..cut], &mut fields);
                assert!(matches!(got, Ok(Parsed::More)), "{text:?} cut at {cut}");
            }
            let mut fields = fields();
            let parsed = parse(Kind::Response, text.as_bytes(), &mut fields);
            let Ok(Parsed::Done(head)) = parsed else {
                panic!("{text:?}: {parsed:?}")
            };
            assert_eq!((head.status, head.version), (status, version), "{line}");
            assert_eq!((head.len, head.headers.iter().count()), (text.len(), 1));
        }
    }

    #[test]
    fn refuses_bad_status_lines() {
        for (line, want) in [
            ("HTTP/1.1", Reject::RequestLine),
            ("HTTP/1.1 20", Reject::RequestLine),
            ("HTTP/1.1 2000", Reject::RequestLine),
            ("HTTP/1.1 2x0 OK", Reject::RequestLine),
            ("HTTP/1.1  200 OK", Reject::RequestLine),
            (" HTTP/1.1 200 OK", Reject::RequestLine),
            ("GET / HTTP/1.1", Reject::RequestLine),
            ("HTTP/1.1 200 OK\x01", Reject::RequestLine),
            ("HTTP/2.0 200 OK", Reject::Version),
        ] {
            let head = format!("{line}\r\n\r\n");
            let got = parse(Kind::Response, head.as_bytes(), &mut fields()).map(drop);
            assert_eq!(got, Err(want), "{line:?}");
        }
        let bare = parse(Kind::Response, b"HTTP/1.1 200 OK\n\n", &mut fields()).map(drop);
        assert_eq!(bare, Err(Reject::LineEnd));
    }

    #[test]
    fn early_responses_are_told_apart() {
        let hints = "HTTP/1.1 103 Early Hints\r\nLink: <a>,\r\n <b>\r\n\r\n";
        for (text, want) in [
            ("", Early::GoOn),
            ("\r", Early::GoOn),
            ("\r\nHTTP/1.1 413", Early::Skip(2)),
            ("HTTP/1.1 ", Early::GoOn),
            ("HTTP/1.1 1", Early::GoOn),
            ("HTTP/1.0 100\r\n\r\nHTTP", Early::Skip(16)),
            (hints, Early::Skip(hints.len())),
            (&hints[..hints.len() - 1], Early::GoOn),
            ("HTTP/1.1 202 Accepted\r\n\r\n", Early::Taken),
            ("HTTP/1.1 413 No\r\n\r\n", Early::Stop),
            ("not a response", Early::Stop),
        ] {
            assert_eq!(early(text.as_bytes()), want, "{text:?}");
        }
    }

    #[test]
    fn folds_become_blanks() {
        for (folded, want) in [
            (
                "A: b\r\n c\r\n\tD: e\r\n\r\n",
                Some("A: b   c  \tD: e\r\n\r\n"),
            ),
            ("A: b\r\n \r\n\r\n x", Some("A: b   \r\n\r\n x")),
            ("A: b\r\n c", Some("A: b   c")),
            ("A: b\r\nC: d\r\n\r\n\r\n e", None),
            ("A: b\n c\r\n\r\n", None),
            ("A: b\r\n", None),
            ("", None),
        ] {
            let mut bytes = folded.as_bytes().to_vec();
            assert_eq!(unfold(&mut bytes), want.is_some(), "{folded:?}");
            assert_eq!(bytes, want.unwrap_or(folded).as_bytes(), "{folded:?}");
        }
    }

    /// What speaks another protocol need not be waited for.
    #[test]
    fn refuses_what_is_no_text_at_once() {
        for start in ["\x16\x03\x01", "GET /\0", "GET / HTTP/1.1\r\r"] {
            let got = parse(Kind::Request, start.as_bytes(), &mut fields()).map(drop);
            assert_eq!(got, Err(Reject::RequestLine), "{start:?}");
        }
    }

    /// What else is taken and refused is in `tests/rows.rs`.
    #[test]
    fn stops_at_the_empty_line() {
        check("GET / HTTP/1.1\r\n\r\nGET /", Ok(18));
        let head =
            "\r\n\r\nANY-!#$%&'*+-.^_`|~token /x?y HTTP/1.0\r\nhOST:\ta \t\r\nempty:\r\n\r\n";
        check(head, Ok(head.len()));
    }

    #[test]
    fn refusals_name_the_place() {
        for (head, want) in [
            ("G@T / HTTP/1.1\r\n\r\n", Reject::RequestLine),
            ("GET / HTTP/1.2\r\n\r\n", Reject::Version),
            ("GET a HTTP/1.1\r\n\r\n", Reject::Target),
            ("GET http://u@h/ HTTP/1.1\r\n\r\n", Reject::Target),
            ("CONNECT a:80 HTTP/1.1\r\n\r\n", Reject::Method),
            ("GET / HTTP/1.1\n\n", Reject::LineEnd),
            ("GET / HTTP/1.1\r\na: b\nc: d\r\n\r\n", Reject::LineEnd),
            ("GET / HTTP/1.1\r\na: b\rc: d\r\n\r\n", Reject::Field),
            ("GET / HTTP/1.1\r\na : b\r\n\r\n", Reject::Field),
        ] {
            check(head, Err(want));
        }
    }

    /// RFC 9112 §3.2.2.
    #[test]
    fn the_host_is_that_of_the_target() {
        for (head, want) in [
            ("GET / HTTP/1.1\r\nHost: a\r\n", Some("a")),
            (
                "GET http://b:1/ HTTP/1.1\r\nX: y\r\nHost: a\r\n",
                Some("b:1"),
            ),
            ("GET http://b?c HTTP/1.1\r\nHost:\r\n", Some("b")),
            ("GET http://[::1] HTTP/1.0\r\nX: y\r\n", Some("[::1]")),
            // These are refused with the other fields.
            ("GET http://b/ HTTP/1.1\r\n", None),
            ("GET http://b/ HTTP/1.1\r\nHost: a b\r\n", Some("a b")),
        ] {
            let (text, mut place) = (format!("{head}\r\n"), fields());
            let parsed = parse(Kind::Request, text.as_bytes(), &mut place);
            let Ok(Parsed::Done(parsed)) = parsed else {
                panic!("{head:?}: {parsed:?}")
            };
            assert_eq!(parsed.headers.text("host"), want, "{head:?}");
        }
    }

    #[test]
    fn bounds_have_answers() {
        let long = "x".repeat(TARGET_BYTES_MAX + 1);
        check(
            &format!("GET /{long} HTTP/1.1\r\n\r\n"),
            Err(Reject::TargetTooLong),
        );
        let endless = "x".repeat(HEAD_BYTES_MAX);
        check(&format!("GET /{endless}"), Err(Reject::TargetTooLong));
        check(
            &format!("GET / HTTP/1.1\r\na: {endless}"),
            Err(Reject::HeadTooLarge),
        );
        let many: String = (0..=FIELD_COUNT_MAX)
            .map(|n| format!("a{n}: b\r\n"))
            .collect();
        check(
            &format!("GET / HTTP/1.1\r\n{many}\r\n"),
            Err(Reject::TooManyFields),
        );
        let most: String = (0..FIELD_COUNT_MAX)
            .map(|n| format!("a{n}: b\r\n"))
            .collect();
        check(
            &format!("GET / HTTP/1.1\r\n{most}\r\n"),
            Ok(18 + most.len()),
        );
    }

    #[test]
    fn targets_split() {
        for (target, path, query) in [
            ("/", "/", None),
            ("/a?b?c", "/a", Some("b?c")),
            ("/?", "/", Some("")),
            ("*", "*", None),
            ("http://a", "/", None),
            ("HTTP://a:1/b/c?d", "/b/c", Some("d")),
            ("http://a?b", "/", Some("b")),
            ("/x://y", "/x://y", None),
        ] {
            assert_eq!(split_target(target), (path, query), "{target}");
        }
    }

    #[test]
    fn may_end_sees_every_empty_line() {
        let head = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        for from in 0..head.len() {
            assert!(may_end(head, from), "from {from}");
            assert!(!may_end(&head[..head.len() - 1], from), "from {from}");
        }
        assert!(may_end(b"a\n\nb", 3));
    }

    #[test]
    fn headers_are_found_by_any_case() {
        let mut fields = fields();
        let parsed = parse(
            Kind::Request,
            b"GET / HTTP/1.1\r\nA-b: 1\r\na-B: 2\r\n\r\n",
            &mut fields,
        );
        let Ok(Parsed::Done(head)) = parsed else {
            panic!("{parsed:?}")
        };
        assert_eq!(head.headers.get("a-b"), Some(&b"1"[..]));
        assert_eq!(head.headers.text("A-B"), Some("1"));
        assert_eq!(head.headers.get("a"), None);
        assert_eq!(head.headers.iter().count(), 2);
    }
}
