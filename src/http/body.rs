//! How the body of a message is framed (RFC 9112 §6), and what else a head says about its
//! connection: decided once, in one function, from all its fields.

use super::head::Head;
use super::{Persist, Reject, Version, write};
use crate::bytes::{self, is_word};

/// How long the body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    /// That many bytes; zero where the head names none.
    Sized(u64),
    Chunked,
}

/// What the head of a request says about the bytes around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Framing {
    pub length: Length,
    pub persist: Persist,
    /// The client waits for `100 Continue` before it sends the body.
    pub expects_continue: bool,
}

/// Decides from all fields of `head`.
///
/// # Errors
/// Everything that could make two readers see different requests is refused (RFC 9112 §11.2).
pub fn framing(head: &Head<'_>) -> Result<Framing, Reject> {
    let is_http10 = head.version == Version::Http10;
    let mut seen = Seen::default();
    for (name, value) in head.headers.iter() {
        let Some(kind) = kind(name) else {
            continue;
        };
        for item in bytes::split(value, b',') {
            seen.item(kind, bytes::trim(item))?;
        }
    }
    let is_response = head.status > 0;
    // RFC 9112 §3.2: exactly one Host; HTTP/1.0 may leave it out.
    if seen.host_count > 1 || (seen.host_count == 0 && !is_http10 && !is_response) {
        return Err(Reject::Host);
    }
    let length = match (seen.length, seen.is_chunked) {
        (Some(_), true) => return Err(Reject::LengthAndCoding),
        // RFC 9112 §6.1: a client of 1.0 cannot mean it.
        (None, true) if is_http10 => return Err(Reject::TransferEncoding),
        (None, true) => Length::Chunked,
        // RFC 9112 §6.3: it ends with the connection, so that nobody can tell whether it is whole.
        (None, false) if is_response && write::has_body(head.status) => {
            return Err(Reject::Unframed);
        }
        (length, false) => Length::Sized(length.unwrap_or(0)),
    };
    // RFC 9110 §15.2: a response that is not final has no say in that.
    let is_interim = (100..200).contains(&head.status);
    let keeps = is_interim || (!seen.asks_close && (seen.asks_keep || !is_http10));
    let persist = if keeps { Persist::Keep } else { Persist::Close };
    // RFC 9110 §10.1.1: an expectation of a client of 1.0 is ignored.
    let expects_continue = seen.expects_continue && !is_http10;
    Ok(Framing {
        length,
        persist,
        expects_continue,
    })
}

/// The fields that say something about framing. All of them are taken as lists (RFC 9110 §5.6.1);
/// for `Host`, which is none, a list is then one too many.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Host,
    Expect,
    Connection,
    ContentLength,
    TransferEncoding,
}

/// Nearly every field is none of these, and its length alone tells.
fn kind(name: &str) -> Option<Kind> {
    let (known, kind) = match name.len() {
        4 => ("host", Kind::Host),
        6 => ("expect", Kind::Expect),
        10 => ("connection", Kind::Connection),
        14 => ("content-length", Kind::ContentLength),
        17 => ("transfer-encoding", Kind::TransferEncoding),
        _ => return None,
    };
    is_word(name.as_bytes(), known).then_some(kind)
}

#[allow(
    clippy::struct_excessive_bools,
    reason = "each was seen or not, whatever the others"
)]
#[derive(Default)]
struct Seen {
    host_count: u32,
    length: Option<u64>,
    is_chunked: bool,
    asks_close: bool,
    asks_keep: bool,
    expects_continue: bool,
}

impl Seen {
    #[inline(never)]
    fn item(&mut self, kind: Kind, item: &[u8]) -> Result<(), Reject> {
        let fault = match kind {
            Kind::Host => {
                self.host_count += 1;
                (!item.iter().all(|&byte| is_host_byte(byte))).then_some(Reject::Host)
            }
            Kind::Expect => {
                self.expects_continue = true;
                (!is_word(item, "100-continue")).then_some(Reject::Expectation)
            }
            Kind::Connection => {
                self.asks_close |= is_word(item, "close");
                self.asks_keep |= is_word(item, "keep-alive");
                None
            }
            // RFC 9112 §6.3: repeated or listed values must be the same.
            Kind::ContentLength => {
                let before = self.length;
                self.length = bytes::decimal(item);
                let is_bad = self.length.is_none() || before.is_some_and(|_| before != self.length);
                is_bad.then_some(Reject::ContentLength)
            }
            // RFC 9112 §6.1: `chunked` is the only coding understood here, once and alone.
            Kind::TransferEncoding if item.is_empty() => Some(Reject::TransferEncoding),
            Kind::TransferEncoding if !is_word(item, "chunked") => Some(Reject::UnknownCoding),
            Kind::TransferEncoding => {
                let is_repeated = core::mem::replace(&mut self.is_chunked, true);
                is_repeated.then_some(Reject::TransferEncoding)
            }
        };
        fault.map_or(Ok(()), Err)
    }
}

/// What can stand in `uri-host [ ":" port ]` (RFC 9110 §7.2, RFC 3986 §3.2.2).
fn is_host_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || bytes::has(b"-._~%!$&'()*+;=:[]", byte)
}

#[cfg(test)]
mod tests {
    use super::super::{Parsed, head};
    use super::*;
    use std::format;

    #[track_caller]
    fn check(version: &str, fields: &str, want: Result<Framing, Reject>) {
        let text = format!("POST / HTTP/{version}\r\n{fields}\r\n");
        let mut place = head::fields();
        let parsed = head::parse(crate::http::Kind::Request, text.as_bytes(), &mut place);
        let Ok(Parsed::Done(head)) = parsed else {
            panic!("{text:?}: {parsed:?}")
        };
        assert_eq!(framing(&head), want, "{text:?}");
    }

    #[track_caller]
    fn takes(fields: &str, length: Length) {
        let framing = Framing {
            length,
            persist: Persist::Keep,
            expects_continue: false,
        };
        check("1.1", &format!("Host: a\r\n{fields}"), Ok(framing));
    }

    #[track_caller]
    fn refuses(fields: &str, reject: Reject) {
        check("1.1", &format!("Host: a\r\n{fields}"), Err(reject));
    }

    #[test]
    fn lengths() {
        takes("", Length::Sized(0));
        takes("Content-Length: 5\r\n", Length::Sized(5));
        takes("content-length: 005\r\n", Length::Sized(5));
        takes(
            "Content-Length: 5\r\nContent-Length: 5\r\n",
            Length::Sized(5),
        );
        takes("Content-Length: 5, 5\r\n", Length::Sized(5));
        takes("Transfer-Encoding: chunked\r\n", Length::Chunked);
        takes("transfer-encoding: CHUNKED\r\n", Length::Chunked);
    }

    #[test]
    fn bad_lengths() {
        for value in [
            "",
            "+5",
            "-5",
            "5 5",
            "0x5",
            "5a",
            "5,",
            "5, 6",
            "18446744073709551616",
        ] {
            refuses(
                &format!("Content-Length: {value}\r\n"),
                Reject::ContentLength,
            );
        }
        refuses(
            "Content-Length: 5\r\nContent-Length: 6\r\n",
            Reject::ContentLength,
        );
    }

    #[test]
    fn bad_codings() {
        for value in [
            "gzip",
            "gzip, chunked",
            "chunked, gzip",
            "identity",
            "xchunked",
            "chunked;q=1",
        ] {
            refuses(
                &format!("Transfer-Encoding: {value}\r\n"),
                Reject::UnknownCoding,
            );
        }
        for value in ["", "chunked, chunked", "chunked,", ",chunked"] {
            refuses(
                &format!("Transfer-Encoding: {value}\r\n"),
                Reject::TransferEncoding,
            );
        }
        let twice = "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n";
        refuses(twice, Reject::TransferEncoding);
        let both = "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n";
        refuses(both, Reject::LengthAndCoding);
        check(
            "1.0",
            "Transfer-Encoding: chunked\r\n",
            Err(Reject::TransferEncoding),
        );
    }

    #[test]
    fn hosts() {
        check("1.1", "", Err(Reject::Host));
        refuses("Host: a\r\n", Reject::Host);
        refuses("Host: b\r\n", Reject::Host);
        for value in ["a b", "a/b", "a@b", "a\u{e9}", "a,b", "a, b"] {
            check("1.1", &format!("Host: {value}\r\n"), Err(Reject::Host));
        }
        for value in ["", "a.b:80", "[::1]:80", "127.0.0.1"] {
            let framing = Framing {
                length: Length::Sized(0),
                persist: Persist::Keep,
                expects_continue: false,
            };
            check("1.1", &format!("Host: {value}\r\n"), Ok(framing));
        }
    }

    #[test]
    fn persistence() {
        let want = |persist| {
            Ok(Framing {
                length: Length::Sized(0),
                persist,
                expects_continue: false,
            })
        };
        check("1.1", "Host: a\r\n", want(Persist::Keep));
        check(
            "1.1",
            "Host: a\r\nConnection: x, Close\r\n",
            want(Persist::Close),
        );
        check("1.0", "", want(Persist::Close));
        check("1.0", "Connection: Keep-Alive\r\n", want(Persist::Keep));
        check(
            "1.0",
            "Connection: keep-alive, close\r\n",
            want(Persist::Close),
        );
    }

    #[test]
    fn expectations() {
        let want = |expects_continue, persist| {
            Ok(Framing {
                length: Length::Sized(0),
                persist,
                expects_continue,
            })
        };
        check(
            "1.1",
            "Host: a\r\nExpect: 100-Continue\r\n",
            want(true, Persist::Keep),
        );
        check(
            "1.0",
            "Expect: 100-continue\r\n",
            want(false, Persist::Close),
        );
        refuses("Expect: tea\r\n", Reject::Expectation);
    }
}
