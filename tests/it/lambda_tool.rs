//! The local tool as Lambda's function URL and as its API, with a shell script as the function.

use std::fs;

use serde_json::Value;

use crate::harness::{Case, Folder, Program, Server, find, serving};

/// Answers a request for `/NAME` with the file NAME beside it: streamed if NAME begins with `s`, with a prelude if
/// it begins with `sp`, as an error if it begins with `f`. Any other event is its own answer.
const FUNCTION: &str = r#"#!/bin/bash
LC_ALL=C PATH=/usr/bin:/bin
exec 3<> "/dev/tcp/${AWS_LAMBDA_RUNTIME_API/://}"
head() { # Sets id and length.
    length=0
    while IFS= read -r line <&3 && [ "$line" != $'\r' ]; do
        line=${line%$'\r'}
        case ${line,,} in
        lambda-runtime-aws-request-id:*) id=${line#*: } ;;
        content-length:*) length=${line#*: } ;;
        esac
    done
}
while :; do
    printf 'GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: h\r\n\r\n' >&3
    head
    IFS= read -r -N "$length" event <&3
    [[ $event =~ '"rawPath":"/'([a-z]+[0-9]*) ]]
    name=${BASH_REMATCH[1]} file=${0%/*}/$name
    [ -n "$name" ] && [ -e "$file" ] || { file=${0%/*}/event name=; printf %s "$event" >"$file"; }
    kind=response fields=
    case $name in
    f*) kind=error ;;
    sp*) fields=$'Content-Type: application/vnd.awslambda.http-integration-response\r\n' ;;&
    s*) fields+=$'Lambda-Runtime-Function-Response-Mode: streaming\r\n' ;;
    esac
    printf 'POST /2018-06-01/runtime/invocation/%s/%s HTTP/1.1\r\nHost: h\r\n%sContent-Length: %s\r\n\r\n' \
        "$id" "$kind" "$fields" "$(stat -c %s "$file")" >&3
    cat "$file" >&3
    head
    IFS= read -r -N "$length" event <&3
done
"#;

/// The tool with that function, and the folder that the function lies in.
struct Tool {
    server: Server,
    folder: Folder,
}

impl Tool {
    fn start() -> Self {
        let folder = Folder::new();
        let program = Program::at(folder.file("bootstrap", 0o755, FUNCTION));
        // The platform's log of each call.
        let nowhere = fs::File::create("/dev/null").expect("a file");
        Self {
            server: serving(program.stderr(nowhere), &["--platform", "lambda"]),
            folder,
        }
    }

    /// Sends a request, which gets a `Connection: close`; the response, its chunks put together.
    #[track_caller]
    fn call(&mut self, request: &str) -> (String, Vec<u8>) {
        let mut client = self.server.connect();
        client.send(request.replacen("\r\n", "\r\nConnection: close\r\n", 1));
        let response = client.read_to_end();
        let end = find(&response, b"\r\n\r\n").unwrap_or_else(|| panic!("no answer: {request:?}"));
        let head = String::from_utf8_lossy(&response[..end + 2]).to_ascii_lowercase();
        let mut rest = &response[end + 4..];
        if !head.contains("\r\ntransfer-encoding: chunked\r\n") {
            return (head, rest.to_vec());
        }
        let mut body = Vec::new();
        loop {
            let end = find(rest, b"\r\n").expect("a chunk");
            let size = std::str::from_utf8(&rest[..end]).expect("text");
            let size = usize::from_str_radix(size, 16).expect("a size");
            body.extend_from_slice(&rest[end + 2..][..size]);
            rest = &rest[end + 2 + size + 2..];
            if size == 0 {
                return (head, body);
            }
        }
    }
}

/// Requests as they are on the wire (`~` ends a line), a place in their events, and what is there.
#[test]
fn requests_are_the_events_of_a_function_url() {
    const ROWS: &str = r#"
GET /?a=%+5 HTTP/1.1~Host: h~~ => /queryStringParameters {"a":"% 5"}
GET /?a=%+5 HTTP/1.1~Host: h~~ => /rawQueryString "a=%+5"
GET //a%20/ HTTP/1.1~Host: h~~ => /rawPath "//a%20/"
GET / HTTP/1.1~Host: h.i:80~~ => /requestContext/apiId "h"
GET / HTTP/1.1~Host: h~~ => /requestContext/http/sourceIp "127.0.0.1"
GET / HTTP/1.1~Host: h~~ => /headers/x-forwarded-for "127.0.0.1"
GET / HTTP/1.1~Host: h~~ => /headers/connection null
GET / HTTP/1.1~Host: h~Cookie: a=1; b~~ => /headers/cookie "a=1; b"
GET / HTTP/1.1~Host: h~Cookie: a=1; b~~ => /cookies ["a=1","b"]
POST / HTTP/1.1~Host: h~Content-Type: text/a~Transfer-Encoding: chunked~~2~hi~0~~ => /body "hi"
POST / HTTP/1.1~Host: h~Content-Length: 2~~hi => /body "aGk="
POST /2015-03-31/posts HTTP/1.1~Host: h~Content-Length: 0~~ => /body null"#;
    let mut tool = Tool::start();
    for row in ROWS.lines().skip(1) {
        let _case = Case(row);
        let (request, want) = row.split_once(" => ").expect("a request");
        let (pointer, want) = want.split_once(' ').expect("a place");
        let (head, body) = tool.call(&request.replace('~', "\r\n"));
        assert!(head.starts_with("http/1.1 200 "), "{head}");
        let event: Value = serde_json::from_slice(&body).expect("an event");
        let got = event.pointer(pointer).unwrap_or(&Value::Null);
        assert_eq!(got.to_string(), want);
    }
}

/// The kind of answer (the script's file), the answer (`~` is the prelude's end), and what the client gets: status,
/// a part of the head, body. Each row also shows that the tool survived the one before.
#[test]
fn answers_are_the_responses_of_a_function_url() {
    const ROWS: &str = r#"
a "hello" => 200 content-length: 5 => hello
a ["hello", 3, true] => 200 content-type: application/json => ["hello",3,true]
a {"statusCode":"418","body":"i'm a teapot"} => 418 content-type: application/json => i'm a teapot
a hello => 502 => Internal Server Error
fail {"errorType":"Oops"} => 502 => Internal Server Error
a {"statusCode":200,"headers":{"Content-Length":"3"},"body":"body"} => 200 x-amzn-remapped-content-length: 3 => body
a {"statusCode":200,"headers":{"content-length":["9"]},"body":"body"} => 200 x-amzn-remapped-content-length: 9 => body
a {"statusCode":200,"headers":{"Transfer-Encoding":"chunked"},"body":"body"} => 200 content-length: 4 => body
a {"statusCode":200,"headers":{"Connection":"upgrade"},"body":"body"} => 200 x-amzn-remapped-connection: upgrade => body
a {"statusCode":200,"headers":{"Date":"d"},"body":"body"} => 200 x-amzn-remapped-date: d => body
a {"statusCode":200,"headers":{"a":"b\r\nc: d"},"body":"body"} => 502 => Internal Server Error
a {"statusCode":200,"headers":{"a b":"c"},"body":"body"} => 502 => Internal Server Error
a {"statusCode":99} => 502 => Internal Server Error
a {"statusCode":100} => 502 => Internal Server Error
a {"statusCode":101} => 502 => Internal Server Error
a {"statusCode":1000} => 502 => Internal Server Error
a {"statusCode":204,"body":"body"} => 204 => 
a {"statusCode":304,"body":"body"} => 304 => 
s body => 200 content-type: application/octet-stream => body
sp {"statusCode":201,"headers":{"Content-Length":"9"}}~body => 201 x-amzn-remapped-content-length: 9 => body
sp {"statusCode":200,"headers":{"Transfer-Encoding":"x"}}~body => 200 content-type: application/octet-stream => body
sp {"statusCode":204}~body => 204 => 
sp {"statusCode":100}~body => 502 => Internal Server Error
sp {"statusCode":200} => 502 => Internal Server Error"#;
    let mut tool = Tool::start();
    for row in ROWS.lines().skip(1) {
        let _case = Case(row);
        let mut parts = row.split(" => ");
        let mut part = || parts.next().unwrap_or_default();
        let ((name, answer), want, body) =
            (part().split_once(' ').expect("a name"), part(), part());
        let (status, field) = want.split_once(' ').unwrap_or((want, "date: "));
        fs::write(tool.folder.at(name), answer.replace('~', &"\0".repeat(8))).expect("a file");
        for method in ["GET", "HEAD"] {
            let (head, got) = tool.call(&format!("{method} /{name} HTTP/1.1\r\nHost: h\r\n\r\n"));
            assert!(head.starts_with(&format!("http/1.1 {status} ")), "{head}");
            assert!(
                head.contains(&format!("\r\n{field}")),
                "no {field:?} in {head:?}"
            );
            for name in ["content-length", "transfer-encoding", "date", "connection"] {
                assert!(
                    head.matches(&format!("\r\n{name}: ")).count() <= 1,
                    "{head}"
                );
            }
            let want = if method == "GET" { body } else { "" };
            assert_eq!(String::from_utf8_lossy(&got), want, "{method}");
        }
    }
}

/// Requests to the API: path, a field, body; and status, a part of the head, a part of the body.
#[test]
fn the_api_is_lambdas() {
    const ROWS: &str = r#"
15-03-31/functions/f/invocations |  |  => 200 | date: | {}
15-03-31/functions/f/invocations |  | {"a": 1} => 200 | x-amz-executed-version: $latest | {"a": 1}
15-03-31/functions/f/invocations |  | hello => 400 | x-amzn-errortype: invalidrequestcontentexception | Could not parse
15-03-31/functions/f/invocations | X-Amz-Invocation-Type: Event | {} => 202 | date: | 
15-03-31/functions/f/invocations | X-Amz-Invocation-Type: DryRun | {} => 204 | date: | 
15-03-31/functions/f/invocations | X-Amz-Invocation-Type: x | {} => 400 | x-amzn-errortype: validation | at 'invocationType'
15-03-31/functions/f/invocations | X-Amz-Client-Context: x | {} => 400 | content-type: application/json | Client context
15-03-31/functions/f/invocations |  | {"rawPath":"/f"} => 200 | x-amz-function-error: unhandled | {"errorType":"Oops"}
21-11-15/functions/a%3Ab/response-streaming-invocations |  | {"a": 1} => 200 | content-type: application/vnd.amazon.eventstream | {"a": 1}
21-11-15/functions/f/response-streaming-invocations |  |  => 200 | x-amz-executed-version: $latest | InvokeComplete
21-11-15/functions/f/response-streaming-invocations |  | {"rawPath":"/s"} => 200 | date: | bytes
21-11-15/functions/f/response-streaming-invocations | X-Amz-Log-Type: Tail | {"rawPath":"/f"} => 200 | date: | "LogResult":
21-11-15/functions/f/response-streaming-invocations |  | {"rawPath":"/f"} => 200 | date: | "ErrorCode":
21-11-15/functions/f/response-streaming-invocations |  | hello => 400 | date: | Could not parse
14-11-13/functions/f/invoke-async/ |  | {} => 404 | x-amzn-errortype: unknownoperationexception | "Type":"User"
15-03-31/functions/f |  | {} => 404 | date: | "message":"#;
    let mut tool = Tool::start();
    fs::write(tool.folder.at("f"), r#"{"errorType":"Oops"}"#).expect("a file");
    fs::write(tool.folder.at("s"), "\0bytes").expect("a file");
    for row in ROWS.lines().skip(1) {
        let _case = Case(row);
        let (request, want) = row.split_once(" => ").expect("a request");
        let columns = |text| {
            str::split(text, " | ")
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        let (request, want) = (columns(request), columns(want));
        let [path, field, body] = &request[..] else {
            panic!("not three columns")
        };
        let len = body.len();
        let field = if field.is_empty() {
            "Accept: */*"
        } else {
            field
        };
        let (head, got) = tool.call(&format!(
            "POST /20{path} HTTP/1.1\r\nHost: h\r\n{field}\r\nContent-Length: {len}\r\n\r\n{body}"
        ));
        let got = String::from_utf8_lossy(&got);
        assert!(
            head.starts_with(&format!("http/1.1 {} ", want[0])),
            "{head}{got}"
        );
        assert!(head.contains(&format!("\r\n{}", want[1])), "{head}");
        assert!(got.contains(&want[2]), "{got}");
    }
}
