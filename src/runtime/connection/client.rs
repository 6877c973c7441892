//! The client's side of a connection: what is different where the peer is an API that is asked for events.
//!
//! No answer is lost in silence. One that cannot go out where its event came from goes out on a new
//! connection ([`Link::prepare`](super::link::Link::prepare)); [`Connection::watch`] hears an API that
//! refuses a long one before it has it; [`Connection::send_again`] sends a short one a second time; what is
//! lost for all that is logged when the connection is released.

use super::send::{Ahead, EARLY_BYTES, send};
use super::span::Span;
use super::{After, Connection, Phase, Want};
use crate::bytes;
use crate::handler::{Error, Handler};
use crate::http::exchange::{Exchange, Step};
use crate::http::head::{self, Early, Head};
use crate::http::{Kind, Persist};
use crate::limits::BODY_BYTES_DEFAULT;
use crate::platform::runtime_api::Ask;
use crate::runtime::answer::Reply;
use crate::runtime::poll;
use crate::runtime::service::Service;
use crate::sys::fd::Io;

/// What a new connection has before its request: room for an early response.
const EARLY: Ahead<'static> = Ahead {
    input: b"",
    room: EARLY_BYTES,
};

/// Whether the connection ends with the response at the front of `input`. Out of line, because the place for
/// its fields is nothing that every call should find on its stack.
#[inline(never)]
fn is_last(exchange: &mut Exchange, kind: Kind, input: &[u8]) -> bool {
    match exchange.advance(kind, input, &mut head::fields(), BODY_BYTES_DEFAULT) {
        Ok(Step::Dispatch(message)) => message.persist == Persist::Close,
        // It may go on to the end of the connection.
        Ok(Step::Read(_)) => exchange.end(),
        Ok(_) => false,
        Err(_) => true,
    }
}

impl Connection {
    /// Makes the first request of a new connection, which is no answer. A `failure` is reported instead of
    /// asking.
    pub fn ask<H: Handler>(
        &mut self,
        service: &mut Service<H>,
        ask: Ask,
        failure: Option<&Error>,
    ) -> Want {
        let Some(client) = self.link.side.client() else {
            return Want::Close;
        };
        let renderer = &mut service.caller.renderer;
        let reply = match failure {
            Some(error) => poll::report(renderer, client, error),
            None => poll::ask(renderer, client, ask, &Head::default()),
        };
        let sent = send(&self.link.socket, service.pool, &reply, None, EARLY);
        match self.sent(service, sent) {
            After::Wait(want) => want,
            After::NextMessage => Want::Read,
        }
    }

    /// The connection has come to its end. An answer without a whole response is sent once more, on a new
    /// connection, if the buffer for heads still holds it ([`poll::again`]; RFC 9112 §9.3.1). That is safe, because the API can
    /// tell whose answer it is: it names its event, and where it does not (SCF), no other event is asked for
    /// before.
    #[inline]
    pub(super) fn send_again<H: Handler>(&mut self, service: &mut Service<H>) -> Want {
        let Some(client) = self.link.side.client() else {
            return Want::Close;
        };
        let renderer = &service.caller.renderer;
        let Some(head) = poll::again(renderer, *client) else {
            return Want::Close;
        };
        client.is_last_try = true;
        // It has ended, whatever the kernel says of it.
        self.link.is_spent = true;
        if !self
            .link
            .prepare(&mut self.input, &renderer.config.address, false)
        {
            return Want::Close;
        }
        let reply = Reply {
            head,
            ..Reply::NOTHING
        };
        let sent = send(&self.link.socket, service.pool, &reply, None, EARLY);
        self.exchange.finish();
        self.link.persist = Persist::Keep;
        self.phase = Phase::Open { room: 0 };
        match self.sent(service, sent) {
            After::Wait(want) => want,
            After::NextMessage => self.idle(service),
        }
    }

    /// A send took nothing. On a client's side the reason may be there to be read: [`Connection::watch`] puts
    /// it behind the input, at most up to `end`.
    pub(super) fn unsent<H: Handler>(
        &mut self,
        service: &mut Service<H>,
        sent: Io,
        end: u32,
    ) -> After {
        let is_closed = matches!(sent, Io::Closed(_));
        if self.link.side.is_client() && (self.watch(end) || is_closed) {
            return self.give_up(service);
        }
        After::Wait(if is_closed {
            Want::Close
        } else {
            self.want_to_write()
        })
    }

    /// Reads what the API says before it has the whole request (RFC 9112 §9.5). Returns true if the rest need
    /// not be sent, because the API refuses the request, if only with a part of a response, or ends the
    /// connection, or says that it will.
    ///
    /// What it says is put behind the input, up to `end`. A response that only informs is skipped.
    pub(super) fn watch(&mut self, end: u32) -> bool {
        let (kind, start) = (self.link.side.kind(), self.input.from);
        let buffer = self.buffer.as_deref_mut().unwrap_or_default();
        let place = bytes::slice_mut(buffer, self.input.to as usize..end as usize);
        match self.link.socket.recv(place) {
            Io::Blocked => return false,
            Io::Done(count @ 1..) => self.input = self.input.extend(count),
            // Nothing more comes, or there is no room for it.
            Io::Done(_) | Io::Closed(_) => return true,
        }
        while !self.input.is_empty() {
            let input = bytes::slice(buffer, self.input.range());
            match head::early(input) {
                Early::GoOn => break,
                Early::Taken if is_last(&mut self.exchange, kind, input) => return true,
                Early::Taken => break,
                Early::Skip(len) => self.input = self.input.skip(len),
                Early::Stop => return true,
            }
        }
        bytes::shift(buffer, self.input.range(), start as usize);
        self.input = Span {
            from: start,
            to: start + self.input.to - self.input.from,
        };
        false
    }

    /// Gives up the rest of a request. If a response has begun to come, it is taken.
    pub(super) fn give_up<H: Handler>(&mut self, service: &mut Service<H>) -> After {
        self.abandon(service);
        self.link.is_spent = true;
        self.link.persist = Persist::Keep;
        if self.input.is_empty() {
            self.phase = Phase::Open { room: 0 };
            let has_input = self.link.has_input();
            return After::Wait(if has_input {
                self.idle(service)
            } else {
                Want::Close
            });
        }
        self.finish(service)
    }

    /// What to wait for while there is something to be sent. An API may respond before it has it all.
    pub(super) fn want_to_write(&self) -> Want {
        if self.link.side.is_client() {
            Want::ReadOrWrite
        } else {
            Want::Write
        }
    }

    /// Whether a part of an event is there, one whose call was put off, or an answer to which the API has not responded.
    pub fn is_busy<H: Handler>(&mut self) -> bool {
        if H::DEFERS && matches!(self.phase, Phase::Streaming(_)) {
            return true;
        }
        let is_receiving = matches!(self.phase, Phase::Open { .. }) && self.buffer.is_some();
        is_receiving && self.asks(Ask::Next) || self.is_answering()
    }

    /// Notes that the API has the whole of a request.
    pub(super) fn note_sent<H>(&mut self, service: &mut Service<H>) {
        if let Some(client) = self.link.side.client() {
            poll::note_sent(&mut service.caller.renderer, *client);
        }
    }

    /// Whether nothing of a response matters but its head: of any but that to the question for an event.
    pub(super) fn needs_head_only(&mut self) -> bool {
        self.link.side.is_client() && !self.asks(Ask::Next)
    }

    /// Whether the last request on this connection was `ask`.
    pub fn asks(&mut self, ask: Ask) -> bool {
        self.link
            .side
            .client()
            .is_some_and(|client| client.ask == ask)
    }

    /// Whether the API has yet to respond to an answer.
    pub(super) fn is_answering(&mut self) -> bool {
        self.link
            .side
            .client()
            .is_some_and(|client| client.is_answering())
    }
}
