//! The workers of a program, and what others are started with.

use core::mem::MaybeUninit;

use super::calls::Call;
use super::environment::Environment;
use super::launch::Launch;
use super::supervisor::Supervisor;
use super::worker::Worker;
use crate::limits::PROCESS_COUNT_MAX;
use crate::sys::fd::Errno;
use crate::sys::memory::List;

/// All workers, each known by its index, and what is heard of them.
#[derive(Debug)]
pub struct Workers {
    list: List<Option<Worker>>,
    pub launch: &'static mut Launch,
    pub environment: Environment,
    pub supervisor: Supervisor,
}

/// Where they are.
pub type Table = [MaybeUninit<Option<Worker>>; PROCESS_COUNT_MAX];
#[allow(clippy::large_const_arrays, reason = "the initial value of one static")]
pub const EMPTY_TABLE: Table = [const { MaybeUninit::uninit() }; PROCESS_COUNT_MAX];

impl Workers {
    /// None yet.
    pub fn new(
        place: &'static mut Table,
        launch: &'static mut Launch,
        environment: Environment,
        supervisor: Supervisor,
    ) -> Self {
        Self {
            list: List::new(place),
            launch,
            environment,
            supervisor,
        }
    }

    /// Starts a worker; one that serves one event for that call. Returns where it is.
    ///
    /// # Errors
    /// As of `execve(2)`, or there is no place.
    pub fn start(&mut self, call: Option<&Call>) -> Result<usize, Errno> {
        let (index, place) = self.list.vacancy().ok_or(Errno::AGAIN)?;
        let stays = self.environment.stays();
        let (variables, event, is_request) = match call {
            Some(call) if !stays => (call.variables(), call.event(), call.is_request),
            _ => (&b""[..], &b""[..], false),
        };
        let strings = self.environment.of_call(variables, is_request);
        let worker = Worker::start(self.launch, strings, event, stays, &self.supervisor, index)?;
        self.supervisor.alarm(worker.until_ms);
        *place = Some(worker);
        Ok(index)
    }

    /// The worker at `index`, if there is one.
    pub fn get(&self, index: usize) -> Option<&Worker> {
        self.list.get(index)?.as_ref()
    }

    /// The same.
    #[inline(never)]
    pub fn at(&mut self, index: usize) -> Option<&mut Worker> {
        self.list.get_mut(index)?.as_mut()
    }

    /// Forgets the worker at `index`.
    pub fn forget(&mut self, index: usize) {
        if let Some(place) = self.list.get_mut(index) {
            *place = None;
        }
    }

    /// Those that there are, and their indices.
    pub fn iter(&self) -> impl Iterator<Item = (usize, &Worker)> {
        let places = self.list.iter().enumerate();
        places.filter_map(|(index, place)| Some((index, place.as_ref()?)))
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Worker> {
        self.list.iter_mut().flatten()
    }
}
