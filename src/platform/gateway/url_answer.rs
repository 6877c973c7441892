//! From the JSON that a function answers a function URL with to the response: what [`answer`](super::answer) writes.
//!
//! ```text
//!   {"statusCode":200,"headers":{…},"cookies":[…],"body":"…","isBase64Encoded":false}   read_answer
//!   {"statusCode":200,"headers":{…},"cookies":[…]} ␀␀␀␀␀␀␀␀ the body, in pieces          read_prelude
//!   anything else: the body of a response 200                                            read_answer
//! ```
//!
//! Text that is no text (one half of a surrogate pair) reaches the client as U+FFFD, because all else of the answer
//! is good.

use core::ptr;

use super::event::from_base64;
use crate::bytes::{self, eq_ignore_case, is_word_ignore_case};
use crate::handler::{Error, Response};
use crate::http::write;
use crate::limits::{FIELD_COUNT_MAX, PRELUDE_BYTES_MAX};
use crate::platform::json::{self, Members, NAME_BYTES_MAX, Place, Text, Value};

/// The members of an answer that matter.
#[derive(Clone, Copy, Debug)]
enum Member {
    Status,
    Headers,
    MultiHeaders,
    Cookies,
    Body,
    IsBase64,
}

const NAMES: &[u8] = b"statusCode headers multiValueHeaders cookies body isBase64Encoded";

const NAME_COUNT: usize = Member::IsBase64 as usize + 1;

/// What ends a prelude. There is no NUL in JSON.
const DELIMITER: &[u8] = &[0; 8];

const BAD_FIELDS: &str = "headers or cookies that cannot be sent";

const SET_COOKIE: &[u8] = b"Set-Cookie";

/// How long a place [`read_answer`] and [`read_prelude`] need at most: no text is longer without its escapes.
#[must_use]
pub fn answer_room(text: &[u8]) -> usize {
    text.len()
}

/// Puts the response that an answer is into `response`, which is an empty 200. It borrows from `text` what stands there
/// as it is, the rest from `place`.
///
/// # Errors
/// `BadReply`: the answer has a status, but is no response.
pub fn read_answer<'a>(
    text: &'a [u8],
    place: &'a mut [u8],
    response: &mut Response<'a>,
) -> Result<(), Error> {
    read(Part::Whole, text, place, response)
}

/// Puts the head that the prelude of a streamed answer is into `response`, which is a 200, and what comes behind it as the
/// body; nothing as long as the prelude is not whole.
///
/// # Errors
/// `BadReply`: `text` does not begin with a prelude.
pub fn read_prelude<'a>(
    text: &'a [u8],
    place: &'a mut [u8],
    response: &mut Response<'a>,
) -> Result<(), Error> {
    let Some(len) = prelude_len(text)? else {
        return Ok(());
    };
    response.body = bytes::slice(text, len..text.len());
    read(Part::Prelude, bytes::before(text, 0), place, response)
}

/// How long the prelude is that `text` begins with, the NULs behind it included; `None` as long as it is not whole.
///
/// # Errors
/// `BadReply`: `text` does not begin with a prelude.
pub fn prelude_len(text: &[u8]) -> Result<Option<usize>, Error> {
    let json = bytes::before(text, 0);
    let end = json.len() + DELIMITER.len();
    let mark = bytes::slice(text, json.len()..end.min(text.len()));
    if mark.iter().any(|&byte| byte != 0) || json.len() > PRELUDE_BYTES_MAX {
        return Err(bad("no prelude: JSON, 20 KiB at most, and eight NULs"));
    }
    Ok(Some(end).filter(|_| mark.len() == DELIMITER.len()))
}

/// What of an answer a text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Whole,
    Prelude,
}

#[inline(never)]
fn read<'a>(
    part: Part,
    text: &'a [u8],
    place: &'a mut [u8],
    response: &mut Response<'a>,
) -> Result<(), Error> {
    let mut draft = Draft {
        members: [Value::default(); NAME_COUNT],
        place: Place::new(place),
        response,
        has_type: false,
        fault: "",
    };
    let all = json::members(text);
    let is_object = all.is_some_and(|mut all| all.pick(NAMES, &mut draft.members));
    if part == Part::Prelude {
        if !is_object {
            draft.fault = "the prelude is no JSON object";
        }
        draft.put_head();
        draft.put_type(b"application/octet-stream");
    } else {
        if is_object && !draft.get(Member::Status).is_none() {
            draft.put_head();
            draft.put_body();
        } else {
            draft.response.body = text;
        }
        if !draft.response.body.is_empty() {
            draft.put_type(b"application/json");
        }
    }
    debug_assert!(!draft.place.is_full(), "the place is as long as the text");
    if draft.response.has_too_many_fields() {
        draft.fault = "more than 32 headers";
    }
    if draft.fault.is_empty() {
        Ok(())
    } else {
        Err(bad(draft.fault))
    }
}

/// A response that is being made. What is wrong with it is noted, and the rest of it then does not matter.
struct Draft<'r, 'a> {
    /// The members of the answer that matter, in the order of [`Member`].
    members: [Value<'a>; NAME_COUNT],
    place: Place<'a>,
    response: &'r mut Response<'a>,
    /// Whether it has a `Content-Type`.
    has_type: bool,
    /// What was wrong last; empty if nothing is.
    fault: &'static str,
}

impl<'a> Draft<'_, 'a> {
    fn get(&self, member: Member) -> Value<'a> {
        let value = self.members.get(member as usize);
        value.copied().unwrap_or_default()
    }

    #[inline(never)]
    fn put_head(&mut self) {
        let status = self.get(Member::Status);
        if !status.is_none() {
            self.put_status(status);
        }
        let multi = self.get(Member::MultiHeaders);
        self.put_fields(self.get(Member::Headers), multi);
        self.put_fields(multi, Value::default());
        let cookies = self.get(Member::Cookies);
        if !cookies.is_none() && !cookies.is_array() {
            self.fault = BAD_FIELDS;
        }
        self.put(SET_COOKIE, cookies.members());
    }

    /// A number, or a text, of three digits.
    fn put_status(&mut self, status: Value<'a>) {
        let digits = status.string().map_or(status.text(), Text::raw);
        match write::status_of(digits) {
            Some(status) => self.response.status = status,
            None => self.fault = "statusCode is not from 200 to 599",
        }
    }

    /// The headers of an object, but for those whose names `winners` have, too. Of names that differ in their case the last
    /// counts, but for `Set-Cookie`, which functions have spelt in many ways to say it often.
    #[inline(never)]
    fn put_fields(&mut self, given: Value<'a>, winners: Value<'a>) {
        // Each is compared with all others.
        let are_too_many = given.members().nth(FIELD_COUNT_MAX).is_some();
        if are_too_many || !given.is_none() && !given.is_object() {
            self.fault = BAD_FIELDS;
            return;
        }
        for (name, values) in given.members() {
            let name = self.place.text(name);
            let last = named(given, name).text();
            let is_last = last.is_empty() || ptr::eq(last, values.text());
            let is_kept = is_last || eq_ignore_case(name, SET_COOKIE);
            if is_kept && named(winners, name).is_none() {
                self.put(name, values.items());
            }
        }
    }

    /// A header for each value that is one.
    #[inline(never)]
    fn put(&mut self, name: &'a [u8], values: Members<'a>) {
        let name = bytes::text(name);
        for (_, value) in values {
            if value.is_none() {
                continue;
            }
            let text = bytes::trim(self.place.value(value));
            if value.is_object() || value.is_array() || !write::is_field(name, text) {
                self.fault = BAD_FIELDS;
            }
            self.has_type |= is_word_ignore_case(name.as_bytes(), "content-type");
            self.response.put(name, text);
        }
    }

    /// A body whose type nobody has told has that one.
    fn put_type(&mut self, content_type: &'static [u8]) {
        if !self.has_type {
            self.response.put("Content-Type", content_type);
        }
    }

    fn put_body(&mut self) {
        let body = self.get(Member::Body);
        if body.is_none() {
            return;
        }
        if self.get(Member::IsBase64).text() != b"true" {
            self.response.body = self.place.value(body);
            return;
        }
        let text = body.string();
        match text.and_then(|text| from_base64(text, &mut self.place)) {
            Some(bytes) => self.response.body = bytes,
            None => self.fault = "the body is not base64",
        }
    }
}

/// The last member of that name, whatever its case. A name with escapes that is longer than any that is known is not found.
#[inline(never)]
fn named<'a>(object: Value<'a>, name: &[u8]) -> Value<'a> {
    let mut last = Value::default();
    for (other, value) in object.members() {
        if eq_ignore_case(other.unescaped(&mut [0; NAME_BYTES_MAX]), name) {
            last = value;
        }
    }
    last
}

#[cold]
fn bad(message: &'static str) -> Error {
    Error::fixed("BadReply", message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bytes::Writer;
    use crate::platform::gateway::Shape;
    use crate::platform::gateway::answer::{END, Form, is_coded, put_head};
    use proptest::prelude::*;
    use serde_json::json;
    use std::borrow::ToOwned;
    use std::format;
    use std::string::{String, ToString};
    use std::vec::Vec;

    /// Miri is slow.
    const CASE_COUNT: u32 = if cfg!(miri) { 1 } else { 256 };

    /// `STATUS | NAME: VALUE | … | BODY`, or the message of the error. Its own type goes without saying.
    fn shown(response: &Response<'_>) -> String {
        let (status, fields, body) = response.parts().expect("a response that can be sent");
        let mut text = format!("{status} | ");
        for (name, value) in fields {
            let value = String::from_utf8_lossy(value);
            text = text + name + ": " + &value + " | ";
        }
        let text = text + &String::from_utf8_lossy(body);
        text.replace("Content-Type: application/json | ", "")
            .replace("application/octet-stream", "OCTETS")
    }

    fn read(text: &[u8]) -> String {
        let mut place = std::vec![0xaa; answer_room(text)];
        let mut response = Response::new(200);
        match read_answer(text, &mut place, &mut response) {
            Ok(()) => shown(&response),
            Err(error) => format!("{}: {}", error.kind(), error.message()),
        }
    }

    const STATUS: &str = "BadReply: statusCode is not from 200 to 599";
    const HEADERS: &str = "BadReply: headers or cookies that cannot be sent";
    const BASE64: &str = "BadReply: the body is not base64";

    #[track_caller]
    fn check(rows: &str) {
        for row in rows.lines().skip(1) {
            let (given, want) = row.split_once(" => ").expect("a row");
            let want = match want {
                "status" => STATUS,
                "headers" => HEADERS,
                "base64" => BASE64,
                want => want,
            };
            assert_eq!(read(given.as_bytes()), want, "{given}");
        }
    }

    #[test]
    fn what_has_no_status_is_a_body() {
        check(
            r#"
3.10 => 200 | 3.10
 null  => 200 |  null 
["a",3, true] => 200 | ["a",3, true]
{"b": {"a": 1}} => 200 | {"b": {"a": 1}}
{"statusCode": null, "body": "a"} => 200 | {"statusCode": null, "body": "a"}
"a \" \u00e9" => 200 | "a \" \u00e9"
[{"statusCode":404}] => 200 | [{"statusCode":404}]
{"statusCode":404 => 200 | {"statusCode":404
{"statusCode":404} x => 200 | {"statusCode":404} x
<p>statusCode => 200 | <p>statusCode
"" => 200 | ""
 => 200 | "#,
        );
        assert_eq!(read(b"\xff{}"), "200 | \u{fffd}{}");
    }

    #[test]
    fn statuses() {
        check(
            r#"
{"statusCode":204} => 204 | 
{"statusCode":"418"} => 418 | 
{"statusCode":599,"statusCode":201} => 201 | 
{"status\u0043ode":202} => 202 | 
{"statusCode":"a"} => status
{"statusCode":""} => status
{"statusCode":100} => status
{"statusCode":199} => status
{"statusCode":600} => status
{"statusCode":0200} => 200 | {"statusCode":0200}
{"statusCode":"0200"} => status
{"statusCode":2e2} => status
{"statusCode":200.0} => status
{"statusCode":-200} => status
{"statusCode":65736} => status
{"statusCode":[200]} => status
{"statusCode":{}} => status
{"statusCode":true} => status"#,
        );
    }

    #[test]
    fn headers() {
        check(
            r#"
{"statusCode":200,"headers":{"X":"1","n":-2.50,"t":true,"z":null,"l":["a",null,7,"b"],"e":"","o":[]}} => 200 | X: 1 | n: -2.50 | t: true | l: a | l: 7 | l: b | e:  | 
{"statusCode":200,"headers":null,"multiValueHeaders":null,"cookies":null} => 200 | 
{"statusCode":200,"headers":{"A":"1","b":"2","a":"3"}} => 200 | b: 2 | a: 3 | 
{"statusCode":200,"headers":{"Set-Cookie":"a","set-cookie":["b","c"]},"cookies":["d=1; Path=/",null,5]} => 200 | Set-Cookie: a | set-cookie: b | set-cookie: c | Set-Cookie: d=1; Path=/ | Set-Cookie: 5 | 
{"statusCode":200,"headers":{"a":"1","b":"2","Set-Cookie":"s"},"multiValueHeaders":{"A":["3","4"],"c":"5","set-cookie":["t"]}} => 200 | b: 2 | A: 3 | A: 4 | c: 5 | set-cookie: t | 
{"statusCode":200,"headers":{"content-type":"text/html"},"body":"x"} => 200 | content-type: text/html | x
{"statusCode":200,"multiValueHeaders":{"CONTENT-TYPE":["text/html"]},"body":"x"} => 200 | CONTENT-TYPE: text/html | x
{"statusCode":200,"headers":{"Content-Type":null},"body":"x"} => 200 | x
{"statusCode":200,"headers":{"a\u002db":" \t\u00e4\t","\u0061":"\ud83d\ude00"}} => 200 | a-b: ä | a: 😀 | 
{"statusCode":200,"headers":{"a":"\ud800"},"body":"\udc00"} => 200 | a: � | �
{"statusCode":200,"headers":{"Content-Length":"7","X-Fc-A":"b"}} => 200 | Content-Length: 7 | X-Fc-A: b | 
{"statusCode":200,"headers":[]} => headers
{"statusCode":200,"headers":"a"} => headers
{"statusCode":200,"multiValueHeaders":[{"a":"b"}]} => headers
{"statusCode":200,"cookies":{}} => headers
{"statusCode":200,"cookies":"a=b"} => headers
{"statusCode":200,"cookies":[["a"]]} => headers
{"statusCode":200,"cookies":["a\nb"]} => headers
{"statusCode":200,"headers":{"":"c"}} => headers
{"statusCode":200,"headers":{"a b":"c"}} => headers
{"statusCode":200,"headers":{"ä":"c"}} => headers
{"statusCode":200,"headers":{"a":"b\r\nc: d"}} => headers
{"statusCode":200,"headers":{"a":"\u0000"}} => headers
{"statusCode":200,"headers":{"a":{}}} => headers
{"statusCode":200,"headers":{"a":[["b"]]}} => headers"#,
        );
        // A name that is compared with no other, because it has escapes and is long.
        let long = "a".repeat(NAME_BYTES_MAX);
        let text = format!("{{\"statusCode\":200,\"headers\":{{\"\\u0061{long}\":1}}}}");
        assert_eq!(read(text.as_bytes()), format!("200 | a{long}: 1 | "));
        // Nested too deep to be looked into, also where it does not matter.
        let deep = "[".repeat(100) + &"]".repeat(100);
        let text = |name| format!("{{\"statusCode\":200,\"{name}\":{deep}}}");
        assert_eq!(read(text("headers").as_bytes()), HEADERS);
        assert_eq!(read(text("cookies").as_bytes()), HEADERS);
        assert_eq!(read(text("other").as_bytes()), "200 | ");
        assert_eq!(read(text("body").as_bytes()), format!("200 | {deep}"));
    }

    #[test]
    fn headers_are_counted() {
        let answer = |count: usize, body: &str| {
            let headers: serde_json::Map<_, _> =
                (0..count).map(|n| (format!("x{n}"), json!(n))).collect();
            read(
                json!({"statusCode": 200, "headers": headers, "body": body})
                    .to_string()
                    .as_bytes(),
            )
        };
        let too_many = "BadReply: more than 32 headers";
        assert!(answer(31, "x").ends_with(" | x"));
        assert!(answer(32, "").starts_with("200 | x0: 0"));
        // The type that nobody gave is one more.
        assert_eq!(answer(32, "x"), too_many);
        assert_eq!(answer(33, ""), too_many);
        // Miri takes minutes for these, and the code is that of the others.
        if cfg!(miri) {
            return;
        }
        assert_eq!(answer(FIELD_COUNT_MAX, ""), too_many);
        // What is compared has a bound: a megabyte of names takes no time.
        assert_eq!(answer(FIELD_COUNT_MAX + 1, ""), HEADERS);
        assert_eq!(answer(100_000, ""), HEADERS);
    }

    #[test]
    fn bodies() {
        check(
            r#"
{"statusCode":200,"body":"{\"a\": 1}"} => 200 | {"a": 1}
{"statusCode":200,"body":{"b": 1,"a":[]}} => 200 | {"b": 1,"a":[]}
{"statusCode":200,"body":7,"isBase64Encoded":false} => 200 | 7
{"statusCode":200,"body":null,"isBase64Encoded":true} => 200 | 
{"statusCode":200,"body":"","isBase64Encoded":true} => 200 | 
{"statusCode":200,"body":"aGk=","isBase64Encoded":true} => 200 | hi
{"statusCode":200,"body":"aG\u006b\u003d","isBase64Encoded": true } => 200 | hi
{"statusCode":200,"body":"aGk=","isBase64Encoded":"true"} => 200 | aGk=
{"statusCode":200,"body":"aGk=","isBase64Encoded":null} => 200 | aGk=
{"statusCode":200,"body":"?","isBase64Encoded":true} => base64
{"statusCode":200,"body":"aGk","isBase64Encoded":true} => base64
{"statusCode":200,"body":12345678,"isBase64Encoded":true} => base64
{"statusCode":200,"body":{},"isBase64Encoded":true} => base64"#,
        );
        let text = br#"{"statusCode":200,"body":"plain"}"#;
        let (mut place, mut response) = ([0; 64], Response::new(200));
        read_answer(text, &mut place, &mut response).expect("an answer");
        assert!(bytes::position(text, response.body).is_some());
    }

    /// Streams that are cut anywhere; a tilde is four NULs.
    #[test]
    fn preludes() {
        const ROWS: &str = r#"
{"statusCode":404,"headers":{"x":["1","2"]},"cookies":["a=b"]}~~~body => 404 | x: 1 | x: 2 | Set-Cookie: a=b | Content-Type: OCTETS | 
{"headers":{"content-type":"text/html"}}~~{ => 200 | content-type: text/html | 
 {} ~~ => 200 | Content-Type: OCTETS | 
{} => more
{}~ => more
 => more
{}~x => no prelude: JSON, 20 KiB at most, and eight NULs
{~~ => the prelude is no JSON object
~~ => the prelude is no JSON object
[]~~ => the prelude is no JSON object
{"statusCode":1}~~ => statusCode is not from 200 to 599
{"headers":{"a":{}}}~~ => headers or cookies that cannot be sent"#;
        for row in ROWS.replace('~', "\0\0\0\0").lines().skip(1) {
            let (stream, want) = row.split_once(" => ").expect("a row");
            let prelude_len = stream.find(&"\0".repeat(8)).map(|at| at + 8);
            for cut in (0..=stream.len()).step_by(if cfg!(miri) { 11 } else { 1 }) {
                let text = &stream.as_bytes()[..cut];
                let got = read_some(text);
                let is_whole = prelude_len.map_or(cut == stream.len(), |len| cut >= len);
                let want = if is_whole { want } else { "more" };
                assert_eq!(got, want, "{row} cut at {cut}");
            }
        }
        let mut long = std::vec![b' '; PRELUDE_BYTES_MAX];
        assert_eq!(read_some(&long), "more");
        long.push(b' ');
        assert!(read_some(&long).starts_with("no prelude"));
    }

    fn read_some(text: &[u8]) -> String {
        let mut place = std::vec![0xaa; answer_room(text)];
        let mut response = Response::new(200);
        match read_prelude(text, &mut place, &mut response) {
            Err(error) => error.message().to_string(),
            Ok(()) => match prelude_len(text) {
                Ok(Some(len)) => {
                    assert!(text[..len].ends_with(DELIMITER));
                    assert_eq!(response.body, &text[len..]);
                    response.body = b"";
                    shown(&response)
                }
                _ => "more".to_owned(),
            },
        }
    }

    /// What a gateway's function sends for a response.
    fn written(shape: Shape, response: &Response<'_>) -> Vec<u8> {
        let (status, fields, body) = response.parts().expect("a response that can be sent");
        let mut place = std::vec![0; 16 * 1024];
        let mut text = Writer::new(&mut place);
        put_head(shape, status, fields, &mut text);
        let form = Form::of(is_coded(fields), body);
        form.put_name(shape, &mut text);
        form.put(body, &mut text);
        text.put(END);
        assert!(!text.is_cut());
        text.finish().to_owned()
    }

    /// Fields as they come back: those of a name one after the other, where they are not joined.
    fn sorted(fields: &[(&str, &[u8])], shape: Shape) -> Vec<(String, String)> {
        let mut sorted: Vec<(String, String)> = Vec::new();
        for (name, value) in fields {
            let (name, value) = (
                name.to_lowercase(),
                String::from_utf8_lossy(value).into_owned(),
            );
            let is_joined = !matches!(shape, Shape::Rest | Shape::AlbMulti) && name != "set-cookie";
            let before = sorted
                .iter_mut()
                .find(|(other, _)| *other == name && is_joined);
            match before {
                Some((_, values)) => *values = format!("{values}, {value}"),
                None => sorted.push((name, value)),
            }
        }
        // What is empty leaves blanks.
        for (_, value) in &mut sorted {
            *value = value.trim_matches(' ').to_owned();
        }
        sorted.sort_by(|(name, _), (other, _)| name.cmp(other));
        sorted
    }

    const PARTS: &[&str] = &[
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"statusCode\":200",
        "\"headers\":{",
        "\"a\"",
        "\"cookies\":[",
        "null",
        "\"body\":",
        "\"\\u00e9\"",
        "\"isBase64Encoded\":true",
        "\0\0\0\0",
    ];
    const FIELD_NAMES: [&str; 6] = ["A", "b", "B-c", "Set-Cookie", "set-cookie", "Content-Type"];

    proptest! {
        // Under Miri there is no folder to keep failures in.
        #![proptest_config(ProptestConfig {
            cases: CASE_COUNT,
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        /// What fnboot answers as a function comes back as the response that it was.
        #[test]
        fn answers_are_the_responses_that_were_written(
            status in 200..600_u16,
            fields in proptest::collection::vec((0..FIELD_NAMES.len(), "[ -~\u{e9}\u{20ac}]{0,12}"), 0..12),
            body in proptest::collection::vec(any::<u8>(), 1..40),
            text in "\\PC{1,20}",
            is_text: bool,
        ) {
            let body = if is_text { text.as_bytes() } else { &body };
            let mut response = Response::new(status).body(body);
            // The others add theirs, so that a type is always there.
            response = response.header("x", "y");
            for (name, value) in &fields {
                response.put(FIELD_NAMES[*name], bytes::trim(value.as_bytes()));
            }
            for shape in [Shape::Rest, Shape::Http, Shape::AlbMulti, Shape::Scf, Shape::ScfUrl] {
                let answer = written(shape, &response);
                let mut place = std::vec![0xaa; answer_room(&answer)];
                let mut got = Response::new(200);
                read_answer(&answer, &mut place, &mut got).expect("an answer");
                let (got_status, got_fields, got_body) = got.parts().expect("a response");
                let (_, fields, _) = response.parts().expect("a response");
                let mut want = sorted(fields, shape);
                if !want.iter().any(|(name, _)| name == "content-type") {
                    want.push(("content-type".into(), "application/json".into()));
                    want.sort_by(|(name, _), (other, _)| name.cmp(other));
                }
                prop_assert_eq!((got_status, got_body), (status, body));
                prop_assert_eq!(sorted(got_fields, Shape::Rest), want);
            }
        }

        /// Whatever a program answers, there is a response that can be sent or an error.
        #[test]
        fn anything_is_answered(
            parts in proptest::collection::vec(proptest::sample::select(PARTS), 0..16),
        ) {
            let text: String = parts.concat();
            let mut place = std::vec![0xaa; answer_room(text.as_bytes())];
            let mut response = Response::new(200);
            if read_answer(text.as_bytes(), &mut place, &mut response).is_ok() {
                prop_assert!(response.parts().is_ok());
            }
            let mut response = Response::new(200);
            let mut place = std::vec![0xaa; answer_room(text.as_bytes())];
            if read_prelude(text.as_bytes(), &mut place, &mut response).is_ok() {
                prop_assert!(response.parts().is_ok());
            }
        }
    }
}
