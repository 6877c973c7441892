//! Sends an answer, and keeps what the kernel does not take at once.

use super::span::Span;
use crate::bytes::{self, Writer};
use crate::limits::HEAD_BYTES_MAX;
use crate::net::pool::Pool;
use crate::runtime::answer::Reply;
use crate::sys::fd::Io;
use crate::sys::memory::Mapping;
use crate::sys::socket::Socket;

/// What became of an answer.
pub enum Sent {
    All,
    /// The rest lies in the connection's own buffer.
    Rest(Span),
    /// A new buffer holds the input that waits, and behind it the rest.
    Copied(Mapping, Span),
    /// Nothing more of it can be sent: there is no memory for the rest, or no connection. Half an answer is
    /// worse than none.
    Nothing,
}

/// Room in a buffer for what an API says before it has a whole request.
pub const EARLY_BYTES: u32 = 16 * 1024;
const _: () = assert!(
    EARLY_BYTES as usize >= HEAD_BYTES_MAX,
    "the longest head of a response must fit"
);

/// What lies ahead of an answer in its buffer: the input that waits.
#[derive(Clone, Copy)]
pub struct Ahead<'a> {
    /// What has come already.
    pub input: &'a [u8],
    /// Room for more.
    pub room: u32,
}

impl Ahead<'_> {
    pub fn len(&self) -> usize {
        self.input.len() + self.room as usize
    }

    pub fn put(&self, writer: &mut Writer<'_>) {
        writer.put(self.input);
        writer.skip(self.room as usize);
    }
}

/// Sends an answer. `owned` is the connection's own buffer, if it has one.
pub fn send(
    socket: &Socket,
    pool: &mut Pool,
    reply: &Reply<'_>,
    owned: Option<&[u8]>,
    ahead: Ahead<'_>,
) -> Sent {
    let mut parts = [reply.head, reply.body, reply.tail];
    let mut count = match socket.send_parts(&parts) {
        Io::Done(count) => count,
        Io::Blocked => 0,
        Io::Closed(_) => return Sent::Nothing,
    };
    for part in &mut parts {
        let sent = count.min(part.len());
        *part = part.get(sent..).unwrap_or_default();
        count -= sent;
    }
    let [head, body, tail] = parts;
    let is_body_only = head.is_empty() && tail.is_empty();
    if is_body_only && body.is_empty() {
        return Sent::All;
    }
    let at = owned
        .filter(|_| is_body_only)
        .and_then(|owned| bytes::position(owned, body))
        .filter(|&at| at >= ahead.room as usize);
    let kept = match at {
        Some(at) => Span::new(at, at + body.len()).map(Sent::Rest),
        None => copy(pool, ahead, parts),
    };
    kept.unwrap_or(Sent::Nothing)
}

/// Copies the rest of an answer behind what waits of the input.
pub fn copy(pool: &mut Pool, ahead: Ahead<'_>, rest: [&[u8]; 3]) -> Option<Sent> {
    let rest_bytes: usize = rest.iter().map(|part| part.len()).sum();
    let len = ahead.len() + rest_bytes;
    let output = Span::new(ahead.len(), len)?;
    let mut buffer = pool.take(len).ok()?;
    let mut writer = Writer::new(&mut buffer);
    ahead.put(&mut writer);
    for part in rest {
        writer.put(part);
    }
    Some(Sent::Copied(buffer, output))
}
