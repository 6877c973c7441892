//! An answer in pieces: what is there is sent, then the handler is asked for more, in turns.

use core::time::Duration;

use super::due::later_ms;
use super::kept::{self, END_ROOM_BYTES, Kept, Record, Streaming};
use super::send::{Ahead, send};
use super::span::Span;
use super::{After, Connection, Phase, TURN_COUNT_MAX, Want};
use crate::bytes::{self, Writer};
use crate::handler::{Error, Flow, Handler};
use crate::http::chunk;
use crate::limits::PIECE_BYTES;
use crate::runtime::answer::{Coding, Due};
use crate::runtime::gateway::{self, Lent};
use crate::runtime::poll;
use crate::runtime::service::Service;
use crate::sys::clock::{self, NEVER};
use crate::sys::fd::Io;

/// What came of asking the handler.
enum Asked {
    /// A piece is in the buffer, or will be.
    Piece,
    /// Nothing more can be sent.
    Broken,
    /// That was the last piece of an answer that is sent as a whole: what became of that.
    Answered(After),
}

/// Why an answer can be sent as a whole.
#[derive(Clone, Copy)]
pub enum Whole<'r> {
    /// It was put off, and is due.
    Due(Due),
    /// Its pieces are collected, or the handler has failed over them.
    Collected(Result<(), &'r Error>),
}

impl Connection {
    /// A kept call has its buffer: sends the beginning of its answer.
    pub(super) fn begin_streaming<H: Handler>(
        &mut self,
        service: &mut Service<H>,
        kept: Kept,
    ) -> After {
        self.give_back(service);
        (self.buffer, self.input) = (Some(kept.buffer), kept.input);
        let is_later = kept.streaming.stream.coding == Coding::Later;
        if H::DEFERS && (is_later || !H::STREAMS) {
            return self.park(kept.streaming, kept.deadline_ms);
        }
        // Pieces are short and far between: none may wait for the last one's acknowledgement.
        // Without it they only come later.
        let _ = self.link.socket.set_nodelay();
        self.go_on_streaming(service, kept.streaming)
    }

    /// Sends what is there of an answer, and asks the handler for more, in turns.
    pub(super) fn go_on_streaming<H: Handler>(
        &mut self,
        service: &mut Service<H>,
        mut streaming: Streaming,
    ) -> After {
        let is_collected = streaming.stream.coding == Coding::Collected;
        if self.deadline_ms != NEVER {
            if self.deadline_ms <= clock::monotonic_ms() {
                // Cleared, because an overdue deadline would wake the loop again and again while the socket
                // is blocked.
                self.deadline_ms = NEVER;
            } else if is_collected || streaming.output.is_empty() {
                return self.woken_before_due(service, streaming);
            }
        }
        let mut want = self.want_to_write();
        for _ in 0..TURN_COUNT_MAX {
            if !is_collected && !streaming.output.is_empty() {
                let output = bytes::slice(self.bytes(), streaming.output.range());
                let sent = self.link.socket.send(output);
                let Io::Done(count) = sent else {
                    self.phase = Phase::Streaming(streaming);
                    return self.unsent(service, sent, self.piece_start(&streaming));
                };
                streaming.output = streaming.output.skip(count);
                if !streaming.output.is_empty() {
                    break;
                }
            }
            if streaming.is_over {
                return self.finish(service);
            }
            if self.deadline_ms != NEVER {
                break;
            }
            match self.ask_for_piece(service, &mut streaming) {
                Asked::Piece => {}
                Asked::Broken => {
                    want = Want::Close;
                    break;
                }
                Asked::Answered(after) => return after,
            }
        }
        self.phase = Phase::Streaming(streaming);
        let is_due_later = self.deadline_ms != NEVER && want != Want::Close;
        if is_due_later && (is_collected || streaming.output.is_empty()) {
            want = self.want_to_wait(&streaming);
        }
        After::Wait(want)
    }

    /// Where in the buffer a piece is put that is not collected: behind the input that waits and, on a
    /// client's side, room for an early response.
    fn piece_start(&self, streaming: &Streaming) -> u32 {
        self.input
            .to
            .max(streaming.record_len + self.link.early_room())
    }

    /// What to wait for until the next piece is due. An API can refuse an answer in pieces between two of
    /// them, so it is read; of a collected answer nothing has been sent, so there is nothing to hear.
    fn want_to_wait(&self, streaming: &Streaming) -> Want {
        let is_collected = streaming.stream.coding == Coding::Collected;
        if self.link.side.is_client() && !is_collected {
            Want::Read
        } else {
            Want::Nothing
        }
    }

    /// Something came before the next piece was due. A server waits with no interest, so that it can only be
    /// the client's end.
    fn woken_before_due<H: Handler>(
        &mut self,
        service: &mut Service<H>,
        streaming: Streaming,
    ) -> After {
        if !self.link.side.is_client() {
            return After::Wait(Want::Close);
        }
        let want = self.want_to_wait(&streaming);
        if want == Want::Read {
            if self.watch(self.piece_start(&streaming)) {
                return self.give_up(service);
            }
        } else {
            // The API has ended this connection. The answer will go out on another, once it is whole.
            self.link.is_spent = true;
        }
        After::Wait(want)
    }

    /// Asks the handler for the next piece, and puts it into the form in which it is sent.
    #[inline(never)]
    fn ask_for_piece<H: Handler>(
        &mut self,
        service: &mut Service<H>,
        streaming: &mut Streaming,
    ) -> Asked {
        let stream = streaming.stream;
        let is_chunked = stream.coding == Coding::Chunked;
        let is_collected = stream.coding == Coding::Collected;
        let start = if is_collected {
            streaming.output.to
        } else {
            self.piece_start(streaming)
        } as usize;
        let size_bytes = if is_chunked { chunk::SIZE_BYTES } else { 0 };
        let buffer = self.buffer.as_deref_mut().unwrap_or_default();
        let Some((front, back)) = buffer.split_at_mut_checked(start + size_bytes) else {
            return Asked::Broken;
        };
        let mut room = back.len().saturating_sub(END_ROOM_BYTES);
        if is_collected {
            let collected = streaming.output.range().len();
            let body_bytes_max = service.caller.renderer.config.body_bytes_max;
            room = room.min(body_bytes_max.saturating_sub(collected));
        }
        let mut piece = Writer::new(bytes::slice_mut(back, 0..room));
        let Some(record) = Record::read(front, streaming.record_len) else {
            return Asked::Broken;
        };
        let (kind, mut state) = (self.link.side.kind(), record.state);
        let caller = &mut service.caller;
        let result = caller.next_piece(
            kind,
            record.head,
            record.arrived_ms,
            stream,
            &mut state,
            &mut piece,
        );
        let len = piece.written().len();
        Record::set_state(front, state);
        if is_collected {
            streaming.output = streaming.output.extend(len);
            return self.collect(service, streaming, &result);
        }
        let mut end = start;
        if is_chunked && len > 0 {
            let mut size = Writer::new(bytes::slice_mut(buffer, start..start + size_bytes));
            chunk::put_size(len, &mut size);
            end += size_bytes + len;
        } else if !is_chunked {
            end += len;
        }
        let mut last = Writer::new(buffer.get_mut(end..).unwrap_or_default());
        last.put(if is_chunked && len > 0 {
            chunk::DATA_END
        } else {
            b""
        });
        match result {
            Ok(Flow::More) => {}
            Ok(Flow::Wait(time)) => self.deadline_ms = later(time),
            Ok(Flow::End) => {
                streaming.is_over = true;
                last.put(if is_chunked { chunk::LAST } else { b"" });
            }
            Err(error) => {
                streaming.is_over = true;
                if !poll::end_failed(&mut service.caller.renderer, &error, &mut last) {
                    return Asked::Broken;
                }
            }
        }
        end += last.written().len();
        match Span::new(start, end) {
            Some(output) => streaming.output = output,
            None => return Asked::Broken,
        }
        Asked::Piece
    }

    /// A piece is added to those that are sent together. The last one makes them an answer like any other.
    fn collect<H: Handler>(
        &mut self,
        service: &mut Service<H>,
        streaming: &mut Streaming,
        result: &Result<Flow, Error>,
    ) -> Asked {
        if let Ok(flow @ (Flow::More | Flow::Wait(_))) = result {
            if let Flow::Wait(time) = flow {
                self.deadline_ms = later(*time);
            }
            let len = streaming.output.to as usize + PIECE_BYTES;
            let Some(buffer) = &mut self.buffer else {
                return Asked::Broken;
            };
            let has_room = buffer.len() >= len + END_ROOM_BYTES;
            let has_room = has_room || service.pool.grow(buffer, 2 * len).is_ok();
            return if has_room {
                Asked::Piece
            } else {
                Asked::Broken
            };
        }
        streaming.is_over = true;
        self.phase = Phase::Streaming(*streaming);
        let result = result.as_ref().map(drop);
        Asked::Answered(self.send_whole(service, streaming, Whole::Collected(result)))
    }

    /// Sends the answer to a kept call as a whole.
    #[inline(never)]
    pub(super) fn send_whole<H: Handler>(
        &mut self,
        service: &mut Service<H>,
        streaming: &Streaming,
        whole: Whole<'_>,
    ) -> After {
        let buffer = self.buffer.as_deref().unwrap_or_default();
        let Some(record) = Record::read(buffer, streaming.record_len) else {
            return After::Wait(Want::Close);
        };
        let address = service.caller.renderer.config.address;
        let link = &mut self.link;
        let caller = &mut service.caller;
        let (side, persist) = (&mut link.side, link.persist);
        let (pool, mut lent) = (&mut *service.pool, Lent::NOTHING);
        let reply = match whole {
            Whole::Due(due) => {
                let (call, number) = (streaming.stream.call, record.state);
                let (head, arrived_ms) = (record.head, record.arrived_ms);
                let lent = &mut lent;
                caller.resume(
                    side, head, arrived_ms, persist, call, number, due, pool, lent,
                )
            }
            Whole::Collected(result) => {
                let result = result.map(|()| bytes::slice(buffer, streaming.output.range()));
                caller.collected(side, record.head, persist, result, pool, &mut lent)
            }
        };
        link.persist = reply.persist;
        if link.side.is_client() && !link.prepare(&mut self.input, &address, false) {
            return After::Wait(Want::Close);
        }
        let ahead = Ahead {
            input: bytes::slice(buffer, self.input.range()),
            room: link.early_room(),
        };
        let rest = reply.rest.filter(|_| H::STREAMS && H::DEFERS);
        let sent = match rest {
            None => Err(send(
                &link.socket,
                service.pool,
                &reply,
                Some(buffer),
                ahead,
            )),
            Some((stream, state)) => {
                let record = Record { state, ..record };
                kept::begin(service.pool, stream, &reply, &record, ahead)
            }
        };
        if const { gateway::serves::<H>() } {
            lent.give_back(service.pool);
        }
        let sent = match sent {
            Ok(kept) => return self.begin_streaming(service, kept),
            Err(sent) => sent,
        };
        // Nobody takes the rest.
        if let Some((stream, state)) = rest {
            let kind = self.link.side.kind();
            service.caller.abandon(kind, record.head, stream, state);
        }
        match self.sent(service, sent) {
            After::NextMessage => self.finish(service),
            after @ After::Wait(_) => after,
        }
    }
}

fn later(time: Duration) -> u64 {
    later_ms(u64::try_from(time.as_millis()).unwrap_or(NEVER))
}
