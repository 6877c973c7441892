//! The protocol in memory, `make bench`: what a call costs before and after the handler, without
//! the kernel. Throughput is in bytes of the wire.
//!
//! The library is built as it ships, for size. `cargo test --benches` runs each of these once.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use fnboot::Writer;
use fnboot::http::chunk::{self, Decoder};
use fnboot::http::date::Date;
use fnboot::http::exchange::{Exchange, Need, Step};
use fnboot::http::head::{self, Head};
use fnboot::http::{Kind, Parsed, Persist, Version, body, write};

/// What Function Compute sends with every call: 23 fields.
const FIELDS: &str = include_str!("../tests/it/fc_fields.txt");

const BODY_BYTES_MAX: usize = 32 * 1024 * 1024;
const CHUNK_BYTES: usize = 4096;
/// Some moment of 2026.
const NOW_SECONDS: u64 = 1_795_255_270;

/// A call whose head ends with the field that frames the body.
fn call(framing: &str, body: &[u8]) -> Vec<u8> {
    let mut call = b"POST /invoke HTTP/1.1\r\nHost: 21.0.3.3:9000\r\n".to_vec();
    for field in FIELDS.lines().chain([framing, ""]) {
        call.extend_from_slice(field.as_bytes());
        call.extend_from_slice(b"\r\n");
    }
    call.extend_from_slice(body);
    call
}

fn sized(event_bytes: usize) -> Vec<u8> {
    let framing = format!("Content-Length: {event_bytes}");
    call(&framing, &vec![b'x'; event_bytes])
}

fn chunks(event_bytes: usize) -> Vec<u8> {
    let event = vec![b'x'; event_bytes];
    let mut wire = vec![0; 2 * event_bytes + 64];
    let mut writer = Writer::new(&mut wire);
    for piece in event.chunks(CHUNK_BYTES) {
        chunk::put(piece, &mut writer);
    }
    writer.put(chunk::LAST);
    writer.finish().to_vec()
}

fn chunked(event_bytes: usize) -> Vec<u8> {
    call("Transfer-Encoding: chunked", &chunks(event_bytes))
}

/// The head of an answer to an event.
fn respond<'a>(place: &'a mut [u8], date: &mut Date, body_bytes: usize) -> &'a [u8] {
    let mut head = Writer::new(place);
    write::status(&mut head, 200);
    write::field(&mut head, b"Content-Type", b"application/octet-stream");
    write::field(&mut head, b"x-fc-status", b"200");
    head.put(date.field(NOW_SECONDS));
    write::content_length(&mut head, body_bytes as u64);
    write::end(&mut head, Persist::Keep, Version::Http11);
    head.finish()
}

/// One exchange from the request's bytes to the head of the answer; how long that is.
fn exchange(wire: &mut [u8], place: &mut [u8], date: &mut Date) -> usize {
    let mut exchange = Exchange::new();
    let mut filled = wire.len();
    loop {
        let mut fields = head::fields();
        match exchange.advance(Kind::Request, &wire[..filled], &mut fields, BODY_BYTES_MAX) {
            Ok(Step::Dispatch(message)) => return respond(place, date, message.body.len()).len(),
            Ok(Step::Decode) => match exchange.decode(&mut wire[..filled], BODY_BYTES_MAX) {
                Ok(None) => {}
                Ok(Some(Need { filled: end, .. })) => filled = end,
                Err(reject) => panic!("{reject:?}"),
            },
            other => panic!("the request is whole: {other:?}"),
        }
    }
}

fn parsed<'h, 'b: 'h>(wire: &'b [u8], fields: &'h mut head::Fields<'b>) -> Head<'h> {
    match head::parse(Kind::Request, wire, fields) {
        Ok(Parsed::Done(head)) => head,
        other => panic!("the head is whole: {other:?}"),
    }
}

fn heads(criterion: &mut Criterion) {
    let wire = call("Content-Length: 0", b"");
    let mut fields = head::fields();
    let head = parsed(&wire, &mut fields);
    let mut group = criterion.benchmark_group("request head");
    group.throughput(Throughput::Bytes(wire.len() as u64));
    group.bench_function("parse", |bencher| {
        bencher.iter(|| parsed(black_box(&wire), &mut head::fields()).len);
    });
    group.bench_function("framing", |bencher| {
        bencher.iter(|| body::framing(Kind::Request, black_box(&head)));
    });
    group.finish();
}

fn bodies(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("chunked body");
    for (name, event_bytes) in [("11 B", 11), ("1 MiB", 1 << 20)] {
        let wire = chunks(event_bytes);
        group.throughput(Throughput::Bytes(wire.len() as u64));
        group.bench_function(name, |bencher| {
            let decode = |wire: &mut Vec<u8>| {
                let mut at = chunk::Progress {
                    read: 0,
                    decoded: 0,
                };
                let done = Decoder::new().decode(wire, &mut at, BODY_BYTES_MAX);
                assert_eq!((done, at.decoded), (Ok(Parsed::Done(())), event_bytes));
            };
            bencher.iter_batched_ref(|| wire.clone(), decode, BatchSize::LargeInput);
        });
    }
    group.finish();
}

fn answers(criterion: &mut Criterion) {
    let (mut place, mut date) = ([0; 512], Date::new());
    let mut group = criterion.benchmark_group("response head");
    let head_bytes = respond(&mut place, &mut date, 11).len();
    group.throughput(Throughput::Bytes(head_bytes as u64));
    group.bench_function("write", |bencher| {
        bencher.iter(|| respond(&mut place, &mut date, black_box(11)).len());
    });
    group.finish();
}

fn exchanges(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("exchange");
    let (mut place, mut date) = ([0; 512], Date::new());
    for (name, mut wire) in [("11 B", sized(11)), ("4 KiB", sized(4096))] {
        group.throughput(Throughput::Bytes(wire.len() as u64));
        group.bench_function(name, |bencher| {
            bencher.iter(|| exchange(black_box(&mut wire), &mut place, &mut date));
        });
    }
    // Decoding moves the body to where it stays, so each needs bytes of its own.
    for (name, wire) in [
        ("4 KiB chunked", chunked(4096)),
        ("1 MiB chunked", chunked(1 << 20)),
    ] {
        group.throughput(Throughput::Bytes(wire.len() as u64));
        group.bench_function(name, |bencher| {
            bencher.iter_batched_ref(
                || wire.clone(),
                |wire| exchange(wire, &mut place, &mut date),
                BatchSize::LargeInput,
            );
        });
    }
    group.finish();
}

criterion_group!(all, heads, bodies, answers, exchanges);
criterion_main!(all);
