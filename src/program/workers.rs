//! The workers of a program, each known by its index.

use core::mem::MaybeUninit;

use super::worker::Worker;
use crate::limits::PROCESS_COUNT_MAX;
use crate::sys::memory::List;

/// All workers, in a place of their own.
#[derive(Debug)]
pub struct Workers(List<Option<Worker>>);

/// Where they are.
pub type Table = [MaybeUninit<Option<Worker>>; PROCESS_COUNT_MAX];
#[allow(clippy::large_const_arrays, reason = "the initial value of one static")]
pub const EMPTY_TABLE: Table = [const { MaybeUninit::uninit() }; PROCESS_COUNT_MAX];

impl Workers {
    /// None yet.
    pub fn new(place: &'static mut Table) -> Self {
        Self(List::new(place))
    }

    /// A free place, and its index, if there is room.
    pub fn free(&mut self) -> Option<(usize, &mut Option<Worker>)> {
        let free = self.0.iter().position(Option::is_none);
        let index = free.unwrap_or(self.0.len());
        let place = match free {
            Some(index) => self.0.get_mut(index),
            None => self.0.push(None),
        };
        place.map(|place| (index, place))
    }

    /// The worker at `index`, if there is one.
    #[inline(never)]
    pub fn at(&mut self, index: usize) -> Option<&mut Worker> {
        self.0.get_mut(index)?.as_mut()
    }

    /// Forgets the worker at `index`.
    pub fn forget(&mut self, index: usize) {
        if let Some(place) = self.0.get_mut(index) {
            *place = None;
        }
    }

    /// The index of the first that is one of those.
    pub fn position(&self, is_it: impl Fn(&Worker) -> bool) -> Option<usize> {
        let mut places = self.0.iter();
        places.position(|place| place.as_ref().is_some_and(&is_it))
    }

    pub fn iter(&self) -> impl Iterator<Item = &Worker> {
        self.0.iter().flatten()
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Worker> {
        self.0.iter_mut().flatten()
    }
}
