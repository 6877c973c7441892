//! `application/vnd.amazon.eventstream`, as `InvokeWithResponseStream` answers: one message for each piece,
//! and one for the end.
//!
//! A message is its length, its headers' length and the CRC-32 of both; the headers; the payload; the
//! CRC-32 of all that. Numbers are big-endian. A header is a name and a typed value, here always text.

use hyper::body::Bytes;
use serde_json::Value;

/// The `Content-Type` of such a response.
pub(crate) const CONTENT_TYPE: &str = "application/vnd.amazon.eventstream";

/// A header value's type: text, after its length in two bytes.
const TEXT: u8 = 7;

/// The message for a piece of the function's answer.
pub(crate) fn payload_chunk(piece: &[u8]) -> Bytes {
    message("PayloadChunk", "application/octet-stream", piece)
}

/// The last message. It says how the call failed (`ErrorCode`, `ErrorDetails`), and the end of the log in base64
/// (`LogResult`), where there is any.
pub(crate) fn complete(end: &Value) -> Bytes {
    let end = end.to_string();
    message("InvokeComplete", "application/json", end.as_bytes())
}

fn message(event_type: &str, content_type: &str, payload: &[u8]) -> Bytes {
    let mut headers = Vec::new();
    for (name, value) in [
        (":event-type", event_type),
        (":content-type", content_type),
        (":message-type", "event"),
    ] {
        headers.extend(u8::try_from(name.len()).unwrap_or(u8::MAX).to_be_bytes());
        headers.extend(name.bytes().chain([TEXT]));
        headers.extend(u16::try_from(value.len()).unwrap_or(u16::MAX).to_be_bytes());
        headers.extend(value.bytes());
    }
    let mut message = Vec::from(size(16 + headers.len() + payload.len()));
    message.extend(size(headers.len()));
    message.extend(crc32fast::hash(&message).to_be_bytes());
    message.extend_from_slice(&headers);
    message.extend_from_slice(payload);
    message.extend(crc32fast::hash(&message).to_be_bytes());
    message.into()
}

/// A length as the format has it. No piece comes near four GiB: answers end at 200 MiB.
fn size(len: usize) -> [u8; 4] {
    u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD as BASE64;
    use serde_json::json;

    /// Rows that botocore's `EventStreamBuffer` decodes.
    #[test]
    fn messages_are_those_of_the_sdks() {
        let check = |message: Bytes, want: &str| assert_eq!(BASE64.encode(message), want);
        check(
            payload_chunk(b"Hello"),
            "AAAAbwAAAFr1/ocfCzpldmVudC10eXBlBwAMUGF5bG9hZENodW5rDTpjb250ZW50LXR5cGUHABhhcHBsaWNhdGlvbi9vY3RldC1zdHJlYW0NOm1lc3NhZ2UtdHlwZQcABWV2ZW50SGVsbG/oJj1k",
        );
        check(
            complete(&json!({})),
            "AAAAZgAAAFQfVshpCzpldmVudC10eXBlBwAOSW52b2tlQ29tcGxldGUNOmNvbnRlbnQtdHlwZQcAEGFwcGxpY2F0aW9uL2pzb24NOm1lc3NhZ2UtdHlwZQcABWV2ZW50e31wBtRn",
        );
    }
}
