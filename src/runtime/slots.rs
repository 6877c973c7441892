//! A table of connections that costs memory only where it is used.

use core::mem::MaybeUninit;

use super::connection::Connection;
use crate::limits::CONN_COUNT_MAX;
use crate::sys::memory::List;

/// One place of the table.
#[derive(Debug)]
pub struct Slot {
    connection: Option<Connection>,
    /// Counts the connections that were here: an event of one that is gone must not reach the next.
    generation: u32,
    /// While free: the next free place, plus one; zero for none.
    next_free: u32,
}

/// The table's place.
pub type Table = [MaybeUninit<Slot>; CONN_COUNT_MAX];
#[allow(clippy::large_const_arrays, reason = "the initial value of one static")]
pub const EMPTY_TABLE: Table = [const { MaybeUninit::uninit() }; CONN_COUNT_MAX];

/// The connections that are open.
pub struct Slots {
    table: List<Slot>,
    /// First of the places that were given back, plus one; zero for none.
    free: u32,
    open: usize,
}

impl Slots {
    pub fn new(place: &'static mut [MaybeUninit<Slot>]) -> Self {
        Self {
            table: List::new(place),
            free: 0,
            open: 0,
        }
    }

    /// Every open connection.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Connection> {
        self.table
            .iter_mut()
            .filter_map(|slot| slot.connection.as_mut())
    }

    /// Where the next connection will be put.
    pub fn next_index(&self) -> usize {
        match self.free {
            0 => self.table.len(),
            free => free as usize - 1,
        }
    }

    /// How many connections are open.
    pub fn open(&self) -> usize {
        self.open
    }

    /// Whether another connection would have a place.
    pub fn has_room(&self) -> bool {
        self.open < self.table.capacity()
    }

    /// Puts a connection into a free place, and returns the token it is known by. Without a free
    /// place the connection is dropped, and so closed.
    pub fn insert(&mut self, connection: Connection) -> Option<u64> {
        let (index, slot) = match self.free {
            0 => {
                let slot = Slot {
                    connection: None,
                    generation: 0,
                    next_free: 0,
                };
                (self.table.len(), self.table.push(slot)?)
            }
            free => {
                let index = free as usize - 1;
                let slot = self.table.get_mut(index)?;
                self.free = slot.next_free;
                (index, slot)
            }
        };
        slot.connection = Some(connection);
        self.open += 1;
        Some(token(slot, index))
    }

    /// The connection of that token, unless it is gone.
    pub fn get(&mut self, token: u64) -> Option<&mut Connection> {
        self.slot(token)?.connection.as_mut()
    }

    /// Drops the connection of that token, and so closes it.
    pub fn close(&mut self, token: u64) {
        let free = self.free;
        let Some(slot) = self.slot(token) else {
            return;
        };
        slot.connection = None;
        slot.generation = slot.generation.wrapping_add(1);
        slot.next_free = free;
        self.free = u32::try_from(index(token) + 1).unwrap_or(0);
        self.open -= 1;
    }

    /// The place of the connection of that token, unless it is gone.
    fn slot(&mut self, token: u64) -> Option<&mut Slot> {
        let slot = self.table.get_mut(index(token))?;
        let is_it = u64::from(slot.generation) == token >> 32 && slot.connection.is_some();
        is_it.then_some(slot)
    }

    /// The token of the connection at `index`, if one is open there.
    pub fn token_at(&self, index: usize) -> Option<u64> {
        let slot = self.table.get(index)?;
        slot.connection.as_ref().map(|_| token(slot, index))
    }

    /// One more than the largest index at which there was ever a connection.
    pub fn used(&self) -> usize {
        self.table.len()
    }
}

fn token(slot: &Slot, index: usize) -> u64 {
    u64::from(slot.generation) << 32 | index as u64
}

#[allow(
    clippy::cast_possible_truncation,
    reason = "the lower half is the index"
)]
pub fn index(token: u64) -> usize {
    token as u32 as usize
}
