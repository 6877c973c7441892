//! What a program has left behind that left its group: nobody else ends it.

use crate::bytes::{self, Writer};
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

/// With more than that, or a list of them that is longer, nobody is killed.
const OLDER_COUNT_MAX: usize = 32;

/// Room for the kernel's list.
const LIST_BYTES: usize = 4096;

impl Orphans {
    /// None is known yet.
    pub const NONE: Self = Self {
        older: [None; OLDER_COUNT_MAX],
    };

    /// Remembers the children that are there: none of them is killed.
    pub fn spare(&mut self) {
        self.older = [None; OLDER_COUNT_MAX];
        let mut list = [0; LIST_BYTES];
        for (place, pid) in self.older.iter_mut().zip(children(&mut list)) {
            *place = Some(pid);
        }
    }

    /// Kills the other children, but for those that are `spared`. What they leave behind becomes a child of
    /// this process when they end, and is found then.
    ///
    /// A kernel without the list of children (`CONFIG_PROC_CHILDREN`) leaves all of them alone.
    pub fn kill(&self, spared: impl Fn(Pid) -> bool) {
        self.find(spared, |pid| {
            // It may have ended: it is not reaped, so the number is still its own.
            let _ = child::kill(pid, Signal::Kill);
        });
    }

    /// Whether there are other children.
    pub fn are_there(&self, spared: impl Fn(Pid) -> bool) -> bool {
        let mut is_one = false;
        self.find(spared, |_| is_one = true);
        is_one
    }

    fn find(&self, spared: impl Fn(Pid) -> bool, mut found: impl FnMut(Pid)) {
        if !matches!(self.older, [.., None]) {
            return;
        }
        let mut list = [0; LIST_BYTES];
        for pid in children(&mut list) {
            if !self.older.contains(&Some(pid)) && !spared(pid) {
                found(pid);
            }
        }
    }
}

/// The children of this process, read into `place`: as many as it holds.
fn children(place: &mut [u8; LIST_BYTES]) -> impl Iterator<Item = Pid> {
    let mut path = [0; 64];
    let mut writer = Writer::new(&mut path);
    writer.put(b"/proc/self/task/");
    writer.put_decimal(u64::from(process::id().cast_unsigned()));
    writer.put(b"/children\0");
    let read = File::open(strings::until_nul(&path)).and_then(|file| file.read(place));
    let list = bytes::slice(place, 0..read.unwrap_or(0));
    // Each number has a blank behind it, so one that was cut has none.
    let end = list.iter().rposition(|&byte| byte == b' ').unwrap_or(0);
    bytes::split(bytes::slice(list, 0..end), b' ').filter_map(|number| {
        let number = bytes::decimal(number)?;
        Pid::new(i32::try_from(number).ok()?)
    })
}
