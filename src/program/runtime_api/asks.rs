//! What a worker asks for, and what it is told: the runtime APIs of Lambda and SCF as a server sees them.
//!
//! Sources: AWS's guide "Using the Lambda runtime API for custom runtimes" and "Using the Lambda Extensions API", and
//! for the texts of refusals AWS's emulator; SCF's "Custom Runtime".

use crate::bytes::{self, Writer};
use crate::handler::{Context, Platform};
use crate::http::head::{self, Head};
use crate::http::{Persist, Reject, Version, write};
use crate::sys::env;

/// Whose API it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    Lambda,
    Scf,
}

/// What is asked for. Those with a path are in the order of [`PATHS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// An event.
    Next,
    Restored,
    /// It cannot start.
    InitError,
    RestoreError,
    Register,
    /// An event for an extension: there is none.
    ExtensionNext,
    /// It can start.
    Ready,
    /// Here is the answer to an event; or its failure.
    Answer,
    Error,
    Unknown,
}

const ASKS: [Ask; 10] = [
    Ask::Next,
    Ask::Restored,
    Ask::InitError,
    Ask::RestoreError,
    Ask::Register,
    Ask::ExtensionNext,
    Ask::Ready,
    Ask::Next,
    Ask::Answer,
    Ask::Error,
];

/// Method and path of each of [`ASKS`]. The first six are Lambda's.
const PATHS_TEXT: &[u8] = b"GET /2018-06-01/runtime/invocation/next
GET /2018-06-01/runtime/restore/next
POST /2018-06-01/runtime/init/error
POST /2018-06-01/runtime/restore/error
POST /2020-01-01/extension/register
GET /2020-01-01/extension/event/next
POST /runtime/init/ready
GET /runtime/invocation/next
POST /runtime/invocation/response
POST /runtime/invocation/error";
static PATHS: [u8; PATHS_TEXT.len()] = bytes::named(PATHS_TEXT);

const SCF_FIRST: usize = 6;

/// What the answers to Lambda's events go to, with the id of the event between this and the end.
const INVOCATION: &[u8] = b"/2018-06-01/runtime/invocation/";

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked<'a> {
    pub dialect: Dialect,
    pub ask: Ask,
    /// The event that it is about, where the path says so.
    pub id: Option<&'a [u8]>,
}

impl<'a> Asked<'a> {
    /// What the request of that head asks for.
    pub fn of(head: &Head<'a>) -> Self {
        let (method, path) = (
            head.method.as_bytes(),
            head::split_target(head.target).0.as_bytes(),
        );
        if method == b"POST"
            && let Some(rest) = path.strip_prefix(INVOCATION)
        {
            let id = bytes::before(rest, b'/');
            let ask = match rest.get(id.len()..) {
                Some(b"/response") => Ask::Answer,
                Some(b"/error") => Ask::Error,
                _ => Ask::Unknown,
            };
            let dialect = Dialect::Lambda;
            return Self {
                dialect,
                ask,
                id: Some(id),
            };
        }
        let found = bytes::split(&PATHS, b'\n').position(|line| {
            let other = bytes::before(line, b' ');
            other == method && line.get(other.len() + 1..) == Some(path)
        });
        let ask = found.and_then(|index| ASKS.get(index).copied());
        let dialect = if found.is_some_and(|index| index >= SCF_FIRST) {
            Dialect::Scf
        } else {
            Dialect::Lambda
        };
        Self {
            dialect,
            ask: ask.unwrap_or(Ask::Unknown),
            id: None,
        }
    }
}

/// How the body of an answer is meant: the value of that header says so.
pub const MODE: &str = "lambda-runtime-function-response-mode";

/// The type of a failure: a header, or in the trailer section of an answer in pieces.
pub const ERROR_TYPE: &str = "lambda-runtime-function-error-type";

/// The JSON of a failure, in base64: in that trailer section.
pub const ERROR_BODY: &str = "lambda-runtime-function-error-body";

/// What a worker is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// It was taken.
    Taken,
    /// There is nothing to wait for.
    Empty,
    /// The extension is registered.
    Registered,
    // What follows has a line of REFUSALS.
    NotFound,
    /// Not now: it was answered already, or has started already.
    Again,
    /// There is no such event.
    UnknownId,
    BadMode,
    TooLong,
    Truncated,
}

const REFUSALS_TEXT: &[u8] = b"404NotFound:no such path
403InvalidStateTransition:State transition is not allowed
400InvalidRequestID:Invalid request ID
400InvalidFunctionResponseMode:Invalid function response mode
413RequestEntityTooLarge:Exceeded maximum allowed payload size
400TruncatedHTTPRequest:HTTP request was truncated";
static REFUSALS: [u8; REFUSALS_TEXT.len()] = bytes::named(REFUSALS_TEXT);

/// What an extension is told of the function: between two tildes is the name of a variable.
const REGISTERED: &[u8] = br#"{"functionName":"~AWS_LAMBDA_FUNCTION_NAME~","functionVersion":"~AWS_LAMBDA_FUNCTION_VERSION~","handler":"~_HANDLER~"}"#;

/// Longest reply but one with an event: the names of the function are in it.
pub const REPLY_BYTES_MAX: usize = 2 * 1024;

/// The reply to a request that asks for anything but an event.
pub fn put_reply(
    told: Told,
    dialect: Dialect,
    persist: Persist,
    version: Version,
    into: &mut Writer<'_>,
) {
    let mut place = [0; REPLY_BYTES_MAX / 2];
    let mut body = Writer::new(&mut place);
    let mut status = if dialect == Dialect::Lambda { 202 } else { 200 };
    let mut more: &[u8] = b"";
    match told {
        Told::Taken => body.put(b"{\"status\":\"OK\"}\n"),
        Told::Empty => status = 200,
        Told::Registered => {
            (status, more) = (200, b"Lambda-Extension-Identifier: fnboot\r\n");
            let mut rest = REGISTERED;
            while let Some(text) = bytes::take_part(&mut rest, b'~') {
                body.put(text);
                let name = bytes::take_part(&mut rest, b'~').unwrap_or_default();
                let value = env::var(name).unwrap_or_default();
                body.put_json(bytes::text(value.get(..64).unwrap_or(value)).as_bytes());
            }
        }
        _ => {
            let line = bytes::line(&REFUSALS, told as usize - Told::NotFound as usize);
            let (code, line) = line.split_at_checked(3).unwrap_or_default();
            status = bytes::decimal(code)
                .and_then(|code| u16::try_from(code).ok())
                .unwrap_or(500);
            let kind = bytes::before(line, b':');
            put_error(
                kind,
                line.get(kind.len() + 1..).unwrap_or_default(),
                &mut body,
            );
        }
    }
    put_head(status, more, body.written().len(), persist, version, into);
    into.put(body.written());
}

/// The reply to a request that breaks a rule of HTTP.
pub fn put_refusal(reject: Reject, into: &mut Writer<'_>) {
    let told = match reject {
        Reject::BodyTooLarge => Told::TooLong,
        Reject::Incomplete => Told::Truncated,
        _ => {
            let mut place = [0; 256];
            let mut body = Writer::new(&mut place);
            put_error(b"InvalidRequest", reject.reason(), &mut body);
            let (len, persist) = (body.written().len(), Persist::Close);
            put_head(reject.status(), b"", len, persist, Version::Http11, into);
            return into.put(body.written());
        }
    };
    put_reply(told, Dialect::Lambda, Persist::Close, Version::Http11, into);
}

fn put_error(kind: &[u8], message: &[u8], body: &mut Writer<'_>) {
    body.put(b"{\"errorMessage\":\"");
    body.put(message);
    body.put(b"\",\"errorType\":\"");
    body.put(kind);
    body.put(b"\"}");
}

fn put_head(
    status: u16,
    more: &[u8],
    body_bytes: usize,
    persist: Persist,
    version: Version,
    into: &mut Writer<'_>,
) {
    write::status(into, status);
    into.put(b"Content-Type: application/json\r\n");
    into.put(more);
    write::content_length(into, body_bytes as u64);
    write::end(into, persist, version);
}

/// What an event is sent with, without the end of the head: `id` is what its answer names, `deadline_ms` when that has to be
/// there, in milliseconds since 1970.
pub fn put_event_head(
    dialect: Dialect,
    cx: &Context<'_>,
    id: &[u8],
    deadline_ms: u64,
    body_bytes: usize,
    into: &mut Writer<'_>,
) {
    write::status(into, 200);
    into.put(b"Content-Type: application/json\r\n");
    if dialect == Dialect::Scf {
        write::field(into, b"Request_Id", id);
        into.put(b"Memory_Limit_In_Mb: ");
        into.put_decimal(cx.function_memory_mb().unwrap_or(MEMORY_MB));
        into.put(b"\r\nTime_Limit_In_Ms: ");
        into.put_decimal(deadline_ms.saturating_sub((cx.now_ms)()));
        into.put(b"\r\n");
    } else {
        write::field(into, b"Lambda-Runtime-Aws-Request-Id", id);
        into.put(b"Lambda-Runtime-Deadline-Ms: ");
        into.put_decimal(deadline_ms);
        into.put(b"\r\nLambda-Runtime-Invoked-Function-Arn: ");
        let is_lambda = cx.platform() == Platform::Lambda;
        // Elsewhere a client could have sent it.
        match cx.function_arn().filter(|_| is_lambda) {
            Some(arn) => into.put(arn.as_bytes()),
            None => put_arn(cx, into),
        }
        into.put(b"\r\n");
        let passed = if is_lambda { PASSED } else { b"" };
        for name in bytes::split(passed, b' ') {
            let value = cx.headers.get(bytes::text(name));
            if let Some(value) = value.filter(|value| !value.is_empty()) {
                write::field(into, name, value);
            }
        }
    }
    write::content_length(into, body_bytes as u64);
}

/// What of Lambda's is passed on as it came, where it came.
const PASSED: &[u8] =
    b"Lambda-Runtime-Trace-Id Lambda-Runtime-Client-Context Lambda-Runtime-Cognito-Identity \
    Lambda-Runtime-Aws-Tenant-Id";

/// What is told of the memory where nobody says how much there is.
const MEMORY_MB: u64 = 128;

/// A name of the function as AWS has it, for clients that insist on one.
fn put_arn(cx: &Context<'_>, into: &mut Writer<'_>) {
    let mut rest = &b"arn:aws:lambda:~:~:function:"[..];
    for value in [cx.region(), cx.account_id(), cx.function_name()] {
        into.put(bytes::take_part(&mut rest, b'~').unwrap_or_default());
        into.put(value.unwrap_or("function").as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;
    use std::format;
    use std::string::String;

    fn asked(method: &'static str, target: &'static str) -> (Dialect, Ask, Option<&'static [u8]>) {
        let head = Head {
            method,
            target,
            ..Head::default()
        };
        let Asked { dialect, ask, id } = Asked::of(&head);
        (dialect, ask, id)
    }

    #[test]
    fn paths_are_known() {
        use Dialect::{Lambda, Scf};
        const L: &str = "/2018-06-01/runtime";
        for (method, target, want) in [
            (
                "GET",
                "/2018-06-01/runtime/invocation/next",
                (Lambda, Ask::Next, None),
            ),
            (
                "GET",
                "/2018-06-01/runtime/invocation/next?a",
                (Lambda, Ask::Next, None),
            ),
            (
                "POST",
                "/2018-06-01/runtime/invocation/i-1/response",
                (Lambda, Ask::Answer, Some(&b"i-1"[..])),
            ),
            (
                "POST",
                "/2018-06-01/runtime/invocation/i-1/error",
                (Lambda, Ask::Error, Some(b"i-1")),
            ),
            (
                "POST",
                "/2018-06-01/runtime/invocation//error",
                (Lambda, Ask::Error, Some(b"")),
            ),
            (
                "POST",
                "/2018-06-01/runtime/init/error",
                (Lambda, Ask::InitError, None),
            ),
            (
                "POST",
                "/2018-06-01/runtime/restore/error",
                (Lambda, Ask::RestoreError, None),
            ),
            (
                "GET",
                "/2018-06-01/runtime/restore/next",
                (Lambda, Ask::Restored, None),
            ),
            (
                "POST",
                "/2020-01-01/extension/register",
                (Lambda, Ask::Register, None),
            ),
            (
                "GET",
                "/2020-01-01/extension/event/next",
                (Lambda, Ask::ExtensionNext, None),
            ),
            ("POST", "/runtime/init/ready", (Scf, Ask::Ready, None)),
            ("GET", "/runtime/invocation/next", (Scf, Ask::Next, None)),
            (
                "POST",
                "/runtime/invocation/response",
                (Scf, Ask::Answer, None),
            ),
            ("POST", "/runtime/invocation/error", (Scf, Ask::Error, None)),
            (
                "GET",
                "http://127.0.0.1:1/runtime/invocation/next",
                (Scf, Ask::Next, None),
            ),
        ] {
            assert_eq!(asked(method, target), want, "{method} {target}");
        }
        for (method, target) in [
            ("POST", "/2018-06-01/runtime/invocation/next"),
            ("GET", "/2018-06-01/runtime/invocation/i/response"),
            ("POST", "/2018-06-01/runtime/invocation/i/response/"),
            ("POST", "/2018-06-01/runtime/invocation/i"),
            ("GET", "/runtime/init/ready"),
            ("POST", "/runtime/invocation/response/"),
            ("GET", "/"),
            ("", ""),
            ("GE", "T/runtime/invocation/next"),
        ] {
            assert_eq!(asked(method, target).1, Ask::Unknown, "{method} {target}");
        }
        assert!(PATHS.windows(L.len()).any(|part| part == L.as_bytes()));
        assert_eq!(bytes::split(&PATHS, b'\n').count(), ASKS.len());
    }

    fn reply(told: Told, dialect: Dialect) -> String {
        let mut place = [0; REPLY_BYTES_MAX];
        let mut reply = Writer::new(&mut place);
        put_reply(told, dialect, Persist::Keep, Version::Http11, &mut reply);
        String::from_utf8_lossy(reply.written()).into_owned()
    }

    #[test]
    fn replies_have_their_status_and_their_length() {
        for (told, status, kind) in [
            (Told::Taken, "202 Accepted", ""),
            (Told::Empty, "200 OK", ""),
            (Told::Registered, "200 OK", ""),
            (Told::NotFound, "404 Not Found", "NotFound"),
            (Told::Again, "403 Forbidden", "InvalidStateTransition"),
            (Told::UnknownId, "400 Bad Request", "InvalidRequestID"),
            (
                Told::BadMode,
                "400 Bad Request",
                "InvalidFunctionResponseMode",
            ),
            (
                Told::TooLong,
                "413 Content Too Large",
                "RequestEntityTooLarge",
            ),
            (Told::Truncated, "400 Bad Request", "TruncatedHTTPRequest"),
        ] {
            let reply = reply(told, Dialect::Lambda);
            assert!(
                reply.starts_with(&format!("HTTP/1.1 {status}\r\n")),
                "{reply}"
            );
            let (head, body) = reply.split_once("\r\n\r\n").expect("an end");
            assert!(
                head.ends_with(&format!("Content-Length: {}", body.len())),
                "{reply}"
            );
            if !body.is_empty() {
                let body: serde_json::Value = serde_json::from_str(body).expect("JSON");
                let own = body.get("errorType").and_then(|kind| kind.as_str());
                assert_eq!(own.unwrap_or_default(), kind);
            }
        }
        assert!(reply(Told::Taken, Dialect::Scf).starts_with("HTTP/1.1 200 OK"));
        let mut place = [0; REPLY_BYTES_MAX];
        for (reject, status) in [
            (Reject::Host, "400"),
            (Reject::BodyTooLarge, "413"),
            (Reject::HeadTooLarge, "431"),
        ] {
            let mut reply = Writer::new(&mut place);
            put_refusal(reject, &mut reply);
            let reply = String::from_utf8_lossy(reply.written());
            assert!(reply.starts_with(&format!("HTTP/1.1 {status} ")), "{reply}");
            assert!(reply.contains("Connection: close"), "{reply}");
        }
    }

    #[test]
    fn events_have_what_clients_insist_on() {
        let mut place = [0; 2048];
        testing::event(
            Platform::Fc,
            &[("x-fc-region", "cn"), ("lambda-runtime-trace-id", "forged")],
            |cx| {
                let mut head = Writer::new(&mut place);
                put_event_head(Dialect::Lambda, cx, b"i", 42, 7, &mut head);
                assert_eq!(
                    String::from_utf8_lossy(head.written()),
                    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nLambda-Runtime-Aws-Request-Id: i\r\n\
                 Lambda-Runtime-Deadline-Ms: 42\r\nLambda-Runtime-Invoked-Function-Arn: \
                 arn:aws:lambda:cn:function:function:function\r\nContent-Length: 7\r\n"
                );
            },
        );
        let arn = "arn:aws:lambda:r:1:function:f";
        let headers = [
            ("lambda-runtime-invoked-function-arn", arn),
            ("lambda-runtime-trace-id", "Root=1"),
            ("lambda-runtime-client-context", ""),
        ];
        testing::event(Platform::Lambda, &headers, |cx| {
            let mut head = Writer::new(&mut place);
            put_event_head(Dialect::Lambda, cx, b"i", 42, 7, &mut head);
            let head = String::from_utf8_lossy(head.written());
            assert!(head.contains(&format!(
                "Function-Arn: {arn}\r\nLambda-Runtime-Trace-Id: Root=1\r\nContent-Length"
            )));
        });
        testing::event(Platform::Scf, &[("memory_limit_in_mb", "64")], |cx| {
            let mut head = Writer::new(&mut place);
            put_event_head(Dialect::Scf, cx, b"i", (cx.now_ms)() + 3000, 0, &mut head);
            let head = String::from_utf8_lossy(head.written());
            assert!(
                head.contains("Request_Id: i\r\nMemory_Limit_In_Mb: 64\r\nTime_Limit_In_Ms: "),
                "{head}"
            );
        });
    }
}
