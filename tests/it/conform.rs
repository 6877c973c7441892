//! RFC 9110 and RFC 9112, row by row: these bytes, that answer, and whether the connection lives.
//!
//! Every row that is refused is followed by a request that is fine in itself. It must never be taken
//! for one: what comes after a refusal is in nobody's grammar.

use crate::harness::{Barrier, Case, Client, PING, Server};

/// What a client gets for a row.
#[derive(Clone, Copy, Debug)]
pub enum Want {
    /// These answers, each with a status and a body, and then the connection is open.
    Open(&'static [(u16, &'static str)]),
    /// These answers, and then the end.
    Close(&'static [(u16, &'static str)]),
    /// A refusal with that status, and then the end.
    Refuse(u16),
}

use Want::{Close, Open, Refuse};

/// A name for failures, the bytes, what must come.
pub type Row = (&'static str, Vec<u8>, Want);

fn row(name: &'static str, bytes: impl AsRef<[u8]>, want: Want) -> Row {
    (name, bytes.as_ref().to_vec(), want)
}

/// A row whose request has these fields, and nothing else of interest.
fn fields(name: &'static str, fields: &str, want: Want) -> Row {
    row(
        name,
        format!("POST /invoke HTTP/1.1\r\nHost: h\r\n{fields}\r\n"),
        want,
    )
}

/// A row whose body is these chunks.
fn chunks(name: &'static str, chunks: &str, want: Want) -> Row {
    let head = "POST /invoke HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
    row(name, format!("{head}{chunks}"), want)
}

/// A row that is this line and a Host.
fn line(name: &'static str, line: &str, want: Want) -> Row {
    row(name, format!("{line}\r\nHost: h\r\n\r\n"), want)
}

const HELLO: &str = "Hello World!\n";
const OK: Want = Open(&[(200, "")]);
const PAGE: Want = Open(&[(200, HELLO)]);
const ECHO: Want = Open(&[(200, "hello")]);

/// What has to be taken.
pub fn taken() -> Vec<Row> {
    vec![
        line("get", "GET / HTTP/1.1", PAGE),
        line("options", "OPTIONS / HTTP/1.1", PAGE),
        line("asterisk form", "OPTIONS * HTTP/1.1", PAGE),
        line(
            "any token as method",
            "A-Z!#$%&'*+-.^_`|~09 / HTTP/1.1",
            PAGE,
        ),
        line("lower case method", "get / HTTP/1.1", PAGE),
        line("trace", "TRACE / HTTP/1.1", PAGE),
        line("absolute form", "GET http://h:80/a?b HTTP/1.1", PAGE),
        line(
            "absolute form without a path",
            "GET http://h HTTP/1.1",
            PAGE,
        ),
        line(
            "absolute form, a query only",
            "GET https://h?b HTTP/1.1",
            PAGE,
        ),
        line(
            "absolute form of an event",
            "POST http://h/invoke HTTP/1.1",
            OK,
        ),
        line(
            "a query that looks like a URL",
            "GET /?u=http://a/b HTTP/1.1",
            PAGE,
        ),
        line("percent and dots", "GET /a%2F%00/../.%20 HTTP/1.1", PAGE),
        row(
            "leading CRLF",
            [b"\r\n", PING].concat(),
            Open(&[(200, "ping")]),
        ),
        row(
            "several leading CRLF",
            [b"\r\n\r\n\r\n", PING].concat(),
            Open(&[(200, "ping")]),
        ),
        fields("no fields", "", OK),
        fields("empty value", "X:\r\n", OK),
        fields("blank value", "X: \t \r\n", OK),
        fields("obs-text in a value", "X: caf\u{e9} \u{4f60}\r\n", OK),
        row(
            "obs-text that is not UTF-8",
            b"POST /invoke HTTP/1.1\r\nHost: h\r\nX: \xff\xfe\x80\r\n\r\n",
            OK,
        ),
        fields("any token as name", "!#$%&'*+-.^_`|~09aZ: x\r\n", OK),
        fields("colons in a value", "X: a:b: c\r\n", OK),
        row(
            "odd case and tabs",
            "POST /invoke HTTP/1.1\r\nhOsT:\th\t\r\n\r\n",
            OK,
        ),
        row("empty host", "POST /invoke HTTP/1.1\r\nHost:\r\n\r\n", OK),
        row(
            "host with port",
            "POST /invoke HTTP/1.1\r\nHost: a.b:80\r\n\r\n",
            OK,
        ),
        row(
            "host IPv6",
            "POST /invoke HTTP/1.1\r\nHost: [::1]:80\r\n\r\n",
            OK,
        ),
        fields("length", "Content-Length: 5\r\n\r\nhello", ECHO).without_end(),
        fields("length zero", "Content-Length: 0\r\n", OK),
        fields(
            "length with zeros",
            "Content-Length: 005\r\n\r\nhello",
            ECHO,
        )
        .without_end(),
        fields(
            "same length twice",
            "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
            ECHO,
        )
        .without_end(),
        fields(
            "body with a get inside",
            "Content-Length: 18\r\n\r\nGET / HTTP/1.1\r\n\r\n",
            Open(&[(200, "GET / HTTP/1.1\r\n\r\n")]),
        )
        .without_end(),
        chunks("chunked", "5\r\nhello\r\n0\r\n\r\n", ECHO),
        chunks("chunked and empty", "0\r\n\r\n", OK),
        chunks(
            "several chunks",
            "1\r\nh\r\n3\r\nell\r\n1\r\no\r\n0\r\n\r\n",
            ECHO,
        ),
        chunks(
            "sizes in any case",
            "00A\r\n0123456789\r\na\r\n0123456789\r\n000\r\n\r\n",
            Open(&[(200, "01234567890123456789")]),
        ),
        chunks(
            "extensions",
            "2;a\r\nhe\r\n3;b=c;d=\"e;f\"\r\nllo\r\n0;g\r\n\r\n",
            ECHO,
        ),
        chunks(
            "blanks before an extension",
            "5 ;a\r\nhello\r\n0\t;b\r\n\r\n",
            ECHO,
        ),
        chunks("trailers", "5\r\nhello\r\n0\r\nA: b\r\nC:\r\n\r\n", ECHO),
        chunks(
            "a trailer is not a field",
            "5\r\nhello\r\n0\r\nContent-Length: 9\r\n\r\n",
            ECHO,
        ),
        chunks(
            "line ends as data",
            "4\r\n\r\n\r\n\r\n0\r\n\r\n",
            Open(&[(200, "\r\n\r\n")]),
        ),
        fields(
            "coding in any case",
            "TrAnSfEr-EnCoDiNg: CHUNKED\r\n\r\n0\r\n\r\n",
            OK,
        )
        .without_end(),
        fields("close", "Connection: close\r\n", Close(&[(200, "")])),
        fields(
            "close among others",
            "Connection: x,\tCLOSE , y\r\n",
            Close(&[(200, "")]),
        ),
        fields(
            "close wins",
            "Connection: keep-alive\r\nConnection: close\r\n",
            Close(&[(200, "")]),
        ),
        fields("keep-alive", "Connection: keep-alive\r\n", OK),
        fields(
            "upgrade is not taken",
            "Connection: Upgrade\r\nUpgrade: h2c\r\n",
            OK,
        ),
        row("1.0", "POST /invoke HTTP/1.0\r\n\r\n", Close(&[(200, "")])),
        row(
            "1.0 with host",
            "POST /invoke HTTP/1.0\r\nHost: h\r\n\r\n",
            Close(&[(200, "")]),
        ),
        row(
            "1.0 keep-alive",
            "POST /invoke HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n",
            OK,
        ),
        row(
            "1.0 keep-alive, close",
            "GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n",
            Close(&[(200, HELLO)]),
        ),
        row(
            "1.0 with a body",
            "POST /invoke HTTP/1.0\r\nContent-Length: 5\r\n\r\nhello",
            Close(&[(200, "hello")]),
        ),
        row(
            "1.0 cannot expect",
            "POST /invoke HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello",
            Close(&[(200, "hello")]),
        ),
        row(
            "no interim reply when the body is there",
            "POST /invoke HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello",
            ECHO,
        ),
        fields(
            "no interim reply without a body",
            "Expect: 100-continue\r\n",
            OK,
        ),
        row("pipelined", [PING, PING, PING].concat(), {
            Open(&[(200, "ping"), (200, "ping"), (200, "ping")])
        }),
        row(
            "pipelined with CRLF between",
            [PING, b"\r\n", PING].concat(),
            Open(&[(200, "ping"), (200, "ping")]),
        ),
        row(
            "pipelined behind chunks",
            [
                &b"POST /invoke HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n\
               5\r\nhello\r\n0\r\n\r\n"[..],
                PING,
            ]
            .concat(),
            Open(&[(200, "hello"), (200, "ping")]),
        ),
        row(
            "nothing behind close is taken",
            [
                &b"POST /invoke HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"[..],
                PING,
            ]
            .concat(),
            Close(&[(200, "")]),
        ),
    ]
}

trait WithoutEnd {
    /// Without the empty line that `fields` puts at the end, the row having brought its own.
    fn without_end(self) -> Self;
}

impl WithoutEnd for Row {
    fn without_end(mut self) -> Self {
        assert!(self.1.ends_with(b"\r\n"));
        self.1.truncate(self.1.len() - 2);
        self
    }
}

/// What has to be refused.
pub fn refused() -> Vec<Row> {
    let mut rows = refused_lines();
    rows.extend(refused_fields());
    rows.extend(refused_framing());
    rows.extend(refused_chunks());
    rows.extend(refused_sizes());
    rows
}

fn refused_lines() -> Vec<Row> {
    let bad = [
        ("no version", "GET /"),
        ("no version but a blank", "GET / "),
        ("a blank at the end", "GET / HTTP/1.1 "),
        ("two blanks", "GET  / HTTP/1.1"),
        ("two blanks before the version", "GET /  HTTP/1.1"),
        ("a tab", "GET\t/ HTTP/1.1"),
        ("a blank in the target", "GET /a b HTTP/1.1"),
        ("a blank first", " GET / HTTP/1.1"),
        ("no method", "/ HTTP/1.1"),
        ("a method that is no token", "G@T / HTTP/1.1"),
        ("brackets in the method", "GET[] / HTTP/1.1"),
        ("text before the method", "Extra lineGET / HTTP/1.1"),
        ("lower case version", "GET / http/1.1"),
        ("a version with one digit", "GET / HTTP/1"),
        ("a version with three digits", "GET / HTTP/1.10"),
        ("another protocol", "GET / HTTQ/1.1"),
        ("NUL in the target", "GET /\0 HTTP/1.1"),
        ("a control in the target", "GET /\x01 HTTP/1.1"),
        ("DEL in the target", "GET /\x7f HTTP/1.1"),
        ("a fragment", "GET /a#b HTTP/1.1"),
        ("a target without a slash", "GET a HTTP/1.1"),
        ("an asterisk for GET", "GET * HTTP/1.1"),
        ("absolute form without a host", "GET http:///a HTTP/1.1"),
        ("another scheme", "GET ftp://h/ HTTP/1.1"),
        ("bare CR", "GET / HTTP/1.1\rX: y"),
    ];
    let mut rows: Vec<Row> = bad
        .into_iter()
        .map(|(name, text)| line(name, text, Refuse(400)))
        .collect();
    for (name, version) in [
        ("version 0.9", "HTTP/0.9"),
        ("version 1.2", "HTTP/1.2"),
        ("version 2.0", "HTTP/2.0"),
        ("version 9.9", "HTTP/9.9"),
    ] {
        rows.push(line(name, &format!("GET / {version}"), Refuse(505)));
    }
    rows.push(row(
        "connect",
        "CONNECT h:80 HTTP/1.1\r\nHost: h:80\r\n\r\n",
        Refuse(501),
    ));
    rows.push(row(
        "a preface of HTTP/2",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        Refuse(505),
    ));
    rows.push(row(
        "a TLS hello",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        Refuse(400),
    ));
    for (name, bytes) in [
        ("bare LF after the line", "GET / HTTP/1.1\nHost: h\r\n\r\n"),
        (
            "bare LF after a field",
            "GET / HTTP/1.1\r\nHost: h\nX: y\r\n\r\n",
        ),
        ("bare LF at the end", "GET / HTTP/1.1\r\nHost: h\r\n\n"),
        ("bare LF everywhere", "GET / HTTP/1.1\nHost: h\n\n"),
        (
            "bare LF before the line",
            "\nGET / HTTP/1.1\r\nHost: h\r\n\r\n",
        ),
        (
            "bare CR before the line",
            "\rGET / HTTP/1.1\r\nHost: h\r\n\r\n",
        ),
        ("CR CR LF", "GET / HTTP/1.1\r\nHost: h\r\r\n\r\n"),
        (
            "bare CR before a field",
            "GET / HTTP/1.1\r\nHost: h\r\n\rX: y\r\n\r\n",
        ),
    ] {
        rows.push(row(name, bytes, Refuse(400)));
    }
    rows
}

fn refused_fields() -> Vec<Row> {
    let bad = [
        ("a blank before the colon", "X : y\r\n"),
        ("a tab before the colon", "X\t: y\r\n"),
        ("a blank in a name", "X Y: z\r\n"),
        ("no name", ": y\r\n"),
        ("no colon", "X\r\n"),
        ("a name that is no token", "X[]: y\r\n"),
        ("obs-text in a name", "X\u{e9}: y\r\n"),
        ("a control in a name", "X\x01: y\r\n"),
        ("obs-fold", "X: y\r\n z\r\n"),
        ("obs-fold with a tab", "X: y\r\n\tz\r\n"),
        ("a blank line of blanks", "X: y\r\n \r\n"),
        ("NUL in a value", "X: a\0b\r\n"),
        ("a bell in a value", "X: test\x07\r\n"),
        ("DEL in a value", "X: a\x7fb\r\n"),
        ("ESC in a value", "X: \x1b[31m\r\n"),
        ("bare CR in a value", "X: a\rb\r\n"),
    ];
    let mut rows: Vec<Row> = bad
        .into_iter()
        .map(|(name, text)| fields(name, text, Refuse(400)))
        .collect();
    rows.push(row(
        "obs-fold of the first field",
        "GET / HTTP/1.1\r\n Host: h\r\n\r\n",
        Refuse(400),
    ));
    for (name, host) in [
        ("no host", ""),
        ("two hosts", "Host: a\r\nHost: b\r\n"),
        ("the same host twice", "Host: a\r\nhost: a\r\n"),
        ("a blank in the host", "Host: a b\r\n"),
        ("a path in the host", "Host: a/b\r\n"),
        ("a user in the host", "Host: a@b\r\n"),
        ("two hosts in one", "Host: a, b\r\n"),
        ("obs-text in the host", "Host: \u{e9}\r\n"),
    ] {
        rows.push(row(
            name,
            format!("GET / HTTP/1.1\r\n{host}\r\n"),
            Refuse(400),
        ));
    }
    rows.push(row(
        "absolute form does not replace a host",
        "GET http://h/ HTTP/1.1\r\n\r\n",
        Refuse(400),
    ));
    rows.push(row(
        "two hosts in 1.0",
        "GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n",
        Refuse(400),
    ));
    rows.push(fields(
        "an unknown expectation",
        "Expect: 200-ok\r\n",
        Refuse(417),
    ));
    rows
}

fn refused_framing() -> Vec<Row> {
    let mut rows = Vec::new();
    for (name, value) in [
        ("an empty length", ""),
        ("a negative length", "-5"),
        ("a signed length", "+5"),
        ("a length in words", "five"),
        ("a length with a unit", "5b"),
        ("a length in hex", "0x5"),
        ("a length with a point", "5.0"),
        ("a length with blanks", "5 5"),
        ("a length with an underscore", "1_0"),
        ("a length and a comma", "5,"),
        ("a comma and a length", ",5"),
        ("differing lengths in one", "5, 6"),
        ("an overflowing length", "18446744073709551616"),
        ("a negative overflow", "-123456789123456789123456789"),
        (
            "a very long length",
            "99999999999999999999999999999999999999999",
        ),
    ] {
        rows.push(fields(
            name,
            &format!("Content-Length: {value}\r\n"),
            Refuse(400),
        ));
    }
    let both = "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n";
    let turned = "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n";
    rows.push(fields(
        "differing lengths",
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        Refuse(400),
    ));
    rows.push(fields("length and coding", both, Refuse(400)));
    rows.push(fields("coding and length", turned, Refuse(400)));
    rows.push(fields(
        "length zero and coding",
        "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n",
        Refuse(400),
    ));
    for (name, value, status) in [
        ("gzip", "gzip", 501),
        ("gzip, chunked", "gzip, chunked", 501),
        ("chunked, gzip", "chunked, gzip", 501),
        ("identity", "identity", 501),
        ("a longer word", "xchunked", 501),
        ("a parameter", "chunked;a=b", 501),
        ("a quoted word", "\"chunked\"", 501),
        ("two words", "chunked chunked", 501),
        ("an empty coding", "", 400),
        ("chunked twice", "chunked, chunked", 400),
        ("chunked and a comma", "chunked,", 400),
    ] {
        rows.push(fields(
            name,
            &format!("Transfer-Encoding: {value}\r\n"),
            Refuse(status),
        ));
    }
    let twice = "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n";
    rows.push(fields("chunked in two fields", twice, Refuse(400)));
    let later = "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n";
    rows.push(fields("another coding later", later, Refuse(501)));
    rows.push(row(
        "chunked in 1.0",
        "POST / HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        Refuse(400),
    ));
    rows
}

fn refused_chunks() -> Vec<Row> {
    [
        ("an empty size", "\r\nhello\r\n0\r\n\r\n"),
        ("no size but an extension", ";a\r\nhello\r\n0\r\n\r\n"),
        ("a signed size", "+5\r\nhello\r\n0\r\n\r\n"),
        ("a negative size", "-5\r\nhello\r\n0\r\n\r\n"),
        ("a size with 0x", "0x5\r\nhello\r\n0\r\n\r\n"),
        ("a size that is no number", "five\r\nhello\r\n0\r\n\r\n"),
        ("a size with an underscore", "0_5\r\nhello\r\n0\r\n\r\n"),
        ("a blank before a size", " 5\r\nhello\r\n0\r\n\r\n"),
        ("a blank within a size", "0 5\r\nhello\r\n0\r\n\r\n"),
        (
            "an overflowing size",
            "10000000000000005\r\nhello\r\n0\r\n\r\n",
        ),
        (
            "a size that is too long",
            "fffffffffffffffffffff\r\nhello\r\n0\r\n\r\n",
        ),
        ("bare LF after a size", "5\nhello\r\n0\r\n\r\n"),
        ("bare CR after a size", "5\rhello\r\n0\r\n\r\n"),
        ("no line end after a chunk", "5\r\nhello0\r\n\r\n"),
        ("bare LF after a chunk", "5\r\nhello\n0\r\n\r\n"),
        ("bare CR after a chunk", "5\r\nhello\r0\r\n\r\n"),
        ("a chunk longer than its size", "4\r\nhello\r\n0\r\n\r\n"),
        ("a chunk shorter than its size", "6\r\nhello\r\n0\r\n\r\n"),
        ("bare LF in an extension", "5;a\nhello\r\n0\r\n\r\n"),
        ("NUL in an extension", "5;a\0\r\nhello\r\n0\r\n\r\n"),
        ("a trailer without a colon", "0\r\nX\r\n\r\n"),
        (
            "a trailer with a blank before the colon",
            "0\r\nX : y\r\n\r\n",
        ),
        ("a folded trailer", "0\r\nX: y\r\n z\r\n\r\n"),
        ("a control in a trailer", "0\r\nX: \x07\r\n\r\n"),
        ("bare LF after a trailer", "0\r\nX: y\n\r\n"),
        ("bare LF at the end", "0\r\n\n"),
        ("bare CR at the end", "0\r\n\rX"),
    ]
    .into_iter()
    .map(|(name, text)| chunks(name, text, Refuse(400)))
    .collect()
}

fn refused_sizes() -> Vec<Row> {
    let many: String = (0..101).map(|n| format!("X-{n}: y\r\n")).collect();
    let long = |count: usize| "x".repeat(count);
    vec![
        line(
            "a long target",
            &format!("GET /{} HTTP/1.1", long(8 * 1024)),
            Refuse(414),
        ),
        row(
            "an endless target",
            format!("GET /{}", long(20_000)),
            Refuse(414),
        ),
        fields(
            "a long field",
            &format!("X: {}\r\n", long(16 * 1024)),
            Refuse(431),
        ),
        row(
            "an endless head",
            format!("GET / HTTP/1.1\r\nX: {}", long(20_000)),
            Refuse(431),
        ),
        fields("many fields", &many, Refuse(431)),
        fields("a long body", "Content-Length: 33554433\r\n", Refuse(413)),
        fields(
            "a very long body",
            "Content-Length: 18446744073709551615\r\n",
            Refuse(413),
        ),
        fields(
            "a long body is not waited for",
            "Expect: 100-continue\r\nContent-Length: 33554433\r\n",
            Refuse(413),
        ),
        chunks("a long chunk", "2000001\r\n", Refuse(413)),
        chunks("the longest chunk", "ffffffffffffffff\r\n", Refuse(413)),
        chunks(
            "an endless extension",
            &format!("5;{}", long(20_000)),
            Refuse(400),
        ),
        chunks(
            "endless blanks",
            &format!("5{}", " ".repeat(20_000)),
            Refuse(400),
        ),
        chunks(
            "endless extensions",
            &format!("1;{}\r\nx\r\n", long(500)).repeat(40),
            Refuse(400),
        ),
        chunks(
            "an endless trailer",
            &format!("0\r\nX: {}", long(10_000)),
            Refuse(431),
        ),
        chunks(
            "endless trailers",
            &format!("0\r\n{}", "X: y\r\n".repeat(2_000)),
            Refuse(431),
        ),
    ]
}

/// A request that must never be served.
const SMUGGLED: &[u8] = b"POST /invoke HTTP/1.1\r\nHost: h\r\nx-fc-request-id: smuggled\r\n\r\n";

/// Sends a row and looks at everything that comes back.
#[track_caller]
pub fn check(client: &mut Client, want: Want) {
    match want {
        Open(answers) => {
            expect_all(client, answers);
            client.expect_open();
        }
        Close(answers) => {
            expect_all(client, answers);
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
fn expect_all(client: &mut Client, answers: &[(u16, &str)]) {
    for (status, body) in answers {
        assert_eq!(client.expect(*status).text(), *body);
    }
}

/// Runs rows on one server, each on a connection of its own, and names the row that fails.
fn check_rows(rows: Vec<Row>, send: impl Fn(&mut Client, &[u8])) {
    let mut server = Server::start();
    for (name, bytes, want) in rows {
        let _case = Case(name);
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
fn takes_what_is_valid() {
    check_rows(taken(), |client, bytes| {
        client.send(bytes);
    });
}

#[test]
fn refuses_what_is_not() {
    check_rows(refused(), |client, bytes| {
        client.send(bytes);
    });
}

/// What follows comes in the same segment, and something fine came before: no difference.
#[test]
fn nothing_behind_a_refusal_is_served() {
    // Not those that are refused for their size alone: what follows becomes a part of them.
    let mut rows = [refused_lines(), refused_fields(), refused_framing()].concat();
    rows.extend(refused_chunks());
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
    assert_eq!(client.expect(200).text(), HELLO);
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

/// The bounds themselves still fit.
#[test]
fn the_largest_fits() {
    let mut server = Server::start();
    let target = format!("/{}", "x".repeat(8 * 1024 - 1));
    server.call(format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n"), 200);
    let most: String = (0..99).map(|n| format!("X-{n}: y\r\n")).collect();
    server.call(format!("GET / HTTP/1.1\r\nHost: h\r\n{most}\r\n"), 200);
    let empty = "GET / HTTP/1.1\r\nHost: h\r\nX: \r\n\r\n";
    let field = "x".repeat(16 * 1024 - empty.len());
    server.call(empty.replace("X: ", &format!("X: {field}")), 200);
    server.call(empty.replace("X: ", &format!("X: {field}x")), 431);
    let trailer = format!("X: {}\r\n", "y".repeat(8 * 1024 - 10));
    let head = "POST /invoke HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
    server.call(format!("{head}0\r\n{trailer}\r\n"), 200);
}

/// A client that has said everything may still wait for the answer.
#[test]
fn half_closed_clients_are_answered() {
    let mut server = Server::start();
    for (name, bytes, want) in taken() {
        let _case = Case(name);
        let mut client = server.connect();
        client.send(&bytes).finish();
        let (Open(answers) | Close(answers)) = want else {
            panic!("{want:?}")
        };
        expect_all(&mut client, answers);
        client.expect_close();
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
