//! The head of a message (RFC 9112 §2 to §5): httparse splits it, and what httparse is lenient
//! about is checked here, so that no two readers of the same bytes can see different requests.

use core::mem::MaybeUninit;
use core::str;

use httparse::{Error, Header, Status};

use super::{Parsed, Reject, Version};
use crate::bytes;
use crate::limits::{FIELD_COUNT_MAX, HEAD_BYTES_MAX, TARGET_BYTES_MAX};

/// Where the fields of one head are put. It is not initialized: that would cost more than parsing.
pub type Fields<'b> = [MaybeUninit<Header<'b>>; FIELD_COUNT_MAX];

/// Room for the fields of one head.
#[must_use]
pub const fn fields<'b>() -> Fields<'b> {
    [const { MaybeUninit::uninit() }; FIELD_COUNT_MAX]
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

/// Where fields are put that no head was parsed for.
pub type Rows<'a> = [Header<'a>; FIELD_COUNT_MAX];

/// Room for them.
pub const EMPTY_ROWS: Rows<'static> = [httparse::EMPTY_HEADER; FIELD_COUNT_MAX];

impl<'a> Headers<'a> {
    /// Names and values, as many as there is room for.
    #[must_use]
    pub fn from_pairs(pairs: &[(&'a str, &'a str)], rows: &'a mut Rows<'a>) -> Self {
        for (row, &(name, value)) in rows.iter_mut().zip(pairs) {
            let value = value.as_bytes();
            *row = Header { name, value };
        }
        Self(rows.get(..pairs.len()).unwrap_or(rows))
    }

    /// The value of the first field of that name, whatever its case.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&'a [u8]> {
        let is_it = |field: &&Header<'_>| {
            field.name.len() == name.len() && bytes::is_word(field.name.as_bytes(), name)
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

/// Parses the head of the request at the front of `bytes`.
///
/// # Errors
/// Whatever RFC 9112 calls invalid; a head or a part of it that is longer than its limit.
pub fn parse<'h, 'b: 'h>(
    bytes: &'b [u8],
    fields: &'h mut Fields<'b>,
) -> Result<Parsed<Head<'h>>, Reject> {
    let bytes = decisive(bytes);
    let mut request = httparse::Request::new(&mut []);
    let len = match request.parse_with_uninit_headers(bytes, fields) {
        Ok(Status::Complete(len)) => len,
        Ok(Status::Partial) => return partial(bytes),
        Err(Error::Version) => return other_version(bytes),
        Err(error) => return Err(reject(error)),
    };
    let (Some(method), Some(target), Some(minor)) = (request.method, request.path, request.version)
    else {
        return Err(Reject::RequestLine);
    };
    let fields: &'h [Header<'b>] = request.headers;
    check_lines(bytes::slice(bytes, 0..len), method, fields)?;
    check_target(method, target)?;
    Ok(Parsed::Done(Head {
        method,
        target,
        status: 0,
        version: version(minor),
        headers: Headers(fields),
        len,
    }))
}

/// Parses the head of the response at the front of `bytes`.
///
/// A response comes from a platform's own API: httparse's leniency about the ends of its lines
/// harms nobody.
///
/// # Errors
/// As [`parse`].
pub fn parse_response<'h, 'b: 'h>(
    bytes: &'b [u8],
    fields: &'h mut Fields<'b>,
) -> Result<Parsed<Head<'h>>, Reject> {
    let mut response = httparse::Response::new(&mut []);
    let config = httparse::ParserConfig::default();
    let len = match config.parse_response_with_uninit_headers(&mut response, bytes, fields) {
        Ok(Status::Complete(len)) => len,
        Ok(Status::Partial) if bytes.len() >= HEAD_BYTES_MAX => return Err(Reject::HeadTooLarge),
        Ok(Status::Partial) => return Ok(Parsed::More),
        Err(error) => return Err(reject(error)),
    };
    Ok(Parsed::Done(Head {
        method: "",
        target: "",
        status: response.code.unwrap_or(0),
        version: version(response.version.unwrap_or(0)),
        headers: Headers(response.headers),
        len,
    }))
}

fn version(minor: u8) -> Version {
    if minor == 0 {
        Version::Http10
    } else {
        Version::Http11
    }
}

/// The longest line, or else the longest head, that is looked at: how much has come beyond it must
/// not matter.
fn decisive(bytes: &[u8]) -> &[u8] {
    match bytes.get(..=LINE_BYTES_MAX) {
        Some(line) if !bytes::has(line, b'\n') => line,
        _ => bytes.get(..HEAD_BYTES_MAX).unwrap_or(bytes),
    }
}

/// A request line: room for a method, two spaces and a version around the longest target.
const LINE_BYTES_MAX: usize = TARGET_BYTES_MAX + 64;

/// A head that is still incomplete, unless it or its request line alone is already too long.
fn partial<T>(bytes: &[u8]) -> Result<Parsed<T>, Reject> {
    if bytes.len() > LINE_BYTES_MAX && !bytes::has(bytes, b'\n') {
        Err(Reject::TargetTooLong)
    } else if bytes.len() >= HEAD_BYTES_MAX {
        Err(Reject::HeadTooLarge)
    } else {
        Ok(Parsed::More)
    }
}

fn reject(error: Error) -> Reject {
    match error {
        Error::TooManyHeaders => Reject::TooManyFields,
        Error::HeaderName | Error::HeaderValue => Reject::Field,
        Error::NewLine => Reject::LineEnd,
        Error::Version | Error::Token | Error::Status => Reject::RequestLine,
    }
}

/// A request line that does not end with a version that is supported. If it ends with something of
/// the form `HTTP/d.d` (RFC 9112 §2.3), that is another version, and otherwise none at all: it has
/// to be there up to its end to tell.
fn other_version<T>(bytes: &[u8]) -> Result<Parsed<T>, Reject> {
    let is_end = |byte: &u8| matches!(byte, b'\r' | b'\n');
    let mut lines = bytes.split(is_end);
    let line = lines.find(|line| !line.is_empty()).unwrap_or_default();
    let mut words = bytes::split(line, b' ');
    if lines.next().is_none() {
        return partial(bytes);
    }
    let version = words.nth(2).unwrap_or_default();
    let is_one = matches!(version, [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
        if major.is_ascii_digit() && minor.is_ascii_digit());
    Err(if is_one && words.next().is_none() {
        Reject::Version
    } else {
        Reject::RequestLine
    })
}

/// httparse takes a bare LF for the end of a line. Where lines end is known from where fields
/// begin: every field and the empty line must come right after CR LF (RFC 9112 §2.2).
fn check_lines(head: &[u8], method: &str, fields: &[Header<'_>]) -> Result<(), Reject> {
    let start = |part: &str| bytes::position(head, part.as_bytes()).unwrap_or(0);
    let before = |part: &str| bytes::slice(head, 0..start(part));
    let empty_lines = before(method);
    let crs = empty_lines.iter().map(|&byte| usize::from(byte == b'\r'));
    let is_empty_lines = 2 * crs.sum::<usize>() == empty_lines.len();
    let follows_line_end = |field: &Header<'_>| matches!(before(field.name), [.., b'\r', b'\n']);
    if is_empty_lines && head.ends_with(b"\r\n\r\n") && fields.iter().all(follows_line_end) {
        Ok(())
    } else {
        Err(Reject::LineEnd)
    }
}

/// The forms of a target (RFC 9112 §3.2). A tunnel is nothing that a function could offer.
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
        _ => after_scheme(bytes)
            .is_some_and(|rest| !matches!(rest.first(), None | Some(b'/' | b'?'))),
    };
    if is_form && !bytes::has(bytes, b'#') {
        Ok(())
    } else {
        Err(Reject::Target)
    }
}

/// What follows the scheme of a target in absolute form: `host:port/path` of
/// `http://host:port/path`.
fn after_scheme(target: &[u8]) -> Option<&[u8]> {
    ["http://", "https://"].iter().find_map(|scheme| {
        let (start, rest) = target.split_at_checked(scheme.len())?;
        bytes::is_word(start, scheme).then_some(rest)
    })
}

/// Path and query of a target: the path begins with `/` (or is `*`), the query has no `?`.
#[must_use]
pub fn split_target(target: &str) -> (&str, Option<&str>) {
    let bytes = target.as_bytes();
    let mut path_start = 0;
    if bytes.first() != Some(&b'/')
        && let Some(rest) = after_scheme(bytes)
    {
        let authority = rest.iter().position(|byte| matches!(byte, b'/' | b'?'));
        path_start = bytes.len() - rest.len() + authority.unwrap_or(rest.len());
    }
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
        let got = parse(head.as_bytes(), &mut fields()).map(|parsed| match parsed {
            Parsed::Done(head) => head.len,
            Parsed::More => 0,
        });
        assert_eq!(got, want, "{head:?}");
        for cut in 0..want.unwrap_or(0) {
            let mut fields = fields();
            let got = parse(&head.as_bytes()[..cut], &mut fields);
            assert!(
                matches!(got, Ok(Parsed::More)),
                "{head:?} cut at {cut}: {got:?}"
            );
        }
    }

    #[track_caller]
    fn takes(head: &str) {
        check(head, Ok(head.len()));
    }

    #[test]
    fn takes_what_is_valid() {
        takes("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        takes("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n");
        takes("ANY-!#$%&'*+-.^_`|~token /x?y HTTP/1.0\r\n\r\n");
        takes("OPTIONS * HTTP/1.1\r\nHost:\r\n\r\n");
        takes("GET http://a.b:80/x?y=/ HTTP/1.1\r\nHost: a.b:80\r\n\r\n");
        takes("GET / HTTP/1.1\r\nhOST:\ta \t\r\nempty:\r\nblank:  \r\n\r\n");
    }

    #[test]
    fn takes_obs_text_in_values() {
        let head = b"GET / HTTP/1.1\r\nx: \xff\xe9\r\n\r\n";
        assert!(matches!(parse(head, &mut fields()), Ok(Parsed::Done(_))));
    }

    #[test]
    fn stops_at_the_empty_line() {
        check("GET / HTTP/1.1\r\n\r\nGET /", Ok(18));
    }

    #[test]
    fn refuses_line_ends_other_than_crlf() {
        for head in [
            "GET / HTTP/1.1\nHost: a\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\n\n",
            "GET / HTTP/1.1\r\na: b\nc: d\r\n\r\n",
            "\nGET / HTTP/1.1\r\n\r\n",
            "\n\r\nGET / HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\n\n",
            "GET / HTTP/1.1\r\nHost: a\r\n\rX: y\r\n\r\n",
        ] {
            check(head, Err(Reject::LineEnd));
        }
        check("GET / HTTP/1.1\r\na: b\rc: d\r\n\r\n", Err(Reject::Field));
    }

    #[test]
    fn refuses_bad_request_lines() {
        for line in [
            "GET / ",
            "GET  / HTTP/1.1",
            "G@T / HTTP/1.1",
            "GET /",
            " GET / HTTP/1.1",
        ] {
            check(
                &format!("{line}\r\nHost: a\r\n\r\n"),
                Err(Reject::RequestLine),
            );
        }
        for line in [
            "GET / HTTP/1.1 ",
            "GET / http/1.1",
            "GET / HTTP/1",
            "GET / a HTTP/1.1",
        ] {
            let head = format!("{line}\r\nHost: a\r\n\r\n");
            let got = parse(head.as_bytes(), &mut fields()).map(drop);
            assert_eq!(got.map_err(Reject::status), Err(400), "{head:?}");
        }
    }

    #[test]
    fn refuses_other_versions() {
        for version in ["HTTP/0.9", "HTTP/1.2", "HTTP/2.0", "HTTP/9.9"] {
            check(
                &format!("GET / {version}\r\nHost: a\r\n\r\n"),
                Err(Reject::Version),
            );
        }
    }

    #[test]
    fn refuses_bad_targets() {
        for target in ["x", "*", "http:///x", "ftp://a/", "/a#b", "a:80", "://"] {
            check(
                &format!("GET {target} HTTP/1.1\r\n\r\n"),
                Err(Reject::Target),
            );
        }
        check("CONNECT a:80 HTTP/1.1\r\n\r\n", Err(Reject::Method));
    }

    #[test]
    fn refuses_bad_fields() {
        for field in [
            "a b: c",
            "a : b",
            ": b",
            "a\x01: b",
            "a: b\x00",
            "a: b\x7f",
            "a",
            "a\u{e9}: b",
        ] {
            check(
                &format!("GET / HTTP/1.1\r\n{field}\r\n\r\n"),
                Err(Reject::Field),
            );
        }
        check("GET / HTTP/1.1\r\na: b\r\n c\r\n\r\n", Err(Reject::Field));
        check("GET / HTTP/1.1\r\n a: b\r\n\r\n", Err(Reject::Field));
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
        let parsed = parse(b"GET / HTTP/1.1\r\nA-b: 1\r\na-B: 2\r\n\r\n", &mut fields);
        let Ok(Parsed::Done(head)) = parsed else {
            panic!("{parsed:?}")
        };
        assert_eq!(head.headers.get("a-b"), Some(&b"1"[..]));
        assert_eq!(head.headers.text("A-B"), Some("1"));
        assert_eq!(head.headers.get("a"), None);
        assert_eq!(head.headers.iter().count(), 2);
    }
}
