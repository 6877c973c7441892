//! Strings as the kernel takes them: each ends with a NUL.

use core::ffi::CStr;
use core::mem;
use core::slice;

use super::fd::Errno;
use super::memory::Mapping;

/// A list of strings, as `execve(2)` takes the arguments and the environment of a program.
///
/// Only touched pages of the two mappings cost memory, so a list may be given much room. A string never
/// moves: the table of their addresses is kept beside them and is always ready for the kernel.
#[derive(Debug)]
pub struct Strings {
    /// Invariant: the addresses of `count` strings in `text`, in their order, then a null.
    table: Mapping,
    /// Invariant: the strings, one behind the other, take the first `len` bytes.
    text: Mapping,
    count: usize,
    len: usize,
}

/// How long a list was.
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    count: usize,
    len: usize,
}

impl Strings {
    /// `mmap(2)`, twice: an empty list with room for `bytes`, the NULs included, and for an eighth as many
    /// strings.
    ///
    /// # Errors
    /// Out of memory.
    pub fn new(bytes: usize) -> Result<Self, Errno> {
        Ok(Self {
            table: Mapping::new(bytes)?,
            text: Mapping::new(bytes)?,
            count: 0,
            len: 0,
        })
    }

    /// Appends one string, made of `parts`.
    ///
    /// # Errors
    /// `E2BIG` when it does not fit, `EINVAL` when a part has a NUL in it. The list is then as it was.
    pub fn put(&mut self, parts: &[&[u8]]) -> Result<(), Errno> {
        let free = self.text.get_mut(self.len..).unwrap_or_default();
        let place = free.as_ptr().expose_provenance();
        let len = join(free, parts)?;
        let table = words_mut(&mut self.table);
        let Some([entry, end, ..]) = table.get_mut(self.count..) else {
            return Err(Errno::TOOBIG);
        };
        (*entry, *end) = (place, 0);
        self.count += 1;
        self.len += len;
        Ok(())
    }

    /// How long the list is now.
    pub fn mark(&self) -> Mark {
        let (count, len) = (self.count, self.len);
        Mark { count, len }
    }

    /// Takes off what was appended since the list was as long as `mark` says. A mark that is longer than
    /// the list changes nothing.
    pub fn truncate(&mut self, mark: Mark) {
        if mark.count >= self.count {
            return;
        }
        if let Some(end) = words_mut(&mut self.table).get_mut(mark.count) {
            *end = 0;
        }
        (self.count, self.len) = (mark.count, mark.len);
    }

    /// Takes the first string off.
    pub fn take_first(&mut self) {
        let entries = words_mut(&mut self.table).get_mut(..=self.count);
        let mut next = 0;
        for entry in entries.unwrap_or_default().iter_mut().rev() {
            mem::swap(entry, &mut next);
        }
        self.count = self.count.saturating_sub(1);
    }

    /// The string at `index`, without its NUL.
    pub fn get(&self, index: usize) -> Option<&[u8]> {
        if index >= self.count {
            return None;
        }
        let (start, table) = (self.text.as_ptr().addr(), words(&self.table));
        let first = table.get(index)?.wrapping_sub(start);
        let end = match table.get(index + 1)? {
            0 => self.len,
            next => next.wrapping_sub(start),
        };
        self.text.get(first..end.wrapping_sub(1))
    }

    /// The strings in their order.
    #[cfg(test)]
    fn iter(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.count).map_while(|index| self.get(index))
    }

    /// Where the table is, as the kernel is given it.
    pub(super) fn raw(&self) -> usize {
        self.table.as_ptr().expose_provenance()
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

fn words(mapping: &Mapping) -> &[usize] {
    let count = mapping.len() / size_of::<usize>();
    // SAFETY: a mapping begins at a page, so it is aligned, and any bytes of it are words.
    unsafe { slice::from_raw_parts(mapping.as_ptr().cast(), count) }
}

fn words_mut(mapping: &mut Mapping) -> &mut [usize] {
    let count = mapping.len() / size_of::<usize>();
    // SAFETY: as above, and the mapping is exclusively borrowed.
    unsafe { slice::from_raw_parts_mut(mapping.as_mut_ptr().cast(), count) }
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
        let table = words(&strings.table);
        for (&address, want) in table.iter().zip(&want) {
            let place = core::ptr::with_exposed_provenance(address);
            // SAFETY: the invariant of `table`, which is what is looked at here.
            assert_eq!(unsafe { CStr::from_ptr(place) }.to_bytes(), *want);
        }
        assert_eq!(table[want.len()], 0);
    }

    #[test]
    fn strings_come_off_again_behind_a_mark() {
        let mut strings = Strings::new(1 << 20).unwrap();
        check(&strings, &[]);
        let empty = strings.mark();
        strings.put(&[b"A", b"=", b"1"]).unwrap();
        strings.put(&[]).unwrap();
        let mark = strings.mark();
        strings.put(&[b"LONG=", &[b'x'; 9000]]).unwrap();
        strings.put(&[b"B=2"]).unwrap();
        assert_eq!(strings.get(2).map(<[u8]>::len), Some(9005));
        assert_eq!(strings.get(4), None);
        let later = strings.mark();
        strings.truncate(mark);
        check(&strings, &["A=1", ""]);
        strings.truncate(later);
        check(&strings, &["A=1", ""]);
        strings.put(&[b"C=", b"3"]).unwrap();
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
            strings.put(&[text.as_bytes()]).unwrap();
        }
        strings.take_first();
        check(&strings, &["", "b"]);
        strings.put(&[b"c"]).unwrap();
        check(&strings, &["", "b", "c"]);
        strings.take_first();
        strings.take_first();
        check(&strings, &["c"]);
    }

    #[test]
    fn what_does_not_fit_or_has_a_nul_changes_nothing() {
        let mut strings = Strings::new(1).unwrap();
        let room = strings.text.len();
        strings.put(&[b"first"]).unwrap();
        assert_eq!(strings.put(&[b"a\0b"]), Err(Errno::INVAL));
        let rest = std::vec![b'x'; room - 6];
        assert_eq!(strings.put(&[&rest]), Err(Errno::TOOBIG));
        check(&strings, &["first"]);
        strings.put(&[&rest[1..]]).unwrap();
        assert_eq!(strings.put(&[]), Err(Errno::TOOBIG));
        assert_eq!(strings.get(1), Some(&rest[1..]));
    }

    #[test]
    fn the_table_bounds_the_count() {
        let mut strings = Strings::new(1).unwrap();
        let room = words(&strings.table).len();
        let fitted = (0..=room).take_while(|_| strings.put(&[]).is_ok()).count();
        assert_eq!(fitted, room - 1);
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
