//! The socket of a connection, and whose side of it is ours. Only [`Link::prepare`] replaces a socket; the
//! other files of this folder read from it and write to it, and nobody else does.

use super::send::EARLY_BYTES;
use super::span::Span;
use crate::http::Persist;
use crate::platform::runtime_api::Address;
use crate::runtime::side::Side;
use crate::sys::epoll::Interest;
use crate::sys::fd::Io;
use crate::sys::socket::Socket;

/// A socket, and what is known of it.
#[derive(Debug)]
pub struct Link {
    pub socket: Socket,
    pub side: Side,
    /// What the kernel was asked to tell about the socket, if it was asked at all.
    pub interest: Option<Interest>,
    /// This socket carries no other request: the peer has sent its end, or an API has ended the connection,
    /// said that it will, or refused a request that it did not have whole.
    pub is_spent: bool,
    /// What happens when everything is sent.
    pub persist: Persist,
}

impl Link {
    pub fn new(socket: Socket, side: Side) -> Self {
        Self {
            socket,
            side,
            interest: None,
            is_spent: false,
            persist: Persist::Keep,
        }
    }

    /// Prepares for the next request: if this connection is not fit for it, a new one takes its place, and
    /// `input` is dropped, because it belongs to the old one. Returns whether there is a connection.
    ///
    /// A connection is unfit if the API has ended it, or has sent what nobody asked for, which must not be
    /// taken for a response (RFC 9112 §9.2). Before an answer the kernel is asked, too, because the function
    /// took its time; before any other request only if the kernel `may_have_more` than was read.
    #[inline(never)]
    pub fn prepare(&mut self, input: &mut Span, address: &Address, may_have_more: bool) -> bool {
        let is_answer = self
            .side
            .client()
            .is_some_and(|client| client.is_answering());
        let is_unfit = self.is_spent || !input.is_empty();
        let must_peek = may_have_more || is_answer;
        if !is_unfit && (!must_peek || matches!(self.socket.peek(), Io::Blocked)) {
            return true;
        }
        *input = input.skip(usize::MAX);
        // Even after `SIGTERM`: an event that is there is answered.
        let Ok(socket) = Socket::connect(address.ip, address.port) else {
            return false;
        };
        // Without it an API that has vanished is only found later.
        let _ = socket.set_keepalive();
        *self = Self::new(socket, self.side);
        true
    }

    /// Whether something has come that was not read.
    pub fn has_input(&self) -> bool {
        matches!(self.socket.peek(), Io::Done(1..))
    }

    /// Room for an early response ahead of an answer. A server needs none, because it reads nothing while it
    /// sends.
    pub fn early_room(&self) -> u32 {
        if self.side.is_client() {
            EARLY_BYTES
        } else {
            0
        }
    }
}
