//! What platforms say and want to hear, as pure functions.
//!
//! [`fc`] is a platform that pushes calls over HTTP, as SCF does for its web functions. [`lambda`]
//! and [`scf`] are polled: what they have in common is in [`runtime_api`].

pub mod fc;
pub mod lambda;
pub mod runtime_api;
pub mod scf;

use crate::bytes::{self, Writer, is_same};
use crate::handler::{Error, Platform, Response};
use crate::http::write;

/// What a platform wants from the function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// An event: bytes in, bytes out.
    Invoke,
    /// An HTTP request, passed on as it came from the client.
    Http,
    Initialize,
    PreFreeze,
    PreStop,
}

/// What a handler's response begins with: status line and fields, or for Lambda its prelude.
///
/// # Errors
/// The response is not one that could be sent.
pub fn response_head(
    platform: Platform,
    response: &Response<'_>,
    head: &mut Writer<'_>,
) -> Result<(), Error> {
    let fields = response.checked()?;
    if platform == Platform::Lambda {
        lambda::prelude(response.status, fields, head);
    } else {
        write::status(head, response.status);
        if platform == Platform::Fc {
            head.put(fc::OK_FIELD);
        }
        for (name, value) in fields {
            if !is_owned(name) {
                write::field(head, name.as_bytes(), value);
            }
        }
    }
    if head.room() < write::END_BYTES_MAX {
        return Err(Error::fixed("BadResponse", "headers too large"));
    }
    Ok(())
}

/// Whether a header of a response belongs to the platform, or to the server, and is dropped.
fn is_owned(name: &str) -> bool {
    let name = name.as_bytes();
    bytes::split(OWNED, b' ').any(|owned| match owned.split_last() {
        Some((b'*', prefix)) => name
            .get(..prefix.len())
            .is_some_and(|name| is_same(name, prefix)),
        _ => is_same(name, owned),
    })
}

/// Names, in which a star stands for whatever follows.
const OWNED: &[u8] =
    b"x-fc-* x-scf-* connection content-length date keep-alive server transfer-encoding upgrade";

/// The body of the answer to a call that failed: the fields that all platforms use.
pub fn failure_body(error: &Error, body: &mut Writer<'_>) {
    body.put_member(b"{\"errorMessage\":\"", error.message_bytes());
    body.put_member(b"\",\"errorType\":\"", error.kind().as_bytes());
    if error.place_bytes().is_empty() {
        body.put(b"\"}");
    } else {
        body.put_member(b"\",\"stackTrace\":[\"", error.place_bytes());
        body.put(b"\"]}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::format;

    #[track_caller]
    fn check_head(response: &Response<'_>, want: Result<&str, &str>) {
        let mut place = [0; 384];
        let mut head = Writer::new(&mut place);
        let got = response_head(Platform::Scf, response, &mut head);
        match want {
            Ok(want) => {
                got.expect("a response that can be sent");
                assert_eq!(head.finish(), want.as_bytes());
            }
            Err(want) => assert_eq!(got.expect_err("bad").message(), want),
        }
    }

    #[test]
    fn responses_are_checked() {
        let status = "HTTP/1.1 201 Created\r\n";
        check_head(&Response::new(201), Ok(status));
        let given = Response::new(201).header("A", "b").header("a", "c");
        check_head(&given, Ok(&format!("{status}A: b\r\na: c\r\n")));
        let owned = Response::new(201)
            .header("Connection", "close")
            .header("content-length", "7")
            .header("X-Fc-Status", "404")
            .header("date", "x")
            .header("TRANSFER-ENCODING", "chunked");
        check_head(&owned, Ok(status));
        let bad = "a header's name or value is not valid";
        check_head(&Response::new(200).header("a", "b\r\nc: d"), Err(bad));
        check_head(&Response::new(200).header("a b", "c"), Err(bad));
        check_head(&Response::new(200).header("", "c"), Err(bad));
        for status in [0, 100, 101, 199, 600, 1000] {
            check_head(
                &Response::new(status),
                Err("status not between 200 and 599"),
            );
        }
        let long = "x".repeat(300);
        check_head(
            &Response::new(200).header("a", &long),
            Err("headers too large"),
        );
    }

    /// The longest error fits the place of a failure: every byte of it takes six.
    #[test]
    fn no_failure_is_cut() {
        let [kind, message, place] = [400, 600, 200].map(|len| "\u{1}".repeat(len));
        let error = Error::at(kind.leak(), message, place);
        let mut room = [0; 6 * 1024];
        let mut body = Writer::new(&mut room);
        failure_body(&error, &mut body);
        assert!(!body.is_cut());
        assert!(body.finish().ends_with(b"\\u0001\"]}"));
    }

    #[test]
    fn failures_are_json() {
        let mut place = [0; 256];
        let mut body = Writer::new(&mut place);
        failure_body(&Error::at("T\"y", "a\nb", "f.rs:1:2"), &mut body);
        let want = r#"{"errorMessage":"a\u000ab","errorType":"T\"y","stackTrace":["f.rs:1:2"]}"#;
        assert_eq!(body.finish(), want.as_bytes());
        let mut body = Writer::new(&mut place);
        failure_body(&Error::fixed("T", "m"), &mut body);
        assert_eq!(body.finish(), br#"{"errorMessage":"m","errorType":"T"}"#);
    }
}
