//! Memory without an allocator: mappings for long bodies, and places reserved in the program.

use core::cell::UnsafeCell;
use core::mem::MaybeUninit;
use core::ops::{Deref, DerefMut};
use core::ptr::{self, NonNull};
use core::slice;
use core::sync::atomic::{AtomicBool, Ordering};

use super::call::{call3, call6};
use super::env;
use super::fd::{Errno, check};

/// No page of any kernel is larger: arm64 has kernels with pages of 64 KiB.
const PAGE_BYTES_MAX: usize = if cfg!(target_arch = "aarch64") {
    64 * 1024
} else {
    4096
};

/// The size of the kernel's pages (`AT_PAGESZ`, getauxval(3)), or the largest where that is not known.
#[must_use]
pub fn page_bytes() -> usize {
    if cfg!(target_arch = "aarch64") {
        env::auxiliary(libc::AT_PAGESZ).unwrap_or(PAGE_BYTES_MAX)
    } else {
        PAGE_BYTES_MAX
    }
}

/// Private memory from the kernel, zeroed and only there once touched; given back when dropped.
#[derive(Debug)]
pub struct Mapping {
    start: NonNull<u8>,
    /// A multiple of the page size.
    len: usize,
}

// SAFETY: the mapping is owned by this value alone, and memory belongs to no thread.
unsafe impl Send for Mapping {}

impl Mapping {
    /// `mmap(2)`: at least `len` bytes.
    ///
    /// # Errors
    /// Out of memory.
    pub fn new(len: usize) -> Result<Self, Errno> {
        let len = whole_pages(len);
        let access = libc::PROT_READ | libc::PROT_WRITE;
        let kind = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        let arguments = [0, len, access as usize, kind as usize, usize::MAX, 0];
        // SAFETY: a private anonymous mapping at an address of the kernel's choice touches no
        // memory that anybody has.
        Self::own(unsafe { call6(libc::SYS_mmap, arguments) }, len)
    }

    /// At least `len` bytes: the spare one if it is long enough, which is not zeroed.
    ///
    /// # Errors
    /// Out of memory.
    #[cfg(any(feature = "web", feature = "worker"))]
    pub fn reuse(spare: &mut Option<Self>, len: usize) -> Result<Self, Errno> {
        match spare.take() {
            Some(spare) if spare.len() >= len => Ok(spare),
            _ => Self::new(len),
        }
    }

    /// `mremap(2)`: makes it at least `len` bytes long. The pages move, the bytes are not copied.
    ///
    /// # Errors
    /// Out of memory; the mapping is then as it was.
    pub fn grow(&mut self, len: usize) -> Result<(), Errno> {
        let len = whole_pages(len);
        if len <= self.len {
            return Ok(());
        }
        let may_move = libc::MREMAP_MAYMOVE as usize;
        let arguments = [
            self.start.as_ptr().expose_provenance(),
            self.len,
            len,
            may_move,
            0,
            0,
        ];
        // SAFETY: start and length are those of a mapping that this value owns, and its exclusive
        // borrow proves that nobody holds a slice of the old place.
        let grown = Self::own(unsafe { call6(libc::SYS_mremap, arguments) }, len)?;
        core::mem::forget(core::mem::replace(self, grown));
        Ok(())
    }

    /// `munmap(2)`: gives back what is behind the first `len` bytes, if it is longer.
    #[cfg(feature = "command")]
    pub fn shrink(&mut self, len: usize) {
        let len = whole_pages(len);
        if len < self.len {
            let rest = self.start.as_ptr().expose_provenance() + len;
            // An error is ignored: it would mean a mapping that is not there.
            // SAFETY: what is given back is the end of an owned mapping, exclusively borrowed, and no part of
            // it from here on.
            unsafe { call3(libc::SYS_munmap, rest, self.len - len, 0) };
            self.len = len;
        }
    }

    fn own(returned: isize, len: usize) -> Result<Self, Errno> {
        let start = NonNull::new(ptr::with_exposed_provenance_mut(check(returned)?));
        start
            .map(|start| Self { start, len })
            .ok_or(Errno(libc::ENOMEM))
    }
}

impl Deref for Mapping {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: the mapping is owned, readable, and `len` bytes long.
        unsafe { slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl DerefMut for Mapping {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: the mapping is owned, writable, `len` bytes long, and exclusively borrowed.
        unsafe { slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }
}

impl Drop for Mapping {
    #[inline(never)]
    fn drop(&mut self) {
        // An error is ignored: it would mean a mapping that is not there, which leaves nothing to
        // give back.
        // SAFETY: start and length are those of an owned mapping, at the end of its owner.
        unsafe {
            call3(
                libc::SYS_munmap,
                self.start.as_ptr().expose_provenance(),
                self.len,
                0,
            )
        };
    }
}

/// Bytes that begin as zeros. Pages of them that are given back to the kernel therefore read as zeros
/// again, whether they lie in `.bss` or in a mapping of the file.
#[derive(Debug)]
#[repr(transparent)]
pub struct Zeros<const LEN: usize>([u8; LEN]);

impl<const LEN: usize> Zeros<LEN> {
    pub const NEW: Self = Self([0; LEN]);

    /// `madvise(2)`, `MADV_DONTNEED`: gives the whole pages behind the first `kept` bytes back to the
    /// kernel. What was in them reads as zeros afterwards.
    pub fn give_back(&mut self, kept: usize) {
        let rest = self.0.get_mut(kept..).unwrap_or_default();
        let page_bytes = page_bytes();
        let skip = rest.as_ptr().align_offset(page_bytes).min(rest.len());
        let whole = rest.get_mut(skip..).unwrap_or_default();
        // The kernel rounds a length up to its own page, which must not reach beyond the slice.
        let len = whole.len() / page_bytes * page_bytes;
        let place = whole.as_mut_ptr().expose_provenance();
        // An error is ignored: the memory then simply stays.
        // SAFETY: the range is whole pages of one exclusively borrowed slice, and bytes have no
        // invalid value that becoming zero could break.
        unsafe { call3(libc::SYS_madvise, place, len, libc::MADV_DONTNEED as usize) };
    }
}

impl<const LEN: usize> Deref for Zeros<LEN> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl<const LEN: usize> DerefMut for Zeros<LEN> {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }
}

/// How long a mapping of at least `len` bytes is.
#[inline(never)]
pub fn whole_pages(len: usize) -> usize {
    len.max(1).next_multiple_of(PAGE_BYTES_MAX)
}

/// A place in the program's own memory that is handed out once, for ever.
///
/// As a `static` that is all zeros it costs nothing in the file, and no page until it is touched.
#[derive(Debug)]
#[repr(C)]
pub struct Reserved<T> {
    /// In front, on the page that is used first.
    taken: AtomicBool,
    value: UnsafeCell<T>,
}

// SAFETY: the value is reachable only through `take`, which hands it to one caller.
unsafe impl<T: Send> Sync for Reserved<T> {}

impl<T> Reserved<T> {
    /// A place that holds `value`.
    pub const fn new(value: T) -> Self {
        Self {
            taken: AtomicBool::new(false),
            value: UnsafeCell::new(value),
        }
    }

    /// The place, for the first who asks; nobody gets it again.
    #[allow(
        clippy::mut_from_ref,
        reason = "the swap makes the reference the only one"
    )]
    pub fn take(&'static self) -> Option<&'static mut T> {
        if self.taken.swap(true, Ordering::Relaxed) {
            return None;
        }
        // SAFETY: the swap has let exactly one caller through, so this is the only reference.
        Some(unsafe { &mut *self.value.get() })
    }
}

/// A list that grows into a place handed out by [`Reserved`], and touches only what is used of it.
#[derive(Debug)]
pub struct List<T: 'static> {
    place: &'static mut [MaybeUninit<T>],
    /// Invariant: `place[..len]` is initialized.
    len: usize,
}

impl<T> List<T> {
    /// An empty list in `place`, which bounds its length.
    pub fn new(place: &'static mut [MaybeUninit<T>]) -> Self {
        Self { place, len: 0 }
    }

    /// Appends `item`, and returns where it is; when the place is full it is dropped.
    pub fn push(&mut self, item: T) -> Option<&mut T> {
        let free = self.place.get_mut(self.len)?;
        self.len += 1;
        Some(free.write(item))
    }

    /// Leaves out the items that do not stay.
    #[cfg(feature = "worker")]
    pub fn retain(&mut self, stays: impl Fn(&T) -> bool)
    where
        T: Copy,
    {
        let mut len = 0;
        for index in 0..self.len {
            let Some(item) = self.get(index).copied().filter(&stays) else {
                continue;
            };
            if let Some(place) = self.get_mut(len) {
                *place = item;
            }
            len += 1;
        }
        self.len = len;
    }

    /// The most items there can be.
    pub fn capacity(&self) -> usize {
        self.place.len()
    }
}

#[cfg(feature = "command")]
impl<T> List<Option<T>> {
    /// A place without an item, and its index; `None` if there is no room for one more.
    pub fn vacancy(&mut self) -> Option<(usize, &mut Option<T>)> {
        let free = self.iter().position(Option::is_none);
        let index = free.unwrap_or(self.len);
        let place = match free {
            Some(index) => self.get_mut(index),
            None => self.push(None),
        };
        place.map(|place| (index, place))
    }
}

impl<T> Deref for List<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        // SAFETY: the invariant of `len`; `MaybeUninit<T>` has the layout of `T`.
        unsafe { slice::from_raw_parts(self.place.as_ptr().cast(), self.len) }
    }
}

impl<T> DerefMut for List<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: the invariant of `len`; `MaybeUninit<T>` has the layout of `T`.
        unsafe { slice::from_raw_parts_mut(self.place.as_mut_ptr().cast(), self.len) }
    }
}
