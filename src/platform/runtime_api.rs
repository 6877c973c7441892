//! What the APIs of polled platforms have in common: the function asks for an event, and sends its
//! answer.
//!
//! Sources: AWS Lambda "Using the Lambda runtime API for custom runtimes", version 2018-06-01;
//! Tencent SCF "Custom Runtime", "Event processing".

use super::{lambda, scf};
use crate::bytes::{self, Writer};
use crate::handler::Platform;

/// What is asked of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// SCF: the function can take events.
    Ready,
    /// Lambda's `SnapStart`: the instance may be frozen now, and answers once it is restored.
    Restore,
    /// Lambda's extension API: without an extension the instance is killed without `SIGTERM`.
    Register,
    /// Lambda's extension API: waits for ever, as the extension has subscribed to nothing.
    ExtensionNext,
    /// The next event. It may take for ever; asked for again before it is answered, it is the same.
    Next,
    /// Takes the answer to an event.
    Response,
    /// Takes the failure of an event.
    Error,
    /// Lambda: takes the failure of what came before the first event.
    InitError,
}

impl Ask {
    /// Whether the request has a body, if only an empty one: it is a `POST`.
    pub fn has_body(self) -> bool {
        !matches!(self, Self::Restore | Self::ExtensionNext | Self::Next)
    }
}

/// Where the API is: `http://host:port/base`, in front of the paths of all that is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address {
    /// The host's address in IPv4.
    pub ip: [u8; 4],
    pub port: u16,
    /// `host`, `host:port` or either with a path behind it, as it was named, without a slash at its
    /// end.
    pub name: &'static [u8],
}

impl Address {
    /// No API.
    pub const NOWHERE: Self = Self {
        ip: [0; 4],
        port: 0,
        name: b"",
    };

    /// `host` or `host:port`, and the base path: empty, or with a slash at its beginning.
    #[inline]
    pub fn parts(&self) -> (&'static [u8], &'static [u8]) {
        let authority = bytes::before(self.name, b'/');
        let base = self.name.get(authority.len()..);
        (authority, base.unwrap_or_default())
    }
}

/// Where an API is whose address names no port (RFC 9110 §4.2.1).
pub const PORT_DEFAULT: u16 = 80;

/// The request line, `Host`, and whatever else does not depend on the body.
///
/// `id` names the event that is answered.
pub fn request(platform: Platform, address: &Address, ask: Ask, id: &[u8], head: &mut Writer<'_>) {
    let (authority, base) = address.parts();
    let is_lambda = platform == Platform::Lambda;
    for &byte in bytes::line(LINES, ask as usize) {
        match byte {
            b' ' => {
                head.put(b" ");
                head.put(base);
            }
            b'~' if is_lambda => head.put(lambda::PREFIX),
            b'~' => head.put(scf::PREFIX),
            b'$' if is_lambda => {
                head.put(id);
                head.put(b"/");
            }
            b'$' => {}
            _ => head.put(&[byte]),
        }
    }
    head.put(b" HTTP/1.1\r\nHost: ");
    head.put(bytes::before(authority, b':'));
    // RFC 9110 §7.2 and §4.2.3: the authority, in the normal form, which leaves the default port out.
    if address.port != PORT_DEFAULT {
        head.put(b":");
        head.put_decimal(u64::from(address.port));
    }
    head.put(concat!("\r\nUser-Agent: fnboot/", env!("CARGO_PKG_VERSION"), "\r\n").as_bytes());
}

/// Method and path of every [`Ask`], in their order. Behind the blank comes the base path; `~` is what
/// all paths of a platform begin with, `$` the event.
const LINES: &[u8] = b"POST ~init/ready
GET ~restore/next
POST /2020-01-01/extension/register
GET /2020-01-01/extension/event/next
GET ~invocation/next
POST ~invocation/$response
POST ~invocation/$error
POST ~init/error";

/// How the API took an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Taken,
    /// This answer is lost, and the next event may be asked for.
    Refused,
    /// The API has waited long for a request, and ends the connection: it can be made on another.
    Expired,
    /// The platform will end the instance: it expects the process to end by itself.
    Lost,
}

/// What the status of a response means.
///
/// A 413 (answer too long), a 400 (event unknown by now) and a 403 (answered already) are the end
/// of that event only; but for an event that is asked for, everything other than 200 is the end. A 408
/// is none of them: with it, a server ends a connection that it has waited on (RFC 9110 §15.5.9).
pub fn verdict(ask: Ask, status: u16) -> Verdict {
    match (ask, status) {
        (_, 408) => Verdict::Expired,
        (Ask::Next, 200) => Verdict::Taken,
        (Ask::Next, _) => Verdict::Lost,
        (_, 200..300) => Verdict::Taken,
        (Ask::Response | Ask::Error, 400..500) => Verdict::Refused,
        // SCF: a repeated call is ignored, the first counts. Lambda: an extension is for those who
        // want to be told of the end.
        (Ask::Ready | Ask::Register | Ask::ExtensionNext, 400..500) => Verdict::Refused,
        _ => Verdict::Lost,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESS: Address = Address {
        ip: [127, 0, 0, 1],
        port: 9001,
        name: b"localhost:9001",
    };

    #[track_caller]
    fn check(platform: Platform, ask: Ask, want: &str) {
        let mut place = [0; 256];
        let mut head = Writer::new(&mut place);
        request(platform, &ADDRESS, ask, b"id", &mut head);
        let head = core::str::from_utf8(head.finish()).expect("text");
        let (line, fields) = head.split_once("\r\n").expect("a line");
        assert_eq!(line.strip_suffix(" HTTP/1.1"), Some(want));
        assert!(fields.starts_with("Host: localhost:9001\r\nUser-Agent: fnboot/"));
    }

    #[test]
    fn paths() {
        let lambda = |ask, want| check(Platform::Lambda, ask, want);
        lambda(Ask::Next, "GET /2018-06-01/runtime/invocation/next");
        lambda(
            Ask::Response,
            "POST /2018-06-01/runtime/invocation/id/response",
        );
        lambda(Ask::Error, "POST /2018-06-01/runtime/invocation/id/error");
        lambda(Ask::InitError, "POST /2018-06-01/runtime/init/error");
        lambda(Ask::Restore, "GET /2018-06-01/runtime/restore/next");
        lambda(Ask::Register, "POST /2020-01-01/extension/register");
        lambda(Ask::ExtensionNext, "GET /2020-01-01/extension/event/next");
        let scf = |ask, want| check(Platform::Scf, ask, want);
        scf(Ask::Ready, "POST /runtime/init/ready");
        scf(Ask::Next, "GET /runtime/invocation/next");
        scf(Ask::Response, "POST /runtime/invocation/response");
        scf(Ask::Error, "POST /runtime/invocation/error");
    }

    #[test]
    fn a_base_path_and_the_default_port() {
        let address = Address {
            port: 80,
            name: b"localhost:80/a/b",
            ..ADDRESS
        };
        for (ask, line) in [
            (Ask::Next, "GET /a/b/2018-06-01/runtime/invocation/next"),
            (Ask::Register, "POST /a/b/2020-01-01/extension/register"),
        ] {
            let mut place = [0; 256];
            let mut head = Writer::new(&mut place);
            request(Platform::Lambda, &address, ask, b"", &mut head);
            let want = std::format!("{line} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: ");
            assert!(head.finish().starts_with(want.as_bytes()), "{ask:?}");
        }
    }

    #[test]
    fn verdicts() {
        assert_eq!(verdict(Ask::Next, 200), Verdict::Taken);
        for status in [204, 403] {
            assert_eq!(verdict(Ask::Next, status), Verdict::Lost);
        }
        for ask in [Ask::Next, Ask::Response, Ask::Register] {
            assert_eq!(verdict(ask, 408), Verdict::Expired);
        }
        assert_eq!(verdict(Ask::Response, 202), Verdict::Taken);
        for status in [400, 403, 413] {
            assert_eq!(verdict(Ask::Response, status), Verdict::Refused);
        }
        assert_eq!(verdict(Ask::Response, 500), Verdict::Lost);
        assert_eq!(verdict(Ask::Ready, 400), Verdict::Refused);
        assert_eq!(verdict(Ask::Register, 403), Verdict::Refused);
        assert_eq!(verdict(Ask::Register, 500), Verdict::Lost);
    }
}
