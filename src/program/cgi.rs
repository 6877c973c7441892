//! What a program is told about an HTTP request: the meta-variables of CGI/1.1 (RFC 3875 §4.1), and those
//! that scripts expect beside them.
//!
//! A request is what anybody sends. Only a header whose name is letters, digits and `-` becomes a variable,
//! because `_` would forge another; `Proxy` becomes none, because `HTTP_PROXY` is a setting of many programs
//! (CVE-2016-5385); and none that is a credential does, or that a platform tells about a call.

use super::variables::{Owner, Variables, listed, put_table};
use crate::bytes::{self, Writer};
use crate::handler::{Context, Platform, Request};
use crate::http::{Version, head};

/// Room for everything that [`put_request`] writes, of which no part of a head is there more than twice.
pub const REQUEST_BYTES_MAX: usize = 40 * 1024;

/// Whether a request sets the variable `name`, or another request may: what the process has of that name is
/// not about this one. Only for programs that are called with a request.
pub fn is_of_request(name: &[u8]) -> bool {
    name.starts_with(b"HTTP_") && name != b"HTTP_PROXY"
        || listed(NAMES, name) == Owner::Call
        || listed(TABLE, name) == Owner::Call
}

/// Appends what the request says.
pub fn put_request(request: &Request<'_>, cx: &Context<'_>, into: &mut Variables<'_>) {
    put_table(cx, &[], TABLE, into);
    let mut rest = NAMES;
    let mut put = |value: &[u8]| put_next(&mut rest, value, into);
    put(request.method().as_bytes());
    put(request.target().as_bytes());
    put(match request.head.version {
        Version::Http10 => b"HTTP/1.0",
        Version::Http11 => b"HTTP/1.1",
    });
    put(b"");
    let (path, query) = head::split_target(request.target());
    put(query.unwrap_or_default().as_bytes());
    put(or(remote_addr(request, cx), b"127.0.0.1"));
    let (host, port) = split_port(header(request, "host"));
    put(or(host, b"localhost"));
    let is_https = header(request, "x-forwarded-proto") == b"https";
    put(or(port, if is_https { b"443" } else { b"80" }));
    if is_https {
        into.put(b"HTTPS", b"on");
    }
    // Not by a table, which is of the headers of the call: on Lambda and SCF they are not those of the request.
    let content_type = header(request, "content-type");
    if !content_type.is_empty() {
        into.put(b"CONTENT_TYPE", content_type);
    }
    put_length(request.body().len(), into);
    put_path(path.as_bytes(), into);
    put_headers(request, into);
}

/// The variables of every request that have a value of their own, in the order in which it is put.
const NAMES: &[u8] =
    b"REQUEST_METHOD REQUEST_URI SERVER_PROTOCOL SCRIPT_NAME QUERY_STRING REMOTE_ADDR \
    SERVER_NAME SERVER_PORT";

/// The others. The first are only there because of [`is_of_request`].
const TABLE: &[u8] = concat!(
    "HTTPS CONTENT_LENGTH CONTENT_TYPE PATH_INFO =CGI/1.1 GATEWAY_INTERFACE =fnboot/",
    env!("CARGO_PKG_VERSION"),
    " SERVER_SOFTWARE"
)
.as_bytes();

/// Appends the variable that is the next of `names`.
#[inline(never)]
fn put_next(names: &mut &[u8], value: &[u8], into: &mut Variables<'_>) {
    let name = bytes::take_part(names, b' ').unwrap_or_default();
    into.put(name, value);
}

/// Appends the length of the body, if there is one.
fn put_length(len: usize, into: &mut Variables<'_>) {
    let mut place = [0; 20];
    let mut digits = Writer::new(&mut place);
    if len > 0 {
        digits.put_decimal(len as u64);
        into.put(b"CONTENT_LENGTH", digits.written());
    }
}

/// The value of the first header of that name, empty where there is none.
#[inline(never)]
fn header<'a>(request: &Request<'a>, name: &str) -> &'a [u8] {
    request.header(name).unwrap_or_default()
}

#[inline(never)]
fn or<'a>(value: &'a [u8], default: &'a [u8]) -> &'a [u8] {
    if value.is_empty() { default } else { value }
}

/// Headers that become no variable: credentials, what a platform tells (it is told by other names), what is
/// about one connection, and those that have a variable of another name. A star stands for whatever follows.
const DROPPED: &[u8] =
    b"authorization connection content-length content-type keep-alive proxy* te trailer \
    transfer-encoding upgrade x-acs-security-token x-amz-security-token x-fc-* x-scf-*";

/// Host and port of a `Host` field, which the protocol has checked; the port is empty where there is none.
fn split_port(authority: &[u8]) -> (&[u8], &[u8]) {
    let mut before_digits = authority;
    while let [rest @ .., b'0'..=b'9'] = before_digits {
        before_digits = rest;
    }
    match before_digits {
        [host @ .., b':'] => {
            let digits = before_digits.len()..authority.len();
            (host, bytes::slice(authority, digits))
        }
        _ => (authority, b""),
    }
}

/// The client's address: as the platform says, else as the first of the proxies says; empty if neither
/// does, or says something of another form.
fn remote_addr<'a>(request: &Request<'a>, cx: &Context<'_>) -> &'a [u8] {
    let of_platform = match cx.platform() {
        Platform::Fc | Platform::Lambda => "x-fc-client-ip",
        Platform::Scf => "x-scf-remote-addr",
    };
    let of_proxies = bytes::before(header(request, "x-forwarded-for"), b',');
    let address = bytes::trim(or(header(request, of_platform), of_proxies));
    let is_part = |byte: &u8| byte.is_ascii_hexdigit() || matches!(byte, b'.' | b':');
    if address.iter().all(is_part) {
        address
    } else {
        b""
    }
}

/// `PATH_INFO`: the path, decoded once. An encoded slash becomes one, as in most servers: who must tell the
/// two apart has `REQUEST_URI`. What is no escape stays as it is, and so does the escape of a control
/// character, as a NUL would end the variable and a newline somebody's line.
fn put_path(path: &[u8], into: &mut Variables<'_>) {
    into.put_part(b"PATH_INFO=");
    let mut rest = path;
    while let [first, after @ ..] = rest {
        let mut byte = *first;
        rest = after;
        if byte == b'%'
            && let [high, low, after @ ..] = rest
            && let Some(high) = bytes::hex_digit(*high)
            && let Some(low) = bytes::hex_digit(*low)
            && bytes::is_text(high << 4 | low)
        {
            byte = high << 4 | low;
            rest = after;
        }
        into.put_part(&[byte]);
    }
    into.end();
}

/// `HTTP_NAME` for every header, in the order in which they came. Those of the same name become one value.
fn put_headers(request: &Request<'_>, into: &mut Variables<'_>) {
    for (name, value) in request.headers() {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        // Values lie in the head, each at a place of its own.
        let is_first = header(request, name).as_ptr() == value.as_ptr();
        if is_first && name.bytes().all(is_plain) && !bytes::is_listed(DROPPED, name) {
            put_header(request, name, into);
        }
    }
}

/// The variable of the headers of that name.
fn put_header(request: &Request<'_>, name: &str, into: &mut Variables<'_>) {
    into.put_part(b"HTTP_");
    for byte in name.bytes() {
        into.put_part(&[match byte {
            b'-' => b'_',
            _ => byte.to_ascii_uppercase(),
        }]);
    }
    let is = |other: &str| bytes::is_word_ignore_case(name.as_bytes(), other);
    let mut mark: &[u8] = b"=";
    for (_, value) in request.headers().filter(|(other, _)| is(other)) {
        into.put_part(mark);
        into.put_part(value);
        mark = if is("cookie") { b"; " } else { b", " };
    }
    into.end();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;
    use std::string::{String, ToString};
    use std::vec;
    use std::vec::Vec;

    type Pairs<'a> = [(&'a str, &'a str)];

    fn told_on(
        platform: Platform,
        (method, target): (&str, &str),
        headers: &Pairs<'_>,
        body: &[u8],
    ) -> Vec<(String, String)> {
        testing::request(platform, method, target, headers, body, |request, cx| {
            let mut place = vec![0; REQUEST_BYTES_MAX];
            let mut variables = Variables::new(&mut place, b'\n');
            put_request(request, cx, &mut variables);
            assert!(!variables.is_cut());
            let text = core::str::from_utf8(variables.finish()).expect("text");
            let pairs = text.lines().map(|line| line.split_once('=').expect("="));
            pairs.map(|(a, b)| (a.to_string(), b.to_string())).collect()
        })
    }

    fn told(target: &str, headers: &Pairs<'_>) -> Vec<(String, String)> {
        told_on(Platform::Fc, ("GET", target), headers, b"")
    }

    /// The value of the only variable of that name.
    #[track_caller]
    fn value(variables: &[(String, String)], name: &str) -> Option<String> {
        let mut found = variables.iter().filter(|(other, _)| other == name);
        let value = found.next().map(|(_, value)| value.clone());
        assert_eq!(found.next(), None, "{name}");
        value
    }

    /// The variables of a request that are headers.
    fn headers(headers: &Pairs<'_>) -> Vec<(String, String)> {
        let mut all = told("/", headers);
        all.retain(|(name, _)| name.starts_with("HTTP_"));
        all
    }

    fn pairs(pairs: &Pairs<'_>) -> Vec<(String, String)> {
        let pair = |&(name, value): &(&str, &str)| (name.to_string(), value.to_string());
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn the_least_request() {
        let software = concat!("fnboot/", env!("CARGO_PKG_VERSION"));
        let want = pairs(&[
            ("GATEWAY_INTERFACE", "CGI/1.1"),
            ("SERVER_SOFTWARE", software),
            ("REQUEST_METHOD", "GET"),
            ("REQUEST_URI", "/"),
            ("SERVER_PROTOCOL", "HTTP/1.1"),
            ("SCRIPT_NAME", ""),
            ("QUERY_STRING", ""),
            ("REMOTE_ADDR", "127.0.0.1"),
            ("SERVER_NAME", "localhost"),
            ("SERVER_PORT", "80"),
            ("PATH_INFO", "/"),
        ]);
        assert_eq!(told("/", &[]), want);
    }

    #[test]
    fn a_whole_request() {
        let headers = [
            ("Host", "example.com:8080"),
            ("Content-Type", "text/plain"),
            ("Content-Length", "4"),
            ("X-Forwarded-For", "203.0.113.9, 10.0.0.1"),
            ("X-Forwarded-Proto", "https"),
        ];
        let got = told_on(Platform::Fc, ("POST", "/a%20b?c=%20&d"), &headers, b"body");
        for (name, want) in [
            ("REQUEST_METHOD", "POST"),
            ("REQUEST_URI", "/a%20b?c=%20&d"),
            ("PATH_INFO", "/a b"),
            ("QUERY_STRING", "c=%20&d"),
            ("SERVER_NAME", "example.com"),
            ("SERVER_PORT", "8080"),
            ("HTTPS", "on"),
            ("REMOTE_ADDR", "203.0.113.9"),
            ("CONTENT_TYPE", "text/plain"),
            ("CONTENT_LENGTH", "4"),
            ("HTTP_HOST", "example.com:8080"),
            ("HTTP_X_FORWARDED_FOR", "203.0.113.9, 10.0.0.1"),
            ("HTTP_X_FORWARDED_PROTO", "https"),
        ] {
            assert_eq!(value(&got, name).as_deref(), Some(want), "{name}");
        }
        assert_eq!(got.len(), 17, "{got:?}");
    }

    #[test]
    fn paths_are_decoded_once() {
        for (path, want) in [
            ("/", "/"),
            ("/a%2Fb", "/a/b"),
            ("/%e4%bD%a0", "/\u{4f60}"),
            ("/%2525", "/%25"),
            ("/a+b", "/a+b"),
            ("/%00%0a%0D%1f%7F%09", "/%00%0a%0D%1f%7F\t"),
            ("/%", "/%"),
            ("/%4", "/%4"),
            ("/%4g%41", "/%4gA"),
            ("/%%41", "/%A"),
            ("/../%2e%2e/b", "/../../b"),
            ("http://example.com/a?b", "/a"),
            ("http://example.com", "/"),
        ] {
            let got = value(&told(path, &[]), "PATH_INFO");
            assert_eq!(got.as_deref(), Some(want), "{path}");
        }
    }

    #[test]
    fn hosts_and_ports() {
        for (host, proto, name, port) in [
            ("a", "", "a", "80"),
            ("a", "https", "a", "443"),
            ("a", "http", "a", "80"),
            ("a:", "https", "a", "443"),
            ("a:81", "https", "a", "81"),
            ("10.0.0.1", "", "10.0.0.1", "80"),
            ("10.0.0.1:9000", "", "10.0.0.1", "9000"),
            ("[::1]", "", "[::1]", "80"),
            ("[::1]:9000", "", "[::1]", "9000"),
            ("", "", "localhost", "80"),
            ("a1", "", "a1", "80"),
        ] {
            let got = told("/", &[("host", host), ("x-forwarded-proto", proto)]);
            let of = |name| value(&got, name).expect("a value");
            assert_eq!(
                (of("SERVER_NAME"), of("SERVER_PORT")),
                (name.into(), port.into())
            );
        }
    }

    #[test]
    fn clients() {
        let xff = |value| ("x-forwarded-for", value);
        for (platform, headers, want) in [
            (
                Platform::Fc,
                &[("x-fc-client-ip", "1.2.3.4"), xff("5.6.7.8")][..],
                "1.2.3.4",
            ),
            (
                Platform::Fc,
                &[("x-fc-client-ip", ""), xff("5.6.7.8")],
                "5.6.7.8",
            ),
            (
                Platform::Fc,
                &[("x-scf-remote-addr", "1.2.3.4")],
                "127.0.0.1",
            ),
            (
                Platform::Scf,
                &[("x-scf-remote-addr", "1.2.3.4")],
                "1.2.3.4",
            ),
            (Platform::Scf, &[("x-fc-client-ip", "1.2.3.4")], "127.0.0.1"),
            (
                Platform::Scf,
                &[xff("2001:db8::1 , 10.0.0.1")],
                "2001:db8::1",
            ),
            (Platform::Scf, &[xff("unknown, 10.0.0.1")], "127.0.0.1"),
            (Platform::Scf, &[xff("$(reboot)")], "127.0.0.1"),
            (Platform::Scf, &[xff("")], "127.0.0.1"),
        ] {
            let got = told_on(platform, ("GET", "/"), headers, b"");
            assert_eq!(
                value(&got, "REMOTE_ADDR").as_deref(),
                Some(want),
                "{headers:?}"
            );
        }
    }

    #[test]
    fn headers_become_variables() {
        let sent = [
            ("Accept", "a"),
            ("x-Two-3", "b"),
            ("ACCEPT", "c, d"),
            ("Cookie", "e=f"),
            ("cookie", "g=h"),
            ("X-Empty", ""),
            ("accept", ""),
        ];
        let want = pairs(&[
            ("HTTP_ACCEPT", "a, c, d, "),
            ("HTTP_X_TWO_3", "b"),
            ("HTTP_COOKIE", "e=f; g=h"),
            ("HTTP_X_EMPTY", ""),
        ]);
        assert_eq!(headers(&sent), want);
    }

    #[test]
    fn what_becomes_no_variable() {
        for name in [
            "Proxy",
            "Proxy-Authorization",
            "Proxy-Connection",
            "Authorization",
            "Connection",
            "Keep-Alive",
            "TE",
            "Trailer",
            "Transfer-Encoding",
            "Upgrade",
            "Content-Length",
            "Content-Type",
            "X-Fc-Access-Key-Id",
            "X-Fc-Access-Key-Secret",
            "x-fc-security-token",
            "X-Fc-Request-Id",
            "X-Scf-Secret-Key",
            "X-Acs-Security-Token",
            "X-Amz-Security-Token",
            "X_Forwarded_For",
            "A_B",
            "A.B",
            "A!",
        ] {
            assert_eq!(headers(&[(name, "secret")]), [], "{name}");
        }
        // Names that only begin like one of them.
        let kept = [("Authorization-Info", "a"), ("Tea", "b"), ("X-Fcc", "c")];
        assert_eq!(headers(&kept).len(), 3);
    }

    #[test]
    fn whose_a_variable_is() {
        for (name, want) in [
            ("REQUEST_METHOD", true),
            ("PATH_INFO", true),
            ("CONTENT_LENGTH", true),
            ("HTTPS", true),
            ("HTTP_HOST", true),
            ("HTTP_", true),
            ("HTTP_PROXY", false),
            ("http_proxy", false),
            ("HTTPS_PROXY", false),
            ("PATH", false),
            ("", false),
        ] {
            assert_eq!(is_of_request(name.as_bytes()), want, "{name}");
        }
    }

    /// Of a name that is there twice, some programs see the first value and some the last; and the process
    /// keeps what a request does not own.
    #[test]
    fn every_variable_is_the_requests_own() {
        let headers = [
            ("a", "b"),
            ("A", "c"),
            ("Host", "d:1"),
            ("Content-Type", "e"),
        ];
        let got = told_on(Platform::Scf, ("PUT", "/"), &headers, b"f");
        for (name, _) in &got {
            assert!(is_of_request(name.as_bytes()), "{name}");
            value(&got, name);
        }
        for word in bytes::split(NAMES, b' ').chain(bytes::split(TABLE, b' ')) {
            let name = core::str::from_utf8(word).expect("text");
            let is_name = word[0].is_ascii_uppercase();
            assert!(
                !is_name || name == "HTTPS" || value(&got, name).is_some(),
                "{name}"
            );
        }
    }

    /// The longest target is there twice, decoded and not, and so is a part of it; the longest header once.
    #[test]
    fn the_longest_head_fits() {
        let target = ["/", &"x".repeat(crate::limits::TARGET_BYTES_MAX - 1)].concat();
        let long = "y".repeat(crate::limits::HEAD_BYTES_MAX - target.len());
        told(&target, &[("content-type", &long)]);
        told(&["/?", &target[2..]].concat(), &[("x", &long)]);
        let many: Vec<String> = (0..100).map(|number| std::format!("h{number}")).collect();
        let value = "z".repeat(160);
        let many: Vec<(&str, &str)> = many.iter().map(|name| (&name[..], &value[..])).collect();
        assert_eq!(headers(&many).len(), 100);
    }
}
