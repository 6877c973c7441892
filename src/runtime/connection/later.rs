//! A call that was put off: the connection waits, reads nothing, and owns the buffer with the call's record,
//! until the handler has the answer, the time is over, or nobody is there to take it.

use super::kept::{Record, Streaming};
use super::streaming::Whole;
use super::{After, Connection, Phase, Want};
use crate::handler::Handler;
use crate::runtime::answer::{Coding, Due};
use crate::runtime::service::Service;
use crate::sys::clock::{self, NEVER};

impl Connection {
    /// Waits for the answer to a call that was put off.
    pub(super) fn park(&mut self, streaming: Streaming, deadline_ms: u64) -> After {
        (self.phase, self.deadline_ms) = (Phase::Streaming(streaming), deadline_ms);
        After::Wait(Want::Nothing)
    }

    /// The deadline of a call that was put off has come, or else its peer's end.
    pub(super) fn go_on_waiting<H: Handler>(
        &mut self,
        service: &mut Service<H>,
        streaming: Streaming,
    ) -> After {
        if self.deadline_ms <= clock::monotonic_ms() {
            return self.answer_late(service, streaming, Due::TooLate);
        }
        if !self.link.side.is_client() {
            return After::Wait(Want::Close);
        }
        // The API has ended this connection. The answer will go out on another.
        self.link.is_spent = true;
        After::Wait(Want::Nothing)
    }

    /// Answers the call that was put off as `number`, or goes on with its answer; `None` if that is not the one which
    /// waits here.
    pub fn resume<H: Handler>(&mut self, service: &mut Service<H>, number: u64) -> Option<Want> {
        let Phase::Streaming(streaming) = self.phase else {
            return None;
        };
        let record = Record::read(self.bytes(), streaming.record_len)?;
        if record.state != number || streaming.is_over {
            return None;
        }
        let after = if streaming.stream.coding == Coding::Later {
            self.answer_late(service, streaming, Due::Woken)
        } else if H::STREAMS && self.deadline_ms != NEVER {
            self.deadline_ms = NEVER;
            self.go_on_streaming(service, streaming)
        } else {
            return None;
        };
        let want = match after {
            After::Wait(want) => want,
            After::NextMessage => self.take(service),
        };
        if want == Want::Close && self.link.side.is_client() {
            return Some(self.send_again(service));
        }
        Some(want)
    }

    fn answer_late<H: Handler>(
        &mut self,
        service: &mut Service<H>,
        mut streaming: Streaming,
        due: Due,
    ) -> After {
        streaming.is_over = true;
        (self.phase, self.deadline_ms) = (Phase::Streaming(streaming), NEVER);
        self.send_whole(service, &streaming, Whole::Due(due))
    }
}
