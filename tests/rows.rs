//! RFC 9110 and RFC 9112, row by row: these bytes, that answer, and whether the connection lives.
//!
//! One table for two drivers: `src/http/mod.rs` runs it in memory, `tests/it/conform.rs` and
//! `tests/it/wire.rs` against the program that ships, both with every row whole and cut at every byte. The function that answers is
//! the built-in one: an event is answered with itself, an HTTP request with its body or a greeting.
#![allow(
    clippy::expect_used,
    clippy::must_use_candidate,
    clippy::too_many_lines,
    reason = "a table, for tests alone"
)]

use std::string::String;
use std::vec::Vec;
use std::{format, vec};

/// What a client gets for a row.
#[derive(Clone, Copy, Debug)]
pub enum Want {
    /// These bodies, each in a 200, and then the connection is open.
    Open(&'static [&'static str]),
    /// These bodies, each in a 200, and then the end.
    Close(&'static [&'static str]),
    /// A refusal with that status, and then the end.
    Refuse(u16),
}

use Want::{Close, Open, Refuse};

/// One case.
#[derive(Clone, Debug)]
pub struct Row {
    /// For failures.
    pub name: &'static str,
    /// Where the answer is prescribed, as `RFC §section`.
    pub section: &'static str,
    pub bytes: Vec<u8>,
    pub want: Want,
}

/// Name, text, answer.
type Case<'a> = (&'static str, &'a str, Want);

const HELLO: &str = "Hello World!\n";
const OK: Want = Open(&[""]);
const PAGE: Want = Open(&[HELLO]);
const ECHO: Want = Open(&["hello"]);
const BAD: Want = Refuse(400);

/// A request that is fine, and its answer is `ping`.
pub const PING: &str = "POST /invoke HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nping";

/// Rows whose text is all that is sent.
fn raw(section: &'static str, cases: &[Case<'_>]) -> Vec<Row> {
    let row = |&(name, text, want): &Case<'_>| Row {
        name,
        section,
        bytes: text.as_bytes().to_vec(),
        want,
    };
    cases.iter().map(row).collect()
}

/// Rows whose text stands in `template`, where that has a `$`.
fn within(template: &str, section: &'static str, cases: &[Case<'_>]) -> Vec<Row> {
    let (before, after) = template.split_once('$').expect("a place");
    let mut rows = raw(section, cases);
    for row in &mut rows {
        row.bytes = [before.as_bytes(), &row.bytes, after.as_bytes()].concat();
    }
    rows
}

/// Rows that are a first line.
fn lines(section: &'static str, cases: &[Case<'_>]) -> Vec<Row> {
    within("$\r\nHost: h\r\n\r\n", section, cases)
}

/// Rows that are the fields of an event, each with its line end.
fn fields(section: &'static str, cases: &[Case<'_>]) -> Vec<Row> {
    let template = "POST /invoke HTTP/1.1\r\nHost: h\r\n$\r\n";
    within(template, section, cases)
}

/// Rows that are the value of `Host`.
fn hosts(section: &'static str, cases: &[Case<'_>]) -> Vec<Row> {
    within("POST /invoke HTTP/1.1\r\nHost: $\r\n\r\n", section, cases)
}

/// Rows that are the value of `Transfer-Encoding`; what follows would be an empty body in chunks.
fn codings(section: &'static str, cases: &[Case<'_>]) -> Vec<Row> {
    let template = "POST /invoke HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: $\r\n\r\n0\r\n\r\n";
    within(template, section, cases)
}

/// Rows that are the value of `Content-Length`.
fn lengths(section: &'static str, cases: &[Case<'_>]) -> Vec<Row> {
    let template = "POST /invoke HTTP/1.1\r\nHost: h\r\nContent-Length: $\r\n\r\n";
    within(template, section, cases)
}

/// Rows that are a body in chunks.
fn chunks(section: &'static str, cases: &[Case<'_>]) -> Vec<Row> {
    let template = "POST /invoke HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n$";
    within(template, section, cases)
}

/// Rows that are what follows the size of a chunk of five bytes, up to the end of its line.
fn extensions(section: &'static str, cases: &[Case<'_>]) -> Vec<Row> {
    let template = "POST /invoke HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n\
                    5$\r\nhello\r\n0\r\n\r\n";
    within(template, section, cases)
}

/// Every row that is short enough to be cut at every byte.
pub fn rows() -> Vec<Row> {
    [
        taken_lines(),
        taken_fields(),
        taken_bodies(),
        taken_connections(),
        refused_lines(),
        refused_line_ends(),
        refused_fields(),
        refused_hosts(),
        refused_framing(),
        refused_chunks(),
    ]
    .concat()
}

fn taken_lines() -> Vec<Row> {
    [
        lines(
            "9112 §3",
            &[
                ("get", "GET / HTTP/1.1", PAGE),
                ("options", "OPTIONS / HTTP/1.1", PAGE),
                (
                    "any token as method",
                    "A-Z!#$%&'*+-.^_`|~09 / HTTP/1.1",
                    PAGE,
                ),
                ("lower case method", "get / HTTP/1.1", PAGE),
                ("trace", "TRACE / HTTP/1.1", PAGE),
            ],
        ),
        lines(
            "9112 §3.2",
            &[
                ("asterisk form", "OPTIONS * HTTP/1.1", PAGE),
                ("absolute form", "GET http://h:80/a?b HTTP/1.1", PAGE),
                (
                    "absolute form without a path",
                    "GET http://h HTTP/1.1",
                    PAGE,
                ),
                (
                    "absolute form, a query only",
                    "GET https://h?b HTTP/1.1",
                    PAGE,
                ),
                ("absolute form in capitals", "GET HTTP://H:/ HTTP/1.1", PAGE),
                (
                    "absolute form of an address",
                    "GET http://[::1]:80/ HTTP/1.1",
                    PAGE,
                ),
                (
                    "absolute form with escapes",
                    "GET http://%68/ HTTP/1.1",
                    PAGE,
                ),
                (
                    "absolute form of an event",
                    "POST http://h/invoke HTTP/1.1",
                    OK,
                ),
                (
                    "a query that looks like a URL",
                    "GET /?u=http://a/b HTTP/1.1",
                    PAGE,
                ),
                ("an at sign in a path", "GET http://h/a@b HTTP/1.1", PAGE),
                ("percent and dots", "GET /a%2F%00/../.%20 HTTP/1.1", PAGE),
            ],
        ),
        raw(
            "9112 §2.2",
            &[
                ("leading CRLF", &format!("\r\n{PING}"), Open(&["ping"])),
                (
                    "several leading CRLF",
                    &format!("\r\n\r\n\r\n{PING}"),
                    Open(&["ping"]),
                ),
            ],
        ),
    ]
    .concat()
}

fn taken_fields() -> Vec<Row> {
    [
        fields(
            "9112 §5",
            &[
                ("no fields", "", OK),
                ("empty value", "X:\r\n", OK),
                ("blank value", "X: \t \r\n", OK),
                ("obs-text in a value", "X: caf\u{e9} \u{4f60}\r\n", OK),
                ("any token as name", "!#$%&'*+-.^_`|~09aZ: x\r\n", OK),
                ("colons in a value", "X: a:b: c\r\n", OK),
            ],
        ),
        vec![Row {
            name: "obs-text that is not UTF-8",
            section: "9110 §5.5",
            bytes: b"POST /invoke HTTP/1.1\r\nHost: h\r\nX: \xff\xfe\x80\r\n\r\n".to_vec(),
            want: OK,
        }],
        raw(
            "9110 §5.1",
            &[(
                "odd case and tabs",
                "POST /invoke HTTP/1.1\r\nhOsT:\th\t\r\n\r\n",
                OK,
            )],
        ),
        hosts(
            "9112 §3.2",
            &[
                ("empty host", "", OK),
                ("host with port", "a.b:80", OK),
                ("host with an empty port", "a.b:", OK),
                ("host with a port beyond TCP's", "a.b:99999", OK),
                ("host with an address", "127.0.0.1:80", OK),
                ("host IPv6", "[::1]:80", OK),
                ("host IPv6 with IPv4", "[::ffff:127.0.0.1]", OK),
                ("host with escapes", "%41%6a", OK),
                ("host with delimiters", "a-b_c~!$&'()*+;=", OK),
            ],
        ),
        fields(
            "9110 §10.1.1",
            &[
                ("no interim reply without a body", "Expect: 100-continue\r\n", OK),
                ("an empty expectation", "Expect:\r\n", OK),
                ("an expectation and a comma", "Expect: 100-Continue,\r\n", OK),
                ("a comma and an expectation", "Expect: , 100-continue\r\n", OK),
                ("nothing but commas", "Expect: ,\t,\r\n", OK),
                (
                    "an expectation twice",
                    "Expect: 100-continue\r\nExpect: 100-continue, 100-continue\r\n",
                    OK,
                ),
            ],
        ),
        raw(
            "9110 §10.1.1",
            &[
                (
                    "1.0 cannot expect",
                    "POST /invoke HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello",
                    Close(&["hello"]),
                ),
                (
                    "1.0 cannot expect anything else",
                    "POST /invoke HTTP/1.0\r\nExpect: tea\r\nContent-Length: 5\r\n\r\nhello",
                    Close(&["hello"]),
                ),
            ],
        ),
    ]
    .concat()
}

fn taken_bodies() -> Vec<Row> {
    [
        within(
            "POST /invoke HTTP/1.1\r\nHost: h\r\n$",
            "9112 §6.2",
            &[
                ("length", "Content-Length: 5\r\n\r\nhello", ECHO),
                ("length zero", "Content-Length: 0\r\n\r\n", OK),
                ("length with zeros", "Content-Length: 005\r\n\r\nhello", ECHO),
                (
                    "same length twice",
                    "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
                    ECHO,
                ),
                ("same length in a list", "Content-Length: 5, 5\r\n\r\nhello", ECHO),
                (
                    "body with a get inside",
                    "Content-Length: 18\r\n\r\nGET / HTTP/1.1\r\n\r\n",
                    Open(&["GET / HTTP/1.1\r\n\r\n"]),
                ),
            ],
        ),
        codings("9112 §7", &[("coding in any case", "CHUNKED", OK)]),
        chunks(
            "9112 §7.1",
            &[
                ("chunked", "5\r\nhello\r\n0\r\n\r\n", ECHO),
                ("chunked and empty", "0\r\n\r\n", OK),
                ("several chunks", "1\r\nh\r\n3\r\nell\r\n1\r\no\r\n0\r\n\r\n", ECHO),
                (
                    "sizes in any case",
                    "00A\r\n0123456789\r\na\r\n0123456789\r\n000\r\n\r\n",
                    Open(&["01234567890123456789"]),
                ),
                ("zeros before a size", "00000000000000000005\r\nhello\r\n0\r\n\r\n", ECHO),
                ("line ends as data", "4\r\n\r\n\r\n\r\n0\r\n\r\n", Open(&["\r\n\r\n"])),
            ],
        ),
        extensions(
            "9112 §7.1.1",
            &[
                ("an extension", ";a", ECHO),
                ("extensions with values", ";b=c;d=\"e;f\"", ECHO),
                ("an empty quoted value", ";a=\"\"", ECHO),
                ("escapes in a quoted value", ";a=\"\\\"\\\\\\;\"", ECHO),
                ("anything in a quoted value", ";a=\"b=c, \t[]\u{e9}\"", ECHO),
                ("blanks before an extension", " ;a", ECHO),
                ("blanks around a semicolon", "\t; a \t;b", ECHO),
                ("blanks around an equals sign", ";a = b ; c\t=\t\"d\"", ECHO),
                ("any token as name and value", ";!#$%&'*+-.^_`|~=!#$%&'*+-.^_`|~", ECHO),
            ],
        ),
        chunks(
            "9112 §7.1.1",
            &[("an extension of the last chunk", "2;x\r\nhe\r\n3\r\nllo\r\n0 ;g\r\n\r\n", ECHO)],
        ),
        chunks(
            "9112 §7.1.2",
            &[
                ("trailers", "5\r\nhello\r\n0\r\nA: b\r\nC:\r\nd: \u{e9}\r\n\r\n", ECHO),
                (
                    "a trailer is not a field",
                    "5\r\nhello\r\n0\r\nContent-Length: 9\r\n\r\n",
                    ECHO,
                ),
            ],
        ),
        raw(
            "9110 §10.1.1",
            &[(
                INTERIM,
                "POST /invoke HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello",
                ECHO,
            )],
        ),
    ]
    .concat()
}

/// The one row whose answer depends on how it is cut: where the body has not come, an interim reply
/// has.
pub const INTERIM: &str = "no interim reply when the body is there";

fn taken_connections() -> Vec<Row> {
    let chunked = "POST /invoke HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n\
                   5\r\nhello\r\n0\r\n\r\n";
    let close = "POST /invoke HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
    [
        fields(
            "9112 §9.3",
            &[
                ("close", "Connection: close\r\n", Close(&[""])),
                (
                    "close among others",
                    "Connection: x,\tCLOSE , y\r\n",
                    Close(&[""]),
                ),
                (
                    "close wins",
                    "Connection: keep-alive\r\nConnection: close\r\n",
                    Close(&[""]),
                ),
                ("keep-alive", "Connection: keep-alive\r\n", OK),
            ],
        ),
        fields(
            "9110 §7.8",
            &[(
                "upgrade is not taken",
                "Connection: Upgrade\r\nUpgrade: h2c\r\n",
                OK,
            )],
        ),
        raw(
            "9112 §9.3",
            &[
                ("1.0", "POST /invoke HTTP/1.0\r\n\r\n", Close(&[""])),
                (
                    "1.0 with host",
                    "POST /invoke HTTP/1.0\r\nHost: h\r\n\r\n",
                    Close(&[""]),
                ),
                (
                    "1.0 absolute form",
                    "POST http://h/invoke HTTP/1.0\r\n\r\n",
                    Close(&[""]),
                ),
                (
                    "1.0 keep-alive",
                    "POST /invoke HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n",
                    OK,
                ),
                (
                    "1.0 keep-alive, close",
                    "GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n",
                    Close(&[HELLO]),
                ),
                (
                    "1.0 with a body",
                    "POST /invoke HTTP/1.0\r\nContent-Length: 5\r\n\r\nhello",
                    Close(&["hello"]),
                ),
            ],
        ),
        raw(
            "9112 §9.3.2",
            &[
                (
                    "pipelined",
                    &PING.repeat(3),
                    Open(&["ping", "ping", "ping"]),
                ),
                (
                    "pipelined with CRLF between",
                    &format!("{PING}\r\n{PING}"),
                    Open(&["ping", "ping"]),
                ),
                (
                    "pipelined behind chunks",
                    &format!("{chunked}{PING}"),
                    Open(&["hello", "ping"]),
                ),
            ],
        ),
        raw(
            "9112 §9.6",
            &[(
                "nothing behind close is taken",
                &format!("{close}{PING}"),
                Close(&[""]),
            )],
        ),
    ]
    .concat()
}

fn refused_lines() -> Vec<Row> {
    [
        lines(
            "9112 §3",
            &[
                ("no version", "GET /", BAD),
                ("no target", "GET", BAD),
                ("no version but a blank", "GET / ", BAD),
                ("a blank at the end", "GET / HTTP/1.1 ", BAD),
                ("two blanks", "GET  / HTTP/1.1", BAD),
                ("two blanks before the version", "GET /  HTTP/1.1", BAD),
                ("a tab", "GET\t/ HTTP/1.1", BAD),
                ("a tab in the target", "GET /\t HTTP/1.1", BAD),
                ("a blank in the target", "GET /a b HTTP/1.1", BAD),
                ("a blank first", " GET / HTTP/1.1", BAD),
                ("no method", "/ HTTP/1.1", BAD),
                ("a method that is no token", "G@T / HTTP/1.1", BAD),
                ("brackets in the method", "GET[] / HTTP/1.1", BAD),
                ("text before the method", "Extra lineGET / HTTP/1.1", BAD),
                ("NUL in the target", "GET /\0 HTTP/1.1", BAD),
                ("a control in the target", "GET /\x01 HTTP/1.1", BAD),
                ("DEL in the target", "GET /\x7f HTTP/1.1", BAD),
                ("connect", "CONNECT h:80 HTTP/1.1", Refuse(501)),
            ],
        ),
        lines(
            "9112 §2.3",
            &[
                ("lower case version", "GET / http/1.1", BAD),
                ("a version with one digit", "GET / HTTP/1", BAD),
                ("a version with three digits", "GET / HTTP/1.10", BAD),
                ("another protocol", "GET / HTTQ/1.1", BAD),
                ("something behind another version", "GET / HTTP/2.0 x", BAD),
                ("version 0.9", "GET / HTTP/0.9", Refuse(505)),
                ("version 1.2", "GET / HTTP/1.2", Refuse(505)),
                ("version 2.0", "GET / HTTP/2.0", Refuse(505)),
                ("version 9.9", "GET / HTTP/9.9", Refuse(505)),
            ],
        ),
        lines(
            "9112 §3.2",
            &[
                ("a fragment", "GET /a#b HTTP/1.1", BAD),
                ("a target without a slash", "GET a HTTP/1.1", BAD),
                ("authority form", "GET h:80 HTTP/1.1", BAD),
                ("an asterisk for GET", "GET * HTTP/1.1", BAD),
                ("another scheme", "GET ftp://h/ HTTP/1.1", BAD),
                ("no scheme", "GET ://h/ HTTP/1.1", BAD),
                (
                    "absolute form without a host",
                    "GET http:///a HTTP/1.1",
                    BAD,
                ),
                (
                    "absolute form with a port only",
                    "GET http://:80/a HTTP/1.1",
                    BAD,
                ),
                ("absolute form with nothing", "GET http:// HTTP/1.1", BAD),
                (
                    "absolute form with userinfo",
                    "GET http://u@h/ HTTP/1.1",
                    BAD,
                ),
                (
                    "absolute form with a password",
                    "GET http://u:p@h/ HTTP/1.1",
                    BAD,
                ),
                (
                    "absolute form with a bad port",
                    "GET http://h:x/ HTTP/1.1",
                    BAD,
                ),
                (
                    "absolute form with two ports",
                    "GET http://h:1:2/ HTTP/1.1",
                    BAD,
                ),
                (
                    "absolute form with a bad escape",
                    "GET http://%zz/ HTTP/1.1",
                    BAD,
                ),
                (
                    "absolute form with a bad address",
                    "GET http://[::1/ HTTP/1.1",
                    BAD,
                ),
            ],
        ),
        raw(
            "9112 §3",
            &[
                (
                    "a preface of HTTP/2",
                    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
                    Refuse(505),
                ),
                ("a TLS hello", "\x16\x03\x01\x02\0\x01\0\x01", BAD),
            ],
        ),
    ]
    .concat()
}

fn refused_line_ends() -> Vec<Row> {
    raw(
        "9112 §2.2",
        &[
            (
                "bare CR in the line",
                "GET / HTTP/1.1\rX: y\r\nHost: h\r\n\r\n",
                BAD,
            ),
            (
                "bare LF after the line",
                "GET / HTTP/1.1\nHost: h\r\n\r\n",
                BAD,
            ),
            (
                "bare LF after a field",
                "GET / HTTP/1.1\r\nHost: h\nX: y\r\n\r\n",
                BAD,
            ),
            ("bare LF at the end", "GET / HTTP/1.1\r\nHost: h\r\n\n", BAD),
            ("bare LF everywhere", "GET / HTTP/1.1\nHost: h\n\n", BAD),
            (
                "bare LF before the line",
                "\nGET / HTTP/1.1\r\nHost: h\r\n\r\n",
                BAD,
            ),
            (
                "bare LF and CRLF before the line",
                "\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n",
                BAD,
            ),
            (
                "bare CR before the line",
                "\rGET / HTTP/1.1\r\nHost: h\r\n\r\n",
                BAD,
            ),
            ("CR CR LF", "GET / HTTP/1.1\r\nHost: h\r\r\n\r\n", BAD),
            (
                "bare CR before a field",
                "GET / HTTP/1.1\r\nHost: h\r\n\rX: y\r\n\r\n",
                BAD,
            ),
        ],
    )
}

fn refused_fields() -> Vec<Row> {
    [
        fields(
            "9112 §5.1",
            &[
                ("a blank before the colon", "X : y\r\n", BAD),
                ("a tab before the colon", "X\t: y\r\n", BAD),
                ("a blank in a name", "X Y: z\r\n", BAD),
                ("no name", ": y\r\n", BAD),
                ("no colon", "X\r\n", BAD),
                ("a name that is no token", "X[]: y\r\n", BAD),
                ("obs-text in a name", "X\u{e9}: y\r\n", BAD),
                ("a control in a name", "X\x01: y\r\n", BAD),
            ],
        ),
        fields(
            "9112 §5.2",
            &[
                ("obs-fold", "X: y\r\n z\r\n", BAD),
                ("obs-fold with a tab", "X: y\r\n\tz\r\n", BAD),
                ("a line of blanks", "X: y\r\n \r\n", BAD),
            ],
        ),
        fields(
            "9110 §5.5",
            &[
                ("NUL in a value", "X: a\0b\r\n", BAD),
                ("a bell in a value", "X: test\x07\r\n", BAD),
                ("DEL in a value", "X: a\x7fb\r\n", BAD),
                ("ESC in a value", "X: \x1b[31m\r\n", BAD),
                ("bare CR in a value", "X: a\rb\r\n", BAD),
            ],
        ),
        raw(
            "9112 §2.2",
            &[(
                "obs-fold of the first field",
                "GET / HTTP/1.1\r\n Host: h\r\n\r\n",
                BAD,
            )],
        ),
        fields(
            "9110 §10.1.1",
            &[
                ("an unknown expectation", "Expect: 200-ok\r\n", Refuse(417)),
                (
                    "a known expectation and another",
                    "Expect: 100-continue, x\r\n",
                    Refuse(417),
                ),
                (
                    "an expectation with a parameter",
                    "Expect: 100-continue;a\r\n",
                    Refuse(417),
                ),
            ],
        ),
    ]
    .concat()
}

fn refused_hosts() -> Vec<Row> {
    [
        within(
            "GET / HTTP/1.1\r\n$\r\n",
            "9112 §3.2",
            &[
                ("no host", "", BAD),
                ("two hosts", "Host: a\r\nHost: b\r\n", BAD),
                ("the same host twice", "Host: a\r\nhost: a\r\n", BAD),
                ("an empty host and another", "Host:\r\nHost: a\r\n", BAD),
            ],
        ),
        hosts(
            "9112 §3.2",
            &[
                ("a blank in the host", "a b", BAD),
                ("a path in the host", "a/b", BAD),
                ("a query in the host", "a?b", BAD),
                ("a user in the host", "a@b", BAD),
                ("two hosts in one", "a, b", BAD),
                ("a comma in the host", "a,b", BAD),
                ("obs-text in the host", "\u{e9}", BAD),
                ("two ports", "a:1:2", BAD),
                ("three names", "a:b:c", BAD),
                ("a port that is no number", "a:x", BAD),
                ("a signed port", "a:+1", BAD),
                ("a port alone", ":80", BAD),
                ("a bad escape in the host", "%zz", BAD),
                ("half an escape in the host", "a%4", BAD),
                ("an address without its brackets", "::1", BAD),
                ("an address without an end", "[::1", BAD),
                ("an address without a beginning", "::1]", BAD),
                ("an address that is none", "[a]", BAD),
                ("an address with nine groups", "[1:2:3:4:5:6:7:8:9]", BAD),
                ("an address shortened twice", "[1::2::3]", BAD),
                ("something behind an address", "[::1]a", BAD),
                ("a bad port behind an address", "[::1]:x", BAD),
                ("an address with a zone", "[fe80::1%25eth0]", BAD),
            ],
        ),
        raw(
            "9112 §3.2",
            &[
                (
                    "absolute form does not replace a host",
                    "GET http://h/ HTTP/1.1\r\n\r\n",
                    BAD,
                ),
                (
                    "absolute form does not mend a host",
                    "GET http://h/ HTTP/1.1\r\nHost: a b\r\n\r\n",
                    BAD,
                ),
                (
                    "absolute form does not choose a host",
                    "GET http://h/ HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n",
                    BAD,
                ),
                (
                    "two hosts in 1.0",
                    "GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n",
                    BAD,
                ),
                (
                    "a bad host in 1.0",
                    "GET / HTTP/1.0\r\nHost: a:b\r\n\r\n",
                    BAD,
                ),
            ],
        ),
    ]
    .concat()
}

fn refused_framing() -> Vec<Row> {
    [
        lengths(
            "9112 §6.3",
            &[
                ("an empty length", "", BAD),
                ("a negative length", "-5", BAD),
                ("a signed length", "+5", BAD),
                ("a length in words", "five", BAD),
                ("a length with a unit", "5b", BAD),
                ("a length in hex", "0x5", BAD),
                ("a length with a point", "5.0", BAD),
                ("a length with blanks", "5 5", BAD),
                ("a length with an underscore", "1_0", BAD),
                ("a length and a comma", "5,", BAD),
                ("a comma and a length", ",5", BAD),
                ("differing lengths in one", "5, 6", BAD),
                ("an overflowing length", "18446744073709551616", BAD),
                ("a negative overflow", "-123456789123456789123456789", BAD),
                (
                    "a very long length",
                    "99999999999999999999999999999999999999999",
                    BAD,
                ),
            ],
        ),
        fields(
            "9112 §6.3",
            &[
                (
                    "differing lengths",
                    "Content-Length: 5\r\nContent-Length: 6\r\n",
                    BAD,
                ),
                (
                    "length and coding",
                    "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
                    BAD,
                ),
                (
                    "coding and length",
                    "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
                    BAD,
                ),
                (
                    "length zero and coding",
                    "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n",
                    BAD,
                ),
                (
                    "length and an unknown coding",
                    "Content-Length: 5\r\nTransfer-Encoding: gzip\r\n",
                    BAD,
                ),
                (
                    "chunked in two fields",
                    "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
                    BAD,
                ),
                (
                    "another coding later",
                    "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
                    BAD,
                ),
                (
                    "another coding before",
                    "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n",
                    Refuse(501),
                ),
            ],
        ),
        // Rule 4: without `chunked` at the end nobody can tell where the request ends.
        codings(
            "9112 §6.3",
            &[
                ("gzip", "gzip", BAD),
                ("chunked, gzip", "chunked, gzip", BAD),
                ("identity", "identity", BAD),
                ("a longer word", "xchunked", BAD),
                ("a quoted word", "\"chunked\"", BAD),
                ("two words", "chunked chunked", BAD),
                ("a parameter", "chunked;a=b", BAD),
                ("an empty coding", "", BAD),
                ("chunked and a comma", "chunked,", BAD),
                ("a comma and chunked", ",chunked", BAD),
            ],
        ),
        codings(
            "9112 §6.1",
            &[
                ("gzip, chunked", "gzip, chunked", Refuse(501)),
                (
                    "a coding with a parameter",
                    "gzip ; q=1, chunked",
                    Refuse(501),
                ),
                ("chunked twice", "chunked, chunked", BAD),
                (
                    "chunked twice around another",
                    "chunked, gzip, chunked",
                    BAD,
                ),
            ],
        ),
        raw(
            "9112 §6.1",
            &[
                (
                    "chunked in 1.0",
                    "POST / HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                    BAD,
                ),
                (
                    "gzip, chunked in 1.0",
                    "POST / HTTP/1.0\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
                    BAD,
                ),
            ],
        ),
    ]
    .concat()
}

fn refused_chunks() -> Vec<Row> {
    [
        chunks(
            "9112 §7.1",
            &[
                ("an empty size", "\r\nhello\r\n0\r\n\r\n", BAD),
                ("no size but an extension", ";a\r\nhello\r\n0\r\n\r\n", BAD),
                ("a signed size", "+5\r\nhello\r\n0\r\n\r\n", BAD),
                ("a negative size", "-5\r\nhello\r\n0\r\n\r\n", BAD),
                ("a size with 0x", "0x5\r\nhello\r\n0\r\n\r\n", BAD),
                (
                    "a size that is no number",
                    "five\r\nhello\r\n0\r\n\r\n",
                    BAD,
                ),
                (
                    "a size with an underscore",
                    "0_5\r\nhello\r\n0\r\n\r\n",
                    BAD,
                ),
                ("a blank before a size", " 5\r\nhello\r\n0\r\n\r\n", BAD),
                ("a blank within a size", "0 5\r\nhello\r\n0\r\n\r\n", BAD),
                ("a blank after a size", "5 \r\nhello\r\n0\r\n\r\n", BAD),
                (
                    "a tab after the last size",
                    "5\r\nhello\r\n0\t\r\n\r\n",
                    BAD,
                ),
                (
                    "an overflowing size",
                    "10000000000000005\r\nhello\r\n0\r\n\r\n",
                    Refuse(413),
                ),
                (
                    "a size that is too long",
                    "fffffffffffffffffffff\r\nhello\r\n0\r\n\r\n",
                    Refuse(413),
                ),
                ("bare LF after a size", "5\nhello\r\n0\r\n\r\n", BAD),
                ("bare CR after a size", "5\rhello\r\n0\r\n\r\n", BAD),
                ("no line end after a chunk", "5\r\nhello0\r\n\r\n", BAD),
                ("bare LF after a chunk", "5\r\nhello\n0\r\n\r\n", BAD),
                ("bare CR after a chunk", "5\r\nhello\r0\r\n\r\n", BAD),
                (
                    "a chunk longer than its size",
                    "4\r\nhello\r\n0\r\n\r\n",
                    BAD,
                ),
                (
                    "a chunk shorter than its size",
                    "6\r\nhello\r\n0\r\n\r\n",
                    BAD,
                ),
            ],
        ),
        extensions(
            "9112 §7.1.1",
            &[
                ("bare LF in an extension", ";a\nb", BAD),
                ("bare CR in an extension", ";a\rb", BAD),
                ("NUL in an extension", ";a\0", BAD),
                ("a semicolon alone", ";", BAD),
                ("two semicolons", ";;a", BAD),
                ("a semicolon at the end", ";a;", BAD),
                ("a semicolon and a blank", "; ", BAD),
                ("an extension without a name", ";=x", BAD),
                ("an extension without a value", ";a=", BAD),
                ("two equals signs", ";a==b", BAD),
                ("a second value", ";a=b=c", BAD),
                ("a name that is no token", ";a[b]", BAD),
                ("a quoted name", ";\"a\"", BAD),
                ("two words", ";a b", BAD),
                ("two values", ";a=b c", BAD),
                ("a blank at the end", ";a ", BAD),
                ("a blank behind a value", ";a=b ", BAD),
                ("a blank behind a quoted value", ";a=\"b\" ", BAD),
                ("text behind a quoted value", ";a=\"b\"c", BAD),
                ("a value and a quoted one", ";a=b\"c\"", BAD),
                ("an equals sign behind a size", "=a", BAD),
                ("an equals sign behind a blank", " =a", BAD),
                ("a quoted value without an end", ";a=\"b", BAD),
                ("a quoted value over two lines", ";a=\"b\r\nc\"", BAD),
                ("an escaped end of a quoted value", ";a=\"b\\\"", BAD),
                ("an escaped line end", ";a=\"\\\r\n\"", BAD),
                ("a control in a quoted value", ";a=\"\x01\"", BAD),
                ("obs-text in a value", ";a=\u{e9}", BAD),
            ],
        ),
        chunks(
            "9112 §7.1.1",
            &[(
                "a request in a quoted value",
                "3;k=\"open\r\nabc\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n\"\r\n",
                BAD,
            )],
        ),
        chunks(
            "9112 §7.1.2",
            &[
                ("a trailer without a colon", "0\r\nX\r\n\r\n", BAD),
                ("a trailer without a name", "0\r\n: y\r\n\r\n", BAD),
                ("a blank before a trailer", "0\r\n X: y\r\n\r\n", BAD),
                (
                    "a trailer with a blank before the colon",
                    "0\r\nX : y\r\n\r\n",
                    BAD,
                ),
                ("a folded trailer", "0\r\nX: y\r\n z\r\n\r\n", BAD),
                ("a control in a trailer", "0\r\nX: \x07\r\n\r\n", BAD),
                ("bare LF after a trailer", "0\r\nX: y\n\r\n", BAD),
                ("bare CR in a trailer", "0\r\nX: a\rb\r\n\r\n", BAD),
                ("bare LF at the end", "0\r\n\n", BAD),
                ("bare CR at the end", "0\r\n\rX", BAD),
            ],
        ),
    ]
    .concat()
}

/// Rows around the limits, too long to be cut at every byte: what just fits is taken, and what is too
/// large is refused as that, also with more wrong in it.
pub fn large() -> Vec<Row> {
    let many = |count| -> String { (0..count).map(|n| format!("X-{n}: y\r\n")).collect() };
    // What is left of the longest head.
    let field_bytes = 16 * 1024 - "POST /invoke HTTP/1.1\r\nHost: h\r\nX: \r\n\r\n".len();
    let long = |count: usize| "x".repeat(count);
    let zeros = |count: usize| "0".repeat(count);
    [
        lines(
            "9110 §15.5.15",
            &[
                (
                    "the longest target",
                    &format!("GET /{} HTTP/1.1", long(8 * 1024 - 1)),
                    PAGE,
                ),
                (
                    "a long target",
                    &format!("GET /{} HTTP/1.1", long(8 * 1024)),
                    Refuse(414),
                ),
                (
                    "a long target with a control",
                    &format!("GET /{}\x01 HTTP/1.1", long(9_000)),
                    Refuse(414),
                ),
                (
                    "a long target and two more words",
                    &format!("GET /{} a b c", long(9_000)),
                    Refuse(414),
                ),
                (
                    "the longest target and a long method",
                    &format!("{} /{} HTTP/1.1", long(200), long(8 * 1024 - 1)),
                    Refuse(414),
                ),
            ],
        ),
        raw(
            "9110 §15.5.15",
            &[(
                "an endless target",
                &format!("GET /{}", long(20_000)),
                Refuse(414),
            )],
        ),
        fields(
            "6585 §5",
            &[
                (
                    "the longest field",
                    &format!("X: {}\r\n", long(field_bytes)),
                    OK,
                ),
                (
                    "a field longer by one byte",
                    &format!("X: {}\r\n", long(field_bytes + 1)),
                    Refuse(431),
                ),
                (
                    "a long field with a control",
                    &format!("X: {}\x01\r\n", long(17_000)),
                    Refuse(431),
                ),
                ("the most fields", &many(99), OK),
                ("many fields", &many(101), Refuse(431)),
            ],
        ),
        raw(
            "6585 §5",
            &[(
                "an endless head",
                &format!("GET / HTTP/1.1\r\nX: {}", long(20_000)),
                Refuse(431),
            )],
        ),
        lengths(
            "9110 §15.5.14",
            &[
                ("a long body", "33554433", Refuse(413)),
                ("a very long body", "18446744073709551615", Refuse(413)),
                (
                    "a long body is not waited for",
                    "33554433\r\nExpect: 100-continue",
                    Refuse(413),
                ),
            ],
        ),
        chunks(
            "9110 §15.5.14",
            &[
                ("a long chunk", "2000001\r\n", Refuse(413)),
                ("the longest chunk", "ffffffffffffffff\r\n", Refuse(413)),
            ],
        ),
        chunks(
            "9112 §7.1",
            &[
                (
                    "zeros before many sizes",
                    &format!("{}0\r\n\r\n", "00000001\r\nx\r\n".repeat(5)),
                    Open(&["xxxxx"]),
                ),
                (
                    "the most zeros before sizes",
                    &format!("{}1\r\nx\r\n{}\r\n\r\n", zeros(1023), zeros(1024)),
                    Open(&["x"]),
                ),
                (
                    "too many zeros before a size",
                    &format!("{}1\r\n", zeros(1024)),
                    BAD,
                ),
                ("endless zeros", &zeros(20_000), BAD),
            ],
        ),
        chunks(
            "9112 §7.1.1",
            &[
                ("an endless extension", &format!("5;{}", long(20_000)), BAD),
                (
                    "an endless quoted value",
                    &format!("5;a=\"{}", long(20_000)),
                    BAD,
                ),
                ("endless blanks", &format!("5{}", " ".repeat(20_000)), BAD),
                (
                    "endless extensions",
                    &format!("1;{}\r\nx\r\n", long(500)).repeat(40),
                    BAD,
                ),
            ],
        ),
        chunks(
            "6585 §5",
            &[
                (
                    "the longest trailer",
                    &format!("0\r\nX: {}\r\n\r\n", long(8 * 1024 - 10)),
                    OK,
                ),
                (
                    "an endless trailer",
                    &format!("0\r\nX: {}", long(10_000)),
                    Refuse(431),
                ),
                (
                    "endless trailers",
                    &format!("0\r\n{}", "X: y\r\n".repeat(2_000)),
                    Refuse(431),
                ),
            ],
        ),
    ]
    .concat()
}
