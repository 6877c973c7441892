//! What is known of the answers to which an API has not responded: for the log, and for a second try.

use super::settings::{CONCURRENCY_MAX, POLLS};
use crate::bytes;
use crate::limits::REQUEST_ID_BYTES_MAX;

/// One receipt for each connection to the API.
pub struct Receipts {
    /// Indexed from the end, so that the receipt of connection 0 lies beside the buffer for heads.
    list: [Receipt; COUNT],
    /// The connection whose last request still lies in the buffer for heads.
    held_index: u16,
    /// Length of that request; zero if there is none.
    held_len: u16,
}

/// As many as there are connections: one is the extension's.
const COUNT: usize = if POLLS { CONCURRENCY_MAX + 1 } else { 0 };

/// What the log says of an answer that is lost.
#[derive(Clone, Copy)]
pub struct Receipt {
    id: [u8; REQUEST_ID_BYTES_MAX],
    id_len: u8,
    /// Length of the body, plus one; zero while it is not known.
    body: u32,
    /// When the first request of the connection was sent: on the monotonic clock, or `NEVER`.
    pub since_ms: u64,
}

impl Receipts {
    #[allow(clippy::large_stack_arrays, reason = "the initial value of one static")]
    pub const NONE: Self = Self {
        list: [Receipt::EMPTY; COUNT],
        held_index: 0,
        held_len: 0,
    };

    /// The receipt of the connection at `index` of the table.
    #[inline(never)]
    pub fn of(&mut self, index: u16) -> Option<&mut Receipt> {
        self.list.iter_mut().nth_back(index.into())
    }

    /// Notes that the last request of that connection lies whole in the buffer for heads, `len` bytes long.
    pub fn hold(&mut self, index: u16, len: usize) {
        self.held_index = index;
        self.held_len = u16::try_from(len).unwrap_or(0);
    }

    /// How long the last request of that connection is, if it still lies there.
    pub fn held(&self, index: u16) -> Option<usize> {
        let is_there = self.held_index == index && self.held_len > 0;
        is_there.then_some(self.held_len.into())
    }
}

impl Receipt {
    const EMPTY: Self = Self {
        id: [0; REQUEST_ID_BYTES_MAX],
        id_len: 0,
        body: 0,
        since_ms: 0,
    };

    /// Begins the receipt for the answer to the event of that id. An id longer than the log shows is cut.
    pub fn begin(&mut self, id: &[u8]) {
        bytes::copy(&mut self.id, id);
        let len = id.len().min(REQUEST_ID_BYTES_MAX);
        self.id_len = u8::try_from(len).unwrap_or(0);
        self.body = 0;
    }

    pub fn set_body_bytes(&mut self, count: usize) {
        self.body = u32::try_from(count + 1).unwrap_or(0);
    }

    /// The id of the event.
    pub fn id(&self) -> &[u8] {
        bytes::slice(&self.id, 0..self.id_len.into())
    }

    /// Length of the answer's body, if it is known.
    pub fn body_bytes(&self) -> Option<u32> {
        self.body.checked_sub(1)
    }
}
