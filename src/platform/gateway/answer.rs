//! From a response to the JSON that a gateway makes one of.
//!
//! ```text
//!   {"statusCode":200,"headers":{…}   put_head
//!   ,"isBase64Encoded":false,"body":" Form::put_name
//!   …                                 Form::put, or the body as it is
//!   "}                                END
//! ```

use core::str;

use super::Shape;
use crate::bytes::{self, Writer, is_word_ignore_case};
use crate::http::write;
use crate::platform::is_owned;

/// How a body stands in the JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Text,
    Base64,
}

/// What the JSON ends with.
pub const END: &[u8] = b"\"}";

/// The beginning of the JSON: the status and the headers.
///
/// A gateway that reads one value for each header is given one: repeated ones are joined (RFC 9110 §5.3), but for
/// `Set-Cookie`, which cannot be, so that a load balancer without "multi value headers" gets the first.
pub fn put_head(shape: Shape, status: u16, fields: &[(&str, &[u8])], place: &mut Writer<'_>) {
    place.put(b"{\"statusCode\":");
    place.put_decimal(status.into());
    if matches!(shape, Shape::Alb | Shape::AlbMulti) {
        place.put(b",\"statusDescription\":\"");
        place.put_decimal(status.into());
        place.put(b" ");
        place.put(write::reason(status));
        place.put(b"\"");
    }
    let is_multi = matches!(shape, Shape::Rest | Shape::AlbMulti);
    place.put(if is_multi {
        b",\"multiValueHeaders\":{"
    } else {
        b",\"headers\":{"
    });
    let is_scf = matches!(shape, Shape::Scf | Shape::ScfUrl);
    let mut before = &b"\""[..];
    for (index, (name, _)) in fields.iter().enumerate() {
        let is_cookie = is(name, "set-cookie");
        let first = fields.iter().position(|(other, _)| is(other, name));
        if first != Some(index) || is_owned(name) || shape == Shape::Http && is_cookie {
            continue;
        }
        place.put(before);
        place.put_json(name.as_bytes());
        let form = match (is_multi || is_scf && is_cookie, is_cookie) {
            (true, _) => Many::List,
            (_, false) => Many::Joined,
            (_, true) => Many::First,
        };
        place.put(b"\":");
        put_values(fields, name, form, place);
        before = b",\"";
    }
    place.put(b"}");
    if shape == Shape::Http && fields.iter().any(|(name, _)| is(name, "set-cookie")) {
        place.put(b",\"cookies\":");
        put_values(fields, "set-cookie", Many::List, place);
    }
}

/// What Lambda takes a response in pieces to begin with, its prelude: status, headers and cookies as HTTP APIs have
/// them, and eight NULs.
pub fn prelude(status: u16, fields: &[(&str, &[u8])], place: &mut Writer<'_>) {
    put_head(Shape::Http, status, fields, place);
    place.put(b"}\0\0\0\0\0\0\0\0");
}

/// What is made of many values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Many {
    List,
    Joined,
    First,
}

/// The values of all fields of that name.
#[inline(never)]
fn put_values(fields: &[(&str, &[u8])], name: &str, form: Many, place: &mut Writer<'_>) {
    let is_list = form == Many::List;
    place.put(if is_list { b"[\"" } else { b"\"" });
    let mut before = &b""[..];
    for (other, value) in fields {
        if !is(other, name) {
            continue;
        }
        put_value(before, value, place);
        if form == Many::First {
            break;
        }
        before = if is_list { b"\",\"" } else { b", " };
    }
    place.put(if is_list { b"\"]" } else { b"\"" });
}

/// JSON up to the beginning of a string, and a header's value as the inside of it. JSON is UTF-8 (RFC 8259 §8.1): a value
/// that is not is taken for Latin-1, as HTTP libraries do.
#[inline(never)]
pub(super) fn put_value(before: &[u8], value: &[u8], place: &mut Writer<'_>) {
    place.put(before);
    if bytes::text(value).len() == value.len() {
        return place.put_json(value);
    }
    for &byte in value {
        place.put_json(char::from(byte).encode_utf8(&mut [0; 4]).as_bytes());
    }
}

fn is(name: &str, other: &str) -> bool {
    is_word_ignore_case(name.as_bytes(), other)
}

/// Whether the body is coded, so that no gateway may take it for text.
pub fn is_coded(fields: &[(&str, &[u8])]) -> bool {
    fields.iter().any(|(name, value)| {
        is(name, "content-encoding") && !is_word_ignore_case(value, "identity")
    })
}

impl Form {
    /// Text is what is UTF-8, whatever its type is said to be, and not coded.
    pub fn of(is_coded: bool, body: &[u8]) -> Self {
        if is_coded || str::from_utf8(body).is_err() {
            Self::Base64
        } else {
            Self::Text
        }
    }

    /// What stands between the head and the body. SCF's function URLs know only what has to be said.
    pub fn put_name(self, shape: Shape, place: &mut Writer<'_>) {
        match self {
            Self::Base64 => place.put(b",\"isBase64Encoded\":true"),
            Self::Text if shape == Shape::ScfUrl => {}
            Self::Text => place.put(b",\"isBase64Encoded\":false"),
        }
        place.put(b",\"body\":\"");
    }

    /// How long the body is in the JSON; as long as it was only if it is there as it was.
    pub fn len(self, body: &[u8]) -> usize {
        match self {
            Self::Base64 => body.len().div_ceil(3) * 4,
            Self::Text => {
                let (mut rest, mut len) = (body, body.len());
                while let Some(byte) = next_special(&mut rest) {
                    len += if escaped(byte) == 0 { 5 } else { 1 };
                }
                len
            }
        }
    }

    /// The body in the JSON.
    #[inline(never)]
    pub fn put(self, body: &[u8], place: &mut Writer<'_>) {
        if self == Self::Base64 {
            return place.put_base64(body);
        }
        let mut rest = body;
        loop {
            let count = place.put_plain(rest);
            let Some((&byte, behind)) = rest.get(count..).and_then(<[u8]>::split_first) else {
                return;
            };
            rest = behind;
            match escaped(byte) {
                0 => place.put_json(&[byte]),
                letter => {
                    place.push(b'\\');
                    place.push(letter);
                }
            }
        }
    }
}

/// Takes what stands for itself in a string, and the byte behind it, which does not.
fn next_special(rest: &mut &[u8]) -> Option<u8> {
    let count = bytes::plain_len(rest);
    let byte = rest.get(count).copied()?;
    *rest = rest.get(count + 1..).unwrap_or_default();
    Some(byte)
}

/// The letter that stands behind a backslash for a byte (RFC 8259 §7); zero if it takes six bytes.
fn escaped(byte: u8) -> u8 {
    match byte {
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        0..0x20 => 0,
        _ => byte,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handler::Response;
    use serde_json::{Value, json};
    use std::string::ToString;

    /// The whole answer, as a gateway reads it.
    #[track_caller]
    fn answer(shape: Shape, response: &Response<'_>) -> Value {
        let (status, fields, body) = response.parts().expect("a response that can be sent");
        let mut place = [0; 4096];
        let mut text = Writer::new(&mut place);
        put_head(shape, status, fields, &mut text);
        let form = Form::of(is_coded(fields), body);
        form.put_name(shape, &mut text);
        let before = text.written().len();
        form.put(body, &mut text);
        assert_eq!(text.written().len() - before, form.len(body));
        text.put(END);
        serde_json::from_slice(text.finish()).expect("JSON")
    }

    #[test]
    fn answers_have_the_shape_of_their_requests() {
        let response = Response::new(404)
            .header("A", "1")
            .header("Set-Cookie", "x=1; Path=/")
            .header("content-length", "7")
            .header("a", "\"2\"")
            .header("set-cookie", "y=2")
            .header("X-Fc-Status", "200")
            .body("no\n\u{1}");
        let flat = json!({"A": "1, \"2\"", "Set-Cookie": "x=1; Path=/"});
        let many = json!({"A": ["1", "\"2\""], "Set-Cookie": ["x=1; Path=/", "y=2"]});
        let scf = json!({"A": "1, \"2\"", "Set-Cookie": ["x=1; Path=/", "y=2"]});
        let with = |mut head: Value| {
            head["statusCode"] = 404.into();
            head["body"] = "no\n\u{1}".into();
            head
        };
        for (shape, want) in [
            (
                Shape::Rest,
                json!({"multiValueHeaders": many, "isBase64Encoded": false}),
            ),
            (
                Shape::Http,
                json!({"headers": {"A": "1, \"2\""}, "cookies": ["x=1; Path=/", "y=2"], "isBase64Encoded": false}),
            ),
            (
                Shape::Alb,
                json!({"headers": flat, "statusDescription": "404 Not Found", "isBase64Encoded": false}),
            ),
            (
                Shape::AlbMulti,
                json!({"multiValueHeaders": many, "statusDescription": "404 Not Found", "isBase64Encoded": false}),
            ),
            (
                Shape::Scf,
                json!({"headers": scf, "isBase64Encoded": false}),
            ),
            (Shape::ScfUrl, json!({"headers": scf})),
        ] {
            assert_eq!(answer(shape, &response), with(want), "{shape:?}");
        }
    }

    #[test]
    fn what_is_no_text_is_base64() {
        for (coding, body, want) in [
            (None, &b"caf\xc3\xa9\x7f"[..], None),
            (Some("identity"), b"text", None),
            (Some("IDENTITY"), b"", None),
            (Some("gzip"), b"text", Some("dGV4dA==")),
            (Some("br"), b"", Some("")),
            (None, b"\xff\xfe", Some("//4=")),
            (None, b"cut \xc3", Some("Y3V0IMM=")),
        ] {
            let mut response = Response::new(200).body(body);
            if let Some(coding) = &coding {
                response = response.header("Content-Encoding", *coding);
            }
            for shape in Shape::ALL {
                let answer = answer(shape, &response);
                let is_base64 = answer["isBase64Encoded"] == true;
                assert_eq!(is_base64, want.is_some(), "{answer}");
                let text =
                    want.map_or_else(|| String::from_utf8_lossy(body).into(), str::to_string);
                assert_eq!(answer["body"], text);
            }
        }
    }

    #[test]
    fn any_text_comes_through() {
        let text: std::string::String = (0..=0x250).filter_map(char::from_u32).collect();
        let response = Response::new(299).body(&text);
        for shape in Shape::ALL {
            let answer = answer(shape, &response);
            assert_eq!(answer["body"], text);
        }
        assert_eq!(answer(Shape::Alb, &response)["statusDescription"], "299 ");
        // A header that is not UTF-8 is Latin-1.
        let response = Response::new(200).header("a", b"caf\xe9");
        assert_eq!(answer(Shape::Http, &response)["headers"]["a"], "café");
    }

    use std::string::String;
}
