//! Pairs calls and workers: which call goes to which worker, and whose answer is whose. It does no I/O.
//!
//! ```text
//!             paired with a call            answers            all of it is there
//!   Free ───────────────────────▶ Holds ──────────▶ Answers ──────────────────────▶ Done
//!    ▲                            └─ asks again: the same event                      │
//!    └─────────────────────────────────── asks ──────────────────────────────────────┘
//! ```
//!
//! Both sides wait: a call for a worker that is free, and a worker's question, which is a connection here, for a call. A
//! worker has one call at a time. What it asks for while it has one is that one again, because a client that has lost the
//! event asks again; the first answer to it counts.

use core::mem::MaybeUninit;

use crate::bytes;
use crate::limits::{PROCESS_COUNT_MAX, REQUEST_ID_BYTES_MAX, WORKER_CONN_COUNT_MAX};
use crate::program::calls::{Call, Calls, State};
use crate::sys::memory::List;

/// Calls, workers and questions.
#[derive(Debug)]
pub struct Desk {
    pub calls: Calls,
    seats: List<Seat>,
    /// Where events are waited for, the oldest first.
    questions: List<Pair>,
}

/// A worker, as far as it matters which call it has.
#[derive(Debug)]
struct Seat {
    stage: Stage,
    /// The event that it has, or had last.
    id: Id,
}

/// What a worker does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Nothing.
    Free,
    /// It has an event.
    Holds,
    /// Its answer is on its way.
    Answers,
    /// It has answered, and has not asked again.
    Done,
}

/// What an event is known by.
#[derive(Clone, Copy, Debug)]
struct Id {
    bytes: [u8; REQUEST_ID_BYTES_MAX],
    len: usize,
}

impl Id {
    const NONE: Self = Self {
        bytes: [0; REQUEST_ID_BYTES_MAX],
        len: 0,
    };

    fn set(&mut self, id: &[u8]) {
        bytes::copy(&mut self.bytes, id);
        self.len = id.len().min(REQUEST_ID_BYTES_MAX);
    }

    fn get(&self) -> &[u8] {
        bytes::slice(&self.bytes, 0..self.len)
    }
}

/// Why an answer is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The worker has no such event.
    Unknown,
    /// It is answered already, or it is too late.
    Again,
}

/// A connection on which a worker asks for an event, or on which it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair {
    pub worker: usize,
    pub connection: usize,
}

/// No connection asks twice at a time.
pub const CONN_COUNT_MAX: usize = PROCESS_COUNT_MAX * WORKER_CONN_COUNT_MAX;

/// Where workers and questions are.
#[derive(Debug)]
pub struct Places {
    seats: [MaybeUninit<Seat>; PROCESS_COUNT_MAX],
    questions: [MaybeUninit<Pair>; CONN_COUNT_MAX],
}

impl Places {
    #[allow(clippy::large_stack_arrays, reason = "the initial value of one static")]
    pub const EMPTY: Self = Self {
        seats: [const { MaybeUninit::uninit() }; PROCESS_COUNT_MAX],
        questions: [const { MaybeUninit::uninit() }; CONN_COUNT_MAX],
    };
}

impl Desk {
    /// No call and no worker yet.
    pub fn new(calls: Calls, places: &'static mut Places) -> Self {
        Self::with(calls, &mut places.seats, &mut places.questions)
    }

    fn with(
        calls: Calls,
        seats: &'static mut [MaybeUninit<Seat>],
        questions: &'static mut [MaybeUninit<Pair>],
    ) -> Self {
        Self {
            calls,
            seats: List::new(seats),
            questions: List::new(questions),
        }
    }

    /// One worker more: its number is how many there were.
    pub fn add_worker(&mut self) {
        let (stage, id) = (Stage::Free, Id::NONE);
        self.seats.push(Seat { stage, id });
    }

    /// The call that has waited longest and the worker that has, of those that are free, if there are both: the worker has
    /// the call from now on.
    pub fn pair(&mut self) -> Option<Pair> {
        self.calls.next_waiting()?;
        // The last call of a worker may not be told of yet.
        let is_free = |question: &&Pair| {
            let seat = self.seats.get(question.worker);
            let mut calls = self.calls.iter();
            seat.is_some_and(|seat| seat.stage == Stage::Free)
                && calls.all(|call| call.worker != question.worker || call.is_over())
        };
        let worker = self.questions.iter().find(is_free)?.worker;
        // Its newest question: a client that has given up on one and asks again may not have closed the older.
        let mut questions = self.questions.iter().rev();
        let pair = *questions.find(|question| question.worker == worker)?;
        self.leave(pair.connection);
        let call = self.calls.next_waiting()?;
        let seat = self.seats.get_mut(pair.worker)?;
        (call.state, call.worker) = (State::Runs, pair.worker);
        seat.stage = Stage::Holds;
        seat.id.set(call.id());
        Some(pair)
    }

    /// A worker asks for an event on a connection. What it has and has not answered is sent again at once; else the question
    /// waits until it is paired.
    pub fn ask(&mut self, worker: usize, connection: usize) -> Option<Pair> {
        let pair = Pair { worker, connection };
        let seat = self.seats.get_mut(worker)?;
        if seat.stage == Stage::Holds {
            return Some(pair);
        }
        if seat.stage == Stage::Done {
            seat.stage = Stage::Free;
        }
        // There is a place for each connection.
        self.questions.push(pair);
        None
    }

    /// Another question of a worker that has an event which did not reach it.
    pub fn ask_again(&mut self, worker: usize) -> Option<Pair> {
        let seat = self.seats.get(worker)?;
        let mut questions = self.questions.iter();
        let pair = *questions.find(|question| question.worker == worker)?;
        if seat.stage != Stage::Holds {
            return None;
        }
        self.leave(pair.connection);
        Some(pair)
    }

    /// Nobody asks on that connection any more.
    pub fn leave(&mut self, connection: usize) {
        self.questions
            .retain(|question| question.connection != connection);
    }

    /// Whether a worker waits for an event.
    pub fn waits(&self, worker: usize) -> bool {
        let mut questions = self.questions.iter();
        questions.any(|question| question.worker == worker)
    }

    /// A worker begins to answer: the event that it has, if it does not say which.
    ///
    /// # Errors
    /// It has no such event, or somebody was faster.
    pub fn claim(&mut self, worker: usize, id: Option<&[u8]>) -> Result<(), Refused> {
        let seat = self.seats.get_mut(worker).ok_or(Refused::Unknown)?;
        if seat.stage == Stage::Free || id.is_some_and(|id| id != seat.id.get()) {
            return Err(Refused::Unknown);
        }
        // Nobody waits for the answer of a call that has failed. One whose caller has left has not.
        let call = live(&mut self.calls, worker);
        if seat.stage != Stage::Holds || call.is_none_or(|call| call.fault.is_some()) {
            return Err(Refused::Again);
        }
        seat.stage = Stage::Answers;
        Ok(())
    }

    /// A worker has answered, or will not. Returns its call.
    pub fn settle(&mut self, worker: usize) -> Option<&mut Call> {
        // One that asks on several connections has asked already.
        let stage = if self.waits(worker) {
            Stage::Free
        } else {
            Stage::Done
        };
        let seat = self.seats.get_mut(worker)?;
        seat.stage = stage;
        let call = live(&mut self.calls, worker)?;
        call.state = State::Ended;
        Some(call)
    }

    /// The call that a worker has, or whose answer it keeps.
    pub fn call_of(&mut self, worker: usize) -> Option<&mut Call> {
        live(&mut self.calls, worker)
    }

    /// A worker is about to end: it has no other event, even if it has asked for one.
    pub fn dismiss(&mut self, worker: usize) {
        self.questions.retain(|question| question.worker != worker);
    }

    /// A worker has ended: it has no event any more, and asks for none.
    pub fn vacate(&mut self, worker: usize) {
        if let Some(seat) = self.seats.get_mut(worker) {
            seat.stage = Stage::Free;
        }
        self.dismiss(worker);
    }
}

#[inline(never)]
fn live(calls: &mut Calls, worker: usize) -> Option<&mut Call> {
    let mut calls = calls.iter_mut();
    calls.find(|call| call.worker == worker && !call.is_over())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::calls::Task;
    use crate::program::failure::Fault;
    use crate::sys::memory::Mapping;
    use proptest::prelude::*;
    use std::collections::BTreeMap;
    use std::string::{String, ToString};
    use std::vec::Vec;

    fn place<T>(count: usize) -> &'static mut [MaybeUninit<T>] {
        let mut place = Vec::new();
        place.resize_with(count, MaybeUninit::uninit);
        place.leak()
    }

    /// A desk with so many workers.
    fn desk(worker_count: usize) -> Desk {
        let mut desk = Desk::with(Calls::new(place(256)), place(8), place(256));
        for _ in 0..worker_count {
            desk.add_worker();
        }
        desk
    }

    /// A call, whose id is its number.
    fn add(desk: &mut Desk, number: u64) {
        let id = number.to_string();
        let mut memory = Mapping::new(64).expect("memory");
        bytes::copy(&mut memory, id.as_bytes());
        let parts = [id.len(), 0, 0, 0];
        let call = Call::with(number, Task::Invoke, memory, parts, false, 1000);
        desk.calls.add(call).expect("room");
    }

    #[allow(
        clippy::unnecessary_wraps,
        reason = "what it is compared with is an option"
    )]
    fn pair(worker: usize, connection: usize) -> Option<Pair> {
        Some(Pair { worker, connection })
    }

    fn claim(desk: &mut Desk, worker: usize, id: &str) -> Result<(), Refused> {
        desk.claim(worker, Some(id.as_bytes()))
    }

    /// The answer of a worker is taken by whoever waits for it.
    fn take(desk: &mut Desk, worker: usize) -> u64 {
        let call = desk.settle(worker).expect("a call");
        core::mem::take(&mut call.number)
    }

    #[test]
    fn a_call_waits_for_a_worker_and_a_worker_for_a_call() {
        let mut desk = desk(1);
        add(&mut desk, 1);
        assert_eq!(desk.pair(), None);
        assert_eq!(desk.ask(0, 7), None);
        assert!(desk.waits(0));
        assert_eq!(desk.pair(), pair(0, 7));
        assert!(!desk.waits(0));
        assert_eq!(desk.pair(), None);
        assert_eq!(claim(&mut desk, 0, "1"), Ok(()));
        assert_eq!(take(&mut desk, 0), 1);
        // The other way round.
        assert_eq!(desk.ask(0, 7), None);
        add(&mut desk, 2);
        assert_eq!(desk.pair(), pair(0, 7));
    }

    #[test]
    fn the_oldest_of_both_are_paired() {
        let mut desk = desk(2);
        for connection in [5, 3] {
            assert_eq!(desk.ask(connection / 4, connection), None);
        }
        for number in [9, 8, 7] {
            add(&mut desk, number);
        }
        assert_eq!(desk.pair(), pair(1, 5));
        assert_eq!(desk.pair(), pair(0, 3));
        assert_eq!(desk.call_of(1).map(|call| call.number), Some(7));
        assert_eq!(desk.call_of(0).map(|call| call.number), Some(8));
        assert_eq!(desk.pair(), None);
    }

    #[test]
    fn an_event_that_is_not_answered_is_sent_again() {
        let mut desk = desk(1);
        add(&mut desk, 1);
        add(&mut desk, 2);
        desk.ask(0, 3);
        desk.ask(0, 4);
        // The newest question.
        assert_eq!(desk.pair(), pair(0, 4));
        // The older question still waits; a new one has the same event.
        assert_eq!(desk.pair(), None);
        assert_eq!(desk.ask(0, 5), pair(0, 5));
        // If its connection breaks, another one has it.
        assert_eq!(desk.ask_again(0), pair(0, 3));
        assert_eq!(desk.ask_again(0), None);
        assert_eq!(claim(&mut desk, 0, "1"), Ok(()));
        desk.ask(0, 4);
        assert_eq!(desk.ask_again(0), None);
        // While the answer is on its way there is nothing to send.
        assert_eq!(desk.ask(0, 5), None);
        assert_eq!(desk.pair(), None);
        assert_eq!(take(&mut desk, 0), 1);
        // It has asked already.
        assert_eq!(desk.pair(), pair(0, 5));
        assert!(desk.waits(0));
        desk.leave(4);
        assert!(!desk.waits(0));
    }

    #[test]
    fn the_first_answer_counts() {
        let mut desk = desk(2);
        assert_eq!(claim(&mut desk, 0, "1"), Err(Refused::Unknown));
        assert_eq!(claim(&mut desk, 9, "1"), Err(Refused::Unknown));
        assert_eq!(desk.claim(0, None), Err(Refused::Unknown));
        for number in [1, 2] {
            add(&mut desk, number);
        }
        desk.ask(0, 0);
        desk.ask(1, 1);
        assert_eq!([desk.pair(), desk.pair()], [pair(0, 0), pair(1, 1)]);
        assert_eq!(claim(&mut desk, 0, "2"), Err(Refused::Unknown));
        assert_eq!(claim(&mut desk, 0, ""), Err(Refused::Unknown));
        assert_eq!(claim(&mut desk, 0, "1"), Ok(()));
        assert_eq!(claim(&mut desk, 0, "1"), Err(Refused::Again));
        assert_eq!(take(&mut desk, 0), 1);
        assert_eq!(claim(&mut desk, 0, "1"), Err(Refused::Again));
        assert_eq!(desk.claim(0, None), Err(Refused::Again));
        // Once it asks for the next the last one is forgotten.
        desk.ask(0, 0);
        assert_eq!(claim(&mut desk, 0, "1"), Err(Refused::Unknown));
        assert_eq!(desk.claim(1, None), Ok(()));
    }

    #[test]
    fn an_answer_that_is_late_is_refused_and_one_without_a_caller_is_taken() {
        let mut desk = desk(2);
        for number in [1, 2] {
            add(&mut desk, number);
        }
        desk.ask(0, 0);
        desk.ask(1, 1);
        assert_eq!([desk.pair(), desk.pair()], [pair(0, 0), pair(1, 1)]);
        desk.call_of(0).expect("a call").fault = Some(Fault::TimedOut);
        assert_eq!(claim(&mut desk, 0, "1"), Err(Refused::Again));
        desk.call_of(1).expect("a call").number = 0;
        assert_eq!(claim(&mut desk, 1, "2"), Ok(()));
        assert_eq!(take(&mut desk, 1), 0);
        assert!(desk.call_of(1).is_none());
    }

    #[test]
    fn a_worker_that_has_ended_asks_for_nothing_and_its_successor_has_no_event() {
        let mut desk = desk(1);
        add(&mut desk, 1);
        desk.ask(0, 0);
        desk.ask(0, 1);
        assert_eq!(desk.pair(), pair(0, 1));
        desk.vacate(0);
        assert!(!desk.waits(0));
        assert_eq!(take(&mut desk, 0), 1);
        add(&mut desk, 2);
        assert_eq!(desk.pair(), None);
        desk.vacate(0);
        assert_eq!(desk.ask(0, 2), None);
        assert_eq!(claim(&mut desk, 0, "1"), Err(Refused::Unknown));
        assert_eq!(desk.pair(), pair(0, 2));
    }

    proptest! {
        /// Whatever workers do, each call is answered once, by a worker that had it.
        #[test]
        fn every_call_is_answered_once(acts in prop::collection::vec((0..6, 0..3usize), 0..200)) {
            let mut desk = desk(3);
            let (mut last, mut has) = (0, BTreeMap::new());
            let mut answered = Vec::new();
            for (act, worker) in acts {
                match act {
                    0 | 1 => {
                        last += 1;
                        add(&mut desk, last);
                    }
                    2 | 3 => {
                        let again = desk.ask(worker, worker);
                        let holds = has.contains_key(&worker);
                        prop_assert_eq!(again, pair(worker, worker).filter(|_| holds));
                    }
                    4 => {
                        let id = has.get(&worker).map(|id: &u64| id.to_string());
                        let claimed = desk.claim(worker, id.as_deref().map(str::as_bytes));
                        prop_assert_eq!(claimed.is_ok(), id.is_some());
                        if let Some(id) = has.remove(&worker) {
                            prop_assert_eq!(take(&mut desk, worker), id);
                            answered.push(id);
                        }
                    }
                    _ => {
                        desk.leave(worker);
                        prop_assert!(!desk.waits(worker));
                    }
                }
                desk.calls.forget();
                while let Some(pair) = desk.pair() {
                    let call = desk.call_of(pair.worker).expect("its call").number;
                    prop_assert_eq!(has.insert(pair.worker, call), None);
                }
            }
            let waiting = desk.calls.waiting_count();
            prop_assert_eq!(answered.len() + has.len() + waiting, usize::try_from(last).expect("few"));
            answered.extend(has.values());
            answered.sort_unstable();
            answered.dedup();
            prop_assert_eq!(answered.len() + waiting, usize::try_from(last).expect("few"));
        }
    }

    #[test]
    fn long_ids_are_told_apart_by_their_beginning() {
        let mut desk = desk(1);
        let id: String = core::iter::repeat_n('x', REQUEST_ID_BYTES_MAX).collect();
        let mut seat = Id::NONE;
        seat.set((id.clone() + "more").as_bytes());
        assert_eq!(seat.get(), id.as_bytes());
        seat.set(b"1");
        assert_eq!(seat.get(), b"1");
        assert!(desk.call_of(0).is_none());
    }
}
