//! The calls that programs answer, from the event to the answer.
//!
//! ```text
//!  begun ──▶ Waits ──▶ Runs ──▶ Ended ──▶ answered
//!              └─ cannot be started ──▶ Failed ──▲
//! ```
//!
//! A call that is answered, or that nobody waits for any more, has no number: it is forgotten once its worker
//! has ended it.

use core::mem::MaybeUninit;

use super::cgi;
use super::failure::Fault;
use super::settings::{Settings, Stay};
use super::variables::{self, CALL_BYTES_MAX, VARIABLE_BYTES_MAX, Variables};
use crate::bytes;
use crate::handler::{Context, Request};
use crate::limits::{CONN_COUNT_MAX, MARGIN_MS_MAX, MARGIN_MS_MIN, PROCESS_COUNT_MAX};
use crate::sys::clock;
use crate::sys::fd::Errno;
use crate::sys::memory::{List, Mapping};

/// A call.
#[derive(Debug)]
pub struct Call {
    /// Zero once it is answered, or nobody waits for the answer.
    pub number: u64,
    pub task: Task,
    pub state: State,
    /// The index of the worker that has it, or keeps its answer; [`NO_WORKER`] otherwise.
    pub worker: usize,
    pub fault: Option<Fault>,
    /// When its program is sent the next signal: on the monotonic clock, or `NEVER`.
    pub signal_ms: u64,
    /// How long the program has between the two signals.
    pub margin_ms: u64,
    /// Request id, variables, event.
    memory: Mapping,
    id_len: usize,
    variables_len: usize,
    /// Where in the memory the event begins.
    event_start: usize,
    event_len: usize,
    /// Whether its variables tell of a request.
    pub is_request: bool,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    Invoke,
    Initialize,
    PreStop,
}

impl Task {
    /// How an interpreter is asked for it.
    pub fn line(self) -> &'static [u8] {
        match self {
            Self::Invoke => b"invoke\n",
            Self::Initialize => b"initialize\n",
            Self::PreStop => b"pre_stop\n",
        }
    }
}

/// How far a call has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// For a worker.
    Waits,
    /// A worker has it.
    Runs,
    /// The same worker keeps the answer.
    Ended,
    /// There was no worker.
    Failed,
}

/// The index of none.
pub const NO_WORKER: usize = usize::MAX;

/// All calls that are not answered.
#[derive(Debug)]
pub struct Calls(List<Option<Call>>);

/// As many as there can be connections, and those that nobody waits for.
const CALL_COUNT_MAX: usize = CONN_COUNT_MAX + PROCESS_COUNT_MAX;

/// Where they are.
pub type Table = [MaybeUninit<Option<Call>>; CALL_COUNT_MAX];
#[allow(clippy::large_const_arrays, reason = "the initial value of one static")]
pub const EMPTY_TABLE: Table = [const { MaybeUninit::uninit() }; CALL_COUNT_MAX];

impl Calls {
    /// None yet.
    pub fn new(place: &'static mut [MaybeUninit<Option<Call>>]) -> Self {
        Self(List::new(place))
    }

    /// Another call.
    ///
    /// # Errors
    /// `EAGAIN` if there is no room.
    pub fn add(&mut self, call: Call) -> Result<&mut Call, Errno> {
        let (_, place) = self.0.vacancy().ok_or(Errno::AGAIN)?;
        Ok(place.insert(call))
    }

    pub fn iter(&self) -> impl Iterator<Item = &Call> {
        self.0.iter().flatten()
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Call> {
        self.0.iter_mut().flatten()
    }

    /// The call that the worker at `index` has, or whose answer it keeps.
    #[inline(never)]
    pub fn of_worker(&mut self, index: usize) -> Option<&mut Call> {
        self.iter_mut().find(|call| call.worker == index)
    }

    /// The call of that number.
    #[inline(never)]
    pub fn numbered(&mut self, number: u64) -> Option<&mut Call> {
        self.iter_mut().find(|call| call.number == number)
    }

    /// The call that waits for a worker longest.
    #[inline(never)]
    pub fn next_waiting(&mut self) -> Option<&mut Call> {
        let waiting = self.iter_mut().filter(|call| call.is_waiting());
        waiting.min_by_key(|call| call.number)
    }

    /// How many wait for a worker.
    pub fn waiting_count(&self) -> usize {
        self.iter().filter(|call| call.is_waiting()).count()
    }

    /// Forgets the calls that are over. Returns the memory of one of them.
    pub fn forget(&mut self) -> Option<Mapping> {
        let mut memory = None;
        for place in self.0.iter_mut() {
            if place.as_ref().is_some_and(Call::is_over) {
                memory = place.take().map(|call| call.memory);
            }
        }
        memory
    }
}

impl Call {
    /// A call that is put off.
    ///
    /// # Errors
    /// Out of memory, or what is told about the call does not fit an environment.
    #[inline(never)]
    pub fn new(
        number: u64,
        task: Task,
        settings: &Settings,
        event: &[u8],
        request: Option<&Request<'_>>,
        cx: &Context<'_>,
    ) -> Result<Self, Errno> {
        let stay = settings.stay;
        let id = cx.id();
        let room = id.len() + VARIABLES_BYTES_MAX + event.len();
        let mut memory = Mapping::new(room)?;
        bytes::copy(&mut memory, id);
        let place = bytes::slice_mut(&mut memory, id.len()..id.len() + VARIABLES_BYTES_MAX);
        // The environment of a process has NULs, the file of an interpreter lines.
        let end = if stay == Stay::OneEvent { 0 } else { b'\n' };
        let mut variables = Variables::new(place, end);
        variables::put_call(cx, &mut variables);
        match request {
            _ if stay == Stay::Resident => {}
            Some(request) => cgi::put_request(request, cx, &mut variables),
            None => variables::put_event(event, &mut variables),
        }
        let variables_len = variables.finish().len();
        let start = id.len() + variables_len;
        bytes::copy(bytes::slice_mut(&mut memory, start..room), event);
        let left_ms = cx.remaining_ms().unwrap_or(settings.timeout_ms);
        let parts = [id.len(), variables_len, start, event.len()];
        let is_request = request.is_some();
        Ok(Self::with(number, task, memory, parts, is_request, left_ms))
    }

    /// A call in whose memory are its id, of that length, what a program is told about it, and from that place on the event.
    /// Its deadline is in `left_ms`.
    pub fn with(
        number: u64,
        task: Task,
        memory: Mapping,
        [id_len, variables_len, event_start, event_len]: [usize; 4],
        is_request: bool,
        left_ms: u64,
    ) -> Self {
        let (signal_ms, margin_ms) = moments(left_ms);
        Self {
            number,
            task,
            state: State::Waits,
            worker: NO_WORKER,
            fault: None,
            signal_ms,
            margin_ms,
            memory,
            id_len,
            variables_len,
            event_start,
            event_len,
            is_request,
        }
    }

    /// What the platform tells about it: variables, each with a NUL or a line break behind it, or, for a program that asks,
    /// the head that the event is sent with.
    pub fn variables(&self) -> &[u8] {
        bytes::slice(&self.memory, self.id_len..self.id_len + self.variables_len)
    }

    pub fn event(&self) -> &[u8] {
        let range = self.event_start..self.event_start + self.event_len;
        bytes::slice(&self.memory, range)
    }

    /// The request id.
    pub fn id(&self) -> &[u8] {
        bytes::slice(&self.memory, 0..self.id_len)
    }

    /// No worker serves it.
    pub fn fail(&mut self, fault: Fault) {
        (self.state, self.fault) = (State::Failed, Some(fault));
    }

    fn is_waiting(&self) -> bool {
        self.state == State::Waits && self.number > 0
    }

    /// Whether nothing more comes of it, and nobody waits for its answer.
    pub fn is_over(&self) -> bool {
        self.number == 0 && self.state != State::Runs
    }

    /// Whether there is an answer that somebody waits for.
    pub fn is_due(&self) -> bool {
        self.number > 0 && matches!(self.state, State::Ended | State::Failed)
    }
}

/// Room for the variables of a call.
const VARIABLES_BYTES_MAX: usize = CALL_BYTES_MAX + cgi::REQUEST_BYTES_MAX + VARIABLE_BYTES_MAX;

/// When a program is told to end, and how long it then has: a tenth of the time that is left before the deadline, within
/// bounds.
fn moments(left_ms: u64) -> (u64, u64) {
    let margin_ms = (left_ms / 10).clamp(MARGIN_MS_MIN, MARGIN_MS_MAX);
    let end_ms = clock::monotonic_ms().saturating_add(left_ms.saturating_sub(margin_ms));
    (end_ms, margin_ms)
}
