//! What platforms say and want to hear, as pure functions.
//!
//! [`fc`] is a platform that pushes calls over HTTP, as SCF does for its web functions. [`lambda`]
//! and [`scf`] are polled: what they have in common is in [`runtime_api`]. An event of theirs may be an HTTP
//! request all the same, in the JSON of a `gateway`.

pub mod fc;
pub mod gateway;
pub mod json;
pub mod lambda;
pub mod response;
pub mod runtime_api;
pub mod scf;

use crate::bytes::{self, Writer};
use crate::handler::Error;

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

/// Whether a header of a response belongs to the platform, or to the server, and is dropped.
fn is_owned(name: &str) -> bool {
    bytes::is_listed(OWNED, name)
}

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
