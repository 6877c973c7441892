//! Alibaba Cloud Function Compute: a custom runtime is an HTTP server that FC pushes calls to.
//!
//! Sources: FC 3.0 documents "How custom runtimes work", "Web functions", "Context and log
//! format", "Lifecycle hooks", "Errors of custom runtimes".

use crate::bytes::{Writer, is_word};
use crate::handler::{Error, Request, Response};
use crate::http::write;
use crate::log;

/// What FC wants from the function.
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

/// The two ends of a call in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edge {
    Start,
    End,
    Failed,
}

/// Which call a request is.
///
/// `x-fc-control-path` decides where it is there: a client of an HTTP function may well ask for
/// `POST /invoke`. Without it (local tools, health checks) method and path do.
#[must_use]
pub fn route(request: &Request<'_>) -> Call {
    let control = request.header("x-fc-control-path").unwrap_or_default();
    let (method, path) = (request.method(), request.path());
    let by_header = ROUTES
        .iter()
        .find(|(_, known, _)| known.as_bytes() == control);
    let by_path = || {
        ROUTES
            .iter()
            .find(|(verb, known, _)| *verb == method && *known == path)
    };
    by_header
        .or_else(by_path)
        .map_or(Call::Http, |(_, _, call)| *call)
}

/// Method, path, and what they mean. No client can send the method of an HTTP call.
const ROUTES: [(&str, &str, Call); 5] = [
    ("POST", "/invoke", Call::Invoke),
    ("", "/http-invoke", Call::Http),
    ("POST", "/initialize", Call::Initialize),
    ("GET", "/pre-freeze", Call::PreFreeze),
    ("GET", "/pre-stop", Call::PreStop),
];

/// The line that FC finds the log of a call by.
pub fn marker(call: Call, edge: Edge, request_id: &[u8], line: &mut Writer<'_>) {
    line.put(b"FC ");
    line.put(match call {
        Call::Invoke | Call::Http => b"Invoke",
        Call::Initialize => b"Initialize",
        Call::PreFreeze => b"PreFreeze",
        Call::PreStop => b"PreStop",
    });
    line.put(if edge == Edge::Start {
        b" Start RequestId: "
    } else {
        b" End RequestId: "
    });
    log::id(request_id, line);
    if edge == Edge::Failed {
        line.put(b", Error: Unhandled function error");
    }
    line.put(b"\n");
}

/// Status line and fields of a successful answer to anything but an HTTP call.
pub fn event_head(head: &mut Writer<'_>) {
    head.put(
        b"HTTP/1.1 200 OK\r\n\
        Content-Type: application/octet-stream\r\n\
        x-fc-status: 200\r\n",
    );
}

/// Status line and fields of a successful answer to an HTTP call.
///
/// # Errors
/// The handler's response is not one that could be sent.
#[inline(never)]
pub fn http_head(response: &Response<'_>, head: &mut Writer<'_>) -> Result<(), Error> {
    if !(200..=599).contains(&response.status) {
        return Err(bad_response("status not between 200 and 599"));
    }
    let Some(fields) = response.fields() else {
        return Err(bad_response("more than 32 headers"));
    };
    write::status(head, response.status);
    head.put(b"x-fc-status: 200\r\n");
    for (name, value) in fields {
        if !write::is_field(name, value) {
            return Err(bad_response("a header's name or value is not valid"));
        }
        if !is_owned(name) {
            write::field(head, name.as_bytes(), value);
        }
    }
    if head.room() < write::END_BYTES_MAX {
        Err(bad_response("headers too large"))
    } else {
        Ok(())
    }
}

fn bad_response(message: &'static str) -> Error {
    Error::fixed("BadResponse", message)
}

/// Whether a header of a response belongs to FC, or to the server, and is dropped.
fn is_owned(name: &str) -> bool {
    let name = name.as_bytes();
    let is_reserved = name.get(..5).is_some_and(|prefix| is_word(prefix, "x-fc-"));
    is_reserved || OWNED.split(' ').any(|other| is_word(name, other))
}

const OWNED: &str = "connection content-length date keep-alive server transfer-encoding upgrade";

/// Status line and fields of the answer to a call that failed.
///
/// FC records a failure by `x-fc-status` (and a 404 with it); a client of an HTTP function sees the
/// status, and there it is the server's fault.
pub fn failure_head(call: Call, head: &mut Writer<'_>) {
    write::status(head, if call == Call::Http { 500 } else { 404 });
    head.put(b"Content-Type: application/json\r\nx-fc-status: 404\r\n");
}

/// The body of the answer to a call that failed: the fields that FC's own runtimes use.
pub fn failure_body(error: &Error, body: &mut Writer<'_>) {
    body.put(b"{\"errorMessage\":\"");
    body.put_json(error.message_bytes());
    body.put(b"\",\"errorType\":\"");
    body.put_json(error.kind().as_bytes());
    if error.place_bytes().is_empty() {
        body.put(b"\"}");
    } else {
        body.put(b"\",\"stackTrace\":[\"");
        body.put_json(error.place_bytes());
        body.put(b"\"]}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Parsed;
    use crate::http::head;
    use std::format;

    #[track_caller]
    fn check_route(request_line: &str, control: &str, want: Call) {
        let text = format!("{request_line} HTTP/1.1\r\n{control}\r\n");
        let mut fields = head::fields();
        let Ok(Parsed::Done(head)) = head::parse(text.as_bytes(), &mut fields) else {
            panic!("{text:?}")
        };
        assert_eq!(route(&Request { head, body: b"" }), want, "{text:?}");
    }

    #[test]
    fn the_control_path_decides() {
        for (path, want) in [
            ("/invoke", Call::Invoke),
            ("/http-invoke", Call::Http),
            ("/initialize", Call::Initialize),
            ("/pre-freeze", Call::PreFreeze),
            ("/pre-stop", Call::PreStop),
        ] {
            let control = format!("X-Fc-Control-Path: {path}\r\n");
            for line in [
                "GET /a",
                "POST /invoke",
                "POST /initialize",
                "GET /pre-stop",
            ] {
                check_route(line, &control, want);
            }
        }
    }

    #[test]
    fn else_method_and_path_do() {
        for control in [
            "",
            "x-fc-control-path: /other\r\n",
            "x-fc-control-path:\r\n",
        ] {
            check_route("POST /invoke", control, Call::Invoke);
            check_route("POST /invoke?a", control, Call::Invoke);
            check_route("POST /initialize", control, Call::Initialize);
            check_route("GET /pre-freeze", control, Call::PreFreeze);
            check_route("GET /pre-stop", control, Call::PreStop);
            check_route("GET /invoke", control, Call::Http);
            check_route("POST /invoke/", control, Call::Http);
            check_route("POST /http-invoke", control, Call::Http);
            check_route("GET /", control, Call::Http);
        }
    }

    #[test]
    fn markers_are_exact() {
        for (call, edge, want) in [
            (Call::Invoke, Edge::Start, "FC Invoke Start RequestId: id\n"),
            (Call::Http, Edge::End, "FC Invoke End RequestId: id\n"),
            (
                Call::Initialize,
                Edge::Start,
                "FC Initialize Start RequestId: id\n",
            ),
            (
                Call::PreFreeze,
                Edge::End,
                "FC PreFreeze End RequestId: id\n",
            ),
            (
                Call::PreStop,
                Edge::Failed,
                "FC PreStop End RequestId: id, Error: Unhandled function error\n",
            ),
        ] {
            let mut place = [0; 128];
            let mut line = Writer::new(&mut place);
            marker(call, edge, b"id", &mut line);
            assert_eq!(line.finish(), want.as_bytes());
        }
    }

    #[track_caller]
    fn check_head(response: &Response<'_>, want: Result<&str, &str>) {
        let mut place = [0; 384];
        let mut head = Writer::new(&mut place);
        let got = http_head(response, &mut head);
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
        let status = "HTTP/1.1 201 Created\r\nx-fc-status: 200\r\n";
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
