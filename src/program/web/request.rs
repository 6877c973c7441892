//! The head of a request that is passed on.
//!
//! Method, target and fields are as they came (RFC 9110 §7.6), but for what is about one connection, and what is said
//! about the body, which is there as a whole. FC says what a call is about in fields that begin with `x-fc-`; on the
//! other platforms a client's are dropped, and fnboot says the same by them.

use super::settings::{EVENT_PATH_DEFAULT, Settings};
use crate::bytes::{self, Writer};
use crate::handler::{Context, Platform, Request};
use crate::http::{forward, head, write};

/// The head of the request that an HTTP request is passed on as, whose body is `body_bytes` long. `is_event` if it
/// is FC's way to send an event.
#[inline(never)]
pub fn put_request(
    settings: &Settings,
    request: &Request<'_>,
    is_event: bool,
    cx: &Context<'_>,
    body_bytes: usize,
    into: &mut Writer<'_>,
) {
    into.put(request.method().as_bytes());
    into.put(b" ");
    match settings.event_path {
        Some(path) if is_event => into.put(path),
        _ => put_target(request.target(), settings.base_path, into),
    }
    into.put(b" HTTP/1.1\r\n");
    let is_fc = settings.platform == Platform::Fc;
    let headers = request.head.headers;
    let is_lambda = settings.platform == Platform::Lambda;
    let has_trace = is_lambda && cx.trace_id().is_some();
    for (name, value) in headers.iter() {
        let is = |other: &str| bytes::is_word_ignore_case(name.as_bytes(), other);
        let is_told = !is_fc && is_of_platform(name) || has_trace && is("x-amzn-trace-id");
        if !is("expect") && !is_told && !forward::is_of_hop(headers, name) {
            write::field(into, name.as_bytes(), value);
        }
    }
    if headers.get("host").is_none() {
        put_host(settings.port, into);
    }
    if !is_fc {
        put_context(cx, b"/http-invoke", into);
    }
    let has_length =
        headers.get("content-length").is_some() || headers.get("transfer-encoding").is_some();
    if has_length || body_bytes > 0 {
        write::content_length(into, body_bytes as u64);
    }
    into.put(b"\r\n");
}

/// The head of the request that an event becomes which is none.
#[inline(never)]
pub fn put_event(settings: &Settings, cx: &Context<'_>, body_bytes: usize, into: &mut Writer<'_>) {
    into.put(b"POST ");
    into.put(settings.event_path.unwrap_or(EVENT_PATH_DEFAULT));
    into.put(b" HTTP/1.1\r\n");
    put_host(settings.port, into);
    into.put(b"Content-Type: application/octet-stream\r\n");
    put_context(cx, b"/invoke", into);
    write::content_length(into, body_bytes as u64);
    into.put(b"\r\n");
}

/// A request that asks whether the server is ready.
pub fn put_question(settings: &Settings, into: &mut Writer<'_>) {
    into.put(b"GET ");
    into.put(settings.ready_path);
    into.put(b" HTTP/1.1\r\n");
    put_host(settings.port, into);
    into.put(b"\r\n");
}

fn put_host(port: u16, into: &mut Writer<'_>) {
    into.put(b"Host: 127.0.0.1:");
    into.put_decimal(port.into());
    into.put(b"\r\n");
}

/// The target without what is taken away from its front, in the form that a server is asked with (RFC 9112 §3.2.1).
fn put_target(target: &str, base: &[u8], into: &mut Writer<'_>) {
    if target == "*" {
        return into.put(b"*");
    }
    let (path, query) = head::split_target(target);
    let path = path.as_bytes();
    let rest = path.strip_prefix(base).unwrap_or(path);
    into.put(match rest {
        [b'/', ..] => rest,
        [] => b"/",
        _ => path,
    });
    if let Some(query) = query {
        into.put(b"?");
        into.put(query.as_bytes());
    }
}

/// Whether a field is one that only the platform sends; or looks like one to servers that take `_` and `-` for the same,
/// as those of CGI's variables do.
fn is_of_platform(name: &str) -> bool {
    PLATFORM.iter().any(|prefix| {
        let front = name.as_bytes().get(..prefix.len()).unwrap_or_default();
        bytes::is_word_ignore_case(front, prefix)
    })
}

/// How such fields begin.
const PLATFORM: [&str; 4] = ["x-fc-", "x_fc-", "x-fc_", "x_fc_"];

/// What FC says in fields of its own about a call.
#[inline(never)]
fn put_context(cx: &Context<'_>, path: &[u8], into: &mut Writer<'_>) {
    let mut put = |name: &[u8], value: &[u8]| {
        if !value.is_empty() && value.iter().all(|&byte| bytes::is_text(byte)) {
            write::field(into, name, value);
        }
    };
    let mut place = [[0; 20]; 2];
    let [memory, timeout] = &mut place;
    let left_ms = || cx.remaining_ms().map(|left_ms| left_ms.div_ceil(1000));
    let timeout_s = cx.function_timeout().map(|time| time.as_secs());
    put(b"X-Fc-Request-Id", cx.id());
    put(b"X-Fc-Control-Path", path);
    put(b"X-Fc-Function-Name", text(cx.function_name()));
    put(
        b"X-Fc-Function-Memory",
        digits(cx.function_memory_mb(), memory),
    );
    put(
        b"X-Fc-Function-Timeout",
        digits(timeout_s.or_else(left_ms), timeout),
    );
    if cx.platform() == Platform::Lambda {
        put(b"X-Amzn-Trace-Id", text(cx.trace_id()));
    }
}

fn text(value: Option<&str>) -> &[u8] {
    value.unwrap_or_default().as_bytes()
}

fn digits(number: Option<u64>, place: &mut [u8; 20]) -> &[u8] {
    let mut digits = Writer::new(place);
    if let Some(number) = number {
        digits.put_decimal(number);
    }
    digits.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::clock::NEVER;
    use crate::testing;
    use std::string::String;
    use std::vec;

    type Pairs<'a> = [(&'a str, &'a str)];

    fn settings(platform: Platform) -> Settings {
        Settings {
            port: 8080,
            platform,
            event_path: Some(b"/events"),
            base_path: b"/base",
            error_statuses: b"",
            ready_path: b"",
            ready_statuses: b"",
            body_bytes_max: 0,
            timeout_ms: NEVER,
            prefixes_log: false,
        }
    }

    /// The head that a request is passed on with.
    fn passed(platform: Platform, is_event: bool, target: &str, sent: &Pairs<'_>) -> String {
        let mut place = vec![0; 4096];
        let mut into = Writer::new(&mut place);
        testing::request(platform, "POST", target, sent, b"body", |request, cx| {
            put_request(&settings(platform), request, is_event, cx, 4, &mut into);
        });
        String::from_utf8(into.finish().to_vec()).expect("text")
    }

    #[test]
    fn fields_are_as_they_came() {
        let sent = [
            ("Host", "h:1"),
            ("x-A", "1"),
            ("X-FC-Request-Id", "id"),
            ("Connection", "Keep-Alive, x-named, host"),
            ("X-Named", "2"),
            ("TE", "trailers"),
            ("Trailer", "t"),
            ("Upgrade", "h2c"),
            ("Keep-Alive", "timeout=5"),
            ("Proxy-Connection", "close"),
            ("Expect", "100-continue"),
            ("X-a", "3"),
        ];
        let got = passed(Platform::Fc, false, "/a?b", &sent);
        let want = "POST /a?b HTTP/1.1\r\nHost: h:1\r\nx-A: 1\r\nX-FC-Request-Id: id\r\nX-a: 3\r\n\
            Content-Length: 4\r\n\r\n";
        assert_eq!(got, want);
        // What begins with `x-fc-` is a client's where the platform is another.
        let forged = [
            sent[0],
            sent[1],
            sent[2],
            ("X_Fc-Function_Name", "f"),
            ("x-fcc", "1"),
        ];
        let got = passed(Platform::Scf, false, "/a", &forged);
        let want = "POST /a HTTP/1.1\r\nHost: h:1\r\nx-A: 1\r\nx-fcc: 1\r\n\
            X-Fc-Control-Path: /http-invoke\r\nContent-Length: 4\r\n\r\n";
        assert_eq!(got, want);
        let got = passed(Platform::Fc, false, "/", &[]);
        assert!(got.contains("\r\nHost: 127.0.0.1:8080\r\n"), "{got}");
    }

    #[test]
    fn targets() {
        for (target, want) in [
            ("/", "/"),
            ("/a/%20?b=c?d", "/a/%20?b=c?d"),
            ("/base", "/"),
            ("/base?a", "/?a"),
            ("/base/", "/"),
            ("/base/a", "/a"),
            ("/base/base/a", "/base/a"),
            ("/based", "/based"),
            ("/a/base/b", "/a/base/b"),
            ("http://example.com/base/a?b", "/a?b"),
            ("http://example.com", "/"),
        ] {
            let got = passed(Platform::Fc, false, target, &[]);
            let line = got.lines().next().expect("a line");
            assert_eq!(line, std::format!("POST {want} HTTP/1.1"), "{target}");
        }
        let got = passed(Platform::Fc, true, "/invoke", &[]);
        assert!(got.starts_with("POST /events HTTP/1.1\r\n"), "{got}");
    }
}
