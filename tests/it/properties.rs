//! Properties of the pure code, each a plain function of bytes: whatever comes, nothing panics; how
//! it is cut does not matter; what is taken is what the RFC's grammar says.
//!
//! The oracles are written from the grammar for the reader, not for speed, and share nothing with
//! the code under test. `props` drives these functions by random and by saved inputs, the targets
//! under `tests/fuzz` by libFuzzer.

use fnboot::http::body::{self, Length};
use fnboot::http::chunk::{Decoder, Progress};
use fnboot::http::exchange::{Exchange, Step};
use fnboot::http::head;
use fnboot::http::{Kind, Parsed, Persist, Reject, Version};

pub const HEAD_BYTES_MAX: usize = 16 * 1024;
pub const TARGET_BYTES_MAX: usize = 8 * 1024;
pub const FIELD_COUNT_MAX: usize = 100;

/// Small, so that bodies over the limit are common.
const BODY_BYTES_MAX: usize = 200;

/// Most pieces that a stream is cut into.
const PIECE_COUNT_MAX: usize = 1000;

/// What a connection makes of a stream that comes in `pieces`: its requests, and the refusal that
/// ends it, if one does. Interim replies are left out: they do depend on what has come.
fn run(pieces: &[&[u8]]) -> Vec<String> {
    let (mut exchange, mut buffer, mut seen) = (Exchange::new(), Vec::new(), Vec::new());
    for piece in pieces {
        buffer.extend_from_slice(piece);
        while !buffer.is_empty() {
            match step(&mut exchange, &mut buffer) {
                Ok(Some((request, persist))) => {
                    seen.push(request);
                    if persist == Persist::Close {
                        return seen;
                    }
                }
                Ok(None) => break,
                Err(reject) => {
                    assert!(!reject.reason().is_empty());
                    seen.push(format!("refused: {}", reject.status()));
                    return seen;
                }
            }
        }
    }
    seen
}

/// The next request, if it has come whole.
fn step(
    exchange: &mut Exchange,
    buffer: &mut Vec<u8>,
) -> Result<Option<(String, Persist)>, Reject> {
    loop {
        let mut fields = head::fields();
        let need = match exchange.advance(Kind::Request, buffer, &mut fields, BODY_BYTES_MAX)? {
            Step::Dispatch(message) => {
                assert!(message.len <= buffer.len() && message.body.len() <= BODY_BYTES_MAX);
                let request = format!(
                    "{} {} {:?} {:?} {:?} {:?}",
                    message.head.method,
                    message.head.target,
                    message.head.version,
                    message.head.headers.iter().collect::<Vec<_>>(),
                    message.body,
                    message.persist,
                );
                let (len, persist) = (message.len, message.persist);
                exchange.finish();
                buffer.drain(..len);
                return Ok(Some((request, persist)));
            }
            Step::Decode => match exchange.decode(buffer, BODY_BYTES_MAX)? {
                None => continue,
                Some(need) => need,
            },
            Step::Continue(need) => {
                assert_eq!(need.filled, buffer.len());
                continue;
            }
            Step::Read(need) => {
                assert_eq!(need.filled, buffer.len());
                need
            }
        };
        let most = HEAD_BYTES_MAX + BODY_BYTES_MAX + 64 * 1024;
        assert!(need.filled < need.room && need.room <= most, "{need:?}");
        buffer.truncate(need.filled);
        return Ok(None);
    }
}

/// Cuts `bytes` at `cuts`, each a position modulo the length.
fn pieces<'a>(bytes: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).collect();
    cuts.extend([0, bytes.len()]);
    cuts.sort_unstable();
    cuts.windows(2)
        .map(|pair| &bytes[pair[0]..pair[1]])
        .collect()
}

pub fn nothing_panics(bytes: &[u8]) {
    run(&[bytes]);
    run(&bytes.chunks(1).collect::<Vec<_>>());
    for kind in [Kind::Request, Kind::Response] {
        let mut fields = head::fields();
        if let Ok(Parsed::Done(head)) = head::parse(kind, bytes, &mut fields) {
            // What comes of it was checked there: a refusal is fine.
            let _ = body::framing(&head);
        }
    }
    let mut decoder = Decoder::new();
    let mut at = Progress {
        read: 0,
        decoded: 0,
    };
    let mut place = bytes.to_vec();
    // As above.
    let _ = decoder.decode(&mut place, &mut at, BODY_BYTES_MAX);
    assert!(at.decoded <= at.read && at.read <= place.len());
    let (path, _) = head::split_target(str::from_utf8(bytes).unwrap_or("/"));
    assert!(!path.is_empty());
    for from in 0..bytes.len() {
        let is_whole = bytes[from..].starts_with(b"\r\n\r\n");
        assert!(head::may_end(bytes, from) || !is_whole);
    }
}

/// With an empty line at the end, so that whatever began has a reason to be looked at: that a head
/// is wrong may be noticed late, if it comes in small pieces and does not end.
pub fn cuts_do_not_matter(bytes: &[u8], cuts: &[usize]) {
    let bytes = [bytes, b"\r\n\r\n"].concat();
    let want = run(&[&bytes]);
    assert_eq!(run(&pieces(&bytes, cuts)), want, "cut");
    // In single bytes; what is longer in so many pieces, or it would take long.
    let size = bytes.len().div_ceil(PIECE_COUNT_MAX);
    let small = bytes.chunks(size).collect::<Vec<_>>();
    assert_eq!(run(&small), want, "in pieces of {size}");
}

/// A head as the oracle sees it.
#[derive(Debug, PartialEq)]
struct Seen {
    method: Vec<u8>,
    target: Vec<u8>,
    is_1_1: bool,
    fields: Vec<(Vec<u8>, Vec<u8>)>,
    len: usize,
}

/// RFC 9112 §2 to §5, word by word. `None` while the empty line at the end has not come.
fn read_head(bytes: &[u8]) -> Option<Result<Seen, &'static str>> {
    // A method and a version have 64 bytes beside the target, and CR LF follows.
    let line = bytes.get(..TARGET_BYTES_MAX + 64 + 2);
    if line.is_some_and(|line| !line.contains(&b'\n')) {
        return Some(Err("too long a line"));
    }
    // Empty lines before it are none of it, but must be whole ones.
    let start = bytes
        .iter()
        .position(|&byte| byte != b'\r' && byte != b'\n')?;
    let (before, rest) = bytes.split_at(start);
    let end = rest.windows(4).position(|four| four == b"\r\n\r\n")?;
    if !before.chunks(2).all(|line| line == b"\r\n") {
        return Some(Err("a bare line end"));
    }
    Some(read_lines(&rest[..end], start + end + 4))
}

fn read_lines(text: &[u8], len: usize) -> Result<Seen, &'static str> {
    let mut lines = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.windows(2).position(|pair| pair == b"\r\n") {
        lines.push(&rest[..at]);
        rest = &rest[at + 2..];
    }
    lines.push(rest);
    let words: Vec<&[u8]> = lines[0].split(|&byte| byte == b' ').collect();
    let [method, target, version] = words[..] else {
        return Err("three words");
    };
    let is_1_1 = match version {
        b"HTTP/1.1" => true,
        b"HTTP/1.0" => false,
        _ => return Err("version"),
    };
    if !is_token(method) || method == b"CONNECT" {
        return Err("method");
    }
    if !is_target(method, target) {
        return Err("target");
    }
    let mut fields = Vec::new();
    for line in &lines[1..] {
        let colon = line.iter().position(|&byte| byte == b':').ok_or("colon")?;
        let (name, value) = (&line[..colon], trim(&line[colon + 1..]));
        let is_text = |&byte: &u8| byte == 9 || byte >= 32 && byte != 127;
        if !is_token(name) || !value.iter().all(is_text) {
            return Err("field");
        }
        fields.push((name.to_vec(), value.to_vec()));
    }
    if len > HEAD_BYTES_MAX || target.len() > TARGET_BYTES_MAX || fields.len() > FIELD_COUNT_MAX {
        return Err("too much");
    }
    Ok(Seen {
        method: method.to_vec(),
        target: target.to_vec(),
        is_1_1,
        fields,
        len,
    })
}

/// RFC 9110 §5.6.2.
fn is_token(bytes: &[u8]) -> bool {
    let text = "!#$%&'*+-.^_`|~";
    let is_one = |&byte: &u8| byte.is_ascii_alphanumeric() || text.contains(char::from(byte));
    !bytes.is_empty() && bytes.iter().all(|byte| byte.is_ascii() && is_one(byte))
}

/// RFC 9112 §3.2 without the form for tunnels. Clients send more than a URI may hold; what cannot be
/// mistaken is let through: text without blanks and controls.
fn is_target(method: &[u8], target: &[u8]) -> bool {
    let Ok(text) = str::from_utf8(target) else {
        return false;
    };
    if text
        .bytes()
        .any(|byte| byte <= 32 || byte == 127 || byte == b'#')
    {
        return false;
    }
    let lower = text.to_ascii_lowercase();
    let after_scheme = lower
        .strip_prefix("http://")
        .or(lower.strip_prefix("https://"));
    let has_host =
        after_scheme.is_some_and(|rest| !rest.is_empty() && !rest.starts_with(['/', '?']));
    text.starts_with('/') || has_host || text == "*" && method == b"OPTIONS"
}

fn trim(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = text {
        text = rest;
    }
    text
}

pub fn heads_are_those_of_the_grammar(bytes: &[u8]) {
    let mut place = head::fields();
    let got = head::parse(Kind::Request, bytes, &mut place);
    match (read_head(bytes), got) {
        (Some(Ok(want)), Ok(Parsed::Done(head))) => {
            let fields = head.headers.iter();
            let got = Seen {
                method: head.method.into(),
                target: head.target.into(),
                is_1_1: head.version == Version::Http11,
                fields: fields
                    .map(|(name, value)| (name.into(), value.into()))
                    .collect(),
                len: head.len,
            };
            assert_eq!(got, want);
            assert_eq!(body::framing(&head).ok().map(flat), framing(&want));
        }
        // A part of what will be refused may be refused already.
        (Some(Err(_)), Err(_)) | (None, Err(_) | Ok(Parsed::More)) => {}
        (want, got) => panic!("{want:?} {got:?} of {:?}", String::from_utf8_lossy(bytes)),
    }
}

/// Of what is taken no part is refused, and none is taken for the whole.
pub fn parts_are_waited_for(bytes: &[u8]) {
    if let Some(Ok(head)) = read_head(bytes) {
        for cut in 0..head.len {
            let mut place = head::fields();
            let got = head::parse(Kind::Request, &bytes[..cut], &mut place);
            assert!(matches!(got, Ok(Parsed::More)), "cut at {cut}: {got:?}");
        }
    }
}

/// Length (none for chunked), whether the connection is kept, whether an interim reply is due.
type Flat = (Option<u64>, bool, bool);

fn flat(framing: body::Framing) -> Flat {
    let length = match framing.length {
        Length::Sized(length) => Some(length),
        Length::Chunked => None,
    };
    (
        length,
        framing.persist == Persist::Keep,
        framing.expects_continue,
    )
}

/// RFC 9112 §3.2, §6, §9.3, RFC 9110 §10.1.1, strictly; `None` is a refusal.
fn framing(head: &Seen) -> Option<Flat> {
    let list = |name: &str| -> Option<Vec<String>> {
        let of_name = head
            .fields
            .iter()
            .filter(|(other, _)| other.eq_ignore_ascii_case(name.as_bytes()));
        let values: Vec<String> = of_name
            .map(|(_, value)| value.iter().copied().map(char::from).collect())
            .collect();
        let items = values.iter().flat_map(|value| value.split(','));
        let items = items.map(|item| item.trim_matches([' ', '\t']).to_ascii_lowercase());
        (!values.is_empty()).then(|| items.collect())
    };
    let hosts: Vec<_> = head
        .fields
        .iter()
        .filter(|(name, _)| name.eq_ignore_ascii_case(b"host"))
        .collect();
    // A comma could stand in a name (RFC 3986 §3.2.2), but rather is what joined two fields.
    let is_host = |value: &[u8]| {
        value
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+;=:[]".contains(byte))
    };
    if hosts.len() > 1
        || hosts.is_empty() && head.is_1_1
        || !hosts.iter().all(|(_, value)| is_host(value))
    {
        return None;
    }
    let expects = match list("expect").as_deref() {
        None => false,
        Some([expectation]) if expectation == "100-continue" => true,
        Some(more) if more.iter().all(|one| one == "100-continue") => {
            // Twice in two fields says the same; in one it is a list, which nobody sends.
            let is_each = |(name, value): &(Vec<u8>, Vec<u8>)| {
                !name.eq_ignore_ascii_case(b"expect") || value.eq_ignore_ascii_case(b"100-continue")
            };
            if !head.fields.iter().all(is_each) {
                return None;
            }
            true
        }
        Some(_) => return None,
    };
    let coding = list("transfer-encoding");
    let length = match list("content-length") {
        None => None,
        Some(lengths) => {
            let is_number =
                |text: &String| !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit());
            if !lengths.iter().all(is_number) {
                return None;
            }
            let numbers: Option<Vec<u64>> = lengths.iter().map(|text| text.parse().ok()).collect();
            let numbers = numbers?;
            if numbers.iter().any(|&number| number != numbers[0]) {
                return None;
            }
            Some(numbers[0])
        }
    };
    let length = match (length, coding) {
        (length, None) => Some(length.unwrap_or(0)),
        (None, Some(coding)) if coding == ["chunked"] && head.is_1_1 => None,
        _ => return None,
    };
    let options = list("connection").unwrap_or_default();
    let has = |word: &str| options.iter().any(|option| option == word);
    let keeps = !has("close") && (head.is_1_1 || has("keep-alive"));
    Some((length, keeps, expects && head.is_1_1))
}

/// What is encoded by the grammar is decoded to itself, cut anywhere, and what follows is untouched.
pub fn chunks_decode_to_what_was_encoded(body: &[u8], sizes: &[usize], more: &str, cuts: &[usize]) {
    let mut wire = Vec::new();
    for piece in pieces(body, sizes)
        .into_iter()
        .filter(|piece| !piece.is_empty())
    {
        wire.extend_from_slice(format!("{:X}{more}\r\n", piece.len()).as_bytes());
        wire.extend_from_slice(piece);
        wire.extend_from_slice(b"\r\n");
    }
    wire.extend_from_slice(format!("000{more}\r\nX: y\r\n\r\n").as_bytes());
    let whole_len = wire.len();
    wire.extend_from_slice(b"GET / HTTP/1.1\r\n");
    let (mut decoder, mut taken) = (Decoder::new(), 0);
    let mut buffer: Vec<u8> = Vec::new();
    for piece in pieces(&wire, cuts) {
        let mut at = Progress {
            read: buffer.len(),
            decoded: buffer.len(),
        };
        let before = at.read;
        buffer.extend_from_slice(piece);
        let parsed = decoder
            .decode(&mut buffer, &mut at, body.len())
            .expect("valid chunks");
        taken += at.read - before;
        buffer.truncate(at.decoded);
        if parsed == Parsed::Done(()) {
            assert_eq!(taken, whole_len, "up to its end and not further");
            assert_eq!(buffer, body);
            return;
        }
    }
    panic!("the end was not seen");
}

/// The property that a fuzzing target is about, for whatever the fuzzer made up.
pub fn fuzz(target: &str, bytes: &[u8]) {
    // The first bytes say where the rest is cut.
    let (first, rest) = bytes.split_at(bytes.len().min(4));
    let cuts: Vec<usize> = first.iter().map(|&byte| usize::from(byte) * 3).collect();
    match target {
        "head" => {
            heads_are_those_of_the_grammar(bytes);
            parts_are_waited_for(bytes);
        }
        "exchange" => {
            nothing_panics(rest);
            cuts_do_not_matter(rest, &cuts);
        }
        "chunk" => {
            let sizes: Vec<usize> = rest.iter().step_by(16).map(|&b| usize::from(b)).collect();
            chunks_decode_to_what_was_encoded(rest, &sizes, ";a=b", &cuts);
        }
        other => panic!("no target {other}"),
    }
}
