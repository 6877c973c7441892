//! Pairs calls and workers: which call goes to which worker, and whose answer is whose. It does no I/O.
//!
//! ```text
//!   call:   Waits ──▶ Runs ──────────────▶ Ended ──▶ answered
//!             ▲        │ ▲                   ▲
//!   worker:  Free ─────┴─┤ Holds ──────────▶ Answers ──▶ Done ── asks again ──▶ Free
//!                        └ asks again: the same event
//! ```
//!
//! Both sides wait: a call for a worker that is free, and a worker's question, which is a connection here, for a call. A worker has
//! one call at a time. What it asks for while it has one is that one again, because a client that has lost the event asks
//! again; the first answer to it counts.

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
    questions: List<Option<Question>>,
    /// How many questions there were so far.
    turn: u64,
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

/// A connection on which an event is asked for.
#[derive(Clone, Copy, Debug)]
struct Question {
    worker: usize,
    connection: usize,
    /// Those before it have a smaller one.
    turn: u64,
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

/// A connection on which the event of a worker's call is sent.
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
    questions: [MaybeUninit<Option<Question>>; CONN_COUNT_MAX],
}

impl Places {
    #[allow(clippy::large_const_arrays, reason = "the initial value of one static")]
    pub const EMPTY: Self = Self {
        seats: [const { MaybeUninit::uninit() }; PROCESS_COUNT_MAX],
        questions: [const { MaybeUninit::uninit() }; CONN_COUNT_MAX],
    };
}

impl Desk {
    /// No call and no worker yet.
    pub fn new(calls: Calls, places: &'static mut Places) -> Self {
        Self {
            calls,
            seats: List::new(&mut places.seats),
            questions: List::new(&mut places.questions),
            turn: 0,
        }
    }

    /// One worker more: its number is how many there were.
    pub fn add_worker(&mut self) {
        let (stage, id) = (Stage::Free, Id::NONE);
        self.seats.push(Seat { stage, id });
    }

    /// The call that has waited longest and the question that has, of a worker that is free, if there are both: the
    /// worker has the call from now on.
    pub fn pair(&mut self) -> Option<Pair> {
        self.calls.next_waiting()?;
        // The last call of a worker may not be told of yet.
        let is_free = |question: &&Question| {
            let seat = self.seats.get(question.worker);
            let mut calls = self.calls.iter();
            seat.is_some_and(|seat| seat.stage == Stage::Free)
                && calls.all(|call| call.worker != question.worker || call.is_over())
        };
        let questions = self.questions.iter().flatten().filter(is_free);
        let &Question {
            worker, connection, ..
        } = questions.min_by_key(|question| question.turn)?;
        self.leave(connection);
        let call = self.calls.next_waiting()?;
        let seat = self.seats.get_mut(worker)?;
        (call.state, call.worker) = (State::Runs, worker);
        seat.stage = Stage::Holds;
        seat.id.set(call.id());
        Some(Pair { worker, connection })
    }

    /// A worker asks for an event on a connection. What it has and has not answered is sent again at once; else the question
    /// waits until it is paired.
    pub fn ask(&mut self, worker: usize, connection: usize) -> Option<Pair> {
        let seat = self.seats.get_mut(worker)?;
        if seat.stage == Stage::Holds {
            return Some(Pair { worker, connection });
        }
        if seat.stage == Stage::Done {
            seat.stage = Stage::Free;
        }
        self.turn += 1;
        let question = Question {
            worker,
            connection,
            turn: self.turn,
        };
        let free = self.questions.iter().position(Option::is_none);
        match free.and_then(|index| self.questions.get_mut(index)) {
            Some(place) => *place = Some(question),
            // There is a place for each connection.
            None => drop(self.questions.push(Some(question))),
        }
        None
    }

    /// Nobody asks on that connection any more.
    pub fn leave(&mut self, connection: usize) {
        self.forget(|question| question.connection == connection);
    }

    fn forget(&mut self, is_over: impl Fn(&Question) -> bool) {
        for place in self.questions.iter_mut() {
            if place.as_ref().is_some_and(&is_over) {
                *place = None;
            }
        }
    }

    /// Whether a worker waits for an event.
    pub fn waits(&self, worker: usize) -> bool {
        let mut questions = self.questions.iter().flatten();
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
        if let Some(seat) = self.seats.get_mut(worker) {
            seat.stage = Stage::Done;
        }
        let call = live(&mut self.calls, worker)?;
        call.state = State::Ended;
        Some(call)
    }

    /// The call that a worker has, or whose answer it keeps.
    pub fn call_of(&mut self, worker: usize) -> Option<&mut Call> {
        live(&mut self.calls, worker)
    }

    /// A worker has ended: it has no event any more, and asks for none.
    pub fn vacate(&mut self, worker: usize) {
        if let Some(seat) = self.seats.get_mut(worker) {
            seat.stage = Stage::Free;
        }
        self.forget(|question| question.worker == worker);
    }
}

#[inline(never)]
fn live(calls: &mut Calls, worker: usize) -> Option<&mut Call> {
    let mut calls = calls.iter_mut();
    calls.find(|call| call.worker == worker && !call.is_over())
}
