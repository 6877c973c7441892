//! What the process was started with.

use core::ffi::{CStr, c_char, c_int};

unsafe extern "C" {
    /// `environ(7)`: strings of the form `NAME=value`, then a null.
    static mut environ: *const *const c_char;
}

/// Says where the environment is.
///
/// # Safety
/// It ends with a null, stays for ever, and there is no other thread yet.
pub(super) unsafe fn set(environment: *const *const c_char) {
    // SAFETY: the caller's promise: nobody reads it at the same time.
    unsafe { environ = environment };
}

/// The bytes of a variable, `None` where it is not set.
///
/// For as long as nobody changes the environment, which no program with more than one thread may
/// do anyway.
#[must_use]
pub fn var(name: &[u8]) -> Option<&'static [u8]> {
    // SAFETY: nobody writes to it at the same time.
    let mut entry = unsafe { environ };
    if entry.is_null() {
        return None;
    }
    loop {
        // SAFETY: the list ends with a null, behind which nothing is read.
        let text = unsafe { *entry };
        if text.is_null() {
            return None;
        }
        if let Some(value) = value_of(text, name) {
            return Some(value);
        }
        // SAFETY: this was not the last entry.
        entry = unsafe { entry.add(1) };
    }
}

/// The value in `entry`, if it is that of the variable.
///
/// Compared byte by byte: the length of an entry is not known, and finding it out for all of them
/// would be most of the work that a start is.
fn value_of(entry: *const c_char, name: &[u8]) -> Option<&'static [u8]> {
    let mut at = entry.cast::<u8>();
    for &byte in name.iter().chain(b"=") {
        // SAFETY: an entry is a string that ends with a NUL, and so far nothing was one: a name has
        // none.
        if unsafe { *at } != byte {
            return None;
        }
        // SAFETY: the byte before was no NUL.
        at = unsafe { at.add(1) };
    }
    // SAFETY: the rest of the entry ends with a NUL, and stays.
    Some(unsafe { CStr::from_ptr(at.cast()) }.to_bytes())
}

/// Whether the program was started under that file name.
#[must_use]
pub fn is_program(name: &str) -> bool {
    #[cfg(feature = "std")]
    let path = std::env::args_os().next();
    #[cfg(feature = "std")]
    let path = path.as_ref().map(|path| path.as_encoded_bytes());
    #[cfg(not(feature = "std"))]
    let path = executed();
    let file = path.and_then(|path| path.rsplit(|&byte| byte == b'/').next());
    file == Some(name.as_bytes())
}

/// The path that `execve(2)` was given (`AT_EXECFN`, getauxval(3)). Unlike the arguments, it can be
/// found by whoever knows the environment.
#[cfg(not(feature = "std"))]
fn executed() -> Option<&'static [u8]> {
    // SAFETY: nobody writes to it at the same time.
    let mut entry = unsafe { environ };
    if entry.is_null() {
        return None;
    }
    // SAFETY: the list ends with a null.
    while !unsafe { *entry }.is_null() {
        // SAFETY: this was not the last entry.
        entry = unsafe { entry.add(1) };
    }
    // SAFETY: behind the environment that a process was started with lies its auxiliary vector;
    // without std nobody has put another environment there.
    let mut pair = unsafe { entry.add(1) }.cast::<[usize; 2]>();
    loop {
        // SAFETY: the vector ends with a pair of type zero, behind which nothing is read.
        match unsafe { *pair } {
            [0, _] => return None,
            [kind, value] if kind == libc::AT_EXECFN as usize => {
                let path = core::ptr::with_exposed_provenance(value);
                // SAFETY: a value of that type is a string that ends with a NUL and stays.
                return Some(unsafe { CStr::from_ptr(path) }.to_bytes());
            }
            // SAFETY: this was not the last pair.
            _ => pair = unsafe { pair.add(1) },
        }
    }
}

/// Sets a variable, or takes it away, for whatever else is linked in and reads it; without std
/// nothing does.
#[cfg(feature = "std")]
pub fn export(name: &str, value: Option<&str>) {
    match value {
        // SAFETY: std has a lock for those who read it by std, and fnboot documents that it sets
        // this variable for those who do not.
        Some(value) => unsafe { std::env::set_var(name, value) },
        // SAFETY: as above.
        None => unsafe { std::env::remove_var(name) },
    }
}

/// Nothing, without std.
#[cfg(not(feature = "std"))]
pub fn export(_name: &str, _value: Option<&str>) {}

/// The arguments of the process, the program's own name first.
#[derive(Clone, Copy, Debug)]
pub struct Args(&'static [*const c_char]);

impl Args {
    /// No arguments.
    pub const NONE: Self = Self(&[]);

    /// What `main` was called with.
    ///
    /// # Safety
    /// `argv` points to `argc` strings that end with a NUL and stay for ever, as the C entry point
    /// of a program is given them.
    #[allow(
        clippy::similar_names,
        reason = "the names that every C program has for them"
    )]
    #[must_use]
    pub unsafe fn new(argc: c_int, argv: *const *const c_char) -> Self {
        if argv.is_null() {
            return Self::NONE;
        }
        let count = usize::try_from(argc).unwrap_or(0);
        // SAFETY: the caller's promise.
        Self(unsafe { core::slice::from_raw_parts(argv, count) })
    }

    /// The argument at `index`.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<&'static [u8]> {
        let argument = *self.0.get(index)?;
        // SAFETY: the promise that `Args` was made under.
        Some(unsafe { CStr::from_ptr(argument) }.to_bytes())
    }
}
