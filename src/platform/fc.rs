//! Alibaba Cloud Function Compute: a custom runtime is an HTTP server that FC pushes calls to.
//!
//! Sources: FC 3.0 documents "How custom runtimes work", "Web functions", "Context and log
//! format", "Lifecycle hooks", "Errors of custom runtimes".

use super::Call;
use crate::bytes::Writer;
use crate::handler::{Platform, Request};
use crate::http::write;

/// The lines at the two ends of a call in the log, by which FC finds what is between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Marker {
    Start,
    End,
    Failed,
}

/// Which call a request is.
///
/// `x-fc-control-path` decides where it is there: a client of an HTTP function may well ask for
/// `POST /invoke`. Without it (local tools, health checks) method and path do.
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
pub fn put_marker(call: Call, marker: Marker, request_id: &[u8], line: &mut Writer<'_>) {
    line.put(match call {
        Call::Invoke | Call::Http => b"FC Invoke",
        Call::Initialize => b"FC Initialize",
        Call::PreFreeze => b"FC PreFreeze",
        Call::PreStop => b"FC PreStop",
    });
    line.put(if marker == Marker::Start {
        b" Start RequestId: "
    } else {
        b" End RequestId: "
    });
    line.put(request_id);
    if marker == Marker::Failed {
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

/// The field that says the function did not fail, beside the status of its own answer.
pub const OK_FIELD: &[u8] = b"x-fc-status: 200\r\n";

/// The status of an event that failed.
pub const FAILURE_STATUS: u16 = 404;

/// Status line and fields of the answer to a call that failed.
///
/// FC records a failure by `x-fc-status` (and a 404 with it); a client of an HTTP function sees `status`, which is
/// one that says that it is the server's fault.
pub fn failure_head(platform: Platform, call: Call, status: u16, head: &mut Writer<'_>) {
    write::status(
        head,
        if call == Call::Http {
            status
        } else {
            FAILURE_STATUS
        },
    );
    head.put(b"Content-Type: application/json\r\n");
    if platform == Platform::Fc {
        head.put(b"x-fc-status: 404\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::head;
    use crate::http::{Kind, Parsed};
    use std::format;

    #[track_caller]
    fn check_route(request_line: &str, control: &str, want: Call) {
        let text = format!("{request_line} HTTP/1.1\r\n{control}\r\n");
        let mut fields = head::fields();
        let Ok(Parsed::Done(head)) = head::parse(Kind::Request, text.as_bytes(), &mut fields)
        else {
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
        for (call, end, want) in [
            (
                Call::Invoke,
                Marker::Start,
                "FC Invoke Start RequestId: id\n",
            ),
            (Call::Http, Marker::End, "FC Invoke End RequestId: id\n"),
            (
                Call::Initialize,
                Marker::Start,
                "FC Initialize Start RequestId: id\n",
            ),
            (
                Call::PreFreeze,
                Marker::End,
                "FC PreFreeze End RequestId: id\n",
            ),
            (
                Call::PreStop,
                Marker::Failed,
                "FC PreStop End RequestId: id, Error: Unhandled function error\n",
            ),
        ] {
            let mut place = [0; 128];
            let mut line = Writer::new(&mut place);
            put_marker(call, end, b"id", &mut line);
            assert_eq!(line.finish(), want.as_bytes());
        }
    }
}
