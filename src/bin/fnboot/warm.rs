//! The instance that is kept between calls, and replaced when it died or its files changed.

use crate::function::{FileMarks, Function};
use crate::process::Process;
use crate::terminal::say;
use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};
use tokio::task::spawn_local;

/// Starts instances of one function.
pub(crate) trait Launch: 'static {
    type Instance: Instance;
    type Failure;

    fn function(&self) -> &Function;

    async fn launch(&self) -> Result<Self::Instance, Self::Failure>;
}

/// A program that a platform has started and may call.
pub(crate) trait Instance: 'static {
    fn id(&self) -> &str;

    /// From `exec` until it could be called.
    fn start_duration(&self) -> Duration;

    fn process(&self) -> &Process;

    /// Whether it may be given work.
    fn is_usable(&self) -> bool {
        self.process().is_alive()
    }

    /// Ends the program as the platform does.
    async fn stop(&self);
}

/// Keeps at most one instance for new calls.
pub(crate) struct Warm<L: Launch> {
    launch: L,
    concurrency: u32,
    /// Locked while an instance starts: who comes meanwhile waits for it.
    current: Mutex<Option<Rc<Slot<L::Instance>>>>,
}

struct Slot<I> {
    instance: I,
    files: FileMarks,
    permits: Arc<Semaphore>,
    retired: Cell<bool>,
}

/// The right to make one call.
pub(crate) struct Lease<I> {
    slot: Rc<Slot<I>>,
    _permit: OwnedSemaphorePermit,
}

impl<I> Lease<I> {
    pub(crate) fn instance(&self) -> &I {
        &self.slot.instance
    }
}

impl<I: Instance> Slot<I> {
    fn is_usable(&self) -> bool {
        !self.retired.get() && self.instance.is_usable()
    }
}

impl<L: Launch> Warm<L> {
    /// One instance at a time, which takes `concurrency` calls at a time.
    pub(crate) fn new(launch: L, concurrency: u32) -> Self {
        Self {
            launch,
            concurrency,
            current: Mutex::default(),
        }
    }

    /// Waits for a place on an instance with the current files; starts one if there is none.
    pub(crate) async fn lease(&self) -> Result<Lease<L::Instance>, L::Failure> {
        loop {
            let slot = self.slot().await?;
            // The semaphore is never closed, so this is only a wait.
            let Ok(permit) = Arc::clone(&slot.permits).acquire_owned().await else {
                continue;
            };
            // It may have died or been replaced during the wait.
            if slot.is_usable() {
                return Ok(Lease {
                    slot,
                    _permit: permit,
                });
            }
        }
    }

    /// Stops the instance.
    pub(crate) async fn stop(&self) {
        if let Some(slot) = self.current.lock().await.take() {
            slot.instance.stop().await;
        }
    }

    async fn slot(&self) -> Result<Rc<Slot<L::Instance>>, L::Failure> {
        let mut current = self.current.lock().await;
        let files = self.launch.function().file_marks();
        if let Some(slot) = current.as_ref() {
            if slot.is_usable() && !slot.files.is_superseded_by(&files) {
                return Ok(Rc::clone(slot));
            }
            self.retire(Rc::clone(slot));
            *current = None;
        }
        let slot = Rc::new(Slot {
            instance: self.launch.launch().await?,
            files,
            permits: Arc::new(Semaphore::new(self.concurrency as usize)),
            retired: Cell::new(false),
        });
        say(format_args!(
            "Instance {} started in {:.1} ms",
            slot.instance.id(),
            slot.instance.start_duration().as_secs_f64() * 1e3
        ));
        *current = Some(Rc::clone(&slot));
        Ok(slot)
    }

    /// Takes no more calls, ends those it has, stops.
    fn retire(&self, slot: Rc<Slot<L::Instance>>) {
        let why = match slot.instance.process().exit_status() {
            Some(status) => format!("ended: {status}"),
            None if !slot.instance.process().is_alive() => "was killed".to_owned(),
            None if !slot.instance.is_usable() => "is beyond use".to_owned(),
            None => "is replaced: the program's file changed".to_owned(),
        };
        say(format_args!("Instance {} {why}", slot.instance.id()));
        slot.retired.set(true);
        let all = self.concurrency;
        spawn_local(async move {
            // All permits together: nobody else has one.
            let _idle = slot.permits.acquire_many(all).await;
            slot.instance.stop().await;
        });
    }
}
