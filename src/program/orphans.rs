//! What a program has left behind that left its group: nobody else ends it.

use crate::bytes::Writer;
use crate::sys::child::{self, Pid, Signal};
use crate::sys::file::File;
use crate::sys::process;
use crate::sys::strings;

/// The children of this process that no program has left behind.
#[derive(Debug)]
pub struct Orphans {
    /// Those that were there before: a script may start a server, and then become fnboot.
    older: [Option<Pid>; OLDER_COUNT_MAX],
}

/// With more than that nobody is killed.
const OLDER_COUNT_MAX: usize = 32;

/// So much of the kernel's list is read at once.
const LIST_BYTES: usize = 1024;

impl Orphans {
    /// None is known yet.
    pub const NONE: Self = Self {
        older: [None; OLDER_COUNT_MAX],
    };

    /// Remembers the children that are there: none of them is killed.
    pub fn spare(&mut self) {
        *self = Self::NONE;
        let mut children = Children::new();
        for place in &mut self.older {
            *place = children.next();
        }
    }

    /// Whether there are other children, but for those that are `spared`; if it `kills`, they are killed. What
    /// they leave behind becomes a child of this process when they end, and is found then.
    ///
    /// A kernel without the list of children (`CONFIG_PROC_CHILDREN`) leaves all of them alone.
    pub fn find(&self, kills: bool, spared: impl Fn(Pid) -> bool) -> bool {
        let mut is_one = false;
        if let [.., None] = self.older {
            let mut children = Children::new();
            while let Some(pid) = children.next() {
                if self.older.contains(&Some(pid)) || spared(pid) {
                    continue;
                }
                is_one = true;
                if kills {
                    // It may have ended: it is not reaped, so the number is still its own.
                    let _ = child::kill(pid, Signal::Kill);
                }
            }
        }
        is_one
    }
}

/// The children of this process, as the kernel lists them: numbers, each with a blank behind it.
struct Children {
    file: Option<File>,
    list: [u8; LIST_BYTES],
    /// How much was read last, and how much of that was looked at.
    len: usize,
    done: usize,
}

impl Children {
    fn new() -> Self {
        let mut path = [0; 64];
        let mut writer = Writer::new(&mut path);
        writer.put(b"/proc/self/task/");
        writer.put_decimal(u64::from(process::id().cast_unsigned()));
        writer.put(b"/children\0");
        Self {
            file: File::open(strings::until_nul(&path)).ok(),
            list: [0; LIST_BYTES],
            len: LIST_BYTES,
            done: LIST_BYTES,
        }
    }

    #[inline(never)]
    fn next(&mut self) -> Option<Pid> {
        let mut number = 0i32;
        loop {
            // Where less was read than there is room for, the list is at its end.
            if self.done == LIST_BYTES {
                self.len = self.file.as_ref()?.read(&mut self.list).unwrap_or(0);
                self.done = 0;
            }
            match self.list.get(self.done..self.len)? {
                [digit @ b'0'..=b'9', ..] => {
                    number = number.wrapping_mul(10).wrapping_add((digit - b'0').into());
                }
                [_, ..] if number != 0 => {
                    self.done += 1;
                    return Pid::new(number);
                }
                [_, ..] => {}
                [] => return None,
            }
            self.done += 1;
        }
    }
}
