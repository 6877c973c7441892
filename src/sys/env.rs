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
pub fn var(name: &CStr) -> Option<&'static [u8]> {
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
        // SAFETY: every entry is a string that ends with a NUL.
        let text = unsafe { CStr::from_ptr(text) }.to_bytes();
        if let Some([b'=', value @ ..]) = text.strip_prefix(name.to_bytes()) {
            return Some(value);
        }
        // SAFETY: this was not the last entry.
        entry = unsafe { entry.add(1) };
    }
}

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
