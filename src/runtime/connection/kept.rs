//! A kept call: one whose answer is not complete yet. It owns a buffer with the record of the call, the
//! input that waits behind its message, and the part of the answer that is not sent.
//!
//! ```text
//!  ┌──────── record ────────┐┌───── ahead ─────┐┌─ output, then each piece ─┐
//!  │ state, arrived_ms, head ││ input, and room ││                           │
//! ```

use super::send::{Ahead, Sent, copy};
use super::span::Span;
use crate::bytes::{self, Writer};
use crate::http::chunk;
use crate::limits::PIECE_BYTES;
use crate::net::pool::Pool;
use crate::runtime::answer::{Coding, Reply, Stream};
use crate::sys::clock::NEVER;
use crate::sys::memory::Mapping;

/// Room that the end of an answer needs behind its last piece.
pub const END_ROOM_BYTES: usize = 16 * 1024;

/// A call that goes on, and its buffer.
pub struct Kept {
    pub buffer: Mapping,
    pub input: Span,
    pub streaming: Streaming,
    /// When it is answered at the latest, if it was put off: on the monotonic clock, or `NEVER`.
    pub deadline_ms: u64,
}

/// Where a kept call stands. Positions are those of its buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Streaming {
    pub stream: Stream,
    /// Length of the record.
    pub record_len: u32,
    /// What is there of the answer and not yet sent.
    pub output: Span,
    /// Whether the last piece is there.
    pub is_over: bool,
}

/// What is kept of the message that is answered.
pub struct Record<'a> {
    /// What the handler knows the rest of its answer by.
    pub state: u64,
    /// When the tick began in which the message came, in milliseconds since the Unix epoch.
    pub arrived_ms: u64,
    /// The message's head, as it came.
    pub head: &'a [u8],
}

impl<'a> Record<'a> {
    /// Reads the record at the front of a buffer, which is `len` bytes long.
    pub fn read(buffer: &'a [u8], len: u32) -> Option<Self> {
        let record = bytes::slice(buffer, 0..len as usize);
        let (state, rest) = record.split_first_chunk()?;
        let (arrived, head) = rest.split_first_chunk()?;
        Some(Self {
            state: u64::from_le_bytes(*state),
            arrived_ms: u64::from_le_bytes(*arrived),
            head,
        })
    }

    /// Changes the state in the record at the front of a buffer.
    pub fn set_state(buffer: &mut [u8], state: u64) {
        bytes::copy(buffer, &state.to_le_bytes());
    }

    fn len(&self) -> usize {
        size_of_val(&self.state) + size_of_val(&self.arrived_ms) + self.head.len()
    }
}

/// Keeps a call whose answer goes on, with what is there of it. An answer whose rest nobody takes is copied
/// before `abandon` is called, because the handler may then change the bytes that it lent.
pub fn begin(
    pool: &mut Pool,
    stream: Stream,
    reply: &Reply<'_>,
    record: &Record<'_>,
    ahead: Ahead<'_>,
) -> Result<Kept, Sent> {
    let answer = if stream.coding.goes_on() {
        fill(pool, stream, reply, record, ahead).ok_or(None)
    } else {
        Err(copy(pool, ahead, [reply.head, reply.body, reply.tail]))
    };
    answer.map_err(|copied| copied.unwrap_or(Sent::Nothing))
}

/// Fills a buffer with a call that goes on.
fn fill(
    pool: &mut Pool,
    stream: Stream,
    reply: &Reply<'_>,
    record: &Record<'_>,
    ahead: Ahead<'_>,
) -> Option<Kept> {
    let chunk_bytes = chunk::SIZE_BYTES + chunk::DATA_END.len();
    let len = reply.head.len() + chunk_bytes + reply.body.len();
    let mut kept = keep(
        pool,
        stream,
        record,
        ahead,
        len + PIECE_BYTES + END_ROOM_BYTES,
        NEVER,
    )?;
    let start = kept.streaming.output.from as usize;
    let mut writer = Writer::new(kept.buffer.get_mut(start..).unwrap_or_default());
    // What is collected gets its head at the end.
    if stream.coding != Coding::Collected {
        writer.put(reply.head);
    }
    if stream.coding == Coding::Chunked {
        chunk::put(reply.body, &mut writer);
    } else {
        writer.put(reply.body);
    }
    let len = writer.written().len();
    kept.streaming.output = kept.streaming.output.extend(len);
    Some(kept)
}

/// Keeps a call of whose answer nothing is there yet, with room for so many bytes of it.
pub fn keep(
    pool: &mut Pool,
    stream: Stream,
    record: &Record<'_>,
    ahead: Ahead<'_>,
    room: usize,
    deadline_ms: u64,
) -> Option<Kept> {
    let start = record.len();
    let end = start + ahead.len();
    let mut buffer = pool.take(end + room).ok()?;
    let mut writer = Writer::new(&mut buffer);
    writer.put(&record.state.to_le_bytes());
    writer.put(&record.arrived_ms.to_le_bytes());
    writer.put(record.head);
    ahead.put(&mut writer);
    let input = Span::new(start, start + ahead.input.len())?;
    let streaming = Streaming {
        stream,
        record_len: input.from,
        output: Span::new(end, end)?,
        is_over: false,
    };
    Some(Kept {
        buffer,
        input,
        streaming,
        deadline_ms,
    })
}
