//! Ends: of workers, of what takes too long, of fnboot.

use super::connection::Connection;
use super::worker::Worker;
use super::{Api, BURIAL_MS, SPARE_BYTES_MAX, at};
use crate::limits::{MARGIN_MS_MAX, WORKER_CONN_COUNT_MAX};
use crate::program::calls::{self, Call, State};
use crate::program::failure::Fault;
use crate::program::server::{self, Server};
use crate::sys::clock::{self, NEVER};
use crate::sys::wait::{self, Status};

/// How often the end of workers that were killed is waited for so long.
const KILL_COUNT_MAX: usize = 5;

/// Processes that are taken away at once.
const REAP_COUNT_MAX: usize = 1024;

impl Api {
    /// Takes away what has ended.
    pub(super) fn reap(&mut self) {
        self.supervisor.forget_ends();
        for _ in 0..REAP_COUNT_MAX {
            let Ok(Some(end)) = wait::ended(None) else {
                break;
            };
            if let Some(worker) = self.workers.of_process(end.process) {
                self.bury(worker, end.status);
            }
            // There is no way for it to fail.
            let _ = wait::reap(end.process);
        }
    }

    /// The process of a worker has ended. What it has said before counts, even if its end was heard of first.
    pub(super) fn bury(&mut self, worker: usize, status: Status) {
        let call = self.desk.call_of(worker);
        self.workers.bury(worker, status, call.as_deref());
        for _ in 0..WORKER_CONN_COUNT_MAX {
            self.accept(worker);
            self.save_answer(worker);
        }
        for index in 0..self.connections.len() {
            let connection = at(&mut self.connections, index);
            if connection.is_some_and(|connection| connection.worker == worker) {
                self.serve(index);
                self.save_answer(worker);
            }
        }
        let call = self.desk.call_of(worker);
        let mark = self
            .workers
            .program
            .mark(call.as_deref().map_or(b"", Call::id));
        if let Some(its) = self.workers.at(worker) {
            its.server.drain_log(mark);
        }
        self.desk.vacate(worker);
        // What it has sent of an answer in pieces is still there to be read.
        let its = self.workers.at(worker).filter(|its| !its.is_collecting);
        let (mut stream, mut is_begun) = (its.as_ref().and_then(|its| its.stream), false);
        if let Some(its) = its {
            is_begun = stream.is_some() && its.answer.is_none();
            // Whoever waits for more was not told of what has come by now.
            its.is_due |= is_begun;
        }
        match self.desk.call_of(worker) {
            Some(call) if call.state == State::Runs && !is_begun => {
                call.state = State::Ended;
                call.fault = call.fault.filter(|fault| *fault != Fault::Truncated);
            }
            Some(_) => {}
            None => stream = None,
        }
        if stream.is_none() {
            self.end_stream(worker, false);
        }
        for (index, place) in self.connections.iter_mut().enumerate() {
            let is_its = |connection: &Connection| connection.worker == worker;
            if place.as_ref().is_some_and(is_its) && stream != Some(index) {
                *place = None;
            }
        }
        if self.workers.program.is_hopeless() {
            for call in self.desk.calls.iter_mut() {
                if call.state == State::Waits {
                    (call.state, call.worker) = (State::Ended, worker);
                }
            }
        }
        self.has_due = true;
        self.supervisor.alarm(clock::monotonic_ms());
    }

    /// What a worker has answered lies in memory of its own from now on: others are about to be read to the shared place.
    pub(super) fn save_answer(&mut self, worker: usize) {
        self.owed = None;
        let Some(its) = self.workers.at(worker) else {
            return;
        };
        let Some(answer) = &mut its.answer else {
            return;
        };
        if answer.memory.is_none() && answer.own(&self.shared[..], answer.end).is_err() {
            its.answer = None;
        }
    }

    /// Does what is due by now, and sets when something is next.
    pub(super) fn tick(&mut self) {
        let now_ms = clock::monotonic_ms();
        self.has_due = true;
        for spare in [&mut self.spare, &mut self.spare_input, &mut self.unescaped] {
            spare.take_if(|memory| memory.len() > SPARE_BYTES_MAX);
        }
        let (mut next_ms, has_waited) = self.time_out(now_ms);
        for worker in 0..self.workers.len() {
            // One that has not asked again for so long does not.
            if has_waited
                && self.is_stuck(worker)
                && let Some(its) = self.workers.at(worker)
            {
                its.server.terminate(now_ms + MARGIN_MS_MAX / 2);
            }
            if self
                .workers
                .at(worker)
                .is_some_and(|its| its.server.is_told)
            {
                self.desk.dismiss(worker);
                // Nobody waits for the rest of its answer.
                if self.desk.call_of(worker).is_none() {
                    self.end_stream(worker, false);
                }
            }
            next_ms = next_ms.min(self.workers.tick(worker, now_ms, &self.supervisor));
        }
        for place in self.connections.iter_mut() {
            let until_ms = place.as_ref().map_or(NEVER, |open| open.until_ms);
            if until_ms <= now_ms {
                *place = None;
            } else {
                next_ms = next_ms.min(until_ms);
            }
        }
        self.supervisor.set(next_ms);
    }

    /// Fails the calls whose time is over, and tells their workers to end. Returns when the next is due, and whether one of
    /// them has waited for a worker.
    fn time_out(&mut self, now_ms: u64) -> (u64, bool) {
        let (mut next_ms, mut has_waited) = (NEVER, false);
        for call in self.desk.calls.iter_mut() {
            if !matches!(call.state, State::Waits | State::Runs) {
                continue;
            }
            if call.signal_ms > now_ms {
                next_ms = next_ms.min(call.signal_ms);
                continue;
            }
            has_waited |= call.state == State::Waits;
            call.signal_ms = NEVER;
            let its = self.workers.at(call.worker);
            let its = its.filter(|_| call.fault.is_none());
            call.fault.get_or_insert(Fault::TimedOut);
            let Some(its) = its else {
                call.state = State::Ended;
                continue;
            };
            its.server.terminate(now_ms + call.margin_ms / 2);
            let is_begun = its.stream.is_some() && its.answer.is_none();
            its.is_due = is_begun && its.is_waiting && call.number > 0;
            its.is_waiting = false;
            if !is_begun || call.number == 0 {
                call.state = State::Ended;
            } else if !its.is_due {
                // It fails when the next piece is asked for: that may be never, and its worker does not wait for it.
                call.worker = calls::NO_WORKER;
            }
        }
        (next_ms, has_waited)
    }

    /// Whether a worker neither has a call nor asks for one.
    pub(super) fn is_stuck(&mut self, worker: usize) -> bool {
        let is_ready =
            |its: &mut Worker| its.server.phase == server::Phase::Ready && its.server.is_alive();
        self.workers.at(worker).is_some_and(is_ready)
            && !self.desk.waits(worker)
            && self.desk.call_of(worker).is_none_or(|call| call.is_over())
    }

    /// Ends the workers: they are asked to, and a moment later they are killed.
    pub fn end(&mut self) {
        let end_ms = clock::monotonic_ms() + MARGIN_MS_MAX;
        self.workers.each(|server| server.terminate(end_ms));
        let mut kill_count = 0;
        while kill_count <= KILL_COUNT_MAX && self.workers.are_alive() {
            let mut left_ms = end_ms.saturating_sub(clock::monotonic_ms());
            if left_ms == 0 {
                self.workers.each(Server::kill);
                left_ms = BURIAL_MS;
                kill_count += 1;
            }
            self.batch.wait(&self.supervisor, left_ms);
            for worker in 0..self.workers.len() {
                self.read_log(worker);
            }
            self.reap();
        }
    }
}
