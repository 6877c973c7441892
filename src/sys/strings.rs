//! Strings as the kernel takes them: each ends with a NUL.

use core::ffi::CStr;

use super::fd::Errno;
use super::memory::Mapping;

/// A list of strings, as `execve(2)` takes the arguments and the environment of a program.
///
/// Only touched pages of its mapping cost memory, so a list may be given much room. A string never
/// moves: the table of their addresses is kept behind them and is always ready for the kernel.
#[derive(Debug)]
pub struct Strings {
    /// Invariant: the first half begins with the strings, one behind the other, in `len` bytes; the second
    /// with the addresses of these `count` strings, in their order, then a null.
    memory: Mapping,
    count: usize,
    len: usize,
    /// How many were taken off at the front.
    taken: usize,
    /// Whether something was left out: then the kernel is not given the list.
    is_cut: bool,
}

/// An address, as it lies in memory.
type Entry = [u8; size_of::<usize>()];

/// How long a list was.
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    count: usize,
    len: usize,
    is_cut: bool,
}

impl Strings {
    /// `mmap(2)`: an empty list with room for `bytes`, the NULs included, and for an eighth as many strings.
    ///
    /// # Errors
    /// Out of memory.
    pub fn new(bytes: usize) -> Result<Self, Errno> {
        Ok(Self {
            memory: Mapping::new(2 * bytes)?,
            count: 0,
            len: 0,
            taken: 0,
            is_cut: false,
        })
    }

    /// Appends one string. One that does not fit is left out, and so is one that has a NUL in it.
    pub fn put(&mut self, text: &[u8]) {
        let (texts, table) = halves(&mut self.memory);
        let free = texts.get_mut(self.len..).unwrap_or_default();
        let place = free.as_ptr().expose_provenance();
        match (join(free, &[text]), table.get_mut(self.count..)) {
            (Ok(len), Some([entry, end, ..])) => {
                (*entry, *end) = (place.to_ne_bytes(), NULL);
                self.count += 1;
                self.len += len;
            }
            _ => self.is_cut = true,
        }
    }

    /// Whether nothing was left out.
    ///
    /// # Errors
    /// `E2BIG` if something was.
    pub fn check(&self) -> Result<(), Errno> {
        if self.is_cut {
            Err(Errno::TOOBIG)
        } else {
            Ok(())
        }
    }

    /// How long the list is now.
    pub fn mark(&self) -> Mark {
        Mark {
            count: self.count,
            len: self.len,
            is_cut: self.is_cut,
        }
    }

    /// Takes off what was appended since the list was as long as `mark` says. A mark that is longer than
    /// the list changes nothing.
    pub fn truncate(&mut self, mark: Mark) {
        if mark.count > self.count {
            return;
        }
        if let Some(end) = halves(&mut self.memory).1.get_mut(mark.count) {
            *end = NULL;
        }
        (self.count, self.len, self.is_cut) = (mark.count, mark.len, mark.is_cut);
    }

    /// Takes the first string off.
    pub fn take_first(&mut self) {
        self.taken = self.count.min(self.taken + 1);
    }

    /// The string at `index`, without its NUL.
    pub fn get(&self, index: usize) -> Option<&[u8]> {
        let (table, _) = self.table().as_chunks();
        let address = usize::from_ne_bytes(*table.get(index)?);
        let first = address.checked_sub(self.memory.as_ptr().addr())?;
        Some(until_nul(self.memory.get(first..)?).to_bytes())
    }

    /// The strings in their order.
    #[cfg(test)]
    fn iter(&self) -> impl Iterator<Item = &[u8]> {
        (0..).map_while(|index| self.get(index))
    }

    /// The addresses of those that are left, and the null.
    fn table(&self) -> &[u8] {
        let start = self.memory.len() / 2 + self.taken * size_of::<Entry>();
        self.memory.get(start..).unwrap_or_default()
    }

    /// Where the table is, as the kernel is given it.
    pub(super) fn raw(&self) -> usize {
        self.table().as_ptr().expose_provenance()
    }
}

const NULL: Entry = [0; size_of::<usize>()];

/// Where the strings are, and where their addresses.
fn halves(memory: &mut [u8]) -> (&mut [u8], &mut [Entry]) {
    let parts = memory.split_at_mut_checked(memory.len() / 2);
    let (text, table) = parts.unwrap_or_default();
    (text, table.as_chunks_mut().0)
}

/// A path made of `parts`, in `place`.
///
/// # Errors
/// `E2BIG` when it does not fit, `EINVAL` when a part has a NUL in it.
pub fn path<'a>(place: &'a mut [u8], parts: &[&[u8]]) -> Result<&'a CStr, Errno> {
    let len = join(place, parts)?;
    let path = place.get(..len).unwrap_or(&[0]);
    // SAFETY: `join` has put one NUL, at the end.
    Ok(unsafe { CStr::from_bytes_with_nul_unchecked(path) })
}

/// The path at the front of `place`, which a NUL ends; none if there is no NUL.
pub fn until_nul(place: &[u8]) -> &CStr {
    let end = place.iter().position(|&byte| byte == 0);
    let path = end.and_then(|end| place.get(..=end));
    // SAFETY: the only NUL is at the end.
    unsafe { CStr::from_bytes_with_nul_unchecked(path.unwrap_or(&[0])) }
}

/// Puts `parts` and a NUL at the front of `place`; how many bytes that is.
fn join(place: &mut [u8], parts: &[&[u8]]) -> Result<usize, Errno> {
    let mut len = 0;
    for part in parts {
        for &byte in *part {
            if byte == 0 {
                return Err(Errno::INVAL);
            }
            *place.get_mut(len).ok_or(Errno::TOOBIG)? = byte;
            len += 1;
        }
    }
    *place.get_mut(len).ok_or(Errno::TOOBIG)? = 0;
    Ok(len + 1)
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;

    #[track_caller]
    fn check(strings: &Strings, want: &[&str]) {
        let found: Vec<&[u8]> = strings.iter().collect();
        let want: Vec<&[u8]> = want.iter().map(|text| text.as_bytes()).collect();
        assert_eq!(found, want);
        // The kernel's view: addresses of strings that end with a NUL, then a null.
        let (table, _) = strings.table().as_chunks();
        for (address, want) in table.iter().zip(&want) {
            let place = core::ptr::with_exposed_provenance(usize::from_ne_bytes(*address));
            // SAFETY: the invariant of the second half, which is what is looked at here.
            assert_eq!(unsafe { CStr::from_ptr(place) }.to_bytes(), *want);
        }
        assert_eq!(table[want.len()], NULL);
    }

    #[test]
    fn strings_come_off_again_behind_a_mark() {
        let mut strings = Strings::new(1 << 20).unwrap();
        check(&strings, &[]);
        let empty = strings.mark();
        strings.put(b"A=1");
        strings.put(b"");
        let mark = strings.mark();
        strings.put(&[b'x'; 9005]);
        strings.put(b"B=2");
        assert_eq!(strings.get(2).map(<[u8]>::len), Some(9005));
        assert_eq!(strings.get(4), None);
        let later = strings.mark();
        strings.truncate(mark);
        check(&strings, &["A=1", ""]);
        strings.truncate(later);
        check(&strings, &["A=1", ""]);
        strings.put(b"C=3");
        check(&strings, &["A=1", "", "C=3"]);
        strings.truncate(empty);
        check(&strings, &[]);
    }

    #[test]
    fn the_first_string_comes_off() {
        let mut strings = Strings::new(1 << 20).unwrap();
        strings.take_first();
        check(&strings, &[]);
        for text in ["a", "", "b"] {
            strings.put(text.as_bytes());
        }
        strings.take_first();
        check(&strings, &["", "b"]);
        strings.put(b"c");
        check(&strings, &["", "b", "c"]);
        strings.take_first();
        strings.take_first();
        check(&strings, &["c"]);
    }

    #[test]
    fn what_does_not_fit_or_has_a_nul_is_left_out() {
        let mut strings = Strings::new(1).unwrap();
        let room = strings.memory.len() / 2;
        strings.put(b"first");
        let mark = strings.mark();
        let rest = std::vec![b'x'; room - 6];
        for bad in [&b"a\0b"[..], &rest] {
            assert_eq!(strings.check(), Ok(()));
            strings.put(bad);
            check(&strings, &["first"]);
            assert_eq!(strings.check(), Err(Errno::TOOBIG));
            strings.truncate(mark);
        }
        strings.put(&rest[1..]);
        assert_eq!(strings.check(), Ok(()));
        strings.put(b"");
        assert_eq!(strings.check(), Err(Errno::TOOBIG));
        assert_eq!(strings.get(1), Some(&rest[1..]));
        // That something was left out is true of what was there, too.
        let mark = strings.mark();
        strings.put(b"");
        strings.truncate(mark);
        assert_eq!(strings.check(), Err(Errno::TOOBIG));
    }

    #[test]
    fn the_table_bounds_the_count() {
        let mut strings = Strings::new(1).unwrap();
        let room = strings.table().len() / size_of::<Entry>();
        for _ in 1..room {
            strings.put(b"");
        }
        assert_eq!(strings.check(), Ok(()));
        strings.put(b"");
        assert_eq!(strings.check(), Err(Errno::TOOBIG));
        assert_eq!(strings.iter().count(), room - 1);
    }

    #[test]
    fn a_path_fits_or_does_not() {
        let mut place = [b'#'; 9];
        assert_eq!(path(&mut place, &[b"/bin", b"/", b"cat"]), Ok(c"/bin/cat"));
        assert_eq!(path(&mut place, &[b"/bin/", b"bash"]), Err(Errno::TOOBIG));
        assert_eq!(path(&mut place, &[b"/b\0n"]), Err(Errno::INVAL));
        assert_eq!(path(&mut place, &[]), Ok(c""));
    }
}
