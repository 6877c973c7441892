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
use fnboot::{Writer, json};

pub const HEAD_BYTES_MAX: usize = 16 * 1024;
pub const TARGET_BYTES_MAX: usize = 8 * 1024;
pub const FIELD_COUNT_MAX: usize = 100;

/// Small, so that bodies over the limit are common.
const BODY_BYTES_MAX: usize = 200;

/// Most pieces that a stream is cut into.
const PIECE_COUNT_MAX: usize = 1000;

/// What a connection makes of a stream that comes in `pieces`: its messages, and the refusal that
/// ends it, if one does. Interim replies are left out: they do depend on what has come.
fn run(kind: Kind, pieces: &[&[u8]]) -> Vec<String> {
    let (mut exchange, mut buffer, mut seen) = (Exchange::new(), Vec::new(), Vec::new());
    for piece in pieces {
        buffer.extend_from_slice(piece);
        while !buffer.is_empty() {
            match step(kind, &mut exchange, &mut buffer) {
                Ok(Some((message, persist))) => {
                    seen.push(message);
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

/// The next message, if it has come whole.
fn step(
    kind: Kind,
    exchange: &mut Exchange,
    buffer: &mut Vec<u8>,
) -> Result<Option<(String, Persist)>, Reject> {
    loop {
        let mut fields = head::fields();
        let need = match exchange.advance(kind, buffer, &mut fields, BODY_BYTES_MAX)? {
            Step::Dispatch(message) => {
                assert!(message.len <= buffer.len() && message.body.len() <= BODY_BYTES_MAX);
                let text = format!(
                    "{} {} {} {:?} {:?} {:?} {:?}",
                    message.head.method,
                    message.head.target,
                    message.head.status,
                    message.head.version,
                    message.head.headers.iter().collect::<Vec<_>>(),
                    message.body,
                    message.persist,
                );
                let (len, persist) = (message.len, message.persist);
                exchange.finish();
                buffer.drain(..len);
                return Ok(Some((text, persist)));
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
    for kind in [Kind::Request, Kind::Response] {
        run(kind, &[bytes]);
        run(kind, &bytes.chunks(1).collect::<Vec<_>>());
        let mut fields = head::fields();
        if let Ok(Parsed::Done(head)) = head::parse(kind, bytes, &mut fields) {
            // What comes of it was checked there: a refusal is fine.
            let _ = body::framing(kind, &head);
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
pub fn cuts_do_not_matter(kind: Kind, bytes: &[u8], cuts: &[usize]) {
    let bytes = [bytes, b"\r\n\r\n"].concat();
    let want = run(kind, &[&bytes]);
    assert_eq!(run(kind, &pieces(&bytes, cuts)), want, "cut");
    // In single bytes; what is longer in so many pieces, or it would take long.
    let size = bytes.len().div_ceil(PIECE_COUNT_MAX);
    let small = bytes.chunks(size).collect::<Vec<_>>();
    assert_eq!(run(kind, &small), want, "in pieces of {size}");
}

/// A head as the oracle sees it.
#[derive(Debug, PartialEq)]
struct Seen {
    method: Vec<u8>,
    target: Vec<u8>,
    /// Zero in a request.
    status: u16,
    is_1_1: bool,
    fields: Vec<(Vec<u8>, Vec<u8>)>,
    len: usize,
}

/// RFC 9112 §2 to §5, word by word. `None` while the empty line at the end has not come.
fn read_head(kind: Kind, bytes: &[u8]) -> Option<Result<Seen, &'static str>> {
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
    Some(read_lines(kind, &rest[..end], start + end + 4))
}

fn read_lines(kind: Kind, text: &[u8], len: usize) -> Result<Seen, &'static str> {
    let mut lines = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.windows(2).position(|pair| pair == b"\r\n") {
        lines.push(&rest[..at]);
        rest = &rest[at + 2..];
    }
    lines.push(rest);
    let mut head = match kind {
        Kind::Request => read_request_line(lines[0])?,
        Kind::Response => read_status_line(lines[0])?,
    };
    for line in &lines[1..] {
        let colon = line.iter().position(|&byte| byte == b':').ok_or("colon")?;
        let (name, value) = (&line[..colon], trim(&line[colon + 1..]));
        if !is_token(name) || !value.iter().copied().all(is_text) {
            return Err("field");
        }
        head.fields.push((name.to_vec(), value.to_vec()));
    }
    let Seen { target, fields, .. } = &head;
    if len > HEAD_BYTES_MAX || target.len() > TARGET_BYTES_MAX || fields.len() > FIELD_COUNT_MAX {
        return Err("too much");
    }
    head.len = len;
    tell_the_host(&mut head);
    Ok(head)
}

fn read_request_line(line: &[u8]) -> Result<Seen, &'static str> {
    let words: Vec<&[u8]> = line.split(|&byte| byte == b' ').collect();
    let [method, target, version] = words[..] else {
        return Err("three words");
    };
    if !is_token(method) || method == b"CONNECT" {
        return Err("method");
    }
    if !is_target(method, target) {
        return Err("target");
    }
    Ok(Seen {
        method: method.to_vec(),
        target: target.to_vec(),
        status: 0,
        is_1_1: is_1_1(version)?,
        fields: Vec::new(),
        len: 0,
    })
}

fn read_status_line(line: &[u8]) -> Result<Seen, &'static str> {
    let (version, rest) = line.split_at_checked(8).ok_or("version")?;
    let status = match rest {
        [b' ', a @ b'1'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9'] => [a, b, c],
        [
            b' ',
            a @ b'1'..=b'9',
            b @ b'0'..=b'9',
            c @ b'0'..=b'9',
            b' ',
            reason @ ..,
        ] if reason.iter().copied().all(is_text) => [a, b, c],
        _ => return Err("status"),
    };
    let digits = status.map(|&digit| u16::from(digit - b'0'));
    Ok(Seen {
        method: Vec::new(),
        target: Vec::new(),
        status: digits.iter().fold(0, |status, digit| 10 * status + digit),
        is_1_1: is_1_1(version)?,
        fields: Vec::new(),
        len: 0,
    })
}

fn is_1_1(version: &[u8]) -> Result<bool, &'static str> {
    match version {
        b"HTTP/1.1" => Ok(true),
        b"HTTP/1.0" => Ok(false),
        _ => Err("version"),
    }
}

/// RFC 9112 §3.2.2: a valid `Host` gives way to the host of a target in absolute form, and where a
/// client of 1.0 sent none it is added.
fn tell_the_host(head: &mut Seen) {
    let Some(authority) = authority(&head.target) else {
        return;
    };
    let mut is_there = false;
    for (name, value) in &mut head.fields {
        if name.eq_ignore_ascii_case(b"host") {
            is_there = true;
            if value.is_empty() || is_authority(value) {
                authority.clone_into(value);
            }
        }
    }
    if !is_there && !head.is_1_1 && head.fields.len() < FIELD_COUNT_MAX {
        head.fields.push((b"Host".to_vec(), authority));
    }
}

/// The authority of a target in absolute form.
fn authority(target: &[u8]) -> Option<Vec<u8>> {
    let text: String = target.iter().copied().map(char::from).collect();
    let (scheme, rest) = text.split_once("://")?;
    let is_http = ["http", "https"]
        .iter()
        .any(|http| scheme.eq_ignore_ascii_case(http));
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    is_http.then(|| rest[..end].chars().map(|c| c as u8).collect())
}

/// RFC 3986 §3.2.2 and §3.2.3, with a name that is not empty and has no comma.
fn is_authority(text: &[u8]) -> bool {
    let text: String = text.iter().copied().map(char::from).collect();
    let (host, port) = match text.rfind(':').filter(|&at| !text[at..].contains(']')) {
        Some(at) => (&text[..at], &text[at + 1..]),
        None => (&text[..], ""),
    };
    if !port.chars().all(|c| c.is_ascii_digit()) {
        return false;
    }
    if let Some(address) = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
    {
        return address.parse::<std::net::Ipv6Addr>().is_ok();
    }
    let mut parts = host.split('%');
    let is_plain = |text: &str| {
        text.chars()
            .all(|c| c.is_ascii_alphanumeric() || "-._~!$&'()*+;=".contains(c))
    };
    let is_escaped = |part: &str| {
        let digits = part.chars().take(2);
        digits.filter(char::is_ascii_hexdigit).count() == 2 && is_plain(&part[2..])
    };
    !host.is_empty() && parts.next().is_some_and(is_plain) && parts.all(is_escaped)
}

/// RFC 9110 §5.5.
fn is_text(byte: u8) -> bool {
    byte == 9 || byte >= 32 && byte != 127
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
    let has_host = || authority(target).is_some_and(|authority| is_authority(&authority));
    text.starts_with('/') || text == "*" && method == b"OPTIONS" || has_host()
}

fn trim(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = text {
        text = rest;
    }
    text
}

pub fn heads_are_those_of_the_grammar(kind: Kind, bytes: &[u8]) {
    let mut place = head::fields();
    let got = head::parse(kind, bytes, &mut place);
    match (read_head(kind, bytes), got) {
        (Some(Ok(want)), Ok(Parsed::Done(head))) => {
            let fields = head.headers.iter();
            let got = Seen {
                method: head.method.into(),
                target: head.target.into(),
                status: head.status,
                is_1_1: head.version == Version::Http11,
                fields: fields
                    .map(|(name, value)| (name.into(), value.into()))
                    .collect(),
                len: head.len,
            };
            assert_eq!(got, want);
            let framed = match kind {
                Kind::Request => framing(&want),
                Kind::Response => response_framing(&want),
            };
            assert_eq!(body::framing(kind, &head).ok().map(flat), framed);
        }
        // A part of what will be refused may be refused already.
        (Some(Err(_)), Err(_)) | (None, Err(_) | Ok(Parsed::More)) => {}
        (want, got) => panic!("{want:?} {got:?} of {:?}", String::from_utf8_lossy(bytes)),
    }
}

/// Of what is taken no part is refused, and none is taken for the whole.
pub fn parts_are_waited_for(kind: Kind, bytes: &[u8]) {
    if let Some(Ok(head)) = read_head(kind, bytes) {
        for cut in 0..head.len {
            let mut place = head::fields();
            let got = head::parse(kind, &bytes[..cut], &mut place);
            assert!(matches!(got, Ok(Parsed::More)), "cut at {cut}: {got:?}");
        }
    }
}

/// Length, whether the connection is kept, whether an interim reply is due.
type Flat = (Length, bool, bool);

fn flat(framing: body::Framing) -> Flat {
    (
        framing.length,
        framing.persist == Persist::Keep,
        framing.expects_continue,
    )
}

/// The members of all fields of that name, in lower case; none where there is no such field.
fn list(head: &Seen, name: &str) -> Option<Vec<String>> {
    let of_name = |(other, _): &&(Vec<u8>, Vec<u8>)| other.eq_ignore_ascii_case(name.as_bytes());
    let values: Vec<String> = head
        .fields
        .iter()
        .filter(of_name)
        .map(|(_, value)| value.iter().copied().map(char::from).collect())
        .collect();
    let items = values.iter().flat_map(|value| value.split(','));
    let items = items.map(|item| item.trim_matches([' ', '\t']).to_ascii_lowercase());
    (!values.is_empty()).then(|| items.collect())
}

/// RFC 9112 §6.3: the length that the fields name, `Err` where they do not agree.
fn content_length(head: &Seen) -> Result<Option<u64>, ()> {
    let Some(lengths) = list(head, "content-length") else {
        return Ok(None);
    };
    let is_number = |text: &String| !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit());
    if !lengths.iter().all(is_number) {
        return Err(());
    }
    let numbers: Result<Vec<u64>, _> = lengths.iter().map(|text| text.parse()).collect();
    let numbers = numbers.map_err(drop)?;
    let eq_ignore_case = numbers.iter().all(|&number| number == numbers[0]);
    eq_ignore_case.then_some(Some(numbers[0])).ok_or(())
}

/// RFC 9112 §9.3.
fn keeps(head: &Seen) -> bool {
    let options = list(head, "connection").unwrap_or_default();
    let has = |word: &str| options.iter().any(|option| option == word);
    !has("close") && (head.is_1_1 || has("keep-alive"))
}

/// RFC 9112 §3.2, §6, §9.3, RFC 9110 §10.1.1, strictly; `None` is a refusal.
fn framing(head: &Seen) -> Option<Flat> {
    let hosts = head
        .fields
        .iter()
        .filter(|(name, _)| name.eq_ignore_ascii_case(b"host"));
    let hosts: Vec<&Vec<u8>> = hosts.map(|(_, value)| value).collect();
    let is_host = |value: &&Vec<u8>| value.is_empty() || is_authority(value);
    if hosts.len() > 1 || hosts.is_empty() && head.is_1_1 || !hosts.iter().all(is_host) {
        return None;
    }
    let mut expected = list(head, "expect").unwrap_or_default();
    expected.retain(|expectation| !expectation.is_empty());
    let is_known = |expectation: &String| expectation == "100-continue";
    if head.is_1_1 && !expected.iter().all(is_known) {
        return None;
    }
    let coding = list(head, "transfer-encoding");
    let length = match (content_length(head).ok()?, coding) {
        (length, None) => Length::Sized(length.unwrap_or(0)),
        (None, Some(coding)) if coding == ["chunked"] && head.is_1_1 => Length::Chunked,
        _ => return None,
    };
    Some((length, keeps(head), !expected.is_empty() && head.is_1_1))
}

/// RFC 9112 §6.3 and §9.3 for a response to a request that is not `HEAD`; `None` is a refusal.
fn response_framing(head: &Seen) -> Option<Flat> {
    // RFC 9110 §15.2: one that is not final has no say in whether the connection is kept.
    let keeps = head.status < 200 || keeps(head);
    if head.status < 200 || [204, 304].contains(&head.status) {
        return Some((Length::Sized(0), keeps, false));
    }
    let coding = list(head, "transfer-encoding");
    match (content_length(head).ok()?, coding) {
        (Some(length), None) => Some((Length::Sized(length), keeps, false)),
        (None, Some(coding)) if coding == ["chunked"] && head.is_1_1 => {
            Some((Length::Chunked, keeps, false))
        }
        // Nothing but the end of the connection tells that it is whole.
        (None, None) => Some((Length::ToEnd, false, false)),
        _ => None,
    }
}

/// A whole body in chunks, and how many bytes it takes; `None` while its end has not come.
type Chunked = Option<Result<(Vec<u8>, usize), &'static str>>;

/// RFC 9112 §7.1, line by line.
fn read_chunks(bytes: &[u8]) -> Chunked {
    let (mut body, mut at, mut extension_bytes) = (Vec::new(), 0, 0);
    loop {
        let line = line_at(bytes, at)?;
        let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit());
        let digits = digits.count();
        let (size, extension) = line.split_at(digits);
        let text = str::from_utf8(size)
            .expect("digits")
            .trim_start_matches('0');
        let size = match text {
            "" if digits > 0 => Ok(0),
            text => u64::from_str_radix(text, 16),
        };
        let Ok(size) = size else {
            return Some(Err("size"));
        };
        if !is_extension(extension) {
            return Some(Err("extension"));
        }
        // The CR at its end counts, too.
        extension_bytes += extension.len() + usize::from(!extension.is_empty());
        if extension_bytes > EXTENSION_BYTES_MAX || digits > SIZE_DIGIT_COUNT_MAX {
            return Some(Err("too much before a chunk"));
        }
        at += line.len() + 2;
        if size == 0 {
            break;
        }
        if body.len() as u64 + size > BODY_BYTES_MAX as u64 {
            return Some(Err("too long a body"));
        }
        let data = bytes.get(at..at + size as usize)?;
        body.extend_from_slice(data);
        at += data.len();
        match bytes.get(at..)? {
            [b'\r', b'\n', ..] => at += 2,
            [b'\r'] | [] => return None,
            _ => return Some(Err("the end of a chunk")),
        }
    }
    let trailers = at;
    loop {
        let line = line_at(bytes, at)?;
        at += line.len() + 2;
        if line.is_empty() {
            let is_too_long = at - 1 - trailers > TRAILER_BYTES_MAX;
            return Some(if is_too_long {
                Err("trailers")
            } else {
                Ok((body, at))
            });
        }
        let colon = line.iter().position(|&byte| byte == b':');
        let is_field =
            |at: usize| is_token(&line[..at]) && line[at + 1..].iter().copied().all(is_text);
        if !colon.is_some_and(is_field) {
            return Some(Err("a trailer"));
        }
    }
}

const EXTENSION_BYTES_MAX: usize = 16 * 1024;
const SIZE_DIGIT_COUNT_MAX: usize = 1024;
const TRAILER_BYTES_MAX: usize = 8 * 1024;

/// The line that begins at `at`, without its end.
fn line_at(bytes: &[u8], at: usize) -> Option<&[u8]> {
    let rest = bytes.get(at..)?;
    let end = rest.windows(2).position(|pair| pair == b"\r\n")?;
    Some(&rest[..end])
}

/// RFC 9112 §7.1.1: `*( BWS ";" BWS name [ BWS "=" BWS ( token / quoted-string ) ] )`.
fn is_extension(text: &[u8]) -> bool {
    let mut rest = text;
    while !rest.is_empty() {
        let Some(after) = skip_blanks(rest).strip_prefix(b";") else {
            return false;
        };
        let Some(after) = skip_token(skip_blanks(after)) else {
            return false;
        };
        rest = after;
        if let Some(after) = skip_blanks(after).strip_prefix(b"=") {
            let value = skip_blanks(after);
            let Some(after) = skip_token(value).or_else(|| skip_quoted(value)) else {
                return false;
            };
            rest = after;
        }
    }
    true
}

fn skip_blanks(text: &[u8]) -> &[u8] {
    let blanks = text
        .iter()
        .take_while(|&&byte| byte == b' ' || byte == b'\t');
    &text[blanks.count()..]
}

fn skip_token(text: &[u8]) -> Option<&[u8]> {
    let token = text.iter().take_while(|&&byte| is_token(&[byte])).count();
    (token > 0).then(|| &text[token..])
}

/// RFC 9110 §5.6.4.
fn skip_quoted(text: &[u8]) -> Option<&[u8]> {
    let mut rest = text.strip_prefix(b"\"")?;
    loop {
        rest = match rest {
            [b'"', after @ ..] => return Some(after),
            [b'\\', byte, after @ ..] if is_text(*byte) => after,
            [b'\\', ..] | [] => return None,
            [byte, after @ ..] if is_text(*byte) => after,
            _ => return None,
        };
    }
}

/// Whatever comes as a body in chunks is taken if the grammar has it, and refused if it has not.
pub fn chunks_are_those_of_the_grammar(bytes: &[u8]) {
    let mut decoder = Decoder::new();
    let mut at = Progress {
        read: 0,
        decoded: 0,
    };
    let mut place = bytes.to_vec();
    let got = decoder.decode(&mut place, &mut at, BODY_BYTES_MAX);
    match (read_chunks(bytes), got) {
        (Some(Ok((body, len))), Ok(Parsed::Done(()))) => {
            assert_eq!((&place[..at.decoded], at.read), (&body[..], len));
        }
        // A part of what will be refused may be refused already.
        (Some(Err(_)), Err(_)) | (None, Err(_) | Ok(Parsed::More)) => {}
        (want, got) => panic!("{want:?} {got:?} of {:?}", String::from_utf8_lossy(bytes)),
    }
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

/// A text is JSON if `serde_json` takes it, and then its values, members and strings are the same.
pub fn json_is_that_of_the_oracle(bytes: &[u8]) {
    let oracle = serde_json::from_slice::<serde_json::Value>(bytes);
    let value = json::parse(bytes);
    match (&oracle, value) {
        (Ok(oracle), Some(value)) => same_json(oracle, value),
        (Ok(_), None) => assert!(json_depth(bytes) > json::DEPTH_MAX as usize, "refused"),
        // It is more than a parser that keeps numbers as text can know.
        (Err(error), Some(_)) => {
            let fault = error.to_string();
            let is_limit =
                fault.contains("number out of range") || fault.contains("recursion limit");
            assert!(is_limit, "taken: {fault}");
        }
        (Err(_), None) => {}
    }
    // Member by member it is the same.
    let Some(mut members) = json::members(bytes) else {
        return assert!(str::from_utf8(bytes).is_err());
    };
    let count = members.by_ref().count();
    assert!(members.next().is_none());
    if let Some(value) = value {
        let is_container = matches!(value.text(), [b'{' | b'[', ..]);
        assert_eq!(members.is_whole(), is_container);
        assert_eq!(count, value.members().count());
    }
    let is_read = members.is_whole() && members.is_sound();
    assert!(!is_read || value.is_some() || json_depth(bytes) > json::DEPTH_MAX as usize);
    // Only escapes and depth make JSON that cannot be read.
    if members.is_whole() && !members.is_sound() {
        assert!(bytes.contains(&b'\\') || json_depth(bytes) > json::DEPTH_MAX as usize);
    }
}

fn same_json(oracle: &serde_json::Value, value: json::Value<'_>) {
    use serde_json::Value;
    match oracle {
        Value::Null => assert!(value.is_none()),
        Value::Bool(flag) => assert_eq!(value.text(), flag.to_string().as_bytes()),
        Value::Number(_) => assert!(matches!(value.text(), [b'-' | b'0'..=b'9', ..])),
        Value::String(text) => {
            let string = value.string().expect("a string");
            let mut place = vec![0; string.raw().len()];
            let mut writer = Writer::new(&mut place);
            string.put(&mut writer);
            assert!(!writer.is_cut());
            assert_eq!(writer.finish(), text.as_bytes());
            assert_eq!(
                string.plain(),
                (!string.raw().contains(&b'\\')).then_some(text.as_bytes())
            );
        }
        Value::Array(items) => {
            assert_eq!(value.items().count(), items.len());
            for (item, (_, value)) in items.iter().zip(value.members()) {
                same_json(item, value);
            }
        }
        Value::Object(members) => {
            for (name, member) in members {
                if name.len() < json::NAME_BYTES_MAX {
                    same_json(member, value.member(name.as_bytes()));
                }
            }
        }
    }
}

/// How deep it may be: brackets that are not closed, wherever they stand.
fn json_depth(bytes: &[u8]) -> usize {
    let (mut depth, mut most) = (0_usize, 0);
    for byte in bytes {
        match byte {
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        most = most.max(depth);
    }
    most
}

/// The property that a fuzzing target is about, for whatever the fuzzer made up.
pub fn fuzz(target: &str, bytes: &[u8]) {
    // The first bytes say where the rest is cut.
    let (first, rest) = bytes.split_at(bytes.len().min(4));
    let cuts: Vec<usize> = first.iter().map(|&byte| usize::from(byte) * 3).collect();
    match target {
        "head" => {
            heads_are_those_of_the_grammar(Kind::Request, bytes);
            parts_are_waited_for(Kind::Request, bytes);
        }
        "exchange" => {
            nothing_panics(rest);
            cuts_do_not_matter(Kind::Request, rest, &cuts);
        }
        "response" => {
            heads_are_those_of_the_grammar(Kind::Response, rest);
            parts_are_waited_for(Kind::Response, rest);
            cuts_do_not_matter(Kind::Response, rest, &cuts);
        }
        "chunk" => {
            chunks_are_those_of_the_grammar(rest);
            let sizes: Vec<usize> = rest.iter().step_by(16).map(|&b| usize::from(b)).collect();
            chunks_decode_to_what_was_encoded(rest, &sizes, ";a=b", &cuts);
        }
        "json" => json_is_that_of_the_oracle(bytes),
        other => panic!("no target {other}"),
    }
}
