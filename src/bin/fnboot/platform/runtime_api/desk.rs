//! The platform's side of the contract, as a state machine: no sockets, no clock, no texts.
//!
//! ```text
//! phase: Starting ──ready──► Serving ──unknown mode──► Wedged
//!            └──init or restore error──► Failed
//!
//! event: Queued ──next──► Delivered ──response, error──► Answering ──whole──► settled
//!            └──── a broken connection ───┘ └─ next again: the same, unless there are many at a time
//! ```
//! Invariant: an event is settled once, by whoever comes first, and an answer is claimed before its body
//! is read, so that a second answer is refused even while the first is on its way.

use super::answer::{Answer, Tap};
use super::counters::{Count, Counters};
use super::dialect::{Ready, Which};
use super::failure::{Failure, Reported};
use hyper::HeaderMap;
use hyper::body::Bytes;
use hyper::header::HeaderValue;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use tokio::sync::{Notify, oneshot};

/// How many settled events are remembered, to tell a second answer from one to an event that never was.
const SETTLED_COUNT_MAX: usize = 64;

/// What the program asked and may not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    NotFound,
    /// Not in this phase.
    WrongPhase(Phase),
    /// The event has its answer.
    Answered,
    UnknownId,
    /// The header that must come back did not.
    NotEchoed(&'static str),
    UnknownMode(String),
    TooLarge {
        bytes_max: usize,
    },
    Truncated,
    /// A body is needed, whatever it is.
    EmptyBody,
    /// An extension asked; the platform has a type and a message for each case.
    Extension(&'static str, String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Starting,
    /// As `Starting`, with the snapshot taken and restored.
    Restored,
    Serving,
    Failed,
    Wedged,
}

/// One event as the program gets it.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) request_id: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) tap: Option<Tap>,
}

/// How an event was settled.
pub(crate) type Settled = Result<Answer, Failure>;

struct Entry {
    event: Rc<Event>,
    state: State,
    delivery_count: u64,
    sender: oneshot::Sender<Settled>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Queued,
    Delivered,
    Answering,
}

pub(crate) struct Desk {
    ready: Ready,
    order: Order,
    counters: Rc<Counters>,
    phase: Cell<Phase>,
    start_error: RefCell<Option<Reported>>,
    entries: RefCell<Vec<Entry>>,
    settled: RefCell<VecDeque<String>>,
    /// Questions for an event that wait.
    waiting_count: Cell<usize>,
    has_extension: Cell<bool>,
    changed: Notify,
}

/// What a question for an event gets while another event is out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// That event again.
    OneByOne,
    /// A new one.
    ManyAtATime,
}

impl Desk {
    pub(crate) fn new(ready: Ready, order: Order, counters: Rc<Counters>) -> Self {
        Self {
            ready,
            order,
            counters,
            phase: Cell::new(Phase::Starting),
            start_error: RefCell::default(),
            entries: RefCell::default(),
            settled: RefCell::default(),
            waiting_count: Cell::default(),
            has_extension: Cell::default(),
            changed: Notify::new(),
        }
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.counters
    }

    pub(crate) fn phase(&self) -> Phase {
        self.phase.get()
    }

    /// Whether the program asked to be told of its end.
    pub(crate) fn has_extension(&self) -> bool {
        self.has_extension.get()
    }

    fn enter(&self, phase: Phase) {
        self.phase.set(phase);
        self.changed.notify_waiters();
    }

    /// Waits until `look` finds something; it is asked again after every change.
    async fn wait_for<T>(&self, look: impl Fn() -> Option<T>) -> T {
        loop {
            // Made before the look, so that no change falls between.
            let changed = self.changed.notified();
            if let Some(found) = look() {
                return found;
            }
            changed.await;
        }
    }

    // The platform's side.

    /// Waits until the program is ready for events, or says that it never will be.
    pub(crate) async fn started(&self) -> Result<(), Reported> {
        self.wait_for(|| match self.phase.get() {
            Phase::Starting | Phase::Restored => None,
            Phase::Serving | Phase::Wedged => Some(Ok(())),
            Phase::Failed => self.start_error.borrow().clone().map(Err),
        })
        .await
    }

    /// Queues an event; how it was settled comes later.
    pub(crate) fn submit(&self, event: Event) -> oneshot::Receiver<Settled> {
        let (sender, receiver) = oneshot::channel();
        self.entries.borrow_mut().push(Entry {
            event: Rc::new(event),
            state: State::Queued,
            delivery_count: 0,
            sender,
        });
        self.counters.add(Count::Submitted);
        self.changed.notify_waiters();
        receiver
    }

    /// Waits until the program asks for an event and there is none.
    pub(crate) async fn resting(&self) {
        self.wait_for(|| (self.waiting_count.get() > 0).then_some(()))
            .await;
    }

    /// Settles an event, if nobody has.
    pub(crate) fn settle(&self, request_id: &str, result: Settled) {
        let mut entries = self.entries.borrow_mut();
        let Some(index) = entries
            .iter()
            .position(|entry| entry.event.request_id == request_id)
        else {
            return;
        };
        let entry = entries.remove(index);
        drop(entries);
        self.counters.add(match &result {
            Ok(_) => Count::Answered,
            Err(Failure::Reported(_)) => Count::Errors,
            Err(_) => Count::Failed,
        });
        let mut settled = self.settled.borrow_mut();
        settled.push_back(request_id.to_owned());
        if settled.len() > SETTLED_COUNT_MAX {
            settled.pop_front();
        }
        // A caller who no longer waits needs no result.
        let _ = entry.sender.send(result);
        self.changed.notify_waiters();
    }

    // The program's side.

    /// It says that it is ready. Saying so again means nothing.
    pub(crate) fn ready(&self) {
        if self.phase.get() == Phase::Starting {
            self.enter(Phase::Serving);
        }
    }

    /// It holds an extension.
    pub(crate) fn register_extension(&self) {
        self.has_extension.set(true);
    }

    /// It waits for the snapshot to be restored, which is at once.
    pub(crate) fn restore(&self) -> Result<(), Refusal> {
        self.check_phase(Phase::Starting)?;
        self.enter(Phase::Restored);
        Ok(())
    }

    /// It cannot start: before the snapshot in phase `Starting`, after it in `Restored`.
    pub(crate) fn fail_start(&self, during: Phase, error: Reported) -> Result<(), Refusal> {
        self.check_phase(during)?;
        self.start_error.replace(Some(error));
        self.enter(Phase::Failed);
        Ok(())
    }

    /// It asks for an event, and waits for one as long as it takes.
    pub(crate) async fn next(&self) -> Result<Rc<Event>, Refusal> {
        let phase = self.phase.get();
        if self.ready == Ready::Next && matches!(phase, Phase::Starting | Phase::Restored) {
            self.enter(Phase::Serving);
        }
        let mut waiting = None;
        loop {
            let changed = self.changed.notified();
            self.check_phase(Phase::Serving)?;
            if let Some(event) = self.deliver() {
                return Ok(event);
            }
            if waiting.is_none() {
                waiting = Some(Waiting::begin(self));
            }
            changed.await;
        }
    }

    /// A connection broke with this event on it: it goes to whoever asks next.
    pub(crate) fn redeliver(&self, request_id: &str) {
        for entry in &mut *self.entries.borrow_mut() {
            if entry.event.request_id == request_id && entry.state == State::Delivered {
                entry.state = State::Queued;
            }
        }
        self.changed.notify_waiters();
    }

    /// It begins to answer. Whoever holds the claim settles the event.
    pub(crate) fn claim(
        self: &Rc<Self>,
        which: &Which,
        echo: Option<(&'static str, Option<&HeaderValue>)>,
    ) -> Result<Claim, Refusal> {
        self.check_phase(Phase::Serving)?;
        let mut entries = self.entries.borrow_mut();
        let is_meant = |entry: &&mut Entry| match which {
            Which::Current => entry.delivery_count > 0,
            Which::Id(id) => entry.event.request_id == *id && entry.delivery_count > 0,
        };
        let Some(entry) = entries.iter_mut().find(is_meant) else {
            return Err(self.refuse_unknown(which));
        };
        if entry.state == State::Answering {
            return Err(Refusal::Answered);
        }
        if let Some((name, echoed)) = echo {
            let given = entry.event.headers.get(name);
            if given.is_some() && given != echoed {
                return Err(Refusal::NotEchoed(name));
            }
        }
        entry.state = State::Answering;
        Ok(Claim {
            desk: Rc::clone(self),
            event: Rc::clone(&entry.event),
        })
    }

    /// It broke the contract in a way that the platform does not recover from.
    pub(crate) fn wedge(&self) {
        self.enter(Phase::Wedged);
    }

    fn check_phase(&self, wanted: Phase) -> Result<(), Refusal> {
        let phase = self.phase.get();
        if phase == wanted {
            Ok(())
        } else {
            Err(Refusal::WrongPhase(phase))
        }
    }

    fn refuse_unknown(&self, which: &Which) -> Refusal {
        let settled = self.settled.borrow();
        match which {
            Which::Current if settled.is_empty() => Refusal::UnknownId,
            Which::Id(id) if !settled.contains(id) => Refusal::UnknownId,
            _ => Refusal::Answered,
        }
    }

    fn deliver(&self) -> Option<Rc<Event>> {
        let mut entries = self.entries.borrow_mut();
        let in_state = |state| entries.iter().position(|entry| entry.state == state);
        let index = in_state(State::Queued).or_else(|| match self.order {
            Order::OneByOne => in_state(State::Delivered),
            Order::ManyAtATime => None,
        })?;
        let entry = &mut entries[index];
        entry.state = State::Delivered;
        entry.delivery_count += 1;
        self.counters.add(if entry.delivery_count == 1 {
            Count::Delivered
        } else {
            Count::Replayed
        });
        Some(Rc::clone(&entry.event))
    }
}

/// The right to settle an event. Dropped without doing so, the answer broke off.
pub(crate) struct Claim {
    desk: Rc<Desk>,
    event: Rc<Event>,
}

impl Claim {
    pub(crate) fn event(&self) -> &Event {
        &self.event
    }

    pub(crate) fn settle(self, result: Settled) {
        self.desk.settle(&self.event.request_id, result);
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.desk
            .settle(&self.event.request_id, Err(Failure::Truncated));
    }
}

/// Counts a waiting question, until it is answered or its connection is gone.
struct Waiting<'a>(&'a Desk);

impl<'a> Waiting<'a> {
    fn begin(desk: &'a Desk) -> Self {
        desk.waiting_count.set(desk.waiting_count.get() + 1);
        desk.changed.notify_waiters();
        Self(desk)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting_count.set(self.0.waiting_count.get() - 1);
    }
}

#[cfg(test)]
mod tests {
    use super::super::answer::Mode;
    use super::*;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    fn desk(ready: Ready, order: Order) -> Rc<Desk> {
        Rc::new(Desk::new(ready, order, Rc::default()))
    }

    fn event(id: &str) -> Event {
        Event {
            request_id: id.to_owned(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
            tap: None,
        }
    }

    fn answer(body: &'static str) -> Answer {
        Answer {
            mode: Mode::Buffered,
            content_type: None,
            body: Bytes::from_static(body.as_bytes()),
            late_error: None,
        }
    }

    /// What is known at once.
    fn poll<T>(future: impl Future<Output = T>) -> Option<T> {
        match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(value) => Some(value),
            Poll::Pending => None,
        }
    }

    /// Asks for an event; its id, none if that waits.
    fn next(desk: &Desk) -> Option<String> {
        let event = poll(desk.next())?.unwrap();
        Some(event.request_id.clone())
    }

    fn claim(desk: &Rc<Desk>, id: &str) -> Result<Claim, Refusal> {
        desk.claim(&Which::Id(id.to_owned()), None)
    }

    #[test]
    fn an_unanswered_event_comes_again() {
        let desk = desk(Ready::Next, Order::OneByOne);
        let _a = desk.submit(event("a"));
        assert_eq!(next(&desk).as_deref(), Some("a"));
        assert_eq!(next(&desk).as_deref(), Some("a"));
        claim(&desk, "a").unwrap().settle(Ok(answer("x")));
        assert_eq!(next(&desk), None);
        let counters = desk.counters();
        assert_eq!(counters.get(Count::Delivered), 1);
        assert_eq!(counters.get(Count::Replayed), 1);
    }

    #[test]
    fn many_at_a_time_get_each_its_own_until_a_connection_breaks() {
        let desk = desk(Ready::Next, Order::ManyAtATime);
        let _a = desk.submit(event("a"));
        let _b = desk.submit(event("b"));
        assert_eq!(next(&desk).as_deref(), Some("a"));
        assert_eq!(next(&desk).as_deref(), Some("b"));
        assert_eq!(next(&desk), None);
        desk.redeliver("b");
        assert_eq!(next(&desk).as_deref(), Some("b"));
        assert_eq!(next(&desk), None);
    }

    #[test]
    fn the_first_answer_is_locked() {
        let desk = desk(Ready::Next, Order::OneByOne);
        let mut settled = desk.submit(event("a"));
        assert_eq!(
            claim(&desk, "a").err(),
            Some(Refusal::WrongPhase(Phase::Starting))
        );
        next(&desk);
        let first = claim(&desk, "a").unwrap();
        assert_eq!(claim(&desk, "a").err(), Some(Refusal::Answered));
        first.settle(Ok(answer("first")));
        assert_eq!(claim(&desk, "a").err(), Some(Refusal::Answered));
        assert_eq!(claim(&desk, "b").err(), Some(Refusal::UnknownId));
        let current = desk.claim(&Which::Current, None).err();
        assert_eq!(current, Some(Refusal::Answered));
        assert_eq!(settled.try_recv().unwrap().unwrap(), answer("first"));
    }

    #[test]
    fn an_answer_comes_after_its_event() {
        let desk = desk(Ready::Next, Order::OneByOne);
        next(&desk);
        let _a = desk.submit(event("a"));
        assert_eq!(claim(&desk, "a").err(), Some(Refusal::UnknownId));
    }

    #[test]
    fn a_dropped_claim_is_an_answer_cut_short() {
        let desk = desk(Ready::Next, Order::OneByOne);
        let mut settled = desk.submit(event("a"));
        next(&desk);
        drop(claim(&desk, "a").unwrap());
        let result = settled.try_recv().unwrap();
        assert!(matches!(result, Err(Failure::Truncated)), "{result:?}");
    }

    #[test]
    fn what_must_come_back_must_come_back() {
        const NAME: &str = "x-id";
        let desk = desk(Ready::Next, Order::ManyAtATime);
        let value = HeaderValue::from_static("1");
        let mut given = event("a");
        given.headers.insert(NAME, value.clone());
        let _a = desk.submit(given);
        next(&desk);
        let which = Which::Id("a".to_owned());
        let without = desk.claim(&which, Some((NAME, None))).err();
        assert_eq!(without, Some(Refusal::NotEchoed(NAME)));
        assert!(desk.claim(&which, Some((NAME, Some(&value)))).is_ok());
    }

    #[test]
    fn some_must_say_that_they_are_ready() {
        let desk = desk(Ready::Call, Order::OneByOne);
        let refusal = poll(desk.next()).unwrap().err();
        assert_eq!(refusal, Some(Refusal::WrongPhase(Phase::Starting)));
        assert_eq!(poll(desk.started()), None);
        desk.ready();
        assert_eq!(poll(desk.started()), Some(Ok(())));
        assert_eq!(next(&desk), None);
    }

    #[test]
    fn a_start_fails_once_and_only_before_the_first_event() {
        let error = || Reported {
            error_type: None,
            body: Bytes::new(),
        };
        let desk = desk(Ready::Next, Order::OneByOne);
        desk.restore().unwrap();
        let early = desk.fail_start(Phase::Starting, error());
        assert_eq!(early, Err(Refusal::WrongPhase(Phase::Restored)));
        desk.fail_start(Phase::Restored, error()).unwrap();
        assert_eq!(poll(desk.started()), Some(Err(error())));
        let again = desk.fail_start(Phase::Restored, error());
        assert_eq!(again, Err(Refusal::WrongPhase(Phase::Failed)));
        assert!(poll(desk.next()).unwrap().is_err());
    }

    #[test]
    fn a_wedged_program_gets_nothing_more() {
        let desk = desk(Ready::Next, Order::OneByOne);
        next(&desk);
        desk.wedge();
        let refusal = poll(desk.next()).unwrap().err();
        assert_eq!(refusal, Some(Refusal::WrongPhase(Phase::Wedged)));
    }

    #[test]
    fn resting_is_waiting_for_an_event() {
        let desk = desk(Ready::Next, Order::OneByOne);
        assert_eq!(poll(desk.resting()), None);
        let mut waiting = Box::pin(desk.next());
        assert!(poll(waiting.as_mut()).is_none());
        assert_eq!(poll(desk.resting()), Some(()));
        drop(waiting);
        assert_eq!(poll(desk.resting()), None);
    }
}
