//! How the body of a message is framed (RFC 9112 §6), and what else a head says about its
//! connection: decided once, in one function, from all its fields.

use super::head::Head;
use super::{Kind, Persist, Reject, Version, host, write};
use crate::bytes::{self, is_word_ignore_case};

/// How long the body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    /// That many bytes; zero where the head names none.
    Sized(u64),
    Chunked,
    /// Up to the end of the connection: only of a response.
    ToEnd,
}

/// What the head of a message says about the bytes around it.
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
pub fn framing(kind: Kind, head: &Head<'_>) -> Result<Framing, Reject> {
    let is_http10 = head.version == Version::Http10;
    let is_response = kind == Kind::Response;
    // RFC 9112 §6.3 rule 1: such a response ends with its head, whatever its fields say.
    let has_body = !is_response || write::has_body(head.status);
    let mut seen = Seen::default();
    for (name, value) in head.headers.iter() {
        let Some(field) = field(name) else {
            continue;
        };
        let has_meaning = match field {
            Field::Host | Field::Expect => !is_response,
            Field::ContentLength | Field::TransferEncoding => has_body,
            Field::Connection => true,
        };
        if !has_meaning {
            continue;
        }
        for item in bytes::split(value, b',') {
            seen.item(field, bytes::trim(item))?;
        }
    }
    // RFC 9112 §3.2: exactly one Host; HTTP/1.0 may leave it out.
    if seen.host_count > 1 || (seen.host_count == 0 && !is_http10 && !is_response) {
        return Err(Reject::Host);
    }
    // RFC 9110 §10.1.1: an expectation of a client of 1.0 is ignored.
    if seen.expects_other && !is_http10 {
        return Err(Reject::Expectation);
    }
    let length = match (seen.length, seen.is_chunked) {
        (Some(_), true) => return Err(Reject::LengthAndCoding),
        // RFC 9112 §6.1: a client of 1.0 cannot mean it.
        (None, true) if is_http10 => return Err(Reject::TransferEncoding),
        (None, true) if seen.has_other_coding => return Err(Reject::UnknownCoding),
        // RFC 9112 §6.3: without `chunked` at its end nobody can tell how long a request is.
        (_, false) if seen.has_other_coding => return Err(Reject::TransferEncoding),
        (None, true) => Length::Chunked,
        // RFC 9112 §6.3 rule 8.
        (None, false) if is_response && has_body => Length::ToEnd,
        (length, false) => Length::Sized(length.unwrap_or(0)),
    };
    // RFC 9110 §15.2: a response that is not final has no say in that.
    let is_interim = (100..200).contains(&head.status);
    let ends = seen.asks_close || length == Length::ToEnd;
    let keeps = is_interim || (!ends && (seen.asks_keep || !is_http10));
    let persist = if keeps { Persist::Keep } else { Persist::Close };
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
enum Field {
    Host,
    Expect,
    Connection,
    ContentLength,
    TransferEncoding,
}

/// Nearly every field is none of these, and its length alone tells.
fn field(name: &str) -> Option<Field> {
    let (known, field) = match name.len() {
        4 => ("host", Field::Host),
        6 => ("expect", Field::Expect),
        10 => ("connection", Field::Connection),
        14 => ("content-length", Field::ContentLength),
        17 => ("transfer-encoding", Field::TransferEncoding),
        _ => return None,
    };
    is_word_ignore_case(name.as_bytes(), known).then_some(field)
}

#[allow(
    clippy::struct_excessive_bools,
    reason = "each was seen or not, whatever the others"
)]
#[derive(Default)]
struct Seen {
    host_count: u32,
    length: Option<u64>,
    /// The last coding so far is `chunked`.
    is_chunked: bool,
    has_other_coding: bool,
    asks_close: bool,
    asks_keep: bool,
    expects_continue: bool,
    expects_other: bool,
}

impl Seen {
    #[inline(never)]
    fn item(&mut self, field: Field, item: &[u8]) -> Result<(), Reject> {
        let fault = match field {
            Field::Host => {
                self.host_count += 1;
                // RFC 9112 §3.2: a target without an authority has an empty `Host`.
                (!item.is_empty() && !host::is_authority(item)).then_some(Reject::Host)
            }
            // RFC 9110 §5.6.1.2: an empty member of a list is none.
            Field::Expect => {
                let is_continue = is_word_ignore_case(item, "100-continue");
                self.expects_continue |= is_continue;
                self.expects_other |= !is_continue && !item.is_empty();
                None
            }
            Field::Connection => {
                self.asks_close |= is_word_ignore_case(item, "close");
                self.asks_keep |= is_word_ignore_case(item, "keep-alive");
                None
            }
            // RFC 9112 §6.3: repeated or listed values must be the same.
            Field::ContentLength => {
                let before = self.length;
                self.length = bytes::decimal(item);
                let is_bad = self.length.is_none() || before.is_some_and(|_| before != self.length);
                is_bad.then_some(Reject::ContentLength)
            }
            // RFC 9112 §6.1: nothing comes after `chunked`, not even itself. An empty member is
            // refused, although RFC 9110 §5.6.1.2 would skip it: two readers could differ.
            Field::TransferEncoding => {
                let is_bad = self.is_chunked || item.is_empty();
                self.is_chunked = is_word_ignore_case(item, "chunked");
                self.has_other_coding |= !self.is_chunked;
                is_bad.then_some(Reject::TransferEncoding)
            }
        };
        fault.map_or(Ok(()), Err)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Parsed, head};
    use super::*;
    use std::format;

    /// What requests come to is in `tests/rows.rs`; this is what a response comes to.
    #[track_caller]
    fn check(status: u16, fields: &str, want: Result<(Length, Persist), Reject>) {
        let text = format!("HTTP/1.1 {status}\r\n{fields}\r\n");
        let mut place = head::fields();
        let parsed = head::parse(Kind::Response, text.as_bytes(), &mut place);
        let Ok(Parsed::Done(head)) = parsed else {
            panic!("{text:?}: {parsed:?}")
        };
        let got = framing(Kind::Response, &head).map(|framing| (framing.length, framing.persist));
        assert_eq!(got, want, "{text:?}");
    }

    #[test]
    fn responses() {
        let keep = |length| Ok((length, Persist::Keep));
        check(200, "Content-Length: 5\r\n", keep(Length::Sized(5)));
        check(200, "Transfer-Encoding: chunked\r\n", keep(Length::Chunked));
        check(
            200,
            "Content-Length: 5\r\nConnection: close\r\n",
            Ok((Length::Sized(5), Persist::Close)),
        );
        for status in [100, 103, 204, 304] {
            for fields in [
                "",
                "Content-Length: 5\r\n",
                "Transfer-Encoding: chunked\r\n",
                "Content-Length: 5\r\nTransfer-Encoding: gzip\r\n",
            ] {
                check(status, fields, keep(Length::Sized(0)));
            }
        }
        // One that is not final has no say in whether the connection persists.
        check(100, "Connection: close\r\n", keep(Length::Sized(0)));
        for fields in ["", "Connection: keep-alive\r\n", "Connection: close\r\n"] {
            check(200, fields, Ok((Length::ToEnd, Persist::Close)));
        }
        check(
            200,
            "Transfer-Encoding: gzip\r\n",
            Err(Reject::TransferEncoding),
        );
        // What means nothing in a response is none of its faults.
        let odd = "Content-Length: 0\r\nHost: a b\r\nHost: c\r\nExpect: tea\r\n";
        check(200, odd, keep(Length::Sized(0)));
    }
}
