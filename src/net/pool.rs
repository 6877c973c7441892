//! Warm memory for long bodies.
//!
//! The page faults of a fresh mapping cost more than the kernel's copy into it, so mappings are
//! kept for the next body while calls keep coming, and given back once they stop.

use crate::limits::{WARM_BYTES_MAX, WARM_COUNT_MAX};
use crate::sys::fd::Errno;
use crate::sys::memory::{Mapping, whole_pages};

/// Mappings that nobody uses at the moment.
#[derive(Debug)]
pub struct Pool {
    warm: [Option<Mapping>; WARM_COUNT_MAX],
    /// Invariant: the sum of the lengths of `warm`.
    bytes: usize,
}

/// A warm mapping is used only for a need of at least this part of it: a client that sends a little
/// and then waits must not hold the memory of the longest body there was.
const WASTE_MAX: usize = 8;

impl Pool {
    /// No warm memory.
    pub const fn new() -> Self {
        Self {
            warm: [const { None }; WARM_COUNT_MAX],
            bytes: 0,
        }
    }

    /// A mapping of at least `len` bytes, which may still hold what was there before.
    ///
    /// # Errors
    /// Out of memory.
    pub fn take(&mut self, len: usize) -> Result<Mapping, Errno> {
        // As long as a new one would be, because none is shorter than a page.
        let len = whole_pages(len);
        let fits = |warm: &Option<Mapping>| {
            warm.as_ref()
                .is_some_and(|warm| len <= warm.len() && warm.len() <= len * WASTE_MAX)
        };
        // From the end: what was used last is the most likely to be in the processor's cache.
        let kept = self.warm.iter_mut().rev();
        let found = kept.filter(|warm| fits(warm)).find_map(Option::take);
        match found {
            Some(warm) => {
                self.bytes -= warm.len();
                Ok(warm)
            }
            None => Mapping::new(len),
        }
    }

    /// Keeps a mapping for the next who needs one, or gives it back to the kernel if enough is kept.
    pub fn put(&mut self, mapping: Mapping) {
        let bytes = self.bytes + mapping.len();
        if bytes <= WARM_BYTES_MAX
            && let Some(free) = self.warm.iter_mut().find(|warm| warm.is_none())
        {
            self.bytes = bytes;
            *free = Some(mapping);
        }
    }

    /// Makes a mapping longer.
    ///
    /// What is kept cannot help here, and would come on top of it: it is given back.
    ///
    /// # Errors
    /// Out of memory.
    pub fn grow(&mut self, mapping: &mut Mapping, len: usize) -> Result<(), Errno> {
        if mapping.len() < len {
            self.clear();
        }
        mapping.grow(len)
    }

    /// Whether there is nothing to give back.
    pub fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// Gives everything back to the kernel.
    pub fn clear(&mut self) {
        if !self.is_empty() {
            self.warm = [const { None }; WARM_COUNT_MAX];
            self.bytes = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mappings_come_back() {
        let mut pool = Pool::new();
        let mut mapping = pool.take(100_000).expect("memory");
        mapping[99_999] = 7;
        pool.put(mapping);
        assert!(!pool.is_empty());
        let mapping = pool.take(90_000).expect("memory");
        assert_eq!(mapping[99_999], 7, "the same one, still warm");
        assert!(pool.is_empty());
        pool.put(mapping);
        assert_eq!(
            pool.take(1).expect("memory").len(),
            4096,
            "not for so little"
        );
        let short = pool.take(1).expect("memory");
        let place = short.as_ptr();
        pool.put(short);
        assert_eq!(
            pool.take(1).expect("memory").as_ptr(),
            place,
            "none is shorter"
        );
        pool.clear();
        assert!(pool.is_empty());
        let mapping = pool.take(100_000).expect("memory");
        assert_eq!(mapping[99_999], 0, "given back");
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut pool = Pool::new();
        for _ in 0..2 * WARM_COUNT_MAX {
            pool.put(Mapping::new(1).expect("memory"));
        }
        assert_eq!(pool.warm.iter().flatten().count(), WARM_COUNT_MAX);
        pool.clear();
        pool.put(Mapping::new(WARM_BYTES_MAX + 1).expect("memory"));
        assert!(pool.is_empty());
    }
}
