//! What a worker's request comes to: it is refused, or what it asks for is done.

use super::answers::{field, reported};
use super::asks::{self, Ask, Asked, Dialect, Told};
use super::connection::{self, Connection, Mode, Phase};
use super::desk::Refused;
use super::worker::Answer;
use super::{Api, BURIAL_MS, at, keep};
use crate::bytes;
use crate::http::head;
use crate::http::{Kind, Parsed, Reject};
use crate::program::calls::State;
use crate::program::failure::Fault;
use crate::program::server;
use crate::sys::clock;
use crate::sys::fd::Errno;

impl Api {
    /// A request breaks a rule or a bound. If it is an answer that is lost by that, its call fails.
    pub(super) fn refuse(&mut self, index: usize, reject: Reject) {
        let Self {
            connections,
            shared,
            desk,
            ..
        } = self;
        let Some(connection) = at(connections, index) else {
            return;
        };
        let worker = connection.worker;
        let fault = match reject {
            Reject::BodyTooLarge => Some(Fault::TooLong),
            Reject::OutOfMemory => Some(Fault::Start(Errno::AGAIN)),
            Reject::Incomplete => Some(Fault::Truncated),
            _ => None,
        };
        let mut fields = head::fields();
        let come = connection.front(&shared[..]);
        let fault = match head::parse(Kind::Request, come, &mut fields) {
            Ok(Parsed::Done(head)) => {
                let Asked { ask, id, .. } = Asked::of(&head);
                let is_answer = matches!(ask, Ask::Answer | Ask::Error);
                fault.filter(|_| is_answer && desk.claim(worker, id).is_ok())
            }
            _ => None,
        };
        let is_open = connection.refuse(reject);
        self.keep(index, is_open);
        if let Some(fault) = fault {
            self.fail(worker, fault);
        }
    }

    /// The answer of a worker comes to nothing. If it has broken off, the worker may be about to end: then that is why.
    pub(super) fn fail(&mut self, worker: usize, fault: Fault) {
        let Some(call) = self.desk.settle(worker) else {
            return;
        };
        call.fault.get_or_insert(fault);
        self.has_due = true;
        if fault == Fault::Truncated {
            call.state = State::Runs;
            call.signal_ms = clock::monotonic_ms() + BURIAL_MS;
        }
        self.supervisor.alarm(clock::monotonic_ms());
    }

    /// Does what a request asks for. Returns the number of a call that it is the answer to.
    pub(super) fn take(&mut self, index: usize) -> Option<u64> {
        let connection = at(&mut self.connections, index)?;
        let connection::Request {
            ask,
            dialect,
            head_len,
            end,
            ..
        } = connection.request;
        if matches!(ask, Ask::Answer | Ask::Error) {
            return self.take_answer(index);
        }
        let worker = connection.worker;
        let memory = connection.finish(&self.shared[..]);
        let told = match ask {
            Ask::Next | Ask::ExtensionNext => {
                connection.phase = Phase::Waits;
                let has_end = connection.has_end;
                keep(memory, &mut self.spare_input, &mut self.supervisor);
                if ask == Ask::Next {
                    self.set_ready(worker, dialect);
                }
                if has_end {
                    // It has gone already.
                    self.keep(index, false);
                } else if ask == Ask::Next {
                    // One that was told to end would not live to answer.
                    let its = self.workers.at(worker);
                    if its.is_some_and(|its| its.server.is_alive() && !its.server.is_told)
                        && let Some(pair) = self.desk.ask(worker, index)
                    {
                        self.send_event(pair);
                    }
                    self.pair();
                }
                return None;
            }
            Ask::Ready => {
                self.set_ready(worker, dialect);
                Told::Taken
            }
            Ask::Register => {
                self.has_extension = true;
                Told::Registered
            }
            Ask::Restored => Told::Empty,
            Ask::InitError | Ask::RestoreError if !self.workers.program.was_ready => {
                let place = memory.as_deref().unwrap_or(&self.shared[..]);
                let body = bytes::slice(place, head_len..end);
                let kind = field(place, asks::ERROR_TYPE).unwrap_or_default();
                let error = reported(&mut self.workers.program.kinds, kind, body);
                self.init_error = Some(error);
                Told::Taken
            }
            Ask::InitError | Ask::RestoreError => Told::Again,
            _ => Told::NotFound,
        };
        self.reply(index, told, dialect);
        None
    }

    /// A worker has asked: it is there, in the words of that API.
    pub(super) fn set_ready(&mut self, worker: usize, dialect: Dialect) {
        self.dialect = dialect;
        self.workers.program.was_ready = true;
        // What one that has ended has asked for is looked at after its end.
        if let Some(its) = self.workers.at(worker).filter(|its| its.server.is_alive()) {
            its.server.phase = server::Phase::Ready;
        }
    }

    /// Takes the answer to an event, its failure, or the beginning of an answer in pieces.
    pub(super) fn take_answer(&mut self, index: usize) -> Option<u64> {
        let Self {
            connections,
            shared,
            desk,
            ..
        } = self;
        let connection = at(connections, index)?;
        let worker = connection.worker;
        let come = connection.front(&shared[..]);
        let request = &connection.request;
        let id = request.id.clone().map(|id| bytes::slice(come, id));
        let (mode, dialect) = (request.mode, request.dialect);
        let is_error = request.ask == Ask::Error;
        let (head_len, end) = (request.head_len, request.end);
        let claimed = desk.claim(worker, id);
        let is_in_pieces = matches!(connection.phase, Phase::Pieces(_));
        if is_in_pieces && claimed.is_err() {
            // The rest of it comes, whatever it is told.
            connection.set_last();
        }
        let memory = connection.finish(&shared[..]);
        let told = match claimed {
            Err(Refused::Again) if dialect == Dialect::Scf => Told::Taken,
            Err(Refused::Again) => Told::Again,
            Err(Refused::Unknown) => Told::UnknownId,
            Ok(()) if mode == Mode::Unknown => {
                self.fail(worker, Fault::BadMode);
                Told::BadMode
            }
            Ok(()) => {
                let number = self.desk.call_of(worker).map_or(0, |call| call.number);
                // An event is sent on another connection no more.
                self.close_sending(worker);
                if let Some(worker) = self.workers.at(worker) {
                    worker.stream = Some(index).filter(|_| is_in_pieces);
                    worker.answer = Some(Answer {
                        call: number,
                        memory,
                        is_error,
                        head_len,
                        end,
                    });
                }
                if is_in_pieces {
                    return self.begin_pieces(index, worker);
                }
                self.desk.settle(worker);
                if number > 0 {
                    self.owed = Some((index, dialect));
                    return Some(number);
                }
                // Nobody takes it: the caller has gone. The worker has served the call all the same.
                self.workers.served(worker);
                Told::Taken
            }
        };
        self.reply(index, told, dialect);
        None
    }

    /// Closes the connections on which the event of a worker is still being sent that it has answered already.
    pub(super) fn close_sending(&mut self, worker: usize) {
        for place in self.connections.iter_mut() {
            let is_sending = |connection: &Connection| {
                connection.worker == worker && matches!(connection.phase, Phase::Sends(_))
            };
            if place.as_ref().is_some_and(is_sending) {
                *place = None;
            }
        }
    }
}
