//! A handler's response in the words of each platform.

use super::gateway::answer;
use super::{fc, is_owned};
use crate::bytes::{Writer, is_word_ignore_case};
use crate::handler::{Error, Platform, Response};
use crate::http::{forward, head, write};

/// What a handler's response begins with: status line and fields, or for Lambda its prelude.
///
/// # Errors
/// The response is not one that could be sent.
pub fn head(
    platform: Platform,
    response: &Response<'_>,
    head: &mut Writer<'_>,
) -> Result<(), Error> {
    let fields = response.checked()?;
    if platform == Platform::Lambda {
        answer::prelude(response.status, fields, head);
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

/// The same for a response that another server has given, with the head `passed`: its fields as they came, but for those
/// about its connection, then those of `response`, in place of others of their names. Returns whether `Date` is
/// among them.
///
/// # Errors
/// They do not fit.
#[inline(never)]
pub fn passed_head(
    platform: Platform,
    passed: &[u8],
    response: &Response<'_>,
    head: &mut Writer<'_>,
) -> Result<bool, Error> {
    let mut rows = head::fields();
    let headers = forward::headers(passed, &mut rows);
    let mut pairs = forward::pairs();
    let fields = forward::end_to_end(headers, &mut pairs);
    if platform == Platform::Lambda {
        answer::prelude(response.status, fields, head);
    } else {
        forward::put_status(passed, head);
        let own = response.checked()?;
        for (name, value) in fields {
            let is_it = |other: &str| is_word_ignore_case(name.as_bytes(), other);
            if !own.iter().any(|(other, _)| is_it(other)) {
                write::field(head, name.as_bytes(), value);
            }
        }
        for (name, value) in own {
            write::field(head, name.as_bytes(), value);
        }
    }
    if head.room() < write::END_BYTES_MAX {
        return Err(Error::fixed("BadResponse", "headers too large"));
    }
    Ok(headers.get("date").is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::format;

    #[track_caller]
    fn check_head(response: &Response<'_>, want: Result<&str, &str>) {
        let mut place = [0; 384];
        let mut head = Writer::new(&mut place);
        let got = super::head(Platform::Scf, response, &mut head);
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

    #[track_caller]
    fn check_prelude(response: &Response<'_>, want: &str) {
        let mut place = [0; 256];
        let mut text = Writer::new(&mut place);
        super::head(Platform::Lambda, response, &mut text).expect("a response that can be sent");
        let want = std::format!("{want}\0\0\0\0\0\0\0\0");
        assert_eq!(core::str::from_utf8(text.finish()), Ok(want.as_str()));
    }

    #[test]
    fn preludes_are_json() {
        check_prelude(&Response::new(204), r#"{"statusCode":204,"headers":{}}"#);
        check_prelude(
            &Response::new(200)
                .header("A", "1")
                .header("Set-Cookie", "x=1")
                .header("b", "\"")
                .header("a", "2")
                .header("connection", "close")
                .header("set-cookie", "y=2"),
            r#"{"statusCode":200,"headers":{"A":"1, 2","b":"\""},"cookies":["x=1","y=2"]}"#,
        );
        // Text stays as it is; other bytes are those of Latin-1.
        check_prelude(
            &Response::new(200)
                .header("a", "é€")
                .header("b", b"caf\xe9 \"\x80\xff")
                .header("Set-Cookie", b"\xc3"),
            "{\"statusCode\":200,\"headers\":{\"a\":\"é€\",\"b\":\"café \\\"\u{80}ÿ\"},\"cookies\":[\"Ã\"]}",
        );
        let mut place = [0; 64];
        let cut = super::head(
            Platform::Lambda,
            &Response::new(200),
            &mut Writer::new(&mut place),
        );
        assert!(cut.is_err());
    }
}
