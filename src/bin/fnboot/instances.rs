//! The instances behind a gateway: kept between calls, started when calls come side by side, replaced
//! when they died or their files changed.

use crate::call::{Call, Outcome};
use crate::failure::{Failure, Reason, Stage};
use crate::function::{Files, Function};
use crate::instance::Instance;
use crate::platform::dialect::{Dialect, Reached};
use crate::terminal::say;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use tokio::sync::Notify;
use tokio::task::spawn_local;
use tokio::time::Instant;

/// Most instances at the same time where the settings say nothing.
const COUNT_MAX: u32 = 10;

/// After a look at the files none follows for so many times as long as it took.
const LOOK_SHARE: u32 = 10;

pub(crate) struct Instances {
    function: Rc<Function>,
    dialect: &'static dyn Dialect,
    /// Calls that one instance takes at the same time.
    concurrency: u32,
    count_max: usize,
    /// An instance holds the one port until it is gone.
    has_fixed_port: bool,
    all: RefCell<Vec<Rc<Slot>>>,
    starting_count: Cell<usize>,
    /// No more are started.
    is_stopping: Cell<bool>,
    files: RefCell<Look>,
    /// A place became free, or an instance went away.
    changed: Notify,
}

struct Slot {
    instance: Instance,
    /// The version of the function's files that it was started with.
    version: u64,
    call_count: Cell<u32>,
    /// It ends its calls and gets no more.
    is_retired: Cell<bool>,
}

/// The function's files when they were last looked at.
struct Look {
    files: Files,
    next: Instant,
    /// Counts the changes, of which this was the last.
    version: u64,
    changed: String,
}

/// Does this when it is dropped, by whatever way a call or a start ends.
struct Finally<F: Fn()>(F);

impl<F: Fn()> Drop for Finally<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

impl Instances {
    pub(crate) fn new(function: Rc<Function>, dialect: &'static dyn Dialect) -> Self {
        let port = match dialect.facts().reached {
            Reached::Http { fixed_port } => fixed_port,
            Reached::Api { .. } => None,
        };
        let default = function.concurrency.map_or(COUNT_MAX, |_| 1);
        let count_max = function.instances.unwrap_or(default);
        let files = Look {
            files: function.files(),
            next: Instant::now(),
            version: 0,
            changed: String::new(),
        };
        Self {
            concurrency: function.concurrency.unwrap_or(1),
            count_max: port.map_or(count_max as usize, |_| 1),
            has_fixed_port: port.is_some(),
            files: RefCell::new(files),
            function,
            dialect,
            all: RefCell::default(),
            starting_count: Cell::default(),
            is_stopping: Cell::default(),
            changed: Notify::new(),
        }
    }

    /// Starts an instance before the first call.
    pub(crate) async fn warm_up(self: &Rc<Self>) -> Result<(), Failure> {
        self.lease().await.map(|slot| self.release(&slot))
    }

    /// Has one call answered by an instance that has a place for it, and shows it. Dropped before its
    /// end, the call is cancelled: its client has disconnected.
    pub(crate) async fn call(self: &Rc<Self>, call: Call, what: &str) -> Outcome {
        let request_id = call.request_id.clone();
        let slot = match self.lease().await {
            Ok(slot) => slot,
            Err(failure) => {
                say(format_args!("fnboot: {request_id}: {failure}"));
                return Outcome::not_started(failure);
            }
        };
        let _leased = Finally(|| self.release(&slot));
        let instance = &slot.instance;
        say(self.dialect.log_begin(&request_id, what));
        let (meter, is_over) = (instance.meter().await, Cell::new(false));
        let end = |result| {
            is_over.set(true);
            let outcome = instance.outcome(&meter, result);
            say(self.dialect.log_end(&request_id, &outcome));
            outcome
        };
        let _cancelled = Finally(|| {
            if !is_over.get() {
                end(Err(Stage::Call.failed(Reason::Canceled)));
            }
        });
        let result = instance.perform(Stage::Call, call, &meter).await;
        end(result)
    }

    /// Stops all of them.
    pub(crate) async fn stop(&self) {
        self.is_stopping.set(true);
        let all = self.all.take();
        let stops = all.iter().map(|slot| {
            let slot = Rc::clone(slot);
            spawn_local(async move { slot.instance.stop().await })
        });
        for stop in stops.collect::<Vec<_>>() {
            // It cannot fail: nobody aborts it.
            let _ = stop.await;
        }
    }

    /// Waits for a place on an instance with the current files; starts one if there is none.
    async fn lease(self: &Rc<Self>) -> Result<Rc<Slot>, Failure> {
        loop {
            let changed = self.changed.notified();
            self.retire();
            if let Some(slot) = self.place() {
                return Ok(slot);
            }
            if self.count() < self.count_max && !self.is_stopping.get() {
                // The start goes on if its caller leaves, because the next one wants it, too.
                let started = spawn_local(Rc::clone(self).start()).await;
                // A task is lost only when it panics, and then the whole tool ends.
                started.unwrap_or(Ok(()))?;
                // Without another look at the files: a program may write some whenever it starts.
                if let Some(slot) = self.place() {
                    return Ok(slot);
                }
            } else {
                changed.await;
            }
        }
    }

    /// The instances that keep others from being started.
    fn count(&self) -> usize {
        let all = self.all.borrow();
        let counts = |slot: &&Rc<Slot>| self.has_fixed_port || !slot.is_retired.get();
        all.iter().filter(counts).count() + self.starting_count.get()
    }

    fn release(&self, slot: &Slot) {
        slot.call_count.update(|count| count - 1);
        self.changed.notify_waiters();
    }

    /// A place on the instance that was used last of those that have one: the others may rest.
    fn place(&self) -> Option<Rc<Slot>> {
        let mut all = self.all.borrow_mut();
        let index = all
            .iter()
            .rposition(|slot| !slot.is_retired.get() && slot.call_count.get() < self.concurrency)?;
        let slot = all.remove(index);
        slot.call_count.update(|count| count + 1);
        all.push(Rc::clone(&slot));
        Some(slot)
    }

    async fn start(self: Rc<Self>) -> Result<(), Failure> {
        self.starting_count.update(|count| count + 1);
        let _started = Finally(|| {
            self.starting_count.update(|count| count - 1);
            self.changed.notify_waiters();
        });
        // The files may change while it starts.
        let version = self.files.borrow().version;
        let instance = Instance::start(&self.function, self.dialect).await?;
        say(format_args!(
            "Instance {} started in {:.1} ms",
            instance.id,
            instance.start_duration.as_secs_f64() * 1e3
        ));
        self.all.borrow_mut().push(Rc::new(Slot {
            instance,
            version,
            call_count: Cell::default(),
            is_retired: Cell::default(),
        }));
        Ok(())
    }

    /// Gives no more calls to instances that are beyond use. They end those they have.
    fn retire(self: &Rc<Self>) {
        let mut look = self.files.borrow_mut();
        look.again(&self.function);
        for slot in self
            .all
            .borrow()
            .iter()
            .filter(|slot| !slot.is_retired.get())
        {
            let is_outdated = slot.version != look.version;
            let outdated = || is_outdated.then(|| format!("is replaced: {} changed", look.changed));
            if let Some(why) = slot.instance.why_unusable().or_else(outdated) {
                say(format_args!("Instance {} {why}", slot.instance.id));
                slot.is_retired.set(true);
                spawn_local(Rc::clone(self).stop_when_idle(Rc::clone(slot)));
            }
        }
    }

    async fn stop_when_idle(self: Rc<Self>, slot: Rc<Slot>) {
        loop {
            let changed = self.changed.notified();
            if slot.call_count.get() == 0 || slot.instance.why_unusable().is_some() {
                break;
            }
            changed.await;
        }
        slot.instance.stop().await;
        self.all
            .borrow_mut()
            .retain(|other| !Rc::ptr_eq(other, &slot));
        self.changed.notify_waiters();
    }
}

impl Look {
    /// Looks for a file that changed since the last look, unless that was a moment ago and took long.
    fn again(&mut self, function: &Function) {
        let started = Instant::now();
        if started < self.next {
            return;
        }
        let files = function.files();
        self.next = Instant::now() + started.elapsed() * LOOK_SHARE;
        let changed = self.files.changed_in(&files);
        let Some(changed) = changed.map(|path| path.display().to_string()) else {
            return;
        };
        // A named file that is gone stays known until something changes, so that its return with the same
        // content is no change.
        (self.files, self.changed) = (files, changed);
        self.version += 1;
    }
}
