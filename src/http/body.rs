//! How the body of a request is framed (RFC 9112 §6), and what else a head says about its
//! connection: decided once, in one function, from all its fields.

use super::head::Head;
use super::{Persist, Reject, Version};
use crate::bytes;

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
    let mut seen = Seen {
        persist: default_persist(head.version),
        ..Seen::default()
    };
    for (name, value) in head.headers.iter() {
        seen.field(name, value)?;
    }
    // RFC 9112 §3.2: exactly one Host; HTTP/1.0 may leave it out.
    if seen.host_count > 1 || (seen.host_count == 0 && head.version == Version::Http11) {
        return Err(Reject::Host);
    }
    let length = match (seen.length, seen.is_chunked) {
        (Some(_), true) => return Err(Reject::LengthAndCoding),
        // RFC 9112 §6.1: a client of 1.0 cannot mean it.
        (None, true) if head.version == Version::Http10 => return Err(Reject::TransferEncoding),
        (None, true) => Length::Chunked,
        (length, false) => Length::Sized(length.unwrap_or(0)),
    };
    let persist = if seen.asks_close {
        Persist::Close
    } else {
        seen.persist
    };
    // RFC 9110 §10.1.1: an expectation of a client of 1.0 is ignored.
    let expects_continue = seen.expects_continue && head.version == Version::Http11;
    Ok(Framing {
        length,
        persist,
        expects_continue,
    })
}

fn default_persist(version: Version) -> Persist {
    match version {
        Version::Http10 => Persist::Close,
        Version::Http11 => Persist::Keep,
    }
}

struct Seen {
    host_count: u32,
    length: Option<u64>,
    is_chunked: bool,
    asks_close: bool,
    persist: Persist,
    expects_continue: bool,
}

impl Default for Seen {
    fn default() -> Self {
        Self {
            host_count: 0,
            length: None,
            is_chunked: false,
            asks_close: false,
            persist: Persist::Keep,
            expects_continue: false,
        }
    }
}

impl Seen {
    fn field(&mut self, name: &str, value: &[u8]) -> Result<(), Reject> {
        // By length first: nearly every field is none of these.
        match name.len() {
            4 if name.eq_ignore_ascii_case("host") => self.host(value),
            6 if name.eq_ignore_ascii_case("expect") => self.expect(value),
            10 if name.eq_ignore_ascii_case("connection") => self.connection(value),
            14 if name.eq_ignore_ascii_case("content-length") => self.content_length(value),
            17 if name.eq_ignore_ascii_case("transfer-encoding") => self.transfer_encoding(value),
            _ => Ok(()),
        }
    }

    fn host(&mut self, value: &[u8]) -> Result<(), Reject> {
        self.host_count += 1;
        if value.iter().all(|&byte| is_host_byte(byte)) {
            Ok(())
        } else {
            Err(Reject::Host)
        }
    }

    fn expect(&mut self, value: &[u8]) -> Result<(), Reject> {
        self.expects_continue = true;
        if value.eq_ignore_ascii_case(b"100-continue") {
            Ok(())
        } else {
            Err(Reject::Expectation)
        }
    }

    fn connection(&mut self, value: &[u8]) -> Result<(), Reject> {
        for option in value.split(|&byte| byte == b',').map(bytes::trim) {
            if option.eq_ignore_ascii_case(b"close") {
                self.asks_close = true;
            } else if option.eq_ignore_ascii_case(b"keep-alive") {
                self.persist = Persist::Keep;
            }
        }
        Ok(())
    }

    /// RFC 9112 §6.3: repeated or listed values must be the same.
    fn content_length(&mut self, value: &[u8]) -> Result<(), Reject> {
        for digits in value.split(|&byte| byte == b',').map(bytes::trim) {
            let length = bytes::decimal(digits).ok_or(Reject::ContentLength)?;
            if self.length.is_some_and(|other| other != length) {
                return Err(Reject::ContentLength);
            }
            self.length = Some(length);
        }
        Ok(())
    }

    /// RFC 9112 §6.1: `chunked` is the only coding that is understood here, once and alone.
    fn transfer_encoding(&mut self, value: &[u8]) -> Result<(), Reject> {
        for coding in value.split(|&byte| byte == b',').map(bytes::trim) {
            if !coding.eq_ignore_ascii_case(b"chunked") {
                let is_known = coding.is_empty();
                return Err(if is_known {
                    Reject::TransferEncoding
                } else {
                    Reject::UnknownCoding
                });
            }
            if self.is_chunked {
                return Err(Reject::TransferEncoding);
            }
            self.is_chunked = true;
        }
        Ok(())
    }
}

/// What can stand in `uri-host [ ":" port ]` (RFC 9110 §7.2, RFC 3986 §3.2.2).
fn is_host_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=:[]".contains(&byte)
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
        let parsed = head::parse(text.as_bytes(), &mut place);
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
        for value in ["a b", "a/b", "a@b", "a\u{e9}"] {
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
