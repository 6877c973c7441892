//! The instance that is kept between calls, and replaced when it died or its files changed.

use super::failure;
use super::instance::Instance;
use crate::function::{FileMarks, Function};
use crate::terminal::say;
use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};
use tokio::task::spawn_local;

/// Keeps at most one instance for new calls.
pub(crate) struct Warm {
    function: Rc<Function>,
    concurrency: u32,
    /// Locked while an instance starts: who comes meanwhile waits for it.
    current: Mutex<Option<Rc<Slot>>>,
}

struct Slot {
    instance: Instance,
    files: FileMarks,
    permits: Arc<Semaphore>,
    retired: Cell<bool>,
}

/// The right to make one call.
pub(crate) struct Lease {
    slot: Rc<Slot>,
    _permit: OwnedSemaphorePermit,
}

impl Lease {
    pub(crate) fn instance(&self) -> &Instance {
        &self.slot.instance
    }
}

impl Slot {
    fn is_usable(&self) -> bool {
        !self.retired.get() && self.instance.process().is_alive()
    }
}

impl Warm {
    pub(crate) fn new(function: Function, concurrency: u32) -> Self {
        Self {
            function: Rc::new(function),
            concurrency,
            current: Mutex::default(),
        }
    }

    /// Waits for a place on an instance with the current files; starts one if there is none.
    pub(crate) async fn lease(&self) -> Result<Lease, failure::Start> {
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
            slot.instance.process().stop().await;
        }
    }

    async fn slot(&self) -> Result<Rc<Slot>, failure::Start> {
        let mut current = self.current.lock().await;
        let files = self.function.file_marks();
        if let Some(slot) = current.as_ref() {
            if slot.is_usable() && !slot.files.is_superseded_by(&files) {
                return Ok(Rc::clone(slot));
            }
            self.retire(Rc::clone(slot));
            *current = None;
        }
        let slot = Rc::new(Slot {
            instance: Instance::start(&self.function).await?,
            files,
            permits: Arc::new(Semaphore::new(self.concurrency as usize)),
            retired: Cell::new(false),
        });
        say(format_args!(
            "Instance {} started in {:.1} ms",
            slot.instance.id,
            slot.instance.start_duration.as_secs_f64() * 1e3
        ));
        *current = Some(Rc::clone(&slot));
        Ok(slot)
    }

    /// Takes no more calls, ends those it has, stops.
    fn retire(&self, slot: Rc<Slot>) {
        let why = match slot.instance.process().exit_status() {
            Some(status) => format!("ended: {status}"),
            None if !slot.instance.process().is_alive() => "was killed".to_owned(),
            None => "is replaced: the program's file changed".to_owned(),
        };
        say(format_args!("Instance {} {why}", slot.instance.id));
        slot.retired.set(true);
        let all = self.concurrency;
        spawn_local(async move {
            // All permits together: nobody else has one.
            let _idle = slot.permits.acquire_many(all).await;
            slot.instance.process().stop().await;
        });
    }
}
