//! What the process was started with.

use core::ffi::CStr;

/// `getenv(3)`: the bytes of a variable, `None` where it is not set.
///
/// For the start of the program only: whoever changes the environment later must not do so while
/// the slice is in use.
#[must_use]
pub fn var(name: &CStr) -> Option<&'static [u8]> {
    // SAFETY: `name` ends with a NUL.
    let value = unsafe { libc::getenv(name.as_ptr()) };
    if value.is_null() {
        return None;
    }
    // SAFETY: the C library returns a pointer to a string that ends with a NUL and stays where it
    // is until the environment is changed.
    Some(unsafe { CStr::from_ptr(value) }.to_bytes())
}

/// The arguments of the process, the program's own name first.
#[derive(Clone, Copy, Debug)]
pub struct Args(&'static [*const libc::c_char]);

impl Args {
    /// What `main` was called with.
    ///
    /// # Safety
    /// `argv` points to `argc` strings that end with a NUL and stay for ever, as the C entry point
    /// of a program is given them.
    #[must_use]
    pub unsafe fn new(argc: i32, argv: *const *const libc::c_char) -> Self {
        let count = usize::try_from(argc).unwrap_or(0);
        if argv.is_null() {
            return Self(&[]);
        }
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
