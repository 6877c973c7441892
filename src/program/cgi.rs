//! What a program is told about an HTTP request: the meta-variables of CGI/1.1 (RFC 3875 §4.1), and those
//! that scripts expect beside them.
//!
//! A request is what anybody sends. Only a header whose name is letters, digits and `-` becomes a variable,
//! because `_` would forge another; `Proxy` becomes none, because `HTTP_PROXY` is a setting of many programs
//! (CVE-2016-5385); and none that is a credential does, or that a platform tells about a call.

use super::variables::Variables;
use crate::bytes::{self, Writer};
use crate::handler::{Context, Platform, Request};
use crate::http::Version;
use crate::platform::is_listed;

/// Room for everything that [`put_request`] writes, of which no part of a head is there more than twice.
pub const REQUEST_BYTES_MAX: usize = 40 * 1024;

/// Whether a request sets the variable `name`, or another request may: what the process has of that name is
/// not about this one. Only for programs that are called with a request.
pub fn is_of_request(name: &[u8]) -> bool {
    name.starts_with(b"HTTP_") && name != b"HTTP_PROXY"
        || bytes::split(NAMES, b' ').any(|other| other == name)
}

/// Appends what the request says.
pub fn put_request(request: &Request<'_>, cx: &Context<'_>, into: &mut Variables<'_>) {
    let header = |name| request.header(name).unwrap_or_default();
    let is_https = bytes::is_word_ignore_case(header("x-forwarded-proto"), "https");
    let (host, port) = split_port(header("host"));
    let port_default: &[u8] = if is_https { b"443" } else { b"80" };
    let mut place = [0; 20];
    let mut len = Writer::new(&mut place);
    len.put_decimal(request.body().len() as u64);
    let values: [Option<&[u8]>; 13] = [
        Some(b"CGI/1.1"),
        Some(concat!("fnboot/", env!("CARGO_PKG_VERSION")).as_bytes()),
        Some(match request.head.version {
            Version::Http10 => b"HTTP/1.0",
            Version::Http11 => b"HTTP/1.1",
        }),
        Some(request.method().as_bytes()),
        Some(request.target().as_bytes()),
        Some(request.query().unwrap_or_default().as_bytes()),
        Some(b""),
        Some(if host.is_empty() { b"localhost" } else { host }),
        Some(if port.is_empty() { port_default } else { port }),
        Some(remote_addr(request, cx)),
        is_https.then_some(b"on"),
        request.header("content-type"),
        (!request.body().is_empty()).then_some(len.finish()),
    ];
    for (name, value) in bytes::split(NAMES, b' ').zip(values) {
        if let Some(value) = value {
            into.put(name, value);
        }
    }
    put_path(request.path().as_bytes(), into);
    put_headers(request, into);
}

/// The variables that are not headers of the request, in the order of their values; that of the last is put
/// in parts.
const NAMES: &[u8] = b"GATEWAY_INTERFACE SERVER_SOFTWARE SERVER_PROTOCOL REQUEST_METHOD REQUEST_URI \
    QUERY_STRING SCRIPT_NAME SERVER_NAME SERVER_PORT REMOTE_ADDR HTTPS CONTENT_TYPE CONTENT_LENGTH PATH_INFO";

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
        [host @ .., b':'] => (
            host,
            authority.get(before_digits.len()..).unwrap_or_default(),
        ),
        _ => (authority, b""),
    }
}

/// The client's address: as the platform says, else as the first of the proxies says. Whatever has another
/// form than an address is somebody's joke.
fn remote_addr<'a>(request: &Request<'a>, cx: &Context<'_>) -> &'a [u8] {
    let of_platform = match cx.platform() {
        Platform::Fc | Platform::Lambda => "x-fc-client-ip",
        Platform::Scf => "x-scf-remote-addr",
    };
    let is_part = |byte: &u8| byte.is_ascii_hexdigit() || matches!(byte, b'.' | b':');
    for name in [of_platform, "x-forwarded-for"] {
        let value = request.header(name).unwrap_or_default();
        let first = bytes::trim(bytes::before(value, b','));
        if !first.is_empty() && first.iter().all(is_part) {
            return first;
        }
    }
    b"127.0.0.1"
}

/// `PATH_INFO`: the path, decoded once. An encoded slash becomes one, as in most servers: who must tell the
/// two apart has `REQUEST_URI`. What is no escape stays as it is, and so does the escape of a control
/// character, as a NUL would end the variable and a newline somebody's line.
fn put_path(path: &[u8], into: &mut Variables<'_>) {
    into.put_part(b"PATH_INFO=");
    let mut rest = path;
    while let [byte, after @ ..] = rest {
        let decoded = unescape(rest).filter(|(byte, _)| bytes::is_text(*byte));
        let (byte, after) = decoded.unwrap_or((*byte, after));
        into.put_part(&[byte]);
        rest = after;
    }
    into.end();
}

/// The byte that the escape at the front of `text` stands for, and what follows it.
fn unescape(text: &[u8]) -> Option<(u8, &[u8])> {
    let [b'%', high, low, after @ ..] = text else {
        return None;
    };
    Some((
        bytes::hex_digit(*high)? << 4 | bytes::hex_digit(*low)?,
        after,
    ))
}

/// `HTTP_NAME` for every header, in the order in which they came. Those of the same name become one value.
fn put_headers(request: &Request<'_>, into: &mut Variables<'_>) {
    for (index, (name, value)) in request.headers().enumerate() {
        let is_same = |other: &str| bytes::is_word_ignore_case(name.as_bytes(), other);
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        let is_repeated = request
            .headers()
            .take(index)
            .any(|(other, _)| is_same(other));
        if is_repeated || !name.bytes().all(is_plain) || is_listed(DROPPED, name) {
            continue;
        }
        into.put_part(b"HTTP_");
        for byte in name.bytes() {
            into.put_part(&[if byte == b'-' {
                b'_'
            } else {
                byte.to_ascii_uppercase()
            }]);
        }
        let separator: &[u8] = if is_same("cookie") { b"; " } else { b", " };
        into.put_part(b"=");
        into.put_part(value);
        for (position, (other, value)) in request.headers().enumerate() {
            if position > index && is_same(other) {
                into.put_part(separator);
                into.put_part(value);
            }
        }
        into.end();
    }
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
            ("SERVER_PROTOCOL", "HTTP/1.1"),
            ("REQUEST_METHOD", "GET"),
            ("REQUEST_URI", "/"),
            ("QUERY_STRING", ""),
            ("SCRIPT_NAME", ""),
            ("SERVER_NAME", "localhost"),
            ("SERVER_PORT", "80"),
            ("REMOTE_ADDR", "127.0.0.1"),
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
            ("a:", "HTTPS", "a", "443"),
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
        assert_eq!(bytes::split(NAMES, b' ').count(), 14);
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
