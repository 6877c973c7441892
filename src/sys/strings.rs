//! Strings as the kernel takes them: each ends with a NUL.

use core::ffi::CStr;

use super::fd::Errno;
use super::memory::Mapping;

/// A list of strings, as `execve(2)` takes the arguments and the environment of a program.
///
/// Only touched pages of its mapping cost memory, so a list may be given much room. A string never moves. The
/// table of their addresses is made once the list is complete, and lies behind them: mostly on the same page.
#[derive(Debug)]
pub struct Strings {
    /// Invariant: the strings, one behind the other, take the first `len` bytes.
    memory: Mapping,
    len: usize,
    /// Where the first one begins that was not taken off.
    start: usize,
    /// Where in the memory the table is; zero while there is none. Invariant: addresses of strings of the list, then
    /// a null.
    table: usize,
    /// Whether something was left out: then the kernel is not given the list.
    is_cut: bool,
}

/// An address, as it lies in memory.
type Entry = [u8; size_of::<usize>()];

/// How long a list was.
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    len: usize,
    is_cut: bool,
}

impl Strings {
    /// `mmap(2)`: an empty list with room for `bytes`, the NULs and the table included.
    ///
    /// # Errors
    /// Out of memory.
    pub fn new(bytes: usize) -> Result<Self, Errno> {
        Ok(Self {
            memory: Mapping::new(bytes)?,
            len: 0,
            start: 0,
            table: 0,
            is_cut: false,
        })
    }

    /// Appends one string. One that does not fit is left out, and so is one that has a NUL in it.
    pub fn put(&mut self, text: &[u8]) {
        self.table = 0;
        match join(self.memory.get_mut(self.len..).unwrap_or_default(), &[text]) {
            Ok(len) => self.len += len,
            Err(_) => self.is_cut = true,
        }
    }

    /// Makes the table, for the kernel. If it does not fit, that is as if a string was left out.
    pub fn complete(&mut self) {
        let start = self.len.next_multiple_of(size_of::<Entry>());
        let parts = self.memory.split_at_mut_checked(start).unwrap_or_default();
        let (texts, (table, _)) = (parts.0, parts.1.as_chunks_mut());
        let mut at = self.start;
        for entry in table {
            let text = texts.get(at..self.len).unwrap_or_default();
            if text.is_empty() {
                (*entry, self.table) = (Entry::default(), start);
                return;
            }
            *entry = text.as_ptr().expose_provenance().to_ne_bytes();
            at += until_nul(text).count_bytes() + 1;
        }
        self.is_cut = true;
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
        let (len, is_cut) = (self.len, self.is_cut);
        Mark { len, is_cut }
    }

    /// Takes off what was appended since the list was as long as `mark` says. A mark that is longer than
    /// the list changes nothing.
    pub fn truncate(&mut self, mark: Mark) {
        if mark.len <= self.len {
            (self.len, self.is_cut, self.table) = (mark.len, mark.is_cut, 0);
        }
    }

    /// Takes the first string off.
    pub fn take_first(&mut self) {
        if let Some(first) = self.get(0) {
            self.start += first.len() + 1;
            self.table = 0;
        }
    }

    /// The string at `index`, without its NUL.
    pub fn get(&self, index: usize) -> Option<&[u8]> {
        let mut rest = self.memory.get(self.start..self.len)?;
        for _ in 0..index {
            rest = rest.get(until_nul(rest).count_bytes() + 1..)?;
        }
        (!rest.is_empty()).then(|| until_nul(rest).to_bytes())
    }

    /// The strings in their order.
    #[cfg(test)]
    fn iter(&self) -> impl Iterator<Item = &[u8]> {
        (0..).map_while(|index| self.get(index))
    }

    /// Where the table is, as the kernel is given it: null, which it takes for an empty one, if there is none.
    pub(super) fn raw(&self) -> usize {
        match self.table {
            0 => 0,
            table => self.memory.as_ptr().expose_provenance() + table,
        }
    }
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
    fn check(strings: &mut Strings, want: &[&str]) {
        let found: Vec<&[u8]> = strings.iter().collect();
        let want: Vec<&[u8]> = want.iter().map(|text| text.as_bytes()).collect();
        assert_eq!(found, want);
        if strings.check().is_err() {
            return;
        }
        strings.complete();
        // The kernel's view: addresses of strings that end with a NUL, then a null.
        let (table, _) = strings.memory[strings.table..].as_chunks();
        for (address, want) in table.iter().zip(&want) {
            let place = core::ptr::with_exposed_provenance(usize::from_ne_bytes(*address));
            // SAFETY: the invariant of the table, which is what is looked at here.
            assert_eq!(unsafe { CStr::from_ptr(place) }.to_bytes(), *want);
        }
        assert_eq!(table[want.len()], Entry::default());
    }

    #[test]
    fn strings_come_off_again_behind_a_mark() {
        let mut strings = Strings::new(1 << 20).unwrap();
        check(&mut strings, &[]);
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
        check(&mut strings, &["A=1", ""]);
        strings.truncate(later);
        check(&mut strings, &["A=1", ""]);
        strings.put(b"C=3");
        check(&mut strings, &["A=1", "", "C=3"]);
        strings.truncate(empty);
        check(&mut strings, &[]);
    }

    #[test]
    fn the_first_string_comes_off() {
        let mut strings = Strings::new(1 << 20).unwrap();
        strings.take_first();
        check(&mut strings, &[]);
        for text in ["a", "", "b"] {
            strings.put(text.as_bytes());
        }
        strings.take_first();
        check(&mut strings, &["", "b"]);
        strings.put(b"c");
        check(&mut strings, &["", "b", "c"]);
        strings.take_first();
        strings.take_first();
        check(&mut strings, &["c"]);
    }

    #[test]
    fn what_does_not_fit_or_has_a_nul_is_left_out() {
        let mut strings = Strings::new(1).unwrap();
        let room = strings.memory.len();
        strings.put(b"first");
        let mark = strings.mark();
        let rest = std::vec![b'x'; room - 6];
        for bad in [&b"a\0b"[..], &rest] {
            assert_eq!(strings.check(), Ok(()));
            strings.put(bad);
            check(&mut strings, &["first"]);
            assert_eq!(strings.check(), Err(Errno::TOOBIG));
            strings.truncate(mark);
        }
        strings.put(&rest[1..]);
        assert_eq!(strings.check(), Ok(()));
        assert_eq!(strings.get(1), Some(&rest[1..]));
        strings.put(b"");
        assert_eq!(strings.check(), Err(Errno::TOOBIG));
        // That something was left out is true of what was there, too.
        let mark = strings.mark();
        strings.put(b"");
        strings.truncate(mark);
        assert_eq!(strings.check(), Err(Errno::TOOBIG));
    }

    #[test]
    fn the_table_has_to_fit() {
        let mut strings = Strings::new(1).unwrap();
        // Each takes a byte, and eight of the table.
        let most = strings.memory.len() / 9 - 1;
        for _ in 0..most {
            strings.put(b"");
        }
        strings.complete();
        assert_eq!(strings.check(), Ok(()));
        assert_ne!(strings.raw(), 0);
        for _ in 0..10 {
            strings.put(b"");
        }
        assert_eq!((strings.check(), strings.raw()), (Ok(()), 0));
        strings.complete();
        assert_eq!((strings.check(), strings.raw()), (Err(Errno::TOOBIG), 0));
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
