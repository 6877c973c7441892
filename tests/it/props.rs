//! The properties of [`properties`](crate::properties), on inputs made by chance and on those that
//! the fuzzer saved.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use fnboot::http::Kind;

use crate::properties::{
    FIELD_COUNT_MAX, HEAD_BYTES_MAX, TARGET_BYTES_MAX, chunks_are_those_of_the_grammar,
    chunks_decode_to_what_was_encoded, cuts_do_not_matter, heads_are_those_of_the_grammar,
    json_is_that_of_the_oracle, nothing_panics, parts_are_waited_for,
};

/// A part of a line that means something, or nearly does.
fn word() -> impl Strategy<Value = Vec<u8>> {
    let words: Vec<&'static [u8]> = vec![
        b"GET",
        b"POST",
        b"OPTIONS",
        b"CONNECT",
        b"/",
        b"/invoke",
        b"*",
        b"http://h/a?b",
        b"http://",
        b"HTTP/1.1",
        b"HTTP/1.0",
        b"HTTP/1.2",
        b"HTTP/9.9",
        b"HTTP/1",
        b" ",
        b"  ",
        b"\t",
        b"\r\n",
        b"\r\n\r\n",
        b"\n",
        b"\r",
        b"\0",
        b":",
        b": ",
        b",",
        b"Host",
        b"Host: h\r\n",
        b"h",
        b"X: y\r\n",
        b"Content-Length: ",
        b"Content-Length: 5\r\n",
        b"Content-Length: 300\r\n",
        b"5",
        b"0",
        b"+5",
        b"18446744073709551616",
        b"Transfer-Encoding: chunked\r\n",
        b"transfer-encoding: ",
        b"chunked",
        b"gzip",
        b"identity",
        b"Connection: ",
        b"close",
        b"keep-alive",
        b"Expect: ",
        b"100-continue",
        b"5\r\nhello\r\n",
        b"0\r\n\r\n",
        b"5;a=b\r\n",
        b"hello",
        b"\r\n0\r\n",
        b"ffffffffffffffff\r\n",
        b"c9\r\n",
        b"#",
        b"\x7f",
        b"\xff",
        "\u{e9}".as_bytes(),
    ];
    select(words).prop_map(<[u8]>::to_vec)
}

/// A request that is fine, or nearly so.
fn request() -> impl Strategy<Value = Vec<u8>> {
    let line = select(vec![
        "POST /invoke HTTP/1.1",
        "GET / HTTP/1.1",
        "GET / HTTP/1.0",
        "OPTIONS * HTTP/1.1",
        "GET http://h:1/a HTTP/1.1",
        "GET HTTP://[::1]?b HTTP/1.0",
        "GET http://u@h/ HTTP/1.1",
        "GET https://h:x HTTP/1.1",
        "PUT /a?b#c HTTP/1.1",
        "GET / HTTP/9.9",
        "GET /",
        "CONNECT h HTTP/1.1",
    ]);
    let field = select(vec![
        "Host: h",
        "host:\th ",
        "Host: a b",
        "Host: [::1]:80",
        "Host: a%4a:1",
        "Host: a:b",
        "Host: [1::2::3]",
        "Host:",
        "X: y",
        "X:",
        "X : y",
        " X: y",
        "X: \u{e9}",
        "X: a\x01b",
        "Content-Length: 5",
        "content-length: 5, 5",
        "Content-Length: 6",
        "Content-Length: +5",
        "Content-Length: 201",
        "Content-Length: 05",
        "Transfer-Encoding: chunked",
        "Transfer-Encoding: gzip",
        "transfer-encoding: CHUNKED",
        "Transfer-Encoding: chunked, chunked",
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: chunked, gzip",
        "Transfer-Encoding: ,chunked",
        "Connection: close",
        "Connection: keep-alive, X",
        "Expect: 100-continue",
        "Expect: tea",
        "Expect: , 100-continue,",
        "Expect:",
        "Connection:\tClose ,x",
    ]);
    let body = select(vec![
        "",
        "hello",
        "hell",
        "5\r\nhello\r\n0\r\n\r\n",
        "1\r\nh\r\n4;a\r\nello\r\n0\r\nX: y\r\n\r\n",
        "0\r\n\r\n",
        "5\r\nhello0\r\n\r\n",
        "c9\r\n",
        "+5\r\nhello\r\n0\r\n\r\n",
        "5\nhello\n0\n\n",
    ]);
    (line, prop::bool::weighted(0.9), vec(field, 0..4), body).prop_map(
        |(line, host, fields, body)| {
            let host = if host { "Host: h\r\n" } else { "" };
            let fields: String = fields.iter().map(|field| format!("{field}\r\n")).collect();
            format!("{line}\r\n{host}{fields}\r\n{body}").into_bytes()
        },
    )
}

/// A response that is fine, or nearly so.
fn response() -> impl Strategy<Value = Vec<u8>> {
    let line = select(vec![
        "HTTP/1.1 200 OK",
        "HTTP/1.1 202 ",
        "HTTP/1.0 200 OK",
        "HTTP/1.1 100 Continue",
        "HTTP/1.1 204 No Content",
        "HTTP/1.1 304",
        "HTTP/1.1 413 Content Too Large",
        "HTTP/1.1 099 x",
        "HTTP/1.1 2000",
        "HTTP/1.1  200",
        "HTTP/2.0 200 OK",
        "GET / HTTP/1.1",
    ]);
    let field = select(vec![
        "X: y",
        "X : y",
        "Host: a b",
        "Expect: tea",
        "Content-Length: 0",
        "Content-Length: 5",
        "Content-Length: 5, 5",
        "Content-Length: 201",
        "Content-Length: x",
        "Transfer-Encoding: chunked",
        "Transfer-Encoding: gzip",
        "Transfer-Encoding: gzip, chunked",
        "Connection: close",
        "Connection: keep-alive",
    ]);
    let body = select(vec![
        "",
        "hello",
        "5\r\nhello\r\n0\r\n\r\n",
        "5;a=\"b\"\r\nhello\r\n0\r\nX: y\r\n\r\n",
        "5\nhello",
    ]);
    (line, vec(field, 0..3), body).prop_map(|(line, fields, body)| {
        let fields: String = fields.iter().map(|field| format!("{field}\r\n")).collect();
        format!("{line}\r\n{fields}\r\n{body}").into_bytes()
    })
}

fn responses() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => vec(response(), 1..4).prop_map(|responses| responses.concat()),
        4 => vec(damaged(response()), 1..3).prop_map(|responses| responses.concat()),
        1 => vec(word(), 0..40).prop_map(|words| words.concat()),
    ]
}

/// A body in chunks that is fine, or nearly so.
fn chunks() -> impl Strategy<Value = Vec<u8>> {
    let part = select(vec![
        "5",
        "05",
        "0",
        "00000000000000000005",
        "c9",
        "g",
        ";",
        "; ",
        " ;",
        "=",
        "= ",
        " =",
        "a",
        "a=b",
        ";a",
        ";a=\"",
        "\"",
        "\\",
        "\\\"",
        "[",
        " ",
        "\t",
        "\r",
        "\n",
        "\u{e9}",
    ]);
    let line = vec(part, 0..6).prop_map(|parts| parts.concat());
    let size = select(vec!["5", "005", "3", "0"]);
    let line = prop_oneof![
        1 => line.clone(),
        6 => (size, line).prop_map(|(size, line)| format!("{size}{line}")),
        4 => select(vec!["5", "5;a=\"b;\\\"c\" ;d = e", "5\t;a"]).prop_map(String::from),
    ];
    let chunk = line.prop_map(|line| format!("{line}\r\nhello\r\n").into_bytes());
    let end = select(vec![
        "0\r\n\r\n",
        "0;a\r\nX: y\r\n\r\n",
        "000\r\n :\r\n\r\n",
        "0\r\n",
    ]);
    (vec(chunk, 0..4), end)
        .prop_map(|(chunks, end)| [&chunks.concat()[..], end.as_bytes()].concat())
}

/// JSON that is fine, or nearly so.
fn json() -> impl Strategy<Value = Vec<u8>> {
    let words = vec![
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        " ",
        "\n",
        "\"",
        "\"a\"",
        "\"\\n\"",
        "\"\\u00e9\"",
        "\"\\ud83d\\ude00\"",
        "\"\\ud83d\"",
        "\\",
        "\\u",
        "0",
        "-1",
        "1.5e3",
        "01",
        "1.",
        "1e999",
        "true",
        "false",
        "null",
        "nul",
        "\u{e9}",
        "\t",
        "\"b\":",
        "[]",
        "{}",
        "\"\\/\"",
        "\u{7f}",
        "\u{1}",
    ];
    let text = vec(select(words), 0..30).prop_map(|words| words.concat().into_bytes());
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(serde_json::Value::from),
        any::<i64>().prop_map(serde_json::Value::from),
        any::<f32>().prop_map(serde_json::Value::from),
        any::<String>().prop_map(serde_json::Value::from),
    ];
    let value = leaf.prop_recursive(6, 40, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(serde_json::Value::from),
            vec((any::<String>(), inner), 0..6)
                .prop_map(|members| members.into_iter().collect::<serde_json::Value>()),
        ]
    });
    let compact = value
        .clone()
        .prop_map(|value| value.to_string().into_bytes());
    let pretty = value.prop_map(|value| serde_json::to_vec_pretty(&value).expect("JSON"));
    let deep = (50..80_usize, select(vec!["[", "{\"a\":", "[1,"])).prop_map(|(depth, open)| {
        let close = if open == "{\"a\":" { "}" } else { "]" };
        format!("{}0{}", open.repeat(depth), close.repeat(depth)).into_bytes()
    });
    prop_oneof![4 => text, 2 => compact.clone(), 1 => pretty, 4 => damaged(compact), 1 => deep]
}

/// Bytes with a few of them changed, added or taken away.
fn damaged(bytes: impl Strategy<Value = Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![select(b"\r\n \t:,;\0\x7f\x80a0".to_vec()), any::<u8>()];
    let damage = vec((any::<Index>(), byte, 0..3), 0..3);
    (bytes, damage).prop_map(|(mut bytes, damage)| {
        for (at, byte, kind) in damage {
            let at = at.index(bytes.len() + 1);
            match kind {
                0 => bytes.insert(at, byte),
                _ if at == bytes.len() => bytes.push(byte),
                1 => bytes[at] = byte,
                _ => drop(bytes.remove(at)),
            }
        }
        bytes
    })
}

fn stream() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        2 => vec(any::<u8>(), 0..300),
        4 => vec(word(), 0..40).prop_map(|words| words.concat()),
        8 => vec(damaged(request()), 1..4).prop_map(|requests| requests.concat()),
        4 => vec(request(), 1..4).prop_map(|requests| requests.concat()),
    ]
}

/// Requests around the limits: long targets, long fields, many fields, something wrong far behind.
fn large() -> impl Strategy<Value = Vec<u8>> {
    let around = |limit: usize| limit - 100..limit + 300;
    let none = || Just(0_usize);
    let sizes = prop_oneof![
        (around(TARGET_BYTES_MAX), none(), none(), 0..100_usize),
        (0..100_usize, around(HEAD_BYTES_MAX), none(), none()),
        (
            around(TARGET_BYTES_MAX),
            around(HEAD_BYTES_MAX - TARGET_BYTES_MAX),
            none(),
            none()
        ),
        (
            none(),
            none(),
            FIELD_COUNT_MAX - 3..FIELD_COUNT_MAX + 3,
            none()
        ),
    ];
    let end = select(vec!["", "\r\n", "\r\n\r\n", "\x01", " HTTP/1.1\r\n\r\n"]);
    (sizes, end).prop_map(|((target, field, count, method), end)| {
        let long = |len: usize| "x".repeat(len);
        let fields: String = (0..count).map(|n| format!("X-{n}: y\r\n")).collect();
        let (method, target, field) = (long(method), long(target), long(field));
        format!("G{method} /{target} HTTP/1.1\r\nHost: h\r\n{fields}X: {field}{end}").into_bytes()
    })
}

/// Where a stream is cut.
fn cuts() -> impl Strategy<Value = Vec<usize>> {
    vec(any::<usize>(), 0..6)
}

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        failure_persistence: None,
        max_shrink_iters: 500,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config(5_000))]

    #[test]
    fn whatever_comes_nothing_panics(bytes in stream()) {
        nothing_panics(&bytes);
    }

    #[test]
    fn however_it_comes_it_means_the_same(bytes in stream(), cuts in cuts()) {
        cuts_do_not_matter(Kind::Request, &bytes, &cuts);
    }

    #[test]
    fn however_a_response_comes_it_means_the_same(bytes in responses(), cuts in cuts()) {
        cuts_do_not_matter(Kind::Response, &bytes, &cuts);
    }

    #[test]
    fn a_head_is_what_the_grammar_says(bytes in stream()) {
        heads_are_those_of_the_grammar(Kind::Request, &bytes);
        parts_are_waited_for(Kind::Request, &bytes);
    }

    #[test]
    fn a_response_is_what_the_grammar_says(bytes in responses()) {
        heads_are_those_of_the_grammar(Kind::Response, &bytes);
        parts_are_waited_for(Kind::Response, &bytes);
    }

    #[test]
    fn chunks_are_what_the_grammar_says(bytes in damaged(chunks())) {
        chunks_are_those_of_the_grammar(&bytes);
    }

    #[test]
    fn json_is_what_the_oracle_says(bytes in json()) {
        json_is_that_of_the_oracle(&bytes);
    }

    #[test]
    fn chunks_come_back(
        body in vec(any::<u8>(), 0..500),
        sizes in vec(any::<usize>(), 0..10),
        more in select(vec!["", ";a", " ;a=b", ";a=\"b;c\"", "\t; a\t= \"\\\"\""]),
        cuts in cuts(),
    ) {
        chunks_decode_to_what_was_encoded(&body, &sizes, more, &cuts);
    }
}

proptest! {
    #![proptest_config(config(300))]

    #[test]
    fn limits_are_those_of_the_grammar(bytes in large()) {
        heads_are_those_of_the_grammar(Kind::Request, &bytes);
    }

    #[test]
    fn limits_do_not_depend_on_the_cut(bytes in large(), cuts in cuts()) {
        cuts_do_not_matter(Kind::Request, &bytes, &cuts);
    }
}

/// What the fuzzer found worth keeping, through the same functions.
#[test]
fn the_saved_corpus() {
    let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fuzz/corpus");
    let mut count = 0;
    for target in ["chunk", "exchange", "head", "json", "response"] {
        let folder = std::fs::read_dir(format!("{corpus}/{target}")).expect("a saved corpus");
        for entry in folder {
            let path = entry.expect("an entry").path();
            let _case = crate::harness::Case(path.clone());
            crate::properties::fuzz(target, &std::fs::read(path).expect("an input"));
            count += 1;
        }
    }
    assert!(count >= 30, "only {count} inputs");
}
