//! Answers in pieces: each is read when whoever sends it to the client asks for it.
//!
//! ```text
//!   begun ─▶ (collecting, up to the end of status and headers) ─▶ told ─▶ piece, piece … ─▶ its end
//!                                        nobody takes it any more ─▶ thrown away ─▲
//! ```

use core::mem;
use core::time::Duration;

use super::answers::{field, is_prelude_type, reported};
use super::asks::{self, Dialect, Told};
use super::worker::{Answer, NO_CONNECTION, Worker};
use super::{Api, BURIAL_MS, TURN_COUNT_MAX, at};
use crate::bytes::{self, Writer};
use crate::handler::{Error, Flow};
use crate::limits::PRELUDE_BYTES_MAX;
use crate::platform::gateway::{event as gateway, url_answer};
use crate::program::calls::{self, State};
use crate::program::failure::{self, Fault};
use crate::program::framing::Piece;
use crate::sys::clock;
use crate::sys::fd::Errno;

/// Room for what an answer in pieces begins with up to the end of status and headers.
const COLLECTED_BYTES_MAX: usize = 2 * PRELUDE_BYTES_MAX;

/// Room for the failure that an answer in pieces ends with; more is cut.
const ERROR_BYTES_MAX: usize = 8 * 1024;

impl Api {
    /// An answer in pieces has begun. Nobody is told before there are status and headers, if it begins with them.
    pub(super) fn begin_pieces(&mut self, index: usize, worker: usize) -> Option<u64> {
        let call = self.desk.call_of(worker)?;
        let (number, is_request) = (call.number, call.is_request);
        let Worker {
            answer,
            is_collecting,
            is_waiting,
            ..
        } = self.workers.at(worker)?;
        let answer = answer.as_mut()?;
        let come = answer.memory.as_deref().unwrap_or(&self.shared[..]);
        let content_type = field(come, "content-type").unwrap_or_default();
        let is_http = is_request || self.is_streaming;
        *is_collecting = number > 0 && is_http && is_prelude_type(content_type);
        *is_waiting = false;
        if number == 0 {
            return self.discard(index, worker);
        }
        if !*is_collecting {
            return Some(number);
        }
        let room = answer.head_len + COLLECTED_BYTES_MAX;
        let grown = answer.own(&self.shared[..], room);
        if grown.is_err() {
            self.keep(index, false);
            self.fail(worker, Fault::Start(Errno::AGAIN));
            return None;
        }
        self.collect(index, worker)
    }

    /// More has come of an answer in pieces.
    pub(super) fn go_on_pieces(&mut self, index: usize) -> Option<u64> {
        let worker = at(&mut self.connections, index)?.worker;
        let call = self.desk.call_of(worker);
        let number = call.map_or(0, |call| call.number);
        let its = self.workers.at(worker)?;
        if number == 0 {
            return self.discard(index, worker);
        }
        if its.is_collecting {
            return self.collect(index, worker);
        }
        mem::take(&mut its.is_waiting).then_some(number)
    }

    /// Reads on up to the end of status and headers.
    pub(super) fn collect(&mut self, index: usize, worker: usize) -> Option<u64> {
        let Self {
            connections,
            workers,
            desk,
            ..
        } = self;
        let its = workers.at(worker)?;
        let Answer {
            memory: Some(memory),
            head_len,
            end,
            ..
        } = its.answer.as_mut()?
        else {
            return None;
        };
        let connection = at(connections, index)?;
        let mut has_ended = false;
        let fault = loop {
            let body = bytes::slice(memory, *head_len..*end);
            match url_answer::prelude_len(body) {
                Ok(None) => {}
                Ok(Some(_)) => {
                    its.is_collecting = false;
                    return desk.call_of(worker).map(|call| call.number);
                }
                Err(_) => break Fault::BadReply,
            }
            let room = memory.len();
            let mut piece = Writer::new(bytes::slice_mut(memory, *end..room));
            if has_ended || piece.room() == 0 {
                break Fault::BadReply;
            }
            let came = connection.read_piece(&mut piece);
            *end += piece.written().len();
            match came {
                Piece::More => {}
                Piece::Wait => return None,
                Piece::End => has_ended = true,
                Piece::Broken => break Fault::Truncated,
            }
        };
        self.end_stream(worker, fault == Fault::BadReply && has_ended);
        self.fail(worker, fault);
        None
    }

    /// Throws away what comes of an answer in pieces that nobody takes.
    pub(super) fn discard(&mut self, index: usize, worker: usize) -> Option<u64> {
        for _ in 0..TURN_COUNT_MAX {
            let connection = at(&mut self.connections, index);
            let mut place = Writer::new(&mut self.shared[..]);
            let came = connection.map_or(Piece::Broken, |connection| {
                connection.read_piece(&mut place)
            });
            match came {
                Piece::More => {}
                Piece::Wait => return None,
                came => {
                    self.end_stream(worker, came == Piece::End);
                    self.desk.settle(worker);
                    return None;
                }
            }
        }
        self.set_unread(index);
        None
    }

    /// Nothing more is taken of the answer in pieces of a worker. Its connection goes on if that was all.
    pub(super) fn end_stream(&mut self, worker: usize, is_whole: bool) {
        let Some(its) = self.workers.at(worker) else {
            return;
        };
        let Some(index) = its.stream.take() else {
            return;
        };
        its.answer = None;
        // One that has ended is not started again before that.
        self.supervisor.alarm(clock::monotonic_ms());
        if !is_whole {
            return self.keep(index, false);
        }
        if let Some(connection) = at(&mut self.connections, index) {
            connection.end_pieces();
        }
        self.reply(index, Told::Taken, Dialect::Lambda);
        self.look_again(index);
    }

    /// The next piece of the answer that goes on under that number.
    ///
    /// # Errors
    /// The worker broke it off, says that it has failed, or the time is over.
    pub fn piece(&mut self, number: u64, piece: &mut Writer<'_>) -> Result<Flow, Error> {
        let Some(call) = self.desk.calls.numbered(number) else {
            return Ok(Flow::End);
        };
        let (worker, fault) = (call.worker, call.fault);
        let its = self.workers.at(worker);
        let index = its.and_then(|its| its.stream).unwrap_or(usize::MAX);
        let connection = at(&mut self.connections, index).filter(|_| fault.is_none());
        let is_full = piece.room() == 0;
        let came = connection.map_or(Piece::Broken, |connection| connection.read_piece(piece));
        match came {
            // It is too long, as whoever asks will say: the worker is told so by the end of its connection.
            Piece::More if is_full => {}
            Piece::More => return Ok(Flow::More),
            Piece::Wait => {
                if let Some(its) = self.workers.at(worker) {
                    its.is_waiting = true;
                }
                return Ok(Flow::Wait(Duration::MAX));
            }
            Piece::Broken if fault.is_none() && self.breaks(worker, index) => {
                return Ok(Flow::Wait(Duration::from_millis(BURIAL_MS)));
            }
            Piece::End | Piece::Broken => {}
        }
        let is_alive = |its: &mut Worker| its.server.is_alive();
        let end = match (came, fault) {
            (Piece::End, _) => self.trailing_error(index),
            (Piece::More, _) => Ok(Flow::More),
            (_, Some(fault)) => Err(failure::known(fault)),
            _ if self.workers.at(worker).is_some_and(is_alive) => {
                Err(failure::known(Fault::Truncated))
            }
            _ => Err(self.workers.death(worker)),
        };
        self.end_stream(worker, came == Piece::End);
        self.desk.settle(worker);
        if let Some(call) = self.desk.calls.numbered(number) {
            (call.number, call.state) = (0, State::Ended);
        }
        end
    }

    /// An answer in pieces has broken off. Returns whether its worker may be about to end, so that this is why.
    pub(super) fn breaks(&mut self, worker: usize, index: usize) -> bool {
        self.keep(index, false);
        let Some(its) = self.workers.at(worker) else {
            return false;
        };
        let is_first = its.stream.replace(NO_CONNECTION) != Some(NO_CONNECTION);
        is_first && its.server.is_alive()
    }

    /// All of an answer in pieces has come.
    ///
    /// # Errors
    /// It ends with a failure, which is in the trailer section.
    pub(super) fn trailing_error(&mut self, index: usize) -> Result<Flow, Error> {
        let connection = at(&mut self.connections, index);
        let trailer = |name| connection.as_ref().and_then(|open| open.trailer(name));
        let Some(kind) = trailer(asks::ERROR_TYPE) else {
            return Ok(Flow::End);
        };
        let body = trailer(asks::ERROR_BODY).unwrap_or_default();
        let mut place = [0; ERROR_BYTES_MAX];
        let len = body.len().min(ERROR_BYTES_MAX / 4 * 4);
        bytes::copy(&mut place, bytes::slice(body, 0..len));
        let body = gateway::decode_base64(bytes::slice_mut(&mut place, 0..len));
        let kinds = &mut self.workers.program.kinds;
        Err(reported(kinds, kind, body.unwrap_or_default()))
    }

    /// Nobody waits for the answer any more, or for the rest of it: the worker goes on all the same.
    pub fn abandon(&mut self, number: u64) {
        let Some(call) = self.desk.calls.numbered(number) else {
            return;
        };
        call.number = 0;
        let (worker, state) = (call.worker, call.state);
        if worker == calls::NO_WORKER {
            call.state = State::Ended;
        }
        let its = self.workers.at(worker).filter(|_| state == State::Runs);
        if let Some(index) = its.and_then(|its| its.stream) {
            self.discard(index, worker);
        }
    }
}
