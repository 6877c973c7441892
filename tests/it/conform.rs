//! RFC 9110 and RFC 9112 on the wire: the rows of `tests/rows.rs`, and what takes more than a row.
//!
//! Every row that is refused is followed by a request that is fine in itself. It must never be taken
//! for one: what comes after a refusal is in nobody's grammar.

use crate::harness::{Barrier, Case, Client, PING, Server};

#[path = "../rows.rs"]
pub mod rows;

use rows::Row;
use rows::Want::{self, Close, Open, Refuse};

/// A request that must never be served.
const SMUGGLED: &[u8] = b"POST /invoke HTTP/1.1\r\nHost: h\r\nx-fc-request-id: smuggled\r\n\r\n";

/// Sends a row and looks at everything that comes back.
#[track_caller]
pub fn check(client: &mut Client, want: Want) {
    match want {
        Open(bodies) => {
            expect_all(client, bodies);
            client.expect_open();
        }
        Close(bodies) => {
            expect_all(client, bodies);
            client.expect_close();
        }
        Refuse(status) => {
            let answer = client.expect(status);
            assert_eq!(answer.header("connection"), Some("close"));
            assert!(!answer.body.is_empty(), "a refusal says why");
            client.try_send(SMUGGLED);
            client.expect_close();
        }
    }
}

#[track_caller]
fn expect_all(client: &mut Client, bodies: &[&str]) {
    for body in bodies {
        assert_eq!(client.expect(200).text(), *body);
    }
}

/// Runs rows on one server, each on a connection of its own, and names the row that fails.
fn check_rows(rows: Vec<Row>, send: impl Fn(&mut Client, &[u8])) {
    let mut server = Server::start();
    for Row {
        name,
        section,
        bytes,
        want,
    } in rows
    {
        let _case = Case((name, section));
        let mut client = server.connect();
        send(&mut client, &bytes);
        check(&mut client, want);
    }
    server.call(PING, 200);
    let log = server.stdout.text();
    assert!(
        !log.contains("smuggled"),
        "what follows a refusal was served: {log}"
    );
}

#[test]
fn every_row_is_answered() {
    check_rows([rows::rows(), rows::large()].concat(), |client, bytes| {
        client.send(bytes);
    });
}

/// What follows comes in the same segment, and something fine came before: no difference.
#[test]
fn nothing_behind_a_refusal_is_served() {
    // Not those that are refused for their size alone: what follows becomes a part of them.
    let mut rows = rows::rows();
    rows.retain(|row| matches!(row.want, Refuse(_)));
    check_rows(rows, |client, bytes| {
        client.send([PING, bytes, SMUGGLED].concat());
        client.expect(200);
    });
}

#[test]
fn head_has_no_body() {
    let mut server = Server::start();
    let mut client = server.connect();
    for _ in 0..2 {
        let head = client
            .send("HEAD / HTTP/1.1\r\nHost: h\r\n\r\n")
            .expect_head(200);
        assert_eq!(
            head.header("content-length"),
            Some("13"),
            "as GET would have"
        );
    }
    // An event answered without a body is still an answer.
    let both = "HEAD / HTTP/1.1\r\nHost: h\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n";
    client.send(both).expect_head(200);
    assert_eq!(client.expect(200).text(), "Hello World!\n");
    client.expect_open();
}

#[test]
fn versions_are_answered_in_kind() {
    let mut server = Server::start();
    let keep = "POST /invoke HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
    assert_eq!(
        server.call(keep, 200).header("connection"),
        Some("keep-alive")
    );
    assert_eq!(
        server
            .call("GET / HTTP/1.0\r\n\r\n", 200)
            .header("connection"),
        Some("close")
    );
    assert_eq!(server.call(PING, 200).header("connection"), None);
    let close = "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
    assert_eq!(server.call(close, 200).header("connection"), Some("close"));
}

#[test]
fn continue_is_said_when_it_is_waited_for() {
    let mut server = Server::start();
    for (framing, body) in [
        ("Content-Length: 5", "hello"),
        ("Transfer-Encoding: chunked", "5\r\nhello\r\n0\r\n\r\n"),
        ("content-length: 5\r\nConnection: close", "hello"),
    ] {
        let mut client = server.connect();
        let head = format!(
            "POST /invoke HTTP/1.1\r\nHost: h\r\nExpect: 100-Continue\r\n{framing}\r\n\r\n"
        );
        client.send(head).expect_continue();
        let (first, second) = body.split_at(2);
        client.send(first).send(second);
        assert_eq!(client.expect(200).text(), "hello");
    }
}

/// Behind a request that is pipelined: the client waits for that one's interim reply, too.
#[test]
fn continue_is_said_behind_another_answer() {
    let mut server = Server::start();
    let mut client = server.connect();
    let head =
        "POST /invoke HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n";
    client.send([PING, head.as_bytes()].concat()).expect(200);
    client.expect_continue().send("hello");
    assert_eq!(client.expect(200).text(), "hello");
    client.expect_open();
}

/// A client that has said everything may still wait for the answer.
#[test]
fn half_closed_clients_are_answered() {
    let mut server = Server::start();
    for row in rows::rows() {
        let _case = Case((row.name, row.section));
        if let Open(bodies) | Close(bodies) = row.want {
            let mut client = server.connect();
            client.send(&row.bytes).finish();
            expect_all(&mut client, bodies);
            client.expect_close();
        }
    }
}

/// What is cut off by its sender is refused, once; silence is not answered.
#[test]
fn cut_off_requests_are_refused() {
    let mut server = Server::start();
    for bytes in [
        "G",
        "GET / HTTP/1.1\r\nHost: h\r\n",
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhell",
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
    ] {
        let mut client = server.connect();
        client.send(bytes).finish();
        client.expect(400);
        client.expect_close();
    }
    let mut client = server.connect();
    client.finish().expect_close();
}

/// RFC 9112 §2.2: an empty line may precede a request, so one that nothing follows is no request.
#[test]
fn an_empty_line_is_no_request() {
    let mut server = Server::start();
    let mut client = server.connect();
    client.send([PING, b"\r\n"].concat()).finish();
    client.expect(200);
    client.expect_close();
}

/// The public h1spec (github.com/uNetworking/h1spec) asks these 33 questions.
#[test]
fn h1spec() {
    let mut server = Server::start();
    let mut barrier = Barrier::new(&mut server);
    let mut passed = 0;
    let whole = "GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n";
    for end in [
        "GET",
        "GET ",
        "GET /hello",
        "GET /hello ",
        "GET /hello HTTP",
    ] {
        passed += u32::from(is_waited_for(&mut server, &mut barrier, end));
    }
    for len in [1, 19, 20, 21, 24, 26, 27, 36, 37, 38] {
        passed += u32::from(is_waited_for(&mut server, &mut barrier, &whole[..len]));
    }
    let host = "Host: example.com\r\n";
    let get = |fields: &str| format!("GET / HTTP/1.1\r\n{fields}\r\n");
    let post = |fields: &str, body| format!("POST / HTTP/1.1\r\n{host}{fields}\r\n{body}");
    let (fine, wrong) = (200..=299, 400..=599);
    for (request, want) in [
        (String::from("GET / \r\n\r\n"), &wrong),
        (get(&format!("{host}Expect: 100-continue\r\n")), &fine),
        (get(host), &fine),
        (get("hoSt:\texample.com\r\nempty:\r\n"), &fine),
        (get(&format!("{host}X-Invalid[]: test\r\n")), &wrong),
        (get("Content-Length: 5\r\n"), &wrong),
        (get(&format!("{host}Host: example.org\r\n")), &wrong),
        (
            get(&format!(
                "{host}Content-Length: -123456789123456789123456789\r\n"
            )),
            &wrong,
        ),
        (get(&format!("{host}Content-Length: -1234\r\n")), &wrong),
        (get(&format!("{host}Content-Length: abc\r\n")), &wrong),
        (get(&format!("{host}X-Empty-Header: \r\n")), &fine),
        (
            get(&format!("{host}X-Bad-Control-Char: test\x07\r\n")),
            &wrong,
        ),
        (get(host).replace("1.1", "9.9"), &wrong),
        (format!("Extra line{}", get(host)), &wrong),
        (get(&format!("{host}\rSome-Header: Test\r\n")), &wrong),
        (post("Content-Length: 5\r\n", "hello"), &fine),
        (
            post(
                "Transfer-Encoding: chunked\r\n",
                "c\r\nHello world1\r\n0\r\n\r\n",
            ),
            &fine,
        ),
        (
            post(
                "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
                "5\r\nhello\r\n0\r\n\r\n",
            ),
            { &wrong },
        ),
    ] {
        let answer = server.connect().send(&request).read_response("GET");
        let is_right = answer
            .as_ref()
            .is_ok_and(|answer| want.contains(&answer.status));
        if !is_right {
            println!("{request:?}: {answer:?}");
        }
        passed += u32::from(is_right);
    }
    println!("{passed} of 33");
    assert_eq!(passed, 33);
}

/// Whether a part of a request is met with patience.
fn is_waited_for(server: &mut Server, barrier: &mut Barrier, part: &str) -> bool {
    let mut client = server.connect();
    client.send(part);
    barrier.pass();
    let is_silent = client.is_silent();
    if !is_silent {
        println!("{part:?} was not waited for");
    }
    is_silent
}
