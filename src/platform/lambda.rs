//! AWS Lambda: events are polled from a runtime API, one at a time or, on Managed Instances,
//! several.
//!
//! Sources: AWS Lambda "Using the Lambda runtime API for custom runtimes", "Building a custom
//! runtime" (response streaming, Managed Instances), "Using the Lambda Extensions API", "Runtime
//! hooks for Lambda `SnapStart`"; for the cause that X-Ray is told, what AWS's runtime interface
//! emulator reads (`rapi/model/error_cause.go`).

use crate::bytes::{self, Writer};
use crate::handler::Error;

/// What every path of the API begins with.
pub const PREFIX: &[u8] = b"/2018-06-01/runtime/";

/// The field that says whose extension registers, and the events it wants: none.
pub const REGISTER_FIELDS: &[u8] = b"Lambda-Extension-Name: fnboot\r\n";
pub const REGISTER: &[u8] = b"{\"events\":[]}";

/// The header by which a registered extension is known.
pub const EXTENSION_ID: &str = "lambda-extension-identifier";

/// The header that an event is known by.
pub const REQUEST_ID: &str = "lambda-runtime-aws-request-id";

/// The header of an event that is given back with its answer, on Managed Instances.
pub const INVOCATION_ID: &str = "lambda-runtime-invocation-id";

/// The field that says of what type a failure is, as `Category.Reason`: the last word of the type, and whether the
/// function or, by the name of the type, its runtime has failed.
pub fn error_type(error: &Error, head: &mut Writer<'_>) {
    let kind = error.kind().as_bytes();
    head.put(b"Lambda-Runtime-Function-Error-Type: ");
    head.put(match kind {
        [b'R', b'u', b'n', b't', b'i', b'm', b'e', b'.', ..] => b"Runtime.",
        _ => &b"Function."[..],
    });
    let is_part = |byte: &u8| !byte.is_ascii_alphanumeric();
    head.put(
        kind.rsplit(is_part)
            .find(|word| !word.is_empty())
            .unwrap_or(b"Error"),
    );
    head.put(b"\r\n");
}

/// The field that tells X-Ray why an event failed. A stack holds objects, and Lambda takes no other form.
pub fn error_cause(error: &Error, head: &mut Writer<'_>) {
    head.put_member(
        b"Lambda-Runtime-Function-XRay-Error-Cause: \
        {\"working_directory\":\"/var/task\",\"exceptions\":[{\"type\":\"",
        error.kind().as_bytes(),
    );
    head.put_member(b"\",\"message\":\"", error.message_bytes());
    let mut place = bytes::split(error.place_bytes(), b':');
    let path = place.next().unwrap_or_default();
    if path.is_empty() {
        return head.put(b"\",\"stack\":[]}],\"paths\":[]}\r\n");
    }
    head.put_member(b"\",\"stack\":[{\"path\":\"", path);
    head.put(b"\",\"line\":");
    head.put_decimal(place.next().and_then(bytes::decimal).unwrap_or(0));
    head.put_member(b"}]}],\"paths\":[\"", path);
    head.put(b"\"]}\r\n");
}

/// The fields of an answer that is sent in pieces.
pub const STREAMING_FIELDS: &[u8] = b"Lambda-Runtime-Function-Response-Mode: streaming\r\n\
    Content-Type: application/vnd.awslambda.http-integration-response\r\n\
    Trailer: Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body\r\n\
    Transfer-Encoding: chunked\r\n\r\n";

/// The end of an answer in pieces that failed: what follows the last chunk (RFC 9112 §7.1.2).
pub fn error_trailers(error: &Error, body: &[u8], place: &mut Writer<'_>) {
    place.put(b"0\r\n");
    error_type(error, place);
    place.put(b"Lambda-Runtime-Function-Error-Body: ");
    place.put_base64(body);
    place.put(b"\r\n\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_types_are_words() {
        for (kind, want) in [
            ("Oops", "Function.Oops"),
            ("core::num::error::ParseIntError", "Function.ParseIntError"),
            ("Box<dyn a::B>", "Function.B"),
            ("\r\n", "Function.Error"),
            ("Runtime.NoSuchHandler", "Runtime.NoSuchHandler"),
            ("runtime::Error", "Function.Error"),
        ] {
            let mut place = [0; 128];
            let mut head = Writer::new(&mut place);
            error_type(&Error::fixed(kind, ""), &mut head);
            let want = std::format!("Lambda-Runtime-Function-Error-Type: {want}\r\n");
            assert_eq!(head.finish(), want.as_bytes());
        }
    }

    /// Whatever the place, the cause is JSON: `Error` cuts a long one.
    #[test]
    fn causes_are_json() {
        for (place, stack, paths) in [
            ("", "", ""),
            ("a.rs:1:2", r#"{"path":"a.rs","line":1}"#, r#""a.rs""#),
            ("a.rs:1", r#"{"path":"a.rs","line":1}"#, r#""a.rs""#),
            ("a.rs", r#"{"path":"a.rs","line":0}"#, r#""a.rs""#),
            ("a:b.rs:1:2", r#"{"path":"a","line":0}"#, r#""a""#),
            ("a:007:2", r#"{"path":"a","line":7}"#, r#""a""#),
            (":", "", ""),
            (
                "\"\\\x7f\n:1",
                r#"{"path":"\"\\\u007f\u000a","line":1}"#,
                r#""\"\\\u007f\u000a""#,
            ),
        ] {
            let mut room = [0; 512];
            let mut head = Writer::new(&mut room);
            error_cause(&Error::at("T", "m\x7f", place), &mut head);
            let want = std::format!(
                "Lambda-Runtime-Function-XRay-Error-Cause: {{\"working_directory\":\"/var/task\",\
                \"exceptions\":[{{\"type\":\"T\",\"message\":\"m\\u007f\",\"stack\":[{stack}]}}],\
                \"paths\":[{paths}]}}\r\n"
            );
            assert_eq!(str::from_utf8(head.finish()), Ok(want.as_str()));
        }
    }

    #[test]
    fn trailers_carry_the_failure() {
        let mut place = [0; 256];
        let mut text = Writer::new(&mut place);
        error_trailers(&Error::fixed("Oops", ""), b"{}", &mut text);
        let want = "0\r\nLambda-Runtime-Function-Error-Type: Function.Oops\r\n\
            Lambda-Runtime-Function-Error-Body: e30=\r\n\r\n";
        assert_eq!(text.finish(), want.as_bytes());
    }
}
