//! Whose side of a connection is ours.

use super::poll::Client;
use super::settings::{POLLS, PUSHES};
use crate::http::Kind;

/// Whose side of a connection is ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Requests come in, responses go out.
    Server,
    /// Responses come in, requests go out.
    Client(Client),
}

impl Side {
    /// The client, if it is one. In a build whose platforms all push this is always `None`, so the compiler
    /// removes what only a client does.
    #[inline]
    pub fn client(&mut self) -> Option<&mut Client> {
        match self {
            Self::Client(client) if POLLS => Some(client),
            _ => None,
        }
    }

    /// Whether it is a client's. In a build whose platforms are all polled it always is.
    #[inline]
    pub fn is_client(self) -> bool {
        POLLS && (!PUSHES || matches!(self, Self::Client(_)))
    }

    /// What comes in.
    pub fn kind(self) -> Kind {
        if self.is_client() {
            Kind::Response
        } else {
            Kind::Request
        }
    }
}
