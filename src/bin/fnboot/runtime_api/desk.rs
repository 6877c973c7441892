//! The platform's side of the contract, as a state machine: no sockets, no clock, no texts.
//!
//! ```text
//! phase: Starting ──ready──► Serving ──unknown mode──► Wedged
//!            └──init or restore error──► Failed
//!
//! event: Queued ──next──► Delivered ──response, error──► Answering ──whole──► settled
//!                           └─ next again: the same, unless there are many at a time
//! ```
//! Invariant: an event is settled once, by whoever comes first, and an answer is claimed before its body
//! is read, so that a second answer is refused even while the first is on its way.

use super::asks::{Phase, Refused, Which};
use crate::call::{Answer, Piece};
use crate::failure::{Reason, Reported};
use crate::readiness::Ready;
use hyper::HeaderMap;
use hyper::body::Bytes;
use hyper::header::HeaderValue;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use tokio::sync::{Notify, mpsc, oneshot};

/// How many settled events are remembered, to tell a second answer from one to an event that never was.
const SETTLED_COUNT_MAX: usize = 64;

/// One event as the program gets it.
pub(crate) struct Event {
    pub(crate) request_id: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) tap: Option<mpsc::Sender<Piece>>,
}

/// How an event was settled.
pub(crate) type Settled = Result<Answer, Reason>;

struct Entry {
    event: Rc<Event>,
    state: State,
    sender: oneshot::Sender<Settled>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Queued,
    Delivered,
    Answering,
}

pub(crate) struct Desk {
    ready: Ready,
    /// The program may hold several events. Otherwise a second `next` gets the unanswered event again.
    is_parallel: bool,
    phase: Cell<Phase>,
    start_error: RefCell<Option<Reported>>,
    entries: RefCell<Vec<Entry>>,
    settled: RefCell<VecDeque<String>>,
    /// Questions for an event that wait.
    waiting_count: Cell<usize>,
    pub(super) has_connection: Cell<bool>,
    pub(super) has_extension: Cell<bool>,
    changed: Notify,
}

impl Desk {
    pub(crate) fn new(ready: Ready, is_parallel: bool) -> Self {
        Self {
            ready,
            is_parallel,
            phase: Cell::new(Phase::Starting),
            start_error: RefCell::default(),
            entries: RefCell::default(),
            settled: RefCell::default(),
            waiting_count: Cell::default(),
            has_connection: Cell::default(),
            has_extension: Cell::default(),
            changed: Notify::new(),
        }
    }

    pub(crate) fn phase(&self) -> Phase {
        self.phase.get()
    }

    /// Whether the program has connected.
    pub(crate) fn has_connection(&self) -> bool {
        self.has_connection.get()
    }

    /// Whether the program registered an extension, because Lambda sends `SIGTERM` only then.
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
        let (event, state) = (Rc::new(event), State::Queued);
        let mut entries = self.entries.borrow_mut();
        entries.push(Entry {
            event,
            state,
            sender,
        });
        self.changed.notify_waiters();
        receiver
    }

    /// Waits until the program asks for an event and there is none.
    pub(crate) async fn resting(&self) {
        let is_waiting = || (self.waiting_count.get() > 0).then_some(());
        self.wait_for(is_waiting).await;
    }

    /// Whether an answer to it is being read.
    pub(crate) fn is_answering(&self, request_id: &str) -> bool {
        let entries = self.entries.borrow();
        let mut meant = entries
            .iter()
            .filter(|entry| entry.event.request_id == request_id);
        meant.any(|entry| entry.state == State::Answering)
    }

    /// Settles an event, if nobody has.
    pub(crate) fn settle(&self, request_id: &str, result: Settled) {
        let mut entries = self.entries.borrow_mut();
        let is_meant = |entry: &Entry| entry.event.request_id == request_id;
        let Some(index) = entries.iter().position(is_meant) else {
            return;
        };
        let entry = entries.remove(index);
        let mut settled = self.settled.borrow_mut();
        settled.push_back(request_id.to_owned());
        if settled.len() > SETTLED_COUNT_MAX {
            settled.pop_front();
        }
        // A caller who no longer waits needs no result.
        let _ = entry.sender.send(result);
        self.changed.notify_waiters();
    }

    /// The event failed otherwise: an answer that still comes is refused.
    pub(crate) fn forget(&self, request_id: &str) {
        self.settle(request_id, Err(Reason::Canceled));
    }

    // The program's side.

    /// It says that it is ready. Saying so again means nothing.
    pub(crate) fn ready(&self) {
        if self.phase.get() == Phase::Starting {
            self.enter(Phase::Serving);
        }
    }

    /// It waits for the snapshot to be restored, which is at once.
    pub(crate) fn restore(&self) -> Result<(), Refused> {
        self.check_phase(Phase::Starting)?;
        self.enter(Phase::Restored);
        Ok(())
    }

    /// It cannot start: before the snapshot in phase `Starting`, after it in `Restored`.
    pub(crate) fn fail_start(&self, during: Phase, error: Reported) -> Result<(), Refused> {
        self.check_phase(during)?;
        self.start_error.replace(Some(error));
        self.enter(Phase::Failed);
        Ok(())
    }

    /// It asks for an event, and waits for one as long as it takes.
    pub(crate) async fn next(&self) -> Result<Rc<Event>, Refused> {
        let is_starting = matches!(self.phase.get(), Phase::Starting | Phase::Restored);
        if matches!(self.ready, Ready::Next) && is_starting {
            self.enter(Phase::Serving);
        }
        let _waiting = Waiting::begin(self);
        self.wait_for(|| match self.check_phase(Phase::Serving) {
            Ok(()) => self.deliver().map(Ok),
            Err(refusal) => Some(Err(refusal)),
        })
        .await
    }

    /// It begins to answer. Whoever holds the claim settles the event.
    pub(crate) fn claim(
        self: &Rc<Self>,
        which: &Which,
        echo: Option<(&'static str, Option<&HeaderValue>)>,
    ) -> Result<Claim, Refused> {
        self.check_phase(Phase::Serving)?;
        let (mut entries, settled) = (self.entries.borrow_mut(), self.settled.borrow());
        let is_meant = |id: &String| match which {
            Which::Current => true,
            Which::Id(meant) => id == meant,
        };
        let mut delivered = entries
            .iter_mut()
            .filter(|entry| entry.state != State::Queued);
        let entry = match delivered.find(|entry| is_meant(&entry.event.request_id)) {
            Some(entry) if entry.state == State::Delivered => entry,
            None if !settled.iter().any(is_meant) => return Err(Refused::UnknownId),
            _ => return Err(Refused::Answered),
        };
        if let Some((name, echoed)) = echo {
            let given = entry.event.headers.get(name);
            if given.is_some() && given != echoed {
                return Err(Refused::NotEchoed(name));
            }
        }
        entry.state = State::Answering;
        Ok(Claim {
            desk: Rc::clone(self),
            event: Rc::clone(&entry.event),
        })
    }

    /// It broke the contract in a way that the platform does not recover from. A Managed Instance does: there
    /// only the one event has failed (AWS's emulator, `lambda-managed-instances/invoke`).
    pub(crate) fn wedge(&self) {
        if !self.is_parallel {
            self.enter(Phase::Wedged);
        }
    }

    fn check_phase(&self, wanted: Phase) -> Result<(), Refused> {
        match self.phase.get() {
            phase if phase == wanted => Ok(()),
            phase => Err(Refused::WrongPhase(phase)),
        }
    }

    fn deliver(&self) -> Option<Rc<Event>> {
        let mut entries = self.entries.borrow_mut();
        let find = |state| entries.iter().position(|entry| entry.state == state);
        let again = || find(State::Delivered).filter(|_| !self.is_parallel);
        let index = find(State::Queued).or_else(again)?;
        let entry = &mut entries[index];
        entry.state = State::Delivered;
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
        self.desk.settle(&self.event.request_id, Err(truncated()));
    }
}

/// The answer broke off.
pub(crate) fn truncated() -> Reason {
    Reason::Broken("its answer broke off".to_owned())
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
    use super::*;
    use crate::call::{Head, Mode};
    use hyper::header::HeaderName;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    /// A desk with these events.
    fn desk(ready: Ready, is_parallel: bool, events: &[&str]) -> (Rc<Desk>, Vec<Pending>) {
        let desk = Rc::new(Desk::new(ready, is_parallel));
        let events = events.iter().map(|id| {
            desk.submit(Event {
                request_id: (*id).to_owned(),
                headers: HeaderMap::from_iter([(ECHOED, HeaderValue::from_static("1"))]),
                body: Bytes::new(),
                tap: None,
            })
        });
        let events = events.collect();
        (desk, events)
    }

    type Pending = oneshot::Receiver<Settled>;

    const ECHOED: HeaderName = HeaderName::from_static("x-id");

    fn answer(body: &'static str) -> Answer {
        Answer {
            head: Head::default(),
            mode: Mode::Buffered,
            body: body.into(),
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

    /// Asks for an event: its id, or `-` if that waits.
    fn next(desk: &Desk) -> Result<String, Refused> {
        let event = poll(desk.next()).transpose()?;
        Ok(event.map_or("-".to_owned(), |event| event.request_id.clone()))
    }

    fn claim(desk: &Rc<Desk>, id: &str) -> Result<Claim, Refused> {
        desk.claim(&Which::Id(id.to_owned()), None)
    }

    #[test]
    fn an_unanswered_event_comes_again_unless_there_are_many_at_a_time() {
        let (one, _events) = desk(Ready::Next, false, &["a"]);
        assert_eq!(
            [next(&one), next(&one)],
            ["a", "a"].map(|id| Ok(id.to_owned()))
        );
        claim(&one, "a").unwrap().settle(Ok(answer("x")));
        assert_eq!(next(&one).unwrap(), "-");
        let (many, _events) = desk(Ready::Next, true, &["a", "b"]);
        let all = [next(&many), next(&many), next(&many)];
        assert_eq!(all, ["a", "b", "-"].map(|id| Ok(id.to_owned())));
    }

    #[test]
    fn the_first_answer_is_locked_and_one_cut_short_is_broken() {
        let (desk, mut events) = desk(Ready::Next, false, &["a", "b"]);
        let refused = |id| claim(&desk, id).err().unwrap();
        assert_eq!(refused("a"), Refused::WrongPhase(Phase::Starting));
        next(&desk).unwrap();
        assert_eq!(refused("b"), Refused::UnknownId, "not delivered");
        let first = claim(&desk, "a").unwrap();
        assert_eq!(refused("a"), Refused::Answered);
        first.settle(Ok(answer("first")));
        assert_eq!(refused("a"), Refused::Answered);
        assert_eq!(refused("c"), Refused::UnknownId);
        let current = desk.claim(&Which::Current, None).err();
        assert_eq!(current, Some(Refused::Answered));
        assert_eq!(events[0].try_recv().unwrap().unwrap().body, "first");
        next(&desk).unwrap();
        drop(desk.claim(&Which::Current, None).unwrap());
        let result = events[1].try_recv().unwrap();
        assert!(matches!(result, Err(Reason::Broken(_))), "{result:?}");
    }

    #[test]
    fn what_must_come_back_must_come_back() {
        let (desk, _events) = desk(Ready::Next, true, &["a"]);
        next(&desk).unwrap();
        let claim =
            |value: Option<&HeaderValue>| desk.claim(&Which::Current, Some(("x-id", value)));
        assert_eq!(claim(None).err(), Some(Refused::NotEchoed("x-id")));
        assert!(claim(Some(&HeaderValue::from_static("1"))).is_ok());
    }

    #[test]
    fn some_must_say_that_they_are_ready() {
        let (desk, _) = desk(Ready::Call, false, &[]);
        assert_eq!(next(&desk), Err(Refused::WrongPhase(Phase::Starting)));
        assert_eq!(poll(desk.started()), None);
        desk.ready();
        assert_eq!(poll(desk.started()), Some(Ok(())));
        assert_eq!(next(&desk).unwrap(), "-");
    }

    #[test]
    fn a_start_fails_once_and_only_before_the_first_event() {
        let (desk, _) = desk(Ready::Next, false, &[]);
        let error = Reported {
            error_type: None,
            body: Bytes::new(),
        };
        let fail = |during| desk.fail_start(during, error.clone());
        let refused = |phase| Err(Refused::WrongPhase(phase));
        desk.restore().unwrap();
        assert_eq!(fail(Phase::Starting), refused(Phase::Restored));
        assert_eq!(fail(Phase::Restored), Ok(()));
        assert_eq!(poll(desk.started()), Some(Err(error.clone())));
        assert_eq!(fail(Phase::Restored), refused(Phase::Failed));
        assert!(next(&desk).is_err());
    }

    #[test]
    fn resting_is_waiting_for_an_event() {
        let (desk, _) = desk(Ready::Next, false, &[]);
        assert_eq!(poll(desk.resting()), None);
        let mut waiting = Box::pin(desk.next());
        assert!(poll(waiting.as_mut()).is_none());
        assert_eq!(poll(desk.resting()), Some(()));
        drop(waiting);
        assert_eq!(poll(desk.resting()), None);
    }

    #[test]
    fn a_wrong_mode_ends_the_program_but_of_many_at_a_time_only_its_event() {
        for is_parallel in [false, true] {
            let (desk, _events) = desk(Ready::Next, is_parallel, &["a", "b"]);
            next(&desk).unwrap();
            desk.wedge();
            assert_eq!(claim(&desk, "a").is_ok(), is_parallel);
            assert_eq!(next(&desk).is_ok(), is_parallel);
        }
    }
}
